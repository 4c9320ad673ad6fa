"""What an alert says: as one line, as plain text, as Markdown for an issue, as JSON. Pure.

Words from outside (the detail of a failure, the name of a release) are on one line, and code wherever Markdown is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from ops.alerts.decide import Due, Ending, News, Thread
from ops.alerts.ledger import Event, Kind
from ops.uptime.display.phrases import figure, interval, lasted, remarks, stage_and_reason
from ops.uptime.display.words import outside, percent
from ops.uptime.incidents import Incident
from ops.uptime.report import TargetReport
from ops.words import moment

VERSION = 1
LISTED = 10  # incidents in one message, at most
RECENT = timedelta(days=7)

IS_GOOD: Mapping[Kind, str] = {"down": "is up again", "stale": "is fresh again"}
NOT_ANY_MORE: Mapping[Ending, str] = {
    "withdrawn": "what was recorded since does not show this incident any more",
    "unwatched": "it is not watched any more",
}

Fact = tuple[str, str]  # label, words


@dataclass(frozen=True, slots=True)
class Message:
    """One alert in all its forms.

    `id`: the same for the same alert, so that who gets it twice can tell; `memo`: what the channel noted when it was
    last told of this thread. `text` is plain, `chat`, `comment` and `body` are Markdown, `values` are for JSON.
    """

    id: str
    thread: Thread
    event: Event
    start: datetime
    memo: str
    title: str
    headline: str
    text: str
    chat: str
    comment: str
    body: str
    values: Mapping[str, object]


def message(one: Due, news: News) -> Message:
    """The alert for something that is due."""
    line, numbers = headline(one), news.targets.get(one.thread.target)
    rows = _windows(numbers, news.rules.enough_coverage)
    uptime = [f"uptime {name}: {seen} (coverage {coverage}, truly {true})" for name, seen, coverage, true in rows]
    told = _told(one, quoted=True)
    start = one.starts[-1]
    name = f"{one.thread.target}/{one.thread.kind}/{moment(start)}/{one.event}/{one.nth}"
    return Message(
        id=name,
        thread=one.thread,
        event=one.event,
        start=start,
        memo=one.memo,
        title=f"{one.thread.target} is {one.thread.kind}",
        headline=line,
        text="\n".join([line, *_told(one, quoted=False), *uptime]),
        chat="\n".join([line, *told, *uptime]),
        comment="\n".join([f"**{line}.**", "", *told]),
        body=_body(one, news, numbers),
        values={"v": VERSION, "id": name, **_values(one), "windows": _windows_values(numbers)},
    )


# --- one line --------------------------------------------------------------------------------------------------------


def headline(one: Due) -> str:
    """What happened, in a line of our own words: nothing in it comes from outside."""
    target, kind = one.thread.target, one.thread.kind
    if not one.incidents:
        return f"{target} was {kind} since {moment(one.starts[-1])}: {NOT_ANY_MORE[one.ending]}"
    if one.event == "passed":
        return f"{target} was {kind} and {IS_GOOD[kind]}: {_when(one.incidents)}"
    if one.event == "closed":
        return f"{target} {IS_GOOD[kind]}: {_when(one.incidents)}"
    last = one.incidents[-1]
    return f"{target} {_state(one, last)} since {moment(last.start)}{_where(last)}"


def _state(one: Due, incident: Incident) -> str:
    still = "still " if one.event == "reminder" else ""
    again = " again" if one.event == "reopened" else ""
    return f"is {still}{'flapping' if incident.changes else one.thread.kind}{again}"


def _when(incidents: Sequence[Incident]) -> str:
    first, last = incidents[0], incidents[-1]
    if len(incidents) == 1:
        return f"from {moment(first.start)} {lasted(first)}"
    return f"{len(incidents)} times between {moment(first.start)} and {moment(last.last_bad)}"


def _where(incident: Incident) -> str:
    where = " / ".join(stage_and_reason(incident))
    return f" ({where})" if where else ""


# --- figures ---------------------------------------------------------------------------------------------------------


def _told(one: Due, *, quoted: bool) -> list[str]:
    """The figures of one incident, or a line for each of several; `quoted`: words from outside as code."""
    if len(one.incidents) != 1:
        return [f"- {line}" for line in _lines(one.incidents)]
    (incident,) = one.incidents
    foreign = [(label, code(words) if quoted else outside(words)) for label, words in _foreign(incident)]
    return [f"- {label}: {words}" for label, words in [*_figures(incident), *foreign]]


def _figures(incident: Incident) -> Iterator[Fact]:
    """The timeline of an incident and what is known of it, exactly."""
    yield "last good sample before", moment(incident.last_good) if incident.last_good else "none"
    yield "first bad sample", moment(incident.start)
    yield "last bad sample", moment(incident.last_bad)
    yield "first good sample after", moment(incident.first_good) if incident.first_good else "none yet"
    yield "lasted", ", ".join([lasted(incident), *remarks(incident)])
    if where := stage_and_reason(incident):
        yield "failed at", " / ".join(where)


def _foreign(incident: Incident) -> Iterator[Fact]:
    if incident.detail:
        yield "detail", incident.detail
    if incident.release:
        yield "release that was live", incident.release


def _lines(incidents: Sequence[Incident]) -> Iterator[str]:
    """A line for each, the last ten."""
    for incident in incidents[-LISTED:]:
        yield f"{moment(incident.start)}, {lasted(incident)}{_where(incident)}"
    if len(incidents) > LISTED:
        yield f"and {len(incidents) - LISTED} before"


def code(words: str) -> str:
    """Words from outside as code, so that nothing in them is taken for Markdown, HTML or a mention."""
    return f"`{outside(words).replace('`', chr(39)) or ' '}`"


def _windows(numbers: TargetReport | None, enough: Fraction) -> Iterator[tuple[str, str, str, str]]:
    for name, window in numbers.windows.items() if numbers else ():
        yield name, figure(window, enough), percent(window.coverage), interval(window)


# --- an issue --------------------------------------------------------------------------------------------------------


def _body(one: Due, news: News, numbers: TargetReport | None) -> str:
    """The last incident, those of the last days, uptime."""
    recent = _recent(numbers, news)
    table = [f"| {' | '.join(cells)} |" for cells in _windows(numbers, news.rules.enough_coverage)]
    blocks = [
        [f"**{headline(one)}.**"],
        _told(one, quoted=True),
        ["Of the last 7 days:", "", *(f"- {line}" for line in _lines(recent))] if len(recent) > 1 else [],
        ["| window | uptime | coverage | truly between |", "|---|---|---|---|", *table] if table else [],
        [f"As of {moment(news.now)}. The report, uptime.md, has the figures since."],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _recent(numbers: TargetReport | None, news: News) -> list[Incident]:
    known = numbers.incidents if numbers else ()
    return [each for each in known if each.first_good is None or news.now - each.first_good <= RECENT]


# --- JSON ------------------------------------------------------------------------------------------------------------


def _values(one: Due) -> dict[str, object]:
    return {
        "event": one.event,
        "target": one.thread.target,
        "kind": one.thread.kind,
        "ending": one.ending if one.event in ("closed", "passed") else None,
        "incidents": [_incident_values(incident) for incident in one.incidents],
    }


def _windows_values(numbers: TargetReport | None) -> dict[str, object]:
    windows = numbers.windows if numbers else {}
    return {
        name: {"uptime": _number(window.uptime), "coverage": _number(window.coverage)}
        for name, window in windows.items()
    }


def _incident_values(incident: Incident) -> dict[str, object]:
    return {
        "start": moment(incident.start),
        "last_bad": moment(incident.last_bad),
        "last_good": _moment_or_none(incident.last_good),
        "first_good": _moment_or_none(incident.first_good),
        "min_s": incident.min_s,
        "max_s": incident.max_s,
        "unseen_s": incident.unseen_s,
        "stage": incident.stage,
        "reason": incident.reason,
        "detail": incident.detail,
        "changes": incident.changes,
        "release": incident.release,
    }


def _moment_or_none(at: datetime | None) -> str | None:
    return moment(at) if at else None


def _number(fraction: Fraction | None) -> float | None:
    return None if fraction is None else float(fraction)
