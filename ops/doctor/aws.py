"""The account, the stack, the instance, the bucket and what watches them: asked of AWS, and judged."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from etl.errors import StackError
from ops import monitoring
from ops.doctor.check import Case, Check, Group, Saw, fail, ok, unknown, warn
from ops.settings import Settings
from ops.stack import names
from ops.stack.answers import Refused
from ops.stack.desk import Clients
from ops.stack.driver import pages
from ops.stack.template import alarms
from ops.words import moment

Thing = Mapping[str, Any]

CLOCK_S = 60
LONGEST_SKEW_S = 240  # AWS refuses what is signed five minutes off
NO_STACK = "ValidationError"
GONE = ("shutting-down", "terminated")
LIVES = ("running", "pending", "stopped", "stopping")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom AWS takes us for; `skew_s`: how far this machine's clock is ahead, None where AWS does not tell its own."""

    account: str
    arn: str
    region: str
    skew_s: float | None


def ask_identity(clients: Clients, now: Callable[[], datetime]) -> Identity:
    """Raises StackError."""
    said = clients.sts.get_caller_identity()
    date = said.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    skew_s = (now() - parsedate_to_datetime(date)).total_seconds() if date else None
    return Identity(said["Account"], said["Arn"], clients.region, skew_s)


def ask_stack(clients: Clients, settings: Settings) -> Thing:
    """The stack as CloudFormation describes it. Raises StackError, also where there is none."""
    name = settings.stack.name
    try:
        found: Thing = clients.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except Refused as refused:
        if refused.code != NO_STACK:
            raise
        raise StackError(
            f"there is no stack {name} in {clients.region}", expected="it", to_do="fab provision"
        ) from refused
    return found


def ask_instance(clients: Clients, settings: Settings) -> Thing:
    """The instance: its description, and below `status` what EC2 says of its health. Raises StackError."""
    ec2: Any = clients.ec2
    found = [
        one
        for reservation in pages(ec2.describe_instances, "Reservations", Filters=_named(settings.host.name))
        for one in reservation["Instances"]
        if one["State"]["Name"] not in GONE
    ]
    if len(found) != 1:
        shown = ", ".join(one["InstanceId"] for one in found) or "none"
        raise StackError(
            f"instances named {settings.host.name} in {clients.region}: {shown}",
            expected="one",
            to_do="`fab provision`" if not found else "stop the others, or name the host in [host] address",
        )
    said = ec2.describe_instance_status(InstanceIds=[found[0]["InstanceId"]], IncludeAllInstances=True)
    return {**found[0], "status": next(iter(said["InstanceStatuses"]), {})}


def _named(name: str) -> list[dict[str, Any]]:
    return [{"Name": "tag:Name", "Values": [name]}, {"Name": "instance-state-name", "Values": list(LIVES)}]


def ask_bucket(clients: Clients, settings: Settings) -> Thing:
    """How the bucket is set up: what was never set is None. Raises StackError."""
    s3: Any = clients.s3
    bucket = settings.s3.bucket
    try:
        s3.head_bucket(Bucket=bucket)
    except Refused as refused:
        if refused.status != 404:  # noqa: PLR2004 - not found
            raise
        raise StackError(f"there is no bucket {bucket}", expected="it", to_do="fab provision") from refused
    return {
        "access": _unless(lambda: s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]),
        "versions": s3.get_bucket_versioning(Bucket=bucket).get("Status"),
        "encryption": _unless(lambda: s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]),
    }


def _unless(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Refused as refused:
        if refused.status != 404:  # noqa: PLR2004 - never set
            raise
        return None


def ask_watch(clients: Clients, settings: Settings) -> Thing:
    """Alarms by name, subscriptions of the topic, log groups by name. Raises StackError."""
    prefix = f"{settings.stack.name}-"
    found = pages(clients.cloudwatch.describe_alarms, "MetricAlarms", AlarmNamePrefix=prefix)
    groups = clients.logs.describe_log_groups(logGroupNamePrefix="/kpi-ops/")["logGroups"]
    return {
        "alarms": {one["AlarmName"]: one for one in found},
        "subscriptions": list(_subscriptions(clients, settings)),
        "groups": {one["logGroupName"]: one for one in groups},
    }


def _subscriptions(clients: Clients, settings: Settings) -> Iterator[Thing]:
    for topic in pages(clients.sns.list_topics, "Topics"):
        if topic["TopicArn"].endswith(f":{names.topic(settings)}"):
            yield from pages(clients.sns.list_subscriptions_by_topic, "Subscriptions", TopicArn=topic["TopicArn"])


# --- the account -----------------------------------------------------------------------------------------------------


def _identity(who: Identity, _: Case) -> Saw:
    return ok(f"{who.arn} in {who.region}")


def _account(who: Identity, case: Case) -> Saw:
    expected = case.settings.stack.expected_account_id
    if expected and who.account != expected:
        return fail(f"account {who.account}", f"account {expected}", "set AWS_PROFILE, or [stack] expected_account_id")
    return ok(who.account)


def _user(who: Identity, _: Case) -> Saw:
    if who.arn.endswith(":root"):
        return warn("the root user of the account", "a role or a user", "log in as one: nothing here needs root")
    return ok("not the root user")


def _clock(who: Identity, _: Case) -> Saw:
    if who.skew_s is None:
        return ok("AWS takes what is signed here")
    seen = f"{abs(who.skew_s):.0f} s {'ahead of' if who.skew_s > 0 else 'behind'} AWS"
    if abs(who.skew_s) < CLOCK_S:
        return ok(seen)
    judge = fail if abs(who.skew_s) > LONGEST_SKEW_S else warn
    return judge(seen, f"less than {CLOCK_S} s", "set this machine's clock: AWS refuses what is signed 5 minutes off")


ACCOUNT = Group(
    "AWS account",
    (
        Check("identity", "identity", _identity),
        Check("account", "identity", _account),
        Check("user", "identity", _user),
        Check("clock", "identity", _clock),
    ),
)


# --- the stack and its instance --------------------------------------------------------------------------------------


def _stack(stack: Thing, _: Case) -> Saw:
    return ok(f"{stack['StackName']}, made {moment(stack['CreationTime'])}")


def _state(stack: Thing, _: Case) -> Saw:
    state = stack["StackStatus"]
    if state in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
        return ok(state)
    if state.endswith("_IN_PROGRESS"):
        return warn(state, "no change on its way", "wait: `fab provision` shows how it goes on")
    if state == "UPDATE_ROLLBACK_COMPLETE":
        return warn(state, "that the last change was made", "`fab provision` says why it was not")
    return fail(state, "CREATE_COMPLETE or UPDATE_COMPLETE", "fab provision")


def _protection(stack: Thing, _: Case) -> Saw:
    if stack.get("EnableTerminationProtection"):
        return ok("on")
    return warn("off", "on, so that no click deletes the stack", "fab provision")


def _drift(stack: Thing, _: Case) -> Saw:
    told = stack.get("DriftInformation") or {}
    state, at = told.get("StackDriftStatus", "NOT_CHECKED"), told.get("LastCheckTimestamp")
    if state == "DRIFTED":
        return fail(f"somebody changed what the stack made, seen {moment(at) if at else 'lately'}", "none", "fab drift")
    if state == "IN_SYNC":
        return ok(f"none, looked for {moment(at)}" if at else "none")
    return ok("never looked for: `fab drift`")


def _instance(instance: Thing, _: Case) -> Saw:
    state = instance["State"]["Name"]
    if state == "running":
        return ok(f"{instance['InstanceId']} is running")
    to_do = f"aws ec2 start-instances --instance-ids {instance['InstanceId']}"
    return fail(
        f"{instance['InstanceId']} is {state}", "running", to_do if state == "stopped" else "wait, and look again"
    )


def _machine(instance: Thing, _: Case) -> Saw:
    status = instance["status"]
    parts = {
        name: (status.get(field) or {}).get("Status")
        for name, field in (("system", "SystemStatus"), ("instance", "InstanceStatus"))
    }
    bad = [f"{name} check {said}" for name, said in parts.items() if said in ("impaired", "insufficient-data")]
    if any(said == "impaired" for said in parts.values()):
        to_do = f"aws ec2 reboot-instances --instance-ids {instance['InstanceId']}; where it stays, stop and start it"
        return fail(", ".join(bad), "that EC2 reaches it", to_do)
    if bad:
        return warn(", ".join(bad), "that EC2 reaches it", "look again in some minutes")
    return ok(", ".join(f"{name} check {said or 'not told'}" for name, said in parts.items()))


def _events(instance: Thing, _: Case) -> Saw:
    events = [one for one in instance["status"].get("Events") or () if "Completed" not in one.get("Description", "")]
    if not events:
        return ok("none")
    shown = "; ".join(f"{one['Code']} from {moment(one['NotBefore'])}" for one in events)
    return warn(shown, "no event of AWS ahead", "stop and start the instance before: it moves to other hardware")


def _size(instance: Thing, case: Case) -> Saw:
    wanted = case.settings.stack.instance_type
    if instance["InstanceType"] == wanted:
        return ok(wanted)
    return warn(instance["InstanceType"], f"[stack] instance_type {wanted}", "fab provision, or mend the setting")


STACK = Group(
    "stack",
    (
        Check("stack", "stack", _stack),
        Check("state", "stack", _state),
        Check("protection", "stack", _protection),
        Check("drift", "stack", _drift),
        Check("instance", "instance", _instance),
        Check("machine below", "instance", _machine),
        Check("events", "instance", _events),
        Check("size", "instance", _size),
    ),
)


# --- the bucket ------------------------------------------------------------------------------------------------------


def _bucket(_: Thing, case: Case) -> Saw:
    return ok(case.settings.s3.address)


def _private(bucket: Thing, _: Case) -> Saw:
    access = bucket["access"] or {}
    off = [
        name
        for name in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        if not access.get(name)
    ]
    if not off:
        return ok("no public access")
    return fail(f"{', '.join(off)} off", "all four of the public access block", "fab provision")


def _versions(bucket: Thing, _: Case) -> Saw:
    if bucket["versions"] == "Enabled":
        return ok("kept")
    return fail(f"{bucket['versions'] or 'never kept'}", "versions: they are the way back", "fab provision")


def _encrypted(bucket: Thing, _: Case) -> Saw:
    rules = (bucket["encryption"] or {}).get("Rules") or ()
    kinds = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules]
    return ok(str(kinds[0])) if any(kinds) else warn("not set", "encryption by default", "fab provision")


def _of_snapshot(check: str) -> Callable[[Any, Case], Saw]:
    """What `fab freshness` finds, in this tool's words."""

    def judge(findings: Mapping[str, Any], _: Case) -> Saw:
        found = findings.get(check)
        if found is None:
            return unknown("it was not looked at")
        if found.status == "pass":
            return ok(found.seen)
        state = {"warn": "warn", "error": "fail"}.get(found.status, "unknown")
        return Saw(state, "; ".join([found.seen, *found.details]), found.expected, found.to_do)  # type: ignore[arg-type] # three of the four states

    return judge


BUCKET = Group(
    "bucket and snapshot",
    (
        Check("bucket", "bucket", _bucket),
        Check("public access", "bucket", _private),
        Check("versions", "bucket", _versions),
        Check("encryption", "bucket", _encrypted),
        Check("generated_at", "snapshot", _of_snapshot("generated_at")),
        Check("data_through", "snapshot", _of_snapshot("data_through")),
        Check("files", "snapshot", _of_snapshot("files")),
    ),
)


# --- what watches ----------------------------------------------------------------------------------------------------


def _alarms(watch: Thing, case: Case) -> Saw:
    wanted = [names.alarm(case.settings, made) for made in alarms(case.settings)]
    lacking = [name for name in wanted if name not in watch["alarms"]]
    if not lacking:
        return ok(f"{len(wanted)} alarms")
    return fail(f"missing: {', '.join(lacking)}", f"{len(wanted)} alarms", "fab provision")


def _calm(watch: Thing, _: Case) -> Saw:
    loud = [one for one in watch["alarms"].values() if one.get("StateValue") == "ALARM"]
    if not loud:
        return ok("no alarm is on")
    shown = "; ".join(f"{one['AlarmName']}: {one.get('StateReason', '')}" for one in loud)
    return fail(shown, "none", "docs/when-it-is-down.md says what each alarm means")


def _switched(watch: Thing, _: Case) -> Saw:
    off = [name for name, one in watch["alarms"].items() if not one.get("ActionsEnabled")]
    if not off:
        return ok("each alarm tells")
    return warn(
        f"silenced: {', '.join(off)}", "none", f"aws cloudwatch enable-alarm-actions --alarm-names {' '.join(off)}"
    )


def _heard(watch: Thing, case: Case) -> Saw:
    mail = case.settings.stack.alarm_email
    waiting = [one for one in watch["subscriptions"] if "arn:" not in one.get("SubscriptionArn", "")]
    if waiting:
        shown = ", ".join(one["Endpoint"] for one in waiting)
        return fail(
            f"{shown} has not confirmed",
            "a click on the link in AWS' mail",
            "look for it; or `fab provision` sends it anew",
        )
    if watch["subscriptions"]:
        return ok(", ".join(one["Endpoint"] for one in watch["subscriptions"]))
    if mail:
        return fail("the topic of the alarms has no subscription", mail, "fab provision")
    return warn("nobody is told of an alarm", "[stack] alarm_email", "set it, then `fab provision`")


def _logs(watch: Thing, case: Case) -> Saw:
    lacking = [name for name in monitoring.LOG_GROUPS if name not in watch["groups"]]
    if lacking:
        return fail(f"missing: {', '.join(lacking)}", "the log groups of the stack", "fab provision")
    days = case.settings.host.agent.log_days
    other = [name for name in monitoring.LOG_GROUPS if watch["groups"][name].get("retentionInDays") != days]
    if other:
        return warn(f"{', '.join(other)} keep their lines otherwise", f"for {days} days", "fab provision")
    return ok(f"{len(monitoring.LOG_GROUPS)} groups, {days} days")


MONITORING = Group(
    "monitoring",
    (
        Check("alarms", "watch", _alarms),
        Check("calm", "watch", _calm),
        Check("switched on", "watch", _switched),
        Check("who hears", "watch", _heard),
        Check("log groups", "watch", _logs),
    ),
)
