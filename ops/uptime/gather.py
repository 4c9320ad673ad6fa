"""The numbers of a directory of samples, from no more of its months than they need."""

from datetime import datetime, timedelta
from pathlib import Path

from ops.uptime import history, maintenance, releases
from ops.uptime.history import History
from ops.uptime.report import Report, lately, report
from ops.uptime.rules import Rules
from ops.uptime.summary import LONGEST

BEFORE = timedelta(days=7)  # what began earlier still has its beginning told


def gather(directory: Path, *, now: datetime, rules: Rules) -> Report:
    """The numbers of the last 90 days, from no more months than they need. Raises KpiOpsError."""
    recorded = history.read(directory, since=now - LONGEST - BEFORE, spent_since=now - LONGEST)
    numbers = _numbers(recorded, directory, now, rules)
    if not recorded.complete and _begins_before(numbers, rules):
        numbers = gather_all(directory, now=now, rules=rules)
    return lately(numbers)


def gather_all(directory: Path, *, now: datetime, rules: Rules) -> Report:
    """The numbers of everything that was ever recorded. Raises KpiOpsError."""
    return _numbers(history.read(directory, spent_since=now - LONGEST), directory, now, rules)


def _numbers(recorded: History, directory: Path, now: datetime, rules: Rules) -> Report:
    return report(
        recorded, now=now, rules=rules, maintenance=maintenance.read(directory), releases=releases.read(directory)
    )


def _begins_before(numbers: Report, rules: Rules) -> bool:
    """Whether an incident may have begun in a month that was not read."""
    starts = [incident.start for target in numbers.targets.values() for incident in target.incidents]
    return bool(starts) and numbers.first is not None and min(starts) - numbers.first <= rules.flapping_within
