"""The probe in an app of many pages that do not behave: one time limit, and the worst page is named."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops.uptime.probe import Pages, Result, Wanted, probe
from tests.strange_servers import FINISHED, NEW_SESSION, asked, frame, serving, streaming, until_gone
from tests.streamlit_messages import at, finished, navigation, started

Run = Callable[[socket.socket, int], None]

ENOUGH_S = 3.0  # the first page and its moment of silence take no half of it


def say(*messages: bytes) -> Run:
    return lambda connection, _: connection.sendall(b"".join(map(frame, messages)))


FINE = say(NEW_SESSION, FINISHED)
RAISES = say(NEW_SESSION, at([0, 0], exception={"message": "bad"}).SerializeToString(), FINISHED)
ERROR_BOX = say(NEW_SESSION, at([0, 0], alert={"body": "no data", "format": 1}).SerializeToString(), FINISHED)
GARBAGE = say(b"\xff")


def hangs(connection: socket.socket, _: int) -> None:
    connection.sendall(frame(NEW_SESSION))
    until_gone(connection)


def hangs_up(connection: socket.socket, _: int) -> None:
    connection.close()


class App:
    """A first page that is fine, and others that `run` as they are told; notes what it was asked for."""

    def __init__(self, *runs: Run, pages: int = 0) -> None:
        self.asked: list[bytes] = []
        self._runs = runs
        names = [{"page_script_hash": f"{n:x}", "url_pathname": f"page{n}"} for n in range(1, (pages or len(runs)) + 1)]
        self._navigation = navigation({"page_script_hash": "0", "is_default": True}, *names, shown="0")

    def talk(self, connection: socket.socket) -> None:
        first = started(), self._navigation, finished()
        connection.sendall(b"".join(frame(message.SerializeToString()) for message in first))
        for number in range(10**6):
            self.asked.append(asked(connection))
            self._runs[number % len(self._runs)](connection, number)

    def probe(self, timeout_s: float = 20, pages: Pages = "all") -> Result:
        with serving(streaming(self.talk)) as port:
            return probe(f"http://127.0.0.1:{port}", Wanted(), timeout_s, pages=pages)


APPS = {
    "fine": (App(FINE, FINE), 20),
    "an exception": (App(RAISES, FINE, FINE), 20),
    "an error box": (App(ERROR_BOX, ERROR_BOX, FINE), 20),
    "the worst one decides": (App(ERROR_BOX, RAISES), 20),
    "it hangs up": (App(FINE, hangs_up), 20),
    "garbage": (App(GARBAGE, FINE), 20),
    "one that had most of the time": (App(hangs), ENOUGH_S),
    "one that had little time left": (App(FINE, FINE, hangs), ENOUGH_S),
    "ten thousand": (App(FINE, pages=9_990), ENOUGH_S),
    "more than any app has": (App(FINE, pages=10_001), 20),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """All of them at once: they wait."""
    with ThreadPoolExecutor(len(APPS)) as pool:
        visits = {name: pool.submit(app.probe, timeout_s) for name, (app, timeout_s) in APPS.items()}
    return {name: visit.result() for name, visit in visits.items()}


def test_pages_are_asked_for_as_by_who_clicks_on_them(results: dict[str, Result]):
    assert results["fine"].verdict == "up"
    app, _ = APPS["fine"]
    assert app.asked == [b"\x5a\x03\x1a\x011", b"\x5a\x03\x1a\x012"]  # by their hash, one after the other


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("an exception", ("down", "script_exception", "page1: bad")),
        ("an error box", ("degraded", None, "page1: error box: no data")),
        ("the worst one decides", ("down", "script_exception", "page2: bad")),
        ("it hangs up", ("down", "ws_refused", "page2: the connection was closed")),
        ("garbage", ("unknown", "proto", "page1: a protobuf number does not end")),
        ("one that had most of the time", ("down", "script_timeout", "page1: no end within the time given")),
        ("one that had little time left", ("unknown", "timeout", "page3: no time was left for page 4 of 4")),
    ],
)
def test_a_finding_begins_with_the_name_of_its_page(
    results: dict[str, Result], name: str, finding: tuple[str | None, ...]
):
    result = results[name]
    assert (result.verdict, result.reason, result.detail) == finding


def test_nobody_goes_on_after_a_page_that_is_down(results: dict[str, Result]):
    assert results["an exception"].verdict == "down"
    assert len(APPS["an exception"][0].asked) == 1


def test_the_phases_are_those_of_the_first_page(results: dict[str, Result]):
    """The second one was given more than half of the time: the first one took less."""
    spent = results["one that had most of the time"].ms.values()
    assert sum(ms or 0 for ms in spent) < ENOUGH_S * 1000 / 2


def test_ten_thousand_pages_end_with_the_time(results: dict[str, Result]):
    result = results["ten thousand"]
    assert (result.verdict, result.reason) == ("unknown", "timeout")
    assert str(result.detail).endswith("of 9991")


def test_more_pages_than_any_app_has_are_unknown_to_who_asks_for_them(results: dict[str, Result]):
    result = results["more than any app has"]
    assert (result.verdict, result.reason) == ("unknown", "proto")
    assert App(FINE, pages=10_001).probe(pages="first").verdict == "up"
