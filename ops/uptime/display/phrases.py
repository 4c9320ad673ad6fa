"""What uptime.md and the status page both say about a report: states, figures and incidents in plain words. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction

from ops.uptime.display.words import (
    between,
    digits,
    digits_up,
    length,
    length_up,
    listed,
    minute,
    minute_up,
    outside,
    percent,
)
from ops.uptime.incidents import Incident
from ops.uptime.latency import Latency
from ops.uptime.probe import PHASES
from ops.uptime.report import Report, TargetReport
from ops.uptime.schedule import Schedule
from ops.uptime.summary import Window

# The loudest first. What follows "is" or "are".
BEING: Mapping[str, str] = {
    "down": "down",
    "degraded": "degraded",
    "unknown": "in an unknown state",
    "no data": "without recent data",
    "maintenance": "under maintenance",
    "up": "up",
}
NAMED = 3  # targets in the headline; more are counted
INCIDENTS_SHOWN = 10
INSUFFICIENT = "insufficient data"

CAUSES: Mapping[str | None, str] = {
    "dns": "its name could not be resolved",
    "refused": "the connection was refused",
    "timeout": "no answer came in time",
    "tls": "no secure connection could be made",
    "http_status": "it answered with an error",
    "body": "the answer was not what it should be",
    "ws_refused": "the page could not open its live connection",
    "script_exception": "the page raised an exception",
    "script_compile": "the page's code does not compile",
    "script_timeout": "the page never finished",
    "missing_element": "something was missing on the page",
    "proto": "the answer could not be decoded",
    "prober": "our own network was out",
    None: "the reason was not recorded",
}
EXCEPTION = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Z][A-Za-z0-9]{2,60})(?::|$)", re.ASCII)


# --- now -------------------------------------------------------------------------------------------------------------


def state_of(target: TargetReport) -> str:
    """Its status, or that what is true now was planned."""
    return target.status if target.planned is None else "maintenance"


def loudest(numbers: Report) -> str:
    """The state of the target that is worst off; "no data" where there is no target."""
    states = {state_of(target) for target in numbers.targets.values()}
    return next((state for state in BEING if state in states), "no data")


def headline(numbers: Report, quoted: Callable[[str], str] = str) -> str:
    """What is true now in one sentence, the loudest first. `quoted`: how a target's name is written."""
    told = [(state, names) for state in BEING if (names := _in_state(numbers, state))]
    if not told:
        return "No data yet"
    if len(told) == 1 and (len(numbers.targets) > 1 or told[0][0] == "up"):
        return f"Everything is {BEING[told[0][0]]}"
    return ", ".join(_clause(state, names, quoted) for state, names in told)


def _in_state(numbers: Report, state: str) -> list[str]:
    return [name for name, target in numbers.targets.items() if state_of(target) == state]


def _clause(state: str, names: Sequence[str], quoted: Callable[[str], str]) -> str:
    if state == "up" and len(names) > 1:
        return "the rest is up"
    who = listed([quoted(name) for name in names]) if len(names) <= NAMED else f"{len(names)} targets"
    return f"{who} {'is' if len(names) == 1 else 'are'} {BEING[state]}"


def since(numbers: Report) -> str | None:
    """Since when the loudest state has been true; for "up" since when of all targets. None where that is not known."""
    state = loudest(numbers)
    known = [numbers.targets[name].since for name in _in_state(numbers, state)]
    moments = [at for at in known if at is not None]
    if state == "maintenance" or not moments or (state == "up" and len(moments) < len(known)):
        return None
    return f"{state.capitalize()} since {minute(max(moments) if state == 'up' else min(moments))}"


def status_since(target: TargetReport) -> str:
    """A target's status, and since when."""
    status = target.status.capitalize()
    return status if target.since is None else f"{status} since {minute(target.since)}"


def silent(target: TargetReport, numbers: Report) -> list[tuple[str, str]]:
    """Vantage points that no longer look, and when they last did."""
    return [(by, minute(at)) for by, at in sorted(target.seen_by.items()) if at <= numbers.now - numbers.rules.hold]


def about_data(freshness: str) -> str:
    """The line about the data's age, without the word that stands before it here."""
    return freshness.removeprefix("freshness: ")


# --- figures ---------------------------------------------------------------------------------------------------------


def figure(window: Window, enough: Fraction) -> str:
    """The uptime of a window, if enough of it was seen."""
    return percent(window.uptime) if is_enough(window, enough) else INSUFFICIENT


def is_enough(window: Window, enough: Fraction) -> bool:
    """Whether enough of a window was seen for a figure."""
    return window.coverage is not None and window.coverage >= enough


def interval(window: Window) -> str:
    """What the true figure lies between: the lower bound is cut, the upper rounded up, so that it does."""
    if window.lowest is None or window.highest is None:
        return "-"
    return f"{digits(window.lowest, 1)} to {digits_up(window.highest, 1)} %"


def windows(target: TargetReport, enough: Fraction) -> list[dict[str, str]]:
    """The figures of each window."""
    return [
        {
            "name": name,
            "uptime": figure(window, enough),
            "between": interval(window),
            "coverage": percent(window.coverage, 0),
            "down": length_of_s(window.down_s),
        }
        for name, window in target.windows.items()
    ]


def phases(latency: Latency) -> list[dict[str, str]]:
    """How long good looks took: the phases that were reached, in their order, and the whole."""
    known = [(phase, latency.phases[phase]) for phase in PHASES if phase in latency.phases]
    return [
        {"name": name, "p50": _ms(of.p50_ms), "p95": _ms(of.p95_ms)}
        for name, of in [*known, ("total", latency.total)]
        if of.p50_ms is not None
    ]


def _ms(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,}"


def length_of_s(count: int) -> str:
    """A number of seconds as a length."""
    return length(timedelta(seconds=count))


def apart(target: TargetReport) -> str | None:
    """How much of which window was maintenance; None where nothing was."""
    some = [f"{length_of_s(w.maintenance_s)} of {name}" for name, w in target.windows.items() if w.maintenance_s]
    return listed(some) or None


# --- incidents -------------------------------------------------------------------------------------------------------


def latest_incidents(numbers: Report) -> list[tuple[str, Incident]]:
    """Incidents that go on, then the latest others, each with its target; no more than ten that are over."""
    found = [(name, incident) for name, target in numbers.targets.items() for incident in target.incidents]
    newest_first = sorted(found, key=lambda one: (one[1].start, one[0]), reverse=True)
    going_on = [one for one in newest_first if one[1].first_good is None]
    over = [one for one in newest_first if one[1].first_good is not None]
    return [*going_on, *over[: max(0, INCIDENTS_SHOWN - len(going_on))]]


def count_of_incidents(numbers: Report) -> int:
    """All incidents of all targets."""
    return sum(len(target.incidents) for target in numbers.targets.values())


def happened(incident: Incident) -> str:
    """What kind of incident it was, and when: the widest bounds."""
    what = "flapping" if incident.changes else "down"
    if incident.first_good is None and incident.last_good is None:
        return f"{what} since {minute_up(incident.start)} or earlier"
    if incident.first_good is None:
        return f"{what} since {minute(incident.start)}"
    if incident.last_good is None:
        return f"{what} at {minute_up(incident.start)} or earlier, until {minute(incident.last_bad)} or later"
    return f"{what} {between(incident.last_good, incident.first_good)}"


def lasted(incident: Incident) -> str:
    """For how long, as bounds that hold."""
    at_least = length_of_s(incident.min_s)
    if incident.first_good is None:
        return f"for {at_least} or more, and goes on"
    if incident.max_s is None:
        return f"for {at_least} or more"
    at_most = length_up(timedelta(seconds=incident.max_s))
    return f"for {at_least} to {at_most}" if incident.min_s else f"for at most {at_most}"


def bounds(incident: Incident) -> str:
    """Within which moments it began and ended."""
    began = f"began {between(incident.last_good, incident.start)}" if incident.last_good else "nothing was seen before"
    if incident.first_good is None:
        return f"{began}; last seen bad at {minute(incident.last_bad)}"
    return f"{began}; ended {between(incident.last_bad, incident.first_good)}"


def cause(incident: Incident) -> str:
    """Why, in plain words; the type of an exception is named where the detail begins with one."""
    raised = EXCEPTION.match(incident.detail or "")
    if incident.reason == "script_exception" and raised:
        return f"the page raised {raised[1]}"
    return CAUSES.get(incident.reason, "the reason has no name here")


def remarks(incident: Incident) -> list[str]:
    """What else there is to say, in our own words."""
    changes = f"{incident.changes} changes between good and bad" if incident.changes else None
    unseen = f"nobody looked for {length_of_s(incident.unseen_s)} of it" if incident.unseen_s else None
    return [remark for remark in (changes, unseen) if remark]


def stage_and_reason(incident: Incident) -> list[str]:
    """The names in the record, for who searches it."""
    return [name for name in dict.fromkeys((incident.stage, incident.reason)) if name]


# --- the prober ------------------------------------------------------------------------------------------------------


def punctuality(health: Schedule, cadence: timedelta, *, exact: bool) -> list[str]:
    """Whether the checks came, sentence by sentence; how many of how many, or their share."""
    if health.longest_gap_s is None:
        return ["No check in the last 30 days."]
    came = f"{health.delivered:,} of {health.due:,}" if exact else f"{_share(health)} of the"
    told = [f"In the last 30 days a check came in {came} slots of {length(cadence)}."]
    if health.late_p50_s is not None and health.late_p95_s is not None:
        late = f"{_minutes(health.late_p50_s)} (median) and {_minutes(health.late_p95_s)} (p95)"
        told.append(f"It came {late} after the slot began.")
    return [*told, f"The longest gap was {_minutes(health.longest_gap_s)}."]


def _share(health: Schedule) -> str:
    return percent(Fraction(health.delivered, health.due) if health.due else None, 0)


def _minutes(count: int) -> str:
    """A length without its seconds: the schedule is late by minutes, and the text should not change with each run."""
    return length_of_s(count - count % 60) if count >= 60 else length_of_s(count)  # noqa: PLR2004 - seconds in a minute


def made_of(numbers: Report) -> str:
    """How many samples the figures were made of, and a hash of them."""
    samples = f"{numbers.samples:,} {'sample' if numbers.samples == 1 else 'samples'}"
    return f"{samples}, digest {outside(numbers.digest)}" if numbers.digest else samples


def recorded(numbers: Report) -> list[str]:
    """How far the samples reach and what was not to be read, sentence by sentence."""
    first, last = numbers.first, numbers.last
    reach = [f"The oldest sample that was looked at is from {minute(first)}."] if first else []
    silence = [f"The newest is from {minute(last)}."] if last and last <= numbers.now - numbers.rules.hold else []
    torn = f"{numbers.torn_lines:,} torn {'line was' if numbers.torn_lines == 1 else 'lines were'} skipped."
    return [*reach, *silence, torn]
