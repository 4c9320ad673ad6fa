"""What GitHub's workflows may do here: the provider, and a role for each environment. Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from ops.posture import host_role
from ops.posture.case import Case
from ops.posture.rules import Rule, Told
from ops.stack import names

ROLE = "with what `fab render` writes for {{EtlRole,ProbeRole,DeployRole}}"


def _provider(case: Case) -> Iterator[str]:
    if not case.settings.stack.github.repository:
        return
    said = case.of("provider")
    if said is None:
        yield f"there is no provider for {names.GITHUB_HOST}"
        return
    if names.AUDIENCE not in said["ClientIDList"]:
        yield f"it does not know the audience {names.AUDIENCE}"
    if said["Url"].removeprefix("https://") != names.GITHUB_HOST:
        yield f"it is for {said['Url']}"


def _each(judge: Callable[..., Told], *, logical: bool = True) -> Callable[[Case], Told]:
    def of_all(case: Case) -> Iterator[str]:
        for role, (name, _) in names.workflow_roles(case.settings).items():
            more: tuple[Any, ...] = (role,) if logical else ()
            yield from (f"{name}: {told}" for told in judge(case, name, *more))

    return of_all


RULES = (
    Rule(
        "github.provider", "AWS knows GitHub's workflows", "`fab provision` after a change, or IAM's console", _provider
    ),
    Rule(
        "github.roles",
        "each workflow has its role",
        "`fab drift` tells what is gone",
        _each(host_role.there, logical=False),
    ),
    Rule(
        "github.trust",
        "each role is for one environment of one repository",
        "aws iam update-assume-role-policy, " + ROLE,
        _each(host_role.trust),
    ),
    Rule(
        "github.policies",
        "each role may do what its workflow needs, and no more",
        "aws iam put-role-policy or delete-role-policy, " + ROLE,
        _each(host_role.inline),
    ),
    Rule("github.attached", "no other policy hangs on them", "aws iam detach-role-policy", _each(host_role.attached)),
    Rule(
        "github.hours",
        "a session ends after an hour",
        "aws iam update-role --role-name NAME --max-session-duration 3600",
        _each(host_role.hours, logical=False),
    ),
)
