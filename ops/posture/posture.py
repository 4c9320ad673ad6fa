"""All rules of the posture, and what they come to. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from etl.errors import ExitCode
from ops.posture import bucket, host, host_role, inbound, network, ownership, watching, workflows
from ops.posture.case import Case
from ops.posture.rules import Finding, Rule, judged

RULES: tuple[Rule, ...] = (
    *ownership.RULES,
    *network.RULES,
    *inbound.RULES,
    *bucket.RULES,
    *host_role.RULES,
    *host.RULES,
    *watching.RULES,
    *workflows.RULES,
)


def judge(case: Case) -> list[Finding]:
    """Every rule."""
    return judged(RULES, case)


def code(findings: Sequence[Finding]) -> ExitCode:
    """CHECK_FAILED where a rule does not hold, COULD_NOT where one cannot be judged, else GOOD."""
    states = {finding.state for finding in findings}
    if "bad" in states:
        return ExitCode.CHECK_FAILED
    return ExitCode.COULD_NOT if "unknown" in states else ExitCode.GOOD


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """For a person: what does not hold with the way out, what cannot be told, and how many hold."""
    for finding in findings:
        if finding.state != "good":
            yield f"{'BAD    ' if finding.state == 'bad' else 'UNKNOWN'} {finding.rule}: {finding.expected}"
            yield from (f"          seen:  {seen}" for seen in finding.seen)
            if finding.to_do:
                yield f"          to do: {finding.to_do}"
    counted = Counter(str(finding.state) for finding in findings)
    good, bad, unknown = (counted[state] for state in ("good", "bad", "unknown"))
    yield f"{good} of {len(findings)} rules hold, {bad} do not, {unknown} cannot be told"


def document(case: Case, findings: Sequence[Finding]) -> dict[str, Any]:
    """For a program."""
    return {
        "schema_version": 1,
        "stack": case.settings.stack.name,
        "account": case.account.account,
        "region": case.account.region,
        "judged_at": case.now.isoformat(),
        "good": code(findings) is ExitCode.GOOD,
        "rules": [
            {
                "name": finding.rule,
                "state": finding.state,
                "expected": finding.expected,
                "seen": list(finding.seen),
                "to_do": finding.to_do,
            }
            for finding in findings
        ],
    }
