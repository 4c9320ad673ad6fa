"""Open a Streamlit page as a browser does and judge what a person would see.

Streamlit answers 200 on `/` and `ok` on `/_stcore/health` while its script raises. So this opens the websocket, has
the script run and reads the page that comes. Standard library only, and nothing of ours: the file runs alone.

Three beats: `probe` does the I/O, `PageReader` folds what arrives into a `Page`, `judge` decides and is pure.
"""

import argparse
import base64
import hashlib
import io
import json
import queue
import re
import secrets
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, NoReturn, cast
from urllib.parse import quote, unquote, urljoin, urlsplit

Verdict = Literal["up", "degraded", "down", "unknown"]
Stage = Literal["dns", "tcp", "tls", "ttfb", "body", "ws_upgrade", "script_done"]
Reason = Literal[
    "dns",
    "refused",
    "timeout",
    "tls",
    "http_status",
    "body",
    "ws_refused",
    "script_exception",
    "script_compile",
    "script_timeout",
    "missing_element",
    "proto",
    "prober",
]

# Where a stage's time is written in a sample.
PHASE_OF: Mapping[Stage, str] = {
    "dns": "dns",
    "tcp": "tcp",
    "tls": "tls",
    "ttfb": "ttfb",
    "body": "body",
    "ws_upgrade": "ws",
    "script_done": "script",
}
PHASES = tuple(PHASE_OF.values())

EXIT_CODES: Mapping[Verdict, int] = {"up": 0, "down": 1, "degraded": 2, "unknown": 3}
EXIT_SETTINGS_WRONG = 4

USER_AGENT = "kpi-ops-probe/1"
BY_HAND = "by-hand"
STREAM = "/_stcore/stream"

DEFAULT_TIMEOUT_S = 30.0
TOTAL_LIMIT_S = 90.0
WAITS_S = (0.0, 5.0, 20.0)  # before the first, second and third attempt
SETTLE_S = 0.5  # a compile error arrives after script_finished
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_ADDRESSES = 8
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_STREAM_BYTES = 2 * MAX_MESSAGE_BYTES
MAX_FIELDS = 10_000
MAX_PATH_BYTES = 1_000
MAX_DETAIL_BYTES = 120

# --- Streamlit's wire: every protobuf field number used here, checked by a test against the installed Streamlit ------

WIRE: Mapping[str, int] = {
    "BackMsg.rerun_script": 11,
    "ClientState.query_string": 1,
    "ClientState.page_name": 4,
    "ForwardMsg.metadata": 2,
    "ForwardMsg.new_session": 4,
    "ForwardMsg.delta": 5,
    "ForwardMsg.script_finished": 6,
    "ForwardMsg.session_event": 10,
    "ForwardMsg.ref_hash": 11,
    "ForwardMsg.page_not_found": 15,
    "ForwardMsgMetadata.delta_path": 2,
    "SessionEvent.script_compilation_exception": 3,
    "Delta.new_element": 3,
    "Delta.add_block": 6,
    "Block.dialog": 11,
    "Block.id": 12,
    "Exception.type": 1,
    "Exception.message": 2,
    "Exception.is_warning": 5,
    "Alert.body": 1,
    "Alert.format": 2,
}

# Fields of Element by which a page can be asked for: `--min metric=6`.
ELEMENTS: Mapping[str, int] = {
    "alert": 30,
    "audio": 13,
    "bidi_component": 59,
    "button": 19,
    "button_group": 55,
    "checkbox": 20,
    "code": 48,
    "component_instance": 37,
    "dataframe": 40,
    "date_input": 27,
    "deck_gl_json_chart": 34,
    "download_button": 43,
    "echarts_chart": 67,
    "exception": 8,
    "graphviz_chart": 18,
    "heading": 47,
    "html": 54,
    "iframe": 38,
    "imgs": 6,
    "json": 31,
    "link_button": 51,
    "markdown": 29,
    "metric": 42,
    "multiselect": 28,
    "number_input": 32,
    "page_link": 53,
    "plotly_chart": 16,
    "progress": 5,
    "radio": 23,
    "selectbox": 25,
    "slider": 21,
    "table": 39,
    "text": 1,
    "text_input": 24,
    "vega_lite_chart": 41,
    "video": 14,
}
# Fields of Block that say what kind of container it is (its oneof `type`).
BLOCK_KINDS = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 17, 19})

ALERT_ERROR = 1
FINISHED, FINISHED_COMPILE_ERROR, FINISHED_EARLY_FOR_RERUN, FINISHED_FRAGMENT = range(4)

_KIND_OF: Mapping[int, str] = {number: kind for kind, number in ELEMENTS.items()}

WIRE_VARINT, WIRE_64_BIT, WIRE_BYTES, WIRE_32_BIT = 0, 1, 2, 5
MAX_VARINT_BYTES = 10

DEEPEST_PAGE = 2  # how many last parts of a path may be the page's name and not the app's own address


class WrongSetting(Exception):
    """An argument or address that cannot be used; printed as one message, exit status 4."""

    def __init__(self, seen: str, *, expected: str, to_do: str) -> None:
        """Compose the message from its three parts."""
        super().__init__(f"{seen}\n  expected: {expected}\n  to do:    {to_do}")


class Undecodable(Exception):
    """Something arrived that is not what Streamlit sends: the probe cannot tell what a person would see."""


class ChannelClosed(ConnectionError):
    """The other side closed the connection."""


# --- values ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a whole page has: at least so many elements of a kind (names of `ELEMENTS`), and these words."""

    min: Mapping[str, int] = field(default_factory=dict)
    text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """The page as it stood after its script.

    `counts`: elements by kind; `exceptions` and `errors`: what exception elements and error boxes say, in the order of
    the page; `compile_error`: what is said of a script that does not compile (it may say nothing: ""), else None;
    `texts`: the bytes of elements and containers, in which words are looked for; `not_found`: the app has no page of
    the name that was asked for, and shows its first one.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    exceptions: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    compile_error: str | None = None
    texts: tuple[bytes, ...] = ()
    not_found: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and, where it is not up, the stage it was reached at, the reason and a detail of at most 120 bytes."""

    verdict: Verdict
    stage: Stage | None = None
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a probe found. `ms`: milliseconds by phase, None where it was not reached; `attempts`: how many it took."""

    verdict: Verdict
    stage: Stage | None
    reason: Reason | None
    detail: str | None
    ms: Mapping[str, int | None]
    attempts: int = 1


class Stopped(Exception):
    """The visit ended before there was a page to judge."""

    def __init__(self, finding: Finding) -> None:
        """Carry what was found."""
        super().__init__(finding)
        self.finding = finding


# --- deciding (pure) -------------------------------------------------------------------------------------------------


def judge(page: Page, wanted: Wanted) -> Finding:
    """The verdict on a page. An exception wins over an error box, an error box over what is missing."""
    if page.compile_error is not None:
        return Finding("down", "script_done", "script_compile", detail_of(page.compile_error))
    if page.exceptions:
        return Finding("down", "script_done", "script_exception", detail_of(page.exceptions[0]))
    if page.errors:  # the closed list of reasons has none for an error box: the detail says it
        return Finding("degraded", "script_done", None, detail_of(f"error box: {page.errors[0]}"))
    if page.not_found:
        return Finding("down", "script_done", "http_status", "the app has no page of that name")
    missing = [*_too_few(page, wanted), *_words_missing(page, wanted)]
    if missing:
        return Finding("degraded", "script_done", "missing_element", detail_of("; ".join(missing)))
    return Finding("up")


def _too_few(page: Page, wanted: Wanted) -> list[str]:
    return [
        f"{page.counts.get(kind, 0)} {kind} of {least} wanted"
        for kind, least in wanted.min.items()
        if page.counts.get(kind, 0) < least
    ]


def _words_missing(page: Page, wanted: Wanted) -> list[str]:
    return [f"no text {words!r}" for words in wanted.text if not any(words.encode() in text for text in page.texts)]


def detail_of(text: str) -> str | None:
    """A text fit for a sample: one line, no query strings or credentials of URLs, at most 120 bytes; None if empty."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    line = _without_secrets(" ".join(printable.split()))
    return line.encode()[:MAX_DETAIL_BYTES].decode("utf-8", "ignore").rstrip() or None


def _without_secrets(text: str) -> str:
    no_credentials = re.sub(r"(://)[^/\s@]*@", r"\1", text)
    return re.sub(r"(://[^\s?#]*)[?#][^\s'\")>]*", r"\1", no_credentials)


# --- decoding (pure) -------------------------------------------------------------------------------------------------


def decode(data: bytes) -> dict[int, int | bytes]:
    """Fields of one protobuf message by number, the last of each; numbers for varints, bytes for all else.

    Raises Undecodable for anything that is not a message.
    """
    fields: dict[int, int | bytes] = {}
    at = 0
    for _ in range(MAX_FIELDS):
        if at == len(data):
            return fields
        key, at = _varint(data, at)
        if key >> 3 == 0:
            raise Undecodable("a protobuf field has number 0")
        fields[key >> 3], at = _value(data, at, key & 7)
    raise Undecodable(f"a protobuf message has more than {MAX_FIELDS} fields")


def _value(data: bytes, at: int, wire_type: int) -> tuple[int | bytes, int]:
    if wire_type == WIRE_VARINT:
        return _varint(data, at)
    if wire_type == WIRE_BYTES:
        length, at = _varint(data, at)
    elif wire_type in (WIRE_64_BIT, WIRE_32_BIT):
        length = 8 if wire_type == WIRE_64_BIT else 4
    else:
        raise Undecodable(f"a protobuf field has wire type {wire_type}")
    if length > len(data) - at:
        raise Undecodable("a protobuf field is longer than its message")
    return data[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(data[at : at + MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follows
            return number, at + index + 1
    raise Undecodable("a protobuf number does not end")


def _bytes(fields: Mapping[int, int | bytes], name: str) -> bytes | None:
    value = fields.get(WIRE[name])
    if isinstance(value, int):
        raise Undecodable(f"{name} is a number")
    return value


def _number(fields: Mapping[int, int | bytes], name: str) -> int | None:
    value = fields.get(WIRE[name])
    if isinstance(value, bytes):
        raise Undecodable(f"{name} is not a number")
    return value


def _string(fields: Mapping[int, int | bytes], name: str) -> str:
    try:
        return (_bytes(fields, name) or b"").decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"{name} is not UTF-8") from error


def _exception_text(data: bytes) -> str:
    """Type and message of an Exception; the type is empty where the app hides its errors from the public."""
    fields = decode(data)
    return ": ".join(filter(None, (_string(fields, "Exception.type"), _string(fields, "Exception.message"))))


@dataclass(slots=True)
class _Node:
    """A place on the page: an element, a container of some kind, or a container not yet announced (kind 0)."""

    payload: bytes = b""
    element: bool = False
    kind: int = 0
    identity: bytes = b""
    children: "dict[int, _Node]" = field(default_factory=dict)


def _block(payload: bytes) -> _Node:
    fields = decode(payload)
    kind = next((number for number in fields if number in BLOCK_KINDS), 0)
    identity = _bytes(fields, "Block.id") or b"" if kind == WIRE["Block.dialog"] else b""
    return _Node(payload, kind=kind, identity=identity)


class PageReader:
    """Folds ForwardMsgs into the page they leave behind, the way Streamlit's own frontend does.

    A delta replaces what stood at its path. A container sent again keeps its children if it is of the same kind; a
    new run starts with an empty page, for what it does not write again is cleared away.
    """

    def __init__(self) -> None:
        """Start with an empty page and no script running."""
        self.finished = False
        self._started = False
        self._compile_failed = False
        self._compile_error = ""
        self._not_found = False
        self._root = _Node()

    def take(self, message: bytes) -> None:
        """Apply one ForwardMsg. Raises Undecodable."""
        fields = decode(message)
        if WIRE["ForwardMsg.ref_hash"] in fields:
            raise Undecodable("a reference to a cached message, which this session cannot have")
        if WIRE["ForwardMsg.new_session"] in fields:
            self._start()
        self._not_found = self._not_found or WIRE["ForwardMsg.page_not_found"] in fields
        delta = _bytes(fields, "ForwardMsg.delta")
        if delta is not None:
            self._apply(decode(delta), _path(_bytes(fields, "ForwardMsg.metadata") or b""))
        event = _bytes(fields, "ForwardMsg.session_event")
        if event is not None:
            self._note(decode(event))
        status = _number(fields, "ForwardMsg.script_finished")
        if status is not None:
            self._finish(status)

    def page(self) -> Page:
        """The page as it stands."""
        nodes = list(self._nodes())
        kinds = [(kind, data) for node in nodes if node.element for kind, data in _kinds(node.payload)]
        return Page(
            counts=Counter(kind for kind, _ in kinds),
            exceptions=tuple(_exception_text(data) for kind, data in kinds if kind == "exception" and _is_error(data)),
            errors=tuple(body for kind, data in kinds if kind == "alert" for body in _error_box(data)),
            compile_error=self._compile_error if self._compile_failed else None,
            texts=tuple(node.payload for node in nodes),
            not_found=self._not_found,
        )

    def _start(self) -> None:
        self.finished = False
        self._started = True
        self._compile_failed = False
        self._root = _Node()

    def _finish(self, status: int) -> None:
        if not self._started:
            raise Undecodable("a script finished that was never announced")
        if status in (FINISHED_EARLY_FOR_RERUN, FINISHED_FRAGMENT):
            return
        if status not in (FINISHED, FINISHED_COMPILE_ERROR):
            raise Undecodable(f"script_finished says {status}")
        self.finished = True
        self._compile_failed = self._compile_failed or status == FINISHED_COMPILE_ERROR

    def _note(self, event: Mapping[int, int | bytes]) -> None:
        compile_error = _bytes(event, "SessionEvent.script_compilation_exception")
        if compile_error is not None:
            self._compile_failed = True
            self._compile_error = _exception_text(compile_error)

    def _apply(self, delta: Mapping[int, int | bytes], path: Sequence[int]) -> None:
        element = _bytes(delta, "Delta.new_element")
        block = _bytes(delta, "Delta.add_block")
        if element is not None:
            self._place(_Node(element, element=True), path)
        elif block is not None:
            self._place(_block(block), path)
        # else a transient (a spinner): it stands over what is at its path and replaces nothing

    def _place(self, node: _Node, path: Sequence[int]) -> None:
        if not path:
            raise Undecodable("a delta has no path")
        parent = self._root
        for index in path[:-1]:
            parent = parent.children.setdefault(index, _Node())
            if parent.element:  # a stale container: the frontend does not mount a child through an element
                return
        before = parent.children.get(path[-1])
        if before and not before.element and not node.element and _same_container(before, node):
            node.children = before.children
        parent.children[path[-1]] = node

    def _nodes(self) -> Iterator[_Node]:
        """Every place, in the order of the page; without recursion, for a path may be deep."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(child for _, child in sorted(node.children.items(), reverse=True))


def _same_container(before: _Node, after: _Node) -> bool:
    return before.kind == 0 or (before.kind, before.identity) == (after.kind, after.identity)


def _path(metadata: bytes) -> list[int]:
    packed = _bytes(decode(metadata), "ForwardMsgMetadata.delta_path") or b""
    if len(packed) > MAX_PATH_BYTES:
        raise Undecodable("a delta path is too long")
    path, at = [], 0
    while at < len(packed):
        index, at = _varint(packed, at)
        path.append(index)
    return path


def _kinds(element: bytes) -> Iterator[tuple[str, bytes]]:
    """The kind of an element with its own message; nothing for a kind that cannot be asked for."""
    for number, value in decode(element).items():
        if number in _KIND_OF:
            if isinstance(value, int):
                raise Undecodable(f"Element.{_KIND_OF[number]} is a number")
            yield _KIND_OF[number], value


def _is_error(exception: bytes) -> bool:
    return not _number(decode(exception), "Exception.is_warning")


def _error_box(alert: bytes) -> Iterator[str]:
    fields = decode(alert)
    if _number(fields, "Alert.format") == ALERT_ERROR:
        yield _string(fields, "Alert.body")


# --- the address -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Address:
    """Where a page is. `host` without brackets and in ASCII; `target`: path and query as sent."""

    secure: bool
    host: str
    port: int
    path: str
    query: str

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """What GET asks for."""
        return self.path + (f"?{self.query}" if self.query else "")

    @property
    def shown(self) -> str:
        """The address as it may be printed: without its query."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"


def parse_url(url: str) -> Address:
    """The address in a URL. Raises WrongSetting; its message holds neither query nor credentials."""
    shown = _without_secrets(url)
    try:
        address = _address(url)
    except ValueError as error:
        raise WrongSetting(
            f"the address {shown!r} cannot be used: {error}",
            expected="http://HOST[:PORT][/PATH] or https://..., without a user name",
            to_do="mend --url, or the target's url in settings.toml",
        ) from error
    return address


def _address(url: str) -> Address:
    if re.search(r"[\s\x00-\x1f\x7f\\]", url):
        raise ValueError("it holds white space or a control character")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("it does not begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user name")
    if not parts.hostname:
        raise ValueError("it names no host")
    try:
        host = parts.hostname.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError("its host is not a name") from error
    secure = parts.scheme == "https"
    port = (443 if secure else 80) if parts.port is None else parts.port
    if port == 0:
        raise ValueError("port 0 cannot be reached")
    return Address(
        secure,
        host,
        port,
        quote(parts.path or "/", safe="/%:@!$&'()*+,;=~"),
        quote(parts.query, safe="/%:@!$&'()*+,;=~?"),
    )


# --- the network -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, in seconds, by which everything must be over."""

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The deadline so many seconds from now."""
        return cls(time.monotonic() + seconds)

    def sooner(self, seconds: float) -> "Deadline":
        """The deadline so many seconds from now, or the present one if that comes first."""
        return min(self, self.after(seconds), key=lambda deadline: deadline.at_s)

    def left_s(self) -> float:
        """Seconds left. Raises TimeoutError where there are none."""
        left = self.at_s - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is up")
        return left


class _Trouble(NamedTuple):
    """How a stage's failures are called: too slow, connection lost, answer not understood (None: that is our bug)."""

    slow: Reason
    lost: Reason
    garbled: Reason | None


_TROUBLE: Mapping[Stage, _Trouble] = {
    "dns": _Trouble("timeout", "dns", "dns"),
    "tcp": _Trouble("timeout", "refused", "refused"),
    "tls": _Trouble("timeout", "tls", "tls"),
    "ttfb": _Trouble("timeout", "refused", "http_status"),
    "body": _Trouble("timeout", "body", "body"),
    "ws_upgrade": _Trouble("timeout", "ws_refused", "ws_refused"),
    "script_done": _Trouble("script_timeout", "ws_refused", None),
}


class Stopwatch:
    """Times the stages of one visit and gives their failures a name."""

    def __init__(self) -> None:
        """Start with no phase reached."""
        self._seconds: dict[str, float] = {}

    @property
    def ms(self) -> Mapping[str, int | None]:
        """Milliseconds by phase, over all redirects; None where a phase was not reached."""
        return MappingProxyType(
            {phase: round(self._seconds[phase] * 1000) if phase in self._seconds else None for phase in PHASES}
        )

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Time what is done inside. Raises Stopped for what a socket or an HTTP answer can raise."""
        trouble = _TROUBLE[stage]
        started = time.perf_counter()
        try:
            yield
        except TimeoutError as error:
            raise _down(stage, trouble.slow, "no end within the time given") from error
        except OSError as error:
            raise _down(stage, trouble.lost, error.strerror or str(error)) from error
        except (HTTPException, ValueError) as error:
            if trouble.garbled is None:
                raise
            raise _down(stage, trouble.garbled, f"not an answer of a web server: {error}") from error
        finally:
            phase = PHASE_OF[stage]
            self._seconds[phase] = self._seconds.get(phase, 0.0) + time.perf_counter() - started


def _down(stage: Stage, reason: Reason, detail: str) -> Stopped:
    return Stopped(Finding("down", stage, reason, detail_of(detail)))


class _TimedSocket(io.RawIOBase):
    """A socket as a file, in which every wait is what is left until one deadline: bytes that drip do not extend it."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._sock = sock
        self.deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self.deadline.left_s())
        return self._sock.recv_into(buffer)


class Connection:
    """A connected socket with a buffered reader, both under one deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        """Take over a connected socket."""
        self._sock = sock
        self._file = _TimedSocket(sock, deadline)
        self._reader = io.BufferedReader(self._file)
        self._response: HTTPResponse | None = None

    def until(self, deadline: Deadline) -> None:
        """Wait no longer than this from now on."""
        self._file.deadline = deadline

    def send(self, data: bytes) -> None:
        """Send all of it. Raises OSError."""
        self._sock.settimeout(self._file.deadline.left_s())
        self._sock.sendall(data)

    def read(self, length: int) -> bytes:
        """Exactly so many bytes. Raises ChannelClosed where there are fewer, or OSError."""
        data = self._reader.read(length)
        if len(data) < length:
            raise ChannelClosed("the connection was closed")
        return data

    def ask(self, method_and_target: str, headers: Mapping[str, str]) -> HTTPResponse:
        """Send a request and read the head of its answer. Raises OSError, HTTPException or ValueError."""
        lines = [f"{method_and_target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        response = HTTPResponse(cast("Any", self))
        self._response = response  # kept: with it would go our buffer
        response.begin()
        return response

    def makefile(self, *_: object) -> "io.BufferedReader[_TimedSocket]":
        """What http.client asks a socket for; websocket frames are read from the same buffer later."""
        return self._reader

    def close(self) -> None:
        """Close both; first what was answered, which from Python 3.13 on will not be closed over a closed buffer."""
        if self._response:
            self._response.close()
        self._reader.close()
        self._sock.close()


_SocketAddress = tuple[Any, ...]


def _resolve(host: str, port: int, deadline: Deadline) -> list[_SocketAddress]:
    """Addresses of a host, IPv6 and IPv4. In a thread, since getaddrinfo knows no time limit."""
    answers: queue.SimpleQueue[list[_SocketAddress] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left_s())
    except queue.Empty:
        raise TimeoutError("no answer from the name server") from None
    if isinstance(answer, Exception):
        raise answer
    return answer[:MAX_ADDRESSES]


def _connect(addresses: Sequence[_SocketAddress], deadline: Deadline) -> socket.socket:
    """The first address that takes the connection; each gets its share of the time, so a dead one leaves some."""
    problem = OSError("the host has no address")
    for index, (family, kind, protocol, _, where) in enumerate(addresses):
        share_s = deadline.left_s() / (len(addresses) - index)
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            problem = error
            continue
        try:
            sock.settimeout(share_s)
            sock.connect(where)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


def _secured(sock: socket.socket, host: str, tls: ssl.SSLContext, deadline: Deadline) -> socket.socket:
    try:
        sock.settimeout(deadline.left_s())
        return tls.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


# --- websocket frames (RFC 6455) -------------------------------------------------------------------------------------

OP_CONTINUATION, OP_TEXT, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RESERVED, OPCODE, MASKED, LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
LENGTH_16_BIT, LENGTH_64_BIT = 126, 127
MAX_CONTROL_BYTES = 125
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Channel:
    """An upgraded connection: sends and receives whole binary messages."""

    def __init__(self, connection: Connection) -> None:
        """Take over a connection whose upgrade was accepted."""
        self._connection = connection
        self._received = 0

    def until(self, deadline: Deadline) -> None:
        """Wait no longer than this from now on."""
        self._connection.until(deadline)

    def send(self, payload: bytes, opcode: int = OP_BINARY) -> None:
        """Send one frame of at most 125 bytes, masked as clients must."""
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._connection.send(bytes((FIN | opcode, MASKED | len(payload))) + mask + masked)

    def message(self) -> bytes:
        """The next binary message, put together from its fragments. Raises Undecodable, ChannelClosed or OSError."""
        parts: list[bytes] = []
        while True:
            final, opcode, payload = self._frame()
            if opcode >= OP_CLOSE:
                self._control(opcode, payload)
                continue
            if opcode != (OP_CONTINUATION if parts else OP_BINARY):
                raise Undecodable(f"a websocket frame of kind {opcode} where Streamlit sends binary messages")
            parts.append(payload)
            if final:
                return b"".join(parts)

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._connection.read(2)
        if first & RESERVED or second & MASKED:
            raise Undecodable("a websocket frame uses what was not agreed upon")
        length = self._length(second & LENGTH)
        opcode = first & OPCODE
        if opcode >= OP_CLOSE and (length > MAX_CONTROL_BYTES or not first & FIN):
            raise Undecodable("a websocket control frame is too long")
        self._received += length
        if length > MAX_MESSAGE_BYTES or self._received > MAX_STREAM_BYTES:
            raise Undecodable(f"the page has more than {MAX_MESSAGE_BYTES:,} bytes in one message or is endless")
        return bool(first & FIN), opcode, self._connection.read(length)

    def _length(self, short: int) -> int:
        if short == LENGTH_16_BIT:
            return int.from_bytes(self._connection.read(2))
        if short == LENGTH_64_BIT:
            return int.from_bytes(self._connection.read(8))
        return short

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == OP_CLOSE:
            code = int.from_bytes(payload[:2]) if payload else 1005
            raise ChannelClosed(f"the websocket was closed with code {code}")
        if opcode == OP_PING:
            self.send(payload, OP_PONG)
        elif opcode != OP_PONG:
            raise Undecodable(f"a websocket frame of kind {opcode}")


# --- the visit -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Visit:
    """What every step of one visit needs."""

    watch: Stopwatch
    deadline: Deadline
    tls: ssl.SSLContext | None

    def secured(self, sock: socket.socket, host: str) -> socket.socket:
        return _secured(sock, host, self.tls or _system_tls(), self.deadline)


@cache
def _system_tls() -> ssl.SSLContext:
    """Trusts the system's roots and checks the host's name; reading the roots takes a while, so once."""
    return ssl.create_default_context()


def probe(
    url: str, wanted: Wanted, timeout_s: float = DEFAULT_TIMEOUT_S, *, tls: ssl.SSLContext | None = None
) -> Result:
    """Visit a page once, taking at most `timeout_s` in all, and judge it. Raises WrongSetting for a malformed URL.

    `tls` stands in for the default context (system roots, host name checked).
    """
    address = parse_url(url)
    visit = _Visit(Stopwatch(), Deadline.after(min(timeout_s, TOTAL_LIMIT_S)), tls)
    try:
        finding = judge(_read_page(address, visit), wanted)
    except Stopped as stopped:
        finding = stopped.finding
    except Undecodable as error:
        finding = Finding("unknown", "script_done", "proto", detail_of(str(error)))
    return Result(finding.verdict, finding.stage, finding.reason, finding.detail, visit.watch.ms)


def probe_patiently(
    attempt: Callable[[float], Result], *, attempts: int, timeout_s: float, sleep: Callable[[float], None]
) -> Result:
    """Up to three attempts, 5 s and 20 s apart, until one is up or degraded; no more than 90 s in all.

    `attempt` takes its time limit in seconds. The last result is kept, with the number of attempts.
    """
    deadline = Deadline.after(TOTAL_LIMIT_S)
    result = attempt(timeout_s)
    for number, wait_s in enumerate(WAITS_S[1:attempts], start=2):
        left_s = deadline.at_s - time.monotonic() - wait_s
        if result.verdict in ("up", "degraded") or left_s <= 0:
            break
        sleep(wait_s)
        result = replace(attempt(min(timeout_s, left_s)), attempts=number)
    return result


def _read_page(address: Address, visit: _Visit) -> Page:
    address, peers = _load(address, visit)
    with visit.watch.stage("ws_upgrade"):
        channel, connection, page_name = _upgrade(address, peers, visit)
    with closing(connection):
        return _run_script(channel, visit, rerun(address.query, page_name))


def _load(address: Address, visit: _Visit) -> tuple[Address, list[_SocketAddress]]:
    """GET the page, through redirects; where it was at last, and the addresses of that host."""
    for _ in range(MAX_REDIRECTS + 1):
        peers, location = _get(address, visit)
        if location is None:
            return address, peers
        address = _redirected(address, location)
    raise _down("ttfb", "http_status", f"more than {MAX_REDIRECTS} redirects")


def _get(address: Address, visit: _Visit) -> tuple[list[_SocketAddress], str | None]:
    watch, deadline = visit.watch, visit.deadline
    if address.secure:
        _system_tls()  # not within a stage: it is no part of what the server takes
    with watch.stage("dns"):
        peers = _resolve(address.host, address.port, deadline)
    with watch.stage("tcp"):
        sock = _connect(peers, deadline)
    with watch.stage("tls"):
        sock = visit.secured(sock, address.host) if address.secure else sock
    with closing(Connection(sock, deadline)) as connection:
        with watch.stage("ttfb"):
            response = connection.ask(
                f"GET {address.target}", _headers(address, Accept="text/html", Connection="close")
            )
        location = response.getheader("Location")
        if location and response.status in REDIRECTS:
            return peers, location
        if response.status != HTTPStatus.OK:
            raise _down("ttfb", "http_status", f"HTTP {response.status}")
        with watch.stage("body"):
            _swallow(response)
    return peers, None


def _swallow(response: HTTPResponse) -> None:
    length = 0
    while data := response.read(64 * 1024):
        length += len(data)
        if length > MAX_BODY_BYTES:
            raise ValueError(f"more than {MAX_BODY_BYTES:,} bytes")
    if response.length:
        raise ChannelClosed("the connection was closed before the page was whole")


def _redirected(address: Address, location: str) -> Address:
    try:
        return _address(urljoin(address.shown, location))
    except ValueError as error:
        raise _down("ttfb", "http_status", f"a redirect that cannot be followed: {error}") from error


def _headers(address: Address, **more: str) -> dict[str, str]:
    return {"Host": address.authority, "User-Agent": USER_AGENT, **more}


def _upgrade(address: Address, peers: Sequence[_SocketAddress], visit: _Visit) -> tuple[Channel, Connection, str]:
    """Open the page's websocket as a browser does; also gives the name of the page in the app.

    Which part of a path is the app's own address and which the page's name only the server knows: as a browser, ask
    from the longest on. Where none is right, the refusal of the longest is told.
    """
    refusal: Exception | None = None
    for base, page_name in _readings(address.path):
        try:
            return *_upgraded(f"{base}{STREAM}", address, peers, visit), page_name
        except _Refused as error:
            refusal = refusal or error.told
    raise refusal or _down("ws_upgrade", "ws_refused", "no answer")


def _readings(path: str) -> list[tuple[str, str]]:
    """What a path may mean: (address of the app, name of the page), the longest address first."""
    parts = [part for part in path.split("/") if part]
    shortest = max(0, len(parts) - DEEPEST_PAGE)
    return [
        ("".join(f"/{part}" for part in parts[:cut]), unquote("/".join(parts[cut:])))
        for cut in range(len(parts), shortest - 1, -1)
    ]


def _upgraded(
    path: str, address: Address, peers: Sequence[_SocketAddress], visit: _Visit
) -> tuple[Channel, Connection]:
    """A websocket, on a connection of its own. Without Origin, which is allowed."""
    sock = _connect(peers, visit.deadline)
    if address.secure:
        sock = visit.secured(sock, address.host)
    connection = Connection(sock, visit.deadline)
    key = base64.b64encode(secrets.token_bytes(16))
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode(),
    }
    try:
        response = connection.ask(f"GET {path}", _headers(address, **headers))
        _check_upgraded(response, key)
    except BaseException:
        connection.close()
        raise
    return Channel(connection), connection


class _Refused(Exception):
    """An HTTP answer where an upgrade was asked for: perhaps this is not the app's address."""

    def __init__(self, told: Exception) -> None:
        """`told`: what to say if no other address is the app's either."""
        super().__init__(str(told))
        self.told = told


def _check_upgraded(response: HTTPResponse, key: bytes) -> None:
    if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
        raise _Refused(_down("ws_upgrade", "ws_refused", f"HTTP {response.status}"))
    digest = hashlib.sha1(key + ACCEPT_GUID, usedforsecurity=False).digest()
    if response.getheader("Sec-WebSocket-Accept", "").strip() != base64.b64encode(digest).decode():
        raise _down("ws_upgrade", "ws_refused", "the answer to the upgrade belongs to another request")


def rerun(query: str, page_name: str) -> bytes:
    """The message that has the script run for a page with the query of its address (percent-encoded, no `?`)."""
    state = b"".join(
        _field(WIRE[name], text.encode())
        for name, text in (("ClientState.query_string", query), ("ClientState.page_name", page_name))
        if text
    )
    return _field(WIRE["BackMsg.rerun_script"], state)


def _field(number: int, data: bytes) -> bytes:
    return _as_varint(number << 3 | WIRE_BYTES) + _as_varint(len(data)) + data


def _as_varint(number: int) -> bytes:
    sevens = []
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        sevens.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*sevens, number])


def _run_script(channel: Channel, visit: _Visit, message: bytes) -> Page:
    """Have the script run, and read until it is finished and nothing more has come for a moment."""
    reader = PageReader()
    with visit.watch.stage("script_done"):
        channel.send(message)
    while not reader.finished:
        channel.until(visit.deadline)
        with visit.watch.stage("script_done"):
            while not reader.finished:
                reader.take(channel.message())
        _settle(channel, reader, visit.deadline)
    return reader.page()


def _settle(channel: Channel, reader: PageReader, deadline: Deadline) -> None:
    """Take what follows script_finished: the words of a compile error, or a run that starts over."""
    channel.until(deadline.sooner(SETTLE_S))
    try:
        while reader.finished:
            reader.take(channel.message())
    except OSError:  # silence, or the server hung up: the page is whole all the same
        return


# --- the command line ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A page to be probed, what is wanted of it, and how a sample of it is labelled."""

    name: str
    url: str
    wanted: Wanted
    by: str = BY_HAND


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one message and exit status 4: 2 means degraded here."""

    def error(self, message: str) -> NoReturn:
        """Print and exit."""
        self.exit(
            EXIT_SETTINGS_WRONG,
            f"error: {message}\n  expected: {self.format_usage()[7:].strip()}\n  to do:    see --help\n",
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `probe`."""
    parser.add_argument("--url", help="the page; by default the first target of settings.toml")
    parser.add_argument(
        "--min", action="append", default=[], type=at_least, metavar="KIND=NUMBER", help="elements wanted: metric=6"
    )
    parser.add_argument("--text", action="append", default=[], help='words wanted: "Data through"')
    parser.add_argument(
        "--timeout", type=_seconds, default=DEFAULT_TIMEOUT_S, metavar="SECONDS", help="for one attempt (30)"
    )
    parser.add_argument("--attempts", type=int, choices=range(1, len(WAITS_S) + 1), default=1, help="5 and 20 s apart")
    parser.add_argument("--json", action="store_true", help="print the sample as JSON")


def at_least(text: str) -> tuple[str, int]:
    """('metric', 6) of 'metric=6'. Raises WrongSetting."""
    kind, _, number = text.partition("=")
    if kind not in ELEMENTS or not re.fullmatch(r"[1-9][0-9]{0,5}", number):
        raise WrongSetting(
            f"--min {text!r} is not understood",
            expected=f"KIND=NUMBER, the number 1 or more, the kind one of {', '.join(ELEMENTS)}",
            to_do="write it like --min metric=6",
        )
    return kind, int(number)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= TOTAL_LIMIT_S:
        raise WrongSetting(
            f"--timeout {text!r} is not understood",
            expected=f"seconds: more than 0, at most {TOTAL_LIMIT_S:.0f}",
            to_do="write it like --timeout 30",
        )
    return seconds


def run(arguments: argparse.Namespace, first_target: Callable[[], Target], *, now: datetime) -> int:
    """Probe, print, and return the exit status. `first_target` is asked only where no URL is given.

    `now` labels the sample. Raises WrongSetting, and what `first_target` raises.
    """
    target = _by_hand(arguments.url) if arguments.url is not None else first_target()
    if arguments.min or arguments.text:
        wanted = Wanted(dict(arguments.min) or target.wanted.min, tuple(arguments.text) or target.wanted.text)
        target = replace(target, wanted=wanted)
    result = probe_patiently(
        lambda timeout_s: probe(target.url, target.wanted, timeout_s),
        attempts=arguments.attempts,
        timeout_s=arguments.timeout,
        sleep=time.sleep,
    )
    sample = sample_of(result, at=now, target=target.name, by=target.by, run=None)
    text = json.dumps(sample, ensure_ascii=False) if arguments.json else described(result, target.url)
    sys.stdout.write(text + "\n")
    return EXIT_CODES[result.verdict]


def _by_hand(url: str) -> Target:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", parse_url(url).authority).strip("-.")[:40]
    return Target(name, url, Wanted())


def sample_of(result: Result, *, at: datetime, target: str, by: str, run: str | None) -> dict[str, object]:
    """The sample of a result, as it is written in JSON. `at` in UTC, to the second."""
    sample: dict[str, object] = {
        "v": 1,
        "t": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "target": target,
        "verdict": result.verdict,
        "stage": result.stage,
        "reason": result.reason,
        "attempts": result.attempts,
        "ms": dict(result.ms),
        "by": by,
        "run": run,
    }
    return sample if result.detail is None else {**sample, "detail": result.detail}


def described(result: Result, url: str) -> str:
    """A result in two lines for a person."""
    where = f" at {result.stage}" if result.stage else ""
    why = ": ".join(filter(None, (result.reason, result.detail)))
    recovered = f" (attempt {result.attempts})" if result.attempts > 1 else ""
    spent = ", ".join(f"{phase} {'-' if ms is None else ms}" for phase, ms in result.ms.items())
    return f"{result.verdict}{where}{recovered} {parse_url(url).shown}{f'  {why}' if why else ''}\n  ms: {spent}"


def _no_settings() -> Target:
    raise WrongSetting(
        "no --url is given", expected="the page to be probed", to_do="write it like --url http://HOST:8501"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The file on its own: `python probe.py --url URL`. Returns the exit status."""
    parser = Parser(
        prog="probe",
        description="Read a Streamlit page as a person would: 0 up, 1 down, 2 degraded, 3 unknown, 4 arguments wrong.",
    )
    add_arguments(parser)
    now = datetime.now(UTC)  # noqa: TID251 - a door
    try:
        return run(parser.parse_args(argv), _no_settings, now=now)
    except WrongSetting as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_SETTINGS_WRONG


if __name__ == "__main__":
    sys.exit(main())
