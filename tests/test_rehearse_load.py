"""The load that a rehearsal and the tests of deploys stand on: does it see what a visitor would?"""

import asyncio
import json
import time
from dataclasses import asdict

import pytest
from websockets.asyncio.server import serve

from ops.rehearse.load import Failure, Load, Run, RunWentWrong, Target, load, loaded, quantile, release_of, wrong
from ops.rehearse.loading import loading
from tests.streamlit_messages import at, finished, started

INDEX = b'HTTP/1.1 200 OK\r\ncontent-length: 21\r\nX-Release: r1\r\n\r\n<div id="root"></div>'


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        ("/", INDEX, ""),
        ("/", INDEX[:-3], "18 of 21 bytes"),
        ("/", b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 503 Service Unavailable"),
        ("/", b"", "the connection was closed without an answer"),
        ("/", b"HTTP/1.1 200 OK\r\n\r\n<p>other</p>", "another body: '<p>other</p>'"),
        ("/_stcore/health", b"HTTP/1.1 200 OK\r\n\r\nok", ""),
        # Streamlit answers any path it does not know with its index page.
        ("/_stcore/health", INDEX, "another body: '<div id=\"root\"></div>'"),
    ],
)
def test_an_answer_is_right_only_if_it_is_whole_and_the_one_asked_for(path, answer, expected):
    assert wrong(path, answer) == expected


def test_an_answer_names_its_release():
    assert release_of(INDEX) == "r1"
    assert release_of(b"HTTP/1.1 200 OK\r\n\r\nx-release: not a header\r\n") == "-"


def test_quantiles_are_values_that_were_measured():
    waits = [float(number) for number in range(1, 101)]
    assert (quantile(waits, 0.5), quantile(waits, 0.99), quantile([7.0], 0.99), quantile([], 0.5)) == (50, 99, 7, 0)


def messages(session_id="one", *others):
    first = started()
    first.new_session.initialize.session_id = session_id
    return [each.SerializeToString() for each in (first, *others, finished())]


def test_a_run_tells_its_session_and_its_end():
    run = Run()
    for message in messages("one", at([0], markdown={"body": "hello"})):
        assert not run.finished
        run.read(message)
    assert (run.session_id, run.finished) == (b"one", True)


def test_a_run_that_shows_an_exception_or_does_not_compile_went_wrong():
    with pytest.raises(RunWentWrong, match="no column revenue"):
        Run().read(at([0], exception={"message": "no column revenue"}).SerializeToString())
    with pytest.raises(RunWentWrong, match="does not compile"):
        Run().read(finished(1).SerializeToString())


def met_with(runs_of_connection, seconds=2.5):
    """The load of one session on a server that answers each run as a function says; where that is None, it closes."""

    async def play():
        connections = []

        async def handle(peer):
            connections.append(peer)
            count = 0
            async for _ in peer:
                count += 1
                answers = runs_of_connection(len(connections), count)
                if answers is None:
                    return
                for each in answers:
                    await peer.send(each)

        async with serve(handle, "127.0.0.1", 0, subprotocols=["streamlit"]) as server:
            port = server.sockets[0].getsockname()[1]
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(seconds, stop.set)
            return await load(Target("127.0.0.1", port, 1, 1), stop, time.monotonic)

    return asyncio.run(play())


def test_a_session_that_goes_on_as_itself_is_neither_lost_nor_cut():
    met = met_with(lambda _connection, _run: messages())
    assert (met.sessions, met.lost, met.cut) == (1, [], [])
    assert met.reruns > 1
    assert met.failed  # this server has no pages: the requests beside the session fail
    assert not met.unnoticed


def test_a_session_that_goes_on_as_another_one_is_lost():
    met = met_with(lambda connection, run: messages("one" if connection > 1 or run == 1 else "two"))
    assert [each.reason for each in met.lost] == ["the session was given another id: what it knew is gone"]
    assert (met.sessions, met.cut) == (2, [])


def test_a_session_that_is_closed_is_cut_and_another_one_is_opened():
    met = met_with(lambda connection, run: None if (connection, run) == (1, 2) else messages())
    assert [each.what for each in met.cut] == ["session"]
    assert (met.sessions, met.lost) == (2, [])


def test_where_nobody_listens_every_request_fails_and_no_session_is_counted(closed_port):
    async def play():
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.5, stop.set)
        return await load(Target("127.0.0.1", closed_port, 20, 2), stop, time.monotonic)

    met = asyncio.run(play())
    assert met.requests == len(met.failed) > 2
    assert (met.sessions, met.unnoticed) == (0, False)
    assert all("Refused" in each.reason for each in met.failed)


def test_a_load_without_a_single_request_or_run_proves_nothing():
    nothing = Load(0, [], 0, 0, 0, {}, 0, [], [], 0, 0, 0)
    silent = Load(10, [], 0, 0, 0, {}, 6, [], [], 0, 0, 0)
    assert not nothing.unnoticed
    assert not silent.unnoticed


def test_a_load_is_the_same_after_its_way_through_json():
    met = Load(1, [Failure(0.1, "GET /", "reset", 0.2)], 1, 2, 3, {"r1": 1}, 1, [], [Failure(1, "s", "r", 2)], 4, 5, 6)
    assert loaded(json.dumps(asdict(met))) == met


def test_the_load_as_a_process_of_its_own_says_when_no_session_opens(closed_port):
    target = Target("127.0.0.1", closed_port, 1, 1, open_within_s=0.5)
    with pytest.raises(RuntimeError, match="not every session"), loading(target):
        pass
