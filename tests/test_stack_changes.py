import json

import pytest

from ops.stack.changes import Property, nothing_changes, refusal, rows, summary, text
from tests.scripted_cloudformation import NO_CHANGES, add, modify

INSTANCE, GROUP = "AWS::EC2::Instance", "AWS::EC2::SecurityGroup"


def remove(logical_id, kind, **said):
    return {
        "ResourceChange": {
            "Action": "Remove",
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": f"{logical_id.lower()}-1",
            "ResourceType": kind,
            **said,
        }
    }


def test_rows_come_by_what_is_done_and_then_by_name():
    found = rows([
        remove("Topic", "AWS::SNS::Topic"),
        modify("Instance", INSTANCE, ("/Properties/ImageId", "ami-1", "ami-2", "Always"), replacement="True"),
        add("Vpc"),
        add("Address", "AWS::EC2::EIP"),
        modify("SecurityGroup", GROUP, ("/Properties/GroupDescription", "a", "b", "Never")),
    ])  # fmt: skip
    assert [(row.does, row.logical_id) for row in found] == [
        ("add", "Address"),
        ("add", "Vpc"),
        ("change", "SecurityGroup"),
        ("replace", "Instance"),
        ("remove", "Topic"),
    ]
    assert summary(found) == "2 to add, 1 to change, 1 to replace, 1 to remove"


def test_a_changed_property_is_shown_as_it_was_and_as_it_will_be():
    found = rows([modify("SecurityGroup", GROUP, ("/Properties/Tags/0/Value", "old", "new", "Never"))])
    assert "      /Properties/Tags/0/Value: old -> new" in text(found).splitlines()


def test_a_property_that_is_named_for_several_causes_stands_there_once_with_the_gravest():
    change = modify(
        "Instance",
        INSTANCE,
        ("/Properties/UserData", "a", "b", "Never"),
        ("/Properties/UserData", "a", "b", "Always"),
        ("/Properties/UserData", "a", "b", "Conditionally"),
        replacement="True",
    )
    assert rows([change])[0].properties == (Property("/Properties/UserData", "a", "b", "Always"),)


def test_without_values_of_each_property_those_of_the_whole_resource_are_taken():
    change = modify("SecurityGroup", GROUP)
    change["ResourceChange"] |= {
        "Details": [
            {"Target": {"Attribute": "Properties", "Name": "GroupDescription"}},
            {"Target": {"Attribute": "Tags"}},
        ],
        "BeforeContext": json.dumps({"Properties": {"GroupDescription": "a"}}),
        "AfterContext": json.dumps({"Properties": {"GroupDescription": "b"}, "Tags": [{"Key": "k"}]}),
    }
    assert [one.text for one in rows([change])[0].properties] == [
        "/Properties/GroupDescription: a -> b",
        '/Tags: (none) -> [{"Key": "k"}]',
    ]


@pytest.mark.parametrize("context", [None, "", "{", "[]", "null"])
def test_a_property_whose_values_nobody_tells_is_named_alone(context):
    change = modify("SecurityGroup", GROUP)
    change["ResourceChange"] |= {
        "Details": [{"Target": {"Attribute": "Properties", "Name": "GroupDescription"}}],
        "BeforeContext": context,
    }
    assert [one.text for one in rows([change])[0].properties] == ["/Properties/GroupDescription"]


def test_a_long_value_is_cut_with_its_length_and_stands_on_one_line():
    shown = Property("/p", None, "line\n" * 100).text
    assert shown.endswith("... (500 characters)")
    assert "\n" not in shown
    assert len(shown) < 150
    assert Property("/p", "", "x").text == '/p: "" -> x'


@pytest.mark.parametrize(
    ("kind", "replacement", "stops"),
    [
        (INSTANCE, "True", True),
        (INSTANCE, "Conditional", True),
        (INSTANCE, "False", False),
        ("AWS::S3::Bucket", "True", True),
        ("AWS::S3::Bucket", "Conditional", True),
        (GROUP, "True", False),
    ],
)
def test_replacing_an_instance_or_a_bucket_even_perhaps_stops_and_nothing_else_does(kind, replacement, stops):
    change = modify("One", kind, ("/Properties/P", "before", "after", "Conditionally"), replacement=replacement)
    assert bool(refusal(rows([change]))) is stops


def test_a_stop_names_the_resource_and_the_property_that_causes_it_with_both_values():
    change = modify(
        "Instance",
        INSTANCE,
        ("/Properties/Monitoring", "false", "true", "Never"),
        ("/Properties/ImageId", "ami-1", "ami-2", "Always"),
        replacement="True",
    )
    assert refusal(rows([change])) == (
        "Instance (AWS::EC2::Instance instance-1) would be replaced: /Properties/ImageId: ami-1 -> ami-2",
    )


def test_removing_the_bucket_stops_too_and_is_said_to_leave_it_where_it_does():
    found = rows([remove("Bucket", "AWS::S3::Bucket", PolicyAction="Retain")])
    assert refusal(found) == ("Bucket (AWS::S3::Bucket bucket-1) would be removed",)
    assert "(left as it is, outside the stack)" in text(found)


def test_what_is_taken_over_is_told_apart_from_what_is_made():
    change = add("Bucket", "AWS::S3::Bucket")
    change["ResourceChange"]["Action"] = "Import"
    assert rows([change])[0].does == "take over"


def test_an_empty_change_set_has_no_changes():
    assert text(rows([])) == "no changes"


@pytest.mark.parametrize(
    ("reason", "nothing"),
    [
        (NO_CHANGES, True),
        ("No updates are to be performed.", True),
        ("Resource handler returned message: access denied", False),
        ("", False),
    ],
)
def test_nothing_to_change_is_known_by_either_of_cloudformations_sentences(reason, nothing):
    assert nothing_changes(reason) is nothing
