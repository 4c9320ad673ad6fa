"""What the head of each page says about its data: which days, how old, and whether the store can still be reached."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from dashboard import format as text
from dashboard.data import Problem
from etl.contract import Manifest
from ops.settings import FreshnessSettings

Tone = Literal["green", "orange", "red"]


@dataclass(frozen=True, slots=True)
class Status:
    """A badge, the words beside it, and a warning where there is something to warn of."""

    badge: str
    tone: Tone
    detail: str
    warning: str | None


def status(manifest: Manifest, problem: Problem | None, now: datetime, limits: FreshnessSettings) -> Status:
    """Judge a snapshot on the clock of its calculation; the age of its newest sale is told, not judged.

    A shop may close for a week, or show a historic year: old sales are a fact to know, a calculation that does not
    run any more is a fault to mend.
    """
    age = now - manifest.generated_at
    tone = _tone(age, problem, limits)
    return Status(
        badge=f"Data through {text.day(manifest.data_through)}",
        tone=tone,
        detail=f"calculated {text.age(age)} ago{_quiet(manifest.data_through, now, limits)}",
        warning=_warning(age, tone, problem, now),
    )


def _tone(age: timedelta, problem: Problem | None, limits: FreshnessSettings) -> Tone:
    if age > timedelta(hours=limits.generated_error_h):
        return "red"
    return "orange" if problem or age > timedelta(hours=limits.generated_warn_h) else "green"


def _quiet(through: date, now: datetime, limits: FreshnessSettings) -> str:
    ended = datetime(through.year, through.month, through.day, tzinfo=now.tzinfo) + timedelta(days=1)
    since = now - ended
    late = since > timedelta(hours=limits.data_warn_h)
    return f" \N{MIDDLE DOT} the newest sale is {text.age(since)} old" if late else ""


def _warning(age: timedelta, tone: Tone, problem: Problem | None, now: datetime) -> str | None:
    if problem:
        return (
            f"These are the last good numbers: no newer ones could be read for {text.age(now - problem.since)}. "
            f"{problem.reason}."
        )
    if tone == "green":
        return None
    return f"These numbers were calculated {text.age(age)} ago; a newer calculation is overdue. Run `fab etl-sync`."
