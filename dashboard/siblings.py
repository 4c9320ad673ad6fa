"""Requests that belong to a page of another release: passed on to the process that knows that page, and back.

While a release drains, its pages are open on the process that goes, and what they fetch or upload comes to the one
that took over the port: downloads, uploads, and parts of Streamlit's own frontend, which are of another version there.
Each process has a private socket; who passes on never asks one that passes on itself.
"""

import asyncio
import http.client
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

AT_ONCE: Final = 32
ANSWER_WITHIN_S: Final = 30
CHUNK_BYTES: Final = 64 * 1024
_UPLOAD: Final = re.compile(r"/_stcore/upload_file/([A-Za-z0-9-]{1,64})/[^/]+")
_FETCHED: Final = ("/media/", "/static/")
# Of one connection only (RFC 9110, 7.6.1), or said by each server for itself.
_OF_A_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect", "date", "server"}
)


class Answer(NamedTuple):
    """The head of an answer."""

    status: int
    headers: Headers


def uploading_session(method: str, path: str) -> str | None:
    """The session that a request brings a file to, or takes one from; None for any other request."""
    found = _UPLOAD.fullmatch(path) if method in ("PUT", "DELETE") else None
    return found[1] if found else None


def may_be_a_siblings(method: str, path: str) -> bool:
    """Whether another release may have what is asked for."""
    return method in ("GET", "HEAD") and path.startswith(_FETCHED)


def is_missing(path: str, answer: Answer) -> bool:
    """Whether that is no answer: in place of a part of the frontend that it lacks, Streamlit sends its first page."""
    kind = dict(answer.headers).get(b"content-type", b"")
    instead = path.startswith("/static/") and kind.startswith(b"text/html") and not path.endswith(".html")
    return answer.status == http.client.NOT_FOUND or instead


class _Local(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, place: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_WITHIN_S)
        self._place = place

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._place))


@dataclass(slots=True)
class Siblings:
    """The other releases' processes. `own`: the private socket of this one."""

    own: Path
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def sockets(self) -> list[Path]:
        """Their private sockets."""
        return [place for place in sorted(self.own.parent.parent.glob("*/http.sock")) if place != self.own]

    async def fetch(self, scope: Scope, send: Send) -> bool:
        """Answer with what a sibling has; False, and nothing sent, where none has it."""
        async with self._turn:
            for place in self.sockets():
                with closing(_Local(place)) as sibling:
                    response = await _fetched(sibling, scope)
                    if response:
                        await _pass_on(response, send)
                        return True
        return False

    async def owner(self, session: str) -> Path | None:
        """The private socket of the release that has a session."""
        sockets = self.sockets()
        return await asyncio.to_thread(_owner, sockets, session) if sockets else None

    async def upload(self, session: str, scope: Scope, receive: Receive, send: Send) -> bool:
        """Hand a file to the sibling that has the session; False, and nothing read, where none has it."""
        async with self._turn:
            owner = await asyncio.to_thread(_owner, self.sockets(), session)
            if owner is None:
                return False
            with closing(_Local(owner)) as sibling, suppress(ConnectionAbortedError):
                await _upload(sibling, scope, receive, send)
            return True


def session_path(session: str) -> str:
    """Where a process says, on its private socket, whether it has a session: 200 or 404."""
    return f"/sessions/{quote(session, safe='')}"


def _owner(sockets: Iterable[Path], session: str) -> Path | None:
    for place in sockets:
        with suppress(OSError, http.client.HTTPException), closing(_Local(place)) as sibling:
            sibling.request("GET", session_path(session))
            if sibling.getresponse().status == http.client.OK:
                return place
    return None


async def _fetched(sibling: _Local, scope: Scope) -> http.client.HTTPResponse | None:
    """What a sibling answers; None where it lacks that too, or is about to end."""
    try:
        await asyncio.to_thread(_begin, sibling, scope)
        await asyncio.to_thread(sibling.endheaders)
        response = await asyncio.to_thread(sibling.getresponse)
    except (OSError, http.client.HTTPException):
        return None
    return None if is_missing(scope["path"], Answer(response.status, _passed(response))) else response


async def _upload(sibling: _Local, scope: Scope, receive: Receive, send: Send) -> None:
    """Piece by piece: a file of any size takes no memory here. What is too large the sibling refuses."""
    chunked = not any(name == b"content-length" for name, _ in scope["headers"])
    await asyncio.to_thread(_begin, sibling, scope)
    if chunked:
        sibling.putheader("Transfer-Encoding", "chunked")
    with suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough: its answer says why
        await asyncio.to_thread(sibling.endheaders)
        async for piece in _body(receive):
            await asyncio.to_thread(sibling.send, b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            await asyncio.to_thread(sibling.send, b"0\r\n\r\n")
    await _pass_on(await asyncio.to_thread(sibling.getresponse), send)


def _begin(sibling: _Local, scope: Scope) -> None:
    """The request as it came, up to the end of its headers."""
    target = scope["raw_path"].decode("latin-1") + (f"?{query}" if (query := scope["query_string"].decode()) else "")
    sibling.putrequest(scope["method"], target, skip_host=True, skip_accept_encoding=True)
    for name, value in scope["headers"]:
        if name.decode("latin-1") not in _OF_A_CONNECTION:
            sibling.putheader(name.decode("latin-1"), value)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the visitor left")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


def _passed(response: http.client.HTTPResponse) -> Headers:
    headers = [(name.lower(), value) for name, value in response.getheaders()]
    return [(name.encode(), value.encode("latin-1")) for name, value in headers if name not in _OF_A_CONNECTION]


async def _pass_on(response: http.client.HTTPResponse, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": _passed(response)})
    while piece := await asyncio.to_thread(response.read, CHUNK_BYTES):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
