"""The stack itself, and whose everything is: protection, and tags on all that can have them. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ops import monitoring
from ops.posture.account import CannotTell
from ops.posture.case import Case
from ops.posture.rules import Rule, Told
from ops.stack import names
from ops.stack.driver import STACK_POLICY
from ops.stack.leftovers import state
from ops.stack.template import alarms

SOON_GONE = ("key/", "snapshot/", "network-interface/")  # no parts of a stack


def _stands(case: Case) -> Iterator[str]:
    stack = case.of("stack")
    status = stack["StackStatus"] if stack else ""
    if state(status) != "live":
        yield f"the stack {case.settings.stack.name} is {status or 'not there'}"


def _protected(case: Case) -> Iterator[str]:
    if not case.found("stack").get("EnableTerminationProtection"):
        yield "it can be deleted by a slip"


def _guarded(case: Case) -> Iterator[str]:
    case.found("stack")
    try:
        said = json.loads(case.of("stack policy") or "null")
    except ValueError:
        said = None
    if said != STACK_POLICY:
        yield "its policy is gone" if said is None else "its policy is another"


def _by_itself(case: Case) -> Iterator[str]:
    stack = case.found("stack")
    if role := stack.get("RoleARN"):
        yield f"it is changed with the rights of {role}, whoever changes it"
    yield from (f"{topic} is told what happens to it" for topic in stack.get("NotificationARNs") or ())
    for trigger in (stack.get("RollbackConfiguration") or {}).get("RollbackTriggers") or ():
        yield f"{trigger.get('Arn')} undoes its changes"


# --- tags ------------------------------------------------------------------------------------------------------------


def _tagged(*things: Callable[[Case], Iterator[tuple[str, Any]]]) -> Callable[[Case], Told]:
    """A judge of (what a thing is called, its tags)."""

    def judge(case: Case) -> Iterator[str]:
        wanted = names.tags(case.settings)
        for list_ in things:
            for called, listed in list_(case):
                found = case.tags(listed)
                for key, value in wanted.items():
                    if found.get(key) != value:
                        yield f"{called} has {key}={found[key]}" if key in found else f"{called} has no tag {key}"

    return judge


def _of(question: str, field: str) -> Callable[[Case], Iterator[tuple[str, Any]]]:
    def listed(case: Case) -> Iterator[tuple[str, Any]]:
        for thing in case.found(question):
            yield thing[field], thing.get("Tags") or thing.get("TagSet")

    return listed


def _own_table(case: Case) -> Iterator[tuple[str, Any]]:
    """Not the VPC's main one, which AWS made."""
    for table in case.found("route tables"):
        if not any(one.get("Main") for one in table["Associations"]):
            yield table["RouteTableId"], table.get("Tags")


def _own_addresses(case: Case) -> Iterator[tuple[str, Any]]:
    if case.settings.stack.elastic_ip:
        yield from _of("addresses", "AllocationId")(case)


def _bucket(case: Case) -> Iterator[tuple[str, Any]]:
    if case.of("bucket location") is None:
        raise CannotTell(f"there is no bucket {case.settings.s3.bucket}")
    yield case.settings.s3.bucket, (case.of("bucket tags") or {}).get("TagSet")


def _roles(case: Case) -> Iterator[tuple[str, Any]]:
    for role in (case.settings.stack.role, *(name for name, _ in names.workflow_roles(case.settings).values())):
        yield role, case.found(f"role {role}").get("Tags")


def _log_groups(case: Case) -> Iterator[tuple[str, Any]]:
    for group in monitoring.LOG_GROUPS:
        yield group, case.found(f"tags of {group}")


def _alarms(case: Case) -> Iterator[tuple[str, Any]]:
    for alarm in case.found("alarms"):
        yield alarm["AlarmName"], case.found(f"tags of {alarm['AlarmArn']}")


def _topic(case: Case) -> Iterator[tuple[str, Any]]:
    case.found("topic")
    yield names.topic(case.settings), case.found("topic tags")


def _names(case: Case) -> Iterator[str]:
    """By the name the host is found."""
    if (found := case.tags(case.instance.get("Tags")).get("Name")) != case.settings.host.name:
        yield f"its name is {found or 'missing'}"


def _strays(case: Case) -> Iterator[str]:
    own = _own(case)
    for tagged in case.found("tagged"):
        arn = str(tagged["ResourceARN"])
        what = arn.split(":", 5)[5]
        if not what.startswith(SOON_GONE) and not _known(what, own):
            yield f"{arn} has our tags, and is none of ours"


def _known(what: str, own: frozenset[str]) -> bool:
    """By the last part of an ARN: an id, or a name after a colon or slash."""
    return any(what == one or what.endswith((f"/{one}", f":{one}")) for one in own)


def _own(case: Case) -> frozenset[str]:
    """Ids and names of all that should be there. Raises CannotTell where that is not known."""
    ids = (
        ("vpcs", "VpcId"),
        ("subnets", "SubnetId"),
        ("internet gateways", "InternetGatewayId"),
        ("route tables", "RouteTableId"),
        ("endpoints", "VpcEndpointId"),
        ("groups", "GroupId"),
        ("instances", "InstanceId"),
        ("volumes", "VolumeId"),
        ("addresses", "AllocationId"),
        ("ended", "InstanceId"),
    )
    found = [str(thing.get(field)) for question, field in ids for thing in case.of(question) or ()]
    return frozenset(found) | _named(case)


def _named(case: Case) -> frozenset[str]:
    settings = case.settings
    stack: Mapping[str, Any] = case.of("stack") or {}
    return frozenset({
        settings.s3.bucket,
        settings.stack.role,
        names.topic(settings),
        names.GITHUB_HOST,
        names.dashboard(settings),
        str(stack.get("StackId", "")).rpartition("/")[2],
        *monitoring.LOG_GROUPS,
        *(f"{group}:*" for group in monitoring.LOG_GROUPS),
        *(name for name, _ in names.workflow_roles(settings).values()),
        *(names.alarm(settings, made) for made in alarms(settings)),
    })  # fmt: skip


TAG = "aws ec2 create-tags --resources ID --tags Key=KEY,Value=VALUE"
RULES = (
    Rule("stack.stands", "the stack stands, and nothing of it is half done", "`fab provision`", _stands),
    Rule(
        "stack.protected",
        "the stack cannot be deleted by a slip",
        "aws cloudformation update-termination-protection --stack-name {stack} --enable-termination-protection",
        _protected,
    ),
    Rule(
        "stack.guarded",
        "no update replaces the host or the bucket unasked",
        "`fab provision`, which sets it again after its next change; or aws cloudformation set-stack-policy",
        _guarded,
    ),
    Rule(
        "stack.by-itself",
        "nobody's role, topic or alarm hangs on the stack",
        "aws cloudformation update-stack --use-previous-template, without what is seen above; a role stays",
        _by_itself,
    ),
    Rule(
        "tags.network",
        "the network is tagged",
        TAG,
        _tagged(
            _of("vpcs", "VpcId"),
            _of("subnets", "SubnetId"),
            _of("internet gateways", "InternetGatewayId"),
            _of("endpoints", "VpcEndpointId"),
            _of("groups", "GroupId"),
            _own_table,
        ),
    ),
    Rule(
        "tags.host",
        "the host, its disk and its address are tagged",
        TAG,
        _tagged(_of("instances", "InstanceId"), _of("volumes", "VolumeId"), _own_addresses),
    ),
    Rule("tags.name", "the host has its name", TAG, _names),
    Rule("tags.bucket", "the bucket is tagged", "aws s3api put-bucket-tagging --bucket {bucket}", _tagged(_bucket)),
    Rule(
        "tags.roles",
        "the roles are tagged",
        "aws iam tag-role --role-name NAME --tags Key=KEY,Value=VALUE",
        _tagged(_roles),
    ),
    Rule(
        "tags.watching",
        "log groups, alarms and topic are tagged",
        "aws logs tag-resource, aws cloudwatch tag-resource, aws sns tag-resource",
        _tagged(_log_groups, _alarms, _topic),
    ),
    Rule("tags.strays", "nothing else has our tags", "delete what is seen above, or take our tags from it", _strays),
)
