"""How long good looks took: altogether, by phase, by day. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import compress

from ops.uptime.history import NOT_REACHED, STATES, Track
from ops.uptime.probe import PHASES

LOOKED_BACK = timedelta(days=30)
DAY_S = 24 * 3600
EPOCH = date(1970, 1, 1).toordinal()
# 1 for looks that saw a page, 0 for others: a quick refusal would flatter.
WORKED = bytes(letter in (STATES["up"], STATES["degraded"]) for letter in range(256))
PLACES = tuple(enumerate(PHASES))


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds, of the looks that saw a whole page; None where none did."""

    p50_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class Latency:
    """Of 30 days: altogether, and by phase (names of `probe.PHASES`; only those that were reached)."""

    total: Percentiles
    phases: Mapping[str, Percentiles]


NONE_SEEN = Percentiles(None, None)


def latency(tracks: Sequence[Track], *, now: datetime) -> Latency:
    """How long the good looks of the last 30 days took."""
    good = [_good(track, now - LOOKED_BACK, now) for track in tracks]
    by_phase = {
        phase: [ms for each in good for ms in each.spent_ms[place] if ms != NOT_REACHED] for place, phase in PLACES
    }
    return Latency(
        percentiles(total for each in good for total in each.totals_ms),
        {phase: percentiles(found) for phase, found in by_phase.items() if found},
    )


def by_day(tracks: Sequence[Track], *, start: datetime, now: datetime) -> dict[date, Percentiles]:
    """How long good looks took on each UTC day on which there were any."""
    found: dict[int, list[int]] = {}
    for track in tracks:
        good = _good(track, start, now)
        for at_s, total_ms in zip(good.times_s, good.totals_ms, strict=True):
            found.setdefault(at_s // DAY_S, []).append(total_ms)
    return {date.fromordinal(EPOCH + day): percentiles(totals) for day, totals in found.items()}


def percentiles(values_ms: Iterable[int]) -> Percentiles:
    """Median and 95th percentile."""
    ordered = sorted(values_ms)
    return Percentiles(percentile(ordered, 50), percentile(ordered, 95))


def percentile(values: Iterable[int], percent: int) -> int | None:
    """The smallest value that `percent` of all values do not exceed (nearest rank); None where there are no values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


@dataclass(frozen=True, slots=True)
class _Good:
    """The good looks of a track that took a time: seconds since 1970, milliseconds altogether and by phase."""

    times_s: Sequence[int]
    totals_ms: Sequence[int]
    spent_ms: Sequence[Sequence[int]]


def _good(track: Track, start: datetime, now: datetime) -> _Good:
    """By columns: of five years there are a hundred thousand in the last 90 days."""
    times_s, states, columns = track.until(int(now.timestamp())).spent_since(int(start.timestamp()))
    worked = states.translate(WORKED)
    seen = [[*compress(column, worked)] for column in (times_s, *columns)]
    totals_ms = [sum(row) - NOT_REACHED * row.count(NOT_REACHED) for row in zip(*seen[1:], strict=True)]
    timed = [any(ms != NOT_REACHED for ms in row) for row in zip(*seen[1:], strict=True)] if 0 in totals_ms else None
    if timed:
        seen, totals_ms = [[*compress(column, timed)] for column in seen], [*compress(totals_ms, timed)]
    return _Good(seen[0], totals_ms, seen[1:] or [()] * len(PHASES))
