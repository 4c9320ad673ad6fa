"""When it was down: incidents with the bounds within which they began and ended. Pure."""

import math
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import pairwise, repeat

from ops.uptime.history import SIMPLY_UP, STATES, Failure, Track
from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import Reason, Stage
from ops.uptime.releases import Release, live_at
from ops.uptime.rules import Rules

BAD, UNKNOWN = STATES["down"], STATES["unknown"]
GOOD_OR_BAD = re.compile(rb"[ug]+|d+")


@dataclass(frozen=True, slots=True)
class Incident:
    """A time of being down, from its first bad sample.

    It lasted at least from `start` to `last_bad` and at most from `last_good` to `first_good`; `first_good` is None
    while it goes on, `last_good` where nothing good was seen before. `changes` is not 0 for a flapping one.
    `release`: what was live when it began; `unseen_s`: seconds from `start` to `last_bad` that no sample speaks for.
    """

    start: datetime
    last_bad: datetime
    last_good: datetime | None
    first_good: datetime | None
    stage: Stage | str | None
    reason: Reason | str | None
    detail: str | None
    changes: int = 0
    release: str | None = None
    unseen_s: int = 0

    @property
    def min_s(self) -> int:
        """Seconds it lasted at least."""
        return _length_s(self.start, self.last_bad)

    @property
    def max_s(self) -> int | None:
        """Seconds it lasted at most; None where no good sample bounds it."""
        if self.first_good is None or self.last_good is None:
            return None
        return _length_s(self.last_good, self.first_good)


def _length_s(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds())


@dataclass(frozen=True, slots=True)
class Readings:
    """What all vantage points together say, moment by moment: bad only where each that has data says down.

    `states`: one letter for each moment, of up or down. Left out is what nobody could tell, and a bad look while
    another's good one still speaks: that is not seen good, and would bound an incident wrongly.
    """

    times_s: Sequence[int]
    states: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """Readings in a row that say the same: from one place to before another."""

    bad: bool
    first: int
    beyond: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Seconds of an incident, as of `Incident`."""

    start_s: int
    last_bad_s: int
    last_good_s: int | None
    first_good_s: int | None
    changes: int = 0


def incidents(
    tracks: Sequence[Track],
    *,
    now: datetime,
    rules: Rules,
    maintenance: Sequence[Maintenance] = (),
    releases: Sequence[Release] = (),
) -> list[Incident]:
    """Incidents of one target up to `now`, in order. What falls into maintenance is nobody's incident."""
    known = [track.until(math.floor(now.timestamp())) for track in tracks]
    hold_s = int(rules.hold.total_seconds())
    readings = _promised(_readings(known, hold_s), maintenance)
    runs = [Run(run[0][0] == BAD, run.start(), run.end()) for run in GOOD_OR_BAD.finditer(readings.states)]
    found = list(_opened(readings, runs, known, rules))
    whole = _with_flapping(found, readings, runs, rules)
    return [_incident(stretch, known, readings, hold_s, releases) for stretch in whole]


# --- readings --------------------------------------------------------------------------------------------------------


def _readings(tracks: Sequence[Track], hold_s: int) -> Readings:
    if len(tracks) == 1:
        return _told(tracks[0])
    times_s, states = array("q"), bytearray()
    latest = [(-math.inf, UNKNOWN)] * len(tracks)
    said = merge(*(zip(t.times_s, t.states, repeat(place)) for place, t in enumerate(tracks)), key=lambda s: s[0])
    told: set[int] = set()
    for (at_s, state, place), following in _with_next(said):
        latest[place] = (at_s, state)
        told.add(state)
        if following is not None and following[0] == at_s:
            continue
        held = {state for seen_s, state in latest if at_s - seen_s < hold_s and state != UNKNOWN}
        seen_good = bool(told - {BAD, UNKNOWN})
        if seen_good or (held == {BAD} and BAD in told):  # else nobody saw it good now, nor do all say that it is bad
            times_s.append(at_s)
            states.append(STATES["up"] if seen_good else BAD)
        told = set()
    return Readings(times_s, bytes(states))


def _with_next(items: Iterator[tuple[int, int, int]]) -> Iterator[tuple[tuple[int, int, int], tuple[int, ...] | None]]:
    before = next(items, None)
    for item in items:
        if before is not None:
            yield before, item
        before = item
    if before is not None:
        yield before, None


def _told(track: Track) -> Readings:
    if UNKNOWN not in track.states:
        return Readings(track.times_s, track.states)
    told = [(at_s, state) for at_s, state in zip(track.times_s, track.states, strict=True) if state != UNKNOWN]
    return Readings([at_s for at_s, _ in told], bytes(state for _, state in told))


def _promised(readings: Readings, maintenance: Sequence[Maintenance]) -> Readings:
    """The readings outside of maintenance."""
    spans = ((math.ceil(entry.start.timestamp()), math.ceil(entry.end.timestamp())) for entry in maintenance)
    cuts = sorted(tuple(bisect_left(readings.times_s, second) for second in span) for span in spans)
    if all(first == beyond for first, beyond in cuts):
        return readings
    times_s, states, kept = array("q"), bytearray(), 0
    for first, beyond in [*cuts, (len(readings.states), len(readings.states))]:
        times_s.extend(readings.times_s[kept:first])
        states += readings.states[kept:first]
        kept = max(kept, beyond)
    return Readings(times_s, bytes(states))


# --- from readings to incidents --------------------------------------------------------------------------------------


def _opened(readings: Readings, runs: Sequence[Run], tracks: Sequence[Track], rules: Rules) -> Iterator[_Stretch]:
    """Open at the first bad reading once enough in a row are bad, close at the first good one once enough are good."""
    start_s = last_bad_s = last_good_s = before_s = None
    for run in runs:
        first_s, last_s = readings.times_s[run.first], readings.times_s[run.beyond - 1]
        if run.bad and start_s is None:
            start_s = _opening(readings, run, tracks, rules)
            before_s = last_good_s
        if run.bad:
            last_bad_s = last_s
        elif start_s is not None and last_bad_s is not None and run.beyond - run.first >= rules.close_after:
            yield _Stretch(start_s, last_bad_s, before_s, first_s)
            start_s = None
        if not run.bad:
            last_good_s = last_s
    if start_s is not None and last_bad_s is not None:
        yield _Stretch(start_s, last_bad_s, before_s, None)


def _opening(readings: Readings, run: Run, tracks: Sequence[Track], rules: Rules) -> int | None:
    """When a run of bad readings opens an incident: with its first, if it is long enough or somebody tried all."""
    if run.beyond - run.first >= rules.open_after:
        return readings.times_s[run.first]
    tried = (readings.times_s[place] for place in range(run.first, run.beyond))
    return next((at_s for at_s in tried if _attempts(tracks, at_s) >= rules.all_attempts), None)


def _attempts(tracks: Sequence[Track], at_s: int) -> int:
    places = ((track, _place(track, at_s)) for track in tracks)
    return max((track.attempts[place] for track, place in places if place is not None), default=0)


def _place(track: Track, at_s: int) -> int | None:
    """Where a track has a bad look at a second."""
    place = bisect_left(track.times_s, at_s)
    is_there = place < len(track.times_s) and track.times_s[place] == at_s
    return place if is_there and track.states[place] == BAD else None


def _incident(
    stretch: _Stretch, tracks: Sequence[Track], readings: Readings, hold_s: int, releases: Sequence[Release]
) -> Incident:
    failure = _failure(tracks, stretch.start_s)
    start = _moment(stretch.start_s)
    return Incident(
        start=start,
        last_bad=_moment(stretch.last_bad_s),
        last_good=None if stretch.last_good_s is None else _moment(stretch.last_good_s),
        first_good=None if stretch.first_good_s is None else _moment(stretch.first_good_s),
        stage=failure.stage or None,
        reason=failure.reason or None,
        detail=failure.detail or None,
        changes=stretch.changes,
        release=live_at(releases, tracks[0].target, start),
        unseen_s=_unseen_s(readings.times_s, stretch, hold_s),
    )


def _failure(tracks: Sequence[Track], at_s: int) -> Failure:
    """What is told of a moment: by the vantage point that tried most."""
    bad = [(track.attempts[place], track) for track in tracks if (place := _place(track, at_s)) is not None]
    return max(bad, key=lambda tried: tried[0])[1].failures.get(at_s, SIMPLY_UP) if bad else SIMPLY_UP


def _unseen_s(times_s: Sequence[int], stretch: _Stretch, hold_s: int) -> int:
    first, beyond = bisect_left(times_s, stretch.start_s), bisect_right(times_s, stretch.last_bad_s)
    return sum(max(0, after_s - before_s - hold_s) for before_s, after_s in pairwise(times_s[first:beyond]))


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


# --- flapping --------------------------------------------------------------------------------------------------------


def _with_flapping(found: list[_Stretch], readings: Readings, runs: Sequence[Run], rules: Rules) -> list[_Stretch]:
    """Incidents among which too many changes fell within some hours become one, flapping, for each such time."""
    changes_s = [readings.times_s[run.first] for run in runs[1:]]
    for start_s, end_s in _flapping_times(changes_s, rules):
        touched = [each for each in found if each.start_s <= end_s and _end_s(each, readings) >= start_s]
        start_all_s = min([start_s, *(each.start_s for each in touched)])
        end_all_s = max([end_s, *(_end_s(each, readings) for each in touched)])
        still_open = any(each.first_good_s is None for each in touched)
        changes = bisect_right(changes_s, end_all_s) - bisect_left(changes_s, start_all_s)
        merged = _flapping(readings, runs, (start_all_s, end_all_s), changes, still_open=still_open)
        found = sorted([*(each for each in found if each not in touched), merged], key=lambda each: each.start_s)
    return found


def _end_s(stretch: _Stretch, readings: Readings) -> int:
    return readings.times_s[-1] if stretch.first_good_s is None else stretch.first_good_s


def _flapping_times(changes_s: Sequence[int], rules: Rules) -> list[tuple[int, int]]:
    within_s = int(rules.flapping_within.total_seconds())
    times_s: list[tuple[int, int]] = []
    for first_s, last_s in zip(changes_s, changes_s[rules.calm_changes :], strict=False):
        if last_s - first_s > within_s:
            continue
        if times_s and first_s <= times_s[-1][1]:
            times_s[-1] = (times_s[-1][0], last_s)
        else:
            times_s.append((first_s, last_s))
    return times_s


def _flapping(
    readings: Readings, runs: Sequence[Run], within_s: tuple[int, int], changes: int, *, still_open: bool
) -> _Stretch:
    times_s = readings.times_s
    first, beyond = bisect_left(times_s, within_s[0]), bisect_right(times_s, within_s[1])
    bad = [run for run in runs if run.bad and run.first < beyond and run.beyond > first]
    start, end = max(first, bad[0].first), min(beyond, bad[-1].beyond)
    before = times_s[bad[0].first - 1] if bad[0].first else None
    after = None if still_open or bad[-1].beyond >= len(times_s) else times_s[bad[-1].beyond]
    return _Stretch(times_s[start], times_s[end - 1], before, after, changes)
