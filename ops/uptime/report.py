"""The report: a pure function of (samples, now, rules, maintenance, releases), as numbers and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction

from ops.uptime.history import History, Track
from ops.uptime.incidents import Incident, incidents
from ops.uptime.latency import Latency, by_day, latency
from ops.uptime.maintenance import Maintenance
from ops.uptime.releases import Release
from ops.uptime.rules import Rules
from ops.uptime.schedule import Schedule, schedule
from ops.uptime.standing import Status, standing
from ops.uptime.summary import LONGEST, Day, Window, days, timeline, windows
from ops.words import moment


@dataclass(frozen=True, slots=True)
class TargetReport:
    """The numbers of one target.

    `status`: up, degraded, down, unknown or "no data", since `since` as far as is known; `planned`: why, if now is
    maintenance; `incidents` in order of their start; `days`: the last 90 UTC days, today's last; `seen_by`: each
    vantage point's newest look.
    """

    status: Status
    since: datetime | None
    windows: Mapping[str, Window]
    incidents: Sequence[Incident]
    latency: Latency
    days: Sequence[Day]
    seen_by: Mapping[str, datetime]
    planned: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of all targets, by name, and of the prober itself.

    `first`, `last`: moments of the oldest and newest sample that was looked at; `digest`: 12 hex digits of a hash of
    all of them.
    """

    now: datetime
    rules: Rules
    targets: Mapping[str, TargetReport]
    schedule: Schedule
    samples: int
    torn_lines: int
    first: datetime | None = None
    last: datetime | None = None
    digest: str = ""


def report(
    history: History,
    *,
    now: datetime,
    rules: Rules,
    maintenance: Sequence[Maintenance] = (),
    releases: Sequence[Release] = (),
) -> Report:
    """The numbers at `now`. Samples after it are left out."""
    now = now.astimezone(UTC).replace(microsecond=0)
    now_s = int(now.timestamp())
    known = [track for track in (track.until(now_s) for track in history.tracks) if track.times_s]
    by_target: dict[str, list[Track]] = {}
    for track in known:
        by_target.setdefault(track.target, []).append(track)
    return Report(
        now=now,
        rules=rules,
        targets={name: _target(by_target[name], now, rules, maintenance, releases) for name in sorted(by_target)},
        schedule=schedule(known, now=now, cadence=rules.cadence),
        samples=sum(len(track.times_s) for track in known),
        torn_lines=history.torn_lines,
        first=min((_moment(track.times_s[0]) for track in known), default=None),
        last=max((_moment(track.times_s[-1]) for track in known), default=None),
        digest=History(known).digest,
    )


def _target(
    tracks: Sequence[Track],
    now: datetime,
    rules: Rules,
    maintenance: Sequence[Maintenance],
    releases: Sequence[Release],
) -> TargetReport:
    spans = timeline(tracks, now=now, hold=rules.hold, maintenance=maintenance)
    stands = standing(tracks, now=now, hold=rules.hold, maintenance=maintenance)
    return TargetReport(
        status=stands.status,
        since=stands.since,
        windows=windows(tracks, spans, rules=rules, maintenance=maintenance),
        incidents=incidents(tracks, now=now, rules=rules, maintenance=maintenance, releases=releases),
        latency=latency(tracks, now=now),
        days=days(spans, by_day(tracks, start=now - LONGEST, now=now), now=now),
        seen_by={track.by: _moment(track.times_s[-1]) for track in tracks},
        planned=stands.planned,
    )


def lately(numbers: Report) -> Report:
    """The report without the incidents that were over 90 days ago."""
    oldest = numbers.now - LONGEST
    return replace(
        numbers,
        targets={
            name: replace(
                target, incidents=[i for i in target.incidents if i.first_good is None or i.first_good > oldest]
            )
            for name, target in numbers.targets.items()
        },
    )


# --- as JSON ---------------------------------------------------------------------------------------------------------


def as_json(numbers: Report) -> dict[str, object]:
    """The numbers as `report --json` prints them; people script against these keys."""
    health = numbers.schedule
    return {
        "now": moment(numbers.now),
        "targets": {name: _target_json(target) for name, target in numbers.targets.items()},
        "schedule": {
            "due": health.due,
            "delivered": health.delivered,
            "late_p50_s": health.late_p50_s,
            "late_p95_s": health.late_p95_s,
            "longest_gap_s": health.longest_gap_s,
        },
        "torn_lines": numbers.torn_lines,
        "samples": numbers.samples,
        "digest": numbers.digest,
    }


def _target_json(target: TargetReport) -> dict[str, object]:
    return {
        "windows": {name: _window_json(window) for name, window in target.windows.items()},
        "status": target.status,
        "since": moment(target.since) if target.since else None,
        "incidents": [_incident_json(incident) for incident in target.incidents],
        "latency_ms": {
            "p50": target.latency.total.p50_ms,
            "p95": target.latency.total.p95_ms,
            "phases": {
                phase: {"p50": found.p50_ms, "p95": found.p95_ms} for phase, found in target.latency.phases.items()
            },
        },
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
        "lowest": _float(window.lowest),
        "highest": _float(window.highest),
    }


def _incident_json(incident: Incident) -> dict[str, object]:
    return {
        "start": moment(incident.start),
        "last_bad": moment(incident.last_bad),
        "first_good": moment(incident.first_good) if incident.first_good else None,
        "last_good": moment(incident.last_good) if incident.last_good else None,
        "min_s": incident.min_s,
        "max_s": incident.max_s,
        "unseen_s": incident.unseen_s,
        "stage": incident.stage,
        "reason": incident.reason,
        "detail": what(incident),
        "release": incident.release,
    }


def _float(fraction: Fraction | None) -> float | None:
    return None if fraction is None else float(fraction)


def what(incident: Incident) -> str | None:
    """What is told of an incident: that it is flapping, and what its first bad sample says."""
    flapping = f"flapping, {incident.changes} changes" if incident.changes else None
    return "; ".join(filter(None, (flapping, incident.detail))) or None


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
