import pytest

from etl.errors import ExitCode, StackError
from ops.stack import driver
from ops.stack.drift import Found, drift, merged, text
from tests.scripted_cloudformation import ARN, Desk, ScriptedCloudFormation, hands, stubbed


def drifted(logical_id, status, *differences, kind="AWS::S3::Bucket"):
    """As DescribeStackResourceDrifts has it; a difference is (path, kind, expected, actual)."""
    keys = ("PropertyPath", "DifferenceType", "ExpectedValue", "ActualValue")
    return {
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": f"{logical_id.lower()}-1",
        "ResourceType": kind,
        "StackResourceDriftStatus": status,
        "PropertyDifferences": [dict(zip(keys, difference, strict=True)) for difference in differences],
    }


def found(tmp_path, *drifts, resources=("Bucket",)):
    formation = ScriptedCloudFormation("CREATE_COMPLETE", resources=resources)
    formation.drifts = list(drifts)
    desk = Desk(tmp_path, formation)
    return drift(desk.desk), desk.told


def test_a_stack_that_is_as_it_was_made_is_good(tmp_path):
    code, told = found(tmp_path, drifted("Bucket", "IN_SYNC"))
    assert code is ExitCode.GOOD
    assert told == "1 in sync, 0 drifted, 0 not compared\n"


def test_what_is_not_as_it_was_made_is_told_with_path_expected_and_actual(tmp_path):
    difference = ("/VersioningConfiguration/Status", "NOT_EQUAL", "Enabled", "Suspended")
    code, told = found(tmp_path, drifted("Bucket", "MODIFIED", difference))
    assert code is ExitCode.CHANGES_PENDING
    assert told.splitlines() == [
        "modified: Bucket (AWS::S3::Bucket bucket-1)",
        "  /VersioningConfiguration/Status (not equal): expected Enabled, actual Suspended",
        "0 in sync, 1 drifted, 0 not compared",
    ]


def test_what_is_gone_has_drifted(tmp_path):
    code, told = found(tmp_path, drifted("Bucket", "DELETED"))
    assert code is ExitCode.CHANGES_PENDING
    assert "deleted: Bucket" in told


def test_what_aws_does_not_tell_of_at_all_is_not_counted_in_sync(tmp_path):
    code, told = found(tmp_path, drifted("Bucket", "IN_SYNC"), resources=("Bucket", "Vpc"))
    assert code is ExitCode.GOOD
    assert "not checked: Vpc (AWS::EC2::VPC)" in told
    assert "1 in sync, 0 drifted, 1 not compared" in told


@pytest.mark.parametrize("status", ["NOT_CHECKED", "UNKNOWN", "UNSUPPORTED", "A_STATUS_OF_2030"])
def test_any_other_answer_is_shown_and_is_neither_in_sync_nor_drifted(status):
    shown = text([Found("Bucket", "AWS::S3::Bucket", "bucket-1", status)])
    assert f"{status.lower().replace('_', ' ')}: Bucket" in shown
    assert "0 in sync, 0 drifted, 1 not compared" in shown


def test_every_resource_stands_there_once_by_name():
    resources = [{"LogicalResourceId": name, "ResourceType": "AWS::EC2::VPC"} for name in ("Vpc", "Bucket", "Alarm")]
    rows = merged(resources, [drifted("Bucket", "IN_SYNC")])
    assert [(row.logical_id, row.status) for row in rows] == [
        ("Alarm", "NOT_CHECKED"),
        ("Bucket", "IN_SYNC"),
        ("Vpc", "NOT_CHECKED"),
    ]


class Detecting(ScriptedCloudFormation):
    """Answers that the comparison goes on, until the last of `statuses`."""

    def __init__(self, *statuses, reason=""):
        super().__init__("CREATE_COMPLETE")
        self.statuses, self.reason = list(statuses), reason

    def describe_stack_drift_detection_status(self, **_fields):
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"DetectionStatus": f"DETECTION_{status}", "DetectionStatusReason": self.reason}


def test_the_comparison_is_waited_for(tmp_path):
    formation = Detecting("IN_PROGRESS", "IN_PROGRESS", "COMPLETE")
    formation.drifts = [drifted("Bucket", "IN_SYNC")]
    desk = Desk(tmp_path, formation)
    assert drift(desk.desk) is ExitCode.GOOD
    assert desk.clock.slept == [2, 2]


def test_a_comparison_that_aws_could_not_finish_is_no_good_news(tmp_path):
    formation = Detecting("FAILED", reason="no right to s3:GetBucketVersioning")
    formation.drifts = [drifted("Bucket", "IN_SYNC")]
    desk = Desk(tmp_path, formation)
    assert drift(desk.desk) is ExitCode.COULD_NOT
    assert "could not compare all of it: no right to s3:GetBucketVersioning" in desk.told


def test_what_a_failed_comparison_did_find_counts(tmp_path):
    formation = Detecting("FAILED", reason="no right")
    formation.drifts = [drifted("Bucket", "DELETED")]
    assert drift(Desk(tmp_path, formation).desk) is ExitCode.CHANGES_PENDING


def test_a_comparison_that_does_not_end_is_given_up(tmp_path):
    with pytest.raises(StackError, match="still compares after 15 minutes"):
        drift(Desk(tmp_path, Detecting("IN_PROGRESS")).desk)


@pytest.mark.parametrize("status", ["", "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"])
def test_without_a_stack_there_is_nothing_to_compare(tmp_path, status):
    with pytest.raises(StackError, match="there is no stack project02-kpi in eu-west-1"):
        drift(Desk(tmp_path, ScriptedCloudFormation(status)).desk)


def test_while_something_goes_on_nothing_is_compared(tmp_path):
    desk = Desk(tmp_path, ScriptedCloudFormation("UPDATE_IN_PROGRESS"))
    assert drift(desk.desk) is ExitCode.CHECK_FAILED
    assert "another operation is running" in desk.told


def test_drifts_of_several_pages_are_all_read():
    client, stubber = stubbed()
    asked = {"StackName": f"{ARN}/1"}
    page = {"StackId": f"{ARN}/1", "Timestamp": "2026-11-22T06:00:00Z"}
    for number, name in enumerate(("A", "B")):
        more = {"NextToken": "1"} if number else {}
        answer = {"StackResourceDrifts": [drifted(name, "IN_SYNC") | page]} | ({} if number else {"NextToken": "1"})
        stubber.add_response("describe_stack_resource_drifts", answer, asked | more)
    call = hands(client).client.describe_stack_resource_drifts
    assert [one["LogicalResourceId"] for one in driver.pages(call, "StackResourceDrifts", **asked)] == ["A", "B"]
