"""Reading a live account: every question that the rules need, asked with plain clients; nothing is changed.

What AWS does not let us see is noted, and the rest is read all the same. No state is needed: things are found by the
names and tags that the settings give them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ops import monitoring
from ops.posture.account import Account
from ops.settings import Settings
from ops.stack import names
from ops.stack.answers import Refused
from ops.stack.desk import Clients
from ops.stack.driver import pages
from ops.stack.preflight import Who
from ops.stack.template import alarms, bursts

Listed = list[Mapping[str, Any]]
GONE = ("shutting-down", "terminated")
NO_STACK = "ValidationError"
NO_ROLE = "NoSuchEntity"
DEFAULT = "default"  # of a VPC without DHCP options of its own

# What lies in a VPC: question -> operation, field of its answer, filter that the id of the VPC goes into.
OF_VPC = {
    "subnets": ("describe_subnets", "Subnets", "vpc-id"),
    "route tables": ("describe_route_tables", "RouteTables", "vpc-id"),
    "internet gateways": ("describe_internet_gateways", "InternetGateways", "attachment.vpc-id"),
    "endpoints": ("describe_vpc_endpoints", "VpcEndpoints", "vpc-id"),
    "network acls": ("describe_network_acls", "NetworkAcls", "vpc-id"),
    "interfaces": ("describe_network_interfaces", "NetworkInterfaces", "vpc-id"),
    "nat gateways": ("describe_nat_gateways", "NatGateways", "vpc-id"),
    "peerings asked": ("describe_vpc_peering_connections", "VpcPeeringConnections", "requester-vpc-info.vpc-id"),
    "peerings taken": ("describe_vpc_peering_connections", "VpcPeeringConnections", "accepter-vpc-info.vpc-id"),
    "vpn gateways": ("describe_vpn_gateways", "VpnGateways", "attachment.vpc-id"),
}
# Of the bucket: question -> operation, and by which codes AWS says that there is none.
OF_BUCKET = {
    "bucket location": ("get_bucket_location", ()),
    "bucket public access": ("get_public_access_block", ("NoSuchPublicAccessBlockConfiguration",)),
    "bucket ownership": ("get_bucket_ownership_controls", ("OwnershipControlsNotFoundError",)),
    "bucket acl": ("get_bucket_acl", ()),
    "bucket encryption": ("get_bucket_encryption", ("ServerSideEncryptionConfigurationNotFoundError",)),
    "bucket versioning": ("get_bucket_versioning", ()),
    "bucket lifecycle": ("get_bucket_lifecycle_configuration", ("NoSuchLifecycleConfiguration",)),
    "bucket policy": ("get_bucket_policy", ("NoSuchBucketPolicy",)),
    "bucket tags": ("get_bucket_tagging", ("NoSuchTagSet",)),
    "bucket website": ("get_bucket_website", ("NoSuchWebsiteConfiguration",)),
    "bucket cors": ("get_bucket_cors", ("NoSuchCORSConfiguration",)),
    "bucket replication": ("get_bucket_replication", ("ReplicationConfigurationNotFoundError",)),
    "bucket events": ("get_bucket_notification_configuration", ()),
    "bucket lock": ("get_object_lock_configuration", ("ObjectLockConfigurationNotFoundError",)),
}


class _Notes:
    """Answers and refusals, as they come."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.refusals: dict[str, str] = {}

    def ask(self, question: str, answer: Callable[[], Any], *absent: str) -> Any:
        """Note an answer and give it; None where AWS says by one of the codes `absent` that there is none.

        Where it refuses, that is noted and None given. Raises Unanswered where nobody answers.
        """
        try:
            self.answers[question] = answer()
        except Refused as refused:
            if refused.code in absent:
                self.answers[question] = None
            else:
                self.refusals[question] = f"{question}: {refused.seen}"
        return self.answers.get(question)


def gather(clients: Clients, settings: Settings, who: Who) -> Account:
    """Read all that the rules need. Raises Unanswered where nobody answers."""
    notes = _Notes()
    _stack(notes, clients.cloudformation, settings.stack.name)
    _network(notes, clients.ec2, settings)
    _host(notes, clients.ec2)
    _bucket(notes, clients.s3, settings.s3.bucket, who.account)
    _roles(notes, clients.iam, settings, who)
    _logs(notes, clients.logs, who)
    _alarms(notes, clients, settings, who)
    notes.ask("tagged", lambda: _tagged(clients.tagging, settings))
    notes.ask("ended", lambda: _ended(clients.ec2, settings))
    return Account(who.account, who.region, who.partition, notes.answers, notes.refusals)


def _stack(notes: _Notes, cloudformation: Any, name: str) -> None:
    notes.ask("stack", lambda: cloudformation.describe_stacks(StackName=name)["Stacks"][0], NO_STACK)
    notes.ask("stack policy", lambda: cloudformation.get_stack_policy(StackName=name).get("StackPolicyBody"), NO_STACK)


# --- network ---------------------------------------------------------------------------------------------------------


def _network(notes: _Notes, ec2: Any, settings: Settings) -> None:
    """A VPC that has lost its tags is found by the security group in it."""
    tagged = _where({f"tag:{key}": value for key, value in names.tags(settings).items()})
    vpcs = notes.ask("vpcs", lambda: _all(ec2.describe_vpcs, "Vpcs", Filters=tagged)) or ()
    called = _where({"group-name": settings.stack.security_group})
    groups = notes.ask("groups", lambda: _all(ec2.describe_security_groups, "SecurityGroups", Filters=called)) or ()
    own = sorted({vpc["VpcId"] for vpc in vpcs} or {group["VpcId"] for group in groups})
    if own and not vpcs:
        notes.ask("vpcs", lambda: _all(ec2.describe_vpcs, "Vpcs", Filters=[{"Name": "vpc-id", "Values": own}]))
    if len(own) == 1:
        _of_vpc(notes, ec2, own[0])
    for group in groups:
        _rules(notes, ec2, group["GroupId"])


def _of_vpc(notes: _Notes, ec2: Any, vpc: str) -> None:
    notes.ask("dns", lambda: _attribute(ec2.describe_vpc_attribute, "EnableDnsSupport", VpcId=vpc))
    notes.ask("dns names", lambda: _attribute(ec2.describe_vpc_attribute, "EnableDnsHostnames", VpcId=vpc))
    for question, asked in OF_VPC.items():
        _of_kind(notes, ec2, vpc, question, asked)
    notes.ask("instances", lambda: _instances(ec2, vpc))
    _name_servers(notes, ec2)


def _name_servers(notes: _Notes, ec2: Any) -> None:
    options = [vpc.get("DhcpOptionsId", DEFAULT) for vpc in notes.answers.get("vpcs") or ()]
    if len(options) == 1 and options[0] != DEFAULT:
        notes.ask("dhcp options", lambda: ec2.describe_dhcp_options(DhcpOptionsIds=options)["DhcpOptions"][0])


def _of_kind(notes: _Notes, ec2: Any, vpc: str, question: str, asked: tuple[str, str, str]) -> None:
    operation, field, by = asked
    notes.ask(question, lambda: _all(getattr(ec2, operation), field, Filters=_where({by: vpc})))


def _instances(ec2: Any, vpc: str) -> Listed:
    reservations = _all(ec2.describe_instances, "Reservations", Filters=_where({"vpc-id": vpc}))
    every = [instance for reservation in reservations for instance in reservation["Instances"]]
    return [instance for instance in every if instance["State"]["Name"] not in GONE]


def _ended(ec2: Any, settings: Settings) -> Listed:
    """Instances that were ours: AWS tells of them, and of their tags, for an hour or so."""
    ours = {f"tag:{key}": value for key, value in names.tags(settings).items()}
    ended = [*_where(ours), {"Name": "instance-state-name", "Values": list(GONE)}]
    reservations = _all(ec2.describe_instances, "Reservations", Filters=ended)
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def _rules(notes: _Notes, ec2: Any, group: str) -> None:
    of_it = _where({"group-id": group})
    notes.ask(f"rules of {group}", lambda: _all(ec2.describe_security_group_rules, "SecurityGroupRules", Filters=of_it))


def _all(call: Any, field: str, **fields: Any) -> Listed:
    return list(pages(call, field, **fields))


def _where(filters: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": [value]} for name, value in filters.items()]


def _attribute(call: Any, field: str, **of: str) -> Any:
    """One attribute of a thing: asked for as enableDnsSupport, answered as EnableDnsSupport."""
    return call(**of, Attribute=field[0].lower() + field[1:]).get(field, {}).get("Value")


# --- the host --------------------------------------------------------------------------------------------------------


def _host(notes: _Notes, ec2: Any) -> None:
    instances = notes.answers.get("instances") or []
    if len(instances) != 1:
        return
    own = instances[0]["InstanceId"]
    notes.ask("user data", lambda: _attribute(ec2.describe_instance_attribute, "UserData", InstanceId=own))
    shutdown = "InstanceInitiatedShutdownBehavior"
    notes.ask("shutdown", lambda: _attribute(ec2.describe_instance_attribute, shutdown, InstanceId=own))
    notes.ask("credits", lambda: _credits(ec2, instances[0]))
    notes.ask("addresses", lambda: ec2.describe_addresses(Filters=_where({"instance-id": own}))["Addresses"])
    attached = _where({"attachment.instance-id": own})
    volumes = notes.ask("volumes", lambda: _all(ec2.describe_volumes, "Volumes", Filters=attached)) or ()
    if volumes:
        copies = notes.ask("copies", lambda: _copies(ec2, [volume["VolumeId"] for volume in volumes]))
        if copies:
            notes.ask("images", lambda: _images(ec2, {copy["SnapshotId"] for copy in copies}))


def _credits(ec2: Any, instance: Mapping[str, Any]) -> Any:
    """None of a type that saves none: AWS refuses the question."""
    if not bursts(instance["InstanceType"]):
        return None
    asked = ec2.describe_instance_credit_specifications
    return asked(InstanceIds=[instance["InstanceId"]])["InstanceCreditSpecifications"]


def _copies(ec2: Any, volumes: list[str]) -> Listed:
    """Snapshots of the host's disks, each with whom it is shared with."""
    ours = {"Filters": [{"Name": "volume-id", "Values": volumes}], "OwnerIds": ["self"]}
    return [
        {
            "SnapshotId": snapshot["SnapshotId"],
            "SharedWith": ec2.describe_snapshot_attribute(
                SnapshotId=snapshot["SnapshotId"], Attribute="createVolumePermission"
            )["CreateVolumePermissions"],
        }
        for snapshot in _all(ec2.describe_snapshots, "Snapshots", **ours)
    ]


def _images(ec2: Any, copies: set[str]) -> Listed:
    """Images of ours that are made of such copies, each with whom it is shared with."""
    return [
        {
            "ImageId": image["ImageId"],
            "SharedWith": ec2.describe_image_attribute(ImageId=image["ImageId"], Attribute="launchPermission")[
                "LaunchPermissions"
            ],
        }
        for image in _all(ec2.describe_images, "Images", Owners=["self"])
        if copies & {device.get("Ebs", {}).get("SnapshotId") for device in image.get("BlockDeviceMappings", ())}
    ]


# --- the bucket ------------------------------------------------------------------------------------------------------


def _bucket(notes: _Notes, s3: Any, bucket: str, account: str) -> None:
    """All of it may be asked only of the owner that we are: else another's bucket would be taken for ours."""
    own = {"Bucket": bucket, "ExpectedBucketOwner": account}
    notes.ask("own buckets", lambda: _own_buckets(s3, bucket))
    for question, (operation, absent) in OF_BUCKET.items():
        _of_bucket(notes, getattr(s3, operation), question, own, absent)


def _own_buckets(s3: Any, bucket: str) -> list[str]:
    """Ours of that name: another's is refused in the same words as one that we may not see."""
    return [said["Name"] for said in s3.list_buckets(Prefix=bucket, MaxBuckets=1).get("Buckets", ())]


def _of_bucket(notes: _Notes, call: Any, question: str, own: Mapping[str, str], absent: tuple[str, ...]) -> None:
    notes.ask(question, lambda: call(**own), "NoSuchBucket", *absent)


# --- roles -----------------------------------------------------------------------------------------------------------


def _roles(notes: _Notes, iam: Any, settings: Settings, who: Who) -> None:
    host = settings.stack.role
    for role in (host, *(name for name, _ in names.workflow_roles(settings).values())):
        _role(notes, iam, role)
    notes.ask("profile", lambda: iam.get_instance_profile(InstanceProfileName=host)["InstanceProfile"], NO_ROLE)
    notes.ask("profiles of the role", lambda: _profiles(iam, host), NO_ROLE)
    if settings.stack.github.repository:
        provider = f"arn:{who.partition}:iam::{who.account}:oidc-provider/{names.GITHUB_HOST}"
        notes.ask("provider", lambda: iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider), NO_ROLE)


def _role(notes: _Notes, iam: Any, role: str) -> None:
    if notes.ask(f"role {role}", lambda: iam.get_role(RoleName=role)["Role"], NO_ROLE) is None:
        return
    notes.ask(f"inline policies of {role}", lambda: _inline(iam, role))
    attached = notes.ask(f"attached policies of {role}", lambda: _attached(iam, role)) or ()
    for policy in attached:
        _document(notes, iam, policy["PolicyArn"])


def _inline(iam: Any, role: str) -> Mapping[str, Any]:
    listed = [name for page in _marked(iam.list_role_policies, RoleName=role) for name in page["PolicyNames"]]
    return {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in listed}


def _attached(iam: Any, role: str) -> Listed:
    return [
        policy
        for page in _marked(iam.list_attached_role_policies, RoleName=role)
        for policy in page["AttachedPolicies"]
    ]


def _profiles(iam: Any, role: str) -> Listed:
    listed = _marked(iam.list_instance_profiles_for_role, RoleName=role)
    return [profile for page in listed for profile in page["InstanceProfiles"]]


def _marked(call: Any, **fields: Any) -> Listed:
    """Pages as IAM gives them."""
    given, pages_of = call(**fields), []
    while True:
        pages_of.append(given)
        if not given.get("IsTruncated"):
            return pages_of
        given = call(**fields, Marker=given["Marker"])


def _document(notes: _Notes, iam: Any, arn: str) -> None:
    def read() -> Any:
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]

    notes.ask(f"policy {arn}", read)


# --- what is seen of it ----------------------------------------------------------------------------------------------


def _logs(notes: _Notes, logs: Any, who: Who) -> None:
    for group in monitoring.LOG_GROUPS:
        _log_group(notes, logs, group, f"arn:{who.partition}:logs:{who.region}:{who.account}:log-group:{group}")
    for made in monitoring.METRIC_FILTERS:
        _filters_to(notes, logs, made.metric)


def _filters_to(notes: _Notes, logs: Any, metric: str) -> None:
    """Those of all log groups of the account."""
    of = {"metricName": metric, "metricNamespace": monitoring.NAMESPACE}
    notes.ask(f"filters to {metric}", lambda: _small(logs.describe_metric_filters, "metricFilters", **of))


def _log_group(notes: _Notes, logs: Any, group: str, arn: str) -> None:
    def named() -> Any:
        told = _small(logs.describe_log_groups, "logGroups", logGroupNamePrefix=group)
        return next((one for one in told if one["logGroupName"] == group), None)

    if notes.ask(f"log group {group}", named) is None:
        return
    notes.ask(f"filters of {group}", lambda: _small(logs.describe_metric_filters, "metricFilters", logGroupName=group))
    notes.ask(
        f"subscriptions of {group}",
        lambda: _small(logs.describe_subscription_filters, "subscriptionFilters", logGroupName=group),
    )
    notes.ask(f"tags of {group}", lambda: logs.list_tags_for_resource(resourceArn=arn).get("tags", {}))


def _small(call: Any, field: str, **fields: Any) -> Listed:
    """Pages as Logs gives them, whose fields begin with a small letter."""
    found: Listed = []
    token = ""
    while True:
        page = call(**fields, **({"nextToken": token} if token else {}))
        found.extend(page.get(field) or ())
        token = page.get("nextToken") or ""
        if not token:
            return found


def _alarms(notes: _Notes, clients: Clients, settings: Settings, who: Who) -> None:
    wanted = [names.alarm(settings, made) for made in alarms(settings)]
    told = notes.ask("alarms", lambda: _all(clients.cloudwatch.describe_alarms, "MetricAlarms", AlarmNames=wanted))
    on_hosts = f"arn:{who.partition}:automate:{who.region}:ec2:"
    notes.ask(
        "alarms on hosts", lambda: _all(clients.cloudwatch.describe_alarms, "MetricAlarms", ActionPrefix=on_hosts)
    )
    for alarm in told or ():
        _tags_of_alarm(notes, clients.cloudwatch, alarm["AlarmArn"])
    dashboard = names.dashboard(settings)
    notes.ask(
        "dashboard",
        lambda: clients.cloudwatch.get_dashboard(DashboardName=dashboard)["DashboardBody"],
        "ResourceNotFound",
        "DashboardNotFoundError",
    )
    _topic(notes, clients.sns, f"arn:{who.partition}:sns:{who.region}:{who.account}:{names.topic(settings)}")


def _tags_of_alarm(notes: _Notes, cloudwatch: Any, arn: str) -> None:
    notes.ask(f"tags of {arn}", lambda: cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"])


def _topic(notes: _Notes, sns: Any, arn: str) -> None:
    absent = ("NotFound", "NotFoundException", "ResourceNotFound")
    if notes.ask("topic", lambda: sns.get_topic_attributes(TopicArn=arn)["Attributes"], *absent) is None:
        return
    subscribed = sns.list_subscriptions_by_topic
    told = notes.ask("topic subscriptions", lambda: _all(subscribed, "Subscriptions", TopicArn=arn)) or ()
    for one in told:
        if one["SubscriptionArn"].startswith("arn:"):
            _subscription(notes, sns, one["SubscriptionArn"])
    notes.ask("topic tags", lambda: sns.list_tags_for_resource(ResourceArn=arn)["Tags"])


def _subscription(notes: _Notes, sns: Any, arn: str) -> None:
    asked = sns.get_subscription_attributes
    notes.ask(f"subscription {arn}", lambda: asked(SubscriptionArn=arn)["Attributes"], "NotFound")


def _tagged(tagging: Any, settings: Settings) -> Listed:
    """All that has our tags, wherever it came from."""
    filters = [{"Key": key, "Values": [value]} for key, value in names.tags(settings).items()]
    found: Listed = []
    token = ""
    while True:
        page = tagging.get_resources(TagFilters=filters, PaginationToken=token)
        found.extend(page["ResourceTagMappingList"])
        token = page.get("PaginationToken") or ""
        if not token:
            return found
