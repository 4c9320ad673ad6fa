"""`make bench BENCH=dashboard`: the served Overview beside the same page as the usual guide has it."""

import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

ROOT: Final = Path(__file__).resolve().parents[2]
PERIODS: Final = ("7d", "28d", "90d", "All")
RERUNS: Final = 40
OPEN_SESSIONS: Final = 100
AT_ONCE: Final = 5
CHURN: Final = 600
SERIES: Final = 3
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
OURS: Final = re.compile(r"^serving http://127\.0\.0\.1:(\d+)$", re.MULTILINE)
NAIVE: Final = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Measured:
    """One series. Milliseconds, MB, seconds."""

    first_page_s: float
    rss_first_mb: float
    cpu_ms: float
    rss_open_mb: float
    p50_ms: float
    churn_mb: float


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves, and its port."""

    pid: int
    port: int

    @property
    def cpu_s(self) -> float:
        """Used since its start."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    @property
    def rss_mb(self) -> float:
        """Resident now."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1000 if found else 0.0


def _commands(store: Path, port: int) -> dict[str, tuple[list[str], dict[str, str], re.Pattern[str]]]:
    ours = [sys.executable, "-m", "dashboard.serve", "--store", str(store), "--port", str(port)]
    options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
    quiet = ["--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"]
    app = str(ROOT / "tests" / "bench" / "naive_app.py")
    naive = [sys.executable, "-m", "streamlit", "run", app, *options, *quiet]
    return {"kpi-ops": (ours, {}, OURS), "naive": (naive, {"NAIVE_STORE": str(store)}, NAIVE)}


@contextmanager
def _served(name: str, store: Path, directory: Path, port: int) -> Iterator[Server]:
    command, environment, address = _commands(store, port)[name]
    log = directory / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=out, stderr=out)
    try:
        while not address.search(log.read_text()):
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.02)
        yield Server(process.pid, port)
    finally:
        process.terminate()
        process.wait(15)
    if "Traceback" in log.read_text():
        raise RuntimeError(log.read_text())


def _session(server: Server) -> connect:
    return connect(
        f"ws://127.0.0.1:{server.port}/_stcore/stream",
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
        proxy=None,
        open_timeout=30,
    )


async def _run(session: ClientConnection, period: str) -> float:
    """Have the page run for a period; seconds until it is finished."""
    message = BackMsg()
    message.rerun_script.query_string = f"period={period}"
    began = time.perf_counter()
    await session.send(message.SerializeToString())
    drawn = 0
    while True:
        told = ForwardMsg()
        told.ParseFromString(await asyncio.wait_for(session.recv(decode=False), 30))
        drawn += told.WhichOneof("type") in {"delta", "ref_hash"}
        if told.WhichOneof("type") == "script_finished" and told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            if drawn < len(PERIODS):
                raise RuntimeError("the page drew nothing")
            return time.perf_counter() - began


async def _measured(server: Server, began: float) -> Measured:
    async with _session(server) as first:
        await _run(first, PERIODS[1])
        first_page_s, rss_first = time.perf_counter() - began, server.rss_mb
        for period in PERIODS * 2:
            await _run(first, period)
        cpu = server.cpu_s
        for number in range(RERUNS):
            await _run(first, PERIODS[number % len(PERIODS)])
        cpu_ms = (server.cpu_s - cpu) * 1000 / RERUNS
    async with AsyncExitStack() as opened:
        sessions = [await opened.enter_async_context(_session(server)) for _ in range(OPEN_SESSIONS)]
        for session in sessions:
            await _run(session, PERIODS[1])
        rss_open = server.rss_mb
        waits: list[float] = []
        for number in range(RERUNS // AT_ONCE):
            chosen = sessions[number * AT_ONCE : (number + 1) * AT_ONCE]
            waits += await asyncio.gather(*(_run(each, PERIODS[number % len(PERIODS)]) for each in chosen))
    before = server.rss_mb
    for _ in range(CHURN):
        async with _session(server) as session:
            await _run(session, PERIODS[1])
    return Measured(first_page_s, rss_first, cpu_ms, rss_open, statistics.median(waits) * 1000, server.rss_mb - before)


def beside_naive(store: Path, directory: Path) -> str:
    """The table. Each series has servers of its own, on free ports of this machine."""
    found: dict[str, list[Measured]] = {"kpi-ops": [], "naive": []}
    for _ in range(SERIES):
        for name, series in found.items():
            began = time.perf_counter()
            with _served(name, store, directory, _free_port()) as server:
                series.append(asyncio.run(_measured(server, began)))
    lines = [
        f"Medians of {SERIES} series in turn.",
        "",
        "| | kpi-ops | naive | ratio | goal |",
        "|---|---|---|---|---|",
    ]
    for words, field, goal in _ROWS:
        ours, theirs = (_median(series, field) for series in found.values())
        ratio = f"{ours / theirs:.2f}" if theirs > 0 else "n/a"
        lines.append(f"| {words} | {ours:.1f} | {theirs:.1f} | {ratio} | {goal} |")
    return "\n".join(lines)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


_ROWS: Final = (
    ("start to first finished page, s", "first_page_s", "3"),
    ("RSS after the first page, MB", "rss_first_mb", "215"),
    ("server CPU of a warm rerun, ms", "cpu_ms", "35, and 0.35x"),
    (f"RSS with {OPEN_SESSIONS} sessions, MB", "rss_open_mb", "240"),
    (f"rerun, {AT_ONCE} at once, {OPEN_SESSIONS} sessions open, p50 ms", "p50_ms", "0.3x"),
    (f"{CHURN} sessions opened and closed: grows by, MB", "churn_mb", "15"),
)


def _median(series: Sequence[Measured], field: str) -> float:
    return statistics.median(getattr(each, field) for each in series)
