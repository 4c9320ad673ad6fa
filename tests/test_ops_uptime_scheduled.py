"""A run of the schedule as a whole: looked, recorded, told, reported, against servers on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ops.settings import AlertSettings, DashboardSettings, Settings, TargetSettings, UptimeSettings
from ops.uptime import releases
from ops.uptime.probe import PHASES, Result, Target, Wanted
from ops.uptime.record import Sample
from ops.uptime.scheduled import Done, GitHub, World, _live, scheduled

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


class Site(ThreadingHTTPServer):
    """Answers with what it is told to, and keeps what is posted."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.release: str | None = "a1"
        self.posted: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        site = self.server
        ready = {"ready": True, "run_id": "r", "release": site.release}
        body = json.dumps(ready).encode() if self.path == "/readyz" and site.release else b"<html>"
        self._answer(200 if self.path == "/readyz" else site.status, body)

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
        self._answer(200, b"ok")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running() -> Iterator[Site]:
    with Site() as site:
        thread = Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as found:
        yield found


def settings_of(directory: Path, site: Site) -> Settings:
    targets = (
        TargetSettings(name="api", kind="http", url=f"{site.url}/orders"),
        TargetSettings(name="data", kind="data"),
    )
    return Settings(
        uptime=UptimeSettings(directory=directory / "uptime", report=directory / "uptime.md", targets=targets),
        dashboard=DashboardSettings(store=str(directory / "nothing")),
        alerts=AlertSettings(webhook=f"{site.url}/hook", github=True, repository="me/shop"),
    )


def run(settings: Settings, at: datetime) -> Done:
    return scheduled(settings, World(at, "7", GitHub(), sleep=lambda _s: None, warnings=["the moon is full"]))


def test_a_run_looks_records_tells_and_reports(tmp_path: Path, site: Site):
    settings = settings_of(tmp_path, site)
    assert run(settings, NOON).verdicts == {"api": "up", "data": "down"}
    site.status = 500
    run(settings, NOON + HALF_HOUR)
    done = run(settings, NOON + 2 * HALF_HOUR)
    assert done.verdicts == {"api": "down", "data": "down"}
    assert any("api: down" in line and "HTTP 500" in line for line in done.lines)
    assert len([text for text in site.posted if "api" in text]) == 1
    report = (tmp_path / "uptime.md").read_text("utf-8")
    assert "HTTP 500" in report
    assert "the moon is full" in report
    assert "GITHUB_TOKEN is not set" in report
    site.status = 200
    for later in (3, 4, 5):
        run(settings, NOON + later * HALF_HOUR)
    assert len([text for text in site.posted if "api" in text]) == 2


def test_writing_the_report_again_changes_nothing(tmp_path: Path, site: Site):
    done = run(settings_of(tmp_path, site), NOON)
    before = (tmp_path / "uptime.md").read_bytes()
    done.rewrite()
    assert (tmp_path / "uptime.md").read_bytes() == before


@pytest.mark.parametrize(
    ("verdict", "release", "expected"),
    [("up", "a1", ["a1"]), ("degraded", "b2", ["b2"]), ("down", "a1", []), ("up", None, [])],
)
def test_a_page_of_ours_says_which_release_it_is(site: Site, verdict: str, release: str | None, expected: list[str]):
    """Another's has no /readyz, or answers there with its page."""
    site.release = release
    target = Target("dashboard", site.url, Wanted(), "host")
    result = Result(verdict, None, None, None, dict.fromkeys(PHASES))
    sample = Sample(at=NOON, target="dashboard", by="host", run=None, result=result)
    assert [found.name for found in _live([target], [sample], NOON)] == expected


def test_without_a_page_there_is_no_release(tmp_path: Path, site: Site):
    run(settings_of(tmp_path, site), NOON)
    assert releases.read(tmp_path / "uptime") == []
