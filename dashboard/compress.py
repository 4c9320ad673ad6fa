"""Streamlit's static files, packed once per process: it sends them as they are, 10 MB for a first visit."""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from dashboard.relay import Message, Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

STATIC: Final = "/static/"
LEAST_BYTES: Final = 1024
LARGEST_BYTES: Final = 16 * 1024 * 1024
KEPT_BYTES: Final = 8 * 1024 * 1024  # all that a visit to every page needs is half of that
LEVEL: Final = 6
_TEXTS: Final = (b"text/", b"application/javascript", b"application/json", b"image/svg+xml", b"application/wasm")


@dataclass(frozen=True, slots=True)
class Packed:
    """An answer that is ready to be sent."""

    headers: Headers
    body: bytes


@dataclass(slots=True)
class Compressed:
    """The app, with its static files packed for browsers that can unpack them."""

    app: App
    _kept: "OrderedDict[str, Packed]" = field(default_factory=OrderedDict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if not _wanted(scope):
            await self.app(scope, receive, send)
            return
        kept = self._kept.get(scope["path"])
        if kept is None:
            await self._fetched(scope, receive, send)
        else:
            self._kept.move_to_end(scope["path"])
            await _send(kept, scope["method"], send)

    async def _fetched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the app answer, and pack what can be packed; HEAD is asked as GET, to know the length."""
        start: Message | None = None
        parts: list[bytes] = []

        async def held(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _can_be_packed(message):
                start = message
            elif start is None:
                await send(message)
            else:
                parts.append(message.get("body", b""))

        await self.app({**scope, "method": "GET"}, receive, held)
        if start is not None:
            packed = await asyncio.to_thread(_packed, start["headers"], b"".join(parts))
            self._keep(scope["path"], packed)
            await _send(packed, scope["method"], send)

    def _keep(self, path: str, packed: Packed) -> None:
        self._kept[path] = packed
        while sum(len(kept.body) for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)


def _wanted(scope: Scope) -> bool:
    """A GET or HEAD of a static file by who takes gzip; parts of a file, and questions whether it changed, go on."""
    if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"} or not scope["path"].startswith(STATIC):
        return False
    headers = dict(scope["headers"])
    codings = [coding.strip().split(b";") for coding in headers.get(b"accept-encoding", b"").lower().split(b",")]
    takes = any(name.strip() == b"gzip" and b"q=0" not in (part.strip() for part in rest) for name, *rest in codings)
    return takes and not {b"range", b"if-none-match", b"if-modified-since"} & headers.keys()


def _can_be_packed(start: Message) -> bool:
    headers = dict(start["headers"])
    length = headers.get(b"content-length", b"")
    return (
        start["status"] == 200  # noqa: PLR2004 - a whole file
        and b"content-encoding" not in headers
        and headers.get(b"content-type", b"").startswith(_TEXTS)
        and length.isdigit()
        and LEAST_BYTES <= int(length) <= LARGEST_BYTES
    )


def _packed(headers: Headers, body: bytes) -> Packed:
    packed = gzip.compress(body, LEVEL, mtime=0)
    changed = {b"content-length", b"etag", b"vary", b"accept-ranges"}
    told = [(name, value) for name, value in headers if name not in changed]
    tag = dict(headers).get(b"etag")
    if tag:
        told.append((b"etag", tag if tag.startswith(b"W/") else b"W/" + tag))  # the same file, not the same bytes
    told += [
        (b"vary", b"Accept-Encoding"),
        (b"content-encoding", b"gzip"),
        (b"content-length", str(len(packed)).encode()),
    ]
    return Packed(told, packed)


async def _send(packed: Packed, method: str, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(packed.headers)})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else packed.body})
