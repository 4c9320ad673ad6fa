"""What the demo says of its stack: what is there of what was wanted, and why it could not be provisioned."""

from dataclasses import dataclass

import pytest

from etl.errors import StackError
from ops.settings import Settings
from ops.stack.desk import Clients
from ops.stack.driver import Stack
from ops.stack.trial import Trial, compared, trial

WANTED = {"Bucket": "AWS::S3::Bucket", "Disk": "AWS::CloudWatch::Alarm", "Swap": "AWS::CloudWatch::Alarm"}


def stack_of(*logical):
    """As moto lists it: what it did not make has no name."""
    return Stack(
        "id", "name", "CREATE_COMPLETE", protected=False, outputs={}, resources=dict.fromkeys(("", *logical), "x")
    )


def test_what_is_left_out_is_counted_by_type():
    told = compared(WANTED, stack_of("Bucket"))
    assert told == Trial(1, {"AWS::CloudWatch::Alarm": 2})
    assert told.text == "1 of the stack's 3 resources; moto left out 2 Alarm"


def test_where_nothing_is_left_out_nothing_is_said_of_it():
    assert compared(WANTED, stack_of(*WANTED)).text == "3 of the stack's 3 resources"


def test_a_stack_that_is_not_there_has_nothing():
    assert compared(WANTED, None) == Trial(0, {"AWS::CloudWatch::Alarm": 2, "AWS::S3::Bucket": 1})


@dataclass
class Account:
    """One in which the instance's type is not offered."""

    def get_caller_identity(self):
        return {"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:user/moto"}

    def describe_stacks(self, **_fields):
        return {"Stacks": []}

    def describe_instance_type_offerings(self, **_fields):
        return {"InstanceTypeOfferings": []}

    def head_bucket(self, **_fields):
        return {"BucketRegion": "us-east-1"}


def refused(directory, settings):
    """Why the stack is not provisioned in that account: what the log says."""
    one = Account()
    clients = Clients(one, one, one, one, one, one, "us-east-1")
    with pytest.raises(StackError) as raised:
        trial(settings, clients, directory, image="/x", now=None, clock=None, sleep=None)
    log = directory / "provision.log"
    assert str(log) in raised.value.to_do
    return [line for line in log.read_text().splitlines() if "refused" in line]


def test_what_is_refused_names_the_log_that_says_why(tmp_path):
    assert refused(tmp_path, Settings()) == ["refused: t2.micro is not offered in us-east-1"]


def test_what_the_person_has_set_for_a_real_account_is_not_asked_for(tmp_path):
    mine = Settings(stack={"expected_account_id": "111122223333", "key_pair": "desk", "instance_type": "t3.micro"})
    assert refused(tmp_path, mine) == ["refused: t2.micro is not offered in us-east-1"]
