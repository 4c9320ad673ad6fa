"""The one screen of `fab status`: what is around the host, a line each, what is wrong first, nothing waited for."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from etl.errors import ExitCode, HostUnreachable, StoreError
from etl.store import open_reader
from ops import screen
from ops.around import Asked, Line, lines, look, once, published
from ops.audit.change import Change
from ops.cloud.standing import credits_left, drift
from ops.doctor.check import Bug, Late
from ops.settings import Settings
from ops.uptime.gather import gather
from ops.uptime.rules import rules_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NOTHING = Asked(manifest=None, uptime=None, changes=None, drift=None, credits=None)
AWAY = HostUnreachable("ann@host does not answer", expected="SSH", to_do="look at the console")


def told(seen, settings=None):
    return lines(seen, settings or Settings(), NOW)


def only(seen):
    (line,) = told(seen)
    return line


# --- asking


def test_a_source_that_hangs_is_not_waited_for_and_the_others_are_there():
    never = threading.Event()
    seen = look(replace(NOTHING, manifest=never.wait, credits=lambda: 100.0), 0.2)
    never.set()
    assert seen == {"manifest": Late(0.2), "credits": 100.0}
    line = told(seen)[0]
    assert (line.name, line.told) == ("published", "cannot tell: no answer within 0.2 s")


def test_what_there_is_nothing_to_ask_of_has_no_line():
    assert told(look(NOTHING)) == []


def refused():
    raise StoreError("S3 answered 403", expected="rights", to_do="see IAM")


def test_a_source_that_refuses_says_why_and_one_that_breaks_is_our_fault():
    line = only(look(replace(NOTHING, changes=refused)))
    assert (line.name, line.told, line.wrong) == ("history", "cannot tell: S3 answered 403", "")
    assert only({"drift": Bug("KeyError: 'x'\x1b")}).told == "cannot tell: our fault: KeyError: 'x' "


# --- the data


@pytest.fixture
def manifest(sample_snapshot_dir):
    return published(open_reader(str(sample_snapshot_dir)))


@pytest.mark.parametrize(
    ("age", "wrong"),
    [(timedelta(hours=1), False), (timedelta(days=30), True), (-timedelta(hours=2), True)],
)
def test_published_data_is_told_on_two_clocks_and_wrong_where_it_is_too_old_or_of_the_future(manifest, age, wrong):
    seen = manifest.model_copy(
        update={"generated_at": NOW - age, "data_through": (NOW - age).date(), "published_by": "ann\x1b[2J"}
    )
    line = only({"manifest": seen})
    assert manifest.run_id in line.told
    assert "by ann [2J" in line.told
    assert bool(line.wrong) is wrong
    assert line.values["run_id"] == manifest.run_id


# --- uptime


GOOD = {"stage": None, "reason": None, "ms": {"tcp": 1, "script": 80}}
BAD = {"down": {"stage": "tcp", "reason": "refused", "ms": {}}}


def record(directory, *verdicts):
    """A look every half hour, the last a minute ago."""
    directory.mkdir(exist_ok=True)
    began = NOW - timedelta(minutes=30 * (len(verdicts) - 1) + 1)
    looks = [
        {"t": f"{began + timedelta(minutes=30 * n):%Y-%m-%dT%H:%M:%SZ}", "target": "shop", "verdict": verdict}
        for n, verdict in enumerate(verdicts)
    ]
    more = [{"v": 1, "attempts": 1, "by": "laptop"} | one | BAD.get(one["verdict"], GOOD) for one in looks]
    text = "".join(json.dumps(one) + "\n" for one in more)
    (directory / "2026-11.jsonl").write_text(text)
    return gather(directory, now=NOW, rules=rules_of(Settings().uptime))


def test_uptime_is_told_with_how_much_was_seen(tmp_path):
    line = only({"uptime": record(tmp_path / "uptime", *["up"] * 96)})
    assert line.name == "uptime"
    assert line.told.startswith("shop: up since ")
    assert "24h: 100.00% of the 100% that was seen" in line.told
    assert line.values["uptime"]["24h"]["uptime"] == 1.0
    assert line.values["uptime"]["30d"]["coverage"] > 0.99
    assert line.wrong == ""


def test_a_target_that_is_down_is_wrong_and_its_incident_goes_on(tmp_path):
    found = told({"uptime": record(tmp_path / "uptime", *["up"] * 10, "down", "down")})
    assert [line.name for line in found] == ["uptime", "incident"]
    assert "shop is down since" in found[0].wrong
    assert "goes on since" in found[1].told


def test_a_record_without_a_look_lately_says_that_nobody_looked(tmp_path):
    directory = tmp_path / "uptime"
    record(directory, "up")
    later = gather(directory, now=NOW + timedelta(days=40), rules=rules_of(Settings().uptime))
    assert "24h: nobody looked" in only({"uptime": later}).told


# --- changes, drift, credits


def test_the_newest_changes_that_the_host_does_not_tell_itself_are_shown_with_who():
    at = "2026-11-23T11:00:00Z"
    changes = [
        Change(at, "ann", "deploy", "r1", "r2", "done", 1),
        *(Change(at, f"bob{n}", "etl-sync", "a", f"b{n}", "done", 1) for n in range(5)),
    ]
    found = told({"changes": changes})
    assert [line.told for line in found] == [f"{at} etl-sync b{n}, done, by bob{n}" for n in range(3)]


@pytest.mark.parametrize(
    ("word", "wrong", "shown"),
    [("DRIFTED", True, "drifted, looked"), ("IN_SYNC", False, "in sync, looked"), ("NOT_CHECKED", False, "fab drift")],
)
def test_drift_is_wrong_where_there_is_some(word, wrong, shown):
    line = only({"drift": (word, NOW)})
    assert bool(line.wrong) is wrong
    assert shown in line.told


@pytest.mark.parametrize(("left", "wrong"), [(144.0, False), (9.0, True), (0.0, True)])
def test_few_cpu_credits_are_wrong(left, wrong):
    assert bool(only({"credits": left}).wrong) is wrong


class Cloud:
    """What is asked of AWS, by boto3's own clients."""

    def __init__(self, endpoint):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        self.cloudwatch = boto3.client("cloudwatch", endpoint_url=endpoint, **keys)
        self.cloudformation = boto3.client("cloudformation", endpoint_url=endpoint, **keys)


def test_credits_are_the_newest_figure_and_nothing_where_there_is_none(s3_endpoint):
    cloud, now = Cloud(s3_endpoint), datetime.now(UTC)
    assert credits_left(cloud, "i-none", now) is None
    dimensions = [{"Name": "InstanceId", "Value": "i-1"}]
    for minutes, value in ((20, 30.0), (5, 12.0), (50, 99.0)):
        at = now - timedelta(minutes=minutes)
        datum = {"MetricName": "CPUCreditBalance", "Dimensions": dimensions, "Timestamp": at, "Value": value}
        cloud.cloudwatch.put_metric_data(Namespace="AWS/EC2", MetricData=[datum])
    assert credits_left(cloud, "i-1", now) == 12.0


def test_drift_is_what_cloudformation_saw_last(s3_endpoint):
    cloud, settings = Cloud(s3_endpoint), Settings()
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    cloud.cloudformation.create_stack(StackName=settings.stack.name, TemplateBody=body)
    assert drift(cloud, settings)[0] in {"NOT_CHECKED", "IN_SYNC", "DRIFTED"}
    cloud.cloudformation.delete_stack(StackName=settings.stack.name)


# --- the screen


def test_a_host_that_does_not_answer_keeps_nobody_from_seeing_the_rest():
    line = Line("published", "run 1, fresh", values={"run_id": "1"})
    text = screen.as_text(AWAY, [line], NOW)
    assert "ann@host does not answer" in text
    assert "published  run 1, fresh" in text
    assert screen.exit_code(AWAY, [line]) == ExitCode.COULD_NOT
    document = json.loads(screen.as_json(AWAY, [line], NOW))
    assert (document["exit_code"], document["around"]) == (3, {"published": [{"run_id": "1"}]})
    assert "ann@host does not answer" in document["error"]


def test_what_several_ask_for_at_once_is_made_once_and_again_only_after_a_failure():
    made, may_go_on = [], threading.Event()

    def make():
        made.append(len(made))
        may_go_on.wait(10)
        if len(made) == 1:
            raise OSError("not yet")
        return made[-1]

    ask = once(make)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask) for _ in range(4)]
        may_go_on.set()
        failed = [answer for answer in answers if answer.exception()]
        assert [answer.result() for answer in answers if answer not in failed] == [1, 1, 1]
    assert made == [0, 1]
