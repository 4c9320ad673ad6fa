"""When it was down: incidents with the bounds within which they began and ended. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import Reason, Stage
from ops.uptime.record import Sample
from ops.uptime.summary import state_of

ALL_ATTEMPTS = 3  # such a bad sample stands alone: `check` saw all fail, and a control address answer
IN_A_ROW = 2
CALM_CHANGES = 4  # more of them within FLAPPING_WITHIN are flapping
FLAPPING_WITHIN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Reading:
    """What all vantage points together say at one moment: bad only where each that has data says down."""

    at: datetime
    bad: bool
    sample: Sample


@dataclass(frozen=True, slots=True)
class Incident:
    """A time of being down, from its first bad sample.

    It lasted at least from `start` to `last_bad` and at most from `last_good` to `first_good`; `first_good` is None
    while it goes on, `last_good` where nothing good was seen before. `changes` is not 0 for a flapping one.
    """

    start: datetime
    last_bad: datetime
    last_good: datetime | None
    first_good: datetime | None
    stage: Stage | None
    reason: Reason | None
    detail: str | None
    changes: int = 0

    @property
    def min_s(self) -> int:
        """Seconds it lasted at least."""
        return (self.last_bad - self.start) // timedelta(seconds=1)

    @property
    def max_s(self) -> int | None:
        """Seconds it lasted at most; None where no good sample bounds it."""
        if self.first_good is None or self.last_good is None:
            return None
        return (self.first_good - self.last_good) // timedelta(seconds=1)


def incidents(
    samples: Iterable[Sample], *, now: datetime, hold: timedelta, maintenance: Sequence[Maintenance] = ()
) -> list[Incident]:
    """Incidents of one target up to `now`, in order. What falls into maintenance is nobody's incident."""
    readings = list(_readings(sorted((s for s in samples if s.at <= now), key=_moment), hold))
    promised = [reading for reading in readings if not any(m.start <= reading.at < m.end for m in maintenance)]
    return _with_flapping(list(_opened(promised)), promised)


def _moment(sample: Sample) -> tuple[datetime, str]:
    return sample.at, sample.by


def _readings(samples: Iterable[Sample], hold: timedelta) -> Iterator[Reading]:
    latest: dict[str, Sample] = {}
    for at, together in groupby(samples, key=lambda sample: sample.at):
        new = list(together)
        latest |= {sample.by: sample for sample in new}
        held = [sample for sample in latest.values() if at - sample.at < hold and state_of(sample) != "nodata"]
        told = [sample for sample in new if state_of(sample) != "nodata"]
        if told:
            yield Reading(at, bad=all(state_of(sample) == "down" for sample in held), sample=_worst(told))


def _worst(samples: Sequence[Sample]) -> Sample:
    """The sample that stands for a moment: of those that are down the one that tried most."""
    return max(samples, key=lambda sample: (state_of(sample) == "down", sample.result.attempts))


def _opened(readings: Sequence[Reading]) -> Iterator[Incident]:
    """Open at the first bad reading once two in a row are bad, close at the first good one once two are good."""
    run: list[Reading] = []  # equal readings in a row
    opening: list[Reading] = []  # bad readings of the open incident
    last_good = before = None
    for reading in readings:
        run = [*run, reading][-IN_A_ROW:] if run and run[-1].bad == reading.bad else [reading]
        if reading.bad:
            if not opening and (len(run) == IN_A_ROW or reading.sample.result.attempts >= ALL_ATTEMPTS):
                opening, before = [*run], last_good
            elif opening:
                opening.append(reading)
        else:
            last_good = reading.at
            if opening and len(run) == IN_A_ROW:
                yield _incident(opening, before, run[0].at)
                opening = []
    if opening:
        yield _incident(opening, before, None)


def _incident(bad: Sequence[Reading], before: datetime | None, after: datetime | None, changes: int = 0) -> Incident:
    first = bad[0].sample.result
    return Incident(bad[0].at, bad[-1].at, before, after, first.stage, first.reason, first.detail, changes)


def _with_flapping(found: list[Incident], readings: Sequence[Reading]) -> list[Incident]:
    """Incidents in which more than 4 changes fell within 6 hours become one, flapping, for each such time."""
    for start, end in _flapping_times(readings):
        touched = [incident for incident in found if incident.start <= end and _end(incident, readings) >= start]
        start_all = min([start, *(incident.start for incident in touched)])
        end_all = max([end, *(_end(incident, readings) for incident in touched)])
        still_open = any(incident.first_good is None for incident in touched)
        merged = _flapping(readings, start_all, end_all, still_open=still_open)
        found = sorted([*(i for i in found if i not in touched), merged], key=lambda incident: incident.start)
    return found


def _end(incident: Incident, readings: Sequence[Reading]) -> datetime:
    return incident.first_good or readings[-1].at


def _changes(readings: Sequence[Reading]) -> list[datetime]:
    return [after.at for before, after in pairwise(readings) if before.bad != after.bad]


def _flapping_times(readings: Sequence[Reading]) -> list[tuple[datetime, datetime]]:
    changes = _changes(readings)
    times: list[tuple[datetime, datetime]] = []
    for first, last in zip(changes, changes[CALM_CHANGES:], strict=False):
        if last - first > FLAPPING_WITHIN:
            continue
        if times and first <= times[-1][1]:
            times[-1] = (times[-1][0], last)
        else:
            times.append((first, last))
    return times


def _flapping(readings: Sequence[Reading], start: datetime, end: datetime, *, still_open: bool) -> Incident:
    bad = [reading for reading in readings if reading.bad and start <= reading.at <= end]
    good = [reading.at for reading in readings if not reading.bad]
    before = max((at for at in good if at < bad[0].at), default=None)
    after = None if still_open else min((at for at in good if at > bad[-1].at), default=None)
    changes = sum(start <= at <= end for at in _changes(readings))
    return _incident(bad, before, after, changes)
