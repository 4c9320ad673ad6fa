"""How a release leaves, and what it passes on while another one does."""

import asyncio
import http.client
import json
from collections import Counter
from contextlib import asynccontextmanager

import pytest
import uvicorn

from dashboard.door import PrivateDoor, PublicDoor
from dashboard.drain import IDLE_S, Left, hurry_of, wait_for_the_last, why_leave
from dashboard.siblings import Answer, Siblings, is_missing, may_be_a_siblings, uploading_session
from dashboard.traffic import Traffic

NOBODY = Left(0, 0, 0)
IDLE = Left(0, 0, 2)
BUSY = Left(0, 1, 1)
OPEN = Left(3, 0, 3)
SESSION = "0a1b2c3d-0000-4000-8000-000000000000"
UPLOAD = f"/_stcore/upload_file/{SESSION}/f1"


@pytest.mark.parametrize(
    ("left", "waited_s", "empty_s", "hurry", "reason"),
    [
        (NOBODY, 0, 0, None, "nobody is left"),
        (OPEN, 899, 0, None, None),
        (OPEN, 900, 0, None, "the limit of 900 s has passed"),
        (BUSY, 5, 0, None, None),
        (IDLE, 5, IDLE_S - 1, None, None),
        (IDLE, 60, IDLE_S, None, "only idle connections are left"),
        (OPEN, 0, 0, "the host is going down", "the host is going down"),
    ],
)
def test_it_leaves_when_nobody_is_left_when_time_is_up_or_when_nobody_can_be_waited_for(
    left, waited_s, empty_s, hurry, reason
):
    assert why_leave(left, waited_s, empty_s, 900, hurry) == reason


def test_a_file_tells_it_not_to_wait(tmp_path):
    at_once, going_down = tmp_path / "at-once", tmp_path / "nologin"
    assert hurry_of(at_once, going_down) is None
    going_down.touch()
    assert hurry_of(at_once, going_down) == "the host is going down"
    at_once.touch()
    assert hurry_of(at_once, going_down) == "told not to wait"


def test_it_waits_for_the_last_session_and_tells_how_many_are_left():
    traffic, told = Traffic(sessions=2), []

    async def leave():
        waiting = asyncio.create_task(
            wait_for_the_last(traffic, lambda: traffic.sessions, lambda: None, 60, told.append)
        )
        for left in (1, 0):
            await asyncio.sleep(0.25)
            assert not waiting.done()
            traffic.sessions = left
        return await waiting

    assert asyncio.run(leave()) == "nobody is left"
    assert told == [2, 1]


def test_only_uploads_and_parts_of_pages_are_passed_on():
    assert uploading_session("PUT", UPLOAD) == uploading_session("DELETE", UPLOAD) == SESSION
    assert uploading_session("GET", UPLOAD) is None
    assert uploading_session("PUT", f"{UPLOAD}/more") is None
    assert uploading_session("PUT", "/_stcore/upload_file/../../x/f1") is None
    assert may_be_a_siblings("GET", "/media/a.bin")
    assert may_be_a_siblings("HEAD", "/static/js/a.js")
    assert not may_be_a_siblings("GET", "/")
    assert not may_be_a_siblings("POST", "/media/a.bin")


def test_streamlits_first_page_in_place_of_a_script_is_no_answer():
    html, script = [(b"content-type", b"text/html; charset=utf-8")], [(b"content-type", b"text/javascript")]
    assert is_missing("/static/js/old.js", Answer(200, html))
    assert not is_missing("/static/js/new.js", Answer(200, script))
    assert not is_missing("/static/index.html", Answer(200, html))
    assert is_missing("/media/a.bin", Answer(404, script))
    assert not is_missing("/media/page.html", Answer(200, html))


# --- two releases, each with its private socket, and one public port --------------------------------------------------


def app_of(name, sessions):
    """An app that has files and sessions of its own, and says what it was brought."""

    async def app(scope, receive, send):
        body, more = b"", scope["type"] == "http"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        session = uploading_session(scope["method"], scope["path"])
        found = scope["path"] == f"/media/{name}.bin" or session in sessions
        facts = {"of": name, "method": scope["method"], "query": scope["query_string"].decode(), "bytes": len(body)}
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        facts["range"], facts["kind"] = headers.get("range"), headers.get("content-type")
        answer = b"" if scope["method"] == "HEAD" else json.dumps(facts).encode()
        start = {"type": "http.response.start", "status": 200 if found else 404}
        await send({**start, "headers": [(b"content-length", b"%d" % len(answer)), (b"x-own", name.encode())]})
        await send({"type": "http.response.body", "body": answer})

    return app


@asynccontextmanager
async def serving(app, **where):
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", **where))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await running


def asked(port, method, path, body=None, headers=None, *, chunked=False):
    """One request to the public port: (status, release, facts)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {}, encode_chunked=chunked)
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, answer.getheader("x-release"), json.loads(data) if data else None
    finally:
        connection.close()


@asynccontextmanager
async def two_releases(tmp_path):
    """r2 has the public port; r1 drains and has a session. Gives a function that asks r2, and its traffic."""
    for name in ("r1", "r2"):
        (tmp_path / name).mkdir()
    traffic = Traffic()
    app1, app2 = app_of("r1", {SESSION}), app_of("r2", set())
    private = PrivateDoor(app1, "r1", lambda session: session == SESSION, Traffic(), lambda: {"release": "r1"}, print)
    siblings = Siblings(tmp_path / "r2" / "http.sock")
    public = PublicDoor(app2, "r2", traffic, lambda _: False, siblings)
    async with serving(private, uds=str(tmp_path / "r1" / "http.sock")), serving(public, port=0) as server:
        port = server.servers[0].sockets[0].getsockname()[1]

        async def ask(*request, **options):
            return await asyncio.to_thread(asked, port, *request, **options)

        yield ask, traffic


def test_what_the_new_release_lacks_is_answered_by_the_one_that_leaves(tmp_path):
    async def story():
        async with two_releases(tmp_path) as (ask, _):
            assert (await ask("GET", "/media/r2.bin"))[:2] == (200, "r2")
            status, release, facts = await ask("GET", "/media/r1.bin?a=1", None, {"Range": "bytes=0-9"})
            assert (status, release, facts["of"]) == (200, "r1", "r1")
            assert (facts["query"], facts["range"]) == ("a=1", "bytes=0-9")
            assert await ask("HEAD", "/media/r1.bin") == (200, "r1", None)
            status, release, facts = await ask("GET", "/media/nobodys.bin")
            assert (status, release, facts["of"]) == (404, "r2", "r2")

    asyncio.run(story())


def test_a_file_of_any_kind_of_body_is_brought_to_the_release_that_has_the_session(tmp_path):
    async def story():
        async with two_releases(tmp_path) as (ask, _):
            big = b"x" * 3_000_000
            kind = {"Content-Type": "multipart/form-data; boundary=b"}
            status, release, facts = await ask("PUT", UPLOAD, big, kind)
            assert (status, release, facts["bytes"], facts["kind"]) == (200, "r1", len(big), kind["Content-Type"])
            pieces = iter([b"one", b"two"])
            status, _, facts = await ask("PUT", UPLOAD, pieces, {"Transfer-Encoding": "chunked"}, chunked=True)
            assert (status, facts["bytes"]) == (200, 6)
            assert (await ask("DELETE", UPLOAD))[:2] == (200, "r1")
            unknown = UPLOAD.replace(SESSION, "f" * 36)
            assert (await ask("PUT", unknown, b"x"))[:2] == (404, "r2")

    asyncio.run(story())


def test_who_leaves_closes_each_connection_with_its_answer_and_counts_none_that_has_ended(tmp_path):
    async def story():
        async with two_releases(tmp_path) as (ask, traffic):
            traffic.draining = True
            assert (await ask("GET", "/media/r2.bin"))[0] == 200
            assert (traffic.requests, traffic.sessions) == (0, 0)

    asyncio.run(story())


def answers(door, scope):
    """What a door sends for a request without a body."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(door({"type": "http", "query_string": b"", "headers": [], **scope}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_state_and_sessions_are_told_on_the_private_socket_only():
    app = app_of("r1", set())
    private = PrivateDoor(app, "r1", lambda session: session == SESSION, Traffic(), lambda: {"release": "r1"}, print)
    public = PublicDoor(app, "r1", Traffic(), lambda _: True)
    state = {"method": "GET", "path": "/state"}
    assert answers(private, state)[0::2] == (200, b'{"release": "r1"}')
    assert answers(public, state)[0] == 404
    there, gone = ({"method": "GET", "path": f"/sessions/{session}"} for session in (SESSION, "other"))
    assert [answers(private, scope)[0] for scope in (there, gone)] == [200, 404]
    assert answers(public, there)[0] == 404


def test_every_answer_names_its_release_and_the_last_one_of_a_connection_says_so():
    traffic = Traffic()
    public = PublicDoor(app_of("r1", set()), "r1", traffic, lambda _: True)
    scope = {"method": "GET", "path": "/media/r1.bin"}
    assert answers(public, scope)[1][b"x-release"] == b"r1"
    assert b"connection" not in answers(public, scope)[1]
    traffic.draining = True
    assert answers(public, scope)[1][b"connection"] == b"close"


def test_an_open_page_is_a_session_on_the_public_door_and_none_on_the_private_one():
    counted = []
    traffic = Traffic()

    async def app(*_):
        counted.append(traffic.sessions)

    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": []}
    for door in (PublicDoor(app, "r", traffic, bool), PrivateDoor(app, "r", bool, traffic, dict, print)):
        asyncio.run(door(scope, None, None))
    assert counted == [1, 0]
    assert traffic.sessions == 0


def test_an_app_that_does_not_start_is_told_of():
    heard = []

    async def app(*_):
        raise ValueError("no")

    door = PrivateDoor(app, "r", bool, Traffic(), dict, heard.append)
    with pytest.raises(ValueError, match="no"):
        asyncio.run(door({"type": "lifespan"}, None, None))
    assert Counter(map(type, heard)) == {ValueError: 1}
