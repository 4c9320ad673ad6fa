"""What must hold of the template as it is read: checks by name, each told by an AssertionError. Policies: by effect."""

import json

from ops import monitoring
from ops.stack import names
from ops.stack.limits import SSH_PORT
from ops.stack.policy import Principal, Request, allowed
from ops.stack.template import LOGS
from tests.stack_documents import ACCOUNT, REGION

UNTAGGED = {  # what CloudFormation can put no tags on, or what tags would be double on
    "EC2::VPCGatewayAttachment",
    "EC2::Route",
    "EC2::SubnetRouteTableAssociation",
    "EC2::SecurityGroupIngress",
    "EC2::EIPAssociation",
    "S3::BucketPolicy",
    "IAM::InstanceProfile",
    "Logs::MetricFilter",
    "SNS::TopicPolicy",
    "SNS::Subscription",
    "CloudWatch::Dashboard",
}
WORLDS = ("0.0.0.0/0", "::/0")
CHECKS = []


def check(judge):
    CHECKS.append(judge)
    return judge


@check
def the_bucket_is_closed_to_the_public(stack, _):
    assert stack.properties("Bucket")["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )


@check
def the_bucket_has_no_acls_and_one_owner(stack, _):
    properties = stack.properties("Bucket")
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "AccessControl" not in properties


@check
def the_bucket_is_encrypted_and_keeps_versions(stack, settings):
    properties = stack.properties("Bucket")
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == settings.s3.encryption
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}


@check
def the_bucket_forgets_old_versions_and_aborted_uploads_and_nothing_else(stack, settings):
    rules = {rule["Id"]: rule for rule in stack.properties("Bucket")["LifecycleConfiguration"]["Rules"]}
    assert all(rule["Status"] == "Enabled" for rule in rules.values())
    assert rules["older-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": settings.stack.noncurrent_days}
    assert rules["aborted-uploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7
    assert not any(key.startswith(("Expiration", "Transition")) for rule in rules.values() for key in rule)


@check
def the_bucket_outlives_the_stack_but_not_a_failed_creation(stack, settings):
    bucket = stack.resources["Bucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert bucket["Properties"]["BucketName"] == settings.s3.bucket


@check
def the_bucket_is_reached_by_tls_only(stack, settings):
    document = stack.properties("BucketPolicy")["PolicyDocument"]
    for resource in ("", "/a"):
        request = Request(
            "s3:GetObject", f"arn:aws:s3:::{settings.s3.bucket}{resource}", {"aws:SecureTransport": "false"}
        )
        assert {"Deny"} == {statement["Effect"] for statement in document["Statement"]}
        assert not allowed([_anything(), document], request)


def _anything():
    return {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def rules(stack):
    listed = [stack.properties(name) for name in stack.of_type("EC2::SecurityGroupIngress")]
    return [*listed, *stack.properties("SecurityGroup").get("SecurityGroupIngress", [])]


@check
def ssh_is_for_administrators_only(stack, settings):
    networks = {_network(rule) for rule in rules(stack) if rule["FromPort"] <= SSH_PORT <= rule["ToPort"]}
    assert networks == set(settings.stack.admin_networks)
    assert not networks & set(WORLDS)


@check
def viewers_reach_the_dashboard_and_nothing_else(stack, settings):
    wanted = {*settings.stack.viewer_networks, *(["0.0.0.0/0"] if settings.stack.open_to_the_world else [])}
    ports = set(names.public_ports(settings)) if wanted else set()
    found = [rule for rule in rules(stack) if rule["FromPort"] != SSH_PORT]
    assert {rule["FromPort"] for rule in found} == {rule["ToPort"] for rule in found} == ports
    assert {_network(rule) for rule in found} == wanted
    assert {rule["IpProtocol"] for rule in rules(stack)} <= {"tcp"}
    assert not any("SourceSecurityGroupId" in rule or "SourcePrefixListId" in rule for rule in rules(stack))


def _network(rule):
    return rule.get("CidrIp") or rule.get("CidrIpv6")


@check
def what_leaves_the_host_is_the_web_and_names(stack, settings):
    found = {
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIp"])
        for rule in stack.properties("SecurityGroup")["SecurityGroupEgress"]
    }
    web = {("tcp", port, port, "0.0.0.0/0") for port in (80, 443)}
    assert found == web | {(protocol, 53, 53, settings.stack.network) for protocol in ("tcp", "udp")}
    assert stack.of_type("EC2::SecurityGroupEgress") == []


@check
def the_network_has_one_way_out_and_a_private_one_to_the_bucket(stack, settings):
    assert stack.properties("DefaultRoute")["GatewayId"] == stack.worked_out({"Ref": "InternetGateway"})
    assert len(stack.of_type("EC2::Route")) == 1
    assert stack.properties("Subnet")["MapPublicIpOnLaunch"] is False
    assert stack.properties("S3Endpoint")["VpcEndpointType"] == "Gateway"
    document = stack.properties("S3Endpoint")["PolicyDocument"]
    own = f"arn:aws:s3:::{settings.s3.bucket}/x"
    assert allowed([document], Request("s3:GetObject", own))
    assert not allowed([document], Request("s3:PutObject", own))
    assert not allowed([document], Request("s3:GetObject", "arn:aws:s3:::somebodys/x"))


@check
def the_instance_hands_its_role_to_nobody_by_old_metadata(stack, _):
    assert stack.properties("Instance")["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
        "InstanceMetadataTags": "disabled",
    }


@check
def the_disk_is_encrypted_and_goes_with_the_instance(stack, settings):
    (disk,) = stack.properties("Instance")["BlockDeviceMappings"]
    assert disk["Ebs"] == {
        "VolumeType": "gp3",
        "VolumeSize": settings.stack.disk_gb,
        "Encrypted": True,
        "DeleteOnTermination": True,
    }


@check
def the_instance_is_of_the_pinned_image_and_in_our_group_alone(stack, settings):
    properties = stack.properties("Instance")
    assert properties["ImageId"].startswith("ami-")
    assert properties["InstanceType"] == settings.stack.instance_type
    (interface,) = properties["NetworkInterfaces"]
    assert interface["GroupSet"] == [stack.worked_out({"Fn::GetAtt": ["SecurityGroup", "GroupId"]})]
    assert properties["IamInstanceProfile"] == stack.worked_out({"Ref": "InstanceProfile"})
    if settings.stack.instance_type.startswith("t"):
        assert properties["CreditSpecification"] == {"CPUCredits": "standard"}


@check
def the_first_boot_holds_no_secret_and_shuts_passwords_out(stack, _):
    text = stack.resources["Instance"]["Properties"]["UserData"]["Fn::Base64"]
    assert len(text) < 16 * 1024
    assert "ssh_pwauth: false" in text
    assert "disable_root: true" in text
    assert not any(word in text.lower() for word in ("secret", "aws_", "token", "passwd", "password:"))


@check
def the_role_is_for_instances_and_read_only(stack, settings):
    properties = stack.properties("Role")
    assert properties["RoleName"] == settings.stack.role
    trust = properties["AssumeRolePolicyDocument"]
    taking = [
        Request("sts:AssumeRole", "*", {}, who) for who in (Principal("Service", "ec2.amazonaws.com"), _foreign())
    ]
    assert [allowed([trust], request) for request in taking] == [True, False]
    documents, attached = stack.role_documents("Role")
    assert set(attached) <= {f"arn:aws:iam::aws:policy/{names.SSM_POLICY}"}
    bucket = f"arn:aws:s3:::{settings.s3.bucket}"
    told = {
        ("s3:GetObject", f"{bucket}/{settings.s3.prefix}a", ()): True,
        ("s3:GetObject", f"{bucket}/raw/a", ()): False,
        ("s3:PutObject", f"{bucket}/{settings.s3.prefix}a", ()): False,
        ("s3:DeleteObject", f"{bucket}/{settings.s3.prefix}a", ()): False,
        ("s3:ListBucket", bucket, (("s3:prefix", settings.s3.prefix),)): True,
        ("s3:ListBucket", bucket, ()): False,
        ("s3:ListAllMyBuckets", "*", ()): False,
        ("cloudwatch:PutMetricData", "*", (("cloudwatch:namespace", monitoring.NAMESPACE),)): True,
        ("cloudwatch:PutMetricData", "*", (("cloudwatch:namespace", "AWS/EC2"),)): False,
        ("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/other:log-stream:x", ()): False,
        ("iam:PassRole", "*", ()): False,
    }
    found = {asked: allowed(documents, Request(asked[0], asked[1], dict(asked[2]))) for asked in told}
    assert found == told
    if attached:
        assert not allowed([*documents, _anything()], Request("ssm:GetParameter", "*"))


def _foreign():
    return Principal("AWS", "arn:aws:iam::210987654321:root")


@check
def workflows_take_their_roles_from_one_environment_of_one_repository(stack, settings):
    provider = Principal("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/{names.GITHUB_HOST}")
    host = names.GITHUB_HOST
    for role, (_, environment) in names.workflow_roles(settings).items():
        trust = stack.properties(role)["AssumeRolePolicyDocument"]
        github = settings.stack.github
        good = {
            f"{host}:aud": names.AUDIENCE,
            f"{host}:sub": names.subjects(settings, environment)[0],
            f"{host}:repository_id": github.repository_id,
        }
        told = {"aud", "sub"} | ({"repository_id"} if github.repository_id else set())
        bad = [{**good, f"{host}:{claim}": value} for claim, value in _WRONG if claim in told] + [{}]
        assert allowed([trust], Request("sts:AssumeRoleWithWebIdentity", "*", good, provider))
        assert not any(allowed([trust], Request("sts:AssumeRoleWithWebIdentity", "*", each, provider)) for each in bad)
        assert not allowed([trust], Request("sts:AssumeRole", "*", good, _foreign()))


_WRONG = [
    ("aud", "sts.amazonaws.com.cn"),
    ("sub", "repo:shop-owner/kpi-ops:pull_request"),
    ("sub", "repo:shop-owner/kpi-ops:ref:refs/heads/main"),
    ("sub", "repo:shop-owner/kpi-ops-2:environment:etl"),
    ("sub", "repo:evil/kpi-ops:environment:production"),
    ("repository_id", "333"),
]


@check
def workflows_may_do_their_own_work_only(stack, settings):
    bucket = f"arn:aws:s3:::{settings.s3.bucket}"
    for role in names.workflow_roles(settings):
        documents, attached = stack.role_documents(role)
        assert attached == []
        for action in (
            "iam:PassRole",
            "cloudformation:UpdateStack",
            "s3:DeleteObject",
            "s3:PutBucketPolicy",
            "ec2:RunInstances",
        ):
            assert not allowed(documents, Request(action, "*"))
        assert not allowed(documents, Request("s3:GetObject", f"{bucket}/raw/a"))
        assert allowed(documents, Request("s3:PutObject", f"{bucket}/{settings.s3.prefix}a")) is (role == "EtlRole")
        elsewhere = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0fedcba9876543210"
        assert not allowed(documents, Request("ssm:StartSession", elsewhere))
        opens = Request(
            "ec2:AuthorizeSecurityGroupIngress", f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/sg-0fedcba98"
        )
        assert not allowed(documents, opens)


@check
def logs_are_those_of_the_agent_and_end_some_day(stack, settings):
    found = {name: stack.properties(name) for name in stack.of_type("Logs::LogGroup")}
    assert {name: group["LogGroupName"] for name, group in found.items()} == LOGS
    assert {group["RetentionInDays"] for group in found.values()} == {settings.host.agent.log_days}


@check
def metrics_are_made_of_the_self_checks(stack, _):
    found = {
        properties["FilterName"]: properties
        for properties in map(stack.properties, stack.of_type("Logs::MetricFilter"))
    }
    assert set(found) == {made.metric for made in monitoring.METRIC_FILTERS}
    for made in monitoring.METRIC_FILTERS:
        properties = found[made.metric]
        (transformation,) = properties["MetricTransformations"]
        assert (properties["FilterPattern"], properties["LogGroupName"]) == (made.pattern, monitoring.CHECKS)
        assert transformation["MetricValue"] == made.value
        assert transformation["MetricNamespace"] == monitoring.NAMESPACE
        assert transformation.get("DefaultValue") == made.otherwise


@check
def every_alarm_rings_and_says_what_silence_means(stack, settings):
    found = {
        properties["AlarmName"]: properties for properties in map(stack.properties, stack.of_type("CloudWatch::Alarm"))
    }
    wanted = monitoring.alarms(data_too_old_s=settings.freshness.generated_error_h * 3600)
    assert set(found) == {names.alarm(settings, made) for made in wanted}
    topic = stack.worked_out({"Ref": "Topic"})
    for made in wanted:
        alarm = found[names.alarm(settings, made)]
        recover = [f"arn:aws:automate:{REGION}:ec2:recover"] if made.recovers else []
        assert (alarm["AlarmActions"], alarm["OKActions"], alarm["ActionsEnabled"]) == (
            [topic, *recover],
            [topic],
            True,
        )
        assert alarm["TreatMissingData"] == made.missing
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (made.threshold, made.beyond)
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (
            made.namespace,
            made.metric,
            made.statistic,
        )
        assert (alarm["Period"], alarm["EvaluationPeriods"]) == (made.period_s, made.periods)
        assert alarm["DatapointsToAlarm"] == made.points
        by = [{"Name": "InstanceId", "Value": stack.worked_out({"Ref": "Instance"})}] if made.by_instance else None
        assert alarm.get("Dimensions") == by


@check
def only_alarms_of_this_account_write_to_the_topic(stack, _):
    document, topic = stack.properties("TopicPolicy")["PolicyDocument"], stack.worked_out({"Ref": "Topic"})
    alarms = Principal("Service", "cloudwatch.amazonaws.com")
    of = {account: {"aws:SourceAccount": account} for account in (ACCOUNT, "210987654321")}
    assert allowed([document], Request("sns:Publish", topic, of[ACCOUNT], alarms))
    assert not allowed([document], Request("sns:Publish", topic, of["210987654321"], alarms))
    assert not allowed([document], Request("sns:Publish", topic, of[ACCOUNT], _foreign()))
    assert "KmsMasterKeyId" not in stack.properties("Topic")  # of AWS's own: alarms could not write to it


@check
def the_cloudwatch_dashboard_names_the_instance(stack, _):
    body = json.loads(stack.properties("Dashboard")["DashboardBody"])
    assert stack.worked_out({"Ref": "Instance"}) in json.dumps(body)
    assert "${" not in json.dumps(body)


@check
def everything_is_tagged(stack, settings):
    wanted = names.tags(settings).items()
    for name, resource in stack.resources.items():
        if resource["Type"].removeprefix("AWS::") not in UNTAGGED:
            found = {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}
            assert wanted <= found.items(), name
    assert stack.properties("Instance")["PropagateTagsToVolumeOnCreation"] is True


@check
def what_can_be_taken_over_has_a_literal_name(stack, _):
    for kind, key in (("S3::Bucket", "BucketName"), ("IAM::Role", "RoleName"), ("Logs::LogGroup", "LogGroupName")):
        for name in stack.of_type(kind):
            assert isinstance(stack.resources[name]["Properties"][key], str)
