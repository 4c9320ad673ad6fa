"""The host's role as moto enforces it, called with its own credentials: actions, and the objects of S3.

moto passes over the conditions of policies, knows the resources of S3 alone, and takes CloudWatch's actions for those
of a service "monitoring": what depends on these is judged by our own evaluator (test_stack_rights.py).
"""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core import enable_iam_authentication
from moto.iam.access_control import IAMPolicy, PermissionResult

from ops.stack.policy import Decision, Request, decide
from tests.stack_documents import REGION, settings_with, stack_of

BUCKET, OTHER = "project02-kpi-ecommerce", "another-shop"
KEYS = ("processed/metadata.json", "raw/online_retail.csv")
PERSON = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}


@pytest.fixture(scope="module")
def host():
    """A function: service -> a client that has the role of the rendered template."""
    stack = stack_of(settings_with())
    documents, _ = stack.role_documents("Role")
    with mock_aws():
        iam, sts, s3 = (boto3.client(name, region_name=REGION, **PERSON) for name in ("iam", "sts", "s3"))
        for bucket in (BUCKET, OTHER):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            for key in KEYS:
                s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
        policy = stack.properties("BucketPolicy")["PolicyDocument"]
        role = iam.create_role(
            RoleName="host", AssumeRolePolicyDocument=json.dumps(stack.properties("Role")["AssumeRolePolicyDocument"])
        )
        for number, document in enumerate(documents):
            iam.put_role_policy(RoleName="host", PolicyName=str(number), PolicyDocument=json.dumps(document))
        taken = sts.assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="i-1")["Credentials"]
        assert {statement["Effect"] for statement in policy["Statement"]} == {"Deny"}  # it gives nothing away
        secret = {
            "aws_access_key_id": taken["AccessKeyId"],
            "aws_secret_access_key": taken["SecretAccessKey"],
            "aws_session_token": taken["SessionToken"],
        }
        yield lambda name: boto3.client(name, region_name=REGION, **secret)


ALLOWED = {
    "get": ("s3", lambda s3: s3.get_object(Bucket=BUCKET, Key=KEYS[0])),
    "head": ("s3", lambda s3: s3.head_object(Bucket=BUCKET, Key=KEYS[0])),
    "list": ("s3", lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix="processed/")),
}
DENIED = {
    "get raw": ("s3", lambda s3: s3.get_object(Bucket=BUCKET, Key=KEYS[1])),
    "get elsewhere": ("s3", lambda s3: s3.get_object(Bucket=OTHER, Key=KEYS[0])),
    "put": ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key=KEYS[0], Body=b"")),
    "delete": ("s3", lambda s3: s3.delete_object(Bucket=BUCKET, Key=KEYS[0])),
    "list elsewhere": ("s3", lambda s3: s3.list_objects_v2(Bucket=OTHER)),
    "list buckets": ("s3", lambda s3: s3.list_buckets()),
    "bucket policy": ("s3", lambda s3: s3.put_bucket_policy(Bucket=BUCKET, Policy='{"Statement": []}')),
    "versioning": ("s3", lambda s3: s3.get_bucket_versioning(Bucket=BUCKET)),
    "instances": ("ec2", lambda ec2: ec2.describe_instances()),
    "roles": ("iam", lambda iam: iam.list_roles()),
    "other logs": ("logs", lambda logs: logs.create_log_group(logGroupName="/another")),
    "topics": ("sns", lambda sns: sns.list_topics()),
    "commands": ("ssm", lambda ssm: ssm.send_command(DocumentName="AWS-RunShellScript", InstanceIds=["i-1"])),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_the_host_may(host, name):
    service, call = ALLOWED[name]
    with enable_iam_authentication():
        call(host(service))


@pytest.mark.parametrize("name", DENIED)
def test_the_host_may_not(host, name):
    service, call = DENIED[name]
    with enable_iam_authentication(), pytest.raises(ClientError) as raised:
        call(host(service))
    assert raised.value.response["Error"]["Code"] in REFUSED


# --- the evaluator beside moto's own ---------------------------------------------------------------------------------

_STATEMENT = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": st.lists(
            st.sampled_from(["s3:GetObject", "s3:Get*", "s3:*", "*", "s3:PutObject", "s3:*Object"]), min_size=1
        ),
        "Resource": st.lists(
            st.sampled_from(["*", "arn:aws:s3:::a/*", "arn:aws:s3:::a/b/*", "arn:aws:s3:::*/c", "arn:aws:s3:::a"]),
            min_size=1,
        ),
    }
)
_AS_OURS = {
    PermissionResult.PERMITTED: Decision.ALLOW,
    PermissionResult.DENIED: Decision.EXPLICIT_DENY,
    PermissionResult.NEUTRAL: Decision.IMPLICIT_DENY,
}


@given(
    st.lists(_STATEMENT, max_size=4),
    st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:GetObjectVersion", "s3:ListBucket"]),
    st.sampled_from(["arn:aws:s3:::a", "arn:aws:s3:::a/b", "arn:aws:s3:::a/b/c", "arn:aws:s3:::x/c"]),
)
def test_of_actions_and_resources_moto_says_the_same(statements, action, resource):
    document = {"Version": "2012-10-17", "Statement": statements}
    theirs = IAMPolicy(json.dumps(document)).is_action_permitted(action, resource)
    assert decide([document], Request(action, resource)) is _AS_OURS[theirs]
