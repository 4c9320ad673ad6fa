"""A security group and its inbound rules, as EC2 tells and changes them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from etl.errors import StackError
from ops.stack.door import MARK, Rule, Wanted, rule

CONNECT_S = 5
ANSWER_S = 10
DUPLICATE = "InvalidPermission.Duplicate"
GONE = frozenset({"InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"})
STACK_TAG = "aws:cloudformation:stack-name"

_Call = Callable[..., Mapping[str, Any]]


class Ec2(Protocol):
    """What is needed of an EC2 client."""

    def describe_security_groups(self, **fields: Any) -> Mapping[str, Any]:
        """Filters -> SecurityGroups."""

    def describe_security_group_rules(self, **fields: Any) -> Mapping[str, Any]:
        """Filters, NextToken -> SecurityGroupRules, NextToken."""

    def authorize_security_group_ingress(self, **fields: Any) -> Mapping[str, Any]:
        """GroupId, IpPermissions, TagSpecifications -> SecurityGroupRules."""

    def revoke_security_group_ingress(self, **fields: Any) -> Mapping[str, Any]:
        """GroupId, SecurityGroupRuleIds -> Return."""


def ec2_client() -> Ec2:
    """A client with bounded waits. Raises StackError where what boto3 finds to ask with cannot be used."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    retries = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=CONNECT_S, read_timeout=ANSWER_S, retries=retries)  # type: ignore[arg-type] # a plain dict
    try:
        client: Ec2 = boto3.Session().client("ec2", config=config)
    except (BotoCoreError, ValueError) as error:
        raise _unanswered(error) from error
    return client


def group_named(name: str, stack: str, client: Ec2) -> "SecurityGroup":
    """The group of that name; where several VPCs have one, the one of that stack. Raises StackError."""
    page = _asked(client.describe_security_groups, Filters=[{"Name": "group-name", "Values": [name]}])
    found = page.get("SecurityGroups", [])
    if len(found) > 1:
        found = [said for said in found if {"Key": STACK_TAG, "Value": stack} in said.get("Tags", [])]
    if len(found) != 1:
        raise StackError(
            f"there is not one security group named {name} of the stack {stack}, but {len(found)}",
            expected="the group that `fab provision` makes, in the account and region that boto3 is set to",
            to_do="`fab provision`; or set AWS_DEFAULT_REGION, [stack] name and security_group as they are there",
        )
    return SecurityGroup(found[0]["GroupId"], client)


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A group, by its id."""

    id: str
    client: Ec2

    def rules(self) -> list[Rule]:
        """Its inbound rules. Raises StackError."""
        return [rule(said) for said in self._described() if not said.get("IsEgress")]

    def allow(self, wanted: Wanted) -> str | None:
        """Add a rule and tell its id; None where one for the same network and port is there. Raises StackError."""
        version = "v6" if ":" in wanted.network else ""
        source = {f"CidrIp{version}": wanted.network, "Description": wanted.description}
        try:
            answer = _asked(
                self.client.authorize_security_group_ingress,
                GroupId=self.id,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": wanted.port,
                        "ToPort": wanted.port,
                        f"Ip{version}Ranges": [source],
                    }
                ],
                TagSpecifications=[
                    {"ResourceType": "security-group-rule", "Tags": [{"Key": MARK, "Value": wanted.tag}]}
                ],
            )
        except _Refused as refused:
            if refused.code == DUPLICATE:
                return None
            raise
        rule_id: str = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return rule_id

    def revoke(self, rule_id: str) -> None:
        """Remove a rule; nothing is done where it is gone. Raises StackError."""
        try:
            _asked(self.client.revoke_security_group_ingress, GroupId=self.id, SecurityGroupRuleIds=[rule_id])
        except _Refused as refused:
            if refused.code not in GONE:
                raise

    def _described(self) -> Iterator[Mapping[str, Any]]:
        token = ""
        while True:
            more = {"NextToken": token} if token else {}
            page = _asked(
                self.client.describe_security_group_rules, Filters=[{"Name": "group-id", "Values": [self.id]}], **more
            )
            yield from page.get("SecurityGroupRules", ())
            token = page.get("NextToken") or ""
            if not token:
                return


# --- what EC2 does not do --------------------------------------------------------------------------------------------


class _Refused(StackError):
    """EC2 answered, and said no."""

    def __init__(self, action: str, code: str) -> None:
        """`action`: as rights name it, like ec2:RevokeSecurityGroupIngress."""
        super().__init__(
            f"EC2 refuses {action}: {code}",
            expected="credentials that may do it on the stack's security group: [stack] door_for_probe gives the "
            "probe's role the right",
            to_do="set it to true and `fab provision`, or look without --knock from an address that is let in",
        )
        self.code = code


def _asked(call: _Call, **fields: Any) -> Mapping[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**fields)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise _Refused(f"ec2:{error.operation_name}", code) from error
    except (BotoCoreError, OSError, ValueError) as error:
        raise _unanswered(error) from error


def _unanswered(error: Exception) -> StackError:
    return StackError(
        f"EC2 gave no answer: {error}",
        expected="an answer, with the profile, region and credentials that boto3 is set to",
        to_do="check AWS_PROFILE, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL and the network",
    )
