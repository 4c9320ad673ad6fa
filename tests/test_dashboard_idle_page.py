"""Pages that stay open while their release leaves: who is sent to the new one, and who is left in peace."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.door import PrivateDoor
from dashboard.idle_page import IDLE_S, SERVICE_RESTART, IdlePage
from dashboard.traffic import Traffic
from tests.systemd_stand_in import Port, release_home, started

CHROMIUM = Path("/usr/bin/chromium")
SESSION = "0f0f0f0f-1111-2222-3333-444444444444"


def heard(*, by_itself):
    message = BackMsg()
    message.rerun_script.is_auto_rerun = by_itself
    message.rerun_script.SetInParent()
    return {"type": "websocket.receive", "bytes": message.SerializeToString()}


def named():
    message = ForwardMsg()
    message.new_session.initialize.session_id = SESSION
    return {"type": "websocket.send", "bytes": message.SerializeToString()}


CLICK, LOOK = heard(by_itself=False), heard(by_itself=True)


def told(page_open_s, messages, *, draining=True, opened=True):
    """What an app hears of (second, message), and what the browser is sent."""
    traffic, now_s, sent, got = Traffic(draining=draining), [0.0], [], []
    coming = iter(messages)

    async def receive():
        now_s[0], message = next(coming)
        return message

    async def send(message):
        sent.append(message)

    async def story():
        page = IdlePage(traffic, receive, send, lambda: now_s[0])
        if opened:
            await page.said(named())
        got.extend([(await page.heard())["type"] for _ in messages])
        await page.said({"type": "websocket.send", "bytes": b""})

    now_s[0] = page_open_s
    asyncio.run(story())
    return got, [message for message in sent if message["type"] == "websocket.close"], traffic.sent_away


def test_a_page_that_nobody_touched_for_a_while_is_sent_to_the_new_release():
    got, closed, away = told(0, [(1, CLICK), (1 + IDLE_S, LOOK)])
    assert got == ["websocket.receive", "websocket.disconnect"]
    assert closed == [{"type": "websocket.close", "code": SERVICE_RESTART}]
    assert away == {SESSION}


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([(IDLE_S, CLICK), (2 * IDLE_S - 1, LOOK)], {}),
        ([(2 * IDLE_S, CLICK)], {}),
        ([(2 * IDLE_S, LOOK)], {"draining": False}),
        ([(2 * IDLE_S, LOOK)], {"opened": False}),
        ([(2 * IDLE_S, {"type": "websocket.receive", "bytes": b"\xff\xff"})], {}),
        ([(2 * IDLE_S, {"type": "websocket.receive", "text": "hello"})], {}),
        ([(IDLE_S - 1, LOOK), (IDLE_S - 0.5, LOOK)], {}),
    ],
    ids=["touched", "a click", "no release leaves", "no session yet", "no message", "text", "not long enough"],
)
def test_any_other_page_is_left_in_peace(messages, options):
    got, closed, away = told(0, messages, **options)
    assert set(got) == {"websocket.receive"}
    assert (closed, away) == ([], set())


def test_a_page_that_was_sent_away_is_not_called_back_to_the_release_that_leaves():
    traffic = Traffic(sent_away={SESSION})
    door = PrivateDoor(None, "r1", lambda _: True, traffic, dict, print)
    sent = []

    async def send(message):
        sent.append(message)

    async def story(session):
        await door({"type": "http", "path": f"/sessions/{session}"}, None, send)

    asyncio.run(story(SESSION))
    asyncio.run(story("another"))
    assert [message["status"] for message in sent if "status" in message] == [404, 200]


def impatient(home):
    """A release whose pages look for news every second, and count as left alone after as long."""
    for name, slow, quick in (("app", "LOOK_AGAIN_S = 60", "LOOK_AGAIN_S = 1"), ("idle_page", "= 60.0", "= 1.0")):
        file = home / "dashboard" / f"{name}.py"
        text = file.read_text()
        assert slow in text
        file.write_text(text.replace(slow, quick))


@pytest.mark.usefixtures("quiet_network")
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium")
def test_a_browser_left_alone_shows_the_new_release_with_what_was_chosen(sample_snapshot_dir):
    with tempfile.TemporaryDirectory(prefix="kpi") as directory, sync_playwright() as playwright:
        base, port = Path(directory), Port()
        home = release_home(base / "home", impatient)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        with started(base, "r1", home, port, sample_snapshot_dir) as old:
            assert old.wait_for("READY=1")
            page.goto(f"http://127.0.0.1:{port.number}/operations?window=90d")
            expect(page.locator("td", has_text="r1").first).to_be_attached(timeout=20_000)
            with started(base, "r2", home, port, sample_snapshot_dir) as new:
                assert new.wait_for("READY=1")
                old.stop()
                expect(page.locator("td", has_text="r2").first).to_be_attached(timeout=20_000)
                assert page.url.endswith("/operations?window=90d")
                assert old.wait_for("draining release r1, 0 sessions left")
        browser.close()
        port.socket.close()
