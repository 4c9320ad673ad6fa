"""The probe's door: the dashboard's port, opened for one address while somebody looks, and closed again.

The door is an inbound rule of the stack's security group. Its description says until when, its tag whose it is; only
what has both, and lets in one address alone, is ever closed. Before a door is opened those that a killed run has left
are closed; who is let in by another rule anyway opens none.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from etl.errors import StackError
from ops.settings import Settings
from ops.stack.signals import unmade
from ops.words import moment, plain

MARK = "kpi-ops-probe"
OPEN_FOR = timedelta(minutes=15)
SKEW = timedelta(minutes=5)  # AWS answers nobody whose clock is further off
HTTPS_PORT = 443
ALL_PROTOCOLS = "-1"
ONE_ADDRESS = ("/32", "/128")
SHOWN_LETTERS = 60


@dataclass(frozen=True, slots=True)
class Rule:
    """An inbound rule. `network` is "" where it lets in another group; `tag` is the value of MARK, "" without one."""

    id: str
    network: str
    protocol: str
    first_port: int
    last_port: int
    description: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rule of a door: for `network`, one address as /32 or /128, until `until` (aware); `tag` is this run's own."""

    network: str
    port: int
    until: datetime
    tag: str

    @property
    def description(self) -> str:
        """kpi-ops-probe until 2026-11-22T12:15:00Z"""
        return f"{MARK} until {moment(self.until)}"


class Group(Protocol):
    """What is needed of a security group. Everything raises StackError."""

    @property
    def id(self) -> str:
        """sg-0123456789abcdef0"""

    def rules(self) -> Sequence[Rule]:
        """Its inbound rules."""

    def allow(self, wanted: Wanted) -> str | None:
        """Add a rule and tell its id; None where another lets in the same network to the same port."""

    def revoke(self, rule_id: str) -> None:
        """Remove a rule; nothing is done where it is gone."""


# --- decisions -------------------------------------------------------------------------------------------------------


def rule(said: Mapping[str, Any]) -> Rule:
    """A rule as boto3's describe_security_group_rules gives it."""
    return Rule(
        id=said["SecurityGroupRuleId"],
        network=said.get("CidrIpv4") or said.get("CidrIpv6") or "",
        protocol=said.get("IpProtocol", ""),
        first_port=said.get("FromPort", -1),
        last_port=said.get("ToPort", -1),
        description=said.get("Description", ""),
        tag=next((tag["Value"] for tag in said.get("Tags", ()) if tag["Key"] == MARK), ""),
    )


def wanted(settings: Settings, address: str, tag: str, now: datetime) -> Wanted:
    """The door for `address`, as a service told it that sees where we come from. Raises StackError for nonsense."""
    port = HTTPS_PORT if settings.host.domain else settings.dashboard.port
    return Wanted(own_network(address), port, now + OPEN_FOR, tag)


def own_network(told: str) -> str:
    """A public address, on one line, as a network of its own. Raises StackError for anything else."""
    text = told.removesuffix("\n").removesuffix("\r")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise _no_address(text) from None
    if not address.is_global or address.is_multicast or "%" in text or getattr(address, "ipv4_mapped", None):
        raise _no_address(text)
    return str(ipaddress.ip_network(address))


def _no_address(text: str) -> StackError:
    return StackError(
        f"the service that is to tell our own address says {plain(text)[:SHOWN_LETTERS]!r}",
        expected="one public address, for which the door can be opened",
        to_do="look without --knock, or from a network whose address the internet can see",
    )


def marked_until(rule: Rule) -> datetime | None:
    """Until when a door of ours stays open; None for every rule that is not certainly one."""
    said = re.fullmatch(MARK + r" until ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})Z", rule.description)
    if not said or not rule.tag or not rule.network.endswith(ONE_ADDRESS):
        return None
    with suppress(ValueError):
        return datetime.fromisoformat(said[1]).replace(tzinfo=UTC)
    return None


def overdue(rules: Iterable[Rule], now: datetime) -> list[Rule]:
    """Doors that a run has left open, and such as say a time that no run gives."""
    return [
        rule for rule in rules if (until := marked_until(rule)) is not None and not now < until <= now + OPEN_FOR + SKEW
    ]


def admitting(rules: Iterable[Rule], door: Wanted) -> Rule | None:
    """The rule that lets the door's address in already; another run's door only where no rule stays longer."""
    found = [rule for rule in rules if _admits(rule, door)]
    return min(found, key=lambda rule: marked_until(rule) is not None, default=None)


def _admits(rule: Rule, door: Wanted) -> bool:
    to_the_port = rule.protocol == ALL_PROTOCOLS or (
        rule.protocol == "tcp" and rule.first_port <= door.port <= rule.last_port
    )
    return to_the_port and bool(rule.network) and _within(door.network, rule.network)


def _within(inner: str, outer: str) -> bool:
    one, other = ipaddress.ip_network(inner), ipaddress.ip_network(outer, strict=False)
    # of two versions neither is within the other, and ipaddress raises
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type] # the line above


# --- opening and closing ---------------------------------------------------------------------------------------------


def sweep(group: Group, now: datetime) -> list[Rule]:
    """Close the doors that killed runs have left; returns the rules that stay. Raises StackError."""
    rules = group.rules()
    left = overdue(rules, now)
    for rule in left:
        group.revoke(rule.id)
    return [rule for rule in rules if rule not in left]


@contextmanager
def opened(group: Group, door: Wanted, now: datetime) -> Iterator["Door"]:
    """Sweep, open the door for the length of the block, and close it.

    Raises StackError where it cannot be opened, and nothing is left open then; or cannot be closed.
    """
    opening = Door(group, door, sweep(group, now))
    with unmade(opening.open, opening.close):
        yield opening


class Door:
    """A door, and what is known of its rule."""

    def __init__(self, group: Group, door: Wanted, rules: Sequence[Rule]) -> None:
        """`rules`: the group's, as they are before."""
        self._group = group
        self._wanted = door
        self._rules = rules
        self._own: str | None = None

    def open(self) -> None:
        """Let the address in, if it is not let in already. Raises StackError."""
        if admitting(self._rules, self._wanted):
            return
        try:
            self._own = self._group.allow(self._wanted)
        except StackError:
            self._take_back()
            raise
        if self._own is None:  # made meanwhile, maybe by ourselves: an answer was lost and the question asked again
            self._own = next((rule.id for rule in self._of_this_run()), None)

    def close(self) -> None:
        """Remove the rule that this run has made; a second time does nothing. Raises StackError."""
        if self._own is None:
            return
        try:
            self._group.revoke(self._own)
        except StackError as error:
            raise _left_open(error, self._group.id, self._own, self._wanted) from error
        self._own = None

    def held(self) -> bool:
        """Whether the address is let in still; False too where nobody tells.

        Another's rule may go while we look, and what was not reached then need not be down.
        """
        with suppress(StackError):
            return admitting(self._group.rules(), self._wanted) is not None
        return False

    def _of_this_run(self) -> list[Rule]:
        return [rule for rule in self._group.rules() if rule.tag == self._wanted.tag]

    def _take_back(self) -> None:
        """The rule may be there although no answer came. What fails here is left for the next run's sweep."""
        with suppress(StackError):
            for rule in self._of_this_run():
                self._group.revoke(rule.id)


def _left_open(error: StackError, group: str, rule: str, door: Wanted) -> StackError:
    return StackError(
        f"the door could not be closed: {error.seen}",
        expected=f"rule {rule} of {group} to be gone, which lets {door.network} in to port {door.port}",
        to_do=f"aws ec2 revoke-security-group-ingress --group-id {group} --security-group-rule-ids {rule}; "
        f"else the next `fab uptime-check --knock` after {moment(door.until)} closes it",
    )
