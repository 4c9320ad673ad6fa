"""The driver against a CloudFormation that is not scripted: ministack, a process of its own, for what it covers.

It knows no instances, addresses, single rules of a group and OIDC providers; these are left out, with what refers to
them. Nor does it know which instance types are offered where; that is answered here.
"""

import io
import itertools
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from etl.errors import ExitCode, StackError
from ops.cloud.stacks import clients
from ops.monitoring import DATA_AGE
from ops.settings import Settings
from ops.stack.desk import ProvisionDesk
from ops.stack.destroy import destroy
from ops.stack.drift import drift
from ops.stack.outputs import kept
from ops.stack.provision import Choice, provision
from ops.stack.template import template
from tests.ministack_server import PEERS, Session, ministack
from tests.scripted_cloudformation import IMAGE, NAME, NEWER_IMAGE, Clock
from tests.stack_subset import without

NOT_KNOWN = {
    "AWS::EC2::EIP",
    "AWS::EC2::EIPAssociation",
    "AWS::EC2::Instance",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::IAM::OIDCProvider",
}
PARAMETER = "/images/ubuntu"
ACCOUNTS = itertools.count(111122220000)


def known(inputs):
    """The stack's own template, as far as ministack knows its resources."""
    return without(template(inputs), NOT_KNOWN)[0]


class Offers:
    """EC2's offers of instance types, which ministack does not know."""

    def describe_instance_type_offerings(self, **_fields):
        return {"InstanceTypeOfferings": [{"InstanceType": "t2.micro", "Location": "eu-west-1a"}]}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    if not (PEERS / "ministack").exists():
        pytest.skip("there is no .venv-peers/bin/ministack: make peers")
    with ministack(tmp_path_factory.mktemp("ministack")) as address:
        yield address


class Place:
    """An account of its own: the first in which a test does something."""

    def __init__(self, endpoint, account, directory):
        self.session, self.directory = Session(endpoint, account), directory
        self.bucket, self.typed, self.after = f"bucket-{account}", NAME, []
        self.client("ssm").put_parameter(Name=PARAMETER, Value=IMAGE, Type="String")

    def desk(self, error_h=50, make=known):
        self.stream = io.StringIO()
        clock = Clock()
        return ProvisionDesk(
            settings=Settings(
                stack={"ami_parameter": PARAMETER},
                s3={"bucket": self.bucket},
                freshness={"generated_error_h": error_h},
            ),
            clients=replace(clients(self.session), ec2=Offers()),
            now=lambda: datetime.now(UTC),
            clock=clock,
            sleep=lambda seconds: clock.sleep(seconds) or time.sleep(0.02),
            stream=self.stream,
            ask=lambda _question: self.typed,
            template=make,
            after=lambda outputs: self.after.append(outputs) or ExitCode.GOOD,
            outputs_path=self.directory / "stack.json",
        )

    @property
    def told(self):
        return self.stream.getvalue()

    def client(self, service):
        return self.session.client(service)

    def too_old_h(self):
        alarms = self.client("cloudwatch").describe_alarms()["MetricAlarms"]
        return [alarm["Threshold"] / 3600 for alarm in alarms if alarm["MetricName"] == DATA_AGE.metric]

    def stack(self):
        return self.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]

    def change_sets(self):
        return self.client("cloudformation").list_change_sets(StackName=NAME)["Summaries"]


@pytest.fixture
def place(endpoint, tmp_path):
    return Place(endpoint, str(next(ACCOUNTS)), tmp_path)


@pytest.fixture
def made(place):
    assert provision(place.desk(), Choice(yes=True)) is ExitCode.GOOD
    return place


def test_a_plan_makes_nothing_and_the_run_after_it_makes_what_was_planned(place):
    assert provision(place.desk(), Choice(plan=True)) is ExitCode.CHANGES_PENDING
    planned = place.change_sets()[0]["ChangeSetId"]
    assert place.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert place.bucket not in [one["Name"] for one in place.client("s3").list_buckets()["Buckets"]]
    assert provision(place.desk(), Choice(yes=True)) is ExitCode.GOOD
    assert f"change set {planned}" in place.told
    assert place.client("s3").get_bucket_versioning(Bucket=place.bucket)["Status"] == "Enabled"
    assert place.too_old_h() == [50]
    assert "0 to" not in place.told
    count = len(place.client("cloudformation").list_stack_resources(StackName=NAME)["StackResourceSummaries"])
    assert f"[{count}/{count}] create complete" in place.told


def test_what_was_made_is_protected_and_marked_and_its_outputs_are_kept(made):
    stack = made.stack()
    assert stack["EnableTerminationProtection"]
    assert {"Key": "managed-by", "Value": "kpi-ops"} in stack["Tags"]
    policy = made.client("cloudformation").get_stack_policy(StackName=NAME)["StackPolicyBody"]
    assert "LogicalResourceId/Instance" in policy
    values = kept(made.directory / "stack.json").values
    assert (values["BucketName"], values["AmiId"]) == (made.bucket, IMAGE)
    assert made.after[0].values["AmiId"] == IMAGE


def test_the_second_run_says_no_changes_and_leaves_no_change_set(made):
    before = made.change_sets()
    assert provision(made.desk(), Choice(yes=True)) is ExitCode.GOOD
    assert "no changes" in made.told
    assert made.change_sets() == before
    assert provision(made.desk(), Choice(plan=True)) is ExitCode.GOOD


def test_another_setting_changes_what_depends_on_it_alone(made):
    assert provision(made.desk(error_h=60), Choice(plan=True)) is ExitCode.CHANGES_PENDING
    assert [line.split()[1] for line in made.told.splitlines() if " AWS::" in line] == ["AWS::CloudWatch::Alarm"]
    assert made.too_old_h() == [50]
    assert provision(made.desk(error_h=60), Choice(yes=True)) is ExitCode.GOOD
    assert made.too_old_h() == [60]
    assert provision(made.desk(), Choice(yes=True)) is ExitCode.GOOD
    assert made.too_old_h() == [50]
    assert provision(made.desk(), Choice(plan=True)) is ExitCode.GOOD


def test_a_newer_image_is_only_taken_when_it_is_asked_for(made):
    made.client("ssm").put_parameter(Name=PARAMETER, Value=NEWER_IMAGE, Type="String", Overwrite=True)
    assert provision(made.desk(), Choice(plan=True)) is ExitCode.GOOD
    assert provision(made.desk(), Choice(plan=True, refresh_ami=True)) is not ExitCode.COULD_NOT
    assert f"image     {NEWER_IMAGE}" in made.told


def test_a_bucket_that_was_changed_by_hand_has_drifted(made):
    assert drift(made.desk()) is ExitCode.GOOD
    suspended = {"Status": "Suspended"}
    made.client("s3").put_bucket_versioning(Bucket=made.bucket, VersioningConfiguration=suspended)
    assert drift(made.desk()) is ExitCode.CHANGES_PENDING
    assert "/VersioningConfiguration/Status (not equal): expected Enabled, actual Suspended" in made.told
    assert "not checked: Vpc" in made.told


def test_the_stack_goes_only_when_its_name_is_typed_and_the_bucket_stays(made):
    made.client("s3").put_object(Bucket=made.bucket, Key="processed/metadata.json", Body=b"{}")
    with pytest.raises(Exception, match="TerminationProtection"):
        made.client("cloudformation").delete_stack(StackName=NAME)
    made.typed = "yes"
    assert destroy(made.desk()) is ExitCode.CHECK_FAILED
    assert made.stack()["EnableTerminationProtection"]
    made.typed = NAME
    assert destroy(made.desk()) is ExitCode.GOOD
    with pytest.raises(Exception, match="does not exist"):
        made.stack()
    assert made.client("s3").head_object(Bucket=made.bucket, Key="processed/metadata.json")
    assert destroy(made.desk()) is ExitCode.GOOD


def test_what_is_declined_leaves_nothing(place):
    place.typed = "no"
    assert provision(place.desk(), Choice()) is ExitCode.CHECK_FAILED
    with pytest.raises(Exception, match="does not exist"):
        place.stack()


def test_a_bucket_that_is_ours_already_is_planned_to_be_taken_over(place):
    """Planned only: ministack takes the bucket that it is to take over for a conflict when it runs."""
    place.client("s3").create_bucket(Bucket=place.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert provision(place.desk(), Choice(plan=True)) is ExitCode.CHANGES_PENDING
    assert "1 to take over" in place.told


def with_a_bucket_that_is_taken(name):
    def make(inputs):
        document = json.loads(known(inputs))
        document["Resources"]["Other"] = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
        return json.dumps(document)

    return make


def test_a_creation_that_fails_is_told_by_its_cause_and_leaves_nothing(place):
    taken = f"{place.bucket}-taken"
    place.client("s3").create_bucket(Bucket=taken, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    desk = place.desk(make=with_a_bucket_that_is_taken(taken))
    with pytest.raises(StackError, match=rf"could not be made: Other \(AWS::S3::Bucket\): .*{taken}"):
        provision(desk, Choice(yes=True))
    with pytest.raises(Exception, match="does not exist"):
        place.stack()
    assert provision(place.desk(), Choice(yes=True)) is ExitCode.GOOD
