"""Whether GitHub is about to stop the schedule: in a public repository it does so after 60 days without a change."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops.uptime.storage.git import Git

STOPS_AFTER = timedelta(days=60)
WARN_AFTER = timedelta(days=45)
BOT_MARK = "[bot]"
LOOKED_AT = 20_000  # commits; at 48 a day more than a year


@dataclass(frozen=True, slots=True)
class Activity:
    """The newest commit of a person, None where none is seen; and how far back was looked."""

    last_human: datetime | None
    seen_since: datetime | None


def activity(git: Git) -> Activity:
    """When a person last committed, as far as this clone knows. Raises GitFailed."""
    words = ("log", f"--max-count={LOOKED_AT}", "--format=%ct %an %ae", "HEAD")
    return activity_of(git(*words).decode("utf-8", "replace").splitlines())


def activity_of(log: Iterable[str]) -> Activity:
    """The same of lines of `seconds author address`, newest first. Pure."""
    at = None
    for line in log:
        seconds, _, author = line.partition(" ")
        at = datetime.fromtimestamp(int(seconds), UTC)
        if BOT_MARK not in author:
            return Activity(at, at)
    return Activity(None, at)


def idle_line(found: Activity, *, now: datetime) -> str | None:
    """What the report says once no person has committed for 45 days; None before, and where nobody can tell. Pure."""
    last = found.last_human or found.seen_since
    if last is None or now - last <= WARN_AFTER:
        return None
    days = f"{(now - last).days} days ago" if found.last_human else f"more than {(now - last).days} days ago"
    return (
        f"the last commit of a person was {days}: GitHub stops the schedules of a public repository after "
        f"{STOPS_AFTER.days} days without a change; any commit of yours keeps them going"
    )
