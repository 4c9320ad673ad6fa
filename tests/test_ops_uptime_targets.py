"""Targets that are no pages: plain HTTP answers, TCP ports, the published data; and every kind through one door."""

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus

import pytest
import requests

from etl.errors import SettingsError, StoreUnreachable
from ops.settings import TargetSettings
from ops.uptime.check import target_of
from ops.uptime.control import any_answers
from ops.uptime.probe import (
    MAX_BODY_BYTES,
    PHASES,
    Result,
    Target,
    Undecodable,
    Wanted,
    WrongSetting,
    parse_url,
    probe_patiently,
)
from ops.uptime.targets import Answer, DataTarget, HttpTarget, TcpTarget, attempts_for, judge_answer, look
from ops.verdict import Finding as DataFinding
from ops.verdict import Status, Verdict
from tests.strange_servers import (
    FINE,
    PATIENT_S,
    SHORT_S,
    Handler,
    answer,
    answering,
    dripping_body,
    dripping_head,
    endless_body,
    flooding,
    hangs_up,
    redirect,
    serving,
    silent,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
JSON = json.dumps({"ok": True, "n": 1, "data": {"items": [{"ok": False, "name": "shop"}]}, "none": None}).encode()


def http(url: str = "http://h", text: tuple[str, ...] = (), **more: object) -> HttpTarget:
    return HttpTarget("api", url, Wanted(text=text), "host", **more)  # type: ignore[arg-type]


def nobody() -> Verdict:
    pytest.fail("nobody asked for the data")


def seen(target: Target, timeout_s: float = PATIENT_S) -> Result:
    return look(target, timeout_s, now=NOW, data=nobody)


def asked(handle: Handler, timeout_s: float = PATIENT_S, **wanted: object) -> tuple[str | None, ...]:
    with serving(handle) as port:
        result = seen(http(f"http://127.0.0.1:{port}/api?token=secret", **wanted), timeout_s)  # type: ignore[arg-type]
    return result.verdict, result.stage, result.reason, result.detail


# --- plain HTTP: what an answer says ---------------------------------------------------------------------------------


def said(body: bytes, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(parse_url("http://h"), [], HTTPStatus.OK, named, body)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"ok": True, "n": 1, "data.items.0.name": "shop", "data.items.0.ok": False}, None),
        ({"n": 1.0}, None),
        ({"ok": 1}, "ok is true, not 1"),
        ({"n": True}, "n is 1, not true"),
        ({"n": "1"}, 'n is 1, not "1"'),
        ({"data.items.0.ok": True}, "data.items.0.ok is false, not true"),
        ({"data.items.1.ok": True}, "no data.items.1.ok"),
        ({"data.items.-1.ok": True}, "no data.items.-1.ok"),
        ({"data.items.ok": True}, "no data.items.ok"),
        ({"data.items.99999999999999999999": True}, "no data.items.99999999999999999999"),
        ({"ok.deeper": True}, "no ok.deeper"),
        ({"none": False}, "none is null, not false"),
        ({"data": "x"}, 'data is an object, not "x"'),
        ({"data.items": "x", "ok": False}, 'data.items is a list, not "x"; ok is true, not false'),
    ],
)
def test_values_are_looked_up_by_their_place_in_the_json(fields: Mapping[str, object], detail: str | None):
    finding = judge_answer(said(JSON), http(fields=fields))
    assert finding.detail == detail
    assert (finding.verdict, finding.reason) == (("up", None) if detail is None else ("down", "body"))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b"[" * 10**6, b'{"ok": 1' + b"0" * 10**5 + b"}", b'{"ok": True}'],
    ids=["nothing", "a page", "no text", "a million lists", "a number of 100,000 digits", "Python"],
)
def test_a_body_that_is_no_json_is_down_for_who_wants_its_values(body: bytes):
    finding = judge_answer(said(body), http(fields={"ok": True}))
    assert (finding.verdict, finding.stage, finding.reason) == ("down", "body", "body")
    assert finding.detail == "the body is not JSON"


@pytest.mark.parametrize(
    ("answered", "words", "found"),
    [
        (said(b"all systems go"), "systems", True),
        (said(b"all systems go"), "Systems", False),
        (said("bücher".encode()), "bücher", True),
        (said("bücher".encode("latin-1"), content_type="text/html; charset=ISO-8859-1"), "bücher", True),
        (said("bücher".encode(), content_type='text/html; charset="zlib_codec"'), "bücher", True),
        (said("bücher".encode("latin-1")), "bücher", False),
        (said(gzip.compress(b"all systems go"), content_encoding="gzip"), "systems", True),
    ],
)
def test_words_are_looked_for_in_the_text(answered: Answer, words: str, *, found: bool):
    finding = judge_answer(answered, http(text=(words,)))
    assert (finding.verdict, finding.detail) == (("up", None) if found else ("down", f"no text {words!r}"))


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"x", "br"),
        (b"x", "gzip"),
        (gzip.compress(b"x" * 1000)[:-9], "gzip"),
        (gzip.compress(bytes(MAX_BODY_BYTES + 1)), "gzip"),
        (gzip.compress(bytes(2**28)), "gzip"),
    ],
    ids=["brotli", "no gzip", "half a gzip", "more than the limit", "a bomb"],
)
def test_what_cannot_be_unpacked_cannot_be_judged(body: bytes, encoding: str):
    with pytest.raises(Undecodable):
        judge_answer(said(body, content_encoding=encoding), http(text=("x",)))


def test_and_nobody_unpacks_what_nobody_reads():
    assert judge_answer(said(b"x", content_encoding="br"), http()).verdict == "up"


# --- plain HTTP: over the network ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handle", "wanted", "finding"),
    [
        pytest.param(answering(answer(b"ok")), {}, ("up", None, None, None), id="200"),
        pytest.param(answering(answer(JSON)), {"fields": {"ok": True}}, ("up", None, None, None), id="JSON"),
        pytest.param(
            answering(answer(JSON)), {"text": ("gone",)}, ("down", "body", "body", "no text 'gone'"), id="no such words"
        ),
        pytest.param(
            answering(answer(b"", "503 Service Unavailable")), {}, ("down", "ttfb", "http_status", "HTTP 503"), id="503"
        ),
        pytest.param(answering(answer(b"", "401 No")), {"status": (200, 401)}, ("up", None, None, None), id="401"),
        pytest.param(answering(answer(b"")), {"status": (204,)}, ("down", "ttfb", "http_status", "HTTP 200"), id="204"),
        pytest.param(
            answering(b"HTTP/1.1 204 No Content\r\n\r\n"), {"status": (204,)}, ("up", None, None, None), id="is 204"
        ),
        pytest.param(
            answering(redirect("http://[")), {"status": (302,)}, ("up", None, None, None), id="a redirect as wanted"
        ),
        pytest.param(
            answering(redirect("/")), {}, ("down", "ttfb", "http_status", "more than 5 redirects"), id="a loop"
        ),
        pytest.param(
            answering(answer(b"x", Content_Encoding="br")),
            {"text": ("x",)},
            ("unknown", "body", "proto", "the body is packed in a way nobody asked for: br"),
            id="brotli",
        ),
        pytest.param(
            hangs_up, {}, ("down", "ttfb", "refused", "Remote end closed connection without response"), id="hangs up"
        ),
        pytest.param(
            endless_body, {"text": ("x",)}, ("down", "body", "body", "more than 8,388,608 bytes"), id="no end"
        ),
        pytest.param(endless_body, {}, ("up", None, None, None), id="a body that nobody reads"),
    ],
)
def test_a_plain_answer_is_judged_by_what_was_asked_for(
    handle: Handler, wanted: dict[str, object], finding: tuple[str | None, ...]
):
    assert asked(handle, **wanted) == finding


def endless_redirect(connection: socket.socket, _: bytes) -> None:
    flooding(b"HTTP/1.1 302 Found\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n")(connection, b"")


def test_the_body_of_a_redirect_is_not_waited_for():
    assert asked(endless_redirect)[2:] == ("http_status", "more than 5 redirects")


HOLDING = {
    "no answer": (silent, "ttfb"),
    "a head that drips": (dripping_head, "ttfb"),
    "a body that drips": (dripping_body, "body"),
    "100 Continue without end": (flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "ttfb"),
}


@pytest.fixture(scope="module")
def in_time() -> dict[str, tuple[str | None, ...]]:
    with ThreadPoolExecutor(len(HOLDING)) as pool:
        visits = {name: pool.submit(asked, handle, SHORT_S) for name, (handle, _) in HOLDING.items()}
    return {name: visit.result() for name, visit in visits.items()}


@pytest.mark.parametrize("name", HOLDING)
def test_who_never_comes_to_an_end_is_down_when_the_time_is_up(in_time: dict[str, tuple[str | None, ...]], name: str):
    assert in_time[name][:3] == ("down", HOLDING[name][1], "timeout")


def test_what_is_asked_takes_no_proxy_and_no_password_from_around(monkeypatch: pytest.MonkeyPatch):
    heads: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        connection.sendall(answer(b"ok"))

    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert asked(handle)[0] == "up"
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "GET /api?token=secret HTTP/1.1"
    assert "Accept-Encoding: identity" in lines
    assert not any(line.startswith(("Authorization", "Cookie")) for line in lines)


def test_the_phases_of_a_plain_answer_are_those_it_has():
    with serving(answering(answer(b"ok"))) as port:
        ms = seen(http(f"http://127.0.0.1:{port}")).ms
    assert [phase for phase, spent in ms.items() if spent is None] == ["ws", "script"]


# --- TCP -------------------------------------------------------------------------------------------------------------


def tcp(port: int) -> TcpTarget:
    return TcpTarget("db", f"tcp://127.0.0.1:{port}", Wanted(), "host")


def test_a_port_that_takes_connections_is_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = seen(tcp(listener.getsockname()[1]))
    assert (result.verdict, result.detail) == ("up", None)
    assert [phase for phase, spent in result.ms.items() if spent is None] == ["ttfb", "body", "ws", "script"]


def test_a_port_on_which_nobody_listens_is_down():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = seen(tcp(port))
    assert (result.verdict, result.stage, result.reason) == ("down", "tcp", "refused")


# --- the published data ----------------------------------------------------------------------------------------------


def published(status: Status) -> Verdict:
    finding = DataFinding("generated_at", status, "stale" if status == "error" else "late", "generated 60 h ago")
    return Verdict("the store", "run", NOW, 0.25, [finding])


def data(judge: Callable[[], Verdict], timeout_s: float = PATIENT_S) -> Result:
    return look(DataTarget("data", "", Wanted(), "host"), timeout_s, now=NOW, data=judge)


@pytest.mark.parametrize(
    ("status", "finding"),
    [
        ("pass", ("up", None, None, None)),
        ("warn", ("degraded", "body", "body", "late: generated 60 h ago")),
        ("error", ("down", "body", "body", "stale: generated 60 h ago")),
        ("unknown", ("unknown", None, "prober", "cannot tell: generated 60 h ago")),
    ],
)
def test_the_published_data_are_a_target_like_any_other(status: Status, finding: tuple[str | None, ...]):
    result = data(lambda: published(status))
    assert (result.verdict, result.stage, result.reason, result.detail) == finding
    assert result.ms == dict.fromkeys(PHASES) | {"body": 250}


def unreachable() -> Verdict:
    raise StoreUnreachable("S3 gave no answer", expected="one", to_do="wait")


def bug() -> Verdict:
    raise KeyError("x")


@pytest.mark.parametrize(("judge", "detail"), [(unreachable, "S3 gave no answer"), (bug, "KeyError('x')")])
def test_where_nobody_can_judge_the_data_they_are_unknown(judge: Callable[[], Verdict], detail: str):
    result = data(judge)
    assert (result.verdict, result.reason, result.detail) == ("unknown", "prober", detail)


def test_data_that_nobody_judges_in_time_are_unknown():
    over = threading.Event()

    def judge() -> Verdict:
        over.wait(PATIENT_S)
        return published("pass")

    result = data(judge, 0.1)
    over.set()
    assert (result.verdict, result.reason, result.detail) == ("unknown", "prober", "no answer within the time given")


# --- every kind ------------------------------------------------------------------------------------------------------


def test_a_page_is_looked_at_as_a_page():
    with serving(FINE) as port:
        assert seen(Target("page", f"http://127.0.0.1:{port}", Wanted(), "host")).ms["script"] is not None


def settings(**more: object) -> TargetSettings:
    return TargetSettings.model_validate({"name": "t", "url": "http://h"} | more)


@pytest.mark.parametrize(
    ("named", "target"),
    [
        (settings(), Target("t", "http://h", Wanted(), "host")),
        (
            settings(min={"metric": 5}, text=["x"], pages=["products"], error_box="up"),
            Target("t", "http://h", Wanted({"metric": 5}, ("x",), "up"), "host", ("products",)),
        ),
        (settings(pages="all"), Target("t", "http://h", Wanted(), "host", "all")),
        (settings(kind="http"), HttpTarget("t", "http://h", Wanted(), "host")),
        (
            settings(kind="http", status=[204], text=["x"], fields={"ok": True}),
            HttpTarget("t", "http://h", Wanted(text=("x",)), "host", status=(204,), fields={"ok": True}),
        ),
        (settings(kind="tcp", url="tcp://h:5432"), TcpTarget("t", "tcp://h:5432", Wanted(), "host")),
        (settings(kind="data", url=""), DataTarget("t", "", Wanted(), "host")),
    ],
)
def test_settings_name_a_target_of_any_kind(named: TargetSettings, target: Target):
    made = target_of(named, "host")
    assert (type(made), made) == (type(target), target)


@pytest.mark.parametrize(
    ("named", "error", "words"),
    [
        (settings(min={"gauges": 1}), SettingsError, "wants gauges"),
        (settings(url="http://me:secret@h"), WrongSetting, "user name"),
        (settings(kind="http", url="http://me:secret@h"), WrongSetting, "user name"),
        (settings(kind="tcp", url="tcp://me:secret@h:1"), WrongSetting, "tcp://HOST:PORT"),
        (settings(kind="tcp", url="tcp://h:0"), WrongSetting, "tcp://HOST:PORT"),
        (settings(kind="tcp", url="tcp://h:99999"), WrongSetting, "tcp://HOST:PORT"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_anything_is_looked_at(
    named: TargetSettings, error: type[Exception], words: str
):
    with pytest.raises(error, match=words) as refusal:
        target_of(named, "host")
    assert "secret" not in str(refusal.value)


def test_only_data_are_not_tried_again():
    assert attempts_for(target_of(settings(), "host"), 3) == 3
    assert attempts_for(target_of(settings(kind="data", url=""), "host"), 3) == 1


def test_waits_and_limits_are_arguments():
    limits_s: list[float] = []
    slept_s: list[float] = []

    def attempt(timeout_s: float) -> Result:
        limits_s.append(timeout_s)
        return Result("down", "tcp", "refused", None, {})

    waits = {"waits_s": (1, 2, 3, 4), "sleep": slept_s.append}
    result = probe_patiently(attempt, attempts=3, timeout_s=5, total_s=60, **waits)  # type: ignore[arg-type]
    assert (result.attempts, slept_s, limits_s) == (3, [1, 2, 3], [5, 5, 5])


def test_an_attempt_that_would_have_no_time_is_not_made():
    """It would only say that the time was up, of a page that may be well by then."""
    limits_s: list[float] = []

    def attempt(timeout_s: float) -> Result:
        limits_s.append(timeout_s)
        return Result("down", "ttfb", "http_status", None, {})

    result = probe_patiently(attempt, attempts=3, timeout_s=30, total_s=20.5, sleep=lambda _: None)
    assert (result.attempts, result.reason) == (2, "http_status")
    assert limits_s[0] <= 20.5
    assert limits_s[1] <= 15.5


def test_a_bug_of_ours_is_no_outage_of_theirs():
    with serving(FINE) as port:
        broken = object()
        result = look(http(f"https://127.0.0.1:{port}"), 20, now=NOW, data=nobody, tls=broken)  # type: ignore[arg-type]
    assert (result.verdict, result.stage, result.reason) == ("unknown", None, "prober")
    assert "AttributeError" in str(result.detail)


# --- the control addresses -------------------------------------------------------------------------------------------


@pytest.fixture
def dripping() -> Iterator[int]:
    """A server that drips until the test is over."""
    over = threading.Event()

    def handle(connection: socket.socket, _: bytes) -> None:
        while not over.wait(0.02):
            connection.sendall(b"H")

    with serving(handle) as port:
        yield port
        over.set()


def test_control_addresses_that_never_come_to_an_end_are_not_waited_for(dripping: int):
    with requests.Session() as session:
        assert not any_answers(session, [f"http://127.0.0.1:{dripping}"] * 3, timeout_s=0.3)


def test_one_control_address_that_answers_is_enough_beside_one_that_does_not(dripping: int):
    with requests.Session() as session, serving(answering(answer(b"", "503 No"))) as port:
        addresses = [f"http://127.0.0.1:{dripping}", f"http://127.0.0.1:{port}", "http://["]
        assert any_answers(session, addresses, timeout_s=PATIENT_S)
