"""The server of a release on a real systemd host: what it lets in, how it leaves, and what it may not do."""

import http.client
import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from ops.onhost import layout
from tests.dashboard_on_host import Dashboard, counting, eventually, prepare
from tests.releases import in_render
from tests.visitor import Visitor

SERVE = "dashboard/serve.py"
pytestmark = pytest.mark.timeout(900)

ESCAPES = Path(__file__).with_name("escapes.py")
BROKEN = {
    "wrongserve": (lambda home: (home / SERVE).write_text("def (:\n"), "it ended before it was ready"),
    "lock": (in_render('    import re; re.match(r"(a+)+$", "a" * 60 + "b")'), "in page 'products': exit-code"),
    "forks": (in_render("    import os\n    while True: os.fork()"), "REFUSED: "),
    "memory": (in_render("    kept = bytearray(2 * 10**9)"), "in page 'products': "),
}


@pytest.fixture(scope="module")
def ready_image(make_image, deployed_image):
    return make_image("an environment for the dashboard", prepare, image=deployed_image)


@pytest.fixture
def dashboard(make_host, ready_image):
    """One release that serves, r1, on a host of its own."""

    def make(tmp_path, **settings):
        made = Dashboard(make_host(image=ready_image), **settings)
        made.release("r1", tmp_path, counting("r1"))
        made.serve("r1")
        return made

    return make


class Callers:
    """People who look at the first page again and again, each with a new connection."""

    def __init__(self, address, every_s=0.05):
        self.address, self.every_s = address, every_s
        self.answers, self.longest_s = Counter(), 0.0
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(4)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _call(self):
        while not self._ending.wait(self.every_s):
            began = time.monotonic()
            try:
                connection = http.client.HTTPConnection(self.address, 8501, timeout=60)
                connection.request("GET", "/", headers={"Connection": "close"})
                answer = connection.getresponse()
                whole = b'<div id="root">' in answer.read()
                self.answers[answer.status if whole else "cut"] += 1
            except (OSError, http.client.HTTPException) as error:  # also an answer that was cut in two
                self.answers[type(error).__name__] += 1
            self.longest_s = max(self.longest_s, time.monotonic() - began)


def test_what_holds_python_dies_or_multiplies_in_a_candidate_is_refused_with_a_reason_and_nobody_notices(
    dashboard, tmp_path
):
    made = dashboard(tmp_path)
    with Callers(made.host.address) as callers:
        for name, (change, reason) in BROKEN.items():
            made.release(name, tmp_path, change)
            assert made.start(name).status != 0, name
            said = made.journal(name)
            assert "REFUSED: " in said, (name, said)
            assert reason in said, (name, said)
            eventually(lambda name=name: made.shown(name, "ActiveState")["ActiveState"] in {"failed", "inactive"})
            made.forget(name)
    assert set(callers.answers) == {200}
    assert made.state("r1")["ready"]
    assert "most recent call first" in made.journal("lock")


def test_a_page_stays_whole_on_the_release_that_leaves_with_its_state_downloads_and_uploads(dashboard, tmp_path):
    made = dashboard(tmp_path)
    made.release("r2", tmp_path, counting("r2"))
    with Visitor(made.host.address) as visitor:
        visitor.run()
        visitor.run("products")
        made.serve("r2")
        made.leave("r1")
        eventually(lambda: (made.state("r1") or {}).get("draining"))
        assert made.ask("GET", "/")[:2] == (200, "r2")
        visitor.run("products")
        assert visitor.count() == 2
        download = visitor.element("download_button").url
        assert visitor.ask("GET", download) == (200, "r1", b"r1" * 100_000)
        part = visitor.ask("GET", download, headers={"Range": "bytes=0-9"})
        assert part == (206, "r1", b"r1" * 5)
        assert visitor.ask("GET", "/media/nobody-has-this.bin")[0] == 404
        status, release, path = visitor.upload(b"x" * 5_000_000)
        assert (status, release) == (204, "r1")
        assert visitor.ask("DELETE", path)[:2] == (204, "r1")
        assert visitor.ask("PUT", path.replace(path.split("/")[3], "0" * 36), b"")[0] in (400, 403)
        state = made.state("r1")
        assert (state["sessions"], state["draining"], state["release"]) == (1, True, "r1")
    eventually(lambda: made.shown("r1", "ActiveState")["ActiveState"] == "inactive")
    assert "0 sessions are cut" in made.journal("r1")
    assert made.shown("r1", "Result")["Result"] == "success"


def test_who_stays_too_long_is_cut_at_the_limit_and_at_once_where_nobody_can_wait(dashboard, tmp_path):
    made = dashboard(tmp_path, drain_minutes=0.05)
    made.release("r2", tmp_path)
    with Visitor(made.host.address) as visitor:
        visitor.run()
        made.serve("r2")
        made.leave("r1")
        eventually(lambda: made.shown("r1", "ActiveState")["ActiveState"] == "inactive")
    assert "the limit of 3 s has passed; 1 sessions are cut" in made.journal("r1")
    made.place_units()
    made.release("r3", tmp_path)
    with Visitor(made.host.address) as visitor:
        visitor.run()
        made.serve("r3")
        made.host.run(["touch", layout.RUN / "r2" / "at-once"])
        made.leave("r2")
        eventually(lambda: made.shown("r2", "ActiveState")["ActiveState"] == "inactive")
    assert "told not to wait; 1 sessions are cut" in made.journal("r2")


def test_the_current_release_comes_back_when_killed_frozen_or_out_of_memory_and_callers_wait(dashboard, tmp_path):
    made = dashboard(tmp_path, watchdog_s=9)
    with Callers(made.host.address) as callers:
        made.host.run(["systemctl", "kill", "-sKILL", "--kill-who=main", layout.unit("r1")], check=True)
        eventually(lambda: made.shown("r1", "NRestarts")["NRestarts"] == "1")
        eventually(lambda: made.state("r1"))
        eventually(lambda: made.shown("r1", "ActiveState")["ActiveState"] == "active")
    assert callers.answers[200]
    assert not callers.answers["ConnectionRefusedError"]
    made.host.run(["systemctl", "kill", "-sSTOP", "--kill-who=main", layout.unit("r1")], check=True)
    assert made.ask("GET", "/")[0] == 200
    assert made.shown("r1", "NRestarts")["NRestarts"] == "2"
    assert "Watchdog timeout" in made.journal("r1")
    ended = [json.loads(line) for line in made.journal("r1").splitlines() if line.startswith('{"event":"ended"')]
    assert [line["release"] for line in ended] == ["r1", "r1"]


def asked_thrice(visitor, page, query):
    """The first may take the end of a run before it, which came late, for its own."""
    for _ in range(3):
        visitor.run(page, query=query)


def test_a_live_release_that_takes_all_memory_is_ended_and_comes_back(dashboard, tmp_path):
    made = dashboard(tmp_path)
    hog = "    import streamlit as _s\n    if 'hog' in _s.query_params: kept = [b'x' * 10**6 for _ in range(2000)]"
    made.release("hog", tmp_path, in_render(hog))
    made.serve("hog")
    made.leave("r1")
    with Visitor(made.host.address) as visitor:
        visitor.run()
        with pytest.raises(ConnectionClosed):
            asked_thrice(visitor, "products", "hog=1")
    eventually(lambda: made.shown("hog", "NRestarts")["NRestarts"] == "1")
    assert made.ask("GET", "/")[:2] == (200, "hog")


def test_after_a_reboot_the_current_release_is_back_and_nobody_has_called_yet(dashboard, tmp_path):
    made = dashboard(tmp_path)
    with Visitor(made.host.address) as visitor:
        visitor.run()
        made.host.run("systemctl stop kpi-dashboard@r1 & sleep 0.2; touch /run/nologin; wait", check=True)
        assert "the host is going down; 1 sessions are cut" in made.journal("r1")
    made.host.reboot()
    eventually(lambda: made.shown("r1", "ActiveState")["ActiveState"] == "active")
    assert made.state("r1")["ready"]


def test_a_release_can_write_nothing_but_its_state_see_no_home_gain_no_right_and_open_no_namespace(dashboard, tmp_path):
    made = dashboard(tmp_path)
    made.host.put(layout.SECRETS, "A_SECRET=1\n", mode=0o600)
    made.release("escape", tmp_path, lambda home: (home / SERVE).write_text(ESCAPES.read_text()))
    made.start("escape")
    line = next(line for line in made.journal("escape").splitlines() if line.startswith('{"escaped"'))
    told = json.loads(line)
    assert told["escaped"] == []
    assert told["tried"] > 30
    assert told["state"] == "this"
    assert made.host.run(["test", "-e", "/tmp/of-the-release"]).status == 1
    analysed = made.host.run(["systemd-analyze", "security", "--threshold=12", layout.unit("r1")])
    assert analysed.status == 0, analysed.out[-500:]
