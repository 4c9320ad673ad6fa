"""The host: the one instance, as it was made, with its disk, addresses and metadata. Pure."""

import base64
import binascii
import gzip
from collections.abc import Iterator
from typing import Any

from ops.posture.account import CannotTell
from ops.posture.case import Case, Thing
from ops.posture.rules import Rule

METADATA = (
    "aws ec2 modify-instance-metadata-options --instance-id {instance} --http-endpoint enabled --http-tokens required "
    "--http-put-response-hop-limit 1 --instance-metadata-tags disabled --http-protocol-ipv6 disabled"
)
ANEW = "`fab provision --allow-replace` after a change of the settings makes it anew; or mend it as seen above"
SHOWN_LETTERS = 60
WHOM = ("UserId", "Group", "OrganizationArn", "OrganizationalUnitArn")  # a copy may be shared with
SECRETS = ("AKIA", "ASIA", "BEGIN RSA PRIVATE", "BEGIN OPENSSH PRIVATE", "BEGIN PRIVATE", "aws_secret", "password=")


def _one(case: Case) -> Iterator[str]:
    instances = case.found("instances")
    if len(instances) != 1:
        yield f"there are {len(instances)}: {', '.join(one['InstanceId'] for one in instances) or 'none'}"


def _runs(case: Case) -> Iterator[str]:
    if (state := case.instance["State"]["Name"]) != "running":
        yield f"it is {state}"


def _type(case: Case) -> Iterator[str]:
    if (found := case.instance["InstanceType"]) != case.settings.stack.instance_type:
        yield f"it is a {found}"


def _outputs(case: Case) -> dict[str, str]:
    stack = case.of("stack") or {}
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs") or ()}


def _the_stacks(case: Case) -> Iterator[str]:
    told = _outputs(case)
    for output, field in (("InstanceId", "InstanceId"), ("AmiId", "ImageId")):
        if output in told and told[output] != case.instance[field]:
            yield f"{field} is {case.instance[field]}, the stack made {told[output]}"


def _metadata(field: str, wanted: Any, otherwise: Any = None) -> Any:
    def judge(case: Case) -> Iterator[str]:
        found = case.instance.get("MetadataOptions", {}).get(field, otherwise)
        if found != wanted:
            yield f"{field} is {found}"

    return judge


def _profile(case: Case) -> Iterator[str]:
    found = case.instance.get("IamInstanceProfile", {}).get("Arn", "")
    wanted = f"arn:{case.account.partition}:iam::{case.account.account}:instance-profile/{case.settings.stack.role}"
    if found != wanted:
        yield f"its profile is {found or 'none'}"


def _interfaces(case: Case) -> list[Thing]:
    found = list(case.instance.get("NetworkInterfaces") or ())
    if not found:
        raise CannotTell(f"{case.instance['InstanceId']} has no network interface")
    return found


def _groups(case: Case) -> Iterator[str]:
    own = case.group["GroupId"]
    for interface in _interfaces(case):
        found = [group["GroupId"] for group in interface["Groups"]]
        if found != [own]:
            yield f"{interface['NetworkInterfaceId']} is in {', '.join(found) or 'no group'}"


def _one_interface(case: Case) -> Iterator[str]:
    interfaces = _interfaces(case)
    if len(interfaces) != 1:
        yield f"it has {len(interfaces)} network interfaces"
    for interface in interfaces:
        if interface.get("SubnetId") != case.subnet["SubnetId"]:
            yield f"{interface['NetworkInterfaceId']} is in {interface.get('SubnetId')}"
        if interface.get("SourceDestCheck") is False:
            yield f"{interface['NetworkInterfaceId']} passes on what is for others"
        if interface.get("Ipv6Addresses"):
            yield f"{interface['NetworkInterfaceId']} has an IPv6 address"


def _address(case: Case) -> Iterator[str]:
    addresses = case.found("addresses")
    if case.settings.stack.elastic_ip and len(addresses) != 1:
        yield f"it has {len(addresses)} Elastic IPs"
    if not case.settings.stack.elastic_ip and addresses:
        yield f"it has the Elastic IP {addresses[0].get('PublicIp')}, and [stack] elastic_ip is off"
    made = _outputs(case).get("PublicAddress")
    if case.settings.stack.elastic_ip and made and made not in [one.get("PublicIp") for one in addresses]:
        yield f"{made}, which the stack made, does not lead to it"
    if not addresses and not case.instance.get("PublicIpAddress") and case.instance["State"]["Name"] == "running":
        yield "it has no public address"


def _volumes(case: Case) -> list[Thing]:
    found = case.found("volumes")
    if not found:
        raise CannotTell(f"{case.instance['InstanceId']} has no disk")
    return list(found)


def _encrypted(case: Case) -> Iterator[str]:
    yield from (f"{volume['VolumeId']} is not encrypted" for volume in _volumes(case) if not volume["Encrypted"])


def _disk(case: Case) -> Iterator[str]:
    """A disk may have grown by hand: more than the settings say is no harm."""
    for volume in _volumes(case)[:1]:
        if volume["VolumeType"] != "gp3":
            yield f"{volume['VolumeId']} is {volume['VolumeType']}"
        if volume["Size"] < case.settings.stack.disk_gb:
            yield f"{volume['VolumeId']} has {volume['Size']} GiB"


def _one_disk(case: Case) -> Iterator[str]:
    if len(volumes := _volumes(case)) > 1:
        yield f"it has {len(volumes)} disks: {', '.join(volume['VolumeId'] for volume in volumes)}"


def _disk_goes(case: Case) -> Iterator[str]:
    for device in case.instance.get("BlockDeviceMappings") or ():
        if not device.get("Ebs", {}).get("DeleteOnTermination"):
            yield f"{device.get('Ebs', {}).get('VolumeId')} stays when the host goes"


def _copies(case: Case) -> Iterator[str]:
    _volumes(case)
    copies = case.found("copies")
    for copy in [*copies, *(case.found("images") if copies else ())]:
        for shared in copy["SharedWith"]:
            called = copy.get("SnapshotId") or copy.get("ImageId")
            yield f"{called}, a copy of its disk, is shared with {_whom(shared)}"


def _whom(shared: Thing) -> str:
    named = next((str(shared[field]) for field in WHOM if shared.get(field)), "somebody")
    return "everybody" if named == "all" else named


def _credits(case: Case) -> Iterator[str]:
    for said in case.of("credits") or ():
        if said["CpuCredits"] != "standard":
            yield f"its CPU credits are {said['CpuCredits']}"


def _user_data(case: Case) -> str:
    said = case.of("user data") or ""
    try:
        packed = base64.b64decode(said)
        return (gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed).decode()
    except (binascii.Error, UnicodeDecodeError, OSError, EOFError):
        return str(said)


def _first_boot(case: Case) -> Iterator[str]:
    found, wanted = _user_data(case).strip(), case.expected.says("Instance", "UserData").strip()
    if found == wanted:
        return
    strays = [line for line in found.splitlines() if line not in wanted.splitlines()]
    lacking = [line for line in wanted.splitlines() if line not in found.splitlines()]
    yield from (f"it also says {line.strip()[:SHOWN_LETTERS]}" for line in strays[:3])
    yield from (f"it does not say {line.strip()[:SHOWN_LETTERS]}" for line in lacking[:3])
    if not strays and not lacking:
        yield "it says the same in another order"


def _no_secret(case: Case) -> Iterator[str]:
    text = _user_data(case).lower()
    yield from (f"it has {word}..." for word in SECRETS if word.lower() in text)


def _recovers(case: Case) -> Iterator[str]:
    if (found := case.instance.get("MaintenanceOptions", {}).get("AutoRecovery", "default")) != "default":
        yield f"AutoRecovery is {found}"


def _shutdown(case: Case) -> Iterator[str]:
    if (found := case.of("shutdown")) not in (None, "stop"):
        yield f"a shutdown from inside is its end: {found}"


def _key(case: Case) -> Iterator[str]:
    if (found := case.instance.get("KeyName") or "") != case.settings.stack.key_pair:
        yield f"its key pair is {found or 'none'}"


RULES = (
    Rule("host.one", "one instance is in the VPC", "`fab provision --plan`, or terminate the other", _one),
    Rule("host.runs", "it runs", "aws ec2 start-instances --instance-ids {instance}", _runs),
    Rule("host.type", "it is of [stack] instance_type", ANEW, _type),
    Rule("host.is-the-stacks", "it is the one that the stack made, of the image that was pinned", ANEW, _the_stacks),
    Rule(
        "host.metadata-tokens", "its metadata are told for a token only", METADATA, _metadata("HttpTokens", "required")
    ),
    Rule(
        "host.metadata-hops",
        "its metadata do not leave it",
        METADATA,
        _metadata("HttpPutResponseHopLimit", 1, 1),
    ),
    Rule(
        "host.metadata-there",
        "its metadata are told: the role's credentials come from there",
        METADATA,
        _metadata("HttpEndpoint", "enabled"),
    ),
    Rule(
        "host.metadata-tags",
        "its metadata do not tell its tags",
        METADATA,
        _metadata("InstanceMetadataTags", "disabled", "disabled"),
    ),
    Rule(
        "host.metadata-ipv6",
        "its metadata are not told by IPv6",
        METADATA,
        _metadata("HttpProtocolIpv6", "disabled", "disabled"),
    ),
    Rule(
        "host.profile",
        "it has the profile of the host's role",
        "aws ec2 associate-iam-instance-profile --instance-id {instance} --iam-instance-profile Name={role}",
        _profile,
    ),
    Rule(
        "host.group",
        "it is in the stack's security group, and in no other",
        "aws ec2 modify-instance-attribute --instance-id {instance} --groups {group}",
        _groups,
    ),
    Rule(
        "host.interface",
        "it has one interface, in the subnet, for itself only",
        "detach the other interface",
        _one_interface,
    ),
    Rule(
        "host.address",
        "it has the one public address that the settings give it",
        "aws ec2 associate-address or disassociate-address --instance-id {instance}",
        _address,
    ),
    Rule("host.disk-encrypted", "its disk is encrypted", ANEW, _encrypted),
    Rule("host.disk", "its disk is gp3 and as large as [stack] disk_gb at least", "aws ec2 modify-volume", _disk),
    Rule("host.one-disk", "it has no other disk", "aws ec2 detach-volume", _one_disk),
    Rule(
        "host.disk-goes-with-it",
        "its disk goes when it goes",
        "aws ec2 modify-instance-attribute --instance-id {instance} "
        "--block-device-mappings 'DeviceName=/dev/sda1,Ebs={{DeleteOnTermination=true}}'",
        _disk_goes,
    ),
    Rule(
        "host.no-shared-copies",
        "no copy of its disk is shared",
        "aws ec2 reset-snapshot-attribute --attribute createVolumePermission --snapshot-id SNAPSHOT; of an image, "
        "aws ec2 reset-image-attribute --attribute launchPermission --image-id IMAGE",
        _copies,
    ),
    Rule(
        "host.credits",
        "used-up CPU credits make it slower, never dearer",
        "aws ec2 modify-instance-credit-specification "
        "--instance-credit-specifications InstanceId={instance},CpuCredits=standard",
        _credits,
    ),
    Rule("host.first-boot", "its first boot did what the settings say", ANEW, _first_boot),
    Rule("host.no-secret", "no secret is in its user data", ANEW, _no_secret),
    Rule(
        "host.recovers",
        "EC2 moves it when the machine below it breaks",
        "aws ec2 modify-instance-maintenance-options --instance-id {instance} --auto-recovery default",
        _recovers,
    ),
    Rule(
        "host.outlives-a-shutdown",
        "a shutdown from inside stops it and no more",
        "aws ec2 modify-instance-attribute --instance-id {instance} --instance-initiated-shutdown-behavior stop",
        _shutdown,
    ),
    Rule("host.key-pair", "its key pair is that of [stack] key_pair", ANEW, _key),
)
