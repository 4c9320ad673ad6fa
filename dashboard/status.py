"""What the head of each page says about its data: which days, how old, and whether the store can still be reached."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from dashboard import format as text
from dashboard.data import Problem
from etl.contract import Manifest
from ops.freshness import Freshness, judge
from ops.settings import FreshnessSettings

Tone = Literal["green", "orange", "red"]
_LATE: Final = ("warn", "stale")


@dataclass(frozen=True, slots=True)
class Status:
    """A badge, the words beside it, and a warning where there is something to warn of."""

    badge: str
    tone: Tone
    detail: str
    warning: str | None


def status(manifest: Manifest, problem: Problem | None, now: datetime, limits: FreshnessSettings) -> Status:
    """Judge a snapshot on both clocks, as `fab freshness` does.

    Red is for a calculation that does not run any more, a fault to mend. Old sales are no more than amber, and without
    a warning: a shop may close for a week, or show a historic year.
    """
    fresh = judge(manifest, now, limits)
    age = now - manifest.generated_at
    quiet = f" \N{MIDDLE DOT} the newest sale is {text.age(fresh.data.age)} old"
    return Status(
        badge=f"Data through {text.day(manifest.data_through)}",
        tone=_tone(fresh, problem),
        detail=f"calculated {text.age(age)} ago{quiet if fresh.data.verdict in _LATE else ''}",
        warning=_warning(age, fresh, problem, now),
    )


def _tone(fresh: Freshness, problem: Problem | None) -> Tone:
    if fresh.generated.verdict in ("stale", "future"):
        return "red"
    late = problem or fresh.generated.verdict == "warn" or fresh.data.verdict in ("stale", "future")
    return "orange" if late else "green"


def _warning(age: timedelta, fresh: Freshness, problem: Problem | None, now: datetime) -> str | None:
    if problem:
        return (
            f"These are the last good numbers: no newer ones could be read for {text.age(now - problem.since)}. "
            f"{problem.reason}."
        )
    if fresh.generated.verdict == "future":
        return "These numbers say that they were calculated in the future: look at the clock of the machine that did."
    if fresh.generated.verdict == "fresh":
        return None
    return f"These numbers were calculated {text.age(age)} ago; a newer calculation is overdue. Run `fab etl-sync`."
