"""The numbers on uptime as the scheduled check publishes them: JSON -> values that are known to be sound. Pure.

The form is that of `python -m ops.uptime report --json`. What is not of that form is a ContractError, never a default;
keys that are not known here are passed over, for a later release may add some.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from etl.errors import ContractError

T = TypeVar("T")

WINDOWS: Final = ("24h", "7d", "30d", "90d")
MOST_TARGETS: Final = 50
MOST_INCIDENTS: Final = 1000  # of a target
LONGEST_TEXT: Final = 400
STATUSES: Final = frozenset({"up", "degraded", "down", "unknown", "no data"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")  # as settings.toml lets a target be called


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds by state; shares of 1, None where they have no meaning.

    `coverage`: how much of the window somebody saw. `lowest`, `highest`: what the true uptime lies between.
    """

    up_s: int
    down_s: int
    nodata_s: int
    maintenance_s: int
    uptime: float | None
    coverage: float | None
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class Incident:
    """A time of being down, from its first bad look; `first_good` is None while it goes on.

    It lasted `min_s` at least and `max_s` at most, None where no good look bounds it.
    """

    start: datetime
    last_bad: datetime
    first_good: datetime | None
    min_s: int
    max_s: int | None
    reason: str | None
    detail: str | None
    release: str | None


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of good looks: the median and the 95th percentile; None where there was no good look."""

    p50_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of one target. `status`: one of STATUSES; `took` by phase, `total` the whole."""

    status: str
    since: datetime | None
    windows: Mapping[str, Window]
    incidents: Sequence[Incident]
    total: Took
    phases: Mapping[str, Took]


@dataclass(frozen=True, slots=True)
class Record:
    """The numbers of all targets, as they were at `now`."""

    now: datetime
    targets: Mapping[str, Target]
    samples: int


def record_of(data: bytes, where: str) -> Record:
    """The document's numbers. Raises ContractError that says what was seen."""
    try:
        return _record(json.loads(data, parse_constant=_no_number))
    except (_Unsound, ValueError, RecursionError) as error:
        raise ContractError(
            f"{where} is not a report on uptime: {error}",
            expected="the JSON of `python -m ops.uptime report --json`",
            to_do="let the check publish it anew: `python -m ops.uptime check --publish`",
        ) from error


class _Unsound(Exception):
    """A place in the document, and what is wrong there."""


def _no_number(name: str) -> Any:
    raise _Unsound(f"{name} is no number")


def _record(value: Any) -> Record:
    top = _mapping(value, "the document")
    targets = _mapping(_at(top, "targets"), "targets")
    if len(targets) > MOST_TARGETS:
        raise _Unsound(f"{len(targets)} targets")
    return Record(
        now=_moment(_at(top, "now"), "now"),
        targets={_name(name, "targets"): _target(each, f"targets.{name}") for name, each in targets.items()},
        samples=_whole(top.get("samples", 0), "samples"),
    )


def _target(value: Any, place: str) -> Target:
    found = _mapping(value, place)
    windows = _mapping(_at(found, "windows", place), f"{place}.windows")
    latency = _mapping(_at(found, "latency_ms", place), f"{place}.latency_ms")
    phases = _mapping(latency.get("phases", {}), f"{place}.latency_ms.phases")
    return Target(
        status=_status(found.get("status", "no data"), f"{place}.status"),
        since=_maybe(_moment, found.get("since"), f"{place}.since"),
        windows={
            name: _window(windows[name], f"{place}.windows.{name}") for name in WINDOWS if windows.get(name) is not None
        },
        incidents=[
            _incident(each, f"{place}.incidents")
            for each in _list(_at(found, "incidents", place), f"{place}.incidents")
        ],
        total=_took(latency, f"{place}.latency_ms"),
        phases={_name(name, place): _took(each, f"{place}.latency_ms.phases.{name}") for name, each in phases.items()},
    )


def _window(value: Any, place: str) -> Window:
    found = _mapping(value, place)

    def share(name: str, instead: str = "") -> float | None:
        return _maybe(_share, found.get(name, found.get(instead)), f"{place}.{name}")

    def seconds(name: str) -> int:
        return _whole(_at(found, name, place), f"{place}.{name}")

    return Window(
        up_s=seconds("up_s"),
        down_s=seconds("down_s"),
        nodata_s=seconds("nodata_s"),
        maintenance_s=seconds("maintenance_s"),
        uptime=share("uptime"),
        coverage=share("coverage"),
        lowest=share("lowest", "worst"),
        highest=share("highest", "best"),
    )


def _incident(value: Any, place: str) -> Incident:
    found = _mapping(value, place)

    def text(name: str) -> str | None:
        return _maybe(_text, found.get(name), f"{place}.{name}")

    return Incident(
        start=_moment(_at(found, "start", place), f"{place}.start"),
        last_bad=_moment(_at(found, "last_bad", place), f"{place}.last_bad"),
        first_good=_maybe(_moment, found.get("first_good"), f"{place}.first_good"),
        min_s=_whole(_at(found, "min_s", place), f"{place}.min_s"),
        max_s=_maybe(_whole, found.get("max_s"), f"{place}.max_s"),
        reason=text("reason"),
        detail=text("detail"),
        release=text("release"),
    )


def _took(value: Any, place: str) -> Took:
    found = _mapping(value, place)
    return Took(_maybe(_whole, found.get("p50"), f"{place}.p50"), _maybe(_whole, found.get("p95"), f"{place}.p95"))


# --- values ----------------------------------------------------------------------------------------------------------


def _at(found: Mapping[str, Any], name: str, place: str = "the document") -> Any:
    if name not in found:
        raise _Unsound(f"{place} has no {name}")
    return found[name]


def _maybe(read: Callable[[Any, str], T], value: Any, place: str) -> T | None:
    return None if value is None else read(value, place)


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Unsound(f"{place} is no object")
    return value


def _list(value: Any, place: str) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > MOST_INCIDENTS:
        raise _Unsound(f"{place} is no list of at most {MOST_INCIDENTS}")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise _Unsound(f"{place} is no text")
    return "".join(letter if letter.isprintable() else " " for letter in value[:LONGEST_TEXT])


def _name(value: str, place: str) -> str:
    if not _NAME.fullmatch(value):
        raise _Unsound(f"{place} has one called {value[:60]!a}")
    return value


def _status(value: Any, place: str) -> str:
    """One that a later release may have added says nothing to this one."""
    return told if (told := _text(value, place)) in STATUSES else "unknown"


def _whole(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise _Unsound(f"{place} is no whole number from 0 on")
    return value


def _share(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 or math.isnan(value):
        raise _Unsound(f"{place} is no share from 0 to 1")
    return float(value)


def _moment(value: Any, place: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
        aware = at.astimezone(UTC) if at.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        aware = None
    if aware is None:
        raise _Unsound(f"{place} is no time like 2026-11-22T12:07:03Z")
    return aware
