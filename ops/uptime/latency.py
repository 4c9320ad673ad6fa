"""How long good looks took: altogether, by phase, by day. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ops.uptime.history import NOT_REACHED, STATES, Track
from ops.uptime.probe import PHASES

LOOKED_BACK = timedelta(days=30)
DAY_S = 24 * 3600
EPOCH = date(1970, 1, 1).toordinal()
FAILED = frozenset({STATES["down"], STATES["unknown"]})  # a quick refusal would flatter


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
    spent = [spent for _, spent in _good(tracks, now - LOOKED_BACK, now)]
    by_phase = {phase: [ms for ms in column if ms != NOT_REACHED] for phase, column in _columns(spent).items()}
    return Latency(
        percentiles(map(_total, spent)), {phase: percentiles(found) for phase, found in by_phase.items() if found}
    )


def by_day(tracks: Sequence[Track], *, start: datetime, now: datetime) -> dict[date, Percentiles]:
    """How long good looks took on each UTC day on which there were any."""
    found: dict[int, list[int]] = {}
    for at_s, spent in _good(tracks, start, now):
        found.setdefault(at_s // DAY_S, []).append(_total(spent))
    return {date.fromordinal(EPOCH + day): percentiles(totals) for day, totals in found.items()}


def percentiles(values_ms: Iterable[int]) -> Percentiles:
    """Median and 95th percentile."""
    ordered = sorted(values_ms)
    return Percentiles(percentile(ordered, 50), percentile(ordered, 95))


def percentile(values: Iterable[int], percent: int) -> int | None:
    """The smallest value that `percent` of all values do not exceed (nearest rank); None where there are no values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def _good(tracks: Sequence[Track], start: datetime, now: datetime) -> Iterator[tuple[int, tuple[int, ...]]]:
    start_s, end_s = int(start.timestamp()), int(now.timestamp())
    for track in tracks:
        for at_s, state, spent in track.until(end_s).spent_since(start_s):
            if state not in FAILED and spent.count(NOT_REACHED) < len(spent):
                yield at_s, spent


def _columns(rows: Sequence[tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return dict(zip(PHASES, zip(*rows, strict=True), strict=True)) if rows else {}


def _total(spent: tuple[int, ...]) -> int:
    return sum(spent) - NOT_REACHED * spent.count(NOT_REACHED)
