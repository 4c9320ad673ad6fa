"""The numbers of a directory of samples, from no more of its months than they need."""

from bisect import bisect_right
from datetime import datetime, timedelta
from pathlib import Path

from ops.uptime import history, maintenance, releases
from ops.uptime.history import STATES, History
from ops.uptime.report import Report, lately, report
from ops.uptime.rules import Rules
from ops.uptime.summary import LONGEST

BAD = STATES["down"]
BEFORE = timedelta(days=7)  # what began earlier still has its beginning told


def gather(directory: Path, *, now: datetime, rules: Rules) -> Report:
    """The numbers of the last 90 days, from no more months than they need. Raises KpiOpsError."""
    recorded = history.read(directory, since=now - LONGEST - BEFORE, spent_since=now - LONGEST)
    if not recorded.complete and _begins_before(recorded, rules):
        return lately(gather_all(directory, now=now, rules=rules))
    return lately(_numbers(recorded, directory, now, rules))


def gather_all(directory: Path, *, now: datetime, rules: Rules) -> Report:
    """The numbers of everything that was ever recorded. Raises KpiOpsError."""
    return _numbers(history.read(directory, spent_since=now - LONGEST), directory, now, rules)


def _numbers(recorded: History, directory: Path, now: datetime, rules: Rules) -> Report:
    return report(
        recorded, now=now, rules=rules, maintenance=maintenance.read(directory), releases=releases.read(directory)
    )


def _begins_before(recorded: History, rules: Rules) -> bool:
    """Whether an incident may have begun in a month that was not read, or nothing at all is known since."""
    within_s = int(rules.flapping_within.total_seconds())
    return not recorded.tracks or any(
        BAD in track.states[: max(rules.close_after, bisect_right(track.times_s, track.times_s[0] + within_s))]
        for track in recorded.tracks
    )
