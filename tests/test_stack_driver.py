import io

import boto3
import pytest

from etl.errors import StackError
from ops.stack import driver
from ops.stack.answers import THROTTLED, Refused, Unanswered
from ops.stack.driver import ChangeSet, Wanted
from ops.stack.events import Feed, first_failure
from ops.stack.leftovers import state
from ops.stack.progress import progress
from tests.scripted_cloudformation import (
    ARN,
    NAME,
    NO_CHANGES,
    NOW,
    REGION,
    Clock,
    ScriptedCloudFormation,
    add,
    error,
    event,
    finding,
    hands,
    stubbed,
)

STACK_ID, SET_ARN = f"{ARN}/1", f"arn:aws:cloudformation:{REGION}:111122223333:changeSet/kpi-ops-1/0a1b"
ADOPTED = Wanted(NAME, "{}", {"project": "project02"}, create=True, adopt=True)
CHANGED = Wanted(NAME, "{}", {"project": "project02"}, create=False, adopt=False)


def described(status, **more):
    return {"Stacks": [{"StackId": STACK_ID, "StackName": NAME, "StackStatus": status, "CreationTime": NOW, **more}]}


# --- change sets, call by call


def change_set(status, reason="", **more):
    return {"ChangeSetId": SET_ARN, "StackId": STACK_ID, "Status": status, "StatusReason": reason, **more}


def test_a_creation_is_asked_for_with_everything_that_makes_it_safe_to_fail():
    client, stubber = stubbed()
    stubber.add_response(
        "create_change_set",
        {"Id": SET_ARN, "StackId": STACK_ID},
        {
            "StackName": NAME,
            "ChangeSetName": f"{ADOPTED.mark}20261122T060000000000",
            "ChangeSetType": "CREATE",
            "TemplateBody": "{}",
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": "project", "Value": "project02"}],
            "ImportExistingResources": True,
            "OnStackFailure": "DELETE",
        },
    )
    stubber.add_response("describe_change_set", change_set("CREATE_PENDING"))
    stubber.add_response("describe_change_set", change_set("CREATE_IN_PROGRESS"))
    stubber.add_response("describe_change_set", change_set("CREATE_COMPLETE"))
    asked = {"ChangeSetName": SET_ARN, "StackName": STACK_ID, "IncludePropertyValues": True}
    stubber.add_response("describe_change_set", change_set("CREATE_COMPLETE", Changes=[add("B")], NextToken="2"), asked)
    stubber.add_response(
        "describe_change_set", change_set("CREATE_COMPLETE", Changes=[add("A")]), asked | {"NextToken": "2"}
    )
    made = driver.make(hands(client), ADOPTED, NOW)
    assert (made.arn, made.stack_id) == (SET_ARN, STACK_ID)
    assert [row.logical_id for row in made.rows] == ["A", "B"]
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("reason", [NO_CHANGES, "No updates are to be performed."])
def test_a_change_set_without_changes_is_none_and_is_deleted(reason):
    client, stubber = stubbed()
    stubber.add_response("create_change_set", {"Id": SET_ARN, "StackId": STACK_ID})
    stubber.add_response("describe_change_set", change_set("FAILED", reason))
    stubber.add_response("delete_change_set", {}, {"ChangeSetName": SET_ARN})
    assert driver.make(hands(client), CHANGED, NOW) is None
    stubber.assert_no_pending_responses()


def test_a_change_set_that_cannot_be_made_says_why_and_leaves_no_planned_stack():
    client, stubber = stubbed()
    stubber.add_response("create_change_set", {"Id": SET_ARN, "StackId": STACK_ID})
    stubber.add_response("describe_change_set", change_set("FAILED", "Validation failed with 2 error(s)."))
    findings = [finding("Role", "role ana already exists"), finding("Bucket", "is taken"), {"EventType": "STACK_EVENT"}]
    asked = {"ChangeSetName": SET_ARN, "Filters": {"FailedEvents": True}}
    stubber.add_response("describe_events", {"OperationEvents": findings}, asked)
    stubber.add_response("describe_stack_events", {"StackEvents": []})
    stubber.add_response("delete_stack", {}, {"StackName": STACK_ID})
    stubber.add_response("describe_stacks", described("DELETE_COMPLETE"), {"StackName": STACK_ID})
    stubber.add_response("describe_stack_events", {"StackEvents": []})
    with pytest.raises(StackError) as raised:
        driver.make(hands(client), ADOPTED, NOW)
    assert raised.value.seen == (
        "CloudFormation cannot make the change set: "
        "Role (AWS::IAM::Role): role ana already exists; Bucket (AWS::IAM::Role): is taken"
    )
    stubber.assert_no_pending_responses()


def test_where_cloudformation_does_not_tell_what_it_found_its_summary_is_given():
    client, stubber = stubbed()
    stubber.add_response("create_change_set", {"Id": SET_ARN, "StackId": STACK_ID})
    stubber.add_response("describe_change_set", change_set("FAILED", "Validation failed with 2 error(s)."))
    stubber.add_client_error("describe_events", "AccessDenied")
    stubber.add_response("delete_change_set", {})
    with pytest.raises(StackError, match=r"cannot make the change set: Validation failed with 2 error\(s\)"):
        driver.make(hands(client), CHANGED, NOW)
    stubber.assert_no_pending_responses()


def test_a_change_set_that_is_never_made_is_not_waited_for_without_end():
    class Endless(ScriptedCloudFormation):
        def describe_change_set(self, **_fields):
            return change_set("CREATE_IN_PROGRESS")

    clock = Clock()
    with pytest.raises(StackError, match="is not over after 10 minutes"):
        driver.make(hands(Endless(), clock), ADOPTED, NOW)
    assert clock.at_s < 700


def test_a_template_that_is_too_long_to_be_sent_along_is_refused_before_anything_is_asked():
    client, _ = stubbed()  # which answers nothing
    with pytest.raises(StackError, match="the template has 51201 bytes"):
        driver.make(hands(client), Wanted(NAME, "x" * 51_201, {}, create=True, adopt=False), NOW)


def test_the_same_wish_has_the_same_name_and_any_other_has_another():
    wishes = [
        ADOPTED,
        CHANGED,
        Wanted(NAME, "{ }", ADOPTED.tags, create=True, adopt=True),
        Wanted(NAME, "{}", {}, create=True, adopt=True),
        Wanted(NAME, "{}", ADOPTED.tags, create=True, adopt=False),
    ]
    assert len({wish.mark for wish in wishes}) == len(wishes)
    assert Wanted(NAME, "{}", dict(ADOPTED.tags), create=True, adopt=True).mark == ADOPTED.mark


def test_a_change_set_is_run_by_its_arn_with_a_token_that_makes_a_repeated_call_harmless():
    client, stubber = stubbed()
    done = [event(2, NAME, "UPDATE_COMPLETE"), event(1, NAME, "UPDATE_IN_PROGRESS")]
    stubber.add_response("describe_stack_events", {"StackEvents": [event(0, NAME, "CREATE_COMPLETE")]})
    stubber.add_response("execute_change_set", {}, {"ChangeSetName": SET_ARN, "ClientRequestToken": "run-0a1b"})
    stubber.add_response("describe_stacks", described("UPDATE_COMPLETE"), {"StackName": STACK_ID})
    stubber.add_response("describe_stack_events", {"StackEvents": [*done, event(0, NAME, "CREATE_COMPLETE")]})
    assert driver.execute(hands(client), ChangeSet(SET_ARN, STACK_ID, ())).status == "UPDATE_COMPLETE"
    stubber.assert_no_pending_responses()


# --- events


def test_events_of_several_pages_come_once_and_the_oldest_first():
    client, stubber = stubbed()
    pages = [[9, 8], [7, 6], [5, 4]]
    stubber.add_response("describe_stack_events", {"StackEvents": [event(5, "A", "CREATE_COMPLETE")]})
    for number, page in enumerate(pages):
        events = [event(one, "A", "CREATE_COMPLETE") for one in page]
        asked = {"StackName": STACK_ID} | ({"NextToken": str(number)} if number else {})
        stubber.add_response("describe_stack_events", {"StackEvents": events, "NextToken": str(number + 1)}, asked)
    feed = Feed(client, STACK_ID)
    feed.skip()
    # the page with 5 ends it: what is older was there before
    assert [one.id for one in feed.fresh() if one.id != "4"] == ["6", "7", "8", "9"]
    stubber.add_response("describe_stack_events", {"StackEvents": [event(9, "A", "CREATE_COMPLETE")]})
    assert feed.fresh() == []
    stubber.assert_no_pending_responses()


def told(*events):
    """Events as the code has them."""
    feed = Feed(ScriptedCloudFormation("CREATE_COMPLETE"), STACK_ID)
    feed.client.events = [event(number, *one) for number, one in enumerate(events)]
    return feed.fresh()


def test_the_first_failure_is_the_cause_and_not_what_was_given_up_for_it():
    found = first_failure(
        told(
            ("Vpc", "CREATE_COMPLETE"),
            ("Subnet", "CREATE_FAILED", "Resource creation cancelled"),
            ("Role", "CREATE_FAILED", "already exists"),
            ("Topic", "CREATE_FAILED", "another reason"),
            (NAME, "CREATE_FAILED", "The following resource(s) failed to create: [Role]."),
        )
    )
    assert (found.logical_id, found.reason) == ("Role", "already exists")


def test_where_no_resource_failed_the_stacks_own_reason_is_given():
    found = first_failure(told((NAME, "UPDATE_FAILED", "Export is in use")))
    assert found.reason == "Export is in use"
    assert first_failure(told(("Vpc", "CREATE_COMPLETE"))) is None


# --- following


class Looks(ScriptedCloudFormation):
    """Plays one look after the other; one that is an exception is raised."""

    def __init__(self, *looks):
        super().__init__("CREATE_COMPLETE")
        self.looks = list(looks)

    def delete_stack(self, **_fields):
        pass

    def describe_stacks(self, **fields):
        look = self.looks.pop(0)
        if isinstance(look, BaseException):
            raise look
        self.status, events = look
        for status in events:
            self.events.append(event(len(self.events), NAME, status))
        return super().describe_stacks(**fields)


THROTTLING = error("cloudformation", "DescribeStacks", "Throttling", "Rate exceeded")


@pytest.mark.parametrize("code", sorted(THROTTLED))
def test_throttling_is_known_by_each_of_its_names(code):
    assert error("ec2", "DescribeVpcs", code).passing


def test_a_throttled_look_is_made_again_after_ever_longer_waits_up_to_a_bound():
    clock = Clock()
    formation = Looks(*[THROTTLING] * 6, ("DELETE_COMPLETE", []))
    assert driver.delete(hands(formation, clock), STACK_ID).status == "DELETE_COMPLETE"
    assert clock.slept == [4, 8, 16, 30, 30, 30]


def test_a_look_that_nobody_answers_is_no_end_of_what_goes_on_in_aws():
    silent = Unanswered("no answer", expected="one", to_do="wait")
    formation = Looks(silent, ("DELETE_IN_PROGRESS", ["DELETE_IN_PROGRESS"]), silent, ("DELETE_COMPLETE", []))
    assert driver.delete(hands(formation), STACK_ID).status == "DELETE_COMPLETE"


def test_when_nobody_answers_for_long_it_is_given_up():
    with pytest.raises(Refused, match="Throttling"):
        driver.delete(hands(Looks(*[THROTTLING] * 30)), STACK_ID)


def test_a_look_that_is_not_allowed_is_not_made_again():
    denied = error("cloudformation", "DescribeStacks", "AccessDenied", status=403)
    clock = Clock()
    with pytest.raises(Refused, match="AccessDenied"):
        driver.delete(hands(Looks(denied), clock), STACK_ID)
    assert clock.slept == []


def test_the_state_from_before_is_not_taken_for_the_end():
    formation = Looks(
        ("CREATE_COMPLETE", []),
        ("CREATE_COMPLETE", ["UPDATE_IN_PROGRESS"]),
        ("UPDATE_IN_PROGRESS", []),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"]),
        ("UPDATE_COMPLETE", ["UPDATE_COMPLETE"]),
    )
    assert driver.delete(hands(formation), STACK_ID).status == "UPDATE_COMPLETE"
    assert formation.looks == []


def test_a_failed_creation_that_is_about_to_be_cleared_away_is_not_taken_for_the_end():
    formation = Looks(
        ("CREATE_FAILED", ["CREATE_FAILED"]),
        ("CREATE_FAILED", []),
        ("DELETE_IN_PROGRESS", ["DELETE_IN_PROGRESS"]),
        ("DELETE_COMPLETE", ["DELETE_COMPLETE"]),
    )
    assert driver.delete(hands(formation), STACK_ID).status == "DELETE_COMPLETE"


def test_a_failed_creation_that_nobody_clears_away_is_the_end_after_a_while():
    formation = Looks(("ROLLBACK_COMPLETE", ["ROLLBACK_COMPLETE"]), *[("ROLLBACK_COMPLETE", [])] * 5)
    assert driver.delete(hands(formation), STACK_ID).status == "ROLLBACK_COMPLETE"


def test_what_never_ends_is_followed_for_an_hour_and_not_longer():
    clock = Clock()
    formation = Looks(*[("DELETE_IN_PROGRESS", [])] * 4000)
    with pytest.raises(StackError, match="is not over after 60 minutes, and goes on in AWS"):
        driver.delete(hands(formation, clock), STACK_ID)
    assert 3600 <= clock.at_s < 3700


def test_who_stops_looking_is_told_that_it_goes_on():
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        driver.delete(hands(Looks(KeyboardInterrupt()), stream=stream), STACK_ID)
    assert "it goes on in AWS" in stream.getvalue()


# --- states


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("", "absent"),
        ("DELETE_COMPLETE", "absent"),
        ("REVIEW_IN_PROGRESS", "planned"),
        ("CREATE_COMPLETE", "live"),
        ("UPDATE_ROLLBACK_COMPLETE", "live"),
        ("IMPORT_ROLLBACK_COMPLETE", "live"),
        ("CREATE_IN_PROGRESS", "busy"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "busy"),
        ("ROLLBACK_IN_PROGRESS", "busy"),
        ("DELETE_IN_PROGRESS", "busy"),
        ("ROLLBACK_COMPLETE", "failed"),
        ("CREATE_FAILED", "half gone"),
        ("ROLLBACK_FAILED", "half gone"),
        ("DELETE_FAILED", "half gone"),
        ("UPDATE_ROLLBACK_FAILED", "stuck"),
        ("UPDATE_FAILED", "stuck"),
        ("A_STATE_OF_2030", "stuck"),
    ],
)
def test_each_state_of_a_stack_has_one_meaning(status, meaning):
    assert state(status) == meaning


def test_every_state_that_botocore_knows_has_a_meaning_of_its_own():
    client = boto3.client("cloudformation", region_name=REGION, aws_access_key_id="t", aws_secret_access_key="t")
    known = client.meta.service_model.shape_for("StackStatus").enum
    unknown = {status for status in known if state(status) == "stuck"}
    assert unknown == {"UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED", "IMPORT_ROLLBACK_FAILED"}


# --- the bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_bar_stands_below_the_lines_and_is_gone_at_the_end():
    stream = Terminal()
    with progress(stream, 4) as shown:
        shown.done = 1
        shown.line("one")
    assert "[1/4] one\n#######......................." in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_in_a_log_there_are_lines_alone():
    stream = io.StringIO()
    with progress(stream, 0) as shown:
        shown.line("one\r\x1b[K")
    assert stream.getvalue() == "[0/0] one  [K\n"
