"""`fab doctor`: each broken thing is named by the check that is about it, and nothing that hangs keeps the rest."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import pytest

from etl.errors import ExitCode, HostUnreachable, KpiOpsError, SettingsError, StackError
from etl.store import open_reader
from ops.doctor import aws, here, host, outside, told
from ops.doctor.check import Bug, Case, Check, Group, Late, judged, ok
from ops.doctor.doctor import GROUPS, World, doctor
from ops.doctor.gather import Source, gather
from ops.doctor.here import Machine
from ops.doctor.host import Host
from ops.doctor.outside import Record, Repository, Visited
from ops.settings import HostSettings, Settings, TargetSettings
from ops.shown import Shown
from ops.uptime.probe import Result
from ops.uptime.record import Sample
from tests.made_host import CLOCK_S, CURRENT, MEGABYTE, OLDER, made_host, made_release, made_unit
from tests.moto_stack import standing_stack
from tests.stack_documents import settings_with

NOW = datetime.fromtimestamp(CLOCK_S, UTC)
FULL = settings_with(alarm_email="ops@shop.example", admin_networks=("203.0.113.7/32",))


def states(findings):
    return {f"{one.group}/{one.name}": one.saw.state for one in findings}


def bad(findings):
    return {where: state for where, state in states(findings).items() if state != "ok"}


def by(group, source, value, settings=None, **others):
    """What the checks of a group that judge `source` find."""
    case = Case(settings or Settings(), NOW, {source: value, **others})
    return bad(judged([Group(group.name, [check for check in group.checks if check.source == source])], case))


# --- AWS -------------------------------------------------------------------------------------------------------------


def aws_findings(account):
    clients, settings = account.clients, account.settings
    told_ = {}
    for name, ask in {
        "identity": lambda: aws.ask_identity(clients, lambda: datetime.now(UTC)),
        "stack": lambda: aws.ask_stack(clients, settings),
        "instance": lambda: aws.ask_instance(clients, settings),
        "bucket": lambda: aws.ask_bucket(clients, settings),
        "watch": lambda: aws.ask_watch(clients, settings),
    }.items():
        try:
            told_[name] = ask()
        except KpiOpsError as error:
            told_[name] = error
    groups = [
        Group(group.name, [check for check in group.checks if check.source in told_])
        for group in (aws.ACCOUNT, aws.STACK, aws.BUCKET, aws.MONITORING)
    ]
    return judged(groups, Case(settings, NOW, told_))


def test_an_account_as_provision_made_it_is_well():
    with standing_stack(FULL) as account:
        assert bad(aws_findings(account)) == {}


def stop(account):
    account.clients.ec2.stop_instances(InstanceIds=[account.ids["Instance"]])


def terminate(account):
    account.clients.ec2.modify_instance_attribute(
        InstanceId=account.ids["Instance"], DisableApiTermination={"Value": False}
    )
    account.clients.ec2.terminate_instances(InstanceIds=[account.ids["Instance"]])


def alarm_on(account):
    name = next(iter(aws.ask_watch(account.clients, account.settings)["alarms"]))
    account.clients.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="disk is full")


def silence(account):
    name = next(iter(aws.ask_watch(account.clients, account.settings)["alarms"]))
    account.clients.cloudwatch.disable_alarm_actions(AlarmNames=[name])


def forget_alarm(account):
    name = next(iter(aws.ask_watch(account.clients, account.settings)["alarms"]))
    account.clients.cloudwatch.delete_alarms(AlarmNames=[name])


def unsubscribe(account):
    for one in aws.ask_watch(account.clients, account.settings)["subscriptions"]:
        account.clients.sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])


def bucket_of(account):
    return account.settings.s3.bucket


AWS_DAMAGES = {
    "stopped": (stop, {"stack/instance": "fail"}),
    "terminated": (
        terminate,
        {"stack/instance": "fail", **dict.fromkeys(("stack/machine below", "stack/events", "stack/size"), "unknown")},
    ),
    "public": (
        lambda one: one.clients.s3.delete_public_access_block(Bucket=bucket_of(one)),
        {"bucket and snapshot/public access": "fail"},
    ),
    "versions": (
        lambda one: one.clients.s3.put_bucket_versioning(
            Bucket=bucket_of(one), VersioningConfiguration={"Status": "Suspended"}
        ),
        {"bucket and snapshot/versions": "fail"},
    ),
    "alarm": (alarm_on, {"monitoring/calm": "fail"}),
    "silenced": (silence, {"monitoring/switched on": "warn"}),
    "forgotten": (forget_alarm, {"monitoring/alarms": "fail"}),
    "nobody hears": (unsubscribe, {"monitoring/who hears": "fail"}),
    "no group": (
        lambda one: one.clients.logs.delete_log_group(logGroupName="/kpi-ops/checks"),
        {"monitoring/log groups": "fail"},
    ),
    "kept for ever": (
        lambda one: one.clients.logs.delete_retention_policy(logGroupName="/kpi-ops/checks"),
        {"monitoring/log groups": "warn"},
    ),
}


@pytest.mark.parametrize(("damage", "named"), AWS_DAMAGES.values(), ids=AWS_DAMAGES)
def test_what_is_broken_in_the_account_is_named_and_nothing_else(damage, named):
    with standing_stack(FULL) as account:
        damage(account)
        assert bad(aws_findings(account)) == named


def test_where_there_is_nothing_each_part_says_so_once():
    with standing_stack(FULL) as account:
        nowhere = FULL.model_copy(
            update={
                "stack": FULL.stack.model_copy(update={"name": "other", "expected_account_id": "999999999999"}),
                "s3": FULL.s3.model_copy(update={"bucket": "not-there-at-all"}),
                "host": FULL.host.model_copy(update={"name": "nobody"}),
            }
        )
        found = aws_findings(replace(account, settings=nowhere))
    failed = {where for where, state in states(found).items() if state == "fail"}
    assert failed == {
        "AWS account/account",
        "stack/stack",
        "stack/instance",
        "bucket and snapshot/bucket",
        "monitoring/alarms",
        "monitoring/who hears",
    }
    assert {one.saw.seen for one in found if one.saw.state == "unknown"} == {"see stack", "see instance", "see bucket"}


STACK = MappingProxyType(
    {
        "StackName": "s",
        "CreationTime": NOW,
        "StackStatus": "CREATE_COMPLETE",
        "EnableTerminationProtection": True,
        "DriftInformation": {"StackDriftStatus": "IN_SYNC", "LastCheckTimestamp": NOW},
    }
)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, {}),
        ({"StackStatus": "UPDATE_IN_PROGRESS"}, {"stack/state": "warn"}),
        ({"StackStatus": "UPDATE_ROLLBACK_COMPLETE"}, {"stack/state": "warn"}),
        ({"StackStatus": "ROLLBACK_COMPLETE"}, {"stack/state": "fail"}),
        ({"StackStatus": "UPDATE_ROLLBACK_FAILED"}, {"stack/state": "fail"}),
        ({"EnableTerminationProtection": False}, {"stack/protection": "warn"}),
        ({"DriftInformation": {"StackDriftStatus": "DRIFTED", "LastCheckTimestamp": NOW}}, {"stack/drift": "fail"}),
    ],
)
def test_a_stack_is_judged_by_its_state_protection_and_drift(changed, named):
    assert by(aws.STACK, "stack", {**STACK, **changed}) == named


RUNNING = MappingProxyType(
    {"InstanceId": "i-1", "State": {"Name": "running"}, "InstanceType": "t2.micro", "status": {}}
)
EVENT = {"Code": "instance-retirement", "NotBefore": NOW, "Description": "The instance is on old hardware"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, {}),
        ({"status": {"SystemStatus": {"Status": "impaired"}}}, {"stack/machine below": "fail"}),
        ({"status": {"InstanceStatus": {"Status": "insufficient-data"}}}, {"stack/machine below": "warn"}),
        ({"status": {"Events": [EVENT]}}, {"stack/events": "warn"}),
        ({"status": {"Events": [{**EVENT, "Description": "[Completed] old"}]}}, {}),
        ({"InstanceType": "t3.small"}, {"stack/size": "warn"}),
        ({"State": {"Name": "stopping"}}, {"stack/instance": "fail"}),
    ],
)
def test_an_instance_is_judged_by_its_state_checks_events_and_size(changed, named):
    assert by(aws.STACK, "instance", {**RUNNING, **changed}) == named


@pytest.mark.parametrize(("skew_s", "state"), [(None, None), (59, None), (-61, "warn"), (241, "fail")])
def test_a_clock_that_aws_would_soon_refuse_is_named(skew_s, state):
    who = aws.Identity("123456789012", "arn:aws:iam::123456789012:user/ann", "eu-west-1", skew_s)
    assert by(aws.ACCOUNT, "identity", who) == ({"AWS account/clock": state} if state else {})


def test_the_root_user_is_named():
    who = aws.Identity("123456789012", "arn:aws:iam::123456789012:root", "eu-west-1", 0)
    assert by(aws.ACCOUNT, "identity", who) == {"AWS account/user": "warn"}


# --- here ------------------------------------------------------------------------------------------------------------

MACHINE = Machine((3, 11, 7), 120, (), "ab12cd3", (), 50_000_000_000, None, 0, MappingProxyType({}))
AT = Settings(host=HostSettings(address="203.0.113.7", key="~/.ssh/shop"))


@pytest.mark.parametrize(
    ("changed", "settings", "named"),
    [
        ({}, None, {}),
        ({"python": (3, 9, 1)}, None, {"this machine/python": "fail"}),
        ({"missing": ("boto3 is missing, not 1.43",)}, None, {"this machine/packages": "warn"}),
        ({"pinned": 0}, None, {"this machine/packages": "unknown"}),
        ({"commit": ""}, None, {"this machine/commit": "fail"}),
        ({"changed": ("a", "b", "c", "d")}, None, {"this machine/work tree": "warn"}),
        ({"free_bytes": 1_000_000_000}, None, {"this machine/disk": "warn"}),
        ({"free_bytes": 1_000_000}, None, {"this machine/disk": "fail"}),
        ({"key_mode": 0o600, "pins": 1}, AT, {}),
        ({"key_mode": 0o644, "pins": 1}, AT, {"this machine/private key": "fail"}),
        ({"key_mode": -1, "pins": 1}, AT, {"this machine/private key": "fail"}),
        ({"key_mode": 0o600}, AT, {"this machine/host's key": "fail"}),
        ({"ways": {"aws": True, "session-manager-plugin": False}}, None, {"this machine/gateway": "fail"}),
    ],
)
def test_what_is_not_right_on_this_machine_is_named(changed, settings, named):
    assert by(here.MACHINE, "machine", replace(MACHINE, **changed), settings) == named


def test_this_machine_is_really_looked_at(tmp_path):
    (tmp_path / "key").touch(mode=0o644)
    found = here.look_here(
        Settings(host=HostSettings(key="~/key", gateway="aws ssm start-session --target %h")), tmp_path
    )
    assert found.python >= (3, 11)
    assert found.pinned > 50
    assert found.missing == ()
    assert found.key_mode == 0o644
    assert set(found.ways) == {"aws", "session-manager-plugin"}


def changed_settings(**sections):
    settings = Settings(
        uptime={"targets": [{"name": "dashboard", "url": "https://shop.example"}]},
        stack={"expected_account_id": "123456789012", "alarm_email": "ops@shop.example"},
    )
    for name, values in sections.items():
        settings = settings.model_copy(update={name: getattr(settings, name).model_copy(update=values)})
    return settings


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({}, {}),
        ({"stack": {"expected_account_id": ""}}, {"settings/account": "warn"}),
        ({"stack": {"ssm": False}}, {"settings/way in": "warn"}),
        ({"stack": {"open_to_the_world": True}, "host": {"domain": "a.example"}}, {"settings/who may look": "warn"}),
        ({"stack": {"viewer_networks": ("203.0.113.0/24",)}}, {"settings/TLS": "warn"}),
        ({"stack": {"alarm_email": ""}}, {"settings/who is told": "warn"}),
        ({"uptime": {"targets": ()}}, {"settings/uptime targets": "warn"}),
        (
            {"uptime": {"targets": (TargetSettings(name="a", url="http://127.0.0.1:8501"),)}},
            {"settings/uptime targets": "warn"},
        ),
        (
            {
                "sign_in": {
                    "issuer": "https://id.example",
                    "public_url": "https://b.example",
                    "mail_domains": ("c.example",),
                },
                "host": {"domain": "a.example"},
            },
            {"settings/sign-in": "fail"},
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named(sections, named):
    settings = changed_settings(**sections)
    assert by(here.SETTINGS, "settings", settings, settings) == named


# --- the host --------------------------------------------------------------------------------------------------------


def made(differing=(), failed=(), units=None, *, reboot=False, **changed):
    return Host(made_host(**changed), differing, failed, reboot, units or {})


HOST_DAMAGES = [
    ({}, {}),
    ({"differing": ["/etc/systemd/system/kpi-dashboard@.service"]}, {"host/set up": "fail"}),
    ({"free_bytes": 200 * MEGABYTE}, {"host/disk": "fail"}),
    ({"free_bytes": 900 * MEGABYTE}, {"host/disk": "warn"}),
    ({"free_inodes": 10}, {"host/inodes": "fail"}),
    ({"memory_available_bytes": 50 * MEGABYTE}, {"host/memory": "warn"}),
    ({"memory_available_bytes": 50 * MEGABYTE, "swap_free_bytes": 0}, {"host/memory": "fail"}),
    ({"clock": CLOCK_S + 3600}, {"host/clock": "fail"}),
    ({"failed": ["cron.service"]}, {"host/failed units": "fail"}),
    ({"reboot": True}, {"host/reboot": "warn"}),
    ({"units": {"caddy.service": "active"}}, {"host/TLS front": "warn"}),
    ({"current": None}, {"service/serving": "fail"}),
    ({"socket": "failed"}, {"service/port": "fail"}),
    ({"port_owner": "nginx (pid 7)"}, {"service/port": "fail"}),
    (
        {"releases": [made_release(environment_ready=False), made_release(OLDER)]},
        {"service/next start": "fail"},
    ),
    ({"previous": None}, {"service/way back": "warn"}),
    (
        {"deploys": [{"what": "start", "to": CURRENT, "outcome": "refused", "reason": "it raises"}]},
        {"service/last deploy": "warn"},
    ),
    ({"lock": {"who": "jane", "since": "2026-11-25T01:00:00Z"}}, {"service/lock": "warn"}),
    ({"lock": {"who": "jane", "since": "2026-11-25T09:34:00Z"}}, {}),
]


def host_findings(value, settings=None):
    return by(host.HOST, "host", value, settings) | by(host.SERVICE, "host", value, settings)


@pytest.mark.parametrize(("changed", "named"), HOST_DAMAGES)
def test_what_is_wrong_on_the_host_is_named(changed, named):
    apart = {key: changed[key] for key in ("differing", "failed", "reboot") if key in changed}
    units = changed.get("units")
    said = {key: value for key, value in changed.items() if key not in (*apart, "units")}
    assert host_findings(made(**apart, units=units, **said)) == named


@pytest.mark.parametrize("state", [None, {"problem": "KeyError: 'revenue'"}, {"ready": False}])
def test_a_release_that_runs_and_shows_no_good_page_is_named(state):
    seen = Host(made_host() | {"units": [made_unit(state=state)]}, (), (), reboot=False, units={})
    assert host_findings(seen) == {"service/serving": "fail"}


def test_what_the_settings_want_on_the_host_and_is_not_there_is_named():
    wanting = Settings(host=HostSettings(domain="shop.example", agent={"install": True}))
    assert host_findings(made(), wanting) == {"host/TLS front": "fail", "host/CloudWatch agent": "fail"}


# --- the page, the record, GitHub ------------------------------------------------------------------------------------

PHASES = MappingProxyType({"dns": 1, "tcp": 1, "tls": 1, "ttfb": 1, "body": 1, "ws": 1, "script": 1})
UP = Result("up", None, None, None, PHASES)
SEEN = Visited("http://h:8501", UP, Shown(ready=True, run_id="r1", release=CURRENT))


@pytest.mark.parametrize(
    ("seen", "others", "named"),
    [
        (SEEN, {}, {}),
        (replace(SEEN, result=replace(UP, verdict="down", stage="tcp", reason="refused")), {}, {"page/page": "fail"}),
        (replace(SEEN, result=replace(UP, verdict="degraded")), {}, {"page/page": "warn"}),
        (replace(SEEN, result=replace(UP, certificate_days=3)), {}, {"page/certificate": "warn"}),
        (replace(SEEN, result=replace(UP, certificate_days=-1)), {}, {"page/certificate": "fail"}),
        (SEEN, {"published": "r2"}, {"page/data shown": "fail"}),
        (SEEN, {"published": Late(1)}, {"page/data shown": "unknown"}),
        (replace(SEEN, says=Shown(ready=True, run_id="r1", release="dev")), {}, {"page/release": "fail"}),
        (None, {}, dict.fromkeys(("page/page", "page/data shown", "page/release"), "unknown")),
    ],
)
def test_what_visitors_would_meet_is_named(seen, others, named):
    assert by(outside.PAGE, "page", seen, **({"published": "r1", "host": made()} | others)) == named


def sample(verdict="up", age=timedelta(minutes=5)):
    return Sample(at=NOW - age, target="dashboard", by="github", run=None, result=replace(UP, verdict=verdict))


def record(*samples, **changed):
    return replace(Record(1, {one.target: one for one in samples}, 0, report=True), **changed)


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (record(sample()), {}),
        (record(sample("down")), {"uptime schedule/verdicts": "fail"}),
        (record(sample("degraded")), {"uptime schedule/verdicts": "warn"}),
        (record(sample(age=timedelta(hours=3))), {"uptime schedule/last look": "warn"}),
        (record(sample(), torn=2), {"uptime schedule/files": "warn"}),
        (record(sample(), report=False), {"uptime schedule/files": "warn"}),
        (
            record(files=0, report=False),
            {
                "uptime schedule/record": "warn",
                "uptime schedule/last look": "unknown",
                "uptime schedule/verdicts": "unknown",
            },
        ),
    ],
)
def test_a_record_that_ends_or_tells_of_trouble_is_named(found, named):
    assert by(outside.UPTIME, "record", found, changed_settings()) == named


def test_the_newest_lines_of_the_newest_month_are_read(tmp_path):
    settings = changed_settings(uptime={"directory": tmp_path, "report": tmp_path / "uptime.md"})
    (tmp_path / "2026-10.jsonl").write_bytes(sample("down").to_line())
    lines = [sample(age=timedelta(minutes=minute)).to_line() for minute in range(1000, 5, -1)]
    (tmp_path / "2026-11.jsonl").write_bytes(b"".join([*lines, b'{"torn": \n']))
    found = outside.read_record(settings)
    assert (found.files, found.torn, found.report) == (2, 1, False)
    assert found.newest["dashboard"].at == NOW - timedelta(minutes=6)


RUN = {"created_at": "2026-11-25T09:20:00Z", "conclusion": "success", "status": "completed", "html_url": "https://g/1"}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (Repository("ann/shop", seen=True, workflow="active", run=RUN), {}),
        (Repository("", seen=False), {}),
        (
            Repository("ann/shop", seen=True, workflow="disabled_inactivity", run=RUN),
            {"GitHub/uptime workflow": "fail"},
        ),
        (Repository("ann/shop", seen=False), {"GitHub/uptime workflow": "warn"}),
        (
            Repository("ann/shop", seen=True, workflow="active", run=RUN | {"conclusion": "failure"}),
            {"GitHub/last run": "fail"},
        ),
        (
            Repository("ann/shop", seen=True, workflow="active", run=RUN | {"created_at": "2026-11-24T09:20:00Z"}),
            {"GitHub/last run": "warn"},
        ),
    ],
)
def test_a_schedule_that_stopped_is_named(said, named):
    assert by(outside.GITHUB, "github", said) == named


def test_a_repository_that_the_roles_do_not_trust_is_named():
    trusting = Settings(stack={"github": {"repository": "ann/shop", "owner_id": "1", "repository_id": "2"}})
    assert by(outside.GITHUB, "github", Repository("bob/shop", seen=False), trusting)["GitHub/repository"] == "fail"


@contextmanager
def api(answers):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, content = answers.get(self.path.partition("?")[0], (404, {}))
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_github_is_asked_for_the_workflow_and_its_last_run():
    place = "/repos/ann/shop/actions/workflows/uptime.yml"
    settings = Settings(alerts={"repository": "ann/shop"})
    with api({place: (200, {"state": "active"}), f"{place}/runs": (200, {"workflow_runs": [RUN]})}) as url:
        said = outside.ask_github(settings, url, "token")
    assert (said.seen, said.workflow, said.run) == (True, "active", RUN)
    with api({}) as url:
        assert not outside.ask_github(settings, url, "").seen
    with api({place: (403, {})}) as url, pytest.raises(KpiOpsError, match="GitHub answered 403"):
        outside.ask_github(settings, url, "")


# --- asking, and telling ---------------------------------------------------------------------------------------------


def test_what_hangs_breaks_or_cannot_is_told_and_keeps_nobody_waiting():
    forever = threading.Event()

    def refuse():
        raise StackError("there is no stack", expected="it", to_do="fab provision")

    told_ = gather(
        {
            "good": Source(lambda: 1, 5),
            "hangs": Source(forever.wait, 0.1),
            "breaks": Source(lambda: {}["no"], 5),
            "cannot": Source(refuse, 5),
        }
    )
    assert told_["good"] == 1
    assert told_["hangs"] == Late(0.1)
    assert isinstance(told_["breaks"], Bug)
    assert isinstance(told_["cannot"], StackError)
    groups = [
        Group(name, [Check("first", name, lambda *_: ok("")), Check("second", name, lambda *_: ok(""))])
        for name in told_
    ]
    found = {f"{one.group}/{one.name}": one.saw for one in judged(groups, Case(Settings(), NOW, told_))}
    assert [found[f"{name}/first"].state for name in told_] == ["ok", "unknown", "unknown", "fail"]
    assert [found[f"{name}/second"].state for name in told_] == ["ok", "unknown", "unknown", "unknown"]
    assert found["cannot/first"].to_do == "fab provision"
    assert found["cannot/second"].seen == "see first"
    forever.set()


def test_an_answer_in_a_form_of_its_own_breaks_no_other_check():
    odd = Host(made_host() | {"units": None, "clock": "noon"}, (), (), reboot=False, units={})
    found = host_findings(odd)
    assert found["host/clock"] == "unknown"
    assert "host/disk" not in found


def unreachable():
    raise HostUnreachable("203.0.113.7 port 22: timed out", expected="a connection", to_do="check the network")


def no_aws():
    raise StackError("AWS cannot be asked", expected="credentials", to_do="aws sso login")


def world(tmp_path, store):
    return World(
        no_aws, lambda: open_reader(str(store)), unreachable, lambda: NOW, tmp_path, ("http://127.0.0.1:1", "")
    )


def test_without_aws_and_host_the_rest_is_judged_all_the_same(tmp_path, sample_snapshot_dir):
    found = doctor(Settings(), world(tmp_path, sample_snapshot_dir))
    assert len(found) == sum(len(group.checks) for group in GROUPS) >= 60
    seen = {f"{one.group}/{one.name}": one.saw for one in found}
    assert seen["AWS account/identity"].to_do == "aws sso login"
    assert seen["stack/stack"].seen == "see identity of AWS account"
    assert seen["service/serving"].seen == "see reached of host"
    assert seen["host/reached"].seen.startswith("203.0.113.7 port 22")
    assert seen["bucket and snapshot/files"].state == "ok"
    assert seen["this machine/python"].state == "ok"
    assert told.code(found) == ExitCode.CHECK_FAILED
    assert "cannot tell" in told.as_text(found).splitlines()[-1]
    document = json.loads(told.as_json(found, NOW))
    assert document["exit_code"] == 1
    assert {each["state"] for each in document["checks"]} <= {"ok", "warn", "fail", "cannot tell"}


def test_settings_that_cannot_be_read_are_named_and_the_machine_is_judged(tmp_path):
    wrong = SettingsError("1 setting is wrong: x", expected="y", to_do="mend settings.toml")
    found = doctor(wrong, world(tmp_path, tmp_path))
    seen = {f"{one.group}/{one.name}": one.saw for one in found}
    assert seen["settings/settings.toml"].state == "fail"
    assert seen["settings/TLS"].seen == "see settings.toml"
    assert seen["this machine/python"].state == "ok"
    assert {one.group for one in found} == {"this machine", "settings"}


def test_all_well_is_exit_status_0_and_one_line_for_each_check():
    group = Group("g", [Check("a", "s", lambda *_: ok("fine")), Check("b", "s", lambda *_: ok("fine\x1b[31m"))])
    found = judged([group], Case(Settings(), NOW, {"s": 1}))
    assert told.code(found) == ExitCode.GOOD
    assert told.as_text(found).splitlines() == [
        "g",
        "  ok          a                 fine",
        "  ok          b                 fine [31m",
        "",
        "2 checks: 2 ok",
    ]
