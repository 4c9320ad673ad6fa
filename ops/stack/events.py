"""What CloudFormation tells of an operation while it goes on: each event once, the oldest first; and why it failed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ops.stack.answers import Refused

# What CloudFormation says of a resource that is only given up because another one failed.
CASCADE = ("cancelled", "canceled")


class Events(Protocol):
    """What is needed of a CloudFormation client."""

    def describe_stack_events(self, **fields: Any) -> Mapping[str, Any]:
        """StackName, NextToken -> StackEvents, NextToken; the newest first."""


@dataclass(frozen=True, slots=True)
class Event:
    """`of_stack`: it is told of the stack as a whole, not of a resource."""

    id: str
    logical_id: str
    type: str
    status: str
    reason: str
    of_stack: bool

    @property
    def failed(self) -> bool:
        """Something was not done."""
        return self.status.endswith("_FAILED")

    @property
    def text(self) -> str:
        """STATUS  NAME  TYPE: REASON"""
        words = self.status.lower().replace("_", " ")
        return f"{words:<19} {self.logical_id} ({self.type})" + (f": {self.reason}" if self.reason else "")


@dataclass(slots=True)
class Feed:
    """The events of one stack, by its id: a deleted stack has no name, and still has its events."""

    client: Events
    stack_id: str
    _seen: set[str] = field(default_factory=set)

    def skip(self) -> None:
        """What has been told until now is not told again."""
        self._seen.update(event.id for event in self._page("")[0])

    def fresh(self) -> list[Event]:
        """What has come since, the oldest first. Raises StackError."""
        new = [event for event in self._back_to_known() if event.id not in self._seen]
        self._seen.update(event.id for event in new)
        return new[::-1]

    def _back_to_known(self) -> Iterator[Event]:
        """Pages, from the newest back to the first that has what is known."""
        token = ""
        while True:
            events, token = self._page(token)
            yield from events
            if not token or any(event.id in self._seen for event in events):
                return

    def _page(self, token: str) -> tuple[list[Event], str]:
        more = {"NextToken": token} if token else {}
        try:
            page = self.client.describe_stack_events(StackName=self.stack_id, **more)
        except Refused as refused:
            if refused.absent:
                return [], ""
            raise
        return [_event(said) for said in page.get("StackEvents", ())], page.get("NextToken") or ""


def _event(said: Mapping[str, Any]) -> Event:
    return Event(
        id=said["EventId"],
        logical_id=said.get("LogicalResourceId", ""),
        type=said.get("ResourceType", ""),
        status=said.get("ResourceStatus", ""),
        reason=said.get("ResourceStatusReason", ""),
        of_stack=said.get("PhysicalResourceId") == said["StackId"],
    )


def first_failure(events: Iterable[Event]) -> Event | None:
    """The failure that caused the others: the first of a resource that was not given up for one; else the stack's."""
    failed = [event for event in events if event.failed]
    causes = [event for event in failed if not event.of_stack and not _given_up(event)]
    return next(iter(causes or failed), None)


def _given_up(event: Event) -> bool:
    return any(word in event.reason for word in CASCADE) and event.reason.startswith("Resource ")
