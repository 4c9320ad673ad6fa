"""One change: who, when, what, from where to where, how it ended, how long it took. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from etl.errors import ExitCode

Outcome = Literal["done", "refused", "failed", "interrupted"]
AUDIT_PREFIX: Final = "ops/audit/"  # of keys in the bucket
LONGEST: Final = 500  # letters of a word that is kept: a line is for people
# What changed nothing leaves no line: a plan, or a lock that somebody else held.
OUTCOMES: Final[Mapping[int, Outcome]] = {ExitCode.GOOD: "done", ExitCode.CHECK_FAILED: "refused"}


@dataclass(slots=True)
class Draft:
    """What a command comes to know of its change while it runs. `changed` is False where there was nothing to do."""

    origin: str = ""
    to: str = ""
    reason: str = ""
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A line. `at`: when it began, UTC, like 2026-11-22T12:00:00Z; `origin` and `to`: releases, runs or stacks."""

    at: str
    who: str
    what: str
    origin: str
    to: str
    outcome: str
    seconds: float
    reason: str = ""

    @property
    def began(self) -> datetime:
        """When it began. Raises ValueError."""
        found = datetime.fromisoformat(self.at)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def as_line(change: Change) -> str:
    """As it is kept: one JSON object, one line."""
    values = asdict(change)
    return json.dumps({"from" if name == "origin" else name: value for name, value in values.items()}) + "\n"


def key(change: Change) -> str:
    """Its name below the prefix: in the order of time within its month, and the same for the same line."""
    digest = hashlib.sha256(as_line(change).encode()).hexdigest()[:12]
    return f"{change.at[:4]}/{change.at[5:7]}/{change.at[8:].replace(':', '')}-{change.what}-{digest}.json"


def parsed(text: str) -> Change | None:
    """The change of a line; None for what is none."""
    try:
        values = json.loads(text)
        change = read(values)
        _ = change.began
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return change


def read(values: Mapping[str, Any]) -> Change:
    """The change of a line's values, as it is kept here or on the host. Raises KeyError, TypeError, ValueError."""
    if not isinstance(values, Mapping):
        raise TypeError(type(values))
    words = {name: str(values.get(name) or "")[:LONGEST] for name in ("who", "from", "to", "outcome", "reason")}
    return Change(
        at=str(values["at"]),
        who=words["who"],
        what=str(values["what"]),
        origin=words["from"],
        to=words["to"],
        outcome=words["outcome"],
        seconds=float(values.get("seconds") or 0),
        reason=words["reason"],
    )
