"""The outermost layer of the public door: who is not let in, and what every answer tells the browser. ASGI."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dashboard.admission import LARGEST_BODY_BYTES, Asked, Refusal, Rules, refusal
from dashboard.relay import Message, Receive, Scope, Send
from dashboard.security_headers import security_headers

App = Callable[[Scope, Receive, Send], Awaitable[None]]
POLICY_VIOLATION = 1008


@dataclass(frozen=True, slots=True)
class Guard:
    """`csp`: the Content-Security-Policy of the pages."""

    app: App
    rules: Rules
    csp: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        asked = asked_of(scope)
        wrong = refusal(asked, self.rules)
        if asked.websocket:
            await (_turned_away(receive, send) if wrong else self.app(scope, receive, send))
            return
        protected = self._protected(send)
        if wrong:
            await _answer(wrong, protected)
        else:
            await self.app(scope, _limited(receive), protected)

    def _protected(self, send: Send) -> Send:
        told = security_headers(self.csp)
        names = {name for name, _ in told}

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message.get("headers", []) if name.lower() not in names]
                message["headers"] = [*others, *told]
            await send(message)

        return protected


def asked_of(scope: Scope) -> Asked:
    """The request of a scope; a caller over a unix socket is unknown."""
    client = scope.get("client")
    return Asked(
        path=scope["path"],
        headers=[(name.lower(), value) for name, value in scope["headers"]],
        peer=client[0] if client else "",
        websocket=scope["type"] == "websocket",
    )


async def _turned_away(receive: Receive, send: Send) -> None:
    """Before it is accepted: the server answers the handshake with 403."""
    await receive()
    await send({"type": "websocket.close", "code": POLICY_VIOLATION})


async def _answer(wrong: Refusal, send: Send) -> None:
    body = json.dumps({"error": wrong.words}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),  # of a body that comes all the same nothing is read
    ]
    await send({"type": "http.response.start", "status": wrong.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _limited(receive: Receive) -> Receive:
    """A body that says no length is cut where it becomes too long: as if its sender had gone."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return {"type": "http.disconnect"} if taken > LARGEST_BODY_BYTES else message

    return limited
