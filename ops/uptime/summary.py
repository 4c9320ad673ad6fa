"""Uptime that anybody can recompute from the samples: whole seconds, and no data is neither up nor down. Pure."""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from ops.uptime.bounds import down_bounds
from ops.uptime.history import Track
from ops.uptime.latency import NONE_SEEN, Percentiles
from ops.uptime.maintenance import Maintenance
from ops.uptime.rules import Rules

WINDOWS: Mapping[str, timedelta] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
LONGEST = WINDOWS["90d"]
DAY_S = 24 * 3600

State = Literal["up", "down", "nodata", "maintenance"]
# Of the letters of a track: a degraded page works; a prober that could not tell has no data.
STATE_OF: Mapping[int, State] = {ord("u"): "up", ord("g"): "up", ord("d"): "down", ord("k"): "nodata"}
SAME_STATE = re.compile(rb"[ug]+|d+|k+")


@dataclass(frozen=True, slots=True)
class Span:
    """One state from `start_s` up to, but not including, `end_s`: seconds since 1970."""

    start_s: int
    end_s: int
    state: State


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds of a window by state; together exactly its length. The fractions are None where they have no meaning.

    `least_down_s` and `most_down_s`: the bounds of what was truly down, by what can have happened between two looks.
    """

    up_s: int
    down_s: int
    nodata_s: int
    maintenance_s: int
    least_down_s: int = 0
    most_down_s: int = 0

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
    def lowest(self) -> Fraction | None:
        """Uptime if as much was down as can have been, between two looks too."""
        return _fraction(self.promised_s - self.most_down_s, self.promised_s)

    @property
    def highest(self) -> Fraction | None:
        """Uptime if as little was down as can have been, between two looks too."""
        return _fraction(self.promised_s - self.least_down_s, self.promised_s)

    @property
    def promised_s(self) -> int:
        """The window without its maintenance."""
        return self.up_s + self.down_s + self.nodata_s


def _fraction(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def windows(
    tracks: Sequence[Track], spans: Sequence[Span], *, rules: Rules, maintenance: Sequence[Maintenance] = ()
) -> dict[str, Window]:
    """Uptime of one target for 24h, 7d, 30d and 90d: ending with its timeline, starting no earlier than the first look.

    `spans`: the timeline of these tracks.
    """
    if not spans:
        return dict.fromkeys(WINDOWS, Window(0, 0, 0, 0))
    end_s = spans[-1].end_s
    looks = [(track.times_s, track.states) for track in (track.until(end_s) for track in tracks)]
    apart = [(_seconds(entry.start), _seconds(entry.end)) for entry in maintenance]
    found = {}
    for name, length in WINDOWS.items():
        start_s = max(spans[0].start_s, end_s - _length_s(length))
        least_s, most_s = down_bounds(
            looks, hold_s=_length_s(rules.hold), start_s=start_s, end_s=end_s, maintenance=apart
        )
        found[name] = replace(window(spans, start_s, end_s), least_down_s=least_s, most_down_s=most_s)
    return found


def timeline(
    tracks: Sequence[Track],
    *,
    now: datetime,
    hold: timedelta,
    maintenance: Iterable[Maintenance] = (),
    length: timedelta = LONGEST,
) -> list[Span]:
    """What is known of one target, without gaps: the last 90 days up to `now`, or less where it was looked at later."""
    end_s = _seconds(now)
    known = [track.until(end_s) for track in tracks]
    firsts_s = [track.times_s[0] for track in known if track.times_s]
    if not firsts_s:
        return []
    start_s = max(min(firsts_s), end_s - _length_s(length))
    owned = [span for track in known for span in _owned(track, _length_s(hold), start_s)]
    apart = [Span(_seconds(m.start), _seconds(m.end), "maintenance") for m in maintenance]
    return _merged([*owned, *apart], start_s, end_s)


def _owned(track: Track, hold_s: int, start_s: int) -> Iterator[Span]:
    """Look i owns [t_i, min(t_i+1, t_i + hold)), as one vantage point saw it; equal ones in a row are a span."""
    times_s = track.times_s
    first = max(0, bisect_right(times_s, start_s) - 1)
    for run in SAME_STATE.finditer(track.states, first):
        state = STATE_OF[run[0][0]]
        if state != "nodata":
            yield from _spans(times_s, run.start(), run.end(), hold_s, state)


def _spans(times_s: Sequence[int], start: int, end: int, hold_s: int, state: State) -> Iterator[Span]:
    """The spans of looks of one state, start to end - 1: ended by a silence, or by the look that follows."""
    began_s = times_s[start]
    for before_s, after_s in pairwise(times_s[start:end]):
        if after_s - before_s > hold_s:
            yield Span(began_s, before_s + hold_s, state)
            began_s = after_s
    silent_s = times_s[end - 1] + hold_s
    yield Span(began_s, min(silent_s, times_s[end]) if end < len(times_s) else silent_s, state)


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


def window(spans: Iterable[Span], start_s: int, end_s: int) -> Window:
    """The seconds by state from `start_s` up to, but not including, `end_s`."""
    seconds: dict[State, int] = {"up": 0, "down": 0, "nodata": 0, "maintenance": 0}
    for span in spans:
        seconds[span.state] += max(0, min(span.end_s, end_s) - max(span.start_s, start_s))
    return Window(seconds["up"], seconds["down"], seconds["nodata"], seconds["maintenance"])


@dataclass(frozen=True, slots=True)
class Day:
    """A UTC day of the 90-day bar: its seconds by state up to `now`, and how long good looks took on it.

    A day before the first look has no seconds at all.
    """

    date: date
    window: Window
    latency: Percentiles


def days(spans: Sequence[Span], latencies: Mapping[date, Percentiles], *, now: datetime) -> list[Day]:
    """The last 90 UTC days, today's last."""
    today = now.astimezone(UTC).date()
    dates = [today - timedelta(days=back) for back in reversed(range(LONGEST.days))]
    return [Day(each, _on(spans, each), latencies.get(each, NONE_SEEN)) for each in dates]


def _on(spans: Sequence[Span], day: date) -> Window:
    start_s = _seconds(datetime.combine(day, time(), UTC))
    first = bisect_right(spans, start_s, key=lambda span: span.end_s)
    beyond = bisect_left(spans, start_s + DAY_S, key=lambda span: span.start_s)
    return window(spans[first:beyond], start_s, start_s + DAY_S)


def _seconds(moment: datetime) -> int:
    return math.floor(moment.timestamp())


def _length_s(length: timedelta) -> int:
    return length // timedelta(seconds=1)
