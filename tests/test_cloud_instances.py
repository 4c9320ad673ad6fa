import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from etl.errors import HostError, HostUnreachable
from ops.cloud.instances import ec2_client, running

NAME = "project02-streamlit"
IMAGE = "ami-12c6146b"  # one that moto has from the start


@pytest.fixture
def ec2(monkeypatch):
    """EC2 as moto plays it, in this process."""
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield ec2_client()


@pytest.fixture
def start(ec2):
    """A function that starts an instance with a Name tag; returns its id."""

    def run(name=NAME):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
        made = ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, TagSpecifications=tags)
        return made["Instances"][0]["InstanceId"]

    return run


def test_the_running_instance_of_that_name_is_found_with_its_addresses(ec2, start):
    wanted = start()
    start("another")
    found = running(NAME, ec2)
    said = ec2.describe_instances(InstanceIds=[wanted])["Reservations"][0]["Instances"][0]
    assert (found.id, found.name, found.state) == (wanted, NAME, "running")
    assert (found.public, found.private) == (said["PublicIpAddress"], said["PrivateIpAddress"])


def test_stopped_and_terminated_instances_of_the_same_name_do_not_count(ec2, start):
    stopped, gone, wanted = start(), start(), start()
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[gone])
    assert running(NAME, ec2).id == wanted


def test_where_none_runs_those_that_do_not_are_named(ec2, start):
    stopped, gone = start(), start()
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[gone])
    with pytest.raises(HostError, match=f"no running instance is named {NAME}: {stopped} is stopped") as error:
        running(NAME, ec2)
    assert gone not in error.value.seen


def test_where_there_is_none_at_all_the_error_says_what_to_do(ec2):
    with pytest.raises(HostError, match=f"no running instance is named {NAME}\n") as error:
        running(NAME, ec2)
    assert "fab provision" in error.value.to_do


def test_several_are_all_named_and_none_is_guessed(ec2, start):
    both = {start(), start()}
    with pytest.raises(HostError, match=f"2 running instances are named {NAME}") as error:
        running(NAME, ec2)
    assert all(one in error.value.seen for one in both)


def test_a_name_with_signs_that_ec2_reads_as_any_letters_means_itself(ec2, start):
    start("project02-other")
    with pytest.raises(HostError, match="no running instance is named"):
        running("project02-*", ec2)


class Pages:
    """An EC2 that answers in pages, or with an error."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def describe_instances(self, **fields):
        self.asked.append(fields)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def page(*ids, token=None):
    instances = [{"InstanceId": one, "State": {"Name": "running"}} for one in ids]
    return {"Reservations": [{"Instances": instances}]} | ({"NextToken": token} if token else {})


def test_every_page_is_read():
    pages = Pages(page(token="more"), page("i-1"))
    found = running(NAME, pages)
    assert (found.id, found.public, found.private) == ("i-1", "", "")
    assert pages.asked[1]["NextToken"] == "more"


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "AuthFailure", "ExpiredToken", "InvalidClientTokenId"])
def test_missing_rights_are_said_with_what_to_check(code):
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    with pytest.raises(HostError, match=f"403 {code}") as error:
        running(NAME, Pages(ClientError(answer, "DescribeInstances")))
    assert "ec2:DescribeInstances" in error.value.expected
    assert not isinstance(error.value, HostUnreachable)


def test_a_failure_of_ec2_is_no_matter_of_rights():
    answer = {"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    with pytest.raises(HostUnreachable, match="500 InternalError"):
        running(NAME, Pages(ClientError(answer, "DescribeInstances")))


def test_an_endpoint_where_nobody_answers_is_unreachable(closed_port):
    client = boto3.client(
        "ec2",
        endpoint_url=f"http://127.0.0.1:{closed_port}",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2),
    )
    with pytest.raises(HostUnreachable, match="EC2 gave no answer"):
        running(NAME, client)


@pytest.fixture
def unconfigured(monkeypatch, tmp_path):
    """A machine on which nobody has set up AWS."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return monkeypatch


@pytest.mark.usefixtures("unconfigured")
def test_without_a_region_the_error_names_the_variables():
    with pytest.raises(
        HostError, match="AWS cannot be asked with what is configured: You must specify a region"
    ) as error:
        running(NAME, ec2_client())
    assert "AWS_DEFAULT_REGION" in error.value.to_do
    assert "-H" in error.value.to_do


def test_without_credentials_or_with_a_profile_that_is_not_there_the_error_says_so(unconfigured):
    unconfigured.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(HostError, match="Unable to locate credentials"):
        running(NAME, ec2_client())
    unconfigured.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(HostError, match="no-such-profile"):
        running(NAME, ec2_client())
