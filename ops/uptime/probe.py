"""Open a Streamlit page as a browser does and judge what a person would see.

Streamlit answers 200 on `/` and `ok` on `/_stcore/health` while its script raises. So this opens the websocket, has
the script run and reads the page that comes. Standard library only, and nothing of ours: the file runs alone.

Three beats: `probe` does the I/O, `PageReader` folds what arrives into a `Page`, `judge` decides and is pure.

The server is taken for hostile: every wait ends at one deadline, every size, count and depth has a limit.
"""

import argparse
import base64
import errno
import hashlib
import io
import json
import os
import queue
import re
import secrets
import selectors
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from itertools import zip_longest
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

WORST_FIRST: tuple[Verdict, ...] = ("down", "unknown", "degraded", "up")
EXIT_CODES: Mapping[Verdict, int] = {"up": 0, "down": 1, "degraded": 2, "unknown": 3}
EXIT_SETTINGS_WRONG = 4

USER_AGENT = "kpi-ops-probe/1"
BY_HAND = "by-hand"
STREAM = "/_stcore/stream"

# Which pages of an app are looked at: the one of the address, all that its navigation lists, or some more by name.
Pages = Literal["first", "all"] | tuple[str, ...]

DEFAULT_TIMEOUT_S = 30.0
TOTAL_LIMIT_S = 90.0
WAITS_S = (0.0, 5.0, 20.0)  # before the first, second and third attempt
SHORTEST_S = 1.0  # an attempt with less time would only say that there was none
SETTLE_S = 0.5  # a compile error arrives after script_finished
HEAD_START_S = 0.25  # of an address of a host before the next one is tried beside it (RFC 8305)
CERTIFICATE_WARNING_DAYS = 21
CERTIFICATE_SHOWN_DAYS = 30  # in samples: from here on nobody needs the number
DAY_S = 24 * 60 * 60
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_ADDRESSES = 8
MAX_INTERIM_ANSWERS = 10
CHUNK_BYTES = 64 * 1024
MAX_BODY_BYTES = 8 * 1024 * 1024
TOO_LONG = f"more than {MAX_BODY_BYTES:,} bytes"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_STREAM_BYTES = 2 * MAX_MESSAGE_BYTES
MAX_KEPT_BYTES = MAX_MESSAGE_BYTES
MAX_FIELDS = 10_000
MAX_PLACES = 100_000
MAX_PATH_BYTES = 1_000
MAX_DETAIL_BYTES = 120
MAX_WORDS = 4_000  # characters of a text that a detail is made of

# --- Streamlit's wire: every field number used here, tested against Streamlit 1.36 and the one that is pinned ---------

WIRE: Mapping[str, int] = {
    "BackMsg.rerun_script": 11,
    "ClientState.query_string": 1,
    "ClientState.page_script_hash": 3,
    "ClientState.page_name": 4,
    "ForwardMsg.hash": 1,
    "ForwardMsg.metadata": 2,
    "ForwardMsg.new_session": 4,
    "ForwardMsg.delta": 5,
    "ForwardMsg.script_finished": 6,
    "ForwardMsg.session_event": 10,
    "ForwardMsg.ref_hash": 11,
    "ForwardMsg.page_not_found": 15,
    "ForwardMsg.navigation": 23,
    "ForwardMsgMetadata.cacheable": 1,
    "ForwardMsgMetadata.delta_path": 2,
    "NewSession.app_pages": 8,
    "NewSession.page_script_hash": 9,
    "Navigation.app_pages": 2,
    "Navigation.page_script_hash": 4,
    "AppPage.page_script_hash": 1,
    "AppPage.page_name": 2,
    "AppPage.url_pathname": 6,
    "AppPage.is_hidden": 7,
    "AppPage.external_url": 8,
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


class TimeIsUp(TimeoutError):
    """A deadline has passed; the message says what was waited for."""


# --- values ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a whole page has: at least so many elements of a kind (names of `ELEMENTS`), and these words.

    `error_box`: what an error box says of a page; "up" where the app shows some as its normal content.
    """

    min: Mapping[str, int] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    error_box: Literal["degraded", "up"] = "degraded"


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that the app knows. `name`: as in its address, "" for the first one where the app gives it none.

    `listed`: it stands in the navigation; `shown`: it is the page that was read.
    """

    page_hash: bytes
    name: str
    title: str
    listed: bool = True
    shown: bool = False

    @property
    def label(self) -> str:
        """What it is called in a finding."""
        return self.name or self.title or "first page"


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
    """What a probe found. `ms`: milliseconds by phase, None where it was not reached; `attempts`: how many it took.

    `certificate_days`: whole days for which the server's certificate is valid, where there is one and it was asked for.
    """

    verdict: Verdict
    stage: Stage | None
    reason: Reason | None
    detail: str | None
    ms: Mapping[str, int | None]
    attempts: int = 1
    certificate_days: int | None = None


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
    if page.errors and wanted.error_box != "up":
        # the closed list of reasons has none for an error box: the detail says it
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
    return [
        f"no text {words!r}"
        for words in wanted.text
        if not any(words.encode(errors="surrogateescape") in text for text in page.texts)
    ]


def worst(findings: Iterable[Finding]) -> Finding:
    """The one that decides about all of them: the first of the worst kind; up where there is none."""
    return min(findings, key=lambda finding: WORST_FIRST.index(finding.verdict), default=Finding("up"))


def further(entries: Sequence[Entry], pages: Pages) -> list[Entry]:
    """The pages to be read after the one of the address: once each, in the order of the navigation or as named.

    A name that the app does not list is asked for all the same: it may be that of a hidden page.
    """
    if pages == "first":
        return []
    if pages == "all":
        return [entry for entry in entries if entry.listed and not entry.shown]
    named = dict.fromkeys(_named(entries, name.strip("/")) for name in pages)
    return [entry for entry in named if not entry.shown]


def _named(entries: Sequence[Entry], name: str) -> Entry:
    by_name = (entry for entry in entries if entry.name == name)
    by_title = (entry for entry in entries if entry.title == name)
    return next(by_name, None) or next(by_title, None) or Entry(b"", name, "")


def _of_page(entry: Entry, finding: Finding) -> Finding:
    """A finding about a page that is not the first one: its detail says which."""
    if finding.verdict == "up":
        return finding
    return replace(finding, detail=detail_of(": ".join(filter(None, (entry.label, finding.detail)))))


def detail_of(text: str) -> str | None:
    """A text fit for a sample: one line, no query strings or credentials of URLs, at most 120 bytes; None if empty."""
    printable = "".join(character if character.isprintable() else " " for character in text[:MAX_WORDS])
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
    return dict(_fields(data))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    for _ in range(MAX_FIELDS):
        if at == len(data):
            return
        key, at = _varint(data, at)
        if key >> 3 == 0:
            raise Undecodable("a protobuf field has number 0")
        value, at = _value(data, at, key & 7)
        yield key >> 3, value
    if at != len(data):
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
    """A place on the page: an element, a container of some kind, or a container not yet announced (kind 0).

    `kinds`, `exceptions`, `errors`: what an element is, and says if it is an exception or an error box.
    """

    payload: bytes = b""
    element: bool = False
    kind: int = 0
    identity: bytes = b""
    kinds: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    children: "dict[int, _Node]" = field(default_factory=dict)


def _block(payload: bytes) -> _Node:
    fields = decode(payload)
    kind = next((number for number in fields if number in BLOCK_KINDS), 0)
    identity = _bytes(fields, "Block.id") or b"" if kind == WIRE["Block.dialog"] else b""
    return _Node(payload, kind=kind, identity=identity)


def _element(payload: bytes) -> _Node:
    kinds = list(_kinds(payload))
    return _Node(
        payload,
        element=True,
        kinds=tuple(kind for kind, _ in kinds),
        exceptions=tuple(_exception_text(data) for kind, data in kinds if kind == "exception" and _is_error(data)),
        errors=tuple(body for kind, data in kinds if kind == "alert" for body in _error_box(data)),
    )


class PageReader:
    """Folds ForwardMsgs into the page they leave behind, the way Streamlit's own frontend does.

    A delta replaces what stood at its path. A container sent again keeps its children if it is of the same kind; a
    new run starts with an empty page, for what it does not write again is cleared away. What is decoded is decoded on
    arrival: the time for it is the sender's.
    """

    def __init__(self) -> None:
        """Start with an empty page and no script running."""
        self._kept = _Kept()
        self._navigation: bytes | None = None
        self.expect()

    def expect(self) -> None:
        """Forget the page: another one was asked for. The navigation, and what may be referred to, stay."""
        self.finished = False
        self.runs = 0
        self._session = b""
        self._not_found = False
        self._compile_failed = False
        self._compile_error = ""
        self._clear()

    def take(self, message: bytes) -> None:
        """Apply one ForwardMsg. Raises Undecodable."""
        fields = self._kept.whole(decode(message), message)
        session = _bytes(fields, "ForwardMsg.new_session")
        if session is not None:
            self._start(session)
        self._not_found = self._not_found or WIRE["ForwardMsg.page_not_found"] in fields
        navigation = _bytes(fields, "ForwardMsg.navigation")
        self._navigation = self._navigation if navigation is None else navigation
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
        return Page(
            counts=Counter(kind for node in nodes for kind in node.kinds),
            exceptions=tuple(text for node in nodes for text in node.exceptions),
            errors=tuple(text for node in nodes for text in node.errors),
            compile_error=self._compile_error if self._compile_failed else None,
            texts=tuple(node.payload for node in nodes),
            not_found=self._not_found,
        )

    def entries(self) -> list[Entry]:
        """The pages that the app knows. Raises Undecodable.

        Of a pages directory, older releases tell with every new run and not by a navigation.
        """
        if self._navigation is not None:
            return _entries(self._navigation, "Navigation", "AppPage.url_pathname")
        return _entries(self._session, "NewSession", "AppPage.page_name")

    def _start(self, session: bytes) -> None:
        self.finished = False
        self.runs += 1
        self._session = session
        self._compile_failed = False
        self._clear()

    def _clear(self) -> None:
        self._root = _Node()
        self._places = 0

    def _finish(self, status: int) -> None:
        if not self.runs:
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
            self._place(_element(element), path)
        elif block is not None:
            self._place(_block(block), path)
        # else a transient (a spinner): it stands over what is at its path and replaces nothing

    def _place(self, node: _Node, path: Sequence[int]) -> None:
        if not path:
            raise Undecodable("a delta has no path")
        parent = self._root
        for index in path[:-1]:
            if index not in parent.children:
                self._put(parent, index, _Node())
            parent = parent.children[index]
            if parent.element:  # a stale container: the frontend does not mount a child through an element
                return
        before = parent.children.get(path[-1])
        if before and not before.element and not node.element and _same_container(before, node):
            node.children = before.children
        self._put(parent, path[-1], node)

    def _put(self, parent: _Node, index: int, node: _Node) -> None:
        self._places += index not in parent.children
        if self._places > MAX_PLACES:
            raise Undecodable(f"a page has more than {MAX_PLACES:,} places")
        parent.children[index] = node

    def _nodes(self) -> Iterator[_Node]:
        """Every place, in the order of the page; without recursion, for a path may be deep."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(child for _, child in sorted(node.children.items(), reverse=True))


class _Kept:
    """Large messages of this session, which the server may refer to in place of sending them again."""

    def __init__(self) -> None:
        self._messages: dict[bytes, bytes] = {}
        self._bytes = 0

    def whole(self, fields: dict[int, int | bytes], message: bytes) -> dict[int, int | bytes]:
        """A message with what it refers to in its place. Raises Undecodable where that was never sent."""
        reference = _bytes(fields, "ForwardMsg.ref_hash")
        if reference is None:
            self._keep(fields, message)
            return fields
        kept = self._messages.get(reference)
        if kept is None:
            raise Undecodable("a reference to a cached message, which this session cannot have")
        metadata = WIRE["ForwardMsg.metadata"]  # where it stands on the page is told anew
        return decode(kept) | {metadata: _bytes(fields, "ForwardMsg.metadata") or b""}

    def _keep(self, fields: Mapping[int, int | bytes], message: bytes) -> None:
        name = _bytes(fields, "ForwardMsg.hash")
        metadata = decode(_bytes(fields, "ForwardMsg.metadata") or b"")
        fits = self._bytes + len(message) <= MAX_KEPT_BYTES
        if name and fits and name not in self._messages and _number(metadata, "ForwardMsgMetadata.cacheable"):
            self._messages[name] = message
            self._bytes += len(message)


def _entries(data: bytes, message: str, name: str) -> list[Entry]:
    """The pages in a Navigation or NewSession."""
    shown = _bytes(decode(data), f"{message}.page_script_hash")
    pages = [value for number, value in _fields(data) if number == WIRE[f"{message}.app_pages"]]
    entries = [_entry(decode(page), name, shown) for page in pages if isinstance(page, bytes)]
    return [entry for entry in entries if entry is not None]


def _entry(page: Mapping[int, int | bytes], name: str, shown: bytes | None) -> Entry | None:
    """A page of the app; None for a link to elsewhere."""
    if WIRE["AppPage.external_url"] in page:
        return None
    page_hash = _bytes(page, "AppPage.page_script_hash") or b""
    hidden = bool(_number(page, "AppPage.is_hidden"))
    title = _string(page, "AppPage.page_name")
    return Entry(page_hash, _string(page, name), title, listed=not hidden, shown=page_hash == shown)


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


NO_END = "no end within the time given"


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
            raise TimeIsUp(NO_END)
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
            raise down(stage, trouble.slow, str(error) if isinstance(error, TimeIsUp) else NO_END) from error
        except OSError as error:
            raise down(stage, trouble.lost, _words_of(error)) from error
        except (HTTPException, ValueError) as error:
            if trouble.garbled is None:
                raise
            raise down(stage, trouble.garbled, f"not an answer of a web server: {error}") from error
        finally:
            phase = PHASE_OF[stage]
            self._seconds[phase] = self._seconds.get(phase, 0.0) + time.perf_counter() - started


def down(stage: Stage, reason: Reason, detail: str) -> Stopped:
    """The end of a visit to something that does not work."""
    return Stopped(Finding("down", stage, reason, detail_of(detail)))


def _words_of(error: OSError) -> str:
    """What went wrong; of a certificate in words, not in OpenSSL's numbers."""
    return getattr(error, "verify_message", "") or error.strerror or str(error)


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


class _Reader(io.BufferedReader):
    """A buffered reader that never reads all there is: http.client would, for a chunk of less than no bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise ValueError("a part of it has less than no bytes")
        return super().read(size)


class Connection:
    """A connected socket with a buffered reader, both under one deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        """Take over a connected socket."""
        self._sock = sock
        self._file = _TimedSocket(sock, deadline)
        self._reader = _Reader(self._file)
        self._response: HTTPResponse | None = None

    def until(self, deadline: Deadline) -> None:
        """Wait no longer than this from now on."""
        self._file.deadline = deadline

    def send(self, data: bytes) -> None:
        """Send all of it. Raises OSError."""
        rest = memoryview(data)
        while rest:  # sendall would give each TLS record the whole time
            self._sock.settimeout(self._file.deadline.left_s())
            rest = rest[self._sock.send(rest) :]

    def some(self) -> bytes:
        """What has come, at least a byte. Raises ChannelClosed where nothing comes any more, or OSError."""
        data = self._reader.read1(CHUNK_BYTES)
        if not data:
            raise ChannelClosed("the connection was closed")
        return data

    def ask(self, method_and_target: str, headers: Mapping[str, str]) -> HTTPResponse:
        """Send a request and read the head of its answer. Raises OSError, HTTPException or ValueError."""
        lines = [f"{method_and_target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        for _ in range(MAX_INTERIM_ANSWERS):
            response = HTTPResponse(cast("Any", self))
            self._response = response  # kept: with it would go our buffer
            response.begin()
            if not _is_interim(response.status):
                return response
            response.fp = cast("Any", None)  # it lets go of our buffer, from which the next one is read
        raise ValueError("it announces an answer again and again")

    def makefile(self, *_: object) -> io.BufferedReader:
        """What http.client asks a socket for; websocket frames are read from the same buffer later."""
        return self._reader

    def close(self) -> None:
        """Close both; first what was answered, which from Python 3.13 on will not be closed over a closed buffer."""
        if self._response:
            self._response.close()
        self._reader.close()
        self._sock.close()


def _is_interim(status: int) -> bool:
    """Whether the answer proper is still to come, as after 103 Early Hints."""
    return status < HTTPStatus.OK and status != HTTPStatus.SWITCHING_PROTOCOLS


SocketAddress = tuple[Any, ...]
LookUp = Callable[..., Sequence[SocketAddress]]
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


def resolve(host: str, port: int, deadline: Deadline, look_up: LookUp = socket.getaddrinfo) -> list[SocketAddress]:
    """Addresses of a host, of IPv6 and IPv4 in turn. In a thread, since getaddrinfo knows no time limit."""
    answers: queue.SimpleQueue[list[SocketAddress] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(look_up(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left_s())
    except queue.Empty:
        raise TimeIsUp("no answer from the name server") from None
    if isinstance(answer, Exception):
        raise answer
    return _in_turn(answer)[:MAX_ADDRESSES]


def _in_turn(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """The system's order, but no family waits until the other one is used up."""
    preferred = addresses[0][0] if addresses else None
    first = [address for address in addresses if address[0] == preferred]
    second = [address for address in addresses if address[0] != preferred]
    pairs = zip_longest(first, second)
    return [address for pair in pairs for address in pair if address is not None]


def connect(addresses: Sequence[SocketAddress], deadline: Deadline) -> tuple[socket.socket, list[SocketAddress]]:
    """A connection to the first address that takes it, and the addresses with that one in front.

    Each has a head start before the next one is tried beside it: a dead one costs a moment, not the time limit.
    Raises OSError, the last one met.
    """
    rest = list(addresses)
    with closing(_Race()) as race:
        while rest or race.running:
            if rest:
                race.enter(rest.pop(0))
            won = race.winner((deadline.sooner(HEAD_START_S) if rest else deadline).left_s())
            if won:
                sock, first = won
                return sock, [first, *(address for address in addresses if address != first)]
        raise race.problem


class _Race:
    """Connections under way to several addresses of a host."""

    def __init__(self) -> None:
        self._waiting = selectors.DefaultSelector()
        self.problem = OSError("the host has no address")

    @property
    def running(self) -> bool:
        return bool(self._waiting.get_map())

    def enter(self, address: SocketAddress) -> None:
        """Begin to connect, and wait for nothing."""
        family, kind, protocol, _, where = address
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # an address family that this machine does not know
            self.problem = error
            return
        sock.settimeout(0)
        code = sock.connect_ex(where)
        if code in _UNDER_WAY:
            self._waiting.register(sock, selectors.EVENT_WRITE, address)
        else:
            self._lost(sock, code)

    def winner(self, wait_s: float) -> tuple[socket.socket, SocketAddress] | None:
        """The first one that is connected, None where there is none yet."""
        for key, _ in self._waiting.select(wait_s) if self.running else ():
            sock = cast("socket.socket", key.fileobj)
            self._waiting.unregister(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                return sock, key.data
            self._lost(sock, code)
        return None

    def close(self) -> None:
        """Hang up on those that have not won."""
        for key in list(self._waiting.get_map().values()):
            cast("socket.socket", key.fileobj).close()
        self._waiting.close()

    def _lost(self, sock: socket.socket, code: int) -> None:
        sock.close()
        self.problem = OSError(code, os.strerror(code))


def secured(sock: socket.socket, host: str, tls: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    """TLS over a connection, which is closed where that fails. Raises OSError."""
    try:
        sock.settimeout(deadline.left_s())
        return tls.wrap_socket(sock, server_hostname=host.rstrip("."))
    except BaseException:
        sock.close()
        raise


# --- websocket frames (RFC 6455) -------------------------------------------------------------------------------------

OP_CONTINUATION, OP_TEXT, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RESERVED, OPCODE, MASKED, LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
LENGTH_16_BIT, LENGTH_64_BIT = 126, 127
EXTENDED_BYTES: Mapping[int, int] = {LENGTH_16_BIT: 2, LENGTH_64_BIT: 8}
MAX_CONTROL_BYTES = 125
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Channel:
    """An upgraded connection: sends and receives whole binary messages. Running out of time loses nothing of them."""

    def __init__(self, connection: Connection) -> None:
        """Take over a connection whose upgrade was accepted."""
        self._connection = connection
        self._buffer = bytearray()  # what has come and is no whole frame yet
        self._fragments: bytearray | None = None  # of a message that is not whole yet
        self._left_bytes = MAX_STREAM_BYTES

    def until(self, deadline: Deadline) -> None:
        """Wait no longer than this from now on."""
        self._connection.until(deadline)

    def expect_page(self, deadline: Deadline) -> None:
        """Be ready for all that a page may have, until this moment."""
        self._left_bytes = MAX_STREAM_BYTES
        self.until(deadline)

    def send(self, payload: bytes, opcode: int = OP_BINARY) -> None:
        """Send one frame, masked as clients must."""
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._connection.send(bytes((FIN | opcode,)) + _masked_length(len(payload)) + mask + masked)

    def message(self) -> bytes:
        """The next binary message, put together from its fragments. Raises Undecodable, ChannelClosed or OSError."""
        while True:
            final, opcode, payload = self._frame()
            if opcode >= OP_CLOSE:
                self._control(opcode, payload)
                continue
            if opcode != (OP_BINARY if self._fragments is None else OP_CONTINUATION):
                raise Undecodable(f"a websocket frame of kind {opcode} where Streamlit sends binary messages")
            if self._fragments is None:
                self._fragments = payload
            else:
                self._fragments += payload
            if final:
                message, self._fragments = bytes(self._fragments), None
                return message

    def _frame(self) -> tuple[bool, int, bytearray]:
        self._have(2)
        first, second = self._buffer[:2]
        if first & RESERVED or second & MASKED:
            raise Undecodable("a websocket frame uses what was not agreed upon")
        opcode = first & OPCODE
        head, length = self._head(second & LENGTH)
        if opcode >= OP_CLOSE and (length > MAX_CONTROL_BYTES or not first & FIN):
            raise Undecodable("a websocket control frame is too long")
        if length > MAX_MESSAGE_BYTES or head + length > self._left_bytes:
            raise Undecodable(f"the page has more than {MAX_MESSAGE_BYTES:,} bytes in one message or is endless")
        self._have(head + length)
        payload = self._buffer[head : head + length]
        del self._buffer[: head + length]
        self._left_bytes -= head + length
        return bool(first & FIN), opcode, payload

    def _head(self, short: int) -> tuple[int, int]:
        """How many bytes the head of the frame has, and how many follow it."""
        extended = EXTENDED_BYTES.get(short, 0)
        self._have(2 + extended)
        return 2 + extended, int.from_bytes(self._buffer[2 : 2 + extended]) if extended else short

    def _have(self, length: int) -> None:
        """Wait until so many bytes are there; they stay until the frame is whole."""
        while len(self._buffer) < length:
            self._buffer += self._connection.some()

    def _control(self, opcode: int, payload: bytearray) -> None:
        if opcode == OP_CLOSE:
            code = int.from_bytes(payload[:2]) if payload else 1005
            raise ChannelClosed(f"the websocket was closed with code {code}")
        if opcode == OP_PING:
            self.send(bytes(payload), OP_PONG)
        elif opcode != OP_PONG:
            raise Undecodable(f"a websocket frame of kind {opcode}")


def _masked_length(length: int) -> bytes:
    if length < LENGTH_16_BIT:
        return bytes((MASKED | length,))
    short = LENGTH_16_BIT if length < 1 << 16 else LENGTH_64_BIT
    return bytes((MASKED | short,)) + length.to_bytes(EXTENDED_BYTES[short])


# --- the visit -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Visit:
    """What every step of one visit needs.

    `key`: what the page's own host is shown so that it lets the probe in without sign-in, "" for nothing.
    `limit_s`: how long it may take in all; `tls`: stands in for the default context (system roots, host name checked);
    `look_up`: asks the name server; `certificates_end_s`: when those that were shown end, in seconds since 1970.
    """

    watch: Stopwatch
    deadline: Deadline
    limit_s: float
    tls: ssl.SSLContext | None = None
    look_up: LookUp = socket.getaddrinfo
    key: str = field(default="", repr=False)
    certificates_end_s: list[float] = field(default_factory=list)

    @classmethod
    def begin(
        cls,
        timeout_s: float,
        *,
        tls: ssl.SSLContext | None = None,
        look_up: LookUp = socket.getaddrinfo,
        key: str = "",
    ) -> "Visit":
        """A visit that starts now and takes `timeout_s`, or 90 s if that is less."""
        limit_s = min(timeout_s, TOTAL_LIMIT_S)
        return cls(Stopwatch(), Deadline.after(limit_s), limit_s, tls, look_up, key)

    def reach(self, address: Address) -> tuple[socket.socket, list[SocketAddress]]:
        """A connection to a host, timed, and its addresses with the one that answered in front. Raises Stopped."""
        if address.secure:
            self.context()  # not within a stage: it is no part of what the server takes
        with self.watch.stage("dns"):
            peers = resolve(address.host, address.port, self.deadline, self.look_up)
        with self.watch.stage("tcp"):
            sock, peers = connect(peers, self.deadline)
        with self.watch.stage("tls"):
            return self.secured(sock, address) if address.secure else sock, peers

    def secured(self, sock: socket.socket, address: Address) -> ssl.SSLSocket:
        """TLS over a connection. Raises OSError."""
        safe = secured(sock, address.host, self.context(), self.deadline)
        end = (safe.getpeercert() or {}).get("notAfter")
        if isinstance(end, str):
            self.certificates_end_s.append(ssl.cert_time_to_seconds(end))
        return safe

    def context(self) -> ssl.SSLContext:
        """Which certificates are trusted."""
        return self.tls or _system_tls()

    def result(self, finding: Finding, now: datetime | None) -> Result:
        """The result of the visit; `now` (aware) tells for how long the certificate is valid."""
        days = None
        if now is not None and self.certificates_end_s:
            days = int((min(self.certificates_end_s) - now.timestamp()) // DAY_S)
        warning = None
        if finding.verdict == "up" and days is not None and days < CERTIFICATE_WARNING_DAYS:
            warning = f"certificate ends in {days} day{'' if days == 1 else 's'}"
        detail = finding.detail or warning
        return Result(finding.verdict, finding.stage, finding.reason, detail, self.watch.ms, certificate_days=days)


@cache
def _system_tls() -> ssl.SSLContext:
    """Trusts the system's roots and checks the host's name; reading the roots takes a while, so once."""
    return ssl.create_default_context()


def probe(
    url: str,
    wanted: Wanted,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    *,
    pages: Pages = "first",
    now: datetime | None = None,
    tls: ssl.SSLContext | None = None,
    look_up: LookUp = socket.getaddrinfo,
    key: str = "",
) -> Result:
    """Visit a page, and others of its app, once, taking at most `timeout_s` in all, and judge what is there.

    What is wanted is wanted of the page of the address; of the others that they run. The worst finding counts; the
    phases are those of the page of the address. With `now` the certificate's days are told. Raises WrongSetting for a
    malformed URL. `tls`, `look_up` and `key`: as in Visit.
    """
    address = parse_url(url)
    visit = Visit.begin(timeout_s, tls=tls, look_up=look_up, key=key)
    return visit.result(found(lambda: _look(address, wanted, pages, visit)), now)


def found(look: Callable[[], Finding], stage: Stage = "script_done") -> Finding:
    """What a look finds, also where it ends early; `stage`: at which something may come that cannot be decoded."""
    try:
        return look()
    except Stopped as stopped:
        return stopped.finding
    except Undecodable as error:
        return Finding("unknown", stage, "proto", detail_of(str(error)))
    except WrongSetting:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of ours is no outage of theirs, and stands in the record
        return Finding("unknown", None, "prober", detail_of(repr(error)))


def probe_patiently(
    attempt: Callable[[float], Result],
    *,
    attempts: int,
    timeout_s: float,
    sleep: Callable[[float], None],
    waits_s: Sequence[float] = WAITS_S,
    total_s: float = TOTAL_LIMIT_S,
) -> Result:
    """So many attempts, `waits_s` before each, until one is up or degraded; no more than `total_s` in all.

    `attempt` takes its time limit in seconds; one that would have less than a second is not made. The last result is
    kept, with the number of attempts.
    """
    deadline = Deadline.after(min(total_s, TOTAL_LIMIT_S))
    result: Result | None = None
    for number, wait_s in enumerate(waits_s[:attempts], start=1):
        left_s = deadline.at_s - time.monotonic() - wait_s
        if result and (result.verdict in ("up", "degraded") or left_s < SHORTEST_S):
            break
        if wait_s:
            sleep(wait_s)
        result = replace(attempt(min(timeout_s, max(left_s, SHORTEST_S))), attempts=number)
    if result is None:
        raise ValueError("at least one attempt is expected")
    return result


def _look(address: Address, wanted: Wanted, pages: Pages, visit: Visit) -> Finding:
    page_answer = fetch(address, visit, accept="text/html", good=(HTTPStatus.OK,))
    if not page_answer.whole:
        raise down("body", "body", TOO_LONG)
    with visit.watch.stage("ws_upgrade"):
        trusted = is_same_host(address, page_answer.address)
        channel, connection, page_name = _upgrade(
            page_answer.address, page_answer.peers, visit if trusted else replace(visit, key="")
        )
    with closing(connection):
        session = _Session(channel)
        first = judge(session.run(visit, rerun(page_answer.address.query, page_name)), wanted)
        if first.verdict == "down" or pages == "first":
            return first
        entries = further(session.reader.entries(), pages)
        return worst([first, *_look_further(session, visit, entries, Wanted(error_box=wanted.error_box))])


def _look_further(session: "_Session", visit: Visit, entries: Sequence[Entry], wanted: Wanted) -> Iterator[Finding]:
    """Go on to other pages as who clicks on them, up to the first one that is down or cannot be read."""
    for number, entry in enumerate(entries, start=2):
        finding = _look_at(session, visit, entry, wanted)
        if finding.reason == "timeout":
            finding = replace(finding, detail=f"no time was left for page {number} of {len(entries) + 1}")
        yield _of_page(entry, finding)
        if finding.verdict in ("down", "unknown"):
            return


def _look_at(session: "_Session", visit: Visit, entry: Entry, wanted: Wanted) -> Finding:
    """What a page that is not the first one shows. One that got less than half of the time may well be fine."""
    given_s = visit.deadline.at_s - time.monotonic()
    untimed = replace(visit, watch=Stopwatch())  # phases are compared over months: those of the first page count
    finding = found(lambda: judge(session.run(untimed, rerun("", entry.name, entry.page_hash)), wanted))
    if finding.reason == "script_timeout" and given_s < visit.limit_s / 2:
        return Finding("unknown", "script_done", "timeout")
    return finding


@dataclass(frozen=True, slots=True)
class Answer:
    """What a web server said at last. `headers`: their names in lower case; `peers`: the addresses of its host.

    `whole`: there is no more of the body than was read.
    """

    address: Address
    peers: list[SocketAddress]
    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


def fetch(
    address: Address, visit: Visit, *, accept: str, good: Container[int], most_bytes: int = MAX_BODY_BYTES
) -> Answer:
    """GET an answer with a `good` status, through redirects, and no more of its body than `most_bytes`.

    Raises Stopped where there is none, or a part of it does not come.
    """
    for _ in range(MAX_REDIRECTS + 1):
        answer = _get(address, visit, accept, good, most_bytes)
        if answer.status in good:
            return answer
        address = _redirected(address, answer.headers["location"])
    raise down("ttfb", "http_status", f"more than {MAX_REDIRECTS} redirects")


def _get(address: Address, visit: Visit, accept: str, good: Container[int], most_bytes: int) -> Answer:
    """One good answer, or one that says where to go on."""
    sock, peers = visit.reach(address)
    with closing(Connection(sock, visit.deadline)) as connection:
        with visit.watch.stage("ttfb"):
            response = connection.ask(f"GET {address.target}", _headers(address, accept))
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.status in REDIRECTS and headers.get("location") and response.status not in good:
            return Answer(address, peers, response.status, headers, b"")
        if response.status not in good:
            raise down("ttfb", "http_status", f"HTTP {response.status}")
        with visit.watch.stage("body"):
            body = _body(response, most_bytes)
            whole = len(body) <= most_bytes
            return Answer(address, peers, response.status, headers, body[:most_bytes], whole)


def _headers(address: Address, accept: str) -> dict[str, str]:
    return {
        "Host": address.authority,
        "User-Agent": USER_AGENT,
        "Accept": accept,
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def _body(response: HTTPResponse, most_bytes: int) -> bytes:
    """The body, or a little more of it than is wanted. Raises OSError where it ends too soon."""
    body = bytearray()
    while data := response.read(CHUNK_BYTES):
        body += data
        if len(body) > most_bytes:
            return bytes(body)
    if response.length:
        raise ChannelClosed("the connection was closed before the page was whole")
    return bytes(body)


def _redirected(address: Address, location: str) -> Address:
    """Where a redirect leads. A header is bytes, each of which http.client takes for a letter."""
    plain = re.sub(r"[\x80-\xff]", lambda byte: f"%{ord(byte[0]):02X}", location.strip())
    try:
        return _address(urljoin(address.shown, plain))
    except ValueError as error:
        raise down("ttfb", "http_status", f"a redirect that cannot be followed: {error}") from error


def _upgrade(address: Address, peers: Sequence[SocketAddress], visit: Visit) -> tuple[Channel, Connection, str]:
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
        except (ConnectionError, HTTPException) as error:
            refusal = refusal or error
    raise refusal or down("ws_upgrade", "ws_refused", "no answer")


def is_same_host(asked: Address, answering: Address) -> bool:
    """Whether a redirect stayed where a key was meant for; going over to TLS is staying."""
    return asked.host == answering.host and (answering.secure or not asked.secure)


def _readings(path: str) -> list[tuple[str, str]]:
    """What a path may mean: (address of the app, name of the page), the longest address first."""
    parts = [part for part in path.split("/") if part]
    shortest = max(0, len(parts) - DEEPEST_PAGE)
    return [
        ("".join(f"/{part}" for part in parts[:cut]), unquote("/".join(parts[cut:])))
        for cut in range(len(parts), shortest - 1, -1)
    ]


def _upgraded(path: str, address: Address, peers: Sequence[SocketAddress], visit: Visit) -> tuple[Channel, Connection]:
    """A websocket, on a connection of its own. Without Origin, which is allowed."""
    sock, _ = connect(peers, visit.deadline)
    connection = Connection(visit.secured(sock, address) if address.secure else sock, visit.deadline)
    key = base64.b64encode(secrets.token_bytes(16))
    headers = {
        "Host": address.authority,
        "User-Agent": USER_AGENT,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode(),
        **({"Authorization": f"Bearer {visit.key}"} if visit.key else {}),
    }
    try:
        response = connection.ask(f"GET {path}", headers)
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
        raise _Refused(down("ws_upgrade", "ws_refused", f"HTTP {response.status}"))
    digest = hashlib.sha1(key + ACCEPT_GUID, usedforsecurity=False).digest()
    if response.getheader("Sec-WebSocket-Accept", "").strip() != base64.b64encode(digest).decode():
        raise down("ws_upgrade", "ws_refused", "the answer to the upgrade belongs to another request")


def rerun(query: str, page_name: str, page_hash: bytes = b"") -> bytes:
    """The message that has the script run for a page with the query of its address (percent-encoded, no `?`).

    A page is asked for by the name in its address or, by who clicks on it in the navigation, by its hash.
    """
    state = (
        ("ClientState.query_string", query.encode()),
        ("ClientState.page_script_hash", page_hash),
        ("ClientState.page_name", b"" if page_hash else page_name.encode(errors="surrogateescape")),
    )
    return _field(WIRE["BackMsg.rerun_script"], b"".join(_field(WIRE[name], text) for name, text in state if text))


def _field(number: int, data: bytes) -> bytes:
    return _as_varint(number << 3 | WIRE_BYTES) + _as_varint(len(data)) + data


def _as_varint(number: int) -> bytes:
    sevens = []
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        sevens.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*sevens, number])


class _Session:
    """One visitor's websocket: runs one page after another."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.reader = PageReader()

    def run(self, visit: Visit, message: bytes) -> Page:
        """Have a script run, and read until it is finished and nothing more has come for a moment. Raises Stopped."""
        self.reader.expect()
        self._channel.expect_page(visit.deadline)
        with visit.watch.stage("script_done"):
            self._channel.send(message)
        while not self.reader.finished:
            self._channel.until(visit.deadline)
            with visit.watch.stage("script_done"):
                self._finish()
            self._settle(visit.deadline)
        return self.reader.page()

    def _finish(self) -> None:
        try:
            while not self.reader.finished:
                self.reader.take(self._channel.message())
        except TimeoutError as error:
            if self.reader.runs > 1:
                raise TimeIsUp(f"it started over {self.reader.runs - 1} times and came to no end") from error
            raise

    def _settle(self, deadline: Deadline) -> None:
        """Take what follows script_finished: the words of a compile error, or a run that starts over."""
        self._channel.until(deadline.sooner(SETTLE_S))
        try:
            while self.reader.finished:
                self.reader.take(self._channel.message())
        except OSError:  # silence, or the server hung up: the page is whole all the same
            return


# --- the command line ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A page to be probed, what is wanted of it, and how a sample of it is labelled.

    `pages`: what else of its app; `key`: what it is shown in place of a sign-in.
    """

    name: str
    url: str
    wanted: Wanted
    by: str = BY_HAND
    pages: Pages = "first"
    key: str = field(default="", repr=False)


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
        "--page", action="append", default=[], metavar="NAME", help="another page of the app; all: of its navigation"
    )
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
        least = dict(arguments.min) or target.wanted.min
        wanted = replace(target.wanted, min=least, text=tuple(arguments.text) or target.wanted.text)
        target = replace(target, wanted=wanted)
    if arguments.page:
        target = replace(target, pages="all" if "all" in arguments.page else tuple(arguments.page))
    result = probe_patiently(
        lambda timeout_s: probe(target.url, target.wanted, timeout_s, pages=target.pages, now=now, key=target.key),
        attempts=arguments.attempts,
        timeout_s=arguments.timeout,
        sleep=time.sleep,
    )
    sample = sample_of(result, at=now, target=target.name, by=target.by, run=None)
    if result.certificate_days is not None:
        sample["cert_days"] = result.certificate_days
    _say(json.dumps(sample) if arguments.json else described(result, target.url))
    return EXIT_CODES[result.verdict]


def _say(text: str) -> None:
    """Print, also where the terminal knows fewer letters than the page has."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def _by_hand(url: str) -> Target:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", parse_url(url).authority).strip("-.")[:40]
    return Target(name, url, Wanted())


def sample_of(result: Result, *, at: datetime, target: str, by: str, run: str | None) -> dict[str, object]:
    """The sample of a result, as it is written in JSON. `at` in UTC, to the second.

    `cert_days` stands in it only where the certificate ends soon, `detail` only where there is one.
    """
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
    if result.certificate_days is not None and result.certificate_days < CERTIFICATE_SHOWN_DAYS:
        sample["cert_days"] = result.certificate_days
    return sample if result.detail is None else {**sample, "detail": result.detail}


def described(result: Result, url: str) -> str:
    """A result in two lines for a person."""
    where = f" at {result.stage}" if result.stage else ""
    why = ": ".join(filter(None, (result.reason, result.detail)))
    recovered = _attempts_of(result)
    spent = ", ".join(f"{phase} {'-' if ms is None else ms}" for phase, ms in result.ms.items())
    return f"{result.verdict}{where}{recovered} {parse_url(url).shown}{f'  {why}' if why else ''}\n  ms: {spent}"


def _attempts_of(result: Result) -> str:
    if result.attempts == 1:
        return ""
    return (
        f" (attempt {result.attempts})"
        if result.verdict in ("down", "unknown")
        else f" (recovered, attempt {result.attempts})"
    )


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
