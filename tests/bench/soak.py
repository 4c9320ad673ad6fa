"""Fifty visitors who click for ten minutes: no page shows an exception, and the server's memory stays flat.

SOAK_S=120 make bench BENCH=soak
"""

import asyncio
import os
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.dashboard import Server, shop_of, started
from tests.open_page import OpenPage

SECONDS = float(os.environ.get("SOAK_S", "600"))
VISITORS = 50
THINKS_S = (1.0, 4.0)
LEAVES_AFTER_CLICKS = 40
WARM_SHARE = 0.25  # of the time; memory grows until everything was shown once
SAMPLES = 20


@dataclass(slots=True)
class Soaked:
    """What came of it."""

    clicks_ms: list[float] = field(default_factory=list)
    sessions: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    rss_mib: list[tuple[float, float]] = field(default_factory=list)


class Clicker:
    """A visitor who goes from page to page, chooses what is offered, idles, leaves, and comes back as another one."""

    def __init__(self, server: Server, soaked: Soaked, seed: int, end_s: float) -> None:
        self._server, self._soaked, self._end_s = server, soaked, end_s
        self._dice = random.Random(seed)

    async def click(self) -> None:
        """Until the time is up."""
        await asyncio.sleep(self._dice.uniform(0, THINKS_S[1]))
        while time.perf_counter() < self._end_s:
            self._soaked.sessions += 1
            try:
                await self._stay()
            except Exception as error:  # noqa: BLE001 - a session that is lost is what is looked for
                self._soaked.wrong[f"{type(error).__name__}: {error}"] += 1

    async def _stay(self) -> None:
        async with OpenPage(self._server.url) as visitor:
            self._took(await visitor.open(), visitor)
            for _ in range(self._dice.randint(1, LEAVES_AFTER_CLICKS)):
                if time.perf_counter() >= self._end_s:
                    return
                await asyncio.sleep(self._dice.uniform(*THINKS_S))
                self._took(await self._once(visitor), visitor)

    async def _once(self, visitor: OpenPage) -> float:
        if self._dice.random() < 0.2:
            pages = [entry.name for entry in visitor.drawn.entries()]
            return await visitor.open(self._dice.choice(pages))
        if self._dice.random() < 0.1:
            await visitor.beat()
        offered = [(each.key, option) for each in visitor.drawn.widgets() for option in each.options]
        return await visitor.choose(*self._dice.choice(offered)) if offered else await visitor.open()

    def _took(self, seconds: float, visitor: OpenPage) -> None:
        self._soaked.clicks_ms.append(seconds * 1000)
        self._soaked.wrong.update(visitor.drawn.wrong)


async def _soak(store: Path) -> Soaked:
    soaked = Soaked()
    with started("ours", store) as server:
        await server.first_page_s()
        began_s = time.perf_counter()
        end_s = began_s + SECONDS
        clickers = [Clicker(server, soaked, seed, end_s) for seed in range(VISITORS)]
        clicking = [asyncio.create_task(each.click()) for each in clickers]
        for _ in range(SAMPLES):
            await asyncio.sleep(SECONDS / SAMPLES)
            soaked.rss_mib.append((time.perf_counter() - began_s, server.rss_mib))
        await asyncio.gather(*clicking)
    return soaked


def soak(directory: Path) -> None:
    """Fifty visitors for SOAK_S seconds, ten minutes by default."""
    store, what = shop_of(directory)
    soaked = asyncio.run(_soak(store))
    warm = [mib for at_s, mib in soaked.rss_mib if at_s >= SECONDS * WARM_SHARE]
    worst = sorted(soaked.clicks_ms)[int(len(soaked.clicks_ms) * 0.95)]
    print(f"## {VISITORS} visitors clicking for {SECONDS:.0f} s on {what}\n")
    print("| | |\n|---|---|")
    print(f"| clicks / sessions | {len(soaked.clicks_ms):,} / {soaked.sessions:,} |")
    print(f"| p50 / p95 | {statistics.median(soaked.clicks_ms):.0f} / {worst:.0f} ms |")
    print(f"| exceptions and error boxes | {sum(soaked.wrong.values())} |")
    print(f"| RSS, first to last after a quarter of the time | {warm[0]:.0f} to {warm[-1]:.0f} MiB |")
    over_time = ", ".join(f"{at_s:.0f} s {mib:.0f}" for at_s, mib in soaked.rss_mib[::2])
    print(f"| RSS over time | {over_time} |", end="\n\n")
    for text, count in soaked.wrong.most_common(10):
        print(f"- {count} x {text}")
