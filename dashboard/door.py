"""The two doors of the app, both ASGI: the public one counts and passes on, the private one also tells."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from dashboard.idle_page import IdlePage
from dashboard.relay import RELAYED, relay, returning_session
from dashboard.siblings import (
    Answer,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    Siblings,
    is_missing,
    may_be_a_siblings,
    session_path,
    uploading_session,
)
from dashboard.traffic import Traffic

App = Callable[[Scope, Receive, Send], Awaitable[None]]

RELEASE_HEADER: Final = b"x-release"
_SESSIONS: Final = session_path("")


@dataclass(frozen=True, slots=True)
class PublicDoor:
    """Where visitors come in. `siblings` is None where there can be no other release."""

    app: App
    release: str
    traffic: Traffic
    has_session: Callable[[str], bool]
    siblings: Siblings | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "websocket":
            with self.traffic.session():
                if not await self._relayed(scope, receive, send):
                    await _open_page(self.app, self.traffic, scope, receive, send)
        elif scope["type"] == "http":
            with self.traffic.request():
                await self._answer(scope, receive, self._labelled(send))
        else:
            await self.app(scope, receive, send)

    async def _relayed(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether a page came back to a session that another release still has."""
        session = returning_session(scope)
        if not session or not self.siblings or self.has_session(session):
            return False
        owner = await self.siblings.owner(session)
        return owner is not None and await relay(owner, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.siblings and self.siblings.sockets():
            session = uploading_session(scope["method"], scope["path"])
            if session and not self.has_session(session):
                if await self.siblings.upload(session, scope, receive, send):
                    return
            elif may_be_a_siblings(scope["method"], scope["path"]):
                await self._ours_or_theirs(self.siblings, scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _ours_or_theirs(self, siblings: Siblings, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def unless_missing(message: Message) -> None:
            first = message["type"] == "http.response.start"
            if held or (first and is_missing(scope["path"], Answer(message["status"], message.get("headers", [])))):
                held.append(message)
            else:
                await send(message)

        await self.app(scope, receive, unless_missing)
        if held and not await siblings.fetch(scope, send):
            for message in held:
                await send(message)

    def _labelled(self, send: Send) -> Send:
        """Each answer names its release, a sibling's its own; while draining it is the last of its connection."""

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._headers(list(message.get("headers", [])))
            await send(message)

        return labelled

    def _headers(self, headers: Headers) -> Headers:
        if not any(name == RELEASE_HEADER for name, _ in headers):
            headers.append((RELEASE_HEADER, self.release.encode()))
        if self.traffic.draining:
            headers.append((b"connection", b"close"))
        return headers


@dataclass(frozen=True, slots=True)
class PrivateDoor:
    """Where this process visits itself, the operator asks, and siblings pass on: who is passed on is a visitor."""

    app: App
    release: str
    has_session: Callable[[str], bool]
    traffic: Traffic
    state: Callable[[], Mapping[str, Any]]
    failed: Callable[[BaseException], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path == "/state":
            await _say(send, HTTPStatus.OK, self.state())
        elif scope["type"] == "http" and path.startswith(_SESSIONS):
            session = path.removeprefix(_SESSIONS)
            here = self.has_session(session) and session not in self.traffic.sent_away
            await _say(send, HTTPStatus.OK if here else HTTPStatus.NOT_FOUND, {"here": here})
        elif scope["type"] == "http":
            await self.app(scope, receive, self._labelled(send))
        elif scope["type"] == "websocket" and any(name == RELAYED for name, _ in scope["headers"]):
            with self.traffic.session():
                await _open_page(self.app, self.traffic, scope, receive, send)
        else:
            await self._or_told(scope, receive, send)

    async def _or_told(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An app that does not start raises here, and nowhere else."""
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            self.failed(error)
            raise

    def _labelled(self, send: Send) -> Send:
        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (RELEASE_HEADER, self.release.encode())]
            await send(message)

        return labelled


async def _open_page(app: App, traffic: Traffic, scope: Scope, receive: Receive, send: Send) -> None:
    page = IdlePage(traffic, receive, send, time.monotonic)
    await app(scope, page.heard, page.said)


async def _say(send: Send, status: HTTPStatus, facts: Mapping[str, Any]) -> None:
    body = json.dumps(facts).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
