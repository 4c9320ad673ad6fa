"""The stack in the embedded AWS: by the same template, change set and driver, and what of it was left out there.

moto's CloudFormation passes over the types and properties that it does not know, and calls the stack complete all the
same. What is missing is told by comparing what the change set was to add with what the stack then has.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etl.errors import ExitCode, StackError
from ops.settings import Settings, StackSettings
from ops.stack import driver
from ops.stack.changes import rows
from ops.stack.desk import Clients, ProvisionDesk
from ops.stack.driver import Hands, Stack
from ops.stack.outputs import Outputs
from ops.stack.provision import Choice, hands_of, provision
from ops.stack.template import template

LOG = "provision.log"
KEPT = "stack.json"


@dataclass(frozen=True, slots=True)
class Trial:
    """How many resources were made, and of what was not made how many of each type."""

    made: int
    left_out: Mapping[str, int]

    @property
    def text(self) -> str:
        """19 of the stack's 39 resources; moto left out 11 Alarm, 1 BucketPolicy"""
        missing = sum(self.left_out.values())
        said = ", ".join(f"{count} {kind.rpartition(':')[2]}" for kind, count in sorted(self.left_out.items()))
        return f"{self.made} of the stack's {self.made + missing} resources" + (f"; moto left out {said}" * bool(said))


def trial(
    settings: Settings,
    clients: Clients,
    directory: Path,
    *,
    image: str,
    now: Callable[[], datetime],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Trial:
    """Provision the stack as [stack] has it by default; what is told goes to a log in `directory`.

    `image`: the parameter that names an image there. Raises StackError where it cannot be done.
    """
    log = directory / LOG
    try:
        stream = log.open("w", encoding="utf-8")
    except OSError as error:
        raise _unwritable(log, error) from error
    with stream:
        desk = ProvisionDesk(
            settings=settings.model_copy(update={"stack": StackSettings(ami_parameter=image)}),
            clients=clients,
            now=now,
            clock=clock,
            sleep=sleep,
            stream=stream,
            ask=_nobody,
            template=template,
            after=_no_host,
            outputs_path=directory / KEPT,
            protects=False,
        )
        if provision(desk, Choice(yes=True)) is not ExitCode.GOOD:
            raise _refused(log)
        hands, name = hands_of(desk), desk.settings.stack.name
        return compared(_wanted(hands, name), driver.look(hands, name))


def compared(wanted: Mapping[str, str], stack: Stack | None) -> Trial:
    """What is there of what was wanted. `wanted`: the type of each logical id."""
    there = set(stack.resources) if stack else set()
    missing = [kind for logical, kind in wanted.items() if logical not in there]
    return Trial(len(wanted) - len(missing), Counter(missing))


def _wanted(hands: Hands, name: str) -> dict[str, str]:
    """What the change sets of a new stack were to add."""
    return {row.logical_id: row.type for row in rows(_changes(hands, name))}


def _changes(hands: Hands, name: str) -> Iterable[Mapping[str, object]]:
    for said in driver.pages(hands.client.list_change_sets, "Summaries", StackName=name):
        which = {"ChangeSetName": said["ChangeSetId"], "StackName": name}
        yield from driver.pages(hands.client.describe_change_set, "Changes", **which)


def _nobody(_question: str) -> str:
    return ""


def _no_host(_outputs: Outputs) -> ExitCode:
    """The instance is one in name only: there is nothing to set up."""
    return ExitCode.GOOD


def _unwritable(log: Path, error: OSError) -> StackError:
    return StackError(
        f"cannot write {log}: {error.strerror or error}",
        expected="a file that this user may write",
        to_do="take away what is in its place",
    )


def _refused(log: Path) -> StackError:
    return StackError(
        "the stack was not provisioned in the embedded AWS",
        expected="all of it that moto's CloudFormation knows",
        to_do=f"{log} says why",
    )
