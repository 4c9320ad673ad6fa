"""What the doctor found, for a person and for a program. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from etl.errors import ExitCode
from ops.doctor.check import Finding, State
from ops.words import moment, plain

WORDS: Mapping[State, str] = {"ok": "ok", "warn": "warn", "fail": "FAIL", "unknown": "cannot tell"}
IN_JSON: Mapping[State, str] = {**WORDS, "fail": "fail"}
INDENT = " " * 32


def code(findings: Sequence[Finding]) -> ExitCode:
    """CHECK_FAILED where something fails, or nobody can tell whether it does."""
    bad = any(finding.saw.state in ("fail", "unknown") for finding in findings)
    return ExitCode.CHECK_FAILED if bad else ExitCode.GOOD


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each check below its group; what was expected, and the way out, below what is not as it should be."""
    return "\n".join(plain(line) for line in (*_lines(findings), "", _sum(findings)))


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    group = None
    for finding in findings:
        if finding.group != group:
            group = finding.group
            yield group
        saw = finding.saw
        yield f"  {WORDS[saw.state]:<12}{finding.name:<18}{saw.seen}"
        if saw.expected:
            yield f"{INDENT}expected: {saw.expected}"
        if saw.to_do:
            yield f"{INDENT}to do:    {saw.to_do}"


def _sum(findings: Sequence[Finding]) -> str:
    counted = Counter(finding.saw.state for finding in findings)
    parts = [f"{counted[state]} {WORDS[state]}" for state in WORDS if counted[state]]
    return f"{len(findings)} checks: {', '.join(parts)}"


def as_json(findings: Sequence[Finding], now: datetime) -> str:
    """One document."""
    listed = [
        {
            "group": finding.group,
            "check": finding.name,
            "state": IN_JSON[finding.saw.state],
            "seen": finding.saw.seen,
            "expected": finding.saw.expected,
            "to_do": finding.saw.to_do,
        }
        for finding in findings
    ]
    return json.dumps({"at": moment(now), "exit_code": int(code(findings)), "checks": listed}, indent=2)
