"""uptime.md: a report as text that reads well on GitHub, on a phone and in a terminal. Pure.

Words from outside stand in code spans, and never in a table: nothing in them becomes Markdown, HTML or a mention.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from ops.render import render
from ops.uptime.display.days import DAYS_SHOWN, as_text, cells, summary
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
    made_of,
    phases,
    punctuality,
    recorded,
    remarks,
    silent,
    since,
    stage_and_reason,
    status_since,
    windows,
)
from ops.uptime.display.pictures import file_names
from ops.uptime.display.words import length, listed, outside, percent, sentence
from ops.uptime.incidents import Incident
from ops.uptime.report import Report, TargetReport
from ops.words import moment

TEMPLATE = "uptime.md.j2"


def as_markdown(
    numbers: Report, *, freshness: str | None = None, warnings: Sequence[str] = (), beside: str = "uptime"
) -> str:
    """The text of uptime.md.

    `freshness`: the line about the data's age, which changes nothing else; `beside`: the directory of the pictures, as
    seen from the file.
    """
    incidents = latest_incidents(numbers)
    text = render(
        TEMPLATE,
        headline=headline(numbers, code),
        since=since(numbers),
        now=moment(numbers.now),
        made_of=made_of(numbers),
        warnings=[code(warning) for warning in warnings],
        freshness=None if freshness is None else code(about_data(freshness)),
        targets=_targets(numbers, quote(beside)),
        incidents=[_incident(name, incident) for name, incident in incidents],
        older=count_of_incidents(numbers) - len(incidents),
        punctuality=punctuality(numbers.schedule, numbers.rules.cadence, exact=True),
        recorded=recorded(numbers),
        hold=length(numbers.rules.hold),
        enough=percent(numbers.rules.enough_coverage, 0),
    )
    return evened(text)


def code(text: str) -> str:
    """Words from outside as a code span."""
    words = outside(text).replace("`", "'")
    return f"`{words}`" if words else ""


# --- targets ---------------------------------------------------------------------------------------------------------


def _targets(numbers: Report, beside: str) -> list[dict[str, object]]:
    files = file_names(numbers.targets)
    return [_target(name, target, numbers, f"{beside}/{files[name]}") for name, target in numbers.targets.items()]


def _target(name: str, target: TargetReport, numbers: Report, file: str) -> dict[str, object]:
    of = cells(target.days, today=numbers.now.date(), enough=numbers.rules.enough_coverage)
    return {
        "name": code(name),
        "status": status_since(target),
        "planned": None if target.planned is None else code(target.planned),
        "seen_by": listed([code(by) for by in sorted(target.seen_by)]),
        "silent": [(code(by), at) for by, at in silent(target, numbers)],
        "bar": f"![{DAYS_SHOWN} days: {summary(of)}]({file}-90d.svg)",
        "windows": _windows(windows(target, numbers.rules.enough_coverage)),
        "apart": apart(target),
        "response": f"![Response time by day]({file}-response.svg)",
        "latencies": _latencies(phases(target.latency)),
        "months": as_text(of),
    }


def _windows(of: Sequence[Mapping[str, str]]) -> list[str]:
    head = ["window", "uptime", "between", "coverage", "seen down"]
    rows = [[each["name"], each["uptime"], each["between"], each["coverage"], each["down"]] for each in of]
    return _table(head, rows, widths=(6, 17, 16, 8, 11))


def _latencies(of: Sequence[Mapping[str, str]]) -> list[str]:
    """The phases as a table; no line where there is none."""
    rows = [[name, *(each[key] for each in of)] for name, key in (("median", "p50"), ("p95", "p95"))]
    return _table(["ms", *(each["name"] for each in of)], rows, widths=(6, *(6 for _ in of))) if of else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, widths: Sequence[int]) -> list[str]:
    """A table whose columns stand below each other in a terminal, too; all but the first are figures."""
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return [_row(cells_of, widths) for cells_of in (head, rule, *rows)]


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])} |"


# --- incidents -------------------------------------------------------------------------------------------------------


def _incident(name: str, incident: Incident) -> dict[str, str]:
    return {
        "name": code(name),
        "what": f"{happened(incident)}, {lasted(incident)}: {cause(incident)}",
        "more": ". ".join(sentence(each) for each in (bounds(incident), *remarks(incident))),
        "record": ", ".join(_record(incident)),
    }


def _record(incident: Incident) -> list[str]:
    """What the record says, word for word, for who searches it."""
    release = [f"live was {code(incident.release)}"] if incident.release else []
    said = [code(words) for words in (" / ".join(stage_and_reason(incident)), incident.detail or "")]
    return [*filter(None, said), *release]
