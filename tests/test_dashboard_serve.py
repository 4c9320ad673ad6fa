"""The server as a real process: readiness, its messages, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard.data import LastGood
from dashboard.health import ScriptHealth
from dashboard.readiness import readiness
from etl.contract import METADATA, SCHEMA_VERSION
from etl.store import DirectoryStore

LINES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,A,TEAPOT,2,2024-02-28 10:00:00,3.50,100,UK
2,B,CUP,1,2024-02-29 11:00:00,1.25,101,UK
"""
SERVING = re.compile(r"^serving (http://127\.0\.0\.1:\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shop")
    source, out = directory / "sales.csv", directory / "snapshot"
    source.write_text(LINES)
    subprocess.run([sys.executable, "-m", "etl", "--source", source, "--out", out], check=True, capture_output=True)
    return out


def command(store: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "dashboard.serve", "--store", str(store), "--port", "0", *options]


@contextmanager
def server(store: Path, log: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its URL, as soon as it says that it serves."""
    environment = {**os.environ, "KPI_RELEASE": "r42"}
    with (
        log.open("wb") as out,
        subprocess.Popen(command(store, *options), stdin=subprocess.PIPE, stderr=out, env=environment) as process,
    ):
        try:
            yield process, _url(process, log)
        finally:
            process.kill()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        if found := SERVING.search(log.read_text()):
            return found.group(1)
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    pytest.fail(f"it did not begin to serve: {log.read_text()}")


def ready(url: str) -> tuple[int, dict[str, Any]]:
    """The answer of /readyz, once the first attempt to read the store has ended."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                status, facts = answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            status, facts = answer.code, json.load(answer)
        if facts["run_id"] or facts["store_problem"]:
            break
        time.sleep(0.05)
    return status, facts


def test_it_says_what_it_serves_and_ends_within_two_seconds_of_a_signal(shop: Path, tmp_path: Path):
    log = tmp_path / "log"
    with server(shop, log) as (process, url):
        status, facts = ready(url)
        assert status == 200
        assert facts["run_id"] == json.loads((shop / METADATA).read_text())["run_id"]
        assert (facts["data_through"], facts["release"], facts["store"]) == ("2024-02-29", "r42", str(shop))
        assert (facts["last_script_error"], facts["store_problem"]) == (None, None)
        assert facts["age_s"] >= 0
        assert facts["contract"] == SCHEMA_VERSION
        with urllib.request.urlopen(url, timeout=5) as page:
            assert page.headers["x-release"] == "r42"
            assert b"<title>" in page.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=2) == 0
    assert log.read_text() == f"serving {url}\n"


def test_it_ends_with_its_parent_when_stdin_closes(shop: Path, tmp_path: Path):
    log = tmp_path / "log"
    with server(shop, log, "--until-stdin-closes") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=3) == 0
    assert "Traceback" not in log.read_text()


def test_an_interrupt_while_stdin_is_watched_ends_it_quietly(shop: Path, tmp_path: Path):
    log = tmp_path / "log"
    with server(shop, log, "--until-stdin-closes") as (process, url):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=3) == 0
    assert log.read_text() == f"serving {url}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_still_imports_ends_it_quietly(shop: Path, tmp_path: Path, number: signal.Signals):
    log = tmp_path / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen([sys.executable, "-v", *command(shop)[1:]], stdin=subprocess.PIPE, stderr=out) as process,
    ):
        while b"import 'argparse'" not in log.read_bytes():  # the first of many that follow the handlers
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
    assert b"Traceback" not in log.read_bytes()


def test_without_data_it_serves_and_is_not_ready(tmp_path: Path):
    with server(tmp_path / "nothing", tmp_path / "log") as (_, url):
        status, facts = ready(url)
        assert (status, facts["ready"], facts["run_id"]) == (503, False, None)
        assert facts["store_problem"].startswith("there is no")


def test_a_taken_port_is_one_message_and_status_3(shop: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*command(shop), "--port", port], capture_output=True, text=True, timeout=30, check=False
        )
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (["--port", "70000"], {}, "cannot listen on 127.0.0.1 port 70000"),
        (["--port", "http"], {}, "invalid int value"),
        (["--address", "203.0.113.1"], {}, "cannot listen on 203.0.113.1"),
        (["--store", "ftp://x/y"], {}, "has an unknown form"),
        ([], {"KPI_DASHBOARD__PORT": "x"}, "dashboard.port = 'x'"),
    ],
    ids=["port too high", "port no number", "address of another", "store unknown", "setting wrong"],
)
def test_what_cannot_be_served_is_one_message_and_status_3(
    shop: Path, options: list[str], variables: dict[str, str], said: str
):
    ended = subprocess.run(
        [*command(shop), *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **variables},
    )
    assert ended.returncode == 3
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_script_error_makes_it_unready_until_a_run_is_good(shop: Path):
    now = datetime(2030, 1, 1, tzinfo=UTC)
    held = LastGood(DirectoryStore(shop), refresh_s=60, clock=lambda: now)
    assert readiness(held, None, "r1", now)["ready"] is False
    held.refresh()
    script = ScriptHealth()
    assert readiness(held, script.last_error, "r1", now)["ready"] is True
    script.failed(ValueError("oh"))
    facts = readiness(held, script.last_error, "r1", now)
    assert (facts["ready"], facts["last_script_error"]) == (False, "ValueError: oh")
    script.passed()
    assert readiness(held, script.last_error, "r1", now)["ready"] is True
