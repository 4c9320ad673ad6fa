"""The whole stack of the template standing on moto, in this process: as AWS would have it, as far as moto can hold it.

moto's CloudFormation makes what it knows of the template. What it leaves out (LEFT_OUT) is then put right with boto3's
public calls, from the very same template: nothing of moto is replaced, and nothing here knows what the template says.
What moto cannot hold by any call is in NOT_HELD. test_stack_on_moto.py reads all of it back, property by property, and
fails when moto has learned something that is listed here, or has unlearned something that is not.

    with standing_stack(settings) as account:
        account.clients.ec2.describe_instances(InstanceIds=[account.ids["Instance"]])

The stack is made by CreateStack: moto tells a stack's protection for that call alone, and cannot change it afterwards.
What is different from AWS all the same: the stack itself lists what moto's CloudFormation made and is UPDATE_COMPLETE
(its outputs are added last); only that has the tags aws:cloudformation:*; an address that alarms are mailed to is
confirmed at once; the image is the account's own.
"""

import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import boto3
import yaml
from moto import mock_aws

from ops.cloud import stacks
from ops.settings import Settings
from ops.stack import names
from ops.stack.desk import Clients
from ops.stack.driver import CAPABILITIES, STACK_POLICY
from ops.stack.inputs import Inputs
from ops.stack.template import template
from tests.stack_documents import ACCOUNT, AMI, REGION, Loader, Stack

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "MOTO_ACCOUNT_ID": ACCOUNT,  # else moto asks the IAM of each partition of AWS whose key it is: 0.6 s and more
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # some 1,300 images that nobody asks for: 0.1 to 0.3 s
}
ZONE = f"{REGION}a"  # of itself moto would choose one of us-east-1
Change = Callable[[dict[str, Any]], None]
CONFIG = {"iam": {"load_aws_managed_policies": True}}  # the template attaches one: 0.1 s for each stack


@dataclass(frozen=True)
class Account:
    """An account in which the stack stands. `ids`: what each resource is called there, by its id in the template.

    `ids` has what Ref gives in CloudFormation; of a rule of the security group, its id.
    """

    clients: Clients
    session: boto3.Session
    settings: Settings
    inputs: Inputs
    ids: Mapping[str, str]
    region: str
    stack: "Standing"


class Standing(Stack):
    """A template whose Ref and GetAtt give what is really there."""

    def __init__(self, document):
        self.document = document
        self.resources = document["Resources"]
        self.ids = {}
        self.attributes = {}

    def _getatt(self, path):
        name, attribute = path
        known = self.attributes.get(name, {})
        return known[attribute] if attribute in known else super()._getatt(path)

    def _id(self, logical):
        return self.ids[logical]


@contextmanager
def standing_stack(
    settings: Settings, change: Change = lambda _resources: None, *, protected: bool = True
) -> Iterator[Account]:
    """An account of moto's with the stack of these settings, and nothing else but what each account has.

    `change` is given the resources of the template first, and may change them in place.
    """
    with _account(settings, change) as account:
        by_calls = left_to_calls(account.stack.resources)
        left = {name: said for name, said in account.stack.resources.items() if name not in by_calls}
        _create(account, left, protected=protected)
        _put_right(account)
        _tell_outputs(account, left)
        yield account


@contextmanager
def made_by_moto_alone(settings: Settings, change: Change = lambda _resources: None) -> Iterator[Account]:
    """What moto's CloudFormation makes of the whole template, with nothing put right. moto warns."""
    with _account(settings, change) as account:
        _create(account, account.stack.resources)
        yield account


@contextmanager
def _account(settings, change):
    with _environment(ENVIRONMENT), mock_aws(config=CONFIG):
        session, clients = _session()
        document = _parsed(template(Inputs(settings, ACCOUNT, REGION, AMI, zone=ZONE)))
        inputs = Inputs(settings, ACCOUNT, REGION, _image(clients), zone=ZONE)
        stack = Standing(json.loads(document.replace(AMI, inputs.ami)))
        change(stack.resources)
        yield Account(clients, session, settings, inputs, stack.ids, REGION, stack)


@contextmanager
def _environment(wanted):
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@functools.cache
def _session():
    """One for all: a client takes 50 ms to make and keeps nothing of an account."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return session, stacks.clients(session)


@functools.cache
def _parsed(text):
    """As JSON: PyYAML takes 70 ms for it, each time."""
    return json.dumps(yaml.load(text, Loader))


def _image(clients):
    """moto has no Ubuntu: one of the account's own, as the pinned image."""
    made = clients.ec2.register_image(
        Name="ubuntu", Architecture="x86_64", RootDeviceName="/dev/sda1", VirtualizationType="hvm"
    )
    return made["ImageId"]


# --- what moto's CloudFormation makes --------------------------------------------------------------------------------


def _create(account, resources, *, protected=True):
    name = account.settings.stack.name
    account.clients.cloudformation.create_stack(
        StackName=name,
        TemplateBody=_text(account, resources, outputs={}),
        Capabilities=list(CAPABILITIES),
        EnableTerminationProtection=protected,
        StackPolicyBody=json.dumps(STACK_POLICY),
        Tags=[{"Key": key, "Value": value} for key, value in names.tags(account.settings).items()],
    )
    for said in account.clients.cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]:
        account.ids[said["LogicalResourceId"]] = said["PhysicalResourceId"]


def _tell_outputs(account, resources):
    """As values: most are of what the stack's template does not have here."""
    said = account.stack.document["Outputs"]
    outputs = {name: {"Value": account.stack.worked_out(output["Value"])} for name, output in said.items()}
    account.clients.cloudformation.update_stack(
        StackName=account.settings.stack.name,
        TemplateBody=_text(account, resources, outputs),
        Capabilities=list(CAPABILITIES),
    )


def _text(account, resources, outputs):
    """JSON with tabs: moto tries it as YAML first, which is slow, and a tab ends that at once."""
    return json.dumps({**account.stack.document, "Resources": resources, "Outputs": outputs}, indent="\t")


def left_to_calls(resources):
    """The ids of those that moto does not make or makes wrongly, and of those that refer to one of them."""
    found = {name for name, said in resources.items() if said["Type"] in LEFT_OUT}
    while True:
        more = {name for name, said in resources.items() if found & _referred(said)}
        if more <= found:
            return found
        found |= more


def _referred(said):
    """The ids in the template that the properties of a resource refer to."""
    text = json.dumps(said.get("Properties", {}))
    return {*re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)"', text), *re.findall(r"\$\{(\w+)[.}]", text)}


# --- what it leaves out ----------------------------------------------------------------------------------------------


def _put_right(account):
    for name in list(account.ids):
        _look_up(account, name)
        _mend(account, name)
    resources = account.stack.resources
    waiting = [name for name in resources if name not in account.ids]
    while waiting:
        ready = next(name for name in waiting if _referred(resources[name]) <= account.ids.keys())
        waiting.remove(ready)
        account.ids[ready] = _maker(resources[ready]["Type"])(account, ready, account.stack.properties(ready))
        _mend(account, ready)


def _maker(kind):
    return LEFT_OUT[kind].put_right if kind in LEFT_OUT else REFERRING[kind]


def _mend(account, name):
    said = account.stack.resources[name]
    for key, value in said.get("Properties", {}).items():
        if gap := LEFT_OUT.get(f"{said['Type']}.{key}"):
            gap.put_right(account, name, account.stack.worked_out(value))


def _look_up(account, name):
    """What GetAtt gives that is not what Ref gives."""
    if account.stack.resources[name]["Type"] == "AWS::EC2::EIP":
        said = account.clients.ec2.describe_addresses(PublicIps=[account.ids[name]])["Addresses"][0]
        account.stack.attributes[name] = {"AllocationId": said["AllocationId"], "PublicIp": said["PublicIp"]}


# whole resources: each makes one, and gives what Ref gives for it


def _instance(account, name, wanted):
    same = ("ImageId", "InstanceType", "KeyName", "UserData", "EbsOptimized", "MetadataOptions", "BlockDeviceMappings")
    kinds = ("instance", "volume") if wanted["PropagateTagsToVolumeOnCreation"] else ("instance",)
    made = account.clients.ec2.run_instances(
        **{key: wanted[key] for key in same if key in wanted},
        **_credit(wanted.get("CreditSpecification")),
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[_interface(said) for said in wanted["NetworkInterfaces"]],
        IamInstanceProfile={"Name": wanted["IamInstanceProfile"]},
        Monitoring={"Enabled": wanted["Monitoring"]},
        TagSpecifications=[{"ResourceType": kind, "Tags": wanted["Tags"]} for kind in kinds],
    )["Instances"][0]
    groups = [group for said in wanted["NetworkInterfaces"] for group in said["GroupSet"]]
    account.clients.ec2.modify_instance_attribute(
        InstanceId=made["InstanceId"], Groups=groups
    )  # AWS tells them of both
    account.stack.attributes[name] = {"PublicIp": made.get("PublicIpAddress", "")}
    return made["InstanceId"]


def _credit(said):
    return {"CreditSpecification": {"CpuCredits": said["CPUCredits"]}} if said else {}


def _interface(said):
    same = ("SubnetId", "AssociatePublicIpAddress", "DeleteOnTermination")
    return {**{key: said[key] for key in same}, "Groups": said["GroupSet"], "DeviceIndex": int(said["DeviceIndex"])}


def _address_association(account, _name, wanted):
    return account.clients.ec2.associate_address(**wanted)["AssociationId"]


def _subnet_routes(account, _name, wanted):
    return account.clients.ec2.associate_route_table(**wanted)["AssociationId"]


def _ingress(account, _name, wanted):
    rule = {key: wanted[key] for key in ("IpProtocol", "FromPort", "ToPort")}
    said = {"Description": wanted["Description"]}
    if "CidrIpv6" in wanted:
        rule["Ipv6Ranges"] = [{"CidrIpv6": wanted["CidrIpv6"], **said}]
    else:
        rule["IpRanges"] = [{"CidrIp": wanted["CidrIp"], **said}]
    made = account.clients.ec2.authorize_security_group_ingress(GroupId=wanted["GroupId"], IpPermissions=[rule])
    return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]


def _bucket_policy(account, _name, wanted):
    account.clients.s3.put_bucket_policy(Bucket=wanted["Bucket"], Policy=json.dumps(wanted["PolicyDocument"]))
    return wanted["Bucket"]


def _provider(account, _name, wanted):
    made = account.clients.iam.create_open_id_connect_provider(
        Url=wanted["Url"], ClientIDList=wanted["ClientIdList"], Tags=wanted["Tags"]
    )
    return made["OpenIDConnectProviderArn"]


def _topic_policy(account, name, wanted):
    document = json.dumps(wanted["PolicyDocument"])
    for topic in wanted["Topics"]:
        account.clients.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document)
    return name


def _subscription(account, _name, wanted):
    return account.clients.sns.subscribe(**wanted, ReturnSubscriptionArn=True)["SubscriptionArn"]


def _alarm(account, _name, wanted):
    account.clients.cloudwatch.put_metric_alarm(**wanted)
    return wanted["AlarmName"]


def _metric_filter(account, _name, wanted):
    transformations = [_small(said) for said in wanted.pop("MetricTransformations")]
    account.clients.logs.put_metric_filter(**_small(wanted), metricTransformations=transformations)
    return wanted["FilterName"]


def _small(said):
    """As CloudWatch Logs writes its names."""
    return {key[0].lower() + key[1:]: value for key, value in said.items()}


def _role(account, _name, wanted):
    account.clients.iam.create_role(
        RoleName=wanted["RoleName"],
        Description=wanted["Description"],
        MaxSessionDuration=wanted["MaxSessionDuration"],
        AssumeRolePolicyDocument=json.dumps(wanted["AssumeRolePolicyDocument"]),
        Tags=wanted["Tags"],
    )
    return wanted["RoleName"]


def _dashboard(account, _name, wanted):
    account.clients.cloudwatch.put_dashboard(**wanted)
    return wanted["DashboardName"]


# single properties


def _host_names(account, name, wanted):
    account.clients.ec2.modify_vpc_attribute(VpcId=account.ids[name], EnableDnsHostnames={"Value": wanted})


def _name_server(account, name, wanted):
    account.clients.ec2.modify_vpc_attribute(VpcId=account.ids[name], EnableDnsSupport={"Value": wanted})


def _public_by_itself(account, name, wanted):
    account.clients.ec2.modify_subnet_attribute(SubnetId=account.ids[name], MapPublicIpOnLaunch={"Value": wanted})


def _tags(account, name, wanted):
    known = account.stack.attributes.get(name, {}).get("AllocationId") or account.ids[name]
    account.clients.ec2.create_tags(Resources=[known], Tags=wanted)


def _endpoint_policy(account, name, wanted):
    account.clients.ec2.modify_vpc_endpoint(VpcEndpointId=account.ids[name], PolicyDocument=json.dumps(wanted))


def _egress(account, name, wanted):
    group = account.ids[name]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    account.clients.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    rules = [
        {
            **{key: said[key] for key in ("IpProtocol", "FromPort", "ToPort")},
            "IpRanges": [{key: said[key] for key in ("CidrIp", "Description")}],
        }
        for said in wanted
    ]
    account.clients.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=rules)


def _encryption(account, name, wanted):
    rules = [
        {"ApplyServerSideEncryptionByDefault": said["ServerSideEncryptionByDefault"], **_bucket_key(said)}
        for said in wanted["ServerSideEncryptionConfiguration"]
    ]
    account.clients.s3.put_bucket_encryption(
        Bucket=account.ids[name], ServerSideEncryptionConfiguration={"Rules": rules}
    )


def _bucket_key(said):
    return {"BucketKeyEnabled": said["BucketKeyEnabled"]} if "BucketKeyEnabled" in said else {}


def _public_access(account, name, wanted):
    account.clients.s3.put_public_access_block(Bucket=account.ids[name], PublicAccessBlockConfiguration=wanted)


def _ownership(account, name, wanted):
    account.clients.s3.put_bucket_ownership_controls(Bucket=account.ids[name], OwnershipControls=wanted)


def _versioning(account, name, wanted):
    account.clients.s3.put_bucket_versioning(Bucket=account.ids[name], VersioningConfiguration=wanted)


def _lifecycle(account, name, wanted):
    """A rule without a filter is one for everything, which the API wants said."""
    rules = [{**said, "Filter": {"Prefix": ""}} for said in wanted["Rules"]]
    for rule in rules:
        rule["ID"] = rule.pop("Id")
    account.clients.s3.put_bucket_lifecycle_configuration(
        Bucket=account.ids[name], LifecycleConfiguration={"Rules": rules}
    )


def _managed_policies(account, name, wanted):
    for arn in wanted:
        account.clients.iam.attach_role_policy(RoleName=account.ids[name], PolicyArn=arn)


def _inline_policies(account, name, wanted):
    for said in wanted:
        account.clients.iam.put_role_policy(
            RoleName=account.ids[name],
            PolicyName=said["PolicyName"],
            PolicyDocument=json.dumps(said["PolicyDocument"]),
        )


def _topic_tags(account, name, wanted):
    account.clients.sns.tag_resource(ResourceArn=account.ids[name], Tags=wanted)


class Gap(NamedTuple):
    """`put_right` is given the account, the id in the template, and what it says there, worked out.

    For a whole type it makes the resource and gives what Ref gives for it; for a property it gives nothing.
    """

    reason: str
    put_right: Callable[[Account, str, Any], Any]


UNKNOWN = "moto's CloudFormation does not know the type, and warns"
IGNORED = "moto's CloudFormation passes over it"
AS_PYTHON = "moto keeps the document as Python writes it, which is no JSON"

LEFT_OUT = {
    "AWS::CloudWatch::Alarm": Gap(UNKNOWN, _alarm),
    "AWS::EC2::EIPAssociation": Gap(UNKNOWN, _address_association),
    "AWS::IAM::OIDCProvider": Gap(UNKNOWN, _provider),
    "AWS::Logs::MetricFilter": Gap(UNKNOWN, _metric_filter),
    "AWS::S3::BucketPolicy": Gap(UNKNOWN, _bucket_policy),
    "AWS::SNS::Subscription": Gap(UNKNOWN, _subscription),
    "AWS::SNS::TopicPolicy": Gap(UNKNOWN, _topic_policy),
    "AWS::EC2::Instance": Gap("made in another network, and that cannot be changed afterwards", _instance),
    "AWS::EC2::SecurityGroupIngress": Gap("no id is told, and rules for IPv6 are not made", _ingress),
    "AWS::EC2::SubnetRouteTableAssociation": Gap("kept where DescribeRouteTables does not look", _subnet_routes),
    "AWS::EC2::EIP.Tags": Gap(IGNORED, _tags),
    "AWS::EC2::InternetGateway.Tags": Gap("it has those of the stack alone", _tags),
    "AWS::EC2::RouteTable.Tags": Gap("it has those of the stack alone", _tags),
    "AWS::EC2::SecurityGroup.SecurityGroupEgress": Gap("all is let out", _egress),
    "AWS::EC2::Subnet.MapPublicIpOnLaunch": Gap(
        "passed over, and moto's own default is the contrary", _public_by_itself
    ),
    "AWS::EC2::VPC.EnableDnsHostnames": Gap(IGNORED, _host_names),
    "AWS::EC2::VPC.EnableDnsSupport": Gap(IGNORED, _name_server),
    "AWS::EC2::VPCEndpoint.PolicyDocument": Gap(AS_PYTHON, _endpoint_policy),
    "AWS::EC2::VPCEndpoint.Tags": Gap("it has those of the stack alone", _tags),
    "AWS::IAM::Role.ManagedPolicyArns": Gap(IGNORED, _managed_policies),
    "AWS::IAM::Role.Policies": Gap(AS_PYTHON, _inline_policies),
    "AWS::S3::Bucket.BucketEncryption": Gap("its BucketKeyEnabled is passed over", _encryption),
    "AWS::S3::Bucket.LifecycleConfiguration": Gap(IGNORED, _lifecycle),
    "AWS::S3::Bucket.OwnershipControls": Gap(IGNORED, _ownership),
    "AWS::S3::Bucket.PublicAccessBlockConfiguration": Gap(IGNORED, _public_access),
    "AWS::S3::Bucket.VersioningConfiguration": Gap(IGNORED, _versioning),
    "AWS::SNS::Topic.Tags": Gap(IGNORED, _topic_tags),
}
REFERRING = {"AWS::IAM::Role": _role, "AWS::CloudWatch::Dashboard": _dashboard}  # where one refers to what is left out
NOT_HELD = {
    "AWS::EC2::Instance.CreditSpecification": "moto says standard for each instance, whatever was asked",
}
