import json
from contextlib import suppress
from dataclasses import replace

import pytest

from etl.errors import ExitCode, StackError
from ops.settings import Settings
from ops.stack import driver
from ops.stack.driver import OPEN_POLICY, STACK_POLICY
from ops.stack.outputs import LOG, kept
from ops.stack.provision import Choice, provision
from tests.scripted_cloudformation import (
    ARN,
    CALLER,
    CREATED,
    DELETED,
    GROUP_CHANGE,
    IMAGE,
    IMAGE_CHANGE,
    NAME,
    NEWER_IMAGE,
    NOT_MADE,
    REGION,
    UPDATED,
    Account,
    Desk,
    ScriptedCloudFormation,
    error,
    finding,
    hands,
    live,
)

# --- plan


def test_a_first_plan_shows_what_would_be_added_and_runs_nothing(tmp_path):
    formation = ScriptedCloudFormation()
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(plan=True)) is ExitCode.CHANGES_PENDING
    assert formation.executed == []
    assert "2 to add" in desk.told
    assert not (tmp_path / "stack.json").exists()
    assert desk.after == []


def test_a_plan_says_who_where_and_what_it_costs(tmp_path):
    desk = Desk(tmp_path, ScriptedCloudFormation())
    provision(desk.desk, Choice(plan=True))
    for told in (
        "account   111122223333",
        f"caller    {CALLER}",
        f"region    {REGION}",
        f"stack     {NAME} (not there yet)",
    ):
        assert told in desk.told
    assert "a month, an estimate, as of 20" in desk.told


def test_yes_does_not_make_a_plan_run(tmp_path):
    formation = ScriptedCloudFormation()
    assert provision(Desk(tmp_path, formation).desk, Choice(plan=True, yes=True)) is ExitCode.CHANGES_PENDING
    assert formation.executed == []


def test_a_plan_of_what_is_there_already_is_good_and_leaves_no_change_set(tmp_path):
    formation = live()
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(plan=True)) is ExitCode.GOOD
    assert "no changes" in desk.told
    assert formation.made == {}
    assert desk.after == []


def test_what_was_planned_is_the_very_change_set_that_is_run(tmp_path):
    formation = ScriptedCloudFormation(runs=[CREATED])
    provision(Desk(tmp_path, formation).desk, Choice(plan=True))
    (planned,) = formation.made
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.GOOD
    assert formation.executed == [planned]
    assert len(formation.created) == 1
    assert f"change set {planned}" in desk.told


def test_what_was_planned_for_other_settings_is_not_run(tmp_path):
    formation = ScriptedCloudFormation(runs=[CREATED])
    provision(Desk(tmp_path, formation).desk, Choice(plan=True))
    (planned,) = formation.made
    changed = Settings(stack={"viewer_networks": ["198.51.100.7/32"]})
    assert provision(Desk(tmp_path, formation, settings=changed).desk, Choice(yes=True)) is ExitCode.GOOD
    assert planned not in formation.executed
    assert "198.51.100.7/32" in formation.template


@pytest.mark.parametrize(
    ("status", "execution"),
    [("CREATE_COMPLETE", "OBSOLETE"), ("FAILED", "UNAVAILABLE"), ("DELETE_FAILED", "AVAILABLE")],
)
def test_what_was_planned_and_can_be_run_no_more_is_planned_anew(tmp_path, status, execution):
    formation = live(text="{}", changes=[GROUP_CHANGE], runs=[UPDATED])
    provision(Desk(tmp_path, formation).desk, Choice(plan=True))
    (planned,) = formation.made
    formation.made[planned] |= {"Status": status, "ExecutionStatus": execution}
    assert provision(Desk(tmp_path, formation).desk, Choice(yes=True)) is ExitCode.GOOD
    assert len(formation.executed) == 1
    assert planned not in formation.executed


def test_of_changes_that_were_planned_before_only_ours_are_removed(tmp_path):
    formation = live(changes=[GROUP_CHANGE])
    formation.others = [{"ChangeSetName": "anas", "ChangeSetId": "arn:anas"}]
    first = Settings(stack={"viewer_networks": ["198.51.100.7/32"]})
    second = Settings(stack={"viewer_networks": ["198.51.100.8/32"]})
    provision(Desk(tmp_path, formation, settings=first).desk, Choice(plan=True))
    (stale,) = formation.made
    provision(Desk(tmp_path, formation, settings=second).desk, Choice(plan=True))
    assert formation.deleted == [stale]
    assert len(formation.made) == 1


def test_a_change_of_one_setting_shows_that_resource_alone(tmp_path):
    formation = live(changes=[GROUP_CHANGE])
    desk = Desk(tmp_path, formation, settings=Settings(stack={"viewer_networks": ["198.51.100.7/32"]}))
    assert provision(desk.desk, Choice(plan=True)) is ExitCode.CHANGES_PENDING
    assert "1 to change" in desk.told
    assert "      /Properties/GroupDescription: a -> b" in desk.told


# --- run


def test_a_run_is_followed_and_guarded_and_its_outputs_are_kept(tmp_path):
    formation = ScriptedCloudFormation(runs=[CREATED], outputs={"InstanceId": "i-1"})
    desk = Desk(tmp_path, formation, answers=["yes"])
    assert provision(desk.desk, Choice()) is ExitCode.GOOD
    assert "[2/2] create complete     Bucket (AWS::EC2::VPC)" in desk.told
    assert formation.protected
    assert json.loads(formation.policy) == STACK_POLICY
    assert kept(tmp_path / "stack.json").values == {"InstanceId": "i-1"}
    assert desk.after == [kept(tmp_path / "stack.json")]


def test_the_log_says_what_was_done_by_whom_and_how_it_ended(tmp_path):
    provision(Desk(tmp_path, ScriptedCloudFormation(runs=[CREATED])).desk, Choice(yes=True))
    (line,) = (tmp_path / LOG).read_text().splitlines()
    assert json.loads(line) == {
        "at": "2026-11-22T06:00:04Z",
        "what": "create",
        "stack": f"{ARN}/1",
        "by": CALLER,
        "ended": "CREATE_COMPLETE",
    }


def test_the_second_run_says_no_changes_and_still_looks_after_the_host(tmp_path):
    formation = live()
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.GOOD
    assert "no changes" in desk.told
    assert formation.executed == []
    assert formation.made == {}
    assert len(desk.after) == 1


def test_what_the_host_needs_decides_the_exit(tmp_path):
    desk = Desk(tmp_path, live())
    locked = replace(desk.desk, after=lambda _outputs: ExitCode.LOCKED)
    assert provision(locked, Choice(yes=True)) is ExitCode.LOCKED


@pytest.mark.parametrize("answer", ["", "n", "no", "ja", "yes please"])
def test_what_is_not_agreed_to_is_not_run_and_removed(tmp_path, answer):
    formation = ScriptedCloudFormation()
    desk = Desk(tmp_path, formation, answers=[answer])
    assert provision(desk.desk, Choice()) is ExitCode.CHECK_FAILED
    assert formation.executed == []
    assert formation.status == "DELETE_COMPLETE"  # of the stack that was only planned
    formation = live(changes=[GROUP_CHANGE], text="{}")
    assert provision(Desk(tmp_path, formation, answers=[answer]).desk, Choice()) is ExitCode.CHECK_FAILED
    assert formation.made == {}
    assert formation.status == "CREATE_COMPLETE"


def test_a_creation_that_fails_names_its_cause_and_leaves_no_stack(tmp_path):
    formation = ScriptedCloudFormation(runs=[NOT_MADE])
    desk = Desk(tmp_path, formation)
    with pytest.raises(StackError, match=r"Role .*: EC2_Project02_S3ReadOnly already exists") as raised:
        provision(desk.desk, Choice(yes=True))
    assert "nothing of it is left" in raised.value.to_do
    assert "cancelled" not in raised.value.seen
    assert not (tmp_path / "stack.json").exists()
    assert '"ended": "DELETE_COMPLETE"' in (tmp_path / LOG).read_text()
    assert desk.after == []


def test_a_creation_that_is_refused_as_a_whole_says_what_was_found_wrong(tmp_path):
    refused = [
        [
            (NAME, "CREATE_IN_PROGRESS", ""),
            (NAME, "CREATE_FAILED", "Validation failed with 1 error(s). Call DescribeEvents"),
        ],
        [(NAME, "DELETE_COMPLETE", "")],
    ]
    formation = ScriptedCloudFormation(runs=[refused])
    formation.findings = [finding("Role", "role ana already exists")]
    with pytest.raises(StackError, match=r"could not be made: Role .*: role ana already exists"):
        provision(Desk(tmp_path, formation).desk, Choice(yes=True))


def test_a_change_that_fails_says_that_what_was_there_is_back(tmp_path):
    failed = [
        [(NAME, "UPDATE_IN_PROGRESS", ""), ("Role", "UPDATE_FAILED", "not allowed")],
        [(NAME, "UPDATE_ROLLBACK_IN_PROGRESS", "")],
        [(NAME, "UPDATE_ROLLBACK_COMPLETE", "")],
    ]
    desk = Desk(tmp_path, live(text="{}", changes=[GROUP_CHANGE], runs=[failed]))
    with pytest.raises(StackError, match=r"could not be changed: Role .*: not allowed") as raised:
        provision(desk.desk, Choice(yes=True))
    assert "what was there before is back" in raised.value.to_do


def test_protection_and_policy_that_were_taken_away_are_set_again(tmp_path):
    formation = live()
    formation.protected = False
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(plan=True)) is ExitCode.CHANGES_PENDING
    assert not formation.protected
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.GOOD
    assert formation.protected
    formation.policy = json.dumps(OPEN_POLICY)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.GOOD
    assert json.loads(formation.policy) == STACK_POLICY


def test_an_aws_without_termination_protection_is_not_asked_for_it(tmp_path):
    formation = ScriptedCloudFormation(runs=[CREATED])
    assert provision(Desk(tmp_path, formation, protects=False).desk, Choice(yes=True)) is ExitCode.GOOD
    assert not formation.protected


# --- replacement


def test_replacing_the_instance_stops_and_removes_the_change_set(tmp_path):
    formation = live(text="{}", changes=[IMAGE_CHANGE])
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.CHECK_FAILED
    assert f"/Properties/ImageId: {IMAGE} -> {NEWER_IMAGE}" in desk.told
    assert "--allow-replace" in desk.told
    assert formation.executed == []
    assert formation.made == {}


def test_a_plan_that_replaces_says_what_it_needs(tmp_path):
    desk = Desk(tmp_path, live(text="{}", changes=[IMAGE_CHANGE]))
    assert provision(desk.desk, Choice(plan=True)) is ExitCode.CHANGES_PENDING
    assert "not without --allow-replace: Instance" in desk.told


def test_where_replacing_is_allowed_the_policy_is_open_while_it_runs_and_shut_again(tmp_path):
    formation = live(text="{}", changes=[IMAGE_CHANGE], runs=[UPDATED])
    assert provision(Desk(tmp_path, formation).desk, Choice(yes=True, allow_replace=True)) is ExitCode.GOOD
    assert json.loads(formation.policies[0]) == OPEN_POLICY
    assert json.loads(formation.policy) == STACK_POLICY


def test_the_policy_is_shut_again_where_the_run_breaks_off(tmp_path):
    class Broken(ScriptedCloudFormation):
        def execute_change_set(self, **_fields):
            raise error("cloudformation", "ExecuteChangeSet", "InvalidChangeSetStatus")

    formation = Broken("CREATE_COMPLETE", "{}", changes=[IMAGE_CHANGE])
    with pytest.raises(StackError, match="InvalidChangeSetStatus"):
        provision(Desk(tmp_path, formation).desk, Choice(yes=True, allow_replace=True))
    assert json.loads(formation.policy) == STACK_POLICY


# --- the image


def test_a_newer_image_changes_nothing_until_it_is_asked_for(tmp_path):
    account = Account()
    account.image = NEWER_IMAGE
    formation = live()
    assert provision(Desk(tmp_path, formation, account).desk, Choice(plan=True)) is ExitCode.GOOD
    assert (
        provision(Desk(tmp_path, formation, account).desk, Choice(plan=True, refresh_ami=True))
        is ExitCode.CHANGES_PENDING
    )
    assert NEWER_IMAGE in formation.created[-1]["TemplateBody"]


def test_the_zone_is_chosen_once_and_then_kept(tmp_path):
    account, formation = Account(), ScriptedCloudFormation(runs=[CREATED], outputs={"AmiId": IMAGE})
    assert provision(Desk(tmp_path, formation, account).desk, Choice(yes=True)) is ExitCode.GOOD
    assert f"AvailabilityZone: {REGION}a" in formation.template
    account.zones = [f"{REGION}c"]
    assert provision(Desk(tmp_path, formation, account).desk, Choice(plan=True)) is ExitCode.GOOD


@pytest.mark.parametrize(
    ("body", "zone"),
    [
        ("Subnet:\n    AvailabilityZone: us-east-1a\n", "us-east-1a"),
        ("Subnet:\n    AvailabilityZone:\n", ""),
        ({"Subnet": {"AvailabilityZone": "us-east-1a"}}, "us-east-1a"),  # as boto3 hands on a template in JSON
        ({"Subnet": {}}, ""),
    ],
)
def test_the_zone_of_a_stack_is_the_one_that_its_template_names(body, zone):
    formation = ScriptedCloudFormation("CREATE_COMPLETE", body)
    assert driver.zone(hands(formation), NAME) == zone


# --- what is in the way


def test_while_another_operation_is_running_nothing_is_done(tmp_path):
    formation = ScriptedCloudFormation("UPDATE_IN_PROGRESS")
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.CHECK_FAILED
    assert "another operation is running" in desk.told
    assert formation.created == []


def test_a_stack_that_only_a_person_can_help_is_left_alone(tmp_path):
    formation = ScriptedCloudFormation("UPDATE_ROLLBACK_FAILED")
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.CHECK_FAILED
    assert "continue-update-rollback" in desk.told
    assert formation.created == formation.deleted == []


def test_what_a_failed_creation_left_is_removed_first(tmp_path):
    formation = ScriptedCloudFormation("ROLLBACK_COMPLETE", runs=[DELETED, CREATED])
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.GOOD
    assert formation.deleted == [f"{ARN}/1"]
    assert desk.asked == []
    assert formation.status == "CREATE_COMPLETE"


def test_a_plan_only_says_what_a_failed_creation_left(tmp_path):
    formation = ScriptedCloudFormation("ROLLBACK_COMPLETE")
    desk = Desk(tmp_path, formation)
    assert provision(desk.desk, Choice(plan=True)) is ExitCode.CHANGES_PENDING
    assert "it would be removed" in desk.told
    assert formation.deleted == formation.created == []


@pytest.mark.parametrize("status", ["DELETE_FAILED", "ROLLBACK_FAILED", "CREATE_FAILED"])
def test_what_may_still_hold_something_is_removed_only_after_a_yes(tmp_path, status):
    formation = ScriptedCloudFormation(status, runs=[DELETED, CREATED])
    formation.protected = True
    desk = Desk(tmp_path, formation, answers=["no"])
    assert provision(desk.desk, Choice()) is ExitCode.CHECK_FAILED
    assert formation.deleted == []
    desk = Desk(tmp_path, formation, answers=["yes", "yes"])
    assert provision(desk.desk, Choice()) is ExitCode.GOOD
    assert formation.deleted == [f"{ARN}/1"]


def test_what_cannot_be_removed_is_named(tmp_path):
    stays = [
        [(NAME, "DELETE_IN_PROGRESS", ""), ("Vpc", "DELETE_FAILED", "has dependencies")],
        [(NAME, "DELETE_FAILED", "The following resource(s) failed to delete: [Vpc].")],
        [],
        [],
    ]
    formation = ScriptedCloudFormation("ROLLBACK_COMPLETE", runs=[stays])
    with pytest.raises(StackError, match=r"cannot be removed: Vpc .*: has dependencies"):
        provision(Desk(tmp_path, formation).desk, Choice(yes=True))
    assert formation.created == []


def test_the_wrong_account_stops_before_anything_else_is_asked(tmp_path):
    formation = ScriptedCloudFormation("UPDATE_IN_PROGRESS")
    desk = Desk(tmp_path, formation, settings=Settings(stack={"expected_account_id": "999988887777"}))
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.CHECK_FAILED
    assert "expected: account 999988887777" in desk.told
    assert "another operation" not in desk.told


def test_a_bucket_of_somebody_else_stops_before_any_change(tmp_path):
    account, formation = Account(), ScriptedCloudFormation()
    account.bucket = "another's"
    desk = Desk(tmp_path, formation, account)
    assert provision(desk.desk, Choice(yes=True)) is ExitCode.CHECK_FAILED
    assert "belongs to another account" in desk.told
    assert formation.created == []


def test_our_own_bucket_and_githubs_provider_are_adopted(tmp_path):
    account, formation = Account(), ScriptedCloudFormation(runs=[CREATED])
    account.bucket = REGION
    account.providers = ["arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"]
    settings = Settings(stack={"github": {"repository": "ana/shop", "owner_id": "1", "repository_id": "2"}})
    assert provision(Desk(tmp_path, formation, account, settings=settings).desk, Choice(yes=True)) is ExitCode.GOOD
    assert formation.created[0]["ImportExistingResources"] is True
    assert f"Provider: {account.providers[0]}" in formation.template


def test_nothing_is_adopted_where_nothing_is_there(tmp_path):
    formation = ScriptedCloudFormation()
    provision(Desk(tmp_path, formation).desk, Choice(plan=True))
    assert "ImportExistingResources" not in formation.created[0]


@pytest.mark.parametrize(
    ("address", "offered"),
    [(lambda: "198.51.100.9", '["198.51.100.9/32"]'), (None, "203.0.113.7/32")],
)
def test_our_own_address_is_offered_where_a_door_is_not_set(tmp_path, address, offered):
    desk = Desk(tmp_path, ScriptedCloudFormation(), own_address=address)
    provision(desk.desk, Choice(plan=True))
    assert offered in desk.told


def test_an_address_that_nobody_tells_stops_nothing(tmp_path):
    def silent():
        raise StackError("no answer", expected="an address", to_do="check the network")

    desk = Desk(tmp_path, ScriptedCloudFormation(), own_address=silent)
    assert provision(desk.desk, Choice(plan=True)) is ExitCode.CHANGES_PENDING


def test_words_from_aws_cannot_steer_a_terminal(tmp_path):
    failed = [
        [(NAME, "CREATE_IN_PROGRESS", ""), ("Role", "CREATE_FAILED", "\x1b[2Jgone")],
        [(NAME, "DELETE_COMPLETE", "")],
    ]
    desk = Desk(tmp_path, ScriptedCloudFormation(runs=[failed]))
    with suppress(StackError):
        provision(desk.desk, Choice(yes=True))
    assert "gone" in desk.told
    assert "\x1b" not in desk.told
