"""`fab verify` on a whole stack that stands on moto: all is good, and each damage is told by the rule it breaks."""

import copy
import io
import json
from datetime import UTC, datetime

import pytest

from etl.errors import ExitCode, StackError
from ops.posture import posture
from ops.posture.account import Account
from ops.posture.case import Case
from ops.posture.gather import gather
from ops.posture.verify import verify
from ops.settings import Settings, StackSettings
from ops.stack import preflight
from tests.moto_stack import standing_stack
from tests.stack_damages import ADMIN, DAMAGES, VIEWER
from tests.stack_documents import settings_with

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FULL = settings_with(
    admin_networks=(ADMIN,), viewer_networks=(VIEWER,), door_for_probe=True, alarm_email="ops@shop.example"
)
WORLD = settings_with(open_to_the_world=True, elastic_ip=False, ssm=False)


def findings_of(account):
    who = preflight.who(account.clients)
    return posture.judge(Case(account.settings, gather(account.clients, account.settings, who), NOW))


def states(findings):
    return {finding.rule: finding.state for finding in findings}


@pytest.mark.parametrize("settings", [Settings(), FULL, WORLD], ids=["defaults", "full", "open to the world"])
def test_an_account_as_it_was_made_is_good_by_every_rule(settings):
    with standing_stack(settings) as account:
        told = io.StringIO()
        assert verify(settings, account.clients, lambda: NOW, told) == ExitCode.GOOD, told.getvalue()
        assert f"{len(posture.RULES)} of {len(posture.RULES)} rules hold" in told.getvalue()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_a_damage_is_told_by_the_rule_it_breaks(damage):
    with standing_stack(FULL) as account:
        damage.do(account)
        found = {finding.rule: finding for finding in findings_of(account)}
    assert found[damage.rule].state == "bad", [one for one in found.values() if one.state != "good"]
    assert found[damage.rule].seen
    assert found[damage.rule].to_do


# --- what moto cannot be brought to: the answers are changed instead -------------------------------------------------


@pytest.fixture(scope="module")
def answered():
    """What AWS tells of an account as it was made."""
    with standing_stack(FULL) as account:
        return gather(account.clients, FULL, preflight.who(account.clients))


def judged(answered, settings=FULL, now=NOW, refusals=(), **changes):
    """The rules' states when these answers are others; an answer is changed by a function of it."""
    answers = copy.deepcopy(dict(answered.answers))
    for question, change in changes.items():
        name = question.replace("_", " ")
        answers[name] = change(answers[name]) if callable(change) else change
    for question in refusals:
        del answers[question]
    account = Account(answered.account, answered.region, answered.partition, answers, dict.fromkeys(refusals, "denied"))
    return posture.judge(Case(settings, account, now))


def only(question, **fields):
    return {question: lambda listed: [{**listed[0], **fields}]}


def stack(**fields):
    return {"stack": lambda said: {**said, **fields}}


OTHERS = "arn:aws:sqs:eu-west-2:999999999999:others"
STRANGER = {"Protocol": "sqs", "Endpoint": OTHERS, "SubscriptionArn": "arn:aws:sns:eu-west-2:123456789012:t:1"}
RETENTION = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3650}}
SHARED = {"ImageId": "ami-1", "SharedWith": [{"OrganizationArn": "arn:aws:organizations::999999999999:organization/o"}]}
MINE = {"SnapshotId": "snap-1", "SharedWith": []}
ENDS = {"AlarmName": "idle", "AlarmActions": ["arn:aws:automate:eu-west-2:ec2:terminate"]}
CHECKS = "log group /kpi-ops/checks"
EVES = {"filterName": "Eve", "logGroupName": "/eve"}
NAMED = [{"Key": "domain-name-servers", "Values": [{"Value": "192.0.2.53"}]}]
BLOCKED = {"InternetGatewayBlockMode": "block-bidirectional"}


def also(**fields):
    return lambda listed: [*listed, fields]


def with_fields(**fields):
    return lambda said: {**said, **fields}


def first(**fields):
    return lambda listed: [{**listed[0], **fields}, *listed[1:]]


def edge_association(tables):
    return [{**tables[0], "Associations": [*tables[0]["Associations"], {"GatewayId": "igw-1"}]}, *tables[1:]]


def ends_the_host(found):
    """An alarm of somebody's with the host's dimension."""
    return [*found, {**ENDS, "Dimensions": found[0]["Dimensions"]}]


def ends_the_host_by_a_sum(found):
    return [*found, {**ENDS, "Metrics": [{"MetricStat": {"Metric": {"Dimensions": found[0]["Dimensions"]}}}]}]


UNTIED = {"VolumeId": "vol-1", "DeleteOnTermination": False}
UNCONFIRMED = {"Protocol": "email", "Endpoint": "ops@shop.example", "SubscriptionArn": "PendingConfirmation"}
BY_HAND = [
    ("stack.stands", {"stack": None}),
    ("stack.stands", stack(StackStatus="ROLLBACK_COMPLETE")),
    ("stack.stands", stack(StackStatus="UPDATE_ROLLBACK_FAILED")),
    ("stack.protected", stack(EnableTerminationProtection=False)),
    ("stack.guarded", {"stack_policy": None}),
    ("stack.guarded", {"stack_policy": "no JSON"}),
    ("network.vpc", {"vpcs": []}),
    ("network.vpc", only("vpcs", Ipv6CidrBlockAssociationSet=[{"Ipv6CidrBlock": "2001:db8::/56"}])),
    ("network.subnet", only("subnets", AssignIpv6AddressOnCreation=True)),
    ("network.no-other-ways", {"nat_gateways": [{"NatGatewayId": "nat-1", "State": "available"}]}),
    ("host.credits", {"credits": [{"InstanceId": "i-1", "CpuCredits": "unlimited"}]}),
    ("host.recovers", only("instances", MaintenanceOptions={"AutoRecovery": "disabled"})),
    ("host.key-pair", only("instances", KeyName="eves")),
    ("host.outlives-a-shutdown", {"shutdown": "terminate"}),
    ("host.disk-goes-with-it", only("instances", BlockDeviceMappings=[{"Ebs": UNTIED}])),
    ("host.is-the-stacks", only("instances", ImageId="ami-of-somebody")),
    ("host.address", {"addresses": lambda listed: [*listed, *listed]}),
    ("bucket.there", {"bucket_location": {"LocationConstraint": "us-west-1"}}),
    ("bucket.versioned", {"bucket_versioning": {"Status": "Enabled", "MFADelete": "Enabled"}}),
    ("github.provider", {"provider": {"ClientIDList": ["other"], "Url": "token.actions.githubusercontent.com"}}),
    ("github.provider", {"provider": {"ClientIDList": ["sts.amazonaws.com"], "Url": "elsewhere.example"}}),
    ("topic.told", {"topic_subscriptions": [UNCONFIRMED]}),
    ("dashboard.there", {"dashboard": "no JSON"}),
    ("stack.by-itself", stack(RoleARN="arn:aws:iam::123456789012:role/admin")),
    ("stack.by-itself", stack(NotificationARNs=[OTHERS])),
    ("stack.by-itself", stack(RollbackConfiguration={"RollbackTriggers": [{"Arn": OTHERS}]})),
    ("bucket.no-lock", {"bucket_lock": {"ObjectLockConfiguration": {"Rule": RETENTION}}}),
    ("bucket.no-events", {"bucket_events": with_fields(EventBridgeConfiguration={})}),
    ("network.routes", {"route_tables": edge_association}),
    ("network.gateway", only("subnets", BlockPublicAccessStates=BLOCKED)),
    ("network.dns", {**only("vpcs", DhcpOptionsId="dopt-1"), "dhcp_options": {"DhcpConfigurations": NAMED}}),
    ("host.no-shared-copies", {"copies": [MINE], "images": [SHARED]}),
    ("role.profile", {"profiles_of the role": also(InstanceProfileName="eves")}),
    ("logs.metrics", {"filters of /kpi-ops/checks": first(fieldSelectionCriteria='@aws.account = "999999999999"')}),
    ("logs.metrics-only-ours", {"filters to PageTime": also(**EVES)}),
    ("logs.plain", {CHECKS: with_fields(kmsKeyId="arn:aws:kms:eu-west-2:123456789012:key/1")}),
    ("logs.plain", {CHECKS: with_fields(logGroupClass="INFREQUENT_ACCESS")}),
    ("alarms.no-others", {"alarms_on hosts": ends_the_host}),
    ("alarms.no-others", {"alarms_on hosts": ends_the_host_by_a_sum}),
    ("topic.no-strangers", {"topic_subscriptions": also(**STRANGER)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "changes"), BY_HAND, ids=[f"{rule} {number}" for number, (rule, _) in enumerate(BY_HAND)]
)
def test_an_answer_that_tells_of_a_damage_is_told_by_its_rule(answered, rule, changes):
    assert states(judged(answered)) == dict.fromkeys(states(judged(answered)), "good")
    assert states(judged(answered, **changes))[rule] == "bad"


def test_every_rule_is_broken_by_some_damage():
    broken = {damage.rule for damage in DAMAGES} | {rule for rule, _ in BY_HAND}
    assert {rule.name for rule in posture.RULES} == broken


def test_there_are_rules_enough_of_every_part_and_no_name_twice():
    named = [rule.name for rule in posture.RULES]
    assert len(named) == len(set(named))
    assert len(named) > 100
    assert {rule.part for rule in posture.RULES} == PARTS


PARTS = {
    *("alarms", "bucket", "dashboard", "github", "group", "host", "logs", "network", "role", "stack", "tags", "topic"),
}


@pytest.mark.parametrize("question", ["stack", "bucket policy", "instances", "alarms", "tagged", "user data"])
def test_what_aws_does_not_let_us_see_is_unknown_and_no_rule_takes_it_for_good(answered, question):
    findings = judged(answered, refusals=(question,))
    told = [finding for finding in findings if finding.state == "unknown"]
    assert told
    assert all(finding.seen for finding in told)
    assert "bad" not in {finding.state for finding in findings}
    assert posture.code(findings) == ExitCode.COULD_NOT


def test_a_subscription_that_swallows_alarms_tells_nobody(answered):
    (question,) = [question for question in answered.answers if question.startswith("subscription ")]
    everything = states(judged(answered, **{question: with_fields(FilterPolicy="{}")}))
    assert set(everything.values()) == {"good"}
    some = states(judged(answered, **{question: with_fields(FilterPolicy='{"severity": ["high"]}')}))
    assert some["topic.told"] == "bad"


def test_a_bucket_of_that_name_in_another_account_is_told_as_such(answered):
    told = states(judged(answered, refusals=("bucket location",), own_buckets=[]))
    assert told["bucket.there"] == "bad"
    assert states(judged(answered, refusals=("bucket location",)))["bucket.there"] == "unknown"


def test_an_answer_of_another_form_is_unknown(answered):
    findings = judged(answered, volumes=[{}], alarms=[{"AlarmName": None}], vpcs="none")
    assert "unknown" in set(states(findings).values())
    assert posture.code(findings) != ExitCode.GOOD


@pytest.mark.parametrize("question", ["vpcs", "groups", "instances", "volumes", "subnets"])
def test_what_is_not_there_is_no_bug(answered, question):
    findings = judged(answered, **{question: []})
    assert posture.code(findings) == ExitCode.CHECK_FAILED


def test_nothing_of_a_stack_is_told_as_such(answered):
    nothing = Account(answered.account, answered.region, answered.partition, dict.fromkeys(answered.answers), {})
    findings = posture.judge(Case(FULL, nothing, NOW))
    assert posture.code(findings) == ExitCode.CHECK_FAILED
    assert states(findings)["bucket.there"] == states(findings)["stack.stands"] == "bad"


def test_a_door_that_is_open_just_now_is_none_that_was_left(answered):
    group = answered.answers["groups"][0]["GroupId"]
    door = {
        "SecurityGroupRuleId": "sgr-1",
        "IsEgress": False,
        "IpProtocol": "tcp",
        "FromPort": 8501,
        "ToPort": 8501,
        "CidrIpv4": "192.0.2.9/32",
        "Description": "kpi-ops-probe until 2026-11-22T12:10:00Z",
        "Tags": [{"Key": "kpi-ops-probe", "Value": "run"}],
    }
    told = states(judged(answered, **{f"rules of {group}": lambda rules: [*rules, door]}))
    assert set(told.values()) == {"good"}
    shut = FULL.model_copy(update={"stack": FULL.stack.model_copy(update={"door_for_probe": False})})
    told = states(judged(answered, shut, **{f"rules of {group}": lambda rules: [*rules, door]}))
    assert told["group.doors"] == "bad"


def test_json_has_every_rule_and_nothing_else_is_on_stdout():
    with standing_stack(FULL) as account:
        account.clients.sns.delete_topic(TopicArn=account.ids["Topic"])
        told = io.StringIO()
        assert verify(FULL, account.clients, lambda: NOW, told, as_json=True) == ExitCode.CHECK_FAILED
    said = json.loads(told.getvalue())
    assert said["good"] is False
    assert [rule["name"] for rule in said["rules"]] == [rule.name for rule in posture.RULES]
    (topic,) = [rule for rule in said["rules"] if rule["name"] == "topic.there"]
    assert (topic["state"], bool(topic["seen"]), bool(topic["to_do"])) == ("bad", True, True)


def test_another_account_than_the_one_that_is_set_is_not_judged():
    settings = Settings(stack=StackSettings(expected_account_id="999999999999"))
    with standing_stack(Settings()) as account, pytest.raises(StackError, match="999999999999"):
        verify(settings, account.clients, lambda: NOW, io.StringIO())
