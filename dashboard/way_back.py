"""Bring who signs in back to the link that was opened, and keep cookies off plain connections. ASGI.

Streamlit sends everybody to the first page after sign-in, and what a shared link chose would be lost.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from dashboard.relay import Message, Receive, Scope, Send
from dashboard.sign_in import CALLBACK

App = Callable[[Scope, Receive, Send], Awaitable[None]]
LOGIN: Final = "/auth/login"
COOKIE: Final = "kpi_way_back"
LONGEST: Final = 2000  # characters of a way; a cookie may have 4,096 bytes
MINUTES_S: Final = 600  # to sign in


@dataclass(frozen=True, slots=True)
class WayBack:
    """`secure`: the page is reached by https, so no cookie may go over anything else."""

    app: App
    secure: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self.app(scope, receive, self._told(scope, send) if scope["type"] == "http" else send)

    def _told(self, scope: Scope, send: Send) -> Send:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._headers(scope["path"], headers, message.get("headers", []))
            await send(message)

        return told

    def _headers(
        self, path: str, asked: dict[bytes, str], answered: list[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        changed = list(answered)
        if path == LOGIN and (way := way_of(asked.get(b"referer", ""), asked.get(b"host", ""))):
            changed.append(_cookie(quote(way, safe=""), MINUTES_S))
        if path == CALLBACK:
            way = way_kept(asked.get(b"cookie", ""))
            changed = [(name, _toward(way, value) if name.lower() == b"location" else value) for name, value in changed]
            changed.append(_cookie("", 0))
        return [(name, self._locked(value) if name.lower() == b"set-cookie" else value) for name, value in changed]

    def _locked(self, cookie: bytes) -> bytes:
        return cookie + b"; Secure" if self.secure and b"; secure" not in cookie.lower() else cookie


def way_of(referer: str, host: str) -> str:
    """The path and query of the page that the click on `Sign in` was made on; "" where that was no page of ours."""
    try:
        parts = urlsplit(referer)
    except ValueError:
        return ""
    way = parts.path + (f"?{parts.query}" if parts.query else "")
    return way if parts.netloc == host and is_way(way) else ""


def is_way(way: str) -> bool:
    """Whether an address leads nowhere but to this server."""
    plain = way.isascii() and way.isprintable() and " " not in way and "\\" not in way
    return plain and way.startswith("/") and not way.startswith("//") and len(way) <= LONGEST


def way_kept(cookies: str) -> str:
    """The way that the cookie holds; "" where there is none, or none of ours."""
    try:
        kept = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    way = unquote(kept.value) if kept else ""
    return way if is_way(way) else ""


def _toward(way: str, location: bytes) -> bytes:
    """Only from Streamlit's own answer, which leads to its first page."""
    return way.encode() if way and location == b"/" else location


def _cookie(value: str, age_s: int) -> tuple[bytes, bytes]:
    return b"set-cookie", f"{COOKIE}={value}; Path={CALLBACK}; HttpOnly; SameSite=Lax; Max-Age={age_s}".encode()
