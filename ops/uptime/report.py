"""The report: a pure function of (samples, now, cadence), as numbers, as JSON and as Markdown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from ops.render import render
from ops.uptime.incidents import Incident, incidents
from ops.uptime.maintenance import Maintenance
from ops.uptime.record import Recorded, Sample
from ops.uptime.schedule import Schedule, schedule
from ops.uptime.summary import ENOUGH_COVERAGE, Latency, Window, hold_of, latency, status, windows

TEMPLATE = "uptime.md.j2"
INCIDENTS_SHOWN = 10
DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class TargetReport:
    """The numbers of one target. `incidents` in order of their start."""

    status: str
    windows: Mapping[str, Window]
    incidents: Sequence[Incident]
    latency: Latency


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of all targets, by name, and of the prober itself."""

    now: datetime
    cadence: timedelta
    targets: Mapping[str, TargetReport]
    schedule: Schedule
    samples: int
    torn_lines: int


def report(recorded: Recorded, *, now: datetime, cadence: timedelta, maintenance: Sequence[Maintenance] = ()) -> Report:
    """The numbers at `now`. Samples after it are left out."""
    now = now.astimezone(UTC).replace(microsecond=0)
    known = [sample for sample in recorded.samples if sample.at <= now]
    by_target: dict[str, list[Sample]] = {}
    for sample in known:
        by_target.setdefault(sample.target, []).append(sample)
    return Report(
        now=now,
        cadence=cadence,
        targets={name: _target(by_target[name], now, cadence, maintenance) for name in sorted(by_target)},
        schedule=schedule((sample.at for sample in known), now=now, cadence=cadence),
        samples=len(known),
        torn_lines=recorded.torn_lines,
    )


def _target(
    samples: Sequence[Sample], now: datetime, cadence: timedelta, maintenance: Sequence[Maintenance]
) -> TargetReport:
    hold = hold_of(cadence)
    return TargetReport(
        status=status(samples, now=now, hold=hold),
        windows=windows(samples, now=now, cadence=cadence, maintenance=maintenance),
        incidents=incidents(samples, now=now, hold=hold, maintenance=maintenance),
        latency=latency(samples, now=now),
    )


# --- as JSON ---------------------------------------------------------------------------------------------------------


def as_json(numbers: Report) -> dict[str, object]:
    """The numbers as `report --json` prints them; people script against these keys."""
    health = numbers.schedule
    return {
        "now": _moment(numbers.now),
        "targets": {name: _target_json(target) for name, target in numbers.targets.items()},
        "schedule": {
            "due": health.due,
            "delivered": health.delivered,
            "late_p50_s": health.late_p50_s,
            "late_p95_s": health.late_p95_s,
            "longest_gap_s": health.longest_gap_s,
        },
        "torn_lines": numbers.torn_lines,
    }


def _target_json(target: TargetReport) -> dict[str, object]:
    return {
        "windows": {name: _window_json(window) for name, window in target.windows.items()},
        "incidents": [_incident_json(incident) for incident in target.incidents],
        "latency_ms": {"p50": target.latency.p50_ms, "p95": target.latency.p95_ms},
    }


def _window_json(window: Window) -> dict[str, object]:
    return {
        "up_s": window.up_s,
        "down_s": window.down_s,
        "nodata_s": window.nodata_s,
        "maintenance_s": window.maintenance_s,
        "uptime": _float(window.uptime),
        "coverage": _float(window.coverage),
        "worst": _float(window.worst),
        "best": _float(window.best),
    }


def _incident_json(incident: Incident) -> dict[str, object]:
    return {
        "start": _moment(incident.start),
        "last_bad": _moment(incident.last_bad),
        "first_good": _moment(incident.first_good) if incident.first_good else None,
        "min_s": incident.min_s,
        "max_s": incident.max_s,
        "reason": incident.reason,
        "detail": _what(incident),
    }


def _float(fraction: Fraction | None) -> float | None:
    return None if fraction is None else float(fraction)


# --- as Markdown -----------------------------------------------------------------------------------------------------


def as_markdown(numbers: Report, *, freshness: str | None = None) -> str:
    """The text of uptime.md. `freshness`: the line about the data's age, which changes nothing else."""
    return render(
        TEMPLATE,
        now=_moment(numbers.now),
        status=_status_line(numbers),
        freshness=None if freshness is None else _plain(freshness),
        targets=[_target_values(name, target) for name, target in numbers.targets.items()],
        schedule=_schedule_values(numbers),
        samples=f"{numbers.samples:,}",
        torn_lines=numbers.torn_lines,
        hold=length(hold_of(numbers.cadence)),
    )


def _status_line(numbers: Report) -> str:
    states = {target.status for target in numbers.targets.values()}
    if not states:
        return "no data yet"
    if states == {"up"}:
        return "everything is up"
    return ", ".join(f"{name} {_is(target.status)}" for name, target in numbers.targets.items())


def _is(state: str) -> str:
    return "has no recent data" if state == "no data" else f"is {state}"


def _target_values(name: str, target: TargetReport) -> dict[str, object]:
    newest_first = list(reversed(target.incidents))
    return {
        "name": name,
        "status": target.status,
        "windows": [_window_values(window_name, window) for window_name, window in target.windows.items()],
        "p50_ms": target.latency.p50_ms,
        "p95_ms": target.latency.p95_ms,
        "incidents": [_incident_values(incident) for incident in newest_first[:INCIDENTS_SHOWN]],
        "older": max(0, len(newest_first) - INCIDENTS_SHOWN),
    }


def _window_values(name: str, window: Window) -> dict[str, str]:
    return {
        "name": name,
        "uptime": _uptime(window),
        "coverage": percent(window.coverage),
        "between": "-" if window.worst is None else f"{percent(window.worst)} and {percent(window.best)}",
        "down": length(timedelta(seconds=window.down_s)),
        "nodata": length(timedelta(seconds=window.nodata_s)),
        "maintenance": length(timedelta(seconds=window.maintenance_s)),
    }


def _uptime(window: Window) -> str:
    enough = window.coverage is not None and window.coverage >= ENOUGH_COVERAGE
    return percent(window.uptime) if enough else "insufficient data"


def percent(fraction: Fraction | None) -> str:
    """A percentage with three decimals, cut and never rounded up: 100 % means that nothing is missing."""
    if fraction is None:
        return "-"
    thousandths = fraction.numerator * 100_000 // fraction.denominator
    return f"{thousandths // 1000}.{thousandths % 1000:03d} %"


def length(duration: timedelta) -> str:
    """A duration in its two largest units, the second only where it is not 0: '1 h 30 min', '45 min'."""
    seconds = int(duration.total_seconds())
    if seconds >= 2 * DAY_S:
        return _in_units(seconds // DAY_S, "d", seconds % DAY_S // 3600, "h")
    if seconds >= 3600:  # noqa: PLR2004 - seconds in an hour
        return _in_units(seconds // 3600, "h", seconds % 3600 // 60, "min")
    return _in_units(seconds // 60, "min", seconds % 60, "s") if seconds >= 60 else f"{seconds} s"  # noqa: PLR2004


def _in_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def _incident_values(incident: Incident) -> dict[str, str]:
    return {
        "start": _moment(incident.start),
        "lasted": _lasted(incident),
        "where": " / ".join(filter(None, (incident.stage, incident.reason))),
        "what": _code(_what(incident)),
    }


def _lasted(incident: Incident) -> str:
    at_least = length(timedelta(seconds=incident.min_s))
    if incident.first_good is None:
        return f"{at_least} or more, goes on"
    if incident.max_s is None:
        return f"{at_least} or more"
    return f"{at_least} to {length(timedelta(seconds=incident.max_s))}"


def _what(incident: Incident) -> str | None:
    flapping = f"flapping, {incident.changes} changes" if incident.changes else None
    return "; ".join(filter(None, (flapping, incident.detail))) or None


def _schedule_values(numbers: Report) -> dict[str, object]:
    health = numbers.schedule
    return {
        "cadence": length(numbers.cadence),
        "due": health.due,
        "delivered": health.delivered,
        "late_p50": _length_or_none(health.late_p50_s),
        "late_p95": _length_or_none(health.late_p95_s),
        "longest_gap": _length_or_none(health.longest_gap_s),
    }


def _length_or_none(seconds: int | None) -> str | None:
    return None if seconds is None else length(timedelta(seconds=seconds))


def _code(text: str | None) -> str:
    """Words from outside, in a table cell: as code, so that nothing in them is taken for Markdown or HTML."""
    safe = "" if text is None else " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{safe}`" if safe else ""


def _plain(text: str) -> str:
    """Words from outside on one line, with all that Markdown would act on escaped."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
