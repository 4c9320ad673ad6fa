"""That the template's parts are joined to each other and named as others look for them: checks by name, as asserts."""

import re

from ops import monitoring
from ops.audit.change import AUDIT_PREFIX
from ops.stack import names
from ops.stack.policy import Principal, Request, allowed
from ops.stack.template import LOGS
from tests.stack_documents import ACCOUNT, AMI, GITHUB_HOST, GROUP, INSTANCE, PSEUDO, REGION
from tests.stack_posture import rules

DESCRIPTION = r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}"  # what EC2 takes in a security group; no apostrophe
BUCKET_READS = ["s3:GetObject", "s3:GetObjectVersion"]
SSM_BUCKETS = ("amazon-ssm", "amazon-ssm-packages", "aws-ssm")
SSM = f"arn:aws:ssm:{REGION}"
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
WIRING = []


def check(judge):
    WIRING.append(judge)
    return judge


def ref(stack, name):
    return stack.worked_out({"Ref": name})


@check
def every_part_is_what_it_is_called(stack, settings):
    found = {name: resource["Type"].removeprefix("AWS::") for name, resource in stack.resources.items()}
    assert KINDS.items() <= found.items()
    more = found.keys() - KINDS.keys()
    expected = {name: next(kind for form, kind in FORMS.items() if re.fullmatch(form, name)) for name in more}
    assert {name: found[name] for name in more} == expected
    assert {name for name in more if name.endswith("Role")} == set(names.workflow_roles(settings))


KINDS = {
    "Vpc": "EC2::VPC",
    "InternetGateway": "EC2::InternetGateway",
    "GatewayAttachment": "EC2::VPCGatewayAttachment",
    "Subnet": "EC2::Subnet",
    "RouteTable": "EC2::RouteTable",
    "DefaultRoute": "EC2::Route",
    "SubnetRoutes": "EC2::SubnetRouteTableAssociation",
    "S3Endpoint": "EC2::VPCEndpoint",
    "SecurityGroup": "EC2::SecurityGroup",
    "Bucket": "S3::Bucket",
    "BucketPolicy": "S3::BucketPolicy",
    "Role": "IAM::Role",
    "InstanceProfile": "IAM::InstanceProfile",
    "Instance": "EC2::Instance",
    **dict.fromkeys(LOGS, "Logs::LogGroup"),
    "Topic": "SNS::Topic",
    "TopicPolicy": "SNS::TopicPolicy",
    "Dashboard": "CloudWatch::Dashboard",
}
FORMS = {
    "Address": "EC2::EIP",
    "AddressAssociation": "EC2::EIPAssociation",
    "OidcProvider": "IAM::OIDCProvider",
    "TopicSubscription": "SNS::Subscription",
    "(Ssh|Viewer|World).*": "EC2::SecurityGroupIngress",
    ".+Alarm": "CloudWatch::Alarm",
    ".+Filter": "Logs::MetricFilter",
    ".+Role": "IAM::Role",
}


@check
def the_subnet_is_public_by_the_gateway(stack, settings):
    vpc, routes, gateway = ref(stack, "Vpc"), ref(stack, "RouteTable"), ref(stack, "InternetGateway")
    assert stack.properties("GatewayAttachment") == {"VpcId": vpc, "InternetGatewayId": gateway}
    assert stack.properties("RouteTable")["VpcId"] == vpc
    subnet = stack.properties("Subnet")
    assert (subnet["VpcId"], subnet["CidrBlock"]) == (vpc, settings.stack.network)
    assert stack.properties("SubnetRoutes") == {"SubnetId": ref(stack, "Subnet"), "RouteTableId": routes}
    way_out = {"RouteTableId": routes, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    assert stack.properties("DefaultRoute") == way_out
    assert stack.resources["DefaultRoute"]["DependsOn"] == "GatewayAttachment"  # else EC2 may not know the gateway yet


@check
def the_vpc_answers_for_names_and_shares_its_machines_with_others(stack, settings):
    vpc = stack.properties("Vpc")
    assert (vpc["CidrBlock"], vpc["InstanceTenancy"]) == (settings.stack.network, "default")
    assert (vpc["EnableDnsSupport"], vpc["EnableDnsHostnames"]) == (True, True)


@check
def the_endpoint_is_s3_s_and_on_the_way_out(stack, settings):
    endpoint = stack.properties("S3Endpoint")
    assert (endpoint["VpcId"], endpoint["RouteTableIds"]) == (ref(stack, "Vpc"), [ref(stack, "RouteTable")])
    assert endpoint["ServiceName"] == f"com.amazonaws.{REGION}.s3"
    own, packages = endpoint["PolicyDocument"]["Statement"]
    bucket = f"arn:aws:s3:::{settings.s3.bucket}"
    assert own["Principal"] == packages["Principal"] == "*"  # an endpoint opens no bucket: the bucket's owner decides
    assert own["Action"] == [*BUCKET_READS, "s3:ListBucket"]
    assert own["Resource"] == [bucket, f"{bucket}/*"]
    regional = [f"arn:aws:s3:::{name}-{REGION}/*" for name in SSM_BUCKETS] if settings.stack.ssm else []
    assert packages["Resource"] == ["arn:aws:s3:::amazoncloudwatch-agent/*", *regional]
    assert packages["Action"] == "s3:GetObject"


@check
def rules_are_the_group_s_and_say_why_in_letters_that_ec2_takes(stack, settings):
    group = stack.properties("SecurityGroup")
    assert (group["GroupName"], group["VpcId"]) == (settings.stack.security_group, ref(stack, "Vpc"))
    assert {rule["GroupId"] for rule in rules(stack)} <= {GROUP}
    assert all(rule["FromPort"] == rule["ToPort"] for rule in rules(stack))
    said = [group["GroupDescription"]]
    said += [rule["Description"] for rule in [*rules(stack), *group["SecurityGroupEgress"]]]
    assert [text for text in said if not re.fullmatch(DESCRIPTION, text)] == []


@check
def the_bucket_s_policy_stays_with_the_bucket(stack, settings):
    policy = stack.resources["BucketPolicy"]
    assert (policy["DeletionPolicy"], policy["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert policy["DependsOn"] == "Bucket"
    assert policy["Properties"]["Bucket"] == settings.s3.bucket  # by name: else it could not be taken over
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Principal"], statement["Action"]) == ("*", "s3:*")
    bucket = f"arn:aws:s3:::{settings.s3.bucket}"
    assert stack.worked_out(statement["Resource"]) == [bucket, f"{bucket}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@check
def the_instance_stands_in_the_subnet_with_its_role(stack, settings):
    profile = stack.properties("InstanceProfile")
    assert (profile["InstanceProfileName"], profile["Roles"]) == (settings.stack.role, [settings.stack.role])
    instance = stack.properties("Instance")
    (interface,) = instance["NetworkInterfaces"]
    assert (interface["DeviceIndex"], interface["SubnetId"]) == ("0", ref(stack, "Subnet"))
    assert interface["AssociatePublicIpAddress"] is interface["DeleteOnTermination"] is True
    assert (instance["ImageId"], instance["Monitoring"]) == (AMI, False)
    assert instance.get("KeyName", "") == settings.stack.key_pair
    assert (
        instance["BlockDeviceMappings"][0]["DeviceName"] == "/dev/sda1"
    )  # the root of Ubuntu's images: no second disk
    assert {"Key": "Name", "Value": settings.host.name} in instance["Tags"]  # what the host is found by
    assert instance["EbsOptimized"] is not instance["InstanceType"].startswith("t2.")


@check
def the_instance_comes_after_its_way_out_and_goes_before_its_logs(stack, _):
    assert set(stack.resources["Instance"]["DependsOn"]) == {"DefaultRoute", "SubnetRoutes", *LOGS}
    for name in LOGS:
        assert stack.resources[name]["DeletionPolicy"] == stack.resources[name]["UpdateReplacePolicy"] == "Delete"


@check
def the_first_boot_is_rendered_for_this_host(stack, settings):
    text = stack.resources["Instance"]["Properties"]["UserData"]["Fn::Base64"]
    assert text.startswith("#cloud-config\n")
    assert text.endswith("[snap, start, --enable, amazon-ssm-agent]\n") is settings.stack.ssm


@check
def the_address_stays_with_the_instance(stack, settings):
    assert ("Address" in stack.resources) is ("AddressAssociation" in stack.resources) is settings.stack.elastic_ip
    if settings.stack.elastic_ip:
        assert stack.properties("Address")["Domain"] == "vpc"
        assert stack.resources["Address"]["DependsOn"] == "GatewayAttachment"
        address = {"Fn::GetAtt": ["Address", "AllocationId"]}
        joined = {"AllocationId": address, "InstanceId": {"Ref": "Instance"}}
        assert stack.resources["AddressAssociation"]["Properties"] == joined


@check
def metrics_are_named_as_alarms_look_for_them(stack, _):
    for made in monitoring.METRIC_FILTERS:
        (transformation,) = stack.properties(f"{made.metric}Filter")["MetricTransformations"]
        assert (transformation["MetricName"], transformation["Unit"]) == (made.metric, made.unit)


@check
def people_are_told(stack, settings):
    topic = ref(stack, "Topic")
    assert stack.properties("Topic")["TopicName"] == names.topic(settings)
    assert stack.properties("TopicPolicy")["Topics"] == [topic]
    (statement,) = stack.properties("TopicPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("sns:Publish", topic)
    email = settings.stack.alarm_email
    wanted = [{"TopicArn": topic, "Protocol": "email", "Endpoint": email}] if email else []
    assert [stack.properties(name) for name in stack.of_type("SNS::Subscription")] == wanted
    assert stack.properties("Dashboard")["DashboardName"] == names.dashboard(settings)


@check
def everything_has_a_name_to_be_found_by(stack, settings):
    named = ("Vpc", "InternetGateway", "Subnet", "RouteTable", "S3Endpoint", "SecurityGroup", "Instance", "Address")
    for name in named:
        if name in stack.resources:
            keys = [tag["Key"] for tag in stack.resources[name]["Properties"]["Tags"]]
            assert sorted(keys) == sorted({"Name", *names.tags(settings)}), name
    assert {"Key": "Name", "Value": settings.stack.name} in stack.properties("Vpc")["Tags"]
    for name in named[1:]:
        tags = {tag["Key"]: tag["Value"] for tag in stack.resources.get(name, {}).get("Properties", {}).get("Tags", [])}
        allowed_names = {settings.stack.name, settings.stack.security_group, settings.host.name}
        assert tags.get("Name", settings.stack.name) in allowed_names, name
        assert names.tags(settings).items() <= tags.items() or not tags, name


# --- rights: what is allowed, by name, on what -----------------------------------------------------------------------


def rights(stack, role):
    """{(action, resource)} that a role's own policies allow; conditions are the matrices' business."""
    documents, _ = stack.role_documents(role)
    assert all(document["Version"] == "2012-10-17" for document in documents)
    statements = [statement for document in documents for statement in document["Statement"]]
    return {
        (action, resource)
        for statement in statements
        if statement["Effect"] == "Allow"
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }


def _listed(value):
    return [value] if isinstance(value, str) else value


def on(resources, *actions):
    return {(action, resource) for action in actions for resource in resources}


@check
def the_host_may_do_what_is_named_and_no_more(stack, settings):
    bucket = f"arn:aws:s3:::{settings.s3.bucket}"
    groups = [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}" for name in monitoring.LOG_GROUPS]
    assert rights(stack, "Role") == (
        on([f"{bucket}/{settings.s3.prefix}*"], *BUCKET_READS)
        | on([bucket], "s3:ListBucket")
        | on(["*"], *monitoring.METRIC_ACTIONS)
        | on([form for group in groups for form in (group, f"{group}:*")], *monitoring.LOG_ACTIONS)
    )
    documents, attached = stack.role_documents("Role")
    assert attached == ([f"arn:aws:iam::aws:policy/{names.SSM_POLICY}"] if settings.stack.ssm else [])
    refused = [each for document in documents for each in document["Statement"] if each["Effect"] == "Deny"]
    assert [(each["Action"], each["Resource"]) for each in refused] == (
        [(PARAMETERS, "*")] if settings.stack.ssm else []
    )


PARAMETERS = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]


@check
def workflows_may_do_what_is_named_and_no_more(stack, settings):
    roles = names.workflow_roles(settings)
    bucket, prefix = f"arn:aws:s3:::{settings.s3.bucket}", settings.s3.prefix
    publishes = on([f"{bucket}/{prefix}*"], "s3:PutObject", *BUCKET_READS)
    records = on([f"{bucket}/{AUDIT_PREFIX}*"], "s3:PutObject")
    wanted = {
        "EtlRole": publishes | records | _sales(settings) | on([bucket], "s3:ListBucket", "s3:ListBucketVersions"),
        "ProbeRole": on([f"{bucket}/{prefix}metadata.json"], *BUCKET_READS) | _door(settings),
        "DeployRole": records
        | on([f"{EC2}:instance/{INSTANCE}", f"{SSM}::document/AWS-RunShellScript"], "ssm:SendCommand")
        | on([f"{EC2}:instance/{INSTANCE}", f"{SSM}::document/AWS-StartSSHSession"], "ssm:StartSession")
        | on([f"{SSM}:{ACCOUNT}:session/*"], "ssmmessages:OpenDataChannel")
        | on(["*"], "ssm:GetCommandInvocation", "ec2:DescribeInstances"),
    }
    assert {role: rights(stack, role) for role in roles} == {role: wanted[role] for role in roles}
    listing = {"StringLike": {"s3:prefix": f"{prefix}*"}}
    for role in [role for role in ("Role", "EtlRole") if role in stack.resources]:
        assert _condition(stack, role, "List") == listing
    if roles:
        assert _condition(stack, "DeployRole", "Connect") == {
            "BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}
        }
    if roles and settings.stack.door_for_probe:
        making = {"StringEquals": {"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}}
        assert _condition(stack, "ProbeRole", "Mark") == making


def _sales(settings):
    source = settings.stack.github.etl_source
    return on([f"arn:aws:s3:::{source}"], "s3:GetObject") if source else set()


def _door(settings):
    if not settings.stack.door_for_probe:
        return set()
    group, rule = f"{EC2}:security-group/{GROUP}", f"{EC2}:security-group-rule/*"
    return (
        on(["*"], "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules")
        | on([group, rule], "ec2:AuthorizeSecurityGroupIngress")
        | on([group], "ec2:RevokeSecurityGroupIngress")
        | on([rule], "ec2:CreateTags")
    )


def _condition(stack, role, sid):
    documents, _ = stack.role_documents(role)
    (found,) = [each for document in documents for each in document["Statement"] if each["Sid"] == sid]
    return found["Condition"]


@check
def each_role_is_taken_by_one_kind_of_principal_in_one_way(stack, settings):
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB_HOST}"
    ways = {"Role": ({"Service": "ec2.amazonaws.com"}, "sts:AssumeRole")}
    ways |= dict.fromkeys(names.workflow_roles(settings), ({"Federated": provider}, "sts:AssumeRoleWithWebIdentity"))
    for role, way in ways.items():
        (statement,) = stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        assert (statement["Principal"], statement["Action"]) == way
        assert list(statement.get("Condition", {})) == ([] if role == "Role" else ["StringEquals"])


@check
def workflows_are_known_by_both_of_their_names_for_an_hour(stack, settings):
    for role, (name, environment) in names.workflow_roles(settings).items():
        properties = stack.properties(role)
        assert (properties["RoleName"], properties["MaxSessionDuration"]) == (name, 3600)
        trust = properties["AssumeRolePolicyDocument"]
        github = settings.stack.github
        for subject in names.subjects(settings, environment):
            token = {
                f"{GITHUB_HOST}:aud": names.AUDIENCE,
                f"{GITHUB_HOST}:sub": subject,
                f"{GITHUB_HOST}:repository_id": github.repository_id,
            }
            provider = Principal("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB_HOST}")
            assert allowed([trust], Request("sts:AssumeRoleWithWebIdentity", "*", token, provider))
            assert set(trust["Statement"][0]["Condition"]["StringEquals"]) == set(token)


@check
def github_s_provider_outlives_the_stack(stack, _):
    for name in stack.of_type("IAM::OIDCProvider"):
        provider = stack.resources[name]
        assert (provider["DeletionPolicy"], provider["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
        assert provider["Properties"]["Url"] == f"https://{GITHUB_HOST}"
        assert provider["Properties"]["ClientIdList"] == [names.AUDIENCE]


@check
def policies_are_written_in_the_newer_language(stack, _):
    found = [version for resource in stack.resources.values() for version in _versions(resource)]
    assert found
    assert set(found) == {"2012-10-17"}
    assert found.count("2012-10-17") == sum(str(resource).count("'Statement'") for resource in stack.resources.values())


def _versions(value):
    if isinstance(value, list):
        return [found for item in value for found in _versions(item)]
    if not isinstance(value, dict):
        return []
    own = [value.get("Version")] if "Statement" in value else []
    return own + [found for item in value.values() for found in _versions(item)]


@check
def nothing_is_said_of_a_part_that_no_check_knows(stack, _):
    for name, known in PROPERTIES.items():
        assert set(stack.resources[name]["Properties"]) <= set(known.split()), name


PROPERTIES = {
    "Bucket": "BucketName PublicAccessBlockConfiguration OwnershipControls BucketEncryption VersioningConfiguration"
    " LifecycleConfiguration Tags",
    "Instance": "ImageId InstanceType KeyName IamInstanceProfile NetworkInterfaces MetadataOptions BlockDeviceMappings"
    " PropagateTagsToVolumeOnCreation CreditSpecification EbsOptimized Monitoring UserData Tags",
    "Role": "RoleName Description AssumeRolePolicyDocument ManagedPolicyArns Policies Tags",
    "SecurityGroup": "GroupName GroupDescription VpcId SecurityGroupEgress Tags",
    "Subnet": "VpcId CidrBlock AvailabilityZone MapPublicIpOnLaunch Tags",
}


@check
def nothing_is_left_for_later_to_work_out(stack, _):
    text = str(stack.resources)
    assert "{{" not in text  # neither Jinja's nor CloudFormation's dynamic references
    assert set(re.findall(r"\$\{(AWS::[A-Za-z]+)\}", text)) <= set(PSEUDO)
