"""What is asked before anything is made: who and where we are, what is there, whether the settings can work."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from etl.errors import StackError
from ops.settings import Settings, StackSettings
from ops.stack import limits
from ops.stack.answers import Refused
from ops.stack.desk import Clients
from ops.stack.driver import pages
from ops.stack.inputs import Inputs
from ops.stack.names import GITHUB_HOST

BUCKET, PROVIDER = "Bucket", "OidcProvider"  # logical ids
BROADEST = {4: 8, 6: 16}  # a shorter prefix is no network that somebody knows
FEW = 1024  # addresses from which a wide network begins

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
INNER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
Bucket = Literal["free", "ours", "another's"]


@dataclass(frozen=True, slots=True)
class Who:
    """Whom AWS takes us for, and where."""

    account: str
    arn: str
    region: str

    @property
    def partition(self) -> str:
        """aws, aws-cn or aws-us-gov."""
        return self.arn.split(":")[1]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the account tells. `zones`: those of the region that offer the instance type, by name.

    `bucket_region` is "" where it is not told; `provider` is an ARN, "" for none. `adopt`: the bucket is ours, and not
    yet the stack's. `key_pair` is False where the one that is set is not there.
    """

    who: Who
    zones: tuple[str, ...]
    bucket: Bucket
    bucket_region: str
    provider: str
    adopt: bool = False
    key_pair: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    """`problems` stop it; `notes` are only told."""

    problems: tuple[StackError, ...]
    notes: tuple[str, ...]


# --- gathering -------------------------------------------------------------------------------------------------------


def who(clients: Clients) -> Who:
    """Raises StackError, also where there are no credentials or no region."""
    said = clients.sts.get_caller_identity()
    return Who(said["Account"], said["Arn"], clients.region)


def gather(clients: Clients, who: Who, settings: Settings, own: frozenset[str]) -> Facts:
    """What must be known of the account; `own`: the logical ids that the stack has already. Raises StackError."""
    bucket: Bucket = "ours"
    region = who.region
    if BUCKET not in own:
        bucket, region = _bucket(clients, settings.s3.bucket, who.account)
    return Facts(
        who=who,
        zones=_zones(clients, settings.stack.instance_type),
        bucket=bucket,
        bucket_region=region,
        # the stack's own provider must stay in the template, else the next change set would remove it
        provider="" if PROVIDER in own or not settings.stack.github.repository else _provider(clients),
        adopt=bucket == "ours" and BUCKET not in own,
        key_pair=_key_pair(clients, settings.stack.key_pair),
    )


def _zones(clients: Clients, instance_type: str) -> tuple[str, ...]:
    """Not those of a city, like us-east-1-bos-1a, in which hardly anything else is offered."""
    told = pages(
        clients.ec2.describe_instance_type_offerings,
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": [instance_type]}],
    )
    usual = re.compile(rf"{re.escape(clients.region)}[a-z]")
    return tuple(sorted(said["Location"] for said in told if usual.fullmatch(said["Location"])))


def _bucket(clients: Clients, name: str, account: str) -> tuple[Bucket, str]:
    try:
        said = clients.s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except Refused as refused:
        region = refused.headers.get("x-amz-bucket-region", "")
        found: dict[int, tuple[Bucket, str]] = {404: ("free", ""), 403: ("another's", region), 301: ("ours", region)}
        if refused.status in found:
            return found[refused.status]
        raise
    return "ours", said.get("BucketRegion", "")


def _provider(clients: Clients) -> str:
    listed = clients.iam.list_open_id_connect_providers().get("OpenIDConnectProviderList", ())
    return next((said["Arn"] for said in listed if said["Arn"].endswith(f":oidc-provider/{GITHUB_HOST}")), "")


def _key_pair(clients: Clients, name: str) -> bool:
    if not name:
        return True
    try:
        return bool(clients.ec2.describe_key_pairs(KeyNames=[name]).get("KeyPairs"))
    except Refused as refused:
        if refused.code == "InvalidKeyPair.NotFound":
            return False
        raise


def ami(clients: Clients, parameter: str) -> str:
    """The id of the image that a public parameter names now. Raises StackError."""
    try:
        said = clients.ssm.get_parameter(Name=parameter)
    except Refused as refused:
        if refused.code != "ParameterNotFound":
            raise
        raise StackError(
            f"there is no parameter {parameter} in {clients.region}",
            expected="a public parameter that names an image",
            to_do="correct [stack] ami_parameter",
        ) from refused
    return str(said["Parameter"]["Value"])


def inputs(facts: Facts, settings: Settings, image: str, zone: str) -> Inputs:
    """What the template is made with."""
    who = facts.who
    return Inputs(settings, who.account, who.region, image, facts.provider, who.partition, zone)


# --- judging ---------------------------------------------------------------------------------------------------------


def wrong_account(who: Who, expected: str) -> StackError | None:
    """What stops everything else: another account than the one that is set."""
    if expected in ("", who.account):
        return None
    return StackError(
        f"this is account {who.account}, as {who.arn}",
        expected=f"account {expected}, as [stack] expected_account_id says",
        to_do="take that account's profile (AWS_PROFILE), or correct the setting",
    )


def judge(facts: Facts, settings: Settings, address: str = "") -> Judged:
    """What stops it, and what is only told. `address`: our own, "" where nobody knows it."""
    stack = settings.stack
    problems = (
        wrong_account(facts.who, stack.expected_account_id),
        *map(_not_taken, limits.refused(settings)),
        _not_offered(facts, stack.instance_type),
        _bucket_problem(facts, settings.s3.bucket),
        _no_key_pair(facts, stack.key_pair),
        *_network_problems(stack, address),
        _no_way_in(stack, address),
    )
    return Judged(tuple(problem for problem in problems if problem), tuple(_notes(facts, settings, address)))


def no_door_is_set(stack: StackSettings) -> bool:
    """Whether our own address would be good to know."""
    return not stack.admin_networks or not (stack.viewer_networks or stack.open_to_the_world)


def _not_taken(problem: str) -> StackError:
    return StackError(problem, expected="what AWS takes", to_do="mend it in settings.toml")


def _not_offered(facts: Facts, instance_type: str) -> StackError | None:
    if facts.zones:
        return None
    return StackError(
        f"{instance_type} is not offered in {facts.who.region}",
        expected="a type that this region has",
        to_do='set [stack] instance_type, as to "t3.micro", or another region',
    )


def _bucket_problem(facts: Facts, name: str) -> StackError | None:
    if facts.bucket == "another's":
        return StackError(
            f"the bucket {name} belongs to another account, or may not be seen from here",
            expected="a name that is free all over the world, or a bucket of this account",
            to_do=f'set [s3] bucket, as to "{_suffixed(name, facts.who.account)}"',
        )
    if facts.bucket == "ours" and facts.bucket_region not in ("", facts.who.region):
        return StackError(
            f"the bucket {name} is in {facts.bucket_region}",
            expected=f"it in the stack's region, {facts.who.region}",
            to_do=f"set AWS_DEFAULT_REGION={facts.bucket_region}, or another [s3] bucket",
        )
    return None


def _suffixed(name: str, account: str) -> str:
    return f"{name[:50]}-{account}"


def _no_key_pair(facts: Facts, name: str) -> StackError | None:
    if facts.key_pair:
        return None
    return StackError(
        f"there is no key pair {name} in {facts.who.region}",
        expected="the one that [stack] key_pair names",
        to_do=f"`aws ec2 import-key-pair --key-name {name} ...`, or correct the setting",
    )


def _network_problems(stack: StackSettings, address: str) -> Iterator[StackError]:
    for setting, networks in (("admin_networks", stack.admin_networks), ("viewer_networks", stack.viewer_networks)):
        for network in sorted({one for one in networks if networks.count(one) > 1}):
            yield _insane(setting, f"{network} stands there twice", "each once", address)
        for network in sorted(set(networks)):
            if wrong := _wrong_with(ipaddress.ip_network(network)):
                yield _insane(setting, f"{network} {wrong}", "networks of people you know, as AWS sees them", address)


def _wrong_with(network: Network) -> str:
    if network.prefixlen < BROADEST[network.version]:
        return "is a good part of the internet"
    inner = any(network.version == one.version and network.subnet_of(one) for one in INNER)  # type: ignore[arg-type] # of one version
    return "is of some inner network, from which nobody comes over the internet" if inner else ""


def _insane(setting: str, seen: str, expected: str, address: str) -> StackError:
    return StackError(f"[stack] {setting}: {seen}", expected=expected, to_do=f"set it to {_offer(address)}")


def _offer(address: str) -> str:
    """The network of our own address, as a setting has it."""
    try:
        own = ipaddress.ip_address(address.strip())
    except ValueError:
        return "your own address as AWS sees it, like 203.0.113.7/32"
    return f'["{own}/{own.max_prefixlen}"], the address you come from'


def _no_way_in(stack: StackSettings, address: str) -> StackError | None:
    if stack.ssm or stack.admin_networks:
        return None
    return StackError(
        "[stack] ssm is false and admin_networks is empty: nobody could log in, and the host could not be set up",
        expected="one way in",
        to_do=f"set admin_networks to {_offer(address)}; or set ssm = true",
    )


def _notes(facts: Facts, settings: Settings, address: str) -> Iterator[str]:
    stack = settings.stack
    if facts.adopt:
        yield f"the bucket {settings.s3.bucket} is there already: the stack takes it over with what is in it"
    if facts.provider:
        yield f"GitHub's OIDC provider is there already and is used: {facts.provider}"
    if stack.ssm and not stack.admin_networks:
        yield f"port 22 stays shut, Session Manager is the way in; for SSH set admin_networks to {_offer(address)}"
    if stack.open_to_the_world:
        yield "the dashboard will be open to the world"
    elif not stack.viewer_networks:
        yield f"nobody will see the dashboard: set [stack] viewer_networks, as to {_offer(address)}"
    if not settings.host.agent.install:
        yield (
            "[host.agent] install is false: the alarms on memory, disk and the missing self-check ring for ever, "
            "for nothing tells of them"
        )
    yield from _wide(stack)


def _wide(stack: StackSettings) -> Iterator[str]:
    for setting, networks in (("admin_networks", stack.admin_networks), ("viewer_networks", stack.viewer_networks)):
        for network in map(ipaddress.ip_network, networks):
            if network.version == 4 and network.num_addresses >= FEW:  # noqa: PLR2004 - of IP
                yield f"[stack] {setting}: {network} is {network.num_addresses} addresses"
            if network.version == 6:  # noqa: PLR2004 - of IP
                yield f"[stack] {setting}: {network} has no effect: the stack's network has IPv4 alone"
