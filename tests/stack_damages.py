"""Ways to damage an account in which the stack stands, by public calls: what is done, and the rule that tells it."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from ops import monitoring

ADMIN, VIEWER, NETWORK = "198.51.100.7/32", "203.0.113.0/24", "10.20.0.0/24"
STRANGER = "210987654321"
DAMAGES = []


@dataclass(frozen=True)
class Damage:
    """`rule` must be found when `do` has been done to an account of tests.moto_stack."""

    rule: str
    do: Callable

    @property
    def name(self):
        return self.do.__name__


def tells(rule):
    """The rule that must tell of it."""

    def noted(do):
        DAMAGES.append(Damage(rule, do))
        return do

    return noted


def anything(**more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **more}]})


# --- the stack -------------------------------------------------------------------------------------------------------


@tells("stack.guarded")
def a_stack_policy_that_guards_nothing(a):
    policy = anything(Action="Update:*", Principal="*", Resource="*")
    a.clients.cloudformation.set_stack_policy(StackName=a.settings.stack.name, StackPolicyBody=policy)


# --- network ---------------------------------------------------------------------------------------------------------


@tells("network.vpc")
def a_second_network_of_the_vpc(a):
    a.clients.ec2.associate_vpc_cidr_block(VpcId=a.ids["Vpc"], CidrBlock="10.21.0.0/24")


@tells("network.vpc")
def another_vpc_with_our_tags(a):
    tags = a.clients.ec2.describe_vpcs(VpcIds=[a.ids["Vpc"]])["Vpcs"][0]["Tags"]
    made = a.clients.ec2.create_vpc(CidrBlock="10.99.0.0/24")["Vpc"]["VpcId"]
    a.clients.ec2.create_tags(Resources=[made], Tags=tags)


@tells("network.dns")
def names_are_not_resolved(a):
    a.clients.ec2.modify_vpc_attribute(VpcId=a.ids["Vpc"], EnableDnsSupport={"Value": False})


@tells("network.subnet")
def a_second_subnet(a):
    a.clients.ec2.associate_vpc_cidr_block(VpcId=a.ids["Vpc"], CidrBlock="10.22.0.0/24")
    a.clients.ec2.create_subnet(VpcId=a.ids["Vpc"], CidrBlock="10.22.0.0/24")


@tells("network.no-public-by-default")
def public_addresses_for_everything(a):
    a.clients.ec2.modify_subnet_attribute(SubnetId=a.ids["Subnet"], MapPublicIpOnLaunch={"Value": True})


@tells("network.gateway")
def no_internet_gateway(a):
    a.clients.ec2.detach_internet_gateway(InternetGatewayId=a.ids["InternetGateway"], VpcId=a.ids["Vpc"])


@tells("network.routes")
def no_way_out(a):
    a.clients.ec2.delete_route(RouteTableId=a.ids["RouteTable"], DestinationCidrBlock="0.0.0.0/0")


@tells("network.routes")
def another_way_for_some(a):
    a.clients.ec2.create_route(
        RouteTableId=a.ids["RouteTable"], DestinationCidrBlock="192.0.2.0/24", GatewayId=a.ids["InternetGateway"]
    )


@tells("network.routes")
def the_subnet_without_its_routes(a):
    table = a.clients.ec2.describe_route_tables(RouteTableIds=[a.ids["RouteTable"]])["RouteTables"][0]
    a.clients.ec2.disassociate_route_table(AssociationId=table["Associations"][0]["RouteTableAssociationId"])


@tells("network.no-other-ways")
def a_peering(a):
    other = a.clients.ec2.create_vpc(CidrBlock="10.98.0.0/24")["Vpc"]["VpcId"]
    a.clients.ec2.create_vpc_peering_connection(VpcId=other, PeerVpcId=a.ids["Vpc"])


@tells("network.no-other-ways")
def a_vpn_gateway(a):
    made = a.clients.ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    a.clients.ec2.attach_vpn_gateway(VpnGatewayId=made, VpcId=a.ids["Vpc"])


def _acl(a, **entry):
    acls = a.clients.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [a.ids["Vpc"]]}])["NetworkAcls"]
    a.clients.ec2.create_network_acl_entry(NetworkAclId=acls[0]["NetworkAclId"], Protocol="-1", **entry)


@tells("network.acl")
def an_acl_that_lets_nobody_in(a):
    _acl(a, RuleNumber=1, RuleAction="deny", Egress=False, CidrBlock="0.0.0.0/0")


@tells("network.acl")
def an_acl_that_lets_nothing_out(a):
    _acl(a, RuleNumber=1, RuleAction="deny", Egress=True, CidrBlock="198.51.100.0/24")


@tells("network.s3-endpoint")
def no_endpoint_for_s3(a):
    a.clients.ec2.delete_vpc_endpoints(VpcEndpointIds=[a.ids["S3Endpoint"]])


@tells("network.s3-endpoint")
def an_endpoint_without_routes(a):
    a.clients.ec2.modify_vpc_endpoint(VpcEndpointId=a.ids["S3Endpoint"], RemoveRouteTableIds=[a.ids["RouteTable"]])


@tells("network.s3-endpoint-policy")
def an_endpoint_to_every_bucket(a):
    policy = anything(Principal="*", Action="s3:*", Resource="*")
    a.clients.ec2.modify_vpc_endpoint(VpcEndpointId=a.ids["S3Endpoint"], PolicyDocument=policy)


@tells("network.no-other-endpoints")
def an_endpoint_of_another_service(a):
    a.clients.ec2.create_vpc_endpoint(
        VpcId=a.ids["Vpc"], ServiceName=f"com.amazonaws.{a.region}.dynamodb", VpcEndpointType="Gateway"
    )


@tells("network.alone")
def an_interface_of_somebody(a):
    a.clients.ec2.create_network_interface(SubnetId=a.ids["Subnet"], Description="of somebody")


# --- the security group ----------------------------------------------------------------------------------------------


def _let_in(a, protocol="tcp", first=22, last=22, **whom):
    permission = {"IpProtocol": protocol, "FromPort": first, "ToPort": last, **whom}
    a.clients.ec2.authorize_security_group_ingress(GroupId=a.ids["SecurityGroup"], IpPermissions=[permission])


def _shut_out(a, port):
    rules = a.clients.ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [a.ids["SecurityGroup"]]}]
    )["SecurityGroupRules"]
    found = [rule["SecurityGroupRuleId"] for rule in rules if not rule["IsEgress"] and rule["FromPort"] == port]
    a.clients.ec2.revoke_security_group_ingress(GroupId=a.ids["SecurityGroup"], SecurityGroupRuleIds=found[:1])


def _by4(network, **more):
    return {"IpRanges": [{"CidrIp": network, **more}]}


@tells("group.ssh-not-the-world")
def ssh_for_the_world(a):
    _let_in(a, **_by4("0.0.0.0/0"))


@tells("group.ssh-not-the-world")
def ssh_for_the_world_by_ipv6(a):
    _let_in(a, Ipv6Ranges=[{"CidrIpv6": "::/0"}])


@tells("group.ssh-not-the-world")
def every_port_of_every_protocol_for_the_world(a):
    _let_in(a, "-1", -1, -1, **_by4("0.0.0.0/0"))


@tells("group.ssh-administrators-only")
def ssh_for_half_the_world(a):
    _let_in(a, **_by4("128.0.0.0/1"))


@tells("group.ssh-administrators-only")
def ssh_within_a_range_of_ports(a):
    _let_in(a, first=20, last=25, **_by4("192.0.2.0/24"))


@tells("group.ssh-administrators")
def ssh_for_no_administrator(a):
    _shut_out(a, 22)


@tells("group.viewers")
def the_dashboard_for_no_viewer(a):
    _shut_out(a, 8501)


@tells("group.viewers-only")
def the_dashboard_for_strangers(a):
    _let_in(a, first=8501, last=8501, **_by4("192.0.2.0/24"))


@tells("group.not-the-world")
def the_dashboard_for_the_world(a):
    _let_in(a, first=8501, last=8501, **_by4("0.0.0.0/0"))


@tells("group.nothing-else")
def another_port(a):
    _let_in(a, first=5432, last=5432, **_by4(ADMIN))


@tells("group.nothing-else")
def pings(a):
    _let_in(a, "icmp", -1, -1, **_by4(ADMIN))


@tells("group.nothing-else")
def another_group(a):
    other = a.clients.ec2.create_security_group(GroupName="other", Description="x", VpcId=a.ids["Vpc"])["GroupId"]
    _let_in(a, first=8501, last=8501, UserIdGroupPairs=[{"GroupId": other}])


@tells("group.doors")
def a_door_that_was_left_open(a):
    said = {"CidrIp": "192.0.2.9/32", "Description": "kpi-ops-probe until 2026-01-01T00:00:00Z"}
    permission = {"IpProtocol": "tcp", "FromPort": 8501, "ToPort": 8501, "IpRanges": [said]}
    made = a.clients.ec2.authorize_security_group_ingress(GroupId=a.ids["SecurityGroup"], IpPermissions=[permission])[
        "SecurityGroupRules"
    ][0]["SecurityGroupRuleId"]
    a.clients.ec2.create_tags(Resources=[made], Tags=[{"Key": "kpi-ops-probe", "Value": "run"}])


@tells("group.outbound")
def everything_out(a):
    permission = {"IpProtocol": "-1", **_by4("0.0.0.0/0")}
    a.clients.ec2.authorize_security_group_egress(GroupId=a.ids["SecurityGroup"], IpPermissions=[permission])


@tells("group.outbound")
def no_packages(a):
    rules = a.clients.ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [a.ids["SecurityGroup"]]}]
    )["SecurityGroupRules"]
    (one,) = [rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"] and rule["FromPort"] == 443]
    a.clients.ec2.revoke_security_group_egress(GroupId=a.ids["SecurityGroup"], SecurityGroupRuleIds=[one])


@tells("group.one")
def a_second_group_of_that_name(a):
    other = a.clients.ec2.create_vpc(CidrBlock="10.97.0.0/24")["Vpc"]["VpcId"]
    a.clients.ec2.create_security_group(GroupName=a.settings.stack.security_group, Description="x", VpcId=other)


# --- the bucket ------------------------------------------------------------------------------------------------------


def _flag_off(name):
    def do(a):
        flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        a.clients.s3.put_public_access_block(
            Bucket=a.settings.s3.bucket, PublicAccessBlockConfiguration={flag: flag != name for flag in flags}
        )

    do.__name__ = f"{name}_off"
    return do


for _rule, _name in (
    ("bucket.block-public-acls", "BlockPublicAcls"),
    ("bucket.ignore-public-acls", "IgnorePublicAcls"),
    ("bucket.block-public-policy", "BlockPublicPolicy"),
    ("bucket.restrict-public-buckets", "RestrictPublicBuckets"),
):
    tells(_rule)(_flag_off(_name))


@tells("bucket.block-public-policy")
def no_public_access_block_at_all(a):
    a.clients.s3.delete_public_access_block(Bucket=a.settings.s3.bucket)


@tells("bucket.there")
def a_bucket_that_is_gone(a):
    a.clients.s3.delete_bucket(Bucket=a.settings.s3.bucket)


@tells("bucket.owner-enforced")
def objects_of_their_writers(a):
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    a.clients.s3.put_bucket_ownership_controls(Bucket=a.settings.s3.bucket, OwnershipControls=rules)


@tells("bucket.no-grants")
def an_acl_for_everybody(a):
    objects_of_their_writers(a)
    a.clients.s3.delete_public_access_block(Bucket=a.settings.s3.bucket)
    a.clients.s3.put_bucket_acl(Bucket=a.settings.s3.bucket, ACL="public-read")


@tells("bucket.encrypted")
def no_encryption(a):
    a.clients.s3.delete_bucket_encryption(Bucket=a.settings.s3.bucket)


@tells("bucket.encrypted")
def anothers_key(a):
    used = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": f"arn:aws:kms:eu-west-2:{STRANGER}:key/1"}
    a.clients.s3.put_bucket_encryption(
        Bucket=a.settings.s3.bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": used}]},
    )


@tells("bucket.versioned")
def no_versions(a):
    a.clients.s3.put_bucket_versioning(Bucket=a.settings.s3.bucket, VersioningConfiguration={"Status": "Suspended"})


def _lifecycle(a, **changes):
    rules = {
        "older": {"NoncurrentVersionExpiration": {"NoncurrentDays": a.settings.stack.noncurrent_days}},
        "aborted": {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
        **changes,
    }
    listed = [
        {"ID": name, "Status": "Enabled", "Filter": {"Prefix": ""}, **rule} for name, rule in rules.items() if rule
    ]
    a.clients.s3.put_bucket_lifecycle_configuration(
        Bucket=a.settings.s3.bucket, LifecycleConfiguration={"Rules": listed}
    )


@tells("bucket.forgets-older-versions")
def no_lifecycle(a):
    a.clients.s3.delete_bucket_lifecycle(Bucket=a.settings.s3.bucket)


@tells("bucket.forgets-older-versions")
def versions_of_a_part_are_forgotten(a):
    days = {"NoncurrentVersionExpiration": {"NoncurrentDays": a.settings.stack.noncurrent_days}}
    _lifecycle(a, older={**days, "Filter": {"Prefix": "tmp/"}})


@tells("bucket.keeps-older-versions")
def versions_are_forgotten_tomorrow(a):
    _lifecycle(a, soon={"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})


@tells("bucket.forgets-aborted-uploads")
def aborted_uploads_stay(a):
    _lifecycle(a, aborted=None)


@tells("bucket.keeps-what-is-current")
def objects_expire(a):
    _lifecycle(a, expiry={"Expiration": {"Days": 30}})


def _bucket_policy(a, *statements):
    bucket = f"arn:aws:s3:::{a.settings.s3.bucket}"
    tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    made = {"Version": "2012-10-17", "Statement": [tls, *statements]}
    a.clients.s3.put_bucket_policy(Bucket=a.settings.s3.bucket, Policy=json.dumps(made))


@tells("bucket.tls-only")
def no_bucket_policy(a):
    a.clients.s3.delete_bucket_policy(Bucket=a.settings.s3.bucket)


@tells("bucket.no-strangers")
def the_world_reads(a):
    what = f"arn:aws:s3:::{a.settings.s3.bucket}/*"
    _bucket_policy(a, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": what})


@tells("bucket.policy")
def one_stranger_writes_one_thing(a):
    who = {"AWS": f"arn:aws:iam::{STRANGER}:user/eve"}
    what = f"arn:aws:s3:::{a.settings.s3.bucket}/a/b"
    _bucket_policy(a, {"Effect": "Allow", "Principal": who, "Action": "s3:PutObject", "Resource": what})


@tells("bucket.readable")
def everybody_is_shut_out(a):
    what = f"arn:aws:s3:::{a.settings.s3.bucket}/*"
    _bucket_policy(a, {"Effect": "Deny", "Principal": "*", "Action": "s3:Get*", "Resource": what})


@tells("bucket.no-website")
def a_website(a):
    a.clients.s3.put_bucket_website(
        Bucket=a.settings.s3.bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}}
    )


@tells("bucket.no-cors")
def pages_of_everybody_may_read(a):
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    a.clients.s3.put_bucket_cors(Bucket=a.settings.s3.bucket, CORSConfiguration={"CORSRules": [rule]})


@tells("bucket.no-copies")
def copies_elsewhere(a):
    other = a.session.client("s3")
    place = {"LocationConstraint": a.region}
    other.create_bucket(Bucket="elsewhere", CreateBucketConfiguration=place)
    other.put_bucket_versioning(Bucket="elsewhere", VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::elsewhere"},
    }
    role = f"arn:aws:iam::123456789012:role/{a.settings.stack.role}"
    other.put_bucket_replication(Bucket=a.settings.s3.bucket, ReplicationConfiguration={"Role": role, "Rules": [rule]})


@tells("bucket.no-events")
def events_told(a):
    topic = {"TopicArn": a.ids["Topic"], "Events": ["s3:ObjectCreated:*"]}
    a.clients.s3.put_bucket_notification_configuration(
        Bucket=a.settings.s3.bucket, NotificationConfiguration={"TopicConfigurations": [topic]}
    )


# --- the host's role -------------------------------------------------------------------------------------------------


def _role_policy(a, action, resource="*", role=None):
    document = anything(Action=action, Resource=resource)
    a.clients.iam.put_role_policy(RoleName=role or a.settings.stack.role, PolicyName="more", PolicyDocument=document)


@tells("role.there")
def a_boundary(a):
    a.session.client("iam").put_role_permissions_boundary(
        RoleName=a.settings.stack.role, PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess"
    )


@tells("role.trust")
def anothers_account_may_take_the_role(a):
    document = anything(Principal={"AWS": f"arn:aws:iam::{STRANGER}:root"}, Action="sts:AssumeRole")
    a.clients.iam.update_assume_role_policy(RoleName=a.settings.stack.role, PolicyDocument=document)


@tells("role.only-for-instances")
def functions_may_take_the_role(a):
    who = {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}
    document = anything(Principal=who, Action="sts:AssumeRole")
    a.clients.iam.update_assume_role_policy(RoleName=a.settings.stack.role, PolicyDocument=document)


@tells("role.policies")
def a_small_right_more(a):
    _role_policy(a, "s3:GetBucketTagging", f"arn:aws:s3:::{a.settings.s3.bucket}")


@tells("role.attached")
def everything_by_a_policy_of_aws(a):
    a.clients.iam.attach_role_policy(
        RoleName=a.settings.stack.role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )


@tells("role.attached")
def no_session_manager(a):
    a.clients.iam.detach_role_policy(
        RoleName=a.settings.stack.role, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )


@tells("role.reads-the-snapshot")
def a_role_that_reads_nothing(a):
    a.clients.iam.delete_role_policy(RoleName=a.settings.stack.role, PolicyName="read-snapshot")


@tells("role.reads-no-more")
def a_role_that_reads_all(a):
    _role_policy(a, "s3:Get*")


@tells("role.writes-nothing")
def a_role_that_writes(a):
    _role_policy(a, "s3:PutObject", f"arn:aws:s3:::{a.settings.s3.bucket}/*")


@tells("role.climbs-nowhere")
def a_role_that_passes_itself_on(a):
    _role_policy(a, "iam:PassRole")


@tells("role.metrics")
def metrics_of_any_namespace(a):
    _role_policy(a, "cloudwatch:PutMetricData")


@tells("role.logs")
def logs_of_any_group(a):
    _role_policy(a, "logs:*")


@tells("role.no-parameters")
def parameters_are_read(a):
    a.clients.iam.delete_role_policy(RoleName=a.settings.stack.role, PolicyName="no-parameters")


@tells("role.session-manager")
def session_manager_is_refused(a):
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": "ssmmessages:*", "Resource": "*"}],
        }
    )
    a.clients.iam.put_role_policy(RoleName=a.settings.stack.role, PolicyName="more", PolicyDocument=document)


@tells("role.profile")
def a_profile_without_a_role(a):
    role = a.settings.stack.role
    a.clients.iam.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)


# --- the host --------------------------------------------------------------------------------------------------------


def _another_host(a):
    return a.clients.ec2.run_instances(
        ImageId=a.inputs.ami, MinCount=1, MaxCount=1, SubnetId=a.ids["Subnet"], InstanceType="t2.micro"
    )["Instances"][0]["InstanceId"]


@tells("host.one")
def a_second_host(a):
    _another_host(a)


@tells("host.one")
def no_host(a):
    a.clients.ec2.terminate_instances(InstanceIds=[a.ids["Instance"]])


@tells("host.is-the-stacks")
def another_host_in_its_place(a):
    a.clients.ec2.terminate_instances(InstanceIds=[a.ids["Instance"]])
    _another_host(a)


@tells("host.runs")
def a_host_that_is_stopped(a):
    a.clients.ec2.stop_instances(InstanceIds=[a.ids["Instance"]])


@tells("host.type")
def a_dearer_host(a):
    a.clients.ec2.stop_instances(InstanceIds=[a.ids["Instance"]])
    a.clients.ec2.modify_instance_attribute(InstanceId=a.ids["Instance"], InstanceType={"Value": "m5.24xlarge"})


def _metadata(a, **options):
    a.clients.ec2.modify_instance_metadata_options(InstanceId=a.ids["Instance"], **options)


@tells("host.metadata-tokens")
def metadata_without_a_token(a):
    _metadata(a, HttpTokens="optional")


@tells("host.metadata-hops")
def metadata_for_containers(a):
    _metadata(a, HttpPutResponseHopLimit=2)


@tells("host.metadata-there")
def no_metadata(a):
    _metadata(a, HttpEndpoint="disabled")


@tells("host.metadata-tags")
def metadata_with_tags(a):
    _metadata(a, InstanceMetadataTags="enabled")


@tells("host.metadata-ipv6")
def metadata_by_ipv6(a):
    _metadata(a, HttpProtocolIpv6="enabled")


@tells("host.profile")
def a_host_without_its_role(a):
    found = a.clients.ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [a.ids["Instance"]]}]
    )["IamInstanceProfileAssociations"]
    a.clients.ec2.disassociate_iam_instance_profile(AssociationId=found[0]["AssociationId"])


@tells("host.group")
def a_host_in_two_groups(a):
    other = a.clients.ec2.create_security_group(GroupName="wide", Description="x", VpcId=a.ids["Vpc"])["GroupId"]
    a.clients.ec2.modify_instance_attribute(InstanceId=a.ids["Instance"], Groups=[a.ids["SecurityGroup"], other])


@tells("host.interface")
def a_second_interface(a):
    made = a.clients.ec2.create_network_interface(SubnetId=a.ids["Subnet"], Groups=[a.ids["SecurityGroup"]])
    a.clients.ec2.attach_network_interface(
        NetworkInterfaceId=made["NetworkInterface"]["NetworkInterfaceId"],
        InstanceId=a.ids["Instance"],
        DeviceIndex=1,
    )


@tells("host.address")
def no_elastic_ip(a):
    address = a.clients.ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [a.ids["Instance"]]}])[
        "Addresses"
    ][0]
    a.clients.ec2.disassociate_address(AssociationId=address["AssociationId"])


def _new_disk(a, device="/dev/sdf", **disk):
    made = a.clients.ec2.create_volume(AvailabilityZone=_zone(a), **disk)["VolumeId"]
    a.clients.ec2.attach_volume(VolumeId=made, InstanceId=a.ids["Instance"], Device=device)


def _zone(a):
    said = a.clients.ec2.describe_instances(InstanceIds=[a.ids["Instance"]])["Reservations"][0]["Instances"][0]
    return said["Placement"]["AvailabilityZone"]


def _disk(a):
    attached = [{"Name": "attachment.instance-id", "Values": [a.ids["Instance"]]}]
    return a.clients.ec2.describe_volumes(Filters=attached)["Volumes"][0]["VolumeId"]


@tells("host.disk-encrypted")
def a_disk_in_the_clear(a):
    _new_disk(a, Size=16, Encrypted=False)


@tells("host.one-disk")
def a_second_disk(a):
    _new_disk(a, Size=16, Encrypted=True)


@tells("host.disk")
def an_older_kind_of_disk(a):
    old = _disk(a)
    a.clients.ec2.detach_volume(VolumeId=old, InstanceId=a.ids["Instance"])
    _new_disk(a, "/dev/sda1", Size=16, Encrypted=True, VolumeType="gp2")


@tells("host.no-shared-copies")
def a_copy_for_everybody(a):
    made = a.clients.ec2.create_snapshot(VolumeId=_disk(a))["SnapshotId"]
    a.clients.ec2.modify_snapshot_attribute(
        SnapshotId=made, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"]
    )


@tells("host.no-shared-copies")
def a_copy_for_somebody(a):
    made = a.clients.ec2.create_snapshot(VolumeId=_disk(a))["SnapshotId"]
    a.clients.ec2.modify_snapshot_attribute(
        SnapshotId=made, Attribute="createVolumePermission", OperationType="add", UserIds=[STRANGER]
    )


def _first_boot(a, text):
    """moto takes for text what boto3 has packed: it wants it packed once more."""
    a.clients.ec2.modify_instance_attribute(
        InstanceId=a.ids["Instance"], UserData={"Value": base64.b64encode(text.encode())}
    )


@tells("host.first-boot")
def another_first_boot(a):
    _first_boot(a, "#cloud-config\nssh_pwauth: true\n")


@tells("host.no-secret")
def a_secret_in_the_first_boot(a):
    _first_boot(a, "#cloud-config\nruncmd: [export AWS_SECRET_ACCESS_KEY=x]")


# --- what is seen of it ----------------------------------------------------------------------------------------------


@tells("logs.there")
def a_log_group_that_is_gone(a):
    a.clients.logs.delete_log_group(logGroupName=monitoring.SYSTEM)


@tells("logs.retention")
def logs_for_ever(a):
    a.clients.logs.delete_retention_policy(logGroupName=monitoring.DASHBOARD)


@tells("logs.retention")
def logs_for_a_day(a):
    a.clients.logs.put_retention_policy(logGroupName=monitoring.CHECKS, retentionInDays=1)


@tells("logs.metrics")
def a_metric_that_is_not_made(a):
    a.clients.logs.delete_metric_filter(logGroupName=monitoring.CHECKS, filterName=monitoring.CHECK_FAILED.metric)


@tells("logs.metrics")
def a_metric_of_other_lines(a):
    found = a.clients.logs.describe_metric_filters(logGroupName=monitoring.CHECKS)["metricFilters"][0]
    a.clients.logs.put_metric_filter(
        logGroupName=monitoring.CHECKS,
        filterName=found["filterName"],
        filterPattern="never",
        metricTransformations=found["metricTransformations"],
    )


@tells("logs.sent-nowhere")
def logs_sent_away(a):
    a.session.client("kinesis").create_stream(StreamName="away", ShardCount=1)
    a.clients.logs.put_subscription_filter(
        logGroupName=monitoring.DASHBOARD,
        filterName="away",
        filterPattern="",
        destinationArn=f"arn:aws:kinesis:{a.region}:123456789012:stream/away",
        roleArn=f"arn:aws:iam::123456789012:role/{a.settings.stack.role}",
    )


def _alarm(a, name, **changes):
    kept = a.clients.cloudwatch.describe_alarms(AlarmNames=[f"{a.settings.stack.name}-{name}"])["MetricAlarms"][0]
    given = (
        *("AlarmName", "AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic", "ComparisonOperator"),
        *("Threshold", "Period", "EvaluationPeriods", "DatapointsToAlarm", "TreatMissingData", "ActionsEnabled"),
        *("AlarmActions", "OKActions"),
    )
    a.clients.cloudwatch.put_metric_alarm(**{key: kept[key] for key in given if key in kept} | changes)


@tells("alarms.there")
def an_alarm_that_is_gone(a):
    a.clients.cloudwatch.delete_alarms(AlarmNames=[f"{a.settings.stack.name}-disk"])


@tells("alarms.watch")
def an_alarm_of_another_host(a):
    _alarm(a, "memory", Dimensions=[{"Name": "InstanceId", "Value": "i-00000000000000000"}])


@tells("alarms.watch")
def an_alarm_of_another_metric(a):
    _alarm(a, "self-check", MetricName="Sessions")


@tells("alarms.ring")
def an_alarm_that_rings_too_late(a):
    _alarm(a, "disk", Threshold=99.9)


@tells("alarms.ring")
def an_alarm_that_rings_the_wrong_way(a):
    _alarm(a, "swap", ComparisonOperator="LessThanThreshold")


@tells("alarms.silence")
def an_alarm_that_takes_silence_for_good(a):
    _alarm(a, "status-check", TreatMissingData="notBreaching")


@tells("alarms.heard")
def an_alarm_that_tells_nobody(a):
    _alarm(a, "data-old", AlarmActions=[])


@tells("alarms.heard")
def an_alarm_that_is_switched_off(a):
    a.clients.cloudwatch.disable_alarm_actions(AlarmNames=[f"{a.settings.stack.name}-cpu-credits"])


@tells("alarms.heard")
def an_alarm_that_no_longer_recovers(a):
    _alarm(a, "system-check", AlarmActions=[a.ids["Topic"]])


@tells("alarms.heard")
def an_alarm_that_ends_the_host(a):
    _alarm(a, "page-slow", AlarmActions=[a.ids["Topic"], f"arn:aws:automate:{a.region}:ec2:terminate"])


@tells("topic.there")
def a_topic_that_is_gone(a):
    a.clients.sns.delete_topic(TopicArn=a.ids["Topic"])


def _topic(a, name, value):
    a.clients.sns.set_topic_attributes(TopicArn=a.ids["Topic"], AttributeName=name, AttributeValue=value)


@tells("topic.publishers")
def a_topic_for_everybody(a):
    _topic(a, "Policy", anything(Principal="*", Action="sns:Publish", Resource=a.ids["Topic"]))


@tells("topic.policy")
def a_topic_for_one_other(a):
    who = {"AWS": f"arn:aws:iam::{STRANGER}:user/eve"}
    _topic(a, "Policy", anything(Principal=who, Action="sns:Subscribe", Resource=a.ids["Topic"]))


@tells("topic.writable")
def a_topic_with_the_key_of_aws(a):
    _topic(a, "KmsMasterKeyId", "alias/aws/sns")


@tells("topic.told")
def nobody_is_told(a):
    a.clients.sns.unsubscribe(SubscriptionArn=a.ids["TopicSubscription"])


@tells("dashboard.there")
def no_dashboard(a):
    a.clients.cloudwatch.delete_dashboards(DashboardNames=[a.settings.stack.name])


@tells("dashboard.there")
def a_dashboard_of_another_host(a):
    body = a.clients.cloudwatch.get_dashboard(DashboardName=a.settings.stack.name)["DashboardBody"]
    other = body.replace(a.ids["Instance"], "i-00000000000000000")
    a.clients.cloudwatch.put_dashboard(DashboardName=a.settings.stack.name, DashboardBody=other)


# --- GitHub's workflows ----------------------------------------------------------------------------------------------


def _workflow(a, word):
    return f"{a.settings.stack.name}-{word}"


@tells("github.provider")
def no_provider(a):
    a.clients.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=a.ids["OidcProvider"])


@tells("github.trust")
def every_repository_may_deploy(a):
    document = anything(
        Principal={"Federated": a.ids["OidcProvider"]},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}},
    )
    a.clients.iam.update_assume_role_policy(RoleName=_workflow(a, "deploy"), PolicyDocument=document)


@tells("github.policies")
def the_probe_may_do_everything(a):
    _role_policy(a, "*", role=_workflow(a, "probe"))


@tells("github.attached")
def the_publisher_may_do_everything(a):
    a.clients.iam.attach_role_policy(
        RoleName=_workflow(a, "etl"), PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )


@tells("github.hours")
def sessions_of_half_a_day(a):
    a.clients.iam.update_role(RoleName=_workflow(a, "deploy"), MaxSessionDuration=12 * 3600)


@tells("github.roles")
def a_workflow_without_its_role(a):
    a.clients.iam.delete_role_policy(RoleName=_workflow(a, "etl"), PolicyName="publish")
    a.clients.iam.delete_role(RoleName=_workflow(a, "etl"))


# --- tags ------------------------------------------------------------------------------------------------------------


@tells("tags.network")
def a_subnet_without_a_tag(a):
    a.clients.ec2.delete_tags(Resources=[a.ids["Subnet"]], Tags=[{"Key": "environment"}])


@tells("tags.network")
def a_vpc_of_another_project(a):
    a.clients.ec2.create_tags(Resources=[a.ids["Vpc"]], Tags=[{"Key": "project", "Value": "other"}])


@tells("tags.host")
def a_disk_without_a_tag(a):
    a.clients.ec2.delete_tags(Resources=[_disk(a)], Tags=[{"Key": "project"}])


@tells("tags.name")
def a_host_of_another_name(a):
    a.clients.ec2.create_tags(Resources=[a.ids["Instance"]], Tags=[{"Key": "Name", "Value": "other"}])


@tells("tags.bucket")
def a_bucket_without_tags(a):
    a.clients.s3.delete_bucket_tagging(Bucket=a.settings.s3.bucket)


@tells("tags.roles")
def a_role_without_a_tag(a):
    a.clients.iam.untag_role(RoleName=a.settings.stack.role, TagKeys=["managed-by"])


@tells("tags.watching")
def a_topic_without_a_tag(a):
    a.clients.sns.untag_resource(ResourceArn=a.ids["Topic"], TagKeys=["project"])


@tells("tags.watching")
def a_log_group_without_a_tag(a):
    arn = f"arn:aws:logs:{a.region}:123456789012:log-group:{monitoring.SYSTEM}"
    a.clients.logs.untag_resource(resourceArn=arn, tagKeys=["project"])


@tells("tags.strays")
def something_left_of_before(a):
    tags = a.clients.ec2.describe_vpcs(VpcIds=[a.ids["Vpc"]])["Vpcs"][0]["Tags"]
    a.clients.ec2.create_volume(
        AvailabilityZone=_zone(a), Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )
