"""The template: valid for CloudFormation everywhere, as it should be, and every check of that shown to bite."""

import copy
import ipaddress

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.helpers import REGIONS

from etl.errors import StackError
from ops.settings import DashboardSettings, HostSettings, S3Settings, Settings, StackSettings
from ops.stack.inputs import Inputs
from ops.stack.template import template
from tests.stack_documents import ACCOUNT, AMI, REGION, Loader, Stack, settings_with
from tests.stack_posture import CHECKS
from tests.stack_wiring import WIRING

JUDGES = [*CHECKS, *WIRING]
MOST_BYTES = 51_200  # that CloudFormation takes with a call
# AWS's commercial regions: those that have t2.micro, and those that have only t3.micro and later ones.
OLDER = (
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("ca-central-1", "eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
NEWER = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
    *("ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2"),
    *("il-central-1", "me-central-1", "me-south-1", "mx-central-1"),
)
FULL = settings_with(
    admin_networks=("203.0.113.7/32", "2001:db8::/48"),
    viewer_networks=("198.51.100.0/24",),
    door_for_probe=True,
    alarm_email="ops@example.org",
    key_pair="desk",
)
VARIANTS = {
    "as it comes": Settings(),
    "with all": FULL,
    "open to the world": settings_with(open_to_the_world=True),
    "a domain": Settings(
        host=HostSettings(domain="kpi.example.org"), stack=StackSettings(viewer_networks=("198.51.100.0/24",))
    ),
    "without session manager": settings_with(ssm=False, elastic_ip=False),
    "keys of one's own": Settings(s3=S3Settings(encryption="aws:kms")),
}


def inputs(settings, **more):
    return Inputs(settings, ACCOUNT, REGION, AMI, **more)


def read(settings, **more):
    return Stack(template(inputs(settings, **more)))


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_every_check_of_the_posture_holds(settings):
    stack = read(settings)
    for judge in JUDGES:
        judge(stack, settings)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_cloudformation_takes_it_in_one_call(settings):
    assert len(template(inputs(settings)).encode()) < MOST_BYTES


@pytest.mark.parametrize(
    ("settings", "regions"),
    [
        (FULL, OLDER),
        (
            FULL.model_copy(update={"stack": FULL.stack.model_copy(update={"instance_type": "t3.micro"})}),
            NEWER,
        ),
        *((settings, OLDER[:1]) for settings in VARIANTS.values() if settings is not FULL),
    ],
    ids=["everything, older regions", "everything, newer regions", *(name for name in VARIANTS if name != "with all")],
)
def test_cfn_lint_finds_nothing(settings, regions):
    assert linted(template(inputs(settings)), regions) == []


def linted(text, regions=OLDER[:1]):
    """What cfn-lint has to say, down to its remarks."""
    return [str(found) for found in lint(text, config=ManualArgs(regions=list(regions), include_checks=["I"]))]


def test_cfn_lint_knows_no_other_region():
    others = ("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")  # partitions of their own
    assert {*OLDER, *NEWER} == {region for region in REGIONS if not region.startswith(others)}


def test_cfn_lint_finds_what_is_misspelt():
    text = template(inputs(Settings()))
    assert linted(text.replace("HttpTokens: required", "HttpToken: required"))
    assert linted(text.replace("s3:GetObjectVersion", "s3:GetObjctVersion"))
    assert linted(text.replace("RetentionInDays: 30", "RetentionInDays: 31"))


def test_an_account_s_own_provider_for_github_is_used_where_there_is_one():
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    assert linted(template(inputs(FULL, oidc_provider=arn))) == []
    stack = read(FULL, oidc_provider=arn)
    assert "OidcProvider" not in stack.resources
    (trust,) = stack.properties("EtlRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Federated": arn}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(s3=S3Settings(prefix="a*")), "prefix = 'a*/'"),
        (Settings(s3=S3Settings(prefix="${aws:username}")), "prefix = '${aws:username}/'"),
        (Settings(s3=S3Settings(prefix='a"b: #')), "[s3] prefix"),
        (settings_with(security_group="sg-mine"), "names that begin with sg- are AWS's own"),
        (settings_with(name="a" * 58), f"the role {'a' * 58}-deploy would have 65 letters"),
        (Settings(dashboard=DashboardSettings(port=22), stack=StackSettings(open_to_the_world=True)), "22 is SSH's"),
        (Settings(dashboard=DashboardSettings(port=0)), "port = 0"),
    ],
    ids=str,
)
def test_what_aws_would_refuse_or_misunderstand_is_refused_before(settings, said):
    with pytest.raises(StackError) as refused:
        template(inputs(settings))
    assert said in refused.value.seen


@pytest.mark.parametrize(
    "settings",
    [
        settings_with(name="yes", role="on", security_group="null", project="1", environment="no", key_pair="it's #1"),
        Settings(s3=S3Settings(bucket="0123", prefix="it's/(a)/day=1/"), host=HostSettings(name='a: "b" #é')),
        Settings(stack=StackSettings(viewer_networks=("2001:db8:0::/48", "2001:DB8::/48", "10.0.0.0/8", "10.0.0.0/8"))),
    ],
    ids=["words of YAML", "digits and signs", "networks said twice"],
)
def test_values_are_taken_as_they_are_said(settings):
    stack = read(settings)
    assert stack.resources["Bucket"]["Properties"]["BucketName"] == settings.s3.bucket
    assert stack.resources["Topic"]["Properties"]["TopicName"] == f"{settings.stack.name}-alarms"
    assert stack.resources["Dashboard"]["Properties"]["DashboardName"] == settings.stack.name
    assert stack.resources["Role"]["Properties"]["RoleName"] == settings.stack.role
    assert {"Key": "Name", "Value": settings.host.name} in stack.properties("Instance")["Tags"]
    assert len(stack.of_type("EC2::SecurityGroupIngress")) == len(_networks(settings))
    assert linted(template(inputs(settings))) == []


def _networks(settings):
    return {str(ipaddress.ip_network(network)) for network in settings.stack.viewer_networks}


def test_what_others_need_to_know_is_told():
    told = read_outputs(FULL)
    roles = {"EtlRoleArn", "ProbeRoleArn", "DeployRoleArn"}
    assert set(told) == roles | {
        *("InstanceId", "PublicAddress", "BucketName", "SecurityGroupId", "RoleArn", "TopicArn", "AmiId"),
        "DashboardUrl",
    }
    assert told["AmiId"] == {"Value": AMI}
    assert not roles & set(read_outputs(Settings()))


def read_outputs(settings):
    return yaml.load(template(inputs(settings)), Loader)["Outputs"]


@pytest.mark.parametrize("kind", ["t2.micro", "t3a.small", "t4g.small", "trn1.2xlarge", "m7i.large"])
def test_only_machines_that_save_credits_are_told_how_to_spend_them(kind):
    bursts = kind[:2] in {"t2", "t3", "t4"}
    assert ("CreditSpecification" in read(settings_with(instance_type=kind)).properties("Instance")) is bursts


def test_a_network_more_touches_no_other_rule():
    before = set(read(settings_with(viewer_networks=("198.51.100.0/24",))).resources)
    after = set(read(settings_with(viewer_networks=("192.0.2.0/24", "198.51.100.0/24"))).resources)
    assert before < after
    assert len(after - before) == 1


def at(*path):
    """A change of one value of the template, or with a function of what it was; GONE removes it."""

    def mutate(resources, value):
        *way, last = path
        place = resources
        for step in way:
            place = place[step]
        if value is GONE:
            del place[last]
        else:
            place[last] = value(place[last]) if callable(value) else value

    return mutate


GONE = object()
BUCKET = ("Bucket", "Properties")
PUBLIC = (*BUCKET, "PublicAccessBlockConfiguration")
LIFE = (*BUCKET, "LifecycleConfiguration", "Rules")
HOST = ("Instance", "Properties")
DISK = (*HOST, "BlockDeviceMappings", 0, "Ebs")
METADATA = (*HOST, "MetadataOptions")
ROLE = ("Role", "Properties")
READS = (*ROLE, "Policies", 0, "PolicyDocument", "Statement")
TELLS = (*ROLE, "Policies", 1, "PolicyDocument", "Statement")
TRUST = ("DeployRole", "Properties", "AssumeRolePolicyDocument", "Statement", 0)
CLAIMS = (*TRUST, "Condition", "StringEquals")
GITHUB_HOST = "token.actions.githubusercontent.com"
GROUP = ("SecurityGroup", "Properties")
ALARM = ("DiskAlarm", "Properties")
TLS = ("BucketPolicy", "Properties", "PolicyDocument", "Statement")
ENDPOINT = ("S3Endpoint", "Properties", "PolicyDocument", "Statement")
ANY = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
OPEN = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}

MUTATIONS = {
    "public acls are let in": (at(*PUBLIC, "BlockPublicAcls"), False),
    "public policies are let in": (at(*PUBLIC, "BlockPublicPolicy"), False),
    "public acls count": (at(*PUBLIC, "IgnorePublicAcls"), False),
    "public buckets are not restricted": (at(*PUBLIC, "RestrictPublicBuckets"), False),
    "no public access block": (at(*PUBLIC), GONE),
    "acls are possible": (at(*BUCKET, "OwnershipControls", "Rules"), [{"ObjectOwnership": "ObjectWriter"}]),
    "a canned acl": (at(*BUCKET, "AccessControl"), "PublicRead"),
    "no encryption": (at(*BUCKET, "BucketEncryption"), GONE),
    "another encryption": (
        at(*BUCKET, "BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault"),
        {"SSEAlgorithm": "aws:kms"},
    ),
    "no versions": (at(*BUCKET, "VersioningConfiguration"), {"Status": "Suspended"}),
    "old versions go at once": (at(*LIFE, 0, "NoncurrentVersionExpiration"), {"NoncurrentDays": 1}),
    "old versions stay": (at(*LIFE, 0, "Status"), "Disabled"),
    "aborted uploads stay": (at(*LIFE), lambda rules: rules[:1]),
    "current files expire": (at(*LIFE, 0, "ExpirationInDays"), 30),
    "the bucket goes with the stack": (at("Bucket", "DeletionPolicy"), "Delete"),
    "a failed creation leaves the bucket": (at("Bucket", "DeletionPolicy"), "Retain"),
    "a replaced bucket goes": (at("Bucket", "UpdateReplacePolicy"), GONE),
    "another bucket": (at(*BUCKET, "BucketName"), "project02-kpi-ecommerce-2"),
    "plain http is let in": (at(*TLS, 0, "Condition", "Bool", "aws:SecureTransport"), "true"),
    "plain http reaches objects": (at(*TLS, 0, "Resource"), lambda resources: resources[:1]),
    "a bucket policy that allows": (at(*TLS), lambda statements: [*statements, ANY]),
    "no tls rule": (at(*TLS, 0, "Effect"), "Allow"),
    "ssh for the world": (at(*GROUP, "SecurityGroupIngress"), [OPEN]),
    "ssh for the world by a rule of its own": (
        at("More"),
        {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": OPEN},
    ),
    "every port for a viewer": (
        at("More"),
        {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {**OPEN, "CidrIp": "198.51.100.0/24", "ToPort": 65535},
        },
    ),
    "another port": (at(*GROUP, "SecurityGroupIngress"), [{**OPEN, "FromPort": 5432, "ToPort": 5432}]),
    "everything leaves": (
        at(*GROUP, "SecurityGroupEgress"),
        [{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1", "FromPort": -1, "ToPort": -1}],
    ),
    "one more thing leaves": (
        at("More"),
        {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp"}},
    ),
    "public addresses for all": (at("Subnet", "Properties", "MapPublicIpOnLaunch"), True),
    "the endpoint passes everything": (at(*ENDPOINT), [{**ANY, "Action": "*"}]),
    "the endpoint passes writes": (at(*ENDPOINT, 0, "Action"), "s3:*"),
    "old metadata": (at(*METADATA, "HttpTokens"), "optional"),
    "metadata for containers": (at(*METADATA, "HttpPutResponseHopLimit"), 2),
    "no word on metadata": (at(*METADATA), GONE),
    "a plain disk": (at(*DISK, "Encrypted"), False),
    "a disk that stays": (at(*DISK, "DeleteOnTermination"), False),
    "an older disk": (at(*DISK, "VolumeType"), "gp2"),
    "an image that changes": (at(*HOST, "ImageId"), "{{resolve:ssm:/aws/service/canonical/ubuntu}}"),
    "another group": (at(*HOST, "NetworkInterfaces", 0, "GroupSet"), ["sg-0fedcba9876543210"]),
    "credits without end": (at(*HOST, "CreditSpecification", "CPUCredits"), "unlimited"),
    "no role": (at(*HOST, "IamInstanceProfile"), "another"),
    "a secret at boot": (at(*HOST, "UserData"), {"Fn::Base64": "ssh_pwauth: false\ndisable_root: true\nTOKEN=x"}),
    "passwords at boot": (
        at(*HOST, "UserData", "Fn::Base64"),
        lambda text: text.replace("ssh_pwauth: false", "ssh_pwauth: true"),
    ),
    "everybody is the host": (at(*ROLE, "AssumeRolePolicyDocument", "Statement", 0, "Principal"), {"AWS": "*"}),
    "another role": (at(*ROLE, "RoleName"), "EC2_Project02"),
    "an administrator": (at(*ROLE, "ManagedPolicyArns"), ["arn:aws:iam::aws:policy/AdministratorAccess"]),
    "the host writes": (at(*READS, 0, "Action"), ["s3:GetObject", "s3:PutObject"]),
    "the host reads all": (at(*READS, 0, "Resource"), "arn:aws:s3:::project02-kpi-ecommerce/*"),
    "the host lists all": (at(*READS, 1, "Condition"), GONE),
    "metrics of any namespace": (at(*TELLS, 0, "Condition"), GONE),
    "any log group": (at(*TELLS, 1, "Resource"), "*"),
    "parameters of the account": (at(*ROLE, "Policies"), lambda policies: policies[:2]),
    "any repository": (at(*CLAIMS), {f"{GITHUB_HOST}:aud": "sts.amazonaws.com"}),
    "any audience": (at(*CLAIMS, f"{GITHUB_HOST}:aud"), GONE),
    "a name that can change hands": (at(*CLAIMS, f"{GITHUB_HOST}:repository_id"), GONE),
    "any branch": (at(*TRUST, "Condition"), {"StringLike": {f"{GITHUB_HOST}:sub": "repo:shop-owner/kpi-ops:*"}}),
    "what is missing holds": (
        at(*TRUST, "Condition"),
        lambda said: {"ForAllValues:StringEquals": said["StringEquals"]},
    ),
    "a workflow reaches every host": (
        at("DeployRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 1, "Resource"),
        "*",
    ),
    "a workflow passes roles": (
        at("DeployRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 2, "Action"),
        ["iam:PassRole"],
    ),
    "the probe opens every group": (
        at("ProbeRole", "Properties", "Policies", 1, "PolicyDocument", "Statement", 1, "Resource"),
        "*",
    ),
    "the probe publishes": (
        at("ProbeRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 0),
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"},
    ),
    "logs for ever": (at("ChecksLog", "Properties", "RetentionInDays"), GONE),
    "a log group that no agent writes": (at("SystemLog", "Properties", "LogGroupName"), "/kpi-ops/sys"),
    "a filter that sees nothing": (at("DataAgeFilter", "Properties", "FilterPattern"), "nothing"),
    "a filter of other logs": (at("DataAgeFilter", "Properties", "LogGroupName"), "/kpi-ops/dashboard"),
    "no filter": (at("SelfCheckFailedFilter"), GONE),
    "an alarm that is off": (at(*ALARM, "ActionsEnabled"), False),
    "an alarm that nobody hears": (at(*ALARM, "AlarmActions"), []),
    "an alarm without an end": (at(*ALARM, "OKActions"), []),
    "an alarm that silence calms": (at(*ALARM, "TreatMissingData"), "notBreaching"),
    "an alarm that says nothing of silence": (at(*ALARM, "TreatMissingData"), GONE),
    "an alarm that rings too late": (at(*ALARM, "Threshold"), 99),
    "an alarm of another host": (at(*ALARM, "Dimensions", 0, "Value"), "i-0fedcba9876543210"),
    "no alarm": (at("DataOldAlarm"), GONE),
    "a broken machine is not left": (at("SystemCheckAlarm", "Properties", "AlarmActions"), lambda actions: actions[:1]),
    "a topic of aws's key": (at("Topic", "Properties", "KmsMasterKeyId"), "alias/aws/sns"),
    "a topic for everybody": (at("TopicPolicy", "Properties", "PolicyDocument", "Statement", 0, "Condition"), GONE),
    "a dashboard of nothing": (at("Dashboard", "Properties", "DashboardBody"), "{}"),
    "no tags on the bucket": (at(*BUCKET, "Tags"), GONE),
    "no tags on disks": (at(*HOST, "PropagateTagsToVolumeOnCreation"), False),
    "a name that is worked out": (at(*BUCKET, "BucketName"), {"Fn::Sub": "project02-kpi-ecommerce"}),
}


@pytest.mark.parametrize(("mutate", "value"), MUTATIONS.values(), ids=MUTATIONS)
def test_a_template_that_is_weakened_in_one_line_is_caught(mutate, value, full):
    stack = copy.deepcopy(full)
    mutate(stack.resources, value)
    assert [judge.__name__ for judge in JUDGES if not holds(judge, stack)]


@pytest.fixture(scope="module")
def full():
    return read(FULL)


def holds(judge, stack):
    """Whether a check passes; a part that is missing, or is not what a check reads, is no pass."""
    try:
        judge(stack, FULL)
    except (AssertionError, LookupError, StopIteration, TypeError, ValueError):
        return False
    return True
