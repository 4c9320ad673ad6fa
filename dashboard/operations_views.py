"""Whether the shop's numbers arrive and can be reached: clocks, uptime, incidents, files, this server. Pure."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import pandas as pd

from dashboard import format as text
from dashboard.process import ScriptError
from dashboard.uptime_holder import UptimeState
from dashboard.uptime_record import Incident, Record, Target, Took
from etl.contract import Manifest
from ops.freshness import Freshness
from ops.settings import FreshnessSettings

Tone = Literal["green", "orange", "red", "gray"]

VERDICT_WORDS: Final[Mapping[str, str]] = {
    "fresh": "in time",
    "warn": "late",
    "stale": "too old",
    "future": "lies in the future",
}
VERDICT_TONES: Final[Mapping[str, Tone]] = {"fresh": "green", "warn": "orange", "stale": "red", "future": "red"}
STATUS_TONES: Final[Mapping[str, Tone]] = {"up": "green", "degraded": "orange", "down": "red"}
PHASES: Final = ("dns", "tcp", "tls", "ttfb", "body", "ws", "script")
SILENT_AFTER_CADENCES: Final = 3  # looks that did not come: what is shown is then history
HEADLINE_WINDOWS: Final = ("30d", "7d", "24h")
MB: Final = 1_000_000
_RELEASE_COMMIT: Final = re.compile(r"\d{8}t\d{6}\.([0-9a-f]{7,40})(\.dirty)?")
_YEAR_S, _DAY_S, _HOUR_S, _MINUTE_S = 365 * 24 * 3600, 24 * 3600, 3600, 60


# --- the two clocks ---------------------------------------------------------------------------------------------------


def clocks(fresh: Freshness, limits: FreshnessSettings) -> pd.DataFrame:
    """One row for each clock: clock, since, age, counted_h, late_after_h, too_old_after_h, verdict (in words).

    `counted_h`: hours that are held against the limits; those of closed days are not.
    """
    rows = [
        ("Calculated", fresh.generated, limits.generated_warn_h, limits.generated_error_h),
        ("Newest day of the data", fresh.data, limits.data_warn_h, limits.data_error_h),
    ]
    return pd.DataFrame(
        {
            "clock": [name for name, *_ in rows],
            "since": [_moment(clock.since) for _, clock, *_ in rows],
            "age": [text.age(clock.age) for _, clock, *_ in rows],
            "counted_h": [round(clock.counted / timedelta(hours=1), 1) for _, clock, *_ in rows],
            "late_after_h": [float(warn) for *_, warn, _ in rows],
            "too_old_after_h": [float(error) for *_, error in rows],
            "verdict": [VERDICT_WORDS[clock.verdict] for _, clock, *_ in rows],
        }
    )


def clocks_told(table: pd.DataFrame) -> pd.DataFrame:
    """The same as people read it, narrow enough for a phone: a column for each clock, a row for each fact."""
    rows: dict[str, Sequence[str]] = {
        "Is": list(table["verdict"]),
        "Age": list(table["age"]),
        "Since": list(table["since"]),
        "Hours that count": [f"{hours:,.0f}" for hours in table["counted_h"]],
        "Late after": [f"{hours:,g} h" for hours in table["late_after_h"]],
        "Too old after": [f"{hours:,g} h" for hours in table["too_old_after_h"]],
    }
    return pd.DataFrame(list(rows.values()), index=list(rows), columns=list(table["clock"]))


def _moment(at: datetime) -> str:
    """To the minute, and sortable."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def short_age(age: timedelta) -> str:
    """In its largest whole unit, for a narrow card: 14 y, 3 d, 5 h, 23 min, < 1 min."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length_s in (("y", _YEAR_S), ("d", _DAY_S), ("h", _HOUR_S), ("min", _MINUTE_S)):
        if seconds >= length_s:
            return f"{seconds // length_s:,} {unit}"
    return "< 1 min"


# --- uptime -----------------------------------------------------------------------------------------------------------


def windows(target: Target, enough: float) -> pd.DataFrame:
    """One row for each window: window, uptime, lowest, highest, coverage (shares of 1), down, unseen, maintenance.

    `uptime` is NaN where less than `enough` of the window was seen. The last three are in seconds.
    """
    rows = [
        {
            "window": name,
            "uptime": each.uptime if (each.coverage or 0) >= enough else None,
            "lowest": each.lowest,
            "highest": each.highest,
            "coverage": each.coverage,
            "down_s": each.down_s,
            "unseen_s": each.nodata_s,
            "maintenance_s": each.maintenance_s,
        }
        for name, each in target.windows.items()
    ]
    shares = dict.fromkeys(("uptime", "lowest", "highest", "coverage"), "float64")
    seconds = dict.fromkeys(("down_s", "unseen_s", "maintenance_s"), "int64")
    return pd.DataFrame(rows, columns=["window", *shares, *seconds]).astype(shares | seconds)


def windows_told(table: pd.DataFrame) -> pd.DataFrame:
    """The same as people read it: percentages are cut, upper bounds rounded up, so that they hold."""
    return pd.DataFrame(
        {
            "window": table["window"],
            "uptime": [cut(share) if share == share else "insufficient data" for share in table["uptime"]],  # noqa: PLR0124 - not NaN
            "between": [_between(low, high) for low, high in zip(table["lowest"], table["highest"], strict=True)],
            "coverage": [cut(share, 0) for share in table["coverage"]],
            "down": [length(seconds) for seconds in table["down_s"]],
        }
    )


def cut(share: float | None, decimals: int = 3) -> str:
    """A percentage, cut and never rounded up: 100 % means that nothing is missing."""
    return text.NOT_AVAILABLE if share is None or math.isnan(share) else f"{_steps(share, decimals, math.floor)} %"


def _between(low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return text.NOT_AVAILABLE
    return f"{_steps(low, 1, math.floor)} to {_steps(high, 1, math.ceil)} %"


def _steps(share: float, decimals: int, to_whole: Callable[[float], int]) -> str:
    scaled = round(share * 100 * 10**decimals, 6)  # 0.29 * 100 is not 29 to a computer
    return f"{to_whole(scaled) / 10**decimals:.{decimals}f}"


def length(seconds: int | None) -> str:
    """In its two largest units, cut: 1 h 30 min."""
    if seconds is None:
        return text.NOT_AVAILABLE
    if seconds >= 2 * _DAY_S:
        return _in_units(seconds // _DAY_S, "d", seconds % _DAY_S // _HOUR_S, "h")
    if seconds >= _HOUR_S:
        return _in_units(seconds // _HOUR_S, "h", seconds % _HOUR_S // _MINUTE_S, "min")
    return _in_units(seconds // _MINUTE_S, "min", seconds % _MINUTE_S, "s") if seconds >= _MINUTE_S else f"{seconds} s"


def _in_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def incidents(record: Record) -> pd.DataFrame:
    """One row for each incident of all targets, the newest first.

    Columns: target, began (UTC), ended (empty while it goes on), lasted (bounds), reason, detail, release.
    """
    found = [(name, each) for name, target in record.targets.items() for each in target.incidents]
    found.sort(key=lambda one: (one[1].start, one[0]), reverse=True)
    rows = [
        {
            "target": name,
            "began": _moment(each.start),
            "ended": _moment(each.first_good) if each.first_good else "",
            "lasted": _lasted(each),
            "reason": each.reason or "",
            "detail": each.detail or "",
            "release": each.release or "",
        }
        for name, each in found
    ]
    return pd.DataFrame(rows, columns=["target", "began", "ended", "lasted", "reason", "detail", "release"])


def _lasted(of: Incident) -> str:
    if of.first_good is None:
        return f"{length(of.min_s)} or more, and goes on"
    if of.max_s is None:
        return f"{length(of.min_s)} or more"
    return f"{length(of.min_s)} to {length(of.max_s)}" if of.min_s else f"at most {length(of.max_s)}"


def response(target: Target) -> pd.DataFrame:
    """One row for each phase that was reached, in their order, and the whole last: phase, p50_ms, p95_ms."""
    others = sorted(set(target.phases) - set(PHASES))
    phases = [(name, target.phases[name]) for name in (*PHASES, *others) if name in target.phases]
    known = [(name, took) for name, took in (*phases, ("total", target.total)) if _is_known(took)]
    return pd.DataFrame(
        [(name, took.p50_ms, took.p95_ms) for name, took in known], columns=["phase", "p50_ms", "p95_ms"]
    ).astype({"p50_ms": "float64", "p95_ms": "float64"})


def _is_known(took: Took) -> bool:
    return took.p50_ms is not None


def headline(target: Target, enough: float) -> tuple[str, float | None]:
    """The longest of HEADLINE_WINDOWS of which enough was seen, and its uptime; None where there is none."""
    for name in HEADLINE_WINDOWS:
        window = target.windows.get(name)
        if window and window.uptime is not None and (window.coverage or 0) >= enough:
            return name, window.uptime
    return HEADLINE_WINDOWS[0], None


def first_target(names: Sequence[str], wanted: str | None) -> str | None:
    """The target that is shown: the wanted one, else this page's own, else the first."""
    if wanted in names:
        return wanted
    return "dashboard" if "dashboard" in names else next(iter(names), None)


def record_line(state: UptimeState, where: str, now: datetime, cadence: timedelta) -> tuple[str, bool]:
    """What is said above the numbers on uptime, and whether it is to be looked at."""
    if state.reading:
        return "The record of uptime is being read; it will be here in a moment.", False
    if state.absent:
        told = "Put it there with `python -m ops.uptime check --publish` (docs/uptime-schedule.md)."
        return f"No record of uptime is published at `{where}`. {told}", False
    problem = f"The newest record of uptime cannot be read: {_one_line(state.problem)}." if state.problem else ""
    if state.record is None:
        return problem, True
    age = now - state.record.now
    seen = f"As of {text.moment(state.record.now)}, {text.age(age)} ago; {text.count(state.record.samples)} looks."
    if problem:
        return f"{problem} Shown is the last good one. {seen}", True
    if age > SILENT_AFTER_CADENCES * cadence:
        return f"{seen} No check came since: look at the schedule that runs it.", True
    return seen, False


def _one_line(words: str | None) -> str:
    """As code, so that nothing in it becomes Markdown."""
    return f"`{' '.join((words or '').replace('`', ' ').split())[:300]}`"


# --- the snapshot -----------------------------------------------------------------------------------------------------


def files(manifest: Manifest) -> pd.DataFrame:
    """One row for each published file: file, rows, bytes, sha256, version_id."""
    rows = [
        (f"{name}.{fmt}", file.rows, file.bytes, file.sha256, file.version_id or "")
        for name, artifact in manifest.artifacts.items()
        for fmt, file in artifact.files.items()
    ]
    return pd.DataFrame(rows, columns=["file", "rows", "bytes", "sha256", "version_id"])


# --- this server ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Server:
    """What this process knows of itself. `sessions`: open pages, None where nothing counts them."""

    release: str
    began: datetime | None
    memory_bytes: int | None
    sessions: int | None
    python: str
    streamlit: str
    store: str
    errors: int
    last_error: ScriptError | None


def server(of: Server, now: datetime) -> pd.DataFrame:
    """One row for each fact: fact, value."""
    facts = {
        "Release": of.release,
        "Commit": commit(of.release) or text.NOT_AVAILABLE,
        "Started": f"{_moment(of.began)}, {text.age(now - of.began)} ago" if of.began else text.NOT_AVAILABLE,
        "Memory (RSS)": memory(of.memory_bytes),
        "Open sessions": text.count(of.sessions),
        "Python": of.python,
        "Streamlit": of.streamlit,
        "Reads from": of.store,
        "Script errors since the start": text.count(of.errors),
        "Last script error": error_line(of.last_error),
    }
    return pd.DataFrame({"fact": list(facts), "value": list(facts.values())})


def commit(release: str) -> str | None:
    """The commit that a release's name tells of, as git shortens it; None for a name without one."""
    found = _RELEASE_COMMIT.match(release)
    return f"{found[1]}{' with changes' if found[2] else ''}" if found else None


def memory(size_bytes: int | None) -> str:
    """In MB."""
    return text.NOT_AVAILABLE if size_bytes is None else f"{size_bytes / MB:,.0f} MB"


def error_line(error: ScriptError | None) -> str:
    """Type, place and moment; its message stays in the server's log, for it may tell of somebody's data."""
    if error is None:
        return "none"
    return f"{error.kind}{f' in {error.place}' if error.place else ''}, {_moment(error.at)}"


# --- the answer -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the page's first line."""

    words: str
    tone: Tone


def answer(fresh: Freshness, record: Record | None, of: Server, now: datetime, cadence: timedelta) -> tuple[Part, ...]:
    """The numbers, the page as others see it, and this server, each in a few words."""
    return (
        Part(f"Calculation {VERDICT_WORDS[fresh.generated.verdict]}", VERDICT_TONES[fresh.generated.verdict]),
        Part(f"Data {VERDICT_WORDS[fresh.data.verdict]}", VERDICT_TONES[fresh.data.verdict]),
        _seen_from_outside(record, now, cadence),
        Part("Pages raise nothing", "green") if of.last_error is None else Part("A page raised an error", "orange"),
    )


def _seen_from_outside(record: Record | None, now: datetime, cadence: timedelta) -> Part:
    if record is None or not record.targets:
        return Part("Not watched from outside", "gray")
    if now - record.now > SILENT_AFTER_CADENCES * cadence:
        return Part("Nobody looked lately", "orange")
    bad = {name: target.status for name, target in record.targets.items() if target.status != "up"}
    if not bad:
        return Part("Up, seen from outside", "green")
    worst = next((status for status in ("down", "degraded") if status in bad.values()), "no data")
    names = ", ".join(sorted(name for name, status in bad.items() if worst in (status, "no data"))[:3])
    return Part(f"{names}: {worst}", STATUS_TONES.get(worst, "gray"))
