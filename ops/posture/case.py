"""What a rule judges: the settings, the account as it was read, and what the settings would make of it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from ops.posture.account import Account, CannotTell
from ops.posture.expected import Expected
from ops.settings import Settings
from ops.stack import names

Thing = Mapping[str, Any]


class Case:
    """An account and its settings. What is looked up raises CannotTell where it is not there just once."""

    def __init__(self, settings: Settings, account: Account, now: datetime) -> None:
        """Nothing is looked up yet; `now` is aware."""
        self.settings = settings
        self.account = account
        self.now = now

    def of(self, question: str) -> Any:
        """As `Account.of`."""
        return self.account.of(question)

    def found(self, question: str) -> Any:
        """As `Account.found`."""
        return self.account.found(question)

    @cached_property
    def vpc(self) -> Thing:
        """The VPC."""
        return self._only("vpcs", "VPC")

    @cached_property
    def group(self) -> Thing:
        """The security group."""
        return self._only("groups", f"security group {self.settings.stack.security_group}")

    @cached_property
    def rules(self) -> Sequence[Thing]:
        """The security group's."""
        listed: Sequence[Thing] = self.of(f"rules of {self.group['GroupId']}")
        return listed

    @cached_property
    def subnet(self) -> Thing:
        """The subnet."""
        return self._only("subnets", "subnet of the VPC")

    @cached_property
    def instance(self) -> Thing:
        """The host."""
        return self._only("instances", "instance in the VPC")

    @cached_property
    def gateway(self) -> Thing:
        """The internet gateway."""
        return self._only("internet gateways", "internet gateway of the VPC")

    def _only(self, question: str, what: str) -> Thing:
        listed: Sequence[Thing] = self.found(question)
        if len(listed) != 1:
            raise CannotTell(f"there is no {what}" if not listed else f"there are {len(listed)} of the {what}")
        return listed[0]

    @cached_property
    def expected(self) -> Expected:
        """What the settings make."""
        return Expected(self.settings, self.account, self._ids)

    @property
    def _ids(self) -> dict[str, str]:
        """Logical id -> id, of what there is just once."""
        found = {}
        for logical, kind, field in (
            ("Vpc", "vpc", "VpcId"),
            ("Subnet", "subnet", "SubnetId"),
            ("Instance", "instance", "InstanceId"),
            ("SecurityGroup", "group", "GroupId"),
        ):
            try:
                found[logical] = getattr(self, kind)[field]
            except CannotTell:
                continue
        return found

    @property
    def words(self) -> dict[str, str]:
        """For the text of a fix."""
        ids = {logical.lower(): known for logical, known in self._ids.items()}
        return {
            **ids,
            "group": ids.get("securitygroup", "GROUP_ID"),
            "bucket": self.settings.s3.bucket,
            "role": self.settings.stack.role,
            "stack": self.settings.stack.name,
            "topic": f"arn:{self.account.partition}:sns:{self.account.region}:{self.account.account}:"
            f"{names.topic(self.settings)}",
        }

    def tags(self, listed: Any) -> dict[str, str]:
        """Tags, whichever way AWS writes them."""
        if isinstance(listed, Mapping):
            return dict(listed)
        return {tag["Key"]: tag["Value"] for tag in listed or ()}
