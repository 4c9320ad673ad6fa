import json

import pytest

from etl.errors import ExitCode, StackError
from ops.settings import Settings
from ops.stack.destroy import destroy
from ops.stack.outputs import LOG, Outputs, keep
from tests.scripted_cloudformation import (
    ARN,
    CALLER,
    DELETED,
    NAME,
    NOW,
    REGION,
    Desk,
    ScriptedCloudFormation,
    error,
)


@pytest.fixture
def formation():
    made = ScriptedCloudFormation("CREATE_COMPLETE", resources=("Bucket", "Vpc"), runs=[DELETED])
    made.protected = True
    return made


def test_a_stack_goes_when_its_name_is_typed_even_from_under_its_protection(tmp_path, formation):
    desk = Desk(tmp_path, formation, answers=[f" {NAME}\n"])
    assert destroy(desk.desk) is ExitCode.GOOD
    assert formation.deleted == [f"{ARN}/1"]
    assert not formation.protected
    assert "[1/2] delete complete     Vpc (AWS::EC2::VPC)" in desk.told


@pytest.mark.parametrize("typed", ["", "yes", "project02", "PROJECT02-KPI"])
def test_without_its_name_it_stays_and_stays_protected(tmp_path, formation, typed):
    desk = Desk(tmp_path, formation, answers=[typed])
    assert destroy(desk.desk) is ExitCode.CHECK_FAILED
    assert formation.deleted == []
    assert formation.protected
    assert "its termination protection is on" in desk.told


def test_a_name_that_was_given_already_is_not_asked_for(tmp_path, formation):
    desk = Desk(tmp_path, formation)
    assert destroy(desk.desk, NAME) is ExitCode.GOOD
    assert desk.asked == []


def test_a_name_that_was_given_and_is_another_stops(tmp_path, formation):
    assert destroy(Desk(tmp_path, formation).desk, "project03") is ExitCode.CHECK_FAILED
    assert formation.deleted == []


def test_before_it_is_asked_all_that_goes_is_listed(tmp_path, formation):
    desk = Desk(tmp_path, formation, answers=[""])
    destroy(desk.desk)
    assert f"{NAME} (CREATE_COMPLETE) in account 111122223333, region {REGION}" in desk.told
    assert "Vpc                    vpc-1" in desk.told


def test_the_bucket_stays_and_how_to_delete_it_is_said(tmp_path, formation):
    desk = Desk(tmp_path, formation, answers=[NAME])
    destroy(desk.desk)
    assert "the bucket project02-kpi-ecommerce with all versions" in desk.told
    assert "aws s3api delete-bucket --bucket project02-kpi-ecommerce" in desk.told


def test_what_was_kept_of_it_goes_and_the_log_of_what_was_done_stays(tmp_path, formation):
    keep(Outputs(NAME, f"{ARN}/1", "111122223333", REGION, {}), tmp_path / "stack.json", NOW)
    (tmp_path / LOG).write_text('{"what": "create"}\n')
    destroy(Desk(tmp_path, formation, answers=[NAME]).desk)
    assert not (tmp_path / "stack.json").exists()
    first, second = (json.loads(line) for line in (tmp_path / LOG).read_text().splitlines())
    assert first == {"what": "create"}
    assert (second["what"], second["by"], second["ended"]) == ("destroy", CALLER, "DELETE_COMPLETE")


def test_a_stack_that_is_not_there_is_good(tmp_path):
    desk = Desk(tmp_path, ScriptedCloudFormation())
    assert destroy(desk.desk) is ExitCode.GOOD
    assert f"there is no stack {NAME}" in desk.told


def test_while_something_goes_on_nothing_is_deleted(tmp_path):
    formation = ScriptedCloudFormation("UPDATE_IN_PROGRESS")
    assert destroy(Desk(tmp_path, formation, answers=[NAME]).desk) is ExitCode.CHECK_FAILED
    assert formation.deleted == []


def test_in_another_account_than_the_one_that_is_set_nothing_is_deleted(tmp_path, formation):
    settings = Settings(stack={"expected_account_id": "999988887777"})
    assert destroy(Desk(tmp_path, formation, settings=settings).desk, NAME) is ExitCode.CHECK_FAILED
    assert formation.deleted == []


def test_what_could_not_be_deleted_is_named_and_what_was_kept_stays(tmp_path, formation):
    keep(Outputs(NAME, f"{ARN}/1", "111122223333", REGION, {}), tmp_path / "stack.json", NOW)
    formation.runs.clear()
    formation.runs.append([
        [(NAME, "DELETE_IN_PROGRESS", ""), ("Vpc", "DELETE_FAILED", "has dependencies")],
        [(NAME, "DELETE_FAILED", "The following resource(s) failed to delete: [Vpc].")],
        [],
        [],
    ])  # fmt: skip
    with pytest.raises(StackError, match=r"could not be deleted: Vpc .*: has dependencies"):
        destroy(Desk(tmp_path, formation, answers=[NAME]).desk)
    assert (tmp_path / "stack.json").exists()
    assert '"ended": "DELETE_FAILED"' in (tmp_path / LOG).read_text()


def test_where_aws_does_not_even_begin_it_is_protected_as_before(tmp_path):
    class Denied(ScriptedCloudFormation):
        def delete_stack(self, **_fields):
            raise error("cloudformation", "DeleteStack", "AccessDenied", status=403)

    denied = Denied("CREATE_COMPLETE")
    denied.protected = True
    with pytest.raises(StackError, match="AccessDenied"):
        destroy(Desk(tmp_path, denied, answers=[NAME]).desk)
    assert denied.protected
