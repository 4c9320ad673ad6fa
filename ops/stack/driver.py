"""The hands on CloudFormation: look at a stack, make its change set, run that, follow what happens, delete."""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, TextIO

from etl.errors import StackError
from ops.stack.answers import Refused, Unanswered
from ops.stack.changes import Row, nothing_changes, rows
from ops.stack.desk import CloudFormation
from ops.stack.events import Event, Feed
from ops.stack.leftovers import finished, made
from ops.stack.outputs import values
from ops.stack.progress import Progress, progress

PREFIX: Final = "kpi-ops-"  # of the names of our change sets
POLL_S: Final = 2.0
MOST_POLL_S: Final = 30.0
WITHIN_S: Final = 3600.0  # an operation is followed no longer
MADE_WITHIN_S: Final = 600.0  # a change set
TROUBLES: Final = 20  # looks in a row that were not answered
CALM_LOOKS: Final = 3  # what failed may only be about to be cleared away
MOST_BYTES: Final = 51_200  # of a template that is sent along
CAPABILITIES: Final = ("CAPABILITY_NAMED_IAM",)
STACK_POLICY: Final = {
    "Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": ["Update:Replace", "Update:Delete"],
            "Principal": "*",
            "Resource": "LogicalResourceId/Bucket",
        },
        {
            "Effect": "Deny",
            "Action": ["Update:Replace", "Update:Delete"],
            "Principal": "*",
            "Resource": "LogicalResourceId/Instance",
        },
    ]
}
OPEN_POLICY: Final = {"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}


@dataclass(frozen=True, slots=True)
class Hands:
    """`clock` gives seconds and only grows."""

    client: CloudFormation
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    stream: TextIO


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as it is. `resources`: what each logical id is, for those that are there."""

    id: str
    name: str
    status: str
    protected: bool
    outputs: Mapping[str, str]
    resources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stack is to become. `adopt`: take over what is there by the name that the template gives it."""

    name: str
    template: str
    tags: Mapping[str, str]
    create: bool
    adopt: bool

    @property
    def mark(self) -> str:
        """What names of change sets begin with that are made for this very wish: what was planned is found by it."""
        said = json.dumps([self.template, dict(self.tags), self.create, self.adopt], sort_keys=True)
        return f"{PREFIX}{sha256(said.encode()).hexdigest()[:24]}-"


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that can be run, by its ARN."""

    arn: str
    stack_id: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an operation ended, and all that was told meanwhile."""

    stack_id: str
    status: str
    events: Sequence[Event]


# --- looking ---------------------------------------------------------------------------------------------------------


def look(hands: Hands, name: str) -> Stack | None:
    """The stack of that name or id; None where there is none. Raises StackError."""
    described = _described(hands, name)
    if described is None or described["StackStatus"] == "DELETE_COMPLETE":
        return None
    return Stack(
        id=described["StackId"],
        name=described["StackName"],
        status=described["StackStatus"],
        protected=bool(described.get("EnableTerminationProtection")),
        outputs=values(described),
        resources={said["LogicalResourceId"]: said.get("PhysicalResourceId", "") for said in resources(hands, name)},
    )


def zone(hands: Hands, name: str) -> str:
    """The availability zone that a stack's template names, "" for none. In another its subnet would be made anew.

    boto3 hands on a template in YAML as it is, and one in JSON as what it says.
    """
    body = hands.client.get_template(StackName=name).get("TemplateBody", "")
    text = body if isinstance(body, str) else json.dumps(body)
    found = re.search(r'AvailabilityZone"?: *"?([a-z0-9-]+)', text)
    return found[1] if found else ""


def resources(hands: Hands, name: str) -> list[Mapping[str, Any]]:
    """The resources of a stack that are there, as ListStackResources has them."""
    told = pages(hands.client.list_stack_resources, "StackResourceSummaries", StackName=name)
    return [said for said in told if said.get("ResourceStatus") != "DELETE_COMPLETE"]


def _described(hands: Hands, name: str) -> Mapping[str, Any] | None:
    try:
        stacks = hands.client.describe_stacks(StackName=name).get("Stacks", [])
    except Refused as refused:
        if refused.absent:
            return None
        raise
    return stacks[0] if stacks else None


def pages(call: Callable[..., Mapping[str, Any]], key: str, **fields: Any) -> Iterator[Mapping[str, Any]]:
    """What all pages of an answer hold under `key`."""
    token = ""
    while True:
        page = call(**fields, **({"NextToken": token} if token else {}))
        yield from page.get(key) or ()
        token = page.get("NextToken") or ""
        if not token:
            return


# --- a change set ----------------------------------------------------------------------------------------------------


def planned(hands: Hands, wanted: Wanted, stack: Stack) -> ChangeSet | None:
    """The change set that was made for the very same wish and can still be run; None where there is none."""
    for said in pages(hands.client.list_change_sets, "Summaries", StackName=stack.name):
        can_be_run = said.get("Status") == "CREATE_COMPLETE" and said.get("ExecutionStatus") == "AVAILABLE"
        if said["ChangeSetName"].startswith(wanted.mark) and can_be_run:
            return _change_set(hands, said["ChangeSetId"], stack.id)
    return None


def make(hands: Hands, wanted: Wanted, now: datetime) -> ChangeSet | None:
    """A new change set; None where nothing would change, and then nothing of it is left.

    Raises StackError where CloudFormation cannot make it; then too nothing of it is left.
    """
    _refuse_too_long(wanted.template)
    name = f"{wanted.mark}{now:%Y%m%dT%H%M%S%f}"
    made = hands.client.create_change_set(ChangeSetName=name, **_fields(wanted))
    arn, stack_id = made["Id"], made["StackId"]
    said = _made(hands, arn, stack_id)
    if said["Status"] == "CREATE_COMPLETE":
        return _change_set(hands, arn, stack_id)
    reason = said.get("StatusReason", "")
    found = "" if nothing_changes(reason) else findings(hands, ChangeSetName=arn)
    discard(hands, ChangeSet(arn, stack_id, ()), create=wanted.create)
    if nothing_changes(reason):
        return None
    raise StackError(
        f"CloudFormation cannot make the change set: {found or reason}",
        expected="a template that it takes, and nothing else of the same name",
        to_do="correct what it names; nothing was changed",
    )


def findings(hands: Hands, **which: str) -> str:
    """What CloudFormation has found wrong before it began, one after the other; "" where it does not tell."""
    try:
        told = list(pages(hands.client.describe_events, "OperationEvents", Filters={"FailedEvents": True}, **which))
    except StackError:
        return ""
    return "; ".join(dict.fromkeys(_finding(said) for said in told if said.get("ValidationStatus") == "FAILED"))


def _finding(said: Mapping[str, Any]) -> str:
    where = f"{said.get('LogicalResourceId', '')} ({said.get('ResourceType', '')})"
    return f"{where}: {said.get('ValidationStatusReason', '')}"


def _fields(wanted: Wanted) -> dict[str, Any]:
    fields = {
        "StackName": wanted.name,
        "ChangeSetType": "CREATE" if wanted.create else "UPDATE",
        "TemplateBody": wanted.template,
        "Capabilities": list(CAPABILITIES),
        "Tags": [{"Key": key, "Value": value} for key, value in wanted.tags.items()],
    }
    adopting: dict[str, Any] = {"ImportExistingResources": True} if wanted.adopt else {}
    return fields | adopting | ({"OnStackFailure": "DELETE"} if wanted.create else {})


def _refuse_too_long(template: str) -> None:
    size = len(template.encode())
    if size > MOST_BYTES:
        raise StackError(
            f"the template has {size} bytes",
            expected=f"{MOST_BYTES} at most: more cannot be sent along",
            to_do="name fewer networks in [stack] admin_networks and viewer_networks",
        )


def _made(hands: Hands, arn: str, stack_id: str) -> Mapping[str, Any]:
    started = hands.clock()
    while True:
        said = hands.client.describe_change_set(ChangeSetName=arn, StackName=stack_id)
        if finished(said["Status"]) and said["Status"] != "CREATE_PENDING":
            return said
        if hands.clock() - started > MADE_WITHIN_S:
            raise _endless("making the change set", MADE_WITHIN_S)
        hands.sleep(POLL_S)


def _change_set(hands: Hands, arn: str, stack_id: str) -> ChangeSet:
    told = pages(
        hands.client.describe_change_set, "Changes", ChangeSetName=arn, StackName=stack_id, IncludePropertyValues=True
    )
    return ChangeSet(arn, stack_id, rows(told))


def discard(hands: Hands, change_set: ChangeSet, *, create: bool) -> None:
    """Remove a change set, and with it the stack that is nothing else. Raises StackError."""
    if create:
        drop(hands, change_set.stack_id)
    else:
        hands.client.delete_change_set(ChangeSetName=change_set.arn)


def drop(hands: Hands, stack_id: str) -> None:
    """Delete, without a word, a stack that was only ever planned. Raises StackError."""
    delete(replace(hands, stream=io.StringIO()), stack_id)


def discard_others(hands: Hands, stack: Stack) -> None:
    """Remove the change sets of ours that were planned for other wishes, and never run."""
    for said in list(pages(hands.client.list_change_sets, "Summaries", StackName=stack.name)):
        if said["ChangeSetName"].startswith(PREFIX) and not said.get("ExecutionStatus", "").startswith("EXECUTE_"):
            hands.client.delete_change_set(ChangeSetName=said["ChangeSetId"])


def execute(hands: Hands, change_set: ChangeSet) -> Ended:
    """Run this very change set and tell its events; returns when nothing goes on any more. Raises StackError."""
    feed = Feed(hands.client, change_set.stack_id)
    feed.skip()
    token = change_set.arn.rpartition("/")[2]
    hands.client.execute_change_set(ChangeSetName=change_set.arn, ClientRequestToken=f"run-{token}")
    return _followed(hands, feed, frozenset(row.logical_id for row in change_set.rows))


def delete(hands: Hands, stack_id: str, expected: Iterable[str] = ()) -> Ended:
    """Delete a stack and tell its events; `expected`: the logical ids that will be told. Raises StackError."""
    feed = Feed(hands.client, stack_id)
    feed.skip()
    hands.client.delete_stack(StackName=stack_id)
    return _followed(hands, feed, frozenset(expected))


# --- following -------------------------------------------------------------------------------------------------------


def _followed(hands: Hands, feed: Feed, expected: frozenset[str]) -> Ended:
    with progress(hands.stream, len(expected)) as shown:
        try:
            return _Following(hands, feed, expected, shown).end()
        except KeyboardInterrupt:
            shown.line("nobody looks on any more, and it goes on in AWS: `fab provision` says how it ended")
            raise


@dataclass(slots=True)
class _Following:
    hands: Hands
    feed: Feed
    expected: frozenset[str]
    shown: Progress
    events: list[Event] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    looks: int = 0

    def end(self) -> Ended:
        """Look until nothing goes on any more; a look that is not answered is no end, it is made again later."""
        started, troubles = self.hands.clock(), 0
        while True:
            try:
                status = self._look()
                troubles = 0
            except (Refused, Unanswered) as error:
                troubles += 1
                if not error.passing or troubles > TROUBLES:
                    raise
                status = ""
            if status:
                return Ended(self.feed.stack_id, status, self.events)
            if self.hands.clock() - started > WITHIN_S:
                raise _endless("the operation", WITHIN_S)
            self.hands.sleep(min(POLL_S * 2**troubles, MOST_POLL_S))

    def _look(self) -> str:
        """The status that it ended with, "" while it goes on. What is told is at least as new as the status."""
        described = _described(self.hands, self.feed.stack_id)
        status = described["StackStatus"] if described else "DELETE_COMPLETE"
        for event in self.feed.fresh():
            self._tell(event)
        return status if self._ended(status) else ""

    def _ended(self, status: str) -> bool:
        """Whether it is the end, and neither the state from before nor one on the way to being cleared away."""
        if status == "DELETE_COMPLETE":
            return True
        last = next((event.status for event in reversed(self.events) if event.of_stack), "")
        self.looks = self.looks + 1 if finished(status) and status == last else 0
        return self.looks >= (1 if made(status) else CALM_LOOKS)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        if event.status.endswith(("_COMPLETE", "_SKIPPED")) and not event.of_stack:
            self.finished.add(event.logical_id)
        self.shown.done = len(self.finished & self.expected)
        self.shown.line(event.text)


def _endless(what: str, within_s: float) -> StackError:
    return StackError(
        f"{what} is not over after {within_s / 60:.0f} minutes, and goes on in AWS",
        expected="an end by then",
        to_do="look at the stack's events in the CloudFormation console; then the same command again",
    )


# --- guards ----------------------------------------------------------------------------------------------------------


def guarded(hands: Hands, stack: Stack) -> bool:
    """Whether the stack is protected from being deleted, and its instance and bucket from being replaced."""
    body = hands.client.get_stack_policy(StackName=stack.id).get("StackPolicyBody")
    try:
        return stack.protected and json.loads(body or "null") == STACK_POLICY
    except ValueError:
        return False


def guard(hands: Hands, stack_id: str) -> None:
    """Protect the stack from being deleted, and its instance and bucket from being replaced."""
    hands.client.set_stack_policy(StackName=stack_id, StackPolicyBody=json.dumps(STACK_POLICY))
    protect(hands, stack_id, on=True)


def protect(hands: Hands, stack_id: str, *, on: bool) -> None:
    """Turn termination protection on or off."""
    hands.client.update_termination_protection(StackName=stack_id, EnableTerminationProtection=on)


@contextmanager
def replacing(hands: Hands, stack_id: str) -> Iterator[None]:
    """Let instance and bucket be replaced within the block: a change set carries no policy of its own."""
    try:
        hands.client.set_stack_policy(StackName=stack_id, StackPolicyBody=json.dumps(OPEN_POLICY))
        yield
    finally:
        hands.client.set_stack_policy(StackName=stack_id, StackPolicyBody=json.dumps(STACK_POLICY))
