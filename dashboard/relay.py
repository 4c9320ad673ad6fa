"""A page that comes back to the wrong process: its connection is joined to the release that still has its session.

A TLS front in between drops every connection when its configuration changes, and a phone when it changes networks. The
browser comes back within a second and names its session; by then another release may have taken over the port.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STREAM: Final = "/_stcore/stream"
RELAYED: Final = b"x-kpi-relayed"  # says to the private door that this is a visitor
ABNORMAL: Final = 1006  # not sent by anybody: a connection that ended without a word
GOING_AWAY: Final = 1001
OPEN_WITHIN_S: Final = 10
GOODBYE_S: Final = 1
_OF_A_HANDSHAKE: Final = ("sec-websocket-", "connection", "upgrade", "host")


def returning_session(scope: Scope) -> str | None:
    """The session that a page comes back to: Streamlit's frontend names it as the third subprotocol."""
    offered = scope.get("subprotocols") or []
    return str(offered[2]) if scope.get("path") == STREAM and len(offered) == 3 else None  # noqa: PLR2004 - as said


async def relay(owner: Path, scope: Scope, receive: Receive, send: Send) -> bool:
    """Join a websocket to the process behind a private socket, until either end leaves.

    False, and nothing sent or read, where that process does not take it.
    """
    try:
        sibling = await _connection(owner, scope)
    except (OSError, TimeoutError, WebSocketException):
        return False
    async with sibling:
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": sibling.subprotocol})
        await _joined(sibling, receive, send)
    return True


def _connection(owner: Path, scope: Scope) -> connect:
    """The same handshake as the visitor's, to a sibling."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    host = next((value for name, value in headers if name == "host"), "localhost")
    return connect(
        f"ws://{host}{STREAM}",
        unix=True,
        path=str(owner),
        subprotocols=[Subprotocol(name) for name in scope["subprotocols"]],
        additional_headers=[
            *((name, value) for name, value in headers if not name.startswith(_OF_A_HANDSHAKE)),
            (RELAYED.decode(), "1"),
        ],
        user_agent_header=None,
        compression=None,
        max_size=None,
        open_timeout=OPEN_WITHIN_S,
        close_timeout=GOODBYE_S,
        proxy=None,
    )


async def _joined(sibling: ClientConnection, receive: Receive, send: Send) -> None:
    """Pass messages both ways until one end is gone, and tell the other."""
    ways = {asyncio.create_task(_in(sibling, receive)), asyncio.create_task(_out(sibling, send))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _in(sibling: ClientConnection, receive: Receive) -> None:
    """From the visitor; its leaving is passed on as well."""
    with suppress(ConnectionClosed):
        while (message := await receive())["type"] == "websocket.receive":
            text: str | None = message.get("text")
            await sibling.send(message["bytes"] if text is None else text)
        await sibling.close(GOING_AWAY)


async def _out(sibling: ClientConnection, send: Send) -> None:
    """To the visitor."""
    with suppress(ConnectionClosed):
        async for piece in sibling:
            kind = "text" if isinstance(piece, str) else "bytes"
            await send({"type": "websocket.send", kind: piece})
    code = sibling.close_code or ABNORMAL
    await send({"type": "websocket.close", "code": GOING_AWAY if code == ABNORMAL else code})
