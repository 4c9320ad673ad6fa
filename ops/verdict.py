"""What was found about the published data, as one verdict: its exit status, its text, its JSON, its badge. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from etl.errors import ExitCode
from ops.badge import badge
from ops.words import moment, plain

Status = Literal["pass", "warn", "error", "unknown"]
_WORST_FIRST: tuple[Status, ...] = ("error", "unknown", "warn", "pass")  # what was seen to be wrong is wrong
EXIT_CODES: Mapping[Status, ExitCode] = {
    "pass": ExitCode.GOOD,
    "warn": ExitCode.GOOD,
    "error": ExitCode.CHECK_FAILED,
    "unknown": ExitCode.COULD_NOT,
}
IN_JSON: Mapping[Status, str] = {"pass": "pass", "warn": "warn", "error": "error", "unknown": "runtime error"}  # dbt's
CANNOT_TELL = "cannot tell"
NOT_KNOWN = "not known"
LOUDEST_FIRST = ("missing", "unreadable", "foreign", "torn", "future", "stale", "behind", "late")

COLOURS: Mapping[Status, str] = {"pass": "#2e7d32", "warn": "#8a5a00", "error": "#c62828", "unknown": "#616161"}
ON_BADGE: Mapping[str, str] = {CANNOT_TELL: "unknown", "future": "in the future", "behind": "page is behind"}
WITH_AGE = frozenset({"fresh", "late", "stale"})
HOUR = timedelta(hours=1)
SHOWN_IN_HOURS = 72

INDENT = " " * 28


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `word` is the headline where it did not pass; `age` is that of a clock.

    `details`: a line for each thing that is wrong; `notes`: what was seen and hurts nobody; `facts` stand in the JSON.
    """

    check: str
    status: Status
    word: str
    seen: str
    expected: str = ""
    to_do: str = ""
    details: Sequence[str] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings about a store at `now` (aware). `run_id` is None where no manifest could be read."""

    where: str
    run_id: str | None
    now: datetime
    elapsed_s: float
    findings: Sequence[Finding]

    @property
    def status(self) -> Status:
        """The worst of the findings; an error that was seen outweighs what could not be told."""
        return worst(finding.status for finding in self.findings)

    @property
    def exit_code(self) -> ExitCode:
        """0 fresh or late, 1 stale or torn, 3 cannot tell."""
        return EXIT_CODES[self.status]

    @property
    def words(self) -> Sequence[str]:
        """What is wrong, the loudest first; else that it is late or fresh, or that it cannot be told."""
        if self.status == "unknown":
            return [CANNOT_TELL]
        if self.status == "pass":
            return ["fresh"]
        found = {finding.word for finding in self.findings if finding.status == self.status}
        return sorted(found, key=LOUDEST_FIRST.index)

    @property
    def line(self) -> str:
        """Headline and findings in one line."""
        told = [finding.seen for finding in self.findings if finding.seen != NOT_KNOWN]
        return plain(f"{' and '.join(self.words)}: {'; '.join(told)}")

    @property
    def age(self) -> timedelta | None:
        """The highest age of the clocks that decided."""
        return max((f.age for f in self.findings if f.age is not None and f.status == self.status), default=None)


def worst(statuses: Iterable[Status]) -> Status:
    """The one that decides; "pass" where there is none."""
    found = set(statuses)
    return next((status for status in _WORST_FIRST if status in found), "pass")


# --- as text ---------------------------------------------------------------------------------------------------------


def as_text(verdict: Verdict) -> str:
    """A headline and a line for each check; below what did not pass, what was expected and what to do."""
    run = f", run {verdict.run_id}" if verdict.run_id else ""
    headline = f"{' and '.join(verdict.words)}: {verdict.where}{run}, at {moment(verdict.now)}"
    return "\n".join(map(plain, [headline, *(line for finding in verdict.findings for line in _lines(finding))]))


def _lines(finding: Finding) -> Iterable[str]:
    status = CANNOT_TELL if finding.status == "unknown" else finding.status
    yield f"{status:<12} {finding.check:<14} {finding.seen}"
    for detail in finding.details:
        yield f"{INDENT}{detail}"
    if finding.status != "pass" and finding.expected:
        yield f"{INDENT}expected: {finding.expected}"
    if finding.status != "pass" and finding.to_do:
        yield f"{INDENT}to do:    {finding.to_do}"
    for note in finding.notes:
        yield f"{INDENT}note: {note}"


# --- as JSON ---------------------------------------------------------------------------------------------------------


def as_json(verdict: Verdict) -> str:
    """One document in the shape of dbt's sources.json: metadata, results, elapsed_time."""
    document = {
        "metadata": {
            "generated_at": moment(verdict.now),
            "generator": "kpi-ops",
            "store": verdict.where,
            "run_id": verdict.run_id,
            "status": IN_JSON[verdict.status],
            "words": verdict.words,
            "exit_code": int(verdict.exit_code),
        },
        "results": [_result(finding) for finding in verdict.findings],
        "elapsed_time": round(verdict.elapsed_s, 3),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _result(finding: Finding) -> dict[str, object]:
    return {
        "unique_id": f"kpi-ops.{finding.check}",
        "status": IN_JSON[finding.status],
        **finding.facts,
        "word": finding.word,
        "seen": finding.seen,
        "expected": finding.expected,
        "to_do": "" if finding.status == "pass" else finding.to_do,
        "notes": list(finding.notes),
    }


# --- as a badge ------------------------------------------------------------------------------------------------------


def as_badge(verdict: Verdict) -> str:
    """SVG that says the loudest word, and the age where it is about age."""
    word = verdict.words[0]
    text = ON_BADGE.get(word, word)
    if word in WITH_AGE and verdict.age is not None:
        text = f"{text}, {_short(verdict.age)}"
    label = "data"
    title = f"{label}: {text} ({moment(verdict.now)})"
    return badge(label, text, colour=COLOURS[verdict.status], title=title)


def _short(age: timedelta) -> str:
    hours = max(age, timedelta()) / HOUR
    if hours < 1:
        return f"{int(hours * 60)} min"
    return f"{int(hours)} h" if hours < SHOWN_IN_HOURS else f"{int(hours / 24)} d"
