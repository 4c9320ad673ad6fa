from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import NoRegionError, ReadTimeoutError

from etl.errors import StackError
from ops.cloud.stacks import answering, clients
from ops.stack import driver
from ops.stack.answers import Refused, Unanswered
from tests.scripted_cloudformation import (
    NAME,
    REGION,
    stubbed,
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ExpiredToken", "credentials that AWS knows and that have not run out"),
        ("InvalidClientTokenId", "credentials that AWS knows and that have not run out"),
        ("SignatureDoesNotMatch", "credentials that AWS knows and that have not run out"),
        ("AccessDenied", "credentials that may cloudformation:DescribeStacks"),
        ("UnauthorizedOperation", "credentials that may cloudformation:DescribeStacks"),
        ("OptInRequired", "a region that this account may use"),
        ("ValidationError", "that AWS does what was asked"),
    ],
)
def test_a_refusal_says_what_was_asked_and_what_is_missing(code, expected):
    client, stubber = stubbed()
    stubber.add_client_error("describe_stacks", code, "the words of AWS")
    with pytest.raises(Refused) as raised:
        client.describe_stacks(StackName=NAME)
    assert raised.value.seen == f"AWS refuses cloudformation:DescribeStacks: {code}: the words of AWS"
    assert raised.value.expected == expected


def test_no_answer_is_told_with_the_service_and_can_pass(closed_port):
    client = boto3.client(
        "cloudformation",
        endpoint_url=f"http://127.0.0.1:{closed_port}",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2),
    )
    with pytest.raises(Unanswered, match=r"AWS gave no answer \(cloudformation\)") as raised:
        answering(client).describe_stacks(StackName=NAME)
    assert raised.value.passing


@pytest.mark.parametrize(
    ("raised", "kind"), [(NoRegionError(), StackError), (ReadTimeoutError(endpoint_url="http://x"), Unanswered)]
)
def test_what_is_not_set_up_is_no_silence_of_aws(raised, kind):
    class Broken:
        class meta:  # noqa: N801 - as botocore has it
            class service_model:  # noqa: N801 - as botocore has it
                service_name = "sts"

        def get_caller_identity(self):
            raise raised

    with pytest.raises(StackError) as found:
        answering(Broken()).get_caller_identity()
    assert type(found.value) is kind


@pytest.fixture
def unconfigured(monkeypatch, tmp_path):
    """A machine on which nobody has set up AWS."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return monkeypatch


def test_without_region_profile_or_credentials_the_error_says_what_to_set(unconfigured):
    with pytest.raises(StackError, match="You must specify a region") as raised:
        clients()
    assert "AWS_DEFAULT_REGION" in raised.value.to_do
    unconfigured.setenv("AWS_DEFAULT_REGION", REGION)
    with pytest.raises(StackError, match="Unable to locate credentials"):
        clients().sts.get_caller_identity()
    unconfigured.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(StackError, match="no-such-profile"):
        clients()


def test_the_clients_wait_a_bounded_time_and_try_again_where_aws_is_busy(unconfigured):
    unconfigured.setenv("AWS_DEFAULT_REGION", REGION)
    config = clients().cloudformation._client.meta.config
    assert config.connect_timeout + config.read_timeout < 60
    assert config.retries == {"mode": "standard", "total_max_attempts": 6}


def test_botocore_is_told_of_in_one_place_alone():
    stack = Path(driver.__file__).parent
    assert [file.name for file in stack.glob("*.py") if "import boto" in file.read_text()] == []
