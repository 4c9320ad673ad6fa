"""One check of the doctor, and what came of it. Pure.

A check looks at what one source has told; where the source told nothing, its first check says why, and the others
that they cannot tell.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from etl.errors import KpiOpsError
from ops.settings import Settings

State = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Saw:
    """What a check saw, and, where that is not as it should be, what was expected and what mends it."""

    state: State
    seen: str
    expected: str = ""
    to_do: str = ""


def ok(seen: str) -> Saw:
    """As it should be."""
    return Saw("ok", seen)


def warn(seen: str, expected: str, to_do: str) -> Saw:
    """Works, and will not for ever, or not for everybody."""
    return Saw("warn", seen, expected, to_do)


def fail(seen: str, expected: str, to_do: str) -> Saw:
    """Does not work, or is not safe."""
    return Saw("fail", seen, expected, to_do)


def unknown(seen: str, to_do: str = "") -> Saw:
    """Cannot be told."""
    return Saw("unknown", seen, to_do=to_do)


@dataclass(frozen=True, slots=True)
class Late:
    """A source that told nothing within so many seconds."""

    limit_s: float


@dataclass(frozen=True, slots=True)
class Bug:
    """A source that broke: our fault, or an answer in a form that nobody foresaw."""

    words: str


@dataclass(frozen=True, slots=True)
class Case:
    """What checks judge by. `told`: what each source said."""

    settings: Settings
    now: datetime
    told: Mapping[str, Any]

    def of(self, source: str) -> Any:
        """What a source told, None where it told nothing."""
        found = self.told.get(source)
        return None if isinstance(found, KpiOpsError | Late | Bug) else found


@dataclass(frozen=True, slots=True)
class Check:
    """`source`: whose word it judges; `judge` is handed that and the case."""

    name: str
    source: str
    judge: Callable[[Any, Case], Saw]


@dataclass(frozen=True, slots=True)
class Group:
    """Checks of one part of the system, in the order in which they are told."""

    name: str
    checks: Sequence[Check]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of a group saw."""

    group: str
    name: str
    saw: Saw


def judged(groups: Iterable[Group], case: Case) -> list[Finding]:
    """Each check of each group. Why something cannot be asked is told once; who depends on it points there."""
    reasons: dict[object, Place] = {}
    return [
        Finding(group.name, check.name, _saw(group, check, case, reasons)) for group in groups for check in group.checks
    ]


Place = tuple[str, str]  # group and check


def _saw(group: Group, check: Check, case: Case, reasons: dict[object, Place]) -> Saw:
    told = case.told.get(check.source)
    if not isinstance(told, KpiOpsError | Late | Bug):
        return _judged(check, told, case)
    reason = told.seen if isinstance(told, KpiOpsError) else check.source
    there = reasons.setdefault(reason, (group.name, check.name))
    if there != (group.name, check.name):
        return unknown(f"see {there[1]}" if there[0] == group.name else f"see {there[1]} of {there[0]}")
    if isinstance(told, KpiOpsError):
        return fail(told.seen, told.expected, told.to_do)
    if isinstance(told, Late):
        return unknown(f"no answer within {told.limit_s:g} s", "try again; where it lasts, look at the network between")
    return unknown(told.words, "look again; where it lasts, it is a fault of this tool: please tell its authors")


def _judged(check: Check, told: Any, case: Case) -> Saw:
    try:
        return check.judge(told, case)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return unknown(f"an answer is not understood: {error!r}")
