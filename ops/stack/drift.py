"""`fab drift`: what in AWS is not as the stack has made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etl.errors import ExitCode, StackError
from ops.stack import driver
from ops.stack.desk import ProvisionDesk
from ops.stack.driver import Hands
from ops.stack.leftovers import state
from ops.stack.provision import hands_of

WITHIN_S = 900.0
DRIFTED = ("MODIFIED", "DELETED")
IN_SYNC = "IN_SYNC"


@dataclass(frozen=True, slots=True)
class Difference:
    """A property that is not as it was made. `kind`: ADD, REMOVE or NOT_EQUAL."""

    path: str
    kind: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class Found:
    """A resource. `status`: IN_SYNC, MODIFIED, DELETED; else it was not compared: NOT_CHECKED, UNKNOWN, ..."""

    logical_id: str
    type: str
    physical_id: str
    status: str
    differences: tuple[Difference, ...] = ()

    @property
    def drifted(self) -> bool:
        """It is not as it was made."""
        return self.status in DRIFTED


def drift(desk: ProvisionDesk) -> ExitCode:
    """Compare, and tell what differs. GOOD where all that can be compared is as made, CHANGES_PENDING where not.

    CHECK_FAILED while something goes on, COULD_NOT where AWS could not compare all that it can compare. Raises
    StackError.
    """
    hands = hands_of(desk)
    stack = driver.look(hands, desk.settings.stack.name)
    if stack is None or state(stack.status) == "planned":
        raise no_stack(desk)
    if state(stack.status) == "busy":
        desk.tell(f"refused: another operation is running: {stack.name} is {stack.status}")
        return ExitCode.CHECK_FAILED
    reason = _detect(hands, stack.id)
    found = merged(driver.resources(hands, stack.id), _drifts(hands, stack.id))
    desk.tell(text(found))
    if any(one.drifted for one in found):
        return ExitCode.CHANGES_PENDING
    if reason:
        desk.tell(f"AWS could not compare all of it: {reason}")
        return ExitCode.COULD_NOT
    return ExitCode.GOOD


def no_stack(desk: ProvisionDesk) -> StackError:
    """What is said where there is none."""
    return StackError(
        f"there is no stack {desk.settings.stack.name} in {desk.clients.region}",
        expected="the stack that `fab provision` makes",
        to_do="`fab provision`; or set AWS_PROFILE and AWS_DEFAULT_REGION, or [stack] name, to where it is",
    )


# --- asking ----------------------------------------------------------------------------------------------------------


def _detect(hands: Hands, stack_id: str) -> str:
    """Let AWS compare; why it could not do all of it, "" where it did. Raises StackError."""
    detection = hands.client.detect_stack_drift(StackName=stack_id)["StackDriftDetectionId"]
    started = hands.clock()
    while True:
        said = hands.client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if said["DetectionStatus"] == "DETECTION_FAILED":
            return str(said.get("DetectionStatusReason") or "it does not say why")
        if said["DetectionStatus"] == "DETECTION_COMPLETE":
            return ""
        if hands.clock() - started > WITHIN_S:
            raise StackError(
                f"AWS still compares after {WITHIN_S / 60:.0f} minutes", expected="an end", to_do="`fab drift` again"
            )
        hands.sleep(driver.POLL_S)


def _drifts(hands: Hands, stack_id: str) -> list[Mapping[str, Any]]:
    return list(driver.pages(hands.client.describe_stack_resource_drifts, "StackResourceDrifts", StackName=stack_id))


# --- telling ---------------------------------------------------------------------------------------------------------


def merged(resources: Sequence[Mapping[str, Any]], drifts: Sequence[Mapping[str, Any]]) -> tuple[Found, ...]:
    """Every resource of the stack: AWS tells nothing at all of those that it cannot compare. Pure."""
    told = {said["LogicalResourceId"]: _found(said) for said in drifts}
    silent = [_unchecked(said) for said in resources if said["LogicalResourceId"] not in told]
    return tuple(sorted([*told.values(), *silent], key=lambda found: found.logical_id))


def _found(said: Mapping[str, Any]) -> Found:
    return Found(
        logical_id=said["LogicalResourceId"],
        type=said["ResourceType"],
        physical_id=said.get("PhysicalResourceId", ""),
        status=said["StackResourceDriftStatus"],
        differences=tuple(
            Difference(one["PropertyPath"], one["DifferenceType"], one["ExpectedValue"], one["ActualValue"])
            for one in said.get("PropertyDifferences") or ()
        ),
    )


def _unchecked(said: Mapping[str, Any]) -> Found:
    return Found(said["LogicalResourceId"], said["ResourceType"], said.get("PhysicalResourceId", ""), "NOT_CHECKED")


def text(found: Sequence[Found]) -> str:
    """What differs, what was not compared, and how many are in sync. Pure."""
    drifted = [one for one in found if one.drifted]
    others = [one for one in found if not one.drifted and one.status != IN_SYNC]
    in_sync = len(found) - len(drifted) - len(others)
    return "\n".join(
        [
            *(line for one in drifted for line in _lines(one)),
            *(f"{one.status.lower().replace('_', ' ')}: {one.logical_id} ({one.type})" for one in others),
            f"{in_sync} in sync, {len(drifted)} drifted, {len(others)} not compared",
        ]
    )


def _lines(one: Found) -> list[str]:
    return [
        f"{one.status.lower()}: {one.logical_id} ({one.type} {one.physical_id})",
        *(
            f"  {difference.path} ({difference.kind.lower().replace('_', ' ')}): "
            f"expected {difference.expected}, actual {difference.actual}"
            for difference in one.differences
        ),
    ]
