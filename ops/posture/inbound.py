"""The security group: who gets in where, and what the host may reach. Pure."""

from collections.abc import Iterator

from ops.posture.case import Case
from ops.posture.rules import Rule
from ops.stack import door, names
from ops.stack.limits import SSH_PORT
from ops.stack.template import ingress

WORLDS = ("0.0.0.0/0", "::/0")
ANY_PROTOCOL = "-1"
REVOKE = (
    "aws ec2 revoke-security-group-ingress --group-id {group} --security-group-rule-ids RULE, of what is seen above"
)


def _inbound(case: Case) -> list[door.Rule]:
    """Those that let in for good: not the probe's doors, which have rules of their own."""
    return [rule for rule in _all_inbound(case) if door.marked_until(rule) is None]


def _all_inbound(case: Case) -> list[door.Rule]:
    return [door.rule(said) for said in case.rules if not said["IsEgress"]]


def _reaches(rule: door.Rule, port: int) -> bool:
    return rule.protocol == ANY_PROTOCOL or (rule.protocol == "tcp" and rule.first_port <= port <= rule.last_port)


def _told(rule: door.Rule) -> str:
    ports = "every port" if rule.protocol == ANY_PROTOCOL else f"{rule.protocol} {rule.first_port}-{rule.last_port}"
    return f"{rule.id} lets {rule.network or 'another group or list'} in to {ports}"


def _ssh_closed(case: Case) -> Iterator[str]:
    for rule in _all_inbound(case):
        if _reaches(rule, SSH_PORT) and rule.network in WORLDS:
            yield _told(rule)


def _wide(case: Case) -> Iterator[str]:
    """Two halves of the world are the world."""
    for rule in _all_inbound(case):
        if _reaches(rule, SSH_PORT) and rule.network and rule.network not in _wanted(case, SSH_PORT):
            yield _told(rule)


def _administrators(case: Case) -> Iterator[str]:
    yield from _missing(case, SSH_PORT)


def _missing(case: Case, port: int) -> Iterator[str]:
    there = {rule.network for rule in _all_inbound(case) if _reaches(rule, port)}
    for network in sorted(_wanted(case, port) - there):
        yield f"no rule lets {network} in to port {port}"


def _wanted(case: Case, port: int) -> set[str]:
    return {rule.network for rule in ingress(case.settings) if rule.port == port}


def _viewers(case: Case) -> Iterator[str]:
    for port in names.public_ports(case.settings):
        yield from _missing(case, port)


def _only_viewers(case: Case) -> Iterator[str]:
    for port in names.public_ports(case.settings):
        for rule in _inbound(case):
            if _reaches(rule, port) and rule.network and rule.network not in _wanted(case, port):
                yield _told(rule)


def _not_the_world(case: Case) -> Iterator[str]:
    if case.settings.stack.open_to_the_world:
        return
    for rule in _all_inbound(case):
        if rule.network in WORLDS:
            yield _told(rule)


def _nothing_else(case: Case) -> Iterator[str]:
    ports = {port for rule in ingress(case.settings) for port in [rule.port]}
    for rule in _inbound(case):
        exact = rule.protocol == "tcp" and rule.first_port == rule.last_port and rule.first_port in ports
        if not exact or not rule.network:
            yield _told(rule)


def _doors(case: Case) -> Iterator[str]:
    rules = _all_inbound(case)
    for rule in door.overdue(rules, case.now):
        yield f"{_told(rule)} still: {rule.description}"
    for rule in rules:
        if door.marked_until(rule) and not case.settings.stack.door_for_probe:
            yield f"{_told(rule)}, but [stack] door_for_probe is off"
        elif door.marked_until(rule) and not _is_a_door(case, rule):
            yield f"{_told(rule)}, which is no door of the dashboard"


def _is_a_door(case: Case, rule: door.Rule) -> bool:
    port = names.public_ports(case.settings)[-1]
    return (rule.protocol, rule.first_port, rule.last_port) == ("tcp", port, port)


def _outbound(case: Case) -> Iterator[str]:
    wanted = {
        (said["IpProtocol"], said["FromPort"], said["ToPort"], said["CidrIp"])
        for said in case.expected.says("SecurityGroup", "SecurityGroupEgress")
    }
    rules = [door.rule(said) for said in case.rules if said["IsEgress"]]
    found = {(rule.protocol, rule.first_port, rule.last_port, rule.network) for rule in rules}
    for protocol, first, last, network in sorted(found - wanted):
        yield f"out to {network or 'another group or list'}: protocol {protocol}, ports {first}-{last}"
    for protocol, first, last, network in sorted(wanted - found):
        yield f"not out to {network}: {protocol} {first}-{last}"


def _one_group(case: Case) -> Iterator[str]:
    groups = case.found("groups")
    if len(groups) != 1:
        yield f"there are {len(groups)}: {', '.join(group['GroupId'] for group in groups) or 'none'}"
    for group in groups:
        if len(case.found("vpcs")) == 1 and group["VpcId"] != case.vpc["VpcId"]:
            yield f"{group['GroupId']} is in {group['VpcId']}"


RULES = (
    Rule(
        "group.one",
        "one security group of that name, in the VPC",
        "aws ec2 delete-security-group for the other",
        _one_group,
    ),
    Rule("group.ssh-not-the-world", "SSH is closed to the world", REVOKE, _ssh_closed),
    Rule("group.ssh-administrators-only", "SSH is open to [stack] admin_networks at most", REVOKE, _wide),
    Rule(
        "group.ssh-administrators",
        "SSH is open to each of [stack] admin_networks",
        "aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 22 --cidr NETWORK",
        _administrators,
    ),
    Rule(
        "group.viewers",
        "the dashboard is open to each of [stack] viewer_networks, and to the world only by open_to_the_world",
        "aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port PORT --cidr NETWORK",
        _viewers,
    ),
    Rule("group.viewers-only", "the dashboard is open to nobody else", REVOKE, _only_viewers),
    Rule("group.not-the-world", "nothing is open to the world but by open_to_the_world", REVOKE, _not_the_world),
    Rule("group.nothing-else", "no other port, protocol, group or list is let in", REVOKE, _nothing_else),
    Rule(
        "group.doors",
        "no door of a probe is left open",
        REVOKE + "; the next `fab uptime-check --knock` does it too",
        _doors,
    ),
    Rule(
        "group.outbound",
        "the host reaches the web (80, 443) and the VPC's resolver, and nothing else",
        "aws ec2 revoke-security-group-egress or authorize-security-group-egress --group-id {group}",
        _outbound,
    ),
)
