"""Made-up truth: when a site was really down in 91 days, and what was announced as maintenance. Pure, by a seed."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from random import Random

Span = tuple[int, int]  # from a second up to, but not including, another

MINUTE, HOUR, DAY = 60, 3600, 86400
BEGIN_S = 1_785_542_400  # 2026-08-01T00:00:00Z
DAYS = 91  # the 90-day window begins inside
END_S = BEGIN_S + DAYS * DAY


class Spans:
    """Spans of time, to ask for seconds."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._edges = [edge for span in merged(spans) for edge in span]

    def __contains__(self, at_s: int) -> bool:
        return bisect_right(self._edges, at_s) % 2 == 1

    def around(self, at_s: int) -> Span | None:
        """The one that a second lies in."""
        place = bisect_right(self._edges, at_s)
        return (self._edges[place - 1], self._edges[place]) if place % 2 else None


@dataclass(frozen=True)
class Truth:
    """When it was down, and when maintenance was announced: spans in order that do not touch."""

    down: Sequence[Span]
    maintenance: Sequence[Span]

    @cached_property
    def outages(self) -> Spans:
        """To ask whether a second is down."""
        return Spans(self.down)

    def down_s(self, start_s: int, end_s: int) -> int:
        """Seconds down of [start, end) outside maintenance."""
        return length_s(without(within(self.down, start_s, end_s), self.maintenance))

    def promised_s(self, start_s: int, end_s: int) -> int:
        """Seconds of [start, end) outside maintenance."""
        return end_s - start_s - length_s(within(self.maintenance, start_s, end_s))


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, and what overlaps or touches as one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def within(spans: Iterable[Span], start_s: int, end_s: int) -> list[Span]:
    """The parts in [start, end)."""
    cut = ((max(start, start_s), min(end, end_s)) for start, end in spans)
    return [(start, end) for start, end in cut if start < end]


def without(spans: Iterable[Span], holes: Sequence[Span]) -> list[Span]:
    """The parts outside the holes, which are in order."""
    found: list[Span] = []
    for start, end in spans:
        rest = start
        for hole_start, hole_end in within(holes, start, end):
            found.append((rest, hole_start))
            rest = hole_end
        found.append((rest, end))
    return [(start, end) for start, end in found if start < end]


def length_s(spans: Iterable[Span]) -> int:
    """Seconds of all together."""
    return sum(end - start for start, end in spans)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def between(random: Random, least: float, most: float) -> int:
    """Log-uniform: a minute is as likely as an hour or a day, magnitude by magnitude."""
    return round(exp(random.uniform(log(least), log(most))))


def moments(random: Random, expected: float) -> list[int]:
    """So many on average, independent of each other and of any clock (a Poisson process)."""
    if expected <= 0:
        return []
    found: list[int] = []
    at = BEGIN_S + random.expovariate(expected / (END_S - BEGIN_S))
    while at < END_S:
        found.append(round(at))
        at += random.expovariate(expected / (END_S - BEGIN_S))
    return found


def outages(random: Random) -> list[Span]:
    """1 to 60 of them, of a minute to two days."""
    return [(at, at + between(random, MINUTE, 2 * DAY)) for at in moments(random, between(random, 1, 60))]


def short_ones(random: Random) -> list[Span]:
    """20 to 900 of them, of one to ten minutes: most are over before anybody looks again."""
    return [(at, at + between(random, MINUTE, 10 * MINUTE)) for at in moments(random, between(random, 20, 900))]


def flapping(random: Random) -> list[Span]:
    """Some hours or days in which it comes and goes by the minute, mostly up or mostly down."""
    return [span for at in moments(random, 4) for span in _flaps(random, at)]


def _flaps(random: Random, at: int) -> list[Span]:
    found = []
    end, longest = at + between(random, HOUR / 2, 2 * DAY), between(random, 2 * MINUTE, HOUR)
    down_share = random.uniform(0.1, 0.95)
    while at < end:
        down = MINUTE + round(random.uniform(0, longest) * down_share)
        found.append((at, at + down))
        at += down + max(20, round(random.uniform(0, longest) * (1 - down_share)))
    return found


def nightly(random: Random) -> list[Span]:
    """Five minutes at the same time of every day, as a restart or a backup makes them."""
    at = random.randrange(DAY)
    return [(BEGIN_S + day * DAY + at, BEGIN_S + day * DAY + at + 5 * MINUTE) for day in range(DAYS)]


def announced(random: Random) -> tuple[list[Span], list[Span]]:
    """Maintenance, and what is down for it: a part of the time, and now and then beyond the end."""
    spans, down = [], []
    for at in moments(random, random.choice([0, 2, 6])):
        start = at - at % (15 * MINUTE)
        end = start + random.choice([HOUR / 2, HOUR, 2 * HOUR, 6 * HOUR])
        overrun = between(random, MINUTE, HOUR) if random.random() < 0.25 else 0
        first = start + between(random, 1, 10 * MINUTE)
        spans.append((start, int(end)))
        down.append((first, int(end) + overrun if overrun else max(first, int(end) - between(random, 1, HOUR / 4))))
    return merged(spans), down


def usual(random: Random) -> list[Span]:
    """Outages, and on every other site some flapping."""
    return [*outages(random), *(flapping(random) if random.random() < 0.5 else [])]


KINDS: Mapping[str, Callable[[Random], list[Span]]] = {
    "calm": lambda random: [(at, at + between(random, MINUTE, DAY)) for at in moments(random, 1)],
    "usual": usual,
    "short": short_ones,
    "flapping": flapping,
    "nightly": nightly,
    "all": lambda random: [*usual(random), *nightly(random), *short_ones(random)],
}


def drawn(random: Random, kind: str) -> Truth:
    """One history."""
    maintenance, planned = announced(random)
    down = merged([*KINDS[kind](random), *planned])
    return Truth(within(down, BEGIN_S, END_S), within(maintenance, BEGIN_S, END_S))
