"""Which requests are let in at the public door: by host name, origin, path and length. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

Headers = Sequence[tuple[bytes, bytes]]

LARGEST_BODY_BYTES: Final = 32 * 1024 * 1024
LARGEST_FRAME_BYTES: Final = 1024 * 1024  # a click sends some hundred bytes, a page with many choices some thousand
# What a browser never asks for: numbers of the process, and ways to have a page run by a plain request.
INTERNAL: Final = ("/_stcore/metrics", "/_stcore/script-health-check", "/_stcore/agent")
_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"via")
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.%]+\]|[^:\[\]/@\s]+)(:(?P<port>[0-9]{1,5}))?")
_OWN_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the door sees it. `headers` have names in lower case; `peer`: the address it came from, "" unknown.

    `websocket`: it wants to become one.
    """

    path: str
    headers: Headers
    peer: str
    websocket: bool = False

    def values(self, name: bytes) -> list[str]:
        """All values of a header."""
        return [value.decode("latin-1").strip() for found, value in self.headers if found == name]

    @property
    def forwarded(self) -> bool:
        """Whether somebody in front passed it on for a caller of his."""
        return any(name in _FORWARDED for name, _ in self.headers)

    @property
    def from_here(self) -> bool:
        """Whether a program of this machine asks for itself."""
        return not self.forwarded and is_loopback(self.peer)

    @property
    def from_front(self) -> bool:
        """Whether the TLS front on this machine passed it on: it answers for its own name only."""
        return self.forwarded and is_loopback(self.peer)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: HTTPStatus
    words: str


@dataclass(frozen=True, slots=True)
class Rules:
    """`hosts`: the names that the page is reached by, as in the address bar; "*" for any."""

    hosts: frozenset[str] = field(default_factory=frozenset)


def refusal(asked: Asked, rules: Rules) -> Refusal | None:
    """What is wrong with a request; None: it is let in."""
    named = asked.values(b"host")
    host = _HOST.fullmatch(named[0].lower()) if len(named) == 1 else None
    if host is None:
        return Refusal(HTTPStatus.BAD_REQUEST, "one Host header with a name or an address is expected")
    if not asked.from_front and not is_known(host["name"], rules):
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"this server does not know the name {host['name']!a}; to let it in, add it to [dashboard] allowed_hosts",
        )
    if asked.websocket and not _same_origin(asked, host):
        return Refusal(HTTPStatus.FORBIDDEN, "a page of another origin may not connect")
    if _is_internal(asked.path) and not asked.from_here:
        return Refusal(HTTPStatus.NOT_FOUND, "not found")
    return _of_length(asked)


def is_known(name: str, rules: Rules) -> bool:
    """Addresses, names without a dot and those that AWS gives its machines are no names that a stranger can point here.

    Any other name could be a stranger's whose address he changes to ours while his page is open (DNS rebinding).
    """
    plain = name.removesuffix(".")
    if "*" in rules.hosts or plain in rules.hosts:
        return True
    return is_address(name) or "." not in plain or plain.endswith((".localhost", ".amazonaws.com", ".internal"))


def is_address(name: str) -> bool:
    """Whether a host is an IP address, IPv6 in brackets."""
    try:
        ip_address(name.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(peer: str) -> bool:
    """Whether a caller's address is one of this machine alone."""
    try:
        found = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def _same_origin(asked: Asked, host: re.Match[str]) -> bool:
    """Programs name no origin; a browser always does, and it must be the very page that this server gave out."""
    origins = asked.values(b"origin")
    if not origins:
        return True
    if len(origins) > 1:
        return False
    try:
        origin = urlsplit(origins[0].lower())
        port = origin.port
    except ValueError:
        return False
    if origin.scheme not in _OWN_PORTS or not origin.hostname:
        return False
    own = _OWN_PORTS[origin.scheme]
    return (origin.hostname, str(port or own)) == (host["name"].strip("[]"), host["port"] or own)


def _is_internal(path: str) -> bool:
    tidy = "/" + "/".join(part for part in path.split("/") if part)
    return any(tidy == internal or tidy.startswith(f"{internal}/") for internal in INTERNAL)


def _of_length(asked: Asked) -> Refusal | None:
    told = asked.values(b"content-length")
    if any(not length.isascii() or not length.isdigit() for length in told) or len(set(told)) > 1:
        return Refusal(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
    if told and int(told[0][:20]) > LARGEST_BODY_BYTES:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {LARGEST_BODY_BYTES:,} bytes are taken")
    return None
