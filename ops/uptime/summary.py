"""Uptime that anybody can recompute from the samples: whole seconds, and no data is neither up nor down. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from ops.uptime.maintenance import Maintenance
from ops.uptime.record import Sample

WINDOWS: Mapping[str, timedelta] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
LATENCY_WINDOW = timedelta(days=30)
ENOUGH_COVERAGE = Fraction(1, 2)

State = Literal["up", "down", "nodata", "maintenance"]


@dataclass(frozen=True, slots=True)
class Span:
    """One state from `start_s` up to, but not including, `end_s`: seconds since 1970."""

    start_s: int
    end_s: int
    state: State


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds of a window by state; together exactly its length. The fractions are None where they have no meaning."""

    up_s: int
    down_s: int
    nodata_s: int
    maintenance_s: int

    @property
    def uptime(self) -> Fraction | None:
        """Up over up and down."""
        return _fraction(self.up_s, self.up_s + self.down_s)

    @property
    def coverage(self) -> Fraction | None:
        """(up + down) / (window - maintenance)."""
        return _fraction(self.up_s + self.down_s, self.promised_s)

    @property
    def worst(self) -> Fraction | None:
        """Uptime if all that nobody saw was down."""
        return _fraction(self.up_s, self.promised_s)

    @property
    def best(self) -> Fraction | None:
        """Uptime if all that nobody saw was up."""
        return _fraction(self.promised_s - self.down_s, self.promised_s)

    @property
    def promised_s(self) -> int:
        """The window without its maintenance."""
        return self.up_s + self.down_s + self.nodata_s


def _fraction(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def hold_of(cadence: timedelta) -> timedelta:
    """How long a sample speaks where no later one does: 1.5 x cadence, in whole seconds."""
    return timedelta(seconds=int(cadence.total_seconds() * 1.5))


def windows(
    samples: Iterable[Sample], *, now: datetime, cadence: timedelta, maintenance: Iterable[Maintenance] = ()
) -> dict[str, Window]:
    """Uptime of one target for 24h, 7d, 30d and 90d: ending at `now`, starting no earlier than the first sample."""
    spans = timeline(samples, now=now, hold=hold_of(cadence), maintenance=maintenance)
    return {name: _window(spans, _seconds(now) - _length_s(length)) for name, length in WINDOWS.items()}


def timeline(
    samples: Iterable[Sample], *, now: datetime, hold: timedelta, maintenance: Iterable[Maintenance] = ()
) -> list[Span]:
    """What is known of one target from its first sample to `now`, without gaps. Samples after `now` are not known."""
    known = sorted((sample for sample in samples if sample.at <= now), key=lambda sample: sample.at)
    if not known:
        return []
    owned = [span for samples_of_one in _by_vantage_point(known) for span in _owned(samples_of_one, hold)]
    apart = [Span(_seconds(m.start), _seconds(m.end), "maintenance") for m in maintenance]
    return _merged([*owned, *apart], _seconds(known[0].at), _seconds(now))


def _by_vantage_point(samples: Iterable[Sample]) -> Iterable[list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.by, []).append(sample)
    return found.values()


def _owned(samples: Sequence[Sample], hold: timedelta) -> Iterable[Span]:
    """Sample i owns [t_i, min(t_i+1, t_i + hold)), as one vantage point saw it."""
    starts = [_seconds(sample.at) for sample in samples]
    for sample, start, following in zip(samples, starts, [*starts[1:], math.inf], strict=True):
        state = state_of(sample)
        if state != "nodata":
            yield Span(start, int(min(following, start + _length_s(hold))), state)


def state_of(sample: Sample) -> State:
    """Up, down or nodata. A degraded page works; a prober that could not tell has no data."""
    if sample.verdict == "unknown":
        return "nodata"
    return "down" if sample.verdict == "down" else "up"


def _merged(spans: Iterable[Span], start_s: int, end_s: int) -> list[Span]:
    """One state for each second of [start, end): maintenance first, then up if anybody saw it up, then down."""
    changes: list[tuple[int, State | None, int]] = [(start_s, None, 0), (end_s, None, 0)]
    for span in spans:
        first, last = max(span.start_s, start_s), min(span.end_s, end_s)
        if first < last:
            changes += [(first, span.state, 1), (last, span.state, -1)]
    active: dict[State, int] = {"maintenance": 0, "up": 0, "down": 0}
    merged: list[Span] = []
    for (at_s, state, step), (next_s, _, _) in pairwise(sorted(changes, key=lambda change: change[0])):
        if state is not None:
            active[state] += step
        if at_s < next_s:
            merged.append(Span(at_s, next_s, _strongest(active)))
    return merged


def _strongest(active: Mapping[State, int]) -> State:
    if active["maintenance"]:
        return "maintenance"
    if active["up"]:
        return "up"
    return "down" if active["down"] else "nodata"


def _window(spans: Iterable[Span], start_s: int) -> Window:
    seconds: dict[State, int] = {"up": 0, "down": 0, "nodata": 0, "maintenance": 0}
    for span in spans:
        seconds[span.state] += max(0, span.end_s - max(span.start_s, start_s))
    return Window(seconds["up"], seconds["down"], seconds["nodata"], seconds["maintenance"])


def _seconds(moment: datetime) -> int:
    return math.floor(moment.timestamp())


def _length_s(length: timedelta) -> int:
    return length // timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds until the whole page was there, of the probes of 30 days that saw it; None where none did."""

    p50_ms: int | None
    p95_ms: int | None


def latency(samples: Iterable[Sample], *, now: datetime) -> Latency:
    """How long good probes took. Failed ones do not count: a quick refusal would flatter."""
    good_ms = [
        sample.total_ms for sample in samples if state_of(sample) == "up" and now - LATENCY_WINDOW <= sample.at <= now
    ]
    return Latency(percentile(good_ms, 50), percentile(good_ms, 95))


def percentile(values: Iterable[int], percent: int) -> int | None:
    """The smallest value that `percent` of all values do not exceed (nearest rank); None where there are no values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def status(samples: Iterable[Sample], *, now: datetime, hold: timedelta) -> str:
    """What is true of a target now: the best its vantage points say, 'no data' where none has looked lately."""
    latest = {
        sample.by: sample.verdict
        for sample in sorted(samples, key=lambda sample: sample.at)
        if now - hold < sample.at <= now
    }
    return next((verdict for verdict in ("up", "degraded", "down", "unknown") if verdict in latest.values()), "no data")
