"""The network: one VPC with one subnet and one way out, a private way to the bucket, and nobody else in it. Pure."""

from collections.abc import Iterator
from typing import Any

from ops.posture.account import CannotTell
from ops.posture.case import Case, Thing
from ops.posture.documents import differences
from ops.posture.rules import Rule

WORLD = "0.0.0.0/0"
GONE = ("deleted", "deleting", "failed", "rejected", "expired")
EVERYTHING = "-1"
DEFAULT = "default"
OF_AWS = {"domain-name-servers": ["AmazonProvidedDNS"], "ntp-servers": []}  # what a VPC tells its machines
REPAIR = "delete it, then `fab provision --plan`; or `fab destroy` and `fab provision` for a new one"


def _vpc(case: Case) -> Iterator[str]:
    vpcs = case.found("vpcs")
    if len(vpcs) != 1:
        yield f"{len(vpcs)} VPCs: {', '.join(vpc['VpcId'] for vpc in vpcs) or 'none'}"
        return
    blocks = [block["CidrBlock"] for block in vpcs[0].get("CidrBlockAssociationSet") or () if _lives(block)]
    if (blocks or [vpcs[0]["CidrBlock"]]) != [case.settings.stack.network]:
        yield f"its network is {', '.join(blocks) or vpcs[0]['CidrBlock']}"
    for block in vpcs[0].get("Ipv6CidrBlockAssociationSet") or ():
        yield f"it has the IPv6 network {block.get('Ipv6CidrBlock')}"


def _lives(block: Thing) -> bool:
    return bool(block.get("CidrBlockState", {}).get("State", "associated") == "associated")


def _dns(case: Case) -> Iterator[str]:
    for question, meaning in (("dns", "no names are resolved"), ("dns names", "the host gets no name")):
        if case.of(question) is not True:
            yield meaning
    if case.vpc.get("DhcpOptionsId", DEFAULT) != DEFAULT:
        for said in case.found("dhcp options")["DhcpConfigurations"]:
            values = [value["Value"] for value in said["Values"]]
            if said["Key"] in OF_AWS and values != OF_AWS[said["Key"]]:
                yield f"machines are given {said['Key']} {', '.join(values)}"


def _subnet(case: Case) -> Iterator[str]:
    subnets = case.found("subnets")
    if len(subnets) != 1:
        yield f"{len(subnets)} subnets: {', '.join(subnet['SubnetId'] for subnet in subnets) or 'none'}"
        return
    if subnets[0]["CidrBlock"] != case.settings.stack.network:
        yield f"its network is {subnets[0]['CidrBlock']}"
    if subnets[0].get("AssignIpv6AddressOnCreation") or subnets[0].get("Ipv6CidrBlockAssociationSet"):
        yield "it gives IPv6 addresses"


def _no_public_addresses(case: Case) -> Iterator[str]:
    if case.subnet["MapPublicIpOnLaunch"]:
        yield "every machine that is started in it gets a public address"


def _table(case: Case) -> Thing:
    """The route table of the subnet: its own, else the VPC's main one."""
    tables = case.found("route tables")
    own = case.subnet["SubnetId"]
    for wanted in ({"SubnetId": own}, {"Main": True}):
        for table in tables:
            if any(wanted.items() <= one.items() for one in table["Associations"]):
                return table  # type: ignore[no-any-return] # as boto3 gives it
    raise CannotTell("the subnet has no route table")


def _routes(case: Case) -> Iterator[str]:
    wanted = {(case.settings.stack.network, "local"), (WORLD, case.gateway["InternetGatewayId"])}
    routes = _table(case)["Routes"]
    own = [route for route in routes if not _of_endpoint(route)]
    found = {(route.get("DestinationCidrBlock"), route.get("GatewayId")) for route in own}
    for missing in sorted(wanted - found):
        yield f"there is no route to {missing[0]} by {missing[1]}"
    for route in own:
        if (route.get("DestinationCidrBlock"), route.get("GatewayId")) not in wanted:
            yield f"it also goes to {_destination(route)} by {_by(route)}"
    yield from (f"its route to {_destination(route)} leads nowhere" for route in routes if _dead(route))
    for table in case.found("route tables"):
        for one in table["Associations"]:
            if one.get("GatewayId"):
                yield f"what comes in by {one['GatewayId']} goes the ways of {table['RouteTableId']}"


def _of_endpoint(route: Thing) -> bool:
    return "DestinationPrefixListId" in route and str(route.get("GatewayId", "")).startswith("vpce-")


def _dead(route: Thing) -> bool:
    return route.get("State") == "blackhole"


def _destination(route: Thing) -> str:
    fields = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    return next((str(route[field]) for field in fields if route.get(field)), "somewhere")


def _by(route: Thing) -> str:
    return next((str(value) for field, value in route.items() if field.endswith("Id") and "Destin" not in field), "?")


def _gateway(case: Case) -> Iterator[str]:
    gateways = case.found("internet gateways")
    if len(gateways) != 1:
        yield f"{len(gateways)} internet gateways are attached"
    mode = case.subnet.get("BlockPublicAccessStates", {}).get("InternetGatewayBlockMode", "off")
    if mode != "off":
        yield f"VPC Block Public Access stops it: {mode}"


def _other_ways(case: Case) -> Iterator[str]:
    for question, field in (
        ("nat gateways", "NatGatewayId"),
        ("peerings asked", "VpcPeeringConnectionId"),
        ("peerings taken", "VpcPeeringConnectionId"),
        ("vpn gateways", "VpnGatewayId"),
    ):
        for thing in case.found(question):
            if _state(thing) not in GONE:
                yield f"there is {thing[field]}"


def _state(thing: Thing) -> str:
    state = thing.get("State") or thing.get("Status", {})
    return str(state.get("Code") if isinstance(state, dict) else state)


def _acl(case: Case) -> Iterator[str]:
    """Who gets in is the security group's business; an ACL in its way breaks what the group lets in."""
    own = case.subnet["SubnetId"]
    acls = [acl for acl in case.found("network acls") if any(one["SubnetId"] == own for one in acl["Associations"])]
    if not acls:
        raise CannotTell("the subnet has no network ACL")
    for egress, way in ((False, "in"), (True, "out")):
        entries = sorted((one for one in acls[0]["Entries"] if one["Egress"] is egress), key=_number)
        first = next((one for one in entries if one.get("CidrBlock")), None)
        if not first or not _all_allowed(first):
            yield f"{acls[0]['NetworkAclId']} does not let everything {way} by its first entry"


def _number(entry: Thing) -> int:
    return int(entry["RuleNumber"])


def _all_allowed(entry: Thing) -> bool:
    return (entry["RuleAction"], entry["Protocol"], entry["CidrBlock"]) == ("allow", EVERYTHING, WORLD)


def _endpoints(case: Case) -> list[Thing]:
    return [one for one in case.found("endpoints") if str(one.get("State", "")).lower() not in GONE]


def _s3_endpoint(case: Case) -> Thing:
    service = f"com.amazonaws.{case.account.region}.s3"
    for endpoint in _endpoints(case):
        if endpoint["ServiceName"] == service and endpoint["VpcEndpointType"] == "Gateway":
            return endpoint
    raise CannotTell("the VPC has no gateway endpoint for S3")


def _endpoint(case: Case) -> Iterator[str]:
    try:
        endpoint = _s3_endpoint(case)
    except CannotTell as reason:
        case.found("endpoints")
        yield str(reason)
        return
    if _table(case)["RouteTableId"] not in endpoint.get("RouteTableIds", ()):
        yield f"the subnet's routes do not lead to {endpoint['VpcEndpointId']}"
    if str(endpoint.get("State", "")).lower() != "available":
        yield f"{endpoint['VpcEndpointId']} is {endpoint.get('State')}"


def _endpoint_policy(case: Case) -> Iterator[str]:
    said: Any = _s3_endpoint(case).get("PolicyDocument")
    yield from differences(said, case.expected.says("S3Endpoint", "PolicyDocument"))


def _other_endpoints(case: Case) -> Iterator[str]:
    known = [one["VpcEndpointId"] for one in _endpoints(case) if one["VpcEndpointType"] == "Gateway"]
    for endpoint in _endpoints(case):
        if endpoint["VpcEndpointId"] not in known[:1]:
            yield f"there is {endpoint['VpcEndpointId']} for {endpoint['ServiceName']}"


def _alone(case: Case) -> Iterator[str]:
    own = case.instance["InstanceId"]
    for interface in case.found("interfaces"):
        attached = interface.get("Attachment", {}).get("InstanceId")
        if attached != own:
            whose = attached or interface.get("Description") or "nobody"
            yield f"there is {interface['NetworkInterfaceId']} of {whose}"


RULES = (
    Rule("network.vpc", "one VPC with the network of [stack] network, and no IPv6", REPAIR, _vpc),
    Rule(
        "network.dns",
        "the VPC resolves names and gives them",
        "aws ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-support; the same with --enable-dns-hostnames",
        _dns,
    ),
    Rule("network.subnet", "one subnet, as large as the VPC, without IPv6", REPAIR, _subnet),
    Rule(
        "network.no-public-by-default",
        "a machine gets a public address only where it is asked for",
        "aws ec2 modify-subnet-attribute --subnet-id {subnet} --no-map-public-ip-on-launch",
        _no_public_addresses,
    ),
    Rule(
        "network.gateway",
        "one internet gateway",
        "aws ec2 attach-internet-gateway or detach-internet-gateway",
        _gateway,
    ),
    Rule(
        "network.routes",
        "the subnet's routes lead within the VPC, to S3's endpoint and by the internet gateway, and nowhere else",
        "aws ec2 create-route, delete-route or associate-route-table, as seen above",
        _routes,
    ),
    Rule("network.no-other-ways", "no NAT, peering or VPN leads in or out", "delete what is seen above", _other_ways),
    Rule(
        "network.acl",
        "the network ACL leaves the judging to the security group",
        "aws ec2 replace-network-acl-entry with rule 100, protocol -1, 0.0.0.0/0, allow, both ways",
        _acl,
    ),
    Rule(
        "network.s3-endpoint",
        "the host reaches S3 by an endpoint of the VPC",
        "aws ec2 modify-vpc-endpoint --add-route-table-ids, or create-vpc-endpoint --vpc-endpoint-type Gateway",
        _endpoint,
    ),
    Rule(
        "network.s3-endpoint-policy",
        "by the endpoint only our bucket and AWS's own packages are reached",
        "aws ec2 modify-vpc-endpoint --policy-document, with what `fab render` writes for S3Endpoint",
        _endpoint_policy,
    ),
    Rule("network.no-other-endpoints", "no other endpoints", "aws ec2 delete-vpc-endpoints", _other_endpoints),
    Rule("network.alone", "nobody but the host is in the VPC", "move what is seen above to a VPC of its own", _alone),
)
