"""One look at any kind of target: a page, a plain HTTP answer, a TCP port, the published data.

What the page's probe knows of time limits, addresses and certificates holds for all of them. requests, which asks the
control addresses, gives less than is needed here: it limits each wait but not their sum, reads the body of a redirect
whole, and times no phases.
"""

import json
import queue
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from etl.errors import KpiOpsError
from ops.uptime.probe import (
    CHUNK_BYTES,
    MAX_BODY_BYTES,
    PHASES,
    TOO_LONG,
    Address,
    Answer,
    Finding,
    LookUp,
    Result,
    Target,
    Undecodable,
    Visit,
    WrongSetting,
    detail_of,
    fetch,
    found,
    parse_url,
    probe,
)
from ops.verdict import Status, Verdict

Value = str | int | float | bool

# The published data in the words of a sample.
_OF_DATA: Mapping[Status, Finding] = {
    "pass": Finding("up"),
    "warn": Finding("degraded", "body", "body"),
    "error": Finding("down", "body", "body"),
    "unknown": Finding("unknown", None, "prober"),
}
_CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1252")  # not whatever codec a server may name
_GZIP = ("gzip", "x-gzip")
_WITH_GZIP_HEADER = 31  # as zlib numbers it
_SHOWN_LETTERS = 40


@dataclass(frozen=True, slots=True)
class HttpTarget(Target):
    """A plain HTTP answer: it has one of these statuses, the words of `wanted`, and JSON with these values.

    `fields`: values by their place in the JSON, like {"data.items.0.ok": True}.
    """

    status: tuple[int, ...] = (200,)
    fields: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TcpTarget(Target):
    """A port that takes connections: tcp://HOST:PORT."""


@dataclass(frozen=True, slots=True)
class DataTarget(Target):
    """The published data, judged as `fab freshness` does."""


def look(
    target: Target,
    timeout_s: float,
    *,
    now: datetime,
    data: Callable[[], Verdict],
    tls: ssl.SSLContext | None = None,
    look_up: LookUp = socket.getaddrinfo,
) -> Result:
    """Look at a target of any kind once, for at most `timeout_s`. Raises WrongSetting for a malformed address.

    `now` (aware) tells for how many days a certificate is valid; `data` judges the published data, and is asked only
    for a target of that kind; `tls` and `look_up`: as in Visit.
    """
    if isinstance(target, DataTarget):
        return look_at_data(data, timeout_s)
    if isinstance(target, HttpTarget):
        seen: Callable[[Visit], Finding] = partial(_http, target)
    elif isinstance(target, TcpTarget):
        seen = partial(_tcp, target)
    else:
        return probe(
            target.url,
            target.wanted,
            timeout_s,
            pages=target.pages,
            now=now,
            tls=tls,
            look_up=look_up,
            key=target.key,
        )
    visit = Visit.begin(timeout_s, tls=tls, look_up=look_up)
    return visit.result(found(lambda: seen(visit), "body"), now)


def attempts_for(target: Target, attempts: int) -> int:
    """How often a target is tried: stale data do not become fresh within seconds, and S3 is asked patiently anyway."""
    return 1 if isinstance(target, DataTarget) else attempts


# --- a TCP port ------------------------------------------------------------------------------------------------------


def _tcp(target: Target, visit: Visit) -> Finding:
    sock, _ = visit.reach(tcp_address(target.url))
    sock.close()
    return Finding("up")


def tcp_address(url: str) -> Address:
    """The address in tcp://HOST:PORT. Raises WrongSetting."""
    if re.fullmatch(r"tcp://[^\s/?#@]+:[0-9]+", url):
        with suppress(WrongSetting):
            return parse_url(url.replace("tcp", "http", 1))
    raise WrongSetting(
        "the address of a TCP target cannot be used",  # and is not shown: it may hold a password
        expected="tcp://HOST:PORT, the port from 1 to 65535",
        to_do="mend the target's url in settings.toml",
    )


# --- a plain HTTP answer ---------------------------------------------------------------------------------------------


def _http(target: HttpTarget, visit: Visit) -> Finding:
    most_bytes = MAX_BODY_BYTES if _reads(target) else CHUNK_BYTES
    address = parse_url(target.url)
    return judge_answer(fetch(address, visit, accept="*/*", good=target.status, most_bytes=most_bytes), target)


def _reads(target: HttpTarget) -> bool:
    """Whether the body matters, or the status alone."""
    return bool(target.wanted.text or target.fields)


def judge_answer(answer: Answer, target: HttpTarget) -> Finding:
    """The verdict on an answer whose status is right. Raises Undecodable for an encoding that is not known."""
    if not _reads(target):
        return Finding("up")
    if not answer.whole:
        return Finding("down", "body", "body", TOO_LONG)
    body = _unpacked(answer)
    wrong = [*_words_missing(body, answer, target), *_fields_wrong(body, target)]
    return Finding("down", "body", "body", detail_of("; ".join(wrong))) if wrong else Finding("up")


def _unpacked(answer: Answer) -> bytes:
    """The body as it was before it was packed, which nobody asked for: some keep their files so."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return answer.body
    if encoding not in _GZIP:
        raise Undecodable(f"the body is packed in a way nobody asked for: {encoding}")
    unpacker = zlib.decompressobj(_WITH_GZIP_HEADER)
    try:
        body = unpacker.decompress(answer.body, MAX_BODY_BYTES)
    except zlib.error as error:
        raise Undecodable("the body is not the gzip it is said to be") from error
    if not unpacker.eof:
        raise Undecodable(f"the body has {TOO_LONG}, or its end is missing")
    return body


def _words_missing(body: bytes, answer: Answer, target: HttpTarget) -> Iterator[str]:
    text = body.decode(_charset(answer), "replace")
    return (f"no text {words!r}" for words in target.wanted.text if words not in text)


def _charset(answer: Answer) -> str:
    """Only what texts are written in: of the codecs that a server could name, some take hours."""
    named = re.search(r"charset=\"?([\w-]+)", answer.headers.get("content-type", "").lower())
    return named[1] if named and named[1] in _CHARSETS else "utf-8"


def _fields_wrong(body: bytes, target: HttpTarget) -> Iterator[str]:
    if not target.fields:
        return
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        yield "the body is not JSON"
        return
    for path, value in target.fields.items():
        try:
            seen = _at(document, path)
        except LookupError:
            yield f"no {path}"
        else:
            if not _is(seen, value):
                yield f"{path} is {_shown(seen)}, not {_shown(value)}"


def _at(document: object, path: str) -> object:
    """What stands at a place in JSON: names, and numbers that count from 0, with dots. Raises LookupError."""
    for part in path.split("."):
        if isinstance(document, dict):
            document = document[part]
        elif isinstance(document, list) and re.fullmatch(r"[0-9]{1,7}", part):
            document = document[int(part)]
        else:
            raise LookupError(path)
    return document


def _is(seen: object, value: Value) -> bool:
    """Equality as in JSON: true is not 1."""
    return seen == value and isinstance(seen, bool) == isinstance(value, bool)


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value[:_SHOWN_LETTERS] if isinstance(value, str) else value, ensure_ascii=False)


# --- the published data ----------------------------------------------------------------------------------------------


def look_at_data(judge: Callable[[], Verdict], timeout_s: float) -> Result:
    """What `judge` says of the published data; unknown where it says nothing in time, or fails."""
    answers: queue.SimpleQueue[tuple[Finding, float | None]] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_judged(judge)), daemon=True).start()
    try:
        finding, elapsed_s = answers.get(timeout=timeout_s)
    except queue.Empty:
        finding, elapsed_s = _cannot_tell("no answer within the time given"), None
    ms = dict.fromkeys(PHASES) | {"body": None if elapsed_s is None else round(elapsed_s * 1000)}
    return Result(finding.verdict, finding.stage, finding.reason, finding.detail, ms)


def _judged(judge: Callable[[], Verdict]) -> tuple[Finding, float | None]:
    try:
        verdict = judge()
    except KpiOpsError as error:
        return _cannot_tell(error.seen), None
    except Exception as error:  # noqa: BLE001 - a bug there is no reason to record no uptime
        return _cannot_tell(repr(error)), None
    finding = _OF_DATA[verdict.status]
    detail = None if finding.verdict == "up" else detail_of(verdict.line)
    return replace(finding, detail=detail), verdict.elapsed_s


def _cannot_tell(why: str) -> Finding:
    return replace(_OF_DATA["unknown"], detail=detail_of(why))
