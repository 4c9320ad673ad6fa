"""The stack that tests/moto_stack.py makes on moto is the template's: each property, read back with boto3."""

import base64
import json
import os

import pytest

from etl.errors import StackError
from ops.settings import S3Settings, Settings, StackSettings
from ops.stack import names
from ops.stack.driver import STACK_POLICY
from ops.stack.outputs import values
from tests.moto_stack import LEFT_OUT, NOT_HELD, UNKNOWN, left_to_calls, made_by_moto_alone, standing_stack
from tests.stack_documents import GITHUB

READERS = {}


def _reader(kind):
    def keep(function):
        READERS[f"AWS::{kind}"] = function
        return function

    return keep


def _own(tags):
    """Without those that CloudFormation adds."""
    return sorted((tag for tag in tags if not tag["Key"].startswith("aws:")), key=lambda tag: tag["Key"])


def _one(found):
    listed = list(found)
    if len(listed) != 1:
        raise LookupError(f"one was looked for: {listed}")
    return listed[0]


@_reader("EC2::VPC")
def _vpc(account, name):
    vpc_id = account.ids[name]
    said = _one(account.clients.ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"])

    def attribute(name):
        shown = name[0].upper() + name[1:]
        return account.clients.ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)[shown]["Value"]

    return {
        "CidrBlock": said["CidrBlock"],
        "EnableDnsSupport": attribute("enableDnsSupport"),
        "EnableDnsHostnames": attribute("enableDnsHostnames"),
        "InstanceTenancy": said["InstanceTenancy"],
        "Tags": said.get("Tags", []),
    }


@_reader("EC2::InternetGateway")
def _internet_gateway(account, name):
    said = _one(
        account.clients.ec2.describe_internet_gateways(InternetGatewayIds=[account.ids[name]])["InternetGateways"]
    )
    return {"Tags": said["Tags"]}


@_reader("EC2::VPCGatewayAttachment")
def _gateway_attachment(account, _name):
    gateway = account.ids["InternetGateway"]
    said = _one(account.clients.ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"])
    return {"InternetGatewayId": gateway, "VpcId": _one(said["Attachments"])["VpcId"]}


@_reader("EC2::Subnet")
def _subnet(account, name):
    said = _one(account.clients.ec2.describe_subnets(SubnetIds=[account.ids[name]])["Subnets"])
    return {name: said[name] for name in ("VpcId", "CidrBlock", "MapPublicIpOnLaunch", "AvailabilityZone", "Tags")}


@_reader("EC2::RouteTable")
def _route_table(account, name):
    said = _one(account.clients.ec2.describe_route_tables(RouteTableIds=[account.ids[name]])["RouteTables"])
    return {"VpcId": said["VpcId"], "Tags": said["Tags"]}


@_reader("EC2::Route")
def _route(account, _name):
    table = account.ids["RouteTable"]
    said = _one(account.clients.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"])
    route = _one(route for route in said["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0")
    named = {name: route[name] for name in ("DestinationCidrBlock", "GatewayId")}
    return {"RouteTableId": table, **named}


@_reader("EC2::SubnetRouteTableAssociation")
def _subnet_routes(account, _name):
    table = account.ids["RouteTable"]
    said = _one(account.clients.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"])
    return {"RouteTableId": table, "SubnetId": _one(said["Associations"])["SubnetId"]}


@_reader("EC2::VPCEndpoint")
def _endpoint(account, name):
    told = account.clients.ec2.describe_vpc_endpoints(VpcEndpointIds=[account.ids[name]])["VpcEndpoints"]
    said = _one(endpoint for endpoint in told if endpoint["State"] == "available")
    named = {name: said[name] for name in ("VpcId", "VpcEndpointType", "ServiceName", "RouteTableIds", "Tags")}
    return {**named, "PolicyDocument": _document(said["PolicyDocument"])}


def _document(said):
    """As it is where it is no JSON."""
    try:
        return json.loads(said)
    except ValueError:
        return said


@_reader("EC2::SecurityGroup")
def _security_group(account, name):
    said = _one(account.clients.ec2.describe_security_groups(GroupIds=[account.ids[name]])["SecurityGroups"])
    egress = [
        {"CidrIp": network["CidrIp"], **_ports(rule), "Description": network.get("Description", "")}
        for rule in said["IpPermissionsEgress"]
        for network in rule["IpRanges"]
    ]
    return {
        "GroupName": said["GroupName"],
        "GroupDescription": said["Description"],
        "VpcId": said["VpcId"],
        "SecurityGroupEgress": sorted(egress, key=str),
        "Tags": said["Tags"],
    }


def _ports(rule):
    return {"IpProtocol": rule["IpProtocol"], "FromPort": rule.get("FromPort"), "ToPort": rule.get("ToPort")}


@_reader("EC2::SecurityGroupIngress")
def _ingress(account, name):
    wanted = account.stack.properties(name)
    found = account.clients.ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [account.ids["SecurityGroup"]]}]
    )["SecurityGroupRules"]
    shown = [
        {
            "GroupId": said["GroupId"],
            **_ports(said),
            **({"CidrIp": said["CidrIpv4"]} if "CidrIpv4" in said else {}),
            **({"CidrIpv6": said["CidrIpv6"]} if "CidrIpv6" in said else {}),
            "Description": said.get("Description", ""),
            "id": said["SecurityGroupRuleId"],
        }
        for said in found
        if not said["IsEgress"]
    ]
    return next((said for said in shown if said.items() >= wanted.items()), {"there": shown})


@_reader("S3::Bucket")
def _bucket(account, name):
    s3, bucket = account.clients.s3, {"Bucket": account.ids[name]}
    encryption = _asked(s3.get_bucket_encryption, bucket).get("ServerSideEncryptionConfiguration", {})
    rules = [
        {
            "ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"],
            **({"BucketKeyEnabled": True} if rule.get("BucketKeyEnabled") else {}),
        }
        for rule in encryption.get("Rules", [])
    ]
    return {
        "BucketName": bucket["Bucket"],
        "PublicAccessBlockConfiguration": _asked(s3.get_public_access_block, bucket).get(
            "PublicAccessBlockConfiguration"
        ),
        "OwnershipControls": _asked(s3.get_bucket_ownership_controls, bucket).get("OwnershipControls"),
        "BucketEncryption": {"ServerSideEncryptionConfiguration": rules},
        "VersioningConfiguration": {"Status": _asked(s3.get_bucket_versioning, bucket).get("Status")},
        "LifecycleConfiguration": {
            "Rules": [
                _lifecycle(rule) for rule in _asked(s3.get_bucket_lifecycle_configuration, bucket).get("Rules", [])
            ]
        },
        "Tags": _asked(s3.get_bucket_tagging, bucket).get("TagSet", []),
    }


def _lifecycle(rule):
    named = {name: value for name, value in rule.items() if name not in ("ID", "Filter", "Prefix")}
    return {"Id": rule["ID"], **named}


def _asked(call, fields):
    """{} where there is no such thing."""
    try:
        return call(**fields)
    except StackError:
        return {}


@_reader("S3::BucketPolicy")
def _bucket_policy(account, name):
    name = account.ids["Bucket"]
    said = account.clients.s3.get_bucket_policy(Bucket=name)["Policy"]
    return {"Bucket": name, "PolicyDocument": json.loads(said)}


@_reader("IAM::Role")
def _role(account, name):
    name = {"RoleName": account.ids[name]}
    said = account.clients.iam.get_role(**name)["Role"]
    inline = account.clients.iam.list_role_policies(**name)["PolicyNames"]
    attached = account.clients.iam.list_attached_role_policies(**name)["AttachedPolicies"]
    return {
        "RoleName": said["RoleName"],
        "Description": said["Description"],
        "MaxSessionDuration": said["MaxSessionDuration"],
        "AssumeRolePolicyDocument": said["AssumeRolePolicyDocument"],
        "ManagedPolicyArns": [policy["PolicyArn"] for policy in attached],
        "Policies": [
            {
                "PolicyName": policy,
                "PolicyDocument": account.clients.iam.get_role_policy(**name, PolicyName=policy)["PolicyDocument"],
            }
            for policy in inline
        ],
        "Tags": said.get("Tags", []),
    }


@_reader("IAM::InstanceProfile")
def _profile(account, name):
    said = account.clients.iam.get_instance_profile(InstanceProfileName=account.ids[name])["InstanceProfile"]
    return {
        "InstanceProfileName": said["InstanceProfileName"],
        "Roles": [role["RoleName"] for role in said["Roles"]],
    }


@_reader("IAM::OIDCProvider")
def _provider(account, name):
    said = account.clients.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=account.ids[name])
    return {
        "Url": f"https://{said['Url'].removeprefix('https://')}",
        "ClientIdList": said["ClientIDList"],
        "Tags": said["Tags"],
    }


@_reader("EC2::Instance")
def _instance(account, name):
    ec2, instance_id = account.clients.ec2, account.ids[name]
    said = _one(_one(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"])["Instances"])
    volume_ids = [device["Ebs"]["VolumeId"] for device in said["BlockDeviceMappings"]]
    volumes = {volume["VolumeId"]: volume for volume in ec2.describe_volumes(VolumeIds=volume_ids)["Volumes"]}
    credit = ec2.describe_instance_credit_specifications(InstanceIds=[instance_id])
    data = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")["UserData"]
    return {
        "ImageId": said["ImageId"],
        "InstanceType": said["InstanceType"],
        "KeyName": said.get("KeyName"),
        "IamInstanceProfile": said.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2],
        "NetworkInterfaces": [_interface(interface, said) for interface in said["NetworkInterfaces"]],
        "MetadataOptions": {
            name: said.get("MetadataOptions", {}).get(name)
            for name in ("HttpEndpoint", "HttpTokens", "HttpPutResponseHopLimit", "InstanceMetadataTags")
        },
        "BlockDeviceMappings": [_device(device, volumes) for device in said["BlockDeviceMappings"]],
        "PropagateTagsToVolumeOnCreation": all(
            _own(volume.get("Tags", [])) == _own(said["Tags"]) for volume in volumes.values()
        ),
        "CreditSpecification": {"CPUCredits": _one(credit["InstanceCreditSpecifications"])["CpuCredits"]},
        "EbsOptimized": said["EbsOptimized"],
        "Monitoring": said["Monitoring"]["State"] != "disabled",
        "UserData": base64.b64decode(data.get("Value", "")).decode(),
        "Tags": said["Tags"],
    }


def _interface(said, instance):
    """The instance tells the groups of its interface too."""
    groups = [group["GroupId"] for group in said["Groups"]]
    if groups != [group["GroupId"] for group in instance["SecurityGroups"]]:
        raise LookupError(f"not the groups of the interface: {instance['SecurityGroups']}")
    return {
        "DeviceIndex": str(said["Attachment"]["DeviceIndex"]),
        "SubnetId": said["SubnetId"],
        "GroupSet": groups,
        "AssociatePublicIpAddress": bool(said.get("Association")),
        "DeleteOnTermination": said["Attachment"]["DeleteOnTermination"],
    }


def _device(said, volumes):
    volume = volumes[said["Ebs"]["VolumeId"]]
    return {
        "DeviceName": said["DeviceName"],
        "Ebs": {
            "VolumeType": volume["VolumeType"],
            "VolumeSize": volume["Size"],
            "Encrypted": volume["Encrypted"],
            "DeleteOnTermination": said["Ebs"]["DeleteOnTermination"],
        },
    }


@_reader("EC2::EIP")
def _address(account, name):
    said = _one(account.clients.ec2.describe_addresses(PublicIps=[account.ids[name]])["Addresses"])
    return {"Domain": said["Domain"], "Tags": said.get("Tags", [])}


@_reader("EC2::EIPAssociation")
def _association(account, _name):
    said = _one(account.clients.ec2.describe_addresses(PublicIps=[account.ids["Address"]])["Addresses"])
    return {"AllocationId": said["AllocationId"], "InstanceId": said.get("InstanceId")}


@_reader("Logs::LogGroup")
def _log_group(account, name):
    name = account.ids[name]
    found = account.clients.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    said = _one(group for group in found if group["logGroupName"] == name)
    tags = account.clients.logs.list_tags_for_resource(resourceArn=said["arn"].removesuffix(":*"))["tags"]
    return {
        "LogGroupName": name,
        "RetentionInDays": said.get("retentionInDays"),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


@_reader("Logs::MetricFilter")
def _metric_filter(account, name):
    found = account.clients.logs.describe_metric_filters(logGroupName=account.ids["ChecksLog"])["metricFilters"]
    said = _one(shown for shown in found if shown["filterName"] == account.ids[name])
    transformations = [
        {name[0].upper() + name[1:]: value for name, value in transformation.items()}
        for transformation in said["metricTransformations"]
    ]
    named = {name[0].upper() + name[1:]: said.get(name) for name in ("filterName", "logGroupName", "filterPattern")}
    return {**named, "MetricTransformations": transformations}


@_reader("SNS::Topic")
def _topic(account, name):
    arn = account.ids[name]
    name = account.clients.sns.get_topic_attributes(TopicArn=arn)["Attributes"]["TopicArn"].rpartition(":")[2]
    return {"TopicName": name, "Tags": account.clients.sns.list_tags_for_resource(ResourceArn=arn)["Tags"]}


@_reader("SNS::TopicPolicy")
def _topic_policy(account, _name):
    arn = account.ids["Topic"]
    said = account.clients.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    return {"Topics": [arn], "PolicyDocument": json.loads(said["Policy"])}


@_reader("SNS::Subscription")
def _subscription(account, _name):
    said = _one(account.clients.sns.list_subscriptions_by_topic(TopicArn=account.ids["Topic"])["Subscriptions"])
    return {name: said[name] for name in ("TopicArn", "Protocol", "Endpoint")}


@_reader("CloudWatch::Alarm")
def _alarm(account, name):
    said = _one(account.clients.cloudwatch.describe_alarms(AlarmNames=[account.ids[name]])["MetricAlarms"])
    tags = account.clients.cloudwatch.list_tags_for_resource(ResourceARN=said["AlarmArn"])["Tags"]
    return {**{name: said.get(name) for name in account.stack.properties(name)}, "Tags": tags}


@_reader("CloudWatch::Dashboard")
def _dashboard(account, name):
    name = account.ids[name]
    return {
        "DashboardName": name,
        "DashboardBody": account.clients.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"],
    }


def differences(account, name):
    """Type.Property of those of a resource that are not there as the template says."""
    said, wanted = account.stack.resources[name], account.stack.properties(name)
    try:
        found = READERS[said["Type"]](account, name)
    except LookupError:
        found = {}
    return {f"{said['Type']}.{key}" for key, value in wanted.items() if _even(key, found.get(key)) != _even(key, value)}


def _even(key, value):
    """As it can be compared: AWS keeps no order of tags and rules."""
    if key == "Tags":
        return _own(value or [])
    if key == "SecurityGroupEgress":
        return sorted(value or [], key=lambda rule: json.dumps(rule, sort_keys=True))
    return value


# --- what stands -----------------------------------------------------------------------------------------------------

KMS = S3Settings(encryption="aws:kms")
ALL = Settings(
    s3=KMS,
    stack=StackSettings(
        github=GITHUB,
        door_for_probe=True,
        elastic_ip=True,
        open_to_the_world=True,
        alarm_email="alarms@shop.example",
        admin_networks=("203.0.113.7/32", "2001:db8::/64"),
        viewer_networks=("198.51.100.0/24", "2001:db8:1::/64"),
        instance_type="t3.small",
        key_pair="spare",
    ),
)
LEAST = Settings(stack=StackSettings(elastic_ip=False, ssm=False, instance_type="m7i.large"))
CHANGED = Settings(stack=ALL.stack.model_copy(update={"elastic_ip": False}))
STACKS = {"default": Settings(), "all": ALL, "least": LEAST}


@pytest.mark.parametrize("settings", STACKS.values(), ids=STACKS)
def test_all_of_the_template_stands_as_it_says(settings):
    with standing_stack(settings) as account:
        assert account.ids.keys() == account.stack.resources.keys()
        assert all(account.ids.values())
        assert {name: found for name in account.ids if (found := differences(account, name))} == {}


def test_what_stands_was_asked_for_and_is_not_what_moto_makes_anyway():
    """Everything that has a contrary is asked for: what is not there then, moto cannot hold."""
    with standing_stack(CHANGED, to_the_contrary) as account:
        assert set().union(*(differences(account, name) for name in account.ids)) == NOT_HELD.keys()


def test_moto_warns_of_what_is_listed_as_unknown_and_of_nothing_else():
    with pytest.warns(UserWarning, match="not supported by moto") as told, made_by_moto_alone(ALL):
        pass
    assert {str(warning.message).split()[3] for warning in told} == {
        kind for kind, gap in LEFT_OUT.items() if gap.reason == UNKNOWN
    }


@pytest.mark.filterwarnings("ignore:Tried to parse")
def test_what_is_listed_as_left_out_is_what_moto_leaves_out():
    found = (
        _gaps(CHANGED, lambda _resources: None) | _gaps(CHANGED, to_the_contrary) | _gaps(ALL, lambda _resources: None)
    )
    unmade = {kind for kind in LEFT_OUT if "." not in kind}
    assert {gap for gap in found if gap.partition(".")[0] not in unmade} == {kind for kind in LEFT_OUT if "." in kind}
    assert {gap.partition(".")[0] for gap in found} >= {kind for kind in unmade if LEFT_OUT[kind].reason != UNKNOWN}


def _gaps(settings, change):
    """Of what moto makes itself: not of what refers to something that it does not make."""
    with made_by_moto_alone(settings, change) as account:
        resources = account.stack.resources
        judged = [
            name
            for name, said in resources.items()
            if name in account.ids and (said["Type"] in LEFT_OUT or name not in left_to_calls(resources))
        ]
        return set().union(*(differences(account, name) for name in judged))


def test_each_row_says_why():
    assert all(gap.reason for gap in LEFT_OUT.values())
    assert all(NOT_HELD.values())


def test_every_type_of_the_template_is_read_back():
    with standing_stack(ALL) as account:
        assert {said["Type"] for said in account.stack.resources.values()} == READERS.keys()


def test_the_stack_tells_its_tags_its_protection_its_policy_and_its_outputs():
    with standing_stack(ALL) as account:
        look = account.clients.cloudformation
        said = _one(look.describe_stacks(StackName="project02-kpi")["Stacks"])
        policy = look.get_stack_policy(StackName="project02-kpi")["StackPolicyBody"]
    outputs = values(said)
    assert {tag["Key"]: tag["Value"] for tag in said["Tags"]} == names.tags(ALL)
    assert said["EnableTerminationProtection"]
    assert json.loads(policy) == STACK_POLICY
    assert outputs["InstanceId"] == account.ids["Instance"]
    assert outputs["PublicAddress"] == account.ids["Address"]
    assert outputs["AmiId"] == account.inputs.ami
    assert outputs["DeployRoleArn"] == "arn:aws:iam::123456789012:role/project02-kpi-deploy"


def test_without_an_elastic_address_the_output_is_that_of_the_instance():
    with standing_stack(LEAST) as account:
        said = _one(account.clients.cloudformation.describe_stacks(StackName="project02-kpi")["Stacks"])
        found = account.clients.ec2.describe_instances(InstanceIds=[account.ids["Instance"]])["Reservations"]
        assert values(said)["PublicAddress"] == _one(_one(found)["Instances"])["PublicIpAddress"]


def test_it_lies_in_its_region():
    with standing_stack(Settings()) as account:
        told = account.clients.ec2.describe_subnets(SubnetIds=[account.ids["Subnet"]])["Subnets"]
        assert _one(told)["AvailabilityZone"].startswith(account.region)


def test_its_protection_can_be_left_off():
    with standing_stack(LEAST, protected=False) as account:
        said = _one(account.clients.cloudformation.describe_stacks(StackName="project02-kpi")["Stacks"])
        assert not said["EnableTerminationProtection"]


def test_what_is_damaged_afterwards_is_seen():
    with standing_stack(ALL) as account:
        ids, ec2 = account.ids, account.clients.ec2
        ec2.delete_vpc_endpoints(VpcEndpointIds=[ids["S3Endpoint"]])
        ec2.modify_instance_metadata_options(InstanceId=ids["Instance"], HttpTokens="optional")
        account.clients.s3.delete_public_access_block(Bucket=ids["Bucket"])
        account.clients.cloudwatch.delete_alarms(AlarmNames=[ids["DiskAlarm"]])
        assert {name for name in ids if differences(account, name)} == {"S3Endpoint", "Instance", "Bucket", "DiskAlarm"}
        assert differences(account, "Instance") == {"AWS::EC2::Instance.MetadataOptions"}


def test_each_stack_stands_in_an_account_of_its_own():
    with standing_stack(ALL) as first:
        first.clients.s3.create_bucket(
            Bucket="left-behind", CreateBucketConfiguration={"LocationConstraint": first.region}
        )
        first.clients.iam.delete_role_policy(RoleName="project02-kpi-etl", PolicyName="publish")
    with standing_stack(ALL) as second:
        assert second.ids["Instance"] != first.ids["Instance"]
        assert [bucket["Name"] for bucket in second.clients.s3.list_buckets()["Buckets"]] == [second.ids["Bucket"]]
        assert differences(second, "EtlRole") == set()


def test_the_environment_is_afterwards_as_it_was():
    before = dict(os.environ)
    with standing_stack(Settings()) as account:
        assert account.session.client("sts").get_caller_identity()["Account"] == account.inputs.account
    assert dict(os.environ) == before


# --- the contrary ----------------------------------------------------------------------------------------------------

OTHER_WORDS = {
    "Allow": "Deny",
    "Average": "Sum",
    "BucketOwnerEnforced": "ObjectWriter",
    "AES256": "aws:kms",
    "Enabled": "Suspended",
    "Maximum": "Minimum",
    "Minimum": "Maximum",
    "Seconds": "Count",
    "Count": "Seconds",
    "breaching": "ignore",
    "default": "dedicated",
    "disabled": "enabled",
    "enabled": "disabled",
    "gp3": "gp2",
    "missing": "ignore",
    "notBreaching": "ignore",
    "required": "optional",
    "standard": "unlimited",
    "tcp": "udp",
    "udp": "tcp",
}


def to_the_contrary(resources):
    for said in resources.values():
        said["Properties"] = _contrary(said["Properties"])


def _contrary(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [_contrary(item) for item in value]
    if isinstance(value, dict):
        return {key: _contrary(item) for key, item in value.items()}
    return OTHER_WORDS.get(value, value)
