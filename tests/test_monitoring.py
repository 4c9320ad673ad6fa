"""One source of names: what the dashboard writes, filters count, the role may write and alarms ask for."""

import json
import re

import boto3
import pytest

from dashboard import selfcheck
from ops import monitoring
from ops.host.units import units
from ops.settings import Settings
from tests.filter_patterns import fits, keys, number, tokens

STATE = {
    "release": "20261123t101500.ab12cd3",
    "ready": True,
    "draining": False,
    "sessions": 3,
    "page_ms": 240,
    "data_age_s": 3600,
    "memory_bytes": 220_000_000,
    "contract": "1.0",
    "run_id": None,
    "last_script_error": None,
    "problem": None,
}


def line(*, ok=True, **state):
    """A line of the dashboard's own self check."""
    return selfcheck.line_of(selfcheck.facts_of(STATE | state, ok=ok))


def counted(text):
    """Metric -> number that CloudWatch takes of a log event."""
    fitting = [wanted for wanted in monitoring.METRIC_FILTERS if fits(wanted.pattern, text)]
    return {wanted.metric: number(wanted.value, text) for wanted in fitting}


@pytest.mark.parametrize("wanted", monitoring.METRIC_FILTERS, ids=lambda wanted: wanted.metric)
def test_every_key_that_a_filter_asks_for_is_one_that_the_dashboard_writes(wanted):
    number_of = {wanted.value.removeprefix("$.")} if wanted.value.startswith("$.") else set()
    assert keys(wanted.pattern) | number_of <= json.loads(line()).keys()


def test_a_good_check_gives_its_four_numbers_and_no_failure():
    assert counted(line()) == {
        "Sessions": 3,
        "PageTime": 240,
        "DataAge": 3600,
        "DashboardMemory": 220_000_000,
    }


def test_what_is_not_known_is_no_number():
    assert set(counted(line(data_age_s=None, page_ms=None, memory_bytes=None))) == {"Sessions"}


def test_nobody_there_and_new_data_are_numbers_too():
    numbers = counted(line(sessions=0, data_age_s=0))
    assert (numbers["Sessions"], numbers["DataAge"]) == (0, 0)


@pytest.mark.parametrize(
    "bad", [line(ok=False), line(problem="page 'Products' shows an error box"), line(ok=False, problem="KeyError")]
)
def test_a_page_that_is_wrong_is_counted_once(bad):
    assert counted(bad)["SelfCheckFailed"] == 1


@pytest.mark.parametrize("text", ["", "release r1 serves: 3 pages", "[1]", '"self_check"', '{"event": "other"}', "{}"])
def test_other_lines_count_for_nothing(text):
    assert counted(text) == {}


@pytest.mark.parametrize("event", [monitoring.ENDED, monitoring.FAILED])
def test_what_systemd_says_of_a_release_that_ended_badly_is_counted(event):
    text = json.dumps({monitoring.EVENT: event, monitoring.RELEASE: "r1", monitoring.PROBLEM: "signal (killed KILL)"})
    assert counted(text) == {"ReleaseEnded": 1}
    written = "".join(units(Settings()).values()).replace("\\", "")
    assert f'{{"{monitoring.EVENT}":"{event}","{monitoring.RELEASE}":"%i"' in written


def test_the_journal_knows_the_lines_of_all_releases_by_one_word():
    releases = [text for name, text in units(Settings()).items() if "@" in name]
    assert len(releases) == 2
    assert all(f"SyslogIdentifier={monitoring.IDENTIFIER}" in text.splitlines() for text in releases)


def test_the_service_takes_the_patterns(s3_endpoint):
    logs = boto3.client(
        "logs",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    logs.create_log_group(logGroupName=monitoring.CHECKS)
    for wanted in monitoring.METRIC_FILTERS:
        transformed = {
            "metricName": wanted.metric,
            "metricNamespace": monitoring.NAMESPACE,
            "metricValue": wanted.value,
        }
        default = {} if wanted.otherwise is None else {"defaultValue": wanted.otherwise}
        logs.put_metric_filter(
            logGroupName=monitoring.CHECKS,
            filterName=wanted.metric,
            filterPattern=wanted.pattern,
            metricTransformations=[{**transformed, **default, "unit": wanted.unit}],
        )
    listed = logs.describe_metric_filters(logGroupName=monitoring.CHECKS)["metricFilters"]
    assert {found["filterName"]: found["filterPattern"] for found in listed} == {
        wanted.metric: wanted.pattern for wanted in monitoring.METRIC_FILTERS
    }


def test_the_evaluator_of_these_tests_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="no word of a filter pattern"):
        tokens("{ $.event ~ 1 }")


# --- alarms


ALARMS = monitoring.alarms(data_too_old_s=180_000)


def test_every_alarm_asks_for_a_metric_that_somebody_writes():
    measured = {monitoring.MEMORY_USED, monitoring.SWAP_USED, monitoring.DISK_USED}
    ours = measured | {wanted.metric for wanted in monitoring.METRIC_FILTERS}
    of_ec2 = {"StatusCheckFailed", "StatusCheckFailed_System", "CPUCreditBalance"}
    for alarm in ALARMS:
        assert alarm.metric in (of_ec2 if alarm.namespace == monitoring.EC2 else ours), alarm
        assert alarm.by_instance is (alarm.metric in of_ec2 | measured), alarm


def test_alarms_have_names_of_their_own_and_ring_within_a_quarter_of_an_hour():
    names = [alarm.name for alarm in ALARMS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z-]+", name) for name in names)
    assert all(alarm.points <= alarm.periods and alarm.period_s * alarm.periods <= 900 for alarm in ALARMS)


def test_a_host_that_is_gone_rings_and_does_so_by_silence():
    by_silence = {alarm.name for alarm in ALARMS if alarm.missing == "breaching"}
    assert {"no-self-check", "status-check", "memory", "disk"} == by_silence


def test_data_is_too_old_when_the_settings_say_so():
    (alarm,) = [alarm for alarm in ALARMS if alarm.metric == monitoring.DATA_AGE.metric]
    assert alarm.threshold == 180_000
    # While a release drains its numbers come as well: what the newest data is, the youngest says.
    assert alarm.statistic == "Minimum"


def test_the_role_needs_no_more_than_one_namespace_and_our_groups():
    assert all(name.startswith("/kpi-ops/") for name in monitoring.LOG_GROUPS)
    actions = monitoring.LOG_ACTIONS + monitoring.METRIC_ACTIONS
    assert {action.split(":")[0] for action in actions} == {"logs", "cloudwatch"}
