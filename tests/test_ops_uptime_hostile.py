"""The probe against servers that do not behave: it ends in time, and says what it met."""

import gzip
import inspect
import socket
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops.uptime.probe import MAX_MESSAGE_BYTES, Result, Wanted, probe
from tests.strange_servers import (
    FINE,
    FINISHED,
    NEW_SESSION,
    PAGE,
    PATIENT_S,
    SHORT_S,
    Handler,
    accepted,
    answer,
    answering,
    asked,
    drip,
    dripping_body,
    dripping_head,
    endless_body,
    flood,
    flooding,
    frame,
    hangs_up,
    redirect,
    saying,
    serving,
    silent,
    streaming,
    until_gone,
)
from tests.streamlit_messages import at

BOMB = gzip.compress(bytes(2**24))


def visited(handle: Handler, limit_s: float) -> Result:
    with serving(handle) as port:
        return probe(f"http://127.0.0.1:{port}", Wanted(), limit_s)


def seen(result: Result) -> tuple[str, str | None, str | None]:
    return result.verdict, result.stage, result.reason


# --- what takes all the time there is --------------------------------------------------------------------------------


def no_stream(connection: socket.socket, head: bytes) -> None:
    connection.sendall(PAGE)
    if b"/_stcore/stream" in head:
        until_gone(connection)


def dripping_upgrade(connection: socket.socket, head: bytes) -> None:
    if b"/_stcore/stream" in head:
        drip(connection, b"HTTP/1.1 101 Switching Protocols\r\nX-Padding: " + b"a" * 60_000)
    connection.sendall(PAGE)


def starting_over(connection: socket.socket) -> None:
    drip(connection, frame(NEW_SESSION) + frame(bytes.fromhex("3002")))


PATIENCE_NEEDED = {
    "no answer": (silent, "ttfb", "timeout"),
    "a head that drips": (dripping_head, "ttfb", "timeout"),
    "a body that drips": (dripping_body, "body", "timeout"),
    "an upgrade that drips": (dripping_upgrade, "ws_upgrade", "timeout"),
    "a silent stream": (saying(), "script_done", "script_timeout"),
    "a script that never ends": (saying(frame(NEW_SESSION)), "script_done", "script_timeout"),
    "half a frame": (saying(frame(NEW_SESSION), b"\x82\x7e\xff"), "script_done", "script_timeout"),
    "a stream that drips": (
        streaming(lambda connection: drip(connection, frame(NEW_SESSION))),
        "script_done",
        "script_timeout",
    ),
    "a frame of half a gigabyte that drips": (
        streaming(lambda connection: drip(connection, b"\x82\x7f" + struct.pack(">Q", 2**25) + bytes(2**16))),
        "script_done",
        "script_timeout",
    ),
    "a script that starts over and over": (streaming(starting_over), "script_done", "script_timeout"),
}


@pytest.fixture(scope="module")
def in_time() -> dict[str, Result]:
    """All of them at once: they only wait."""
    with ThreadPoolExecutor(len(PATIENCE_NEEDED)) as pool:
        visits = {name: pool.submit(visited, case[0], SHORT_S) for name, case in PATIENCE_NEEDED.items()}
    return {name: visit.result() for name, visit in visits.items()}


@pytest.mark.parametrize("name", PATIENCE_NEEDED)
def test_who_never_comes_to_an_end_is_down_when_the_time_is_up(in_time: dict[str, Result], name: str):
    assert seen(in_time[name]) == ("down", *PATIENCE_NEEDED[name][1:])


def test_a_script_that_starts_over_and_over_is_told_from_one_that_is_slow(in_time: dict[str, Result]):
    assert "started over" in str(in_time["a script that starts over and over"].detail)
    assert in_time["a script that never ends"].detail == "no end within the time given"


FLOODS = [
    pytest.param(flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "ttfb", "timeout", id="100 Continue without end"),
    pytest.param(
        flooding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
        "body",
        "timeout",
        id="trailers without end",
    ),
    pytest.param(
        streaming(lambda connection: flood(connection, frame(b"are you there", 9))),
        "script_done",
        "script_timeout",
        id="pings without end",
    ),
    pytest.param(
        streaming(lambda connection: flood(connection, frame(NEW_SESSION) * 1000)),
        "script_done",
        "script_timeout",
        id="new sessions without end",
    ),
]


@pytest.mark.parametrize(("handle", "stage", "reason"), FLOODS)
def test_a_flood_ends_when_the_time_is_up(handle: Handler, stage: str, reason: str):
    assert seen(visited(handle, SHORT_S)) == ("down", stage, reason)


# --- what is wrong at once -------------------------------------------------------------------------------------------


def no_upgrade(connection: socket.socket, head: bytes) -> None:
    connection.sendall(PAGE if b"/_stcore/stream" not in head else b"HTTP/1.1 403 Forbidden\r\n\r\n")


def wrong_key(connection: socket.socket, head: bytes) -> None:
    if b"/_stcore/stream" not in head:
        connection.sendall(PAGE)
    else:
        connection.sendall(accepted(b"Sec-WebSocket-Key: another\r\n"))
        until_gone(connection)


def further_and_further(connection: socket.socket, head: bytes) -> None:
    connection.sendall(redirect(f"{head.split()[1].decode()}a"))


DOWN = [
    pytest.param(hangs_up, "ttfb", "refused", id="hangs up"),
    pytest.param(endless_body, "body", "body", id="a body without end"),
    pytest.param(
        flooding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"a"),
        "body",
        "body",
        id="a chunk of less than no bytes",
    ),
    pytest.param(
        flooding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),
        "body",
        "body",
        id="the size of a chunk without end",
    ),
    pytest.param(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"), "body", "body", id="half a body"),
    pytest.param(answering(b"SSH-2.0-OpenSSH_9.9\r\n"), "ttfb", "http_status", id="not a web server"),
    pytest.param(answering(b"<html>hi</html>"), "ttfb", "http_status", id="HTTP 0.9"),
    pytest.param(answering(answer(b"", "502 Bad Gateway")), "ttfb", "http_status", id="bad gateway"),
    pytest.param(answering(b"HTTP/1.1 204 No Content\r\n\r\n"), "ttfb", "http_status", id="no content"),
    pytest.param(flooding(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), "ttfb", "http_status", id="headers without end"),
    pytest.param(flooding(b"HTTP/1.1 200 OK\r\na: ", b"a"), "ttfb", "http_status", id="one header without end"),
    pytest.param(flooding(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "ttfb", "http_status", id="hints without end"),
    pytest.param(answering(redirect("/")), "ttfb", "http_status", id="a redirect to itself"),
    pytest.param(further_and_further, "ttfb", "http_status", id="redirects without end"),
    pytest.param(answering(redirect("file:///etc/passwd")), "ttfb", "http_status", id="a redirect to a file"),
    pytest.param(answering(redirect("http://[")), "ttfb", "http_status", id="a redirect to nowhere"),
    pytest.param(answering(redirect("http://a b/")), "ttfb", "http_status", id="a redirect to no name"),
    pytest.param(no_upgrade, "ws_upgrade", "ws_refused", id="no upgrade"),
    pytest.param(no_stream, "ws_upgrade", "ws_refused", id="a page where the stream should be"),
    pytest.param(wrong_key, "ws_upgrade", "ws_refused", id="the answer to another's upgrade"),
    pytest.param(streaming(lambda _: None), "script_done", "ws_refused", id="closes right after the upgrade"),
    pytest.param(saying(frame(struct.pack(">H", 1011), 8)), "script_done", "ws_refused", id="a close frame"),
]


@pytest.mark.parametrize(("handle", "stage", "reason"), DOWN)
def test_a_page_nobody_could_see_is_down(handle: Handler, stage: str, reason: str):
    assert seen(visited(handle, PATIENT_S)) == ("down", stage, reason)


UNKNOWN = [
    pytest.param(saying(frame(b"\xff\xff\xff")), id="bytes that are no protobuf"),
    pytest.param(saying(frame(b"\x30\x00")), id="an end without a beginning"),
    pytest.param(saying(frame(b"hello", 1)), id="a text frame"),
    pytest.param(saying(frame(NEW_SESSION, 0)), id="the middle of a message"),
    pytest.param(saying(frame(NEW_SESSION, 3)), id="an unknown kind of frame"),
    pytest.param(saying(frame(NEW_SESSION, 11)), id="an unknown kind of control frame"),
    pytest.param(saying(b"\xc2\x02" + NEW_SESSION), id="compression nobody agreed to"),
    pytest.param(saying(b"\x82\x82" + bytes(4) + NEW_SESSION), id="a masked frame"),
    pytest.param(saying(b"\x89\x7e\x01\x00" + bytes(256)), id="a ping that is too long"),
    pytest.param(saying(b"\x82\x7f" + b"\xff" * 8), id="a frame of 16 exabytes"),
    pytest.param(saying(b"\x82\x7f" + struct.pack(">Q", 2**30)), id="a frame of a gigabyte"),
    pytest.param(saying(b"\x82\x7f" + struct.pack(">Q", MAX_MESSAGE_BYTES + 1)), id="a frame of more than the limit"),
    pytest.param(saying(frame(bytes.fromhex("5a0361626300"))), id="a reference to a cached message"),
    pytest.param(saying(frame(NEW_SESSION), frame(FINISHED), frame(b"\xff")), id="garbage after the end"),
    pytest.param(
        streaming(lambda connection: flood(connection, frame(bytes(65000), 2, final=False)[:1] + b"\x00" * 9)),
        id="a message that begins again within itself",
    ),
    pytest.param(
        streaming(lambda c: (c.sendall(frame(b"", final=False)), flood(c, frame(bytes(2**20), 0, final=False)))),
        id="fragments without end",
    ),
]


@pytest.mark.parametrize("handle", UNKNOWN)
def test_what_cannot_be_decoded_is_neither_up_nor_down(handle: Handler):
    assert seen(visited(handle, PATIENT_S)) == ("unknown", "script_done", "proto")


# --- what is strange and harmless ------------------------------------------------------------------------------------


def first_hints_then(page: bytes) -> Handler:
    """Answers as servers behind some proxies do: what may be needed, and then the page."""

    def handle(connection: socket.socket, head: bytes) -> None:
        if b"/_stcore/stream" in head:
            FINE(connection, head)
        else:
            connection.sendall(
                b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + page
            )

    return handle


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(PAGE, id="hints before the page"),
        pytest.param(answer(BOMB, Content_Encoding="gzip"), id="a gzip bomb, which nobody unpacks"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhi", id="HTTP 1.0, whose page ends with the connection"),
        pytest.param(answer(b"hi", Location="http://elsewhere.invalid/"), id="a location without a redirect"),
    ],
)
def test_a_strange_answer_that_a_browser_would_take_is_up(page: bytes):
    assert visited(first_hints_then(page), PATIENT_S).verdict == "up"


def test_fragments_pings_and_a_close_after_the_end_do_no_harm():
    pongs: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(frame(b"ping", 9))
        pongs.append(asked(connection))
        connection.sendall(frame(NEW_SESSION[:1], final=False) + frame(b"", 10) + frame(NEW_SESSION[1:], 0))
        connection.sendall(frame(FINISHED) + frame(b"", 8))

    assert visited(streaming(talk), PATIENT_S).verdict == "up"
    assert pongs == [b"ping"]


def test_the_requests_are_those_of_a_polite_stranger():
    heads: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        FINE(connection, head)

    with serving(handle) as port:
        assert probe(f"http://127.0.0.1:{port}/kpi/?token=abc", Wanted(), PATIENT_S).verdict == "up"
    page, stream = (head.decode().split("\r\n") for head in heads[:2])
    assert (page[0], stream[0]) == ("GET /kpi/?token=abc HTTP/1.1", "GET /kpi/_stcore/stream HTTP/1.1")
    for head in (page, stream):
        assert f"Host: 127.0.0.1:{port}" in head
        assert "User-Agent: kpi-ops-probe/1" in head
        assert not any(line.startswith("Origin") for line in head)


def test_a_long_query_reaches_the_script_whole():
    """A frame of more than 125 bytes has another head."""
    messages: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        if b"/_stcore/stream" not in head:
            connection.sendall(PAGE)
            return
        connection.sendall(accepted(head))
        messages.append(asked(connection))
        connection.sendall(frame(NEW_SESSION) + frame(FINISHED))

    for length in (100, 200, 40_000):
        query = "q=" + "x" * length
        with serving(handle) as port:
            assert probe(f"http://127.0.0.1:{port}/?{query}", Wanted(), PATIENT_S).verdict == "up"
        assert messages.pop().endswith(query.encode())


def test_words_that_the_terminal_has_no_letters_for_are_told_all_the_same():
    """A probe that breaks on them would leave with 1, which means down."""
    raised = at([0, 0], exception={"message": "kein Gerät ☠"}).SerializeToString()
    talk = saying(frame(NEW_SESSION), frame(raised), frame(FINISHED), frame(b"", 8))
    command = [sys.executable, inspect.getfile(probe), "--url"]
    with serving(talk) as port:
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}"],
            env={"PYTHONIOENCODING": "ascii"},
            check=False,
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "")
    assert r"script_exception: kein Ger\xe4t \u2620" in done.stdout
