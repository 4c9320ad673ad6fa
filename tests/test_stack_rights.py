"""What the stack's roles, bucket, endpoint and topic allow: a table of what is allowed and what is not."""

import json
import re
from fnmatch import fnmatchcase

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from ops import monitoring
from ops.stack.policy import Decision, Principal, Request, allowed, decide
from tests.stack_documents import ACCOUNT, GROUP, INSTANCE, REGION, role_arn, settings_with, stack_of

BUCKET = "arn:aws:s3:::project02-kpi-ecommerce"
MANIFEST = f"{BUCKET}/processed/metadata.json"
TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
SSM = f"arn:aws:ssm:{REGION}"
RULE = f"{EC2}:security-group-rule/sgr-0123456789abcdef0"
HERE, ELSEWHERE = f"{EC2}:security-group/{GROUP}", f"{EC2}:security-group/sg-0fedcba9876543210"
MARKING = {
    "ec2:CreateAction": "AuthorizeSecurityGroupIngress",
    "aws:RequestTag/kpi-ops-probe": "x",
    "aws:TagKeys": ("kpi-ops-probe",),
}


@pytest.fixture(scope="module")
def stack():
    return stack_of(settings_with())


@pytest.fixture(scope="module")
def with_door():
    return stack_of(settings_with(door_for_probe=True))


def may(stack, role, action, resource="*", **context):
    documents, _ = stack.role_documents(role)
    bucket = stack.properties("BucketPolicy")["PolicyDocument"]
    name = role_arn(stack.properties(role)["RoleName"])
    keys = TLS | {key.replace("__", ":").replace("_tag_", "/"): value for key, value in context.items()}
    return allowed([*documents, bucket], Request(action, resource, keys, Principal("AWS", name)))


def granted(documents):
    """The actions that are allowed at all; none by a pattern."""
    said = [statement for document in documents for statement in document["Statement"]]
    listed = [statement["Action"] for statement in said if statement["Effect"] == "Allow"]
    return {action for actions in listed for action in ([actions] if isinstance(actions, str) else actions)}


# --- objects ---------------------------------------------------------------------------------------------------------

READ, WRITE = {"s3:GetObject", "s3:GetObjectVersion"}, {"s3:PutObject"}
MORE = {
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutObjectAcl",
    "s3:PutObjectTagging",
    "s3:GetObjectAcl",
    "s3:RestoreObject",
    "s3:BypassGovernanceRetention",
}
OBJECTS = {
    "Role": (READ, f"{BUCKET}/processed/"),
    "EtlRole": (READ | WRITE, f"{BUCKET}/processed/"),
    "ProbeRole": (READ, MANIFEST),
    "DeployRole": (set(), BUCKET),
}
RECORD = f"{BUCKET}/ops/audit/2026/11/23T120000Z-deploy-1.json"  # whoever changes something adds a line of it
RECORDS = {"EtlRole", "DeployRole"}
KEYS = [
    MANIFEST,
    f"{BUCKET}/processed/runs/20261122T060000Z/daily.parquet",
    f"{BUCKET}/processed/metadata.json.bak",
    f"{BUCKET}/raw/online_retail.csv",
    RECORD,
    f"{BUCKET}/ops/audit",
    f"{BUCKET}/processed",
    f"{BUCKET}/processedX/a",
    f"{BUCKET}/Processed/a",
    f"{BUCKET}/x/processed/metadata.json",
    f"{BUCKET}-evil/processed/metadata.json",
    "arn:aws:s3:::other/processed/metadata.json",
]


@pytest.mark.parametrize("role", OBJECTS)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("action", sorted(READ | WRITE | MORE))
def test_a_role_reaches_its_objects_in_its_ways_and_no_others(stack, role, action, key):
    actions, place = OBJECTS[role]
    within = key == place or (place.endswith("/") and key.startswith(place))
    records = role in RECORDS and action == "s3:PutObject" and key == RECORD
    assert may(stack, role, action, key) is (records or (action in actions and within))


@pytest.mark.parametrize("role", OBJECTS)
def test_nothing_is_reached_without_tls(stack, role):
    for key in KEYS:
        for action in READ | WRITE:
            assert not may(stack, role, action, key, aws__SecureTransport="false")


LISTS = {"Role": {"s3:ListBucket"}, "EtlRole": {"s3:ListBucket", "s3:ListBucketVersions"}}


@pytest.mark.parametrize("role", OBJECTS)
@pytest.mark.parametrize(
    ("prefix", "ours"),
    [
        ("processed/", True),
        ("processed/runs/", True),
        ("processed/metadata.json", True),
        ("raw/", False),
        ("processedX/", False),
        ("Processed/", False),
        ("p", False),
        ("", False),
        (None, False),
    ],
)
def test_a_role_lists_the_prefix_and_nothing_around_it(stack, role, prefix, ours):
    context = {} if prefix is None else {"s3__prefix": prefix}
    for action in ("s3:ListBucket", "s3:ListBucketVersions"):
        assert may(stack, role, action, BUCKET, **context) is (ours and action in LISTS.get(role, ()))
        assert not may(stack, role, action, "arn:aws:s3:::other", **context)
        assert not may(stack, role, action, f"{BUCKET}-evil", **context)


OUT_OF_REACH = [
    *("s3:ListAllMyBuckets", "s3:CreateBucket"),
    *("iam:PassRole", "iam:CreateUser", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:CreateAccessKey"),
    *("sts:AssumeRole", "cloudformation:UpdateStack", "cloudformation:CreateChangeSet", "cloudformation:DeleteStack"),
    *("ec2:RunInstances", "ec2:TerminateInstances", "ec2:ModifyInstanceAttribute", "ec2:ModifySecurityGroupRules"),
    *("ec2:AuthorizeSecurityGroupEgress", "ec2:DeleteSecurityGroup", "ec2:CreateSecurityGroup", "ec2:CreateTags"),
    *("ssm:PutParameter", "ssm:CreateDocument", "ssm:StartAutomationExecution", "secretsmanager:GetSecretValue"),
    *("kms:Decrypt", "logs:DeleteLogGroup", "logs:GetLogEvents", "sns:Publish", "cloudwatch:PutMetricAlarm"),
]
OUT_OF_REACH_OF_THE_BUCKET = [
    *("s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning"),
    *("s3:PutLifecycleConfiguration", "s3:PutEncryptionConfiguration", "s3:DeleteBucket", "s3:PutBucketAcl"),
    *("s3:PutBucketOwnershipControls", "s3:PutReplicationConfiguration"),
]


@pytest.mark.parametrize("role", OBJECTS)
def test_no_role_reaches_what_is_none_of_its_business(stack, with_door, role):
    for made in (stack, with_door):
        instance = f"{EC2}:instance/{INSTANCE}"
        for resource in ("*", BUCKET, MANIFEST, instance, HERE, role_arn("EC2_Project02_S3ReadOnly")):
            assert [action for action in OUT_OF_REACH if may(made, role, action, resource)] == []
        assert [action for action in OUT_OF_REACH_OF_THE_BUCKET if may(made, role, action, BUCKET)] == []


# --- the host --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespace", "ours"),
    [
        (monitoring.NAMESPACE, True),
        ("AWS/EC2", False),
        ("CWAgent", False),
        ("KpiOps2", False),
        ("kpiops", False),
        (None, False),
    ],
)
def test_the_host_writes_metrics_of_its_own_namespace_only(stack, namespace, ours):
    context = {} if namespace is None else {"cloudwatch__namespace": namespace}
    assert may(stack, "Role", "cloudwatch:PutMetricData", **context) is ours


@pytest.mark.parametrize("action", monitoring.LOG_ACTIONS)
def test_the_host_writes_to_its_own_log_groups_only(stack, action):
    stream = f"log-stream:{INSTANCE}" if action == "logs:PutLogEvents" else "log-stream:"
    for group in monitoring.LOG_GROUPS:
        assert may(stack, "Role", action, f"{LOGS}:{group}:{stream}")
        assert not may(stack, "Role", action, f"{LOGS}:{group}-evil:{stream}")
        assert not may(stack, "Role", action, f"{LOGS}:{group}/evil:{stream}")
        assert not may(stack, "Role", action, f"arn:aws:logs:{REGION}:210987654321:log-group:{group}:{stream}")
    assert not may(stack, "Role", action, f"{LOGS}:/aws/lambda/x:{stream}")
    assert not may(stack, "Role", action, f"{LOGS}:/kpi-ops/other:{stream}")


def test_the_host_s_role_allows_exactly_what_is_named(stack):
    documents, attached = stack.role_documents("Role")
    named = READ | {"s3:ListBucket"} | set(monitoring.METRIC_ACTIONS) | set(monitoring.LOG_ACTIONS)
    assert granted(documents) == named
    assert attached == ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]


def test_the_host_reads_no_parameter_of_the_account_though_aws_s_own_policy_would_let_it(stack):
    theirs = json.loads(aws_managed_policies_data)["AmazonSSMManagedInstanceCore"]["Document"]
    documents, _ = stack.role_documents("Role")
    for action in ("ssm:GetParameter", "ssm:GetParameters"):
        secret = Request(action, f"{SSM}:{ACCOUNT}:parameter/secret")
        assert allowed([theirs], secret)
        assert not allowed([theirs, *documents], secret)
    assert allowed([theirs, *documents], Request("ssm:UpdateInstanceInformation", f"{EC2}:instance/{INSTANCE}"))


def test_without_session_manager_nothing_is_attached_to_the_host_s_role():
    _, attached = stack_of(settings_with(ssm=False, admin_networks=("203.0.113.7/32",))).role_documents("Role")
    assert attached == []


# --- the workflows ---------------------------------------------------------------------------------------------------

DOOR = {
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSecurityGroupRules",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:CreateTags",
}


def test_the_etl_publishes_and_nothing_else(stack):
    assert stack.role_documents("EtlRole")[1] == []
    assert granted(stack.role_documents("EtlRole")[0]) == READ | WRITE | LISTS["EtlRole"]


def test_the_probe_reads_the_manifest_and_opens_the_door_only_where_the_settings_say_so(stack, with_door):
    assert granted(stack.role_documents("ProbeRole")[0]) == READ
    assert granted(with_door.role_documents("ProbeRole")[0]) == READ | DOOR
    assert stack.role_documents("ProbeRole")[1] == with_door.role_documents("ProbeRole")[1] == []


def test_the_probe_opens_and_closes_the_door_of_this_group_alone(with_door):
    for action in ("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"):
        assert may(with_door, "ProbeRole", action, HERE)
        assert not may(with_door, "ProbeRole", action, ELSEWHERE)
        assert not may(with_door, "ProbeRole", action, HERE.replace(REGION, "us-east-1"))
        assert not may(with_door, "ProbeRole", action, HERE.replace(ACCOUNT, "210987654321"))
    assert may(with_door, "ProbeRole", "ec2:AuthorizeSecurityGroupIngress", RULE)  # AWS judges the new rule as well
    assert may(with_door, "ProbeRole", "ec2:DescribeSecurityGroups")
    assert may(with_door, "ProbeRole", "ec2:DescribeSecurityGroupRules")


def tags(stack, resource, context):
    documents, _ = stack.role_documents("ProbeRole")
    return allowed(documents, Request("ec2:CreateTags", resource, context))


def test_the_probe_marks_the_rules_that_it_makes_and_nothing_else(with_door):
    assert tags(with_door, RULE, MARKING)
    assert not tags(with_door, RULE, {**MARKING, "ec2:CreateAction": "RunInstances"})
    assert not tags(with_door, RULE, {})  # a rule that is there is not marked afterwards
    assert not tags(with_door, HERE, MARKING)
    assert not tags(with_door, f"{EC2}:instance/{INSTANCE}", MARKING)


DOCUMENTS = ("AWS-RunShellScript", "AWS-StartSSHSession")


def test_a_deployment_reaches_this_instance_and_no_other(stack):
    assert may(stack, "DeployRole", "ssm:SendCommand", f"{EC2}:instance/{INSTANCE}")
    assert not may(stack, "DeployRole", "ssm:SendCommand", f"{EC2}:instance/i-0fedcba9876543210")
    assert not may(stack, "DeployRole", "ssm:StartSession", f"{EC2}:instance/i-0fedcba9876543210")
    assert not may(stack, "DeployRole", "ssm:SendCommand", f"arn:aws:ssm:{REGION}:{ACCOUNT}:managed-instance/mi-1")


def test_a_deployment_runs_the_documents_it_needs_and_no_others(stack):
    assert may(stack, "DeployRole", "ssm:SendCommand", f"{SSM}::document/AWS-RunShellScript")
    for action in ("ssm:SendCommand", "ssm:StartSession"):
        for name in (
            "AWS-RunRemoteScript",
            "AWS-ConfigureAWSPackage",
            "AWS-RunShellScript2",
            "AWS-StartPortForwardingSession",
        ):
            assert not may(stack, "DeployRole", action, f"{SSM}::document/{name}")
        assert not may(
            stack, "DeployRole", action, f"{SSM}:{ACCOUNT}:document/AWS-RunShellScript"
        )  # one's own of that name
    assert not may(stack, "DeployRole", "ssm:SendCommand", f"{SSM}::document/AWS-StartSSHSession")


def test_a_deployment_has_rights_of_ssm_and_none_of_iam_or_cloudformation(stack):
    documents, attached = stack.role_documents("DeployRole")
    assert attached == []
    assert {"ssm:SendCommand", "ssm:GetCommandInvocation"} <= granted(documents)
    assert {action.partition(":")[0] for action in granted(documents)} <= {"ssm", "ssmmessages", "ec2", "s3"}
    assert granted(documents) <= {
        "ssm:SendCommand",
        "ssm:GetCommandInvocation",
        "ssm:StartSession",
        "ssmmessages:OpenDataChannel",
        "ssm:DescribeInstanceInformation",
        "ec2:DescribeInstances",
        "s3:PutObject",  # of a line of history
    }


def test_no_role_is_given_an_action_by_a_pattern_or_by_what_it_is_not(stack, with_door):
    for made in (stack, with_door):
        for role in made.of_type("IAM::Role"):
            documents, _ = made.role_documents(role)
            assert [action for action in granted(documents) if re.search("[*?]", action)] == []
            text = str(documents)
            assert not any(word in text for word in ("NotAction", "NotResource", "NotPrincipal"))


# --- the bucket, the endpoint, the topic -----------------------------------------------------------------------------

ANYBODY = [
    None,
    Principal("AWS", f"arn:aws:iam::{ACCOUNT}:root"),
    Principal("AWS", role_arn("EC2_Project02_S3ReadOnly")),
    Principal("AWS", "arn:aws:iam::210987654321:user/evil"),
    Principal("Service", "cloudfront.amazonaws.com"),
]


@pytest.mark.parametrize("principal", ANYBODY, ids=str)
def test_the_bucket_refuses_everybody_without_tls_and_lets_nobody_in_by_itself(stack, principal):
    document = stack.properties("BucketPolicy")["PolicyDocument"]
    for resource in (BUCKET, f"{BUCKET}/", *KEYS[:4]):
        for action in ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject", "s3:PutBucketPolicy"):
            plain = Request(action, resource, {"aws:SecureTransport": "false"}, principal)
            assert decide([document], plain) is Decision.EXPLICIT_DENY
            assert decide([document], Request(action, resource, TLS, principal)) is Decision.IMPLICIT_DENY


PACKAGES = r"arn:aws:s3:::(amazoncloudwatch-agent|(amazon-ssm|aws-ssm|amazon-ssm-packages)-[a-z0-9-]+)/\*"


def passes(stack, action, resource, principal=None):
    document = stack.properties("S3Endpoint")["PolicyDocument"]
    return allowed([document], Request(action, resource, TLS, principal or Principal("AWS", role_arn("x"))))


def test_the_endpoint_passes_what_the_host_reads_and_nothing_of_another_bucket(stack):
    assert passes(stack, "s3:GetObject", MANIFEST)
    assert passes(stack, "s3:GetObjectVersion", MANIFEST)
    assert passes(stack, "s3:ListBucket", BUCKET)
    for action in sorted(WRITE | MORE) + OUT_OF_REACH_OF_THE_BUCKET:
        assert not passes(stack, action, MANIFEST)
        assert not passes(stack, action, BUCKET)
    for resource in ("arn:aws:s3:::other/a", f"{BUCKET}-evil/a", "arn:aws:s3:::other", f"{BUCKET}-evil", "*"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:ListAllMyBuckets"):
            assert not passes(stack, action, resource)


def test_what_else_the_endpoint_passes_are_packages_to_be_read(stack):
    document = stack.properties("S3Endpoint")["PolicyDocument"]
    for statement in document["Statement"]:
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for resource in resources:
            if not fnmatchcase(resource, f"{BUCKET}*"):
                assert re.fullmatch(PACKAGES, resource)
                assert granted([{"Statement": [statement]}]) == {"s3:GetObject"}


ALARM = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:x"}


def test_alarms_of_this_account_write_to_the_topic_and_nobody_else(stack):
    document, topic = stack.properties("TopicPolicy")["PolicyDocument"], stack.properties("TopicPolicy")["Topics"][0]
    alarms, foreign = (
        Principal("Service", "cloudwatch.amazonaws.com"),
        {name: value.replace(ACCOUNT, "210987654321") for name, value in ALARM.items()},
    )

    def said(action="sns:Publish", context=ALARM, principal=alarms, resource=topic):
        return allowed([document], Request(action, resource, TLS | context, principal))

    assert said()
    assert not said(context=foreign)
    assert not said(context={})
    assert not said(resource=f"{topic}2")
    for principal in (
        None,
        Principal("Service", "s3.amazonaws.com"),
        Principal("AWS", "arn:aws:iam::210987654321:root"),
    ):
        assert not said(principal=principal)
    for action in ("sns:Subscribe", "sns:SetTopicAttributes", "sns:DeleteTopic", "sns:AddPermission"):
        assert not said(action)
        assert not said(action, principal=Principal("AWS", "arn:aws:iam::210987654321:root"))
