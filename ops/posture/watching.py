"""What is seen of the host: log groups, the metrics made of them, alarms, whom they tell, the dashboard. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ops import monitoring
from ops.monitoring import Alarm
from ops.posture.account import CannotTell
from ops.posture.case import Case
from ops.posture.documents import differences
from ops.posture.rules import Rule, Told
from ops.stack import names
from ops.stack.policy import PolicyError, Principal, Request, allowed, read
from ops.stack.template import alarms

ALARM = "aws cloudwatch put-metric-alarm, with what `fab render` writes for it"
RECOVER = "ec2:recover"
STANDARD = "STANDARD"
NO_FILTER = "{}"
ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")
CHANGED = (
    "applyOnTransformedLogs",
    "fieldSelectionCriteria",
    "emitSystemFieldDimensions",
)  # what a filter may pick besides


# --- logs ------------------------------------------------------------------------------------------------------------


def _groups(case: Case) -> Iterator[str]:
    for group in monitoring.LOG_GROUPS:
        if case.of(f"log group {group}") is None:
            yield f"there is no {group}"


def _retention(case: Case) -> Iterator[str]:
    for group in monitoring.LOG_GROUPS:
        days = case.found(f"log group {group}").get("retentionInDays")
        if days != case.settings.host.agent.log_days:
            yield f"{group} keeps {f'{days} days' if days else 'all for ever'}"


def _filters(case: Case) -> Iterator[str]:
    found = {one["filterName"]: one for one in case.found(f"filters of {monitoring.CHECKS}")}
    for wanted in monitoring.METRIC_FILTERS:
        if wanted.metric not in found:
            yield f"there is no filter {wanted.metric}"
        else:
            yield from _filter(found[wanted.metric], wanted)


def _filter(found: Mapping[str, Any], wanted: monitoring.MetricFilter) -> Iterator[str]:
    if found.get("filterPattern") != wanted.pattern:
        yield f"{wanted.metric} picks {found.get('filterPattern')!r}"
    made = [
        (one["metricName"], one["metricNamespace"], one["metricValue"], one.get("unit"), one.get("defaultValue"))
        for one in found["metricTransformations"]
    ]
    if any(one.get("dimensions") for one in found["metricTransformations"]):
        yield f"{wanted.metric} is told apart by dimensions, which no alarm names"
    for field in CHANGED:
        if found.get(field):
            yield f"{wanted.metric} has {field} {found[field]}"
    if made != [(wanted.metric, monitoring.NAMESPACE, wanted.value, wanted.unit, wanted.otherwise)]:
        yield f"{wanted.metric} makes {made}"


def _only_ours(case: Case) -> Iterator[str]:
    for made in monitoring.METRIC_FILTERS:
        for found in case.found(f"filters to {made.metric}"):
            if (found.get("logGroupName"), found["filterName"]) != (monitoring.CHECKS, made.metric):
                yield f"{found['filterName']} of {found.get('logGroupName')} makes {made.metric} too"


def _plain(case: Case) -> Iterator[str]:
    for group in monitoring.LOG_GROUPS:
        found = case.found(f"log group {group}")
        if key := found.get("kmsKeyId"):
            yield f"{group} is encrypted with {key}: without it nothing is written or read"
        if (kind := found.get("logGroupClass", STANDARD)) != STANDARD:
            yield f"{group} is of the class {kind}, which makes no metrics"


def _subscriptions(case: Case) -> Iterator[str]:
    for group in monitoring.LOG_GROUPS:
        for one in case.found(f"subscriptions of {group}"):
            yield f"{group} is sent to {one['destinationArn']}"


# --- alarms ----------------------------------------------------------------------------------------------------------


def _there(case: Case) -> Iterator[str]:
    found = _alarms(case)
    for made in alarms(case.settings):
        if names.alarm(case.settings, made) not in found:
            yield f"there is no alarm {names.alarm(case.settings, made)}"


def _alarms(case: Case) -> dict[str, Mapping[str, Any]]:
    return {alarm["AlarmName"]: alarm for alarm in case.found("alarms")}


def _each(judge: Callable[[Case, Mapping[str, Any], Alarm], Told]) -> Callable[[Case], Told]:
    """A judge of all alarms that there are, made of one of one alarm."""

    def of_all(case: Case) -> Iterator[str]:
        found = _alarms(case)
        for made in alarms(case.settings):
            name = names.alarm(case.settings, made)
            if name in found:
                yield from (f"{name} {told}" for told in judge(case, found[name], made))

    return of_all


def _watches(case: Case, found: Mapping[str, Any], wanted: Alarm) -> Iterator[str]:
    dimensions = {one["Name"]: one["Value"] for one in found.get("Dimensions") or ()}
    expected = {"InstanceId": case.instance["InstanceId"]} if wanted.by_instance else {}
    watched = (found.get("Namespace"), found.get("MetricName"))
    if watched != (wanted.namespace, wanted.metric):
        yield f"watches {' '.join(map(str, watched))}"
    if dimensions != expected:
        yield f"watches it of {dimensions or 'all'}"
    if unit := found.get("Unit"):
        yield f"watches what comes in {unit} only"


def _rings(_: Case, found: Mapping[str, Any], wanted: Alarm) -> Iterator[str]:
    for field, value in (
        ("Statistic", wanted.statistic),
        ("ComparisonOperator", wanted.beyond),
        ("Threshold", wanted.threshold),
        ("Period", wanted.period_s),
        ("EvaluationPeriods", wanted.periods),
    ):
        if found.get(field) != value:
            yield f"has {field} {found.get(field)}, not {value}"
    points = found.get("DatapointsToAlarm", found.get("EvaluationPeriods"))
    if points != wanted.points:
        yield f"needs {points} values, not {wanted.points}"


def _silence(_: Case, found: Mapping[str, Any], wanted: Alarm) -> Iterator[str]:
    if (missing := found.get("TreatMissingData", "missing")) != wanted.missing:
        yield f"takes silence for {missing}, not {wanted.missing}"


def _heard(case: Case, found: Mapping[str, Any], wanted: Alarm) -> Iterator[str]:
    topic = case.words["topic"]
    if not found.get("ActionsEnabled"):
        yield "rings, and nothing is done: its actions are off"
    recover = {f"arn:{case.account.partition}:automate:{case.account.region}:{RECOVER}"} if wanted.recovers else set()
    for field, expected in (("AlarmActions", {topic} | recover), ("OKActions", {topic})):
        actions = set(found.get(field) or ())
        yield from (f"does not tell {action} ({field})" for action in sorted(expected - actions))
        yield from (f"also does {action} ({field})" for action in sorted(actions - expected))
    yield from (f"does {action} when it has no data" for action in found.get("InsufficientDataActions") or ())


def _no_others(case: Case) -> Iterator[str]:
    wanted = {names.alarm(case.settings, made) for made in alarms(case.settings)}
    own = {"Name": "InstanceId", "Value": case.instance["InstanceId"]}
    for alarm in case.found("alarms on hosts"):
        if alarm["AlarmName"] not in wanted and own in _dimensions(alarm):
            yield f"{alarm['AlarmName']} does {', '.join(_actions(alarm))}"


def _dimensions(alarm: Mapping[str, Any]) -> list[Any]:
    """Of all metrics that it watches."""
    counted = [one.get("MetricStat", {}).get("Metric", {}) for one in alarm.get("Metrics") or ()]
    return [dimension for metric in (alarm, *counted) for dimension in metric.get("Dimensions") or ()]


def _actions(alarm: Mapping[str, Any]) -> list[str]:
    return [action for kind in ACTIONS for action in alarm.get(kind) or () if ":automate:" in action]


# --- the topic -------------------------------------------------------------------------------------------------------


def _topic(case: Case) -> Iterator[str]:
    if case.of("topic") is None:
        yield f"there is no topic {names.topic(case.settings)}"


def _topic_policy(case: Case) -> Iterator[str]:
    yield from differences(case.found("topic").get("Policy"), case.expected.says("TopicPolicy", "PolicyDocument"))


def _publishers(case: Case) -> Iterator[str]:
    topic = case.words["topic"]
    own = {"aws:SourceAccount": case.account.account}
    other = "2" * 12 if case.account.account != "2" * 12 else "3" * 12
    stranger = Principal("AWS", f"arn:{case.account.partition}:iam::{other}:root")
    watch = Principal("Service", "cloudwatch.amazonaws.com")
    try:
        document = read(case.found("topic").get("Policy") or '{"Statement": []}')
        if not allowed([document], Request("sns:Publish", topic, own, watch)):
            yield "alarms may not write to it"
        for action in ("sns:Publish", "sns:Subscribe", "sns:SetTopicAttributes"):
            if allowed([document], Request(action, topic, {}, stranger)) or allowed([document], Request(action, topic)):
                yield f"strangers may {action}"
    except PolicyError as error:
        raise CannotTell(f"the topic's policy is not understood: {error}") from error


def _not_encrypted(case: Case) -> Iterator[str]:
    if key := case.found("topic").get("KmsMasterKeyId"):
        yield f"it is encrypted with {key}, by which alarms cannot write to it"


def _told(case: Case) -> Iterator[str]:
    address = case.settings.stack.alarm_email
    if not address:
        return
    case.found("topic")
    mine = [
        one
        for one in case.found("topic subscriptions")
        if (one["Protocol"], one["Endpoint"].casefold()) == ("email", address.casefold())
    ]
    if not mine:
        yield f"{address} is not told"
    elif not any(one["SubscriptionArn"].startswith("arn:") for one in mine):
        yield f"{address} has not confirmed yet: no alarm is told"
    for one in mine:
        if one["SubscriptionArn"].startswith("arn:"):
            yield from _swallowed(case, one["SubscriptionArn"], address)


def _swallowed(case: Case, subscription: str, address: str) -> Iterator[str]:
    said = case.of(f"subscription {subscription}") or {}
    if said.get("FilterPolicy", NO_FILTER) != NO_FILTER:
        yield f"{address} is told only what fits {said['FilterPolicy']}"


def _no_strangers(case: Case) -> Iterator[str]:
    case.found("topic")
    for one in case.found("topic subscriptions"):
        parts = one["Endpoint"].split(":")
        if parts[0] == "arn" and parts[4] != case.account.account:
            yield f"{one['Endpoint']} is told, of another account"


# --- the dashboard of CloudWatch -------------------------------------------------------------------------------------


def _dashboard(case: Case) -> Iterator[str]:
    said = case.of("dashboard")
    if said is None:
        yield f"there is no dashboard {names.dashboard(case.settings)}"
        return
    wanted = json.loads(case.expected.says("Dashboard", "DashboardBody"))
    try:
        found = json.loads(said)
    except ValueError:
        yield "its body is no JSON"
        return
    if found != wanted:
        titles = [widget["properties"]["title"] for widget in wanted["widgets"] if widget not in _widgets(found)]
        yield f"it does not show as it was made: {', '.join(titles) or 'there is more in it'}"


def _widgets(body: Any) -> list[Any]:
    listed = body.get("widgets") if isinstance(body, dict) else None
    return listed if isinstance(listed, list) else []


RULES = (
    Rule("logs.there", "the three log groups are there", "aws logs create-log-group --log-group-name GROUP", _groups),
    Rule(
        "logs.retention",
        "logs go after [host.agent] log_days",
        "aws logs put-retention-policy --log-group-name GROUP --retention-in-days DAYS",
        _retention,
    ),
    Rule(
        "logs.metrics",
        "the self checks are counted: each metric is made as the settings say",
        "aws logs put-metric-filter, with what `fab render` writes for it",
        _filters,
    ),
    Rule(
        "logs.sent-nowhere",
        "logs are sent nowhere else",
        "aws logs delete-subscription-filter --log-group-name GROUP --filter-name NAME",
        _subscriptions,
    ),
    Rule(
        "logs.metrics-only-ours",
        "nothing else makes the metrics that alarms watch",
        "aws logs delete-metric-filter --log-group-name GROUP --filter-name NAME",
        _only_ours,
    ),
    Rule(
        "logs.plain",
        "logs need no key, and metrics can be made of them",
        "aws logs disassociate-kms-key --log-group-name GROUP; a class stays: delete the group, then `fab provision`",
        _plain,
    ),
    Rule("alarms.there", "every alarm is there", ALARM, _there),
    Rule("alarms.watch", "each watches its metric, of this host", ALARM, _each(_watches)),
    Rule("alarms.ring", "each rings when the settings say", ALARM, _each(_rings)),
    Rule("alarms.silence", "each takes silence for what it means", ALARM, _each(_silence)),
    Rule("alarms.heard", "each tells the topic, and does no more than it should", ALARM, _each(_heard)),
    Rule(
        "alarms.no-others",
        "no other alarm stops, ends or moves the host",
        "aws cloudwatch delete-alarms --alarm-names NAME, of what is seen above",
        _no_others,
    ),
    Rule("topic.there", "the topic that alarms are told to is there", "aws sns create-topic; or `fab drift`", _topic),
    Rule(
        "topic.publishers",
        "alarms may write to the topic, and strangers may do nothing",
        "aws sns set-topic-attributes --topic-arn {topic} --attribute-name Policy, as `fab render` writes it",
        _publishers,
    ),
    Rule(
        "topic.policy",
        "its policy says what the settings make, and no more",
        "aws sns set-topic-attributes --topic-arn {topic} --attribute-name Policy, as `fab render` writes it",
        _topic_policy,
    ),
    Rule(
        "topic.writable",
        "no key stands between the alarms and the topic",
        "aws sns set-topic-attributes --topic-arn {topic} --attribute-name KmsMasterKeyId --attribute-value ''",
        _not_encrypted,
    ),
    Rule(
        "topic.told",
        "[stack] alarm_email is told, and has confirmed",
        "aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ADDRESS; then open the mail",
        _told,
    ),
    Rule(
        "topic.no-strangers",
        "nothing of another account is told",
        "aws sns unsubscribe --subscription-arn ARN",
        _no_strangers,
    ),
    Rule(
        "dashboard.there",
        "CloudWatch's dashboard shows this host",
        "aws cloudwatch put-dashboard, with what `fab render` writes for Dashboard",
        _dashboard,
    ),
)
