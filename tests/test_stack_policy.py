"""The evaluator of IAM policies, against what AWS documents."""

import json
import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.stack.policy import Decision, PolicyError, Principal, Request, allowed, decide, read
from ops.stack.policy_conditions import like

OBJECT = "arn:aws:s3:::shop/processed/metadata.json"
ROLE = Principal("AWS", "arn:aws:iam::123456789012:role/Host")


def policy(*statements, **elements):
    return {"Version": "2012-10-17", "Statement": list(statements), **elements}


def statement(effect="Allow", action="s3:GetObject", resource="*", **elements):
    return {"Effect": effect, "Action": action, "Resource": resource, **elements}


def get(resource=OBJECT, action="s3:GetObject", principal=None, **context):
    return Request(action, resource, {name.replace("__", ":"): value for name, value in context.items()}, principal)


def holds(operator, values, *, asked=None):
    """Whether a condition on one key lets a statement speak; `asked` None: the request has no such key."""
    document = policy(statement(Condition={operator: {"aws:Key": values}}))
    return allowed([document], Request("s3:GetObject", OBJECT, {} if asked is None else {"aws:Key": asked}))


# --- what wins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([], "implicit deny"),
        ([statement()], "allow"),
        ([statement("Deny")], "explicit deny"),
        ([statement(), statement("Deny")], "explicit deny"),
        ([statement("Deny"), statement()], "explicit deny"),
        ([statement(), statement("Deny", "s3:PutObject")], "allow"),
        ([statement(action="s3:PutObject")], "implicit deny"),
    ],
)
def test_an_explicit_deny_goes_before_allow_and_allow_before_nothing(statements, decision):
    assert decide([policy(*statements)], get()) == decision
    assert decide([policy(said) for said in statements], get()) == decision
    assert allowed([policy(*statements)], get()) == (decision == "allow")


def test_no_document_allows_nothing():
    assert decide([], get()) is Decision.IMPLICIT_DENY


def test_a_single_statement_stands_without_a_list():
    assert allowed([{"Statement": statement()}], get())


@pytest.mark.parametrize(
    ("action", "fits"),
    [
        ("*", True),
        ("s3:*", True),
        ("S3:getobject", True),
        ("s3:Get*", True),
        ("s3:GetObjec?", True),
        ("s3:GetObject?", False),
        ("s3:Get", False),
        ("s3:*Object", True),
        ("s3:*ObjectTagging", False),
        ("ec2:*", False),
        (["ec2:*", "s3:GetObject"], True),
    ],
)
def test_actions_are_patterns_in_any_case(action, fits):
    assert allowed([policy(statement(action=action))], get()) is fits


@pytest.mark.parametrize(
    ("resource", "fits"),
    [
        ("*", True),
        (OBJECT, True),
        ("arn:aws:s3:::shop/*", True),
        ("arn:aws:s3:::shop", False),
        ("arn:aws:s3:::SHOP/*", False),
        ("arn:aws:s3:::shop/processed/metadata.jso?", True),
        ("arn:aws:s3:::shop/raw/*", False),
        ("arn:aws:s3:::sho[p]/*", False),
        ("arn:aws:s3:*", True),  # a * reaches beyond the colons of a resource
        (["arn:aws:s3:::other/*", "arn:aws:s3:::shop/p*n"], True),
    ],
)
def test_resources_are_patterns_in_their_case(resource, fits):
    assert allowed([policy(statement(resource=resource))], get()) is fits


def test_an_action_without_a_resource_needs_one_that_says_all():
    every = Request("s3:ListAllMyBuckets")
    assert allowed([policy(statement(action="s3:*"))], every)
    assert not allowed([policy(statement(action="s3:*", resource="arn:aws:s3:::*"))], every)


def test_what_is_not_named_is_everything_else():
    but_iam = {"Effect": "Allow", "NotAction": ["iam:*", "s3:Put*"], "Resource": "*"}
    assert allowed([policy(but_iam)], get())
    assert not allowed([policy(but_iam)], get(action="s3:PutObject"))
    assert not allowed([policy(but_iam)], get(action="iam:CreateUser"))
    elsewhere = {"Effect": "Deny", "Action": "s3:*", "NotResource": ["arn:aws:s3:::shop/processed/*"]}
    assert allowed([policy(statement(), elsewhere)], get())
    assert decide([policy(statement(), elsewhere)], get("arn:aws:s3:::shop/raw/a")) is Decision.EXPLICIT_DENY


# --- who -------------------------------------------------------------------------------------------------------------

ALARMS, GITHUB = (
    Principal("Service", "cloudwatch.amazonaws.com"),
    Principal("Federated", "arn:aws:iam::123456789012:oidc-provider/x"),
)


@pytest.mark.parametrize(
    ("named", "asked", "fits"),
    [
        ("*", None, True),
        ({"AWS": "*"}, None, True),
        ("*", ALARMS, True),
        ({"AWS": ROLE.name}, ROLE, True),
        ({"AWS": ROLE.name}, None, False),
        ({"AWS": ROLE.name}, Principal("AWS", f"{ROLE.name}2"), False),
        ({"AWS": ROLE.name}, Principal("AWS", ROLE.name.lower()), False),
        ({"AWS": "123456789012"}, ROLE, True),
        ({"AWS": "arn:aws:iam::123456789012:root"}, ROLE, True),
        ({"AWS": "arn:aws:iam::210987654321:root"}, ROLE, False),
        ({"AWS": "210987654321"}, ROLE, False),
        ({"AWS": "123456789012"}, GITHUB, False),
        ({"Federated": "123456789012"}, GITHUB, False),
        ({"AWS": ["210987654321", ROLE.name]}, ROLE, True),
        ({"Service": "cloudwatch.amazonaws.com"}, ALARMS, True),
        ({"Service": "ec2.amazonaws.com"}, ALARMS, False),
        ({"AWS": "cloudwatch.amazonaws.com"}, ALARMS, False),
        ({"Federated": GITHUB.name}, GITHUB, True),
        ({"Federated": GITHUB.name, "Service": "ec2.amazonaws.com"}, ALARMS, False),
    ],
)
def test_a_principal_is_named_whole(named, asked, fits):
    assert allowed([policy(statement(Principal=named))], get(principal=asked)) is fits
    but = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "NotPrincipal": named}
    assert allowed([policy(but)], get(principal=asked)) is not fits


def test_a_trust_policy_needs_no_resource_and_a_role_s_own_policy_no_principal():
    trust = policy(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    )
    assert allowed([trust], Request("sts:AssumeRole", ROLE.name, principal=ALARMS))
    assert not allowed([trust], Request("sts:AssumeRole", ROLE.name, principal=ROLE))
    assert allowed([policy(statement())], get(principal=ROLE))


# --- conditions ------------------------------------------------------------------------------------------------------

ARN, IN_2026 = "arn:aws:sns:eu-west-2:123456789012:topic", "2026-11-22T12:00:00Z"


@pytest.mark.parametrize(
    ("operator", "values", "asked", "fits"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", ["b", "a"], "a", True),
        ("StringNotEquals", "a", "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringEqualsIgnoreCase", "Prod", "pROD", True),
        ("StringNotEqualsIgnoreCase", "Prod", "pROD", False),
        ("StringLike", "processed/*", "processed/", True),
        ("StringLike", "processed/*", "processed", False),
        ("StringLike", "p?*d", "prod", True),
        ("StringLike", "Prod*", "prod", False),
        ("StringNotLike", "raw/*", "raw/a", False),
        ("StringNotLike", "raw/*", "processed/a", True),
        ("ArnLike", "arn:aws:sns:*:123456789012:*", ARN, True),
        ("ArnEquals", "arn:aws:sns:*:123456789012:*", ARN, True),
        ("ArnLike", "arn:*:r:1:a:b", "arn:aws:sns:r:1:a:b", False),  # part by part
        ("ArnLike", "arn:aws:sns:*:*:a*", "arn:aws:sns:r:1:a:b", True),
        ("ArnLike", "arn:aws:sns:*:*:*", "no arn", False),
        ("ArnNotLike", "arn:aws:sns:*:*:*", ARN, False),
        ("ArnNotEquals", "arn:aws:sns:*:*:other", ARN, True),
        ("Bool", "true", "True", True),
        ("Bool", True, "true", True),
        ("Bool", "false", "true", False),
        ("IpAddress", "203.0.113.0/24", "203.0.113.7", True),
        ("IpAddress", "203.0.113.7", "203.0.113.7", True),
        ("IpAddress", "203.0.113.0/24", "2001:db8::1", False),
        ("IpAddress", ["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
        ("NotIpAddress", "203.0.113.0/24", "203.0.113.7", False),
        ("NumericEquals", 5, "5.0", True),
        ("NumericNotEquals", "5", "6", True),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "10", False),
        ("NumericGreaterThanEquals", "10", "10", True),
        ("DateLessThan", "2027-01-01T00:00:00Z", IN_2026, True),
        ("DateGreaterThan", "1700000000", IN_2026, True),
        ("DateEquals", "2026-11-22T14:00:00+02:00", IN_2026, True),
        ("DateNotEquals", IN_2026, IN_2026, False),
        ("DateLessThanEquals", "2026-11-22", IN_2026, False),
        ("DateGreaterThanEquals", "2026-11-22", IN_2026, True),
        ("Null", "true", "a", False),
        ("Null", False, "a", True),
        ("StringEqualsIfExists", "a", "b", False),
        ("StringEqualsIfExists", "a", "a", True),
        ("ForAnyValue:StringEquals", ["a", "b"], ("b", "c"), True),
        ("ForAnyValue:StringEquals", ["a", "b"], ("c", "d"), False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ("a", "c"), True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ("a", "b"), False),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "b", "a"), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringLike", "a*", "ab", True),
        ("ForAllValues:StringNotEquals", ["a"], ("b", "a"), False),
    ],
)
def test_a_condition_holds_as_documented(operator, values, asked, fits):
    assert holds(operator, values, asked=asked) is fits


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("StringEquals", "a", False),
        ("StringLike", "*", False),
        ("ArnLike", "arn:aws:*:*:*:*", False),
        ("Bool", "false", False),
        ("NumericLessThan", "5", False),
        ("DateLessThan", "2027-01-01", False),
        ("IpAddress", "0.0.0.0/0", False),
        ("StringNotEquals", "a", True),
        ("StringNotLike", "*", True),
        ("ArnNotEquals", "arn:aws:*:*:*:*", True),
        ("NotIpAddress", "0.0.0.0/0", True),
        ("NumericNotEquals", "5", True),
        ("StringEqualsIfExists", "a", True),
        ("BoolIfExists", "false", True),
        ("NotIpAddressIfExists", "0.0.0.0/0", True),
        ("Null", "true", True),
        ("Null", "false", False),
        ("ForAllValues:StringEquals", "a", True),
        ("ForAllValues:StringNotEquals", "a", True),
        ("ForAllValues:StringEqualsIfExists", "a", True),
        ("ForAnyValue:StringEquals", "a", False),
        ("ForAnyValue:StringNotEquals", "a", False),
    ],
)
@pytest.mark.parametrize("asked", [None, ()])
def test_a_key_that_is_missing_is_judged_as_documented(operator, values, fits, asked):
    assert holds(operator, values, asked=asked) is fits


def test_all_operators_and_all_keys_must_hold():
    condition = {"StringEquals": {"aws:A": "1", "aws:B": "2"}, "Bool": {"aws:C": "true"}}
    whole = {"aws:A": "1", "aws:B": "2", "aws:C": "true"}
    document = policy(statement(Condition=condition))
    assert allowed([document], Request("s3:GetObject", OBJECT, whole))
    for key in whole:
        assert not allowed([document], Request("s3:GetObject", OBJECT, {**whole, key: "false"}))


def test_a_key_s_name_is_read_in_any_case():
    document = policy(statement(Condition={"Bool": {"AWS:securetransport": "true"}}))
    assert allowed([document], get(aws__SecureTransport="true"))


# --- what cannot be told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"Version": "2012-10-17"},
        policy(statement(), Version="2020-01-01"),
        policy(statement(), Statment=[]),
        policy("Allow"),
        policy({"Effect": "Allow", "Resource": "*"}),
        policy({"Effect": "Allow", "Action": "s3:*"}),
        policy({"Effect": "allow", "Action": "s3:*", "Resource": "*"}),
        policy({"Action": "s3:*", "Resource": "*"}),
        policy(statement(NotAction="s3:*")),
        policy(statement(NotResource="*")),
        policy(statement(Principal="*", NotPrincipal="*")),
        policy(statement(Conditon={})),
        policy(statement(action=[])),
        policy(statement(action="GetObject")),
        policy(statement(action="s3*")),
        policy(statement(action={"Fn::Sub": "s3:*"})),
        policy(statement(resource=[None])),
        policy(statement(resource="arn:aws:s3:::home/${aws:username}/*")),
        policy(statement(Principal={})),
        policy(statement(Principal=ROLE.name)),
        policy(statement(Principal={"Robot": "x"})),
        policy(statement(Principal={"AWS": "arn:aws:iam::123456789012:role/*"})),
        policy(statement(Condition=[])),
        policy(statement(Condition={"StringEquals": {}})),
        policy(statement(Condition={"StringEquals": {"aws:A": []}})),
        policy(statement(Condition={"StringEquals": {"aws:A": "${aws:username}"}})),
        *(
            policy(statement(Condition={operator: {"aws:A": "true"}}))
            for operator in (
                "StringEqual",
                "stringequals",
                "BinaryEquals",
                "ForEveryValue:StringEquals",
                "NullIfExists",
                "ForAnyValue:Null",
                "ForAnyValue:StringEqualsIfExists",
            )
        ),
    ],
    ids=json.dumps,
)
def test_what_is_malformed_or_not_understood_is_an_error_and_never_an_answer(document):
    with pytest.raises(PolicyError):
        decide([document], get())
    with pytest.raises(PolicyError):  # also where another statement would have decided
        decide([policy(statement("Deny")), document], get(action="ec2:RunInstances"))


@pytest.mark.parametrize(
    ("operator", "value", "asked"),
    [
        ("Bool", "maybe", "true"),
        ("Null", "maybe", "a"),
        ("NumericEquals", "five", "5"),
        ("NumericLessThan", "5", "nan"),
        ("DateLessThan", "tomorrow", IN_2026),
        ("DateLessThan", IN_2026, "9" * 30),
        ("IpAddress", "203.0.113.7/24", "203.0.113.7"),
        ("IpAddress", "203.0.113.0/24", "here"),
        ("ArnLike", "topic", ARN),
        ("StringEquals", "a", ("a", "b")),  # several values, and the policy does not say how many must fit
    ],
)
def test_values_that_cannot_be_compared_are_an_error(operator, value, asked):
    with pytest.raises(PolicyError):
        holds(operator, value, asked=asked)


@pytest.mark.parametrize("action", ["s3:*", "s3", "", "s3:Get?bject"])
def test_a_request_asks_for_one_action(action):
    with pytest.raises(PolicyError):
        Request(action)


def test_a_policy_is_read_from_text_as_it_stands():
    assert read(json.dumps(policy(statement()))) == policy(statement())


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"Statement": [', '{"Statement": [], "Statement": []}', "[" * 9000]
)
def test_a_text_that_is_no_policy_is_an_error(text):
    with pytest.raises(PolicyError):
        read(text)


# --- patterns --------------------------------------------------------------------------------------------------------


@given(st.text("ab*?/", max_size=12), st.text("ab/", max_size=12))
def test_a_pattern_means_what_a_file_name_s_pattern_means(pattern, text):
    assert like(text, pattern) == fnmatchcase(text, pattern)


@given(st.text(max_size=20))
def test_letters_that_regular_expressions_know_stand_for_themselves(text):
    pattern = re.sub(r"[*?]", "x", text)
    assert like(pattern, pattern)
    assert like(pattern, f"*{pattern}*")
    assert not like(f"{pattern}y", pattern)


def test_a_pattern_that_is_all_stars_is_no_slower_for_it():
    assert not like("a" * 5000, "*a" * 200 + "b")


_ACTION = st.sampled_from(["s3:GetObject", "s3:Get*", "s3:*", "*", "s3:PutObject", "ec2:*"])
_RESOURCE = st.sampled_from(["*", OBJECT, "arn:aws:s3:::shop/*", "arn:aws:s3:::other/*"])
_STATEMENT = st.builds(statement, st.sampled_from(["Allow", "Deny"]), _ACTION, _RESOURCE)


@given(st.lists(_STATEMENT, max_size=5), _STATEMENT, st.randoms())
def test_more_denials_never_allow_more_and_the_order_does_not_matter(statements, more, random):
    before, shuffled = decide([policy(*statements)], get()), random.sample(statements, len(statements))
    assert decide([policy(*shuffled)], get()) == before
    after = decide([policy(*statements, {**more, "Effect": "Deny"})], get())
    assert after in {before, Decision.EXPLICIT_DENY}
