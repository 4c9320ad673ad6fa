"""The status page: a report as one HTML file that needs no script and asks no host. Pure."""

from collections.abc import Mapping, Sequence

from ops.render import render
from ops.uptime.display.evened import evened
from ops.uptime.display.phrases import (
    about_data,
    apart,
    bounds,
    cause,
    count_of_incidents,
    happened,
    headline,
    lasted,
    latest_incidents,
    loudest,
    phases,
    punctuality,
    recorded,
    remarks,
    silent,
    since,
    stage_and_reason,
    state_of,
    status_since,
    windows,
)
from ops.uptime.display.pictures import bar, chart
from ops.uptime.display.words import length, minute, outside, percent, sentence
from ops.uptime.incidents import Incident
from ops.uptime.report import Report, TargetReport

TEMPLATE = "uptime.html.j2"
SIGNS: Mapping[str, str] = {"up": "✓", "degraded": "!", "down": "✕", "unknown": "?", "no data": "-", "maintenance": "m"}


def as_html(
    numbers: Report, *, freshness: str | None = None, warnings: Sequence[str] = (), report_at: str = "../uptime.md"
) -> str:
    """The text of index.html. `report_at`: where uptime.md is, as seen from the page."""
    incidents = latest_incidents(numbers)
    page = render(
        TEMPLATE,
        headline=headline(numbers, outside),
        **_state(loudest(numbers)),
        since=since(numbers),
        now=minute(numbers.now),
        cadence=length(numbers.rules.cadence),
        hold=length(numbers.rules.hold),
        enough=percent(numbers.rules.enough_coverage, 0),
        warnings=[sentence(outside(warning)) for warning in warnings],
        freshness=None if freshness is None else sentence(outside(about_data(freshness))),
        targets=[_target(name, target, numbers) for name, target in numbers.targets.items()],
        incidents=[_incident(name, incident) for name, incident in incidents],
        older=count_of_incidents(numbers) - len(incidents),
        punctuality=punctuality(numbers.schedule, numbers.rules.cadence, exact=False),
        recorded=recorded(numbers),
        report_at=report_at,
    )
    return evened(page)


def _state(state: str) -> dict[str, str]:
    """How a state is shown: its sign, and the name of its colour in the style."""
    return {"sign": SIGNS[state], "looks": state.replace(" ", "")}


def _target(name: str, target: TargetReport, numbers: Report) -> dict[str, object]:
    return {
        **_state(state_of(target)),
        "name": outside(name),
        "status": status_since(target),
        "planned": None if target.planned is None else outside(target.planned),
        "seen_by": sorted(outside(by) for by in target.seen_by),
        "silent": [(outside(by), at) for by, at in silent(target, numbers)],
        "bar": bar(name, target, numbers),
        "windows": windows(target, numbers.rules.enough_coverage),
        "apart": apart(target),
        "chart": chart(name, target, numbers),
        "phases": phases(target.latency),
    }


def _incident(name: str, incident: Incident) -> dict[str, object]:
    return {
        "name": outside(name),
        "goes_on": incident.first_good is None,
        "what": sentence(f"{happened(incident)}, {lasted(incident)}: {cause(incident)}"),
        "more": [sentence(each) for each in (bounds(incident), *remarks(incident))],
        "names": outside(" / ".join(stage_and_reason(incident))),
        "detail": outside(incident.detail or ""),
        "release": outside(incident.release or ""),
    }
