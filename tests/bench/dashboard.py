"""The dashboard beside the same page as people write it (naive_app.py), against the goals of docs/performance.md.

CPU and memory are the servers' own, from /proc: Linux only. Both are asked in turn: the machine's moods fall on both.
"""

import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tests.bench.big_shop import publish_big_shop
from tests.open_page import OpenPage

STARTS = 3
RERUN_BLOCKS, RERUNS_A_BLOCK = 5, 20
SESSIONS_OPEN = 100
AT_ONCE, RERUNS_OF_EACH = 5, 12
SESSIONS_CLOSED = {"ours": 600, "naive": 150}  # the naive app would take two minutes for as many
BIG_RERUNS_A_PAGE = 20
PERIODS = ("7d", "28d", "90d", "12m", "All")
CHROMIUM = "/usr/bin/chromium"
LONGEST_START_S = 60

MIB = 2**20
GIVE_UP_S = 120
QUIET_S = 5  # after the first chart: what else is loaded
NAIVE = Path(__file__).with_name("naive_app.py")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Server:
    """A running app: its address, and what its process has used."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", url: str, began_s: float) -> None:
        self.name, self.url = name, url
        self._process, self._began_s = process, began_s

    @property
    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    @property
    def rss_mib(self) -> float:
        """Resident memory now."""
        resident = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(resident) * os.sysconf("SC_PAGE_SIZE") / MIB

    async def first_page_s(self, page: str = "") -> float:
        """From the start of the process to the first finished page: a browser that tries until it is let in."""
        while True:
            try:
                async with OpenPage(self.url, limit_s=GIVE_UP_S) as visitor:
                    await visitor.open(page)
                    while "Data through" not in visitor.drawn.words():
                        await visitor.open(page)
                    return time.perf_counter() - self._began_s
            except OSError:
                if time.perf_counter() - self._began_s > LONGEST_START_S:
                    raise
                await asyncio.sleep(0.02)


@contextmanager
def started(name: str, store: Path) -> Iterator[Server]:
    """`ours` or `naive` on a free port, stopped at the end."""
    port = _free_port()
    environment = {**os.environ, "NAIVE_DATA": str(store), "PYTHONUNBUFFERED": "1"}
    ours = ["-m", "dashboard.serve", "--store", str(store), "--port", str(port)]
    naive = ["-m", "streamlit", "run", str(NAIVE), "--server.headless=true", f"--server.port={port}"]
    naive += ["--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]
    began_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *(ours if name == "ours" else naive)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        try:
            yield Server(name, process, f"http://127.0.0.1:{port}", began_s)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


# --- what is measured


@dataclass(slots=True)
class Found:
    """Of one app."""

    start_s: list[float] = field(default_factory=list)
    first_rss_mib: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rerun_ms: list[float] = field(default_factory=list)
    open_rss_mib: float = 0
    at_once_ms: list[float] = field(default_factory=list)
    grown_mib: float = 0
    wire_mib: float | None = None
    wire_requests: int = 0


async def _starts(store: Path, found: dict[str, Found]) -> None:
    for _ in range(STARTS):
        for name, of in found.items():
            with started(name, store) as server:
                of.start_s.append(await server.first_page_s())
                of.first_rss_mib.append(server.rss_mib)


async def _warm(servers: Sequence[Server], found: dict[str, Found]) -> None:
    """Reruns of one visitor who changes the period, in blocks, each app in turn; what is cached is cached by then."""
    for server in servers:
        await server.first_page_s()
    async with AsyncExitStack() as stack:
        visitors = {each.name: await stack.enter_async_context(OpenPage(each.url)) for each in servers}
        for server in servers:
            await visitors[server.name].open()
            for period in (*PERIODS, *PERIODS):
                await visitors[server.name].choose("period", period)
        for _ in range(RERUN_BLOCKS):
            for server in servers:
                before_s = server.cpu_s
                for turn in range(RERUNS_A_BLOCK):
                    took_s = await visitors[server.name].choose("period", PERIODS[turn % len(PERIODS)])
                    found[server.name].rerun_ms.append(took_s * 1000)
                found[server.name].cpu_ms.append((server.cpu_s - before_s) * 1000 / RERUNS_A_BLOCK)


async def _many(servers: Sequence[Server], found: dict[str, Found]) -> None:
    """Sessions that stay open, and of them some that all click at once, each as soon as it was answered."""
    async with AsyncExitStack() as stack:
        opened: dict[str, list[OpenPage]] = {each.name: [] for each in servers}
        for _ in range(SESSIONS_OPEN):
            for server in servers:
                visitor = await stack.enter_async_context(OpenPage(server.url))
                await visitor.open()
                opened[server.name].append(visitor)
        for server in servers:
            found[server.name].open_rss_mib = server.rss_mib
        for _ in range(RERUNS_OF_EACH // 4):
            for server in servers:
                some = opened[server.name][:AT_ONCE]
                for each in await asyncio.gather(*(_clicks(visitor, place) for place, visitor in enumerate(some))):
                    found[server.name].at_once_ms += each


async def _clicks(visitor: OpenPage, place: int) -> list[float]:
    return [1000 * await visitor.choose("period", PERIODS[(place + turn) % len(PERIODS)]) for turn in range(4)]


async def _come_and_go(servers: Sequence[Server], found: dict[str, Found]) -> None:
    """Sessions that are opened, shown their page, and closed."""
    before = {each.name: each.rss_mib for each in servers}
    for server in servers:
        for _ in range(SESSIONS_CLOSED[server.name] // AT_ONCE):
            await asyncio.gather(*(_glance(server.url) for _ in range(AT_ONCE)))
        found[server.name].grown_mib = server.rss_mib - before[server.name]


async def _glance(url: str) -> None:
    async with OpenPage(url) as visitor:
        await visitor.open()


async def _wire(servers: Sequence[Server], found: dict[str, Found]) -> None:
    """A first visit with an empty cache: all that comes over the wire, as it was packed."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for server in servers:
            page = await (await browser.new_context()).new_page()
            network = await page.context.new_cdp_session(page)
            sizes: list[float] = []
            network.on("Network.loadingFinished", lambda event, to=sizes: to.append(event["encodedDataLength"]))
            network.on(
                "Network.webSocketFrameReceived",
                lambda event, to=sizes: to.append(len(event["response"]["payloadData"]) * 3 / 4),  # base64
            )
            await network.send("Network.enable")
            await page.goto(server.url)
            await page.locator(".js-plotly-plot").first.wait_for(state="attached", timeout=GIVE_UP_S * 1000)
            await asyncio.sleep(QUIET_S)
            found[server.name].wire_mib, found[server.name].wire_requests = sum(sizes) / MIB, len(sizes)
            await page.context.close()
        await browser.close()


@dataclass(slots=True)
class Big:
    """Of the shop of 10 years and 300,000 customers."""

    first_s: float = 0
    pages_ms: dict[str, float] = field(default_factory=dict)
    rerun_ms: list[float] = field(default_factory=list)
    rss_mib: float = 0


async def _big(store: Path) -> Big:
    """The first page; every page once; and reruns on each page, a bound widget being changed each time."""
    big = Big()
    with started("ours", store) as server:
        big.first_s = await server.first_page_s()
        async with OpenPage(server.url) as visitor:
            await visitor.open()
            pages = ["", *(entry.name for entry in visitor.drawn.entries()[1:])]
            for page in pages:
                big.pages_ms[page or "overview"] = 1000 * await visitor.open(page)
                choices = [(each.key, option) for each in visitor.drawn.widgets() for option in each.options]
                wanted = [(key, option) for key, option in choices if option != "Custom"]
                for turn in range(BIG_RERUNS_A_PAGE if wanted else 0):
                    key, option = wanted[turn % len(wanted)]
                    big.rerun_ms.append(1000 * await visitor.choose(key, option))
                if visitor.drawn.wrong:
                    raise SystemExit(f"the big shop: {page or 'overview'} shows {visitor.drawn.wrong}")
        big.rss_mib = server.rss_mib
    return big


# --- what is said of it


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[max(0, round(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table: what was found of ours and of the naive app, and whether ours is at most the goal."""

    what: str
    ours: float | None
    naive: float | None
    goal: float | None
    unit: str

    def markdown(self) -> str:
        """One row."""
        ratio = f"{self.ours / self.naive:.2f}" if self.ours is not None and self.naive else ""
        verdict = "" if self.goal is None or self.ours is None else "met" if self.ours <= self.goal else "**missed**"
        goal = "" if self.goal is None else f"<= {self.goal:g} {self.unit}"
        return f"| {self.what} | {self._said(self.ours)} | {self._said(self.naive)} | {ratio} | {goal} | {verdict} |"

    def _said(self, value: float | None) -> str:
        return "" if value is None else f"{value:.{0 if abs(value) >= 20 else 2}f} {self.unit}"


def _lines(ours: Found, naive: Found, big: Big) -> list[Line]:
    def both(what: str, figure: str, goal: float | None, unit: str) -> Line:
        values = [getattr(each, figure) for each in (ours, naive)]
        mine, theirs = (statistics.median(each) if isinstance(each, list) else each for each in values)
        return Line(what, mine, theirs, goal, unit)

    cpu = both("server CPU per warm rerun", "cpu_ms", 35, "ms")
    closed = f"{SESSIONS_CLOSED['ours']} (naive: {SESSIONS_CLOSED['naive']})"
    at_once = both(f"p50 rerun, {AT_ONCE} at once, {SESSIONS_OPEN} sessions open", "at_once_ms", None, "ms")
    return [
        cpu,
        Line("... ours / naive", _ratio(cpu), None, 0.35, ""),
        both("p50 rerun, one visitor", "rerun_ms", None, "ms"),
        at_once,
        Line("... ours / naive", _ratio(at_once), None, 0.3, ""),
        both("RSS after the first page", "first_rss_mib", 215, "MiB"),
        both(f"RSS with {SESSIONS_OPEN} sessions", "open_rss_mib", 240, "MiB"),
        both(f"{closed} sessions opened and closed: grown by", "grown_mib", 15, "MiB"),
        both("start to first finished page", "start_s", 3, "s"),
        both("first visit over the wire", "wire_mib", 4, "MiB"),
        Line("10 years, 300,000 customers: start to first page", big.first_s, None, 4, "s"),
        Line("... rerun p95, all pages", _percentile(big.rerun_ms, 0.95), None, 300, "ms"),
        Line("... RSS after all pages", big.rss_mib, None, 350, "MiB"),
    ]


def _ratio(line: Line) -> float | None:
    return line.ours / line.naive if line.ours is not None and line.naive else None


async def _measured(store: Path, directory: Path) -> None:
    found = {"ours": Found(), "naive": Found()}
    await _starts(store, found)
    with started("ours", store) as ours, started("naive", store) as naive:
        servers = (ours, naive)
        await _warm(servers, found)
        await _many(servers, found)
        await _come_and_go(servers, found)
        if Path(CHROMIUM).exists():  # noqa: ASYNC240 - nobody else waits
            await _wire(servers, found)
    publish_big_shop(directory / "big")
    big = await _big(directory / "big")
    print("| | ours | naive | ratio | goal | |\n|---|---|---|---|---|---|")
    print("\n".join(line.markdown() for line in _lines(found["ours"], found["naive"], big)), end="\n\n")
    pages = ", ".join(f"{page} {ms:.0f} ms" for page, ms in big.pages_ms.items())
    print(f"First view of each page of the big shop: {pages}.", end="\n\n")


def shop_of(directory: Path) -> tuple[Path, str]:
    """A snapshot of the real sales where the environment names them, else of the sample shop; and what it is."""
    from etl.sample import write

    source, store = directory / "sample.csv", directory / "store"
    place = os.environ.get("KPI_OPS_ONLINE_RETAIL")
    if not place:
        write(source, date(2026, 11, 21))
    command = [sys.executable, "-m", "etl", "--source", place or str(source), "--out", str(store)]
    subprocess.run(command, check=True, capture_output=True)
    return store, "UCI Online Retail" if place else "the sample shop (KPI_OPS_ONLINE_RETAIL is not set)"


def dashboard(directory: Path) -> None:
    """Every budget of the dashboard, beside a naive app in the same run; some 4 minutes."""
    store, what = shop_of(directory)
    print(f"## The dashboard on {what}\n\nMedians, both apps in turn.\n")
    asyncio.run(_measured(store, directory))
