"""The names that host, agent, alarms and dashboards of CloudWatch share: said once, here. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

NAMESPACE: Final = "KpiOps"
EC2: Final = "AWS/EC2"  # what the machine below the host measures: CPU, CPU credits, status checks

# The dashboard writes one JSON line per self check to the journal; these are its keys.
SELF_CHECK: Final = "self_check"  # the value of "event"
EVENT: Final = "event"
RELEASE: Final = "release"
OK: Final = "ok"  # the page ran to its end and shows no exception
PAGE_MS: Final = "page_ms"
SESSIONS: Final = "sessions"
DATA_AGE_S: Final = "data_age_s"  # since metadata.json's generated_at; null without data
MEMORY_BYTES: Final = "memory_bytes"  # resident set of the process
PROBLEM: Final = "problem"  # null, or what is wrong with the page

# Other values of "event", with release and problem: systemd's word on a release that ended badly.
ENDED: Final = "ended"  # it is started again if it is the current one
FAILED: Final = "failed"  # it is not

# SyslogIdentifier= of the dashboard's units. The journal knows by it the lines of releases to come, which a pattern of
# units misses, and the last line of a process that has ended, of which slice and unit may not be known any more.
IDENTIFIER: Final = "kpi-dashboard"

# Log groups. A JSON line is the whole of its log event in CHECKS only: the agent's journal input wraps what it reads.
CHECKS: Final = "/kpi-ops/checks"
DASHBOARD: Final = "/kpi-ops/dashboard"
SYSTEM: Final = "/kpi-ops/system"
LOG_GROUPS: Final = (CHECKS, DASHBOARD, SYSTEM)

# What the host's role needs beside the snapshot: metrics of NAMESPACE (a condition on cloudwatch:namespace), and these
# on LOG_GROUPS alone.
METRIC_ACTIONS: Final = ("cloudwatch:PutMetricData",)
LOG_ACTIONS: Final = (
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:PutRetentionPolicy",
)

# What the agent measures, as CloudWatch names it; each by InstanceId.
MEMORY_USED: Final = "mem_used_percent"
SWAP_USED: Final = "swap_used_percent"
DISK_USED: Final = "disk_used_percent"

Unit = Literal["Bytes", "Count", "Milliseconds", "Seconds"]


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """A metric made of the log events of CHECKS that a pattern fits: `value` is a number, or a $.key of the event.

    `otherwise` is what is counted where events came and none fitted; None: nothing.
    """

    metric: str
    pattern: str
    value: str
    unit: Unit
    otherwise: int | None = None


def _number(metric: str, key: str, unit: Unit) -> MetricFilter:
    """A number of the self check line; a null is no number, and fits no comparison."""
    return MetricFilter(metric, f'{{ ($.{EVENT} = "{SELF_CHECK}") && ($.{key} >= 0) }}', f"$.{key}", unit)


_BAD_CHECK: Final = f'{{ ($.{EVENT} = "{SELF_CHECK}") && (($.{OK} IS FALSE) || ($.{PROBLEM} = "*")) }}'
_BAD_END: Final = f'{{ ($.{EVENT} = "{ENDED}") || ($.{EVENT} = "{FAILED}") }}'

OPEN_SESSIONS: Final = _number("Sessions", SESSIONS, "Count")
PAGE_TIME: Final = _number("PageTime", PAGE_MS, "Milliseconds")
DATA_AGE: Final = _number("DataAge", DATA_AGE_S, "Seconds")
MEMORY: Final = _number("DashboardMemory", MEMORY_BYTES, "Bytes")
CHECK_FAILED: Final = MetricFilter("SelfCheckFailed", _BAD_CHECK, "1", "Count", otherwise=0)
RELEASE_ENDED: Final = MetricFilter("ReleaseEnded", _BAD_END, "1", "Count", otherwise=0)
METRIC_FILTERS: Final = (OPEN_SESSIONS, PAGE_TIME, DATA_AGE, MEMORY, CHECK_FAILED, RELEASE_ENDED)

Missing = Literal["breaching", "notBreaching", "ignore", "missing"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Rings when `points` of the last `periods` values, one each `period_s`, are beyond the threshold.

    `by_instance`: the metric is told apart by InstanceId. `missing`: what no value means. `recovers`: EC2 then moves
    the instance to another machine, with its disk and addresses.
    """

    name: str
    meaning: str
    metric: str
    statistic: Literal["Average", "Maximum", "Minimum", "SampleCount", "Sum"]
    beyond: Literal["GreaterThanThreshold", "LessThanThreshold"]
    threshold: float
    missing: Missing
    namespace: str = NAMESPACE
    by_instance: bool = False
    period_s: int = 300
    periods: int = 3
    points: int = 3
    recovers: bool = False


def alarms(*, data_too_old_s: float, page_too_slow_ms: float = 10_000) -> tuple[Alarm, ...]:
    """What people are told of; when data is too old is [freshness]'s business. A host that is gone rings by silence."""
    return (
        Alarm(
            name="status-check",
            meaning="the machine or its network is broken",
            metric="StatusCheckFailed",
            statistic="Maximum",
            beyond="GreaterThanThreshold",
            threshold=0,
            missing="breaching",
            namespace=EC2,
            by_instance=True,
        ),
        Alarm(
            name="system-check",
            meaning="the machine below the instance is broken; it is moved to another one",
            metric="StatusCheckFailed_System",
            statistic="Maximum",
            beyond="GreaterThanThreshold",
            threshold=0,
            missing="missing",
            namespace=EC2,
            by_instance=True,
            period_s=60,
            periods=2,
            points=2,
            recovers=True,
        ),
        Alarm(
            name="cpu-credits",
            meaning="the machine will soon be slowed down: its CPU credits are nearly used up",
            metric="CPUCreditBalance",
            statistic="Minimum",
            beyond="LessThanThreshold",
            threshold=10,
            missing="ignore",  # machines of a kind without credits have no such metric
            namespace=EC2,
            by_instance=True,
        ),
        _of_host("memory", "the host's memory is nearly full", MEMORY_USED, 90),
        _of_host("swap", "the host lives on its swap file", SWAP_USED, 70, missing="notBreaching"),  # it may have none
        _of_host("disk", "the host's disk is nearly full", DISK_USED, 85),
        Alarm(
            name="no-self-check",
            meaning="no release tells that it works",
            metric=OPEN_SESSIONS.metric,
            statistic="SampleCount",
            beyond="LessThanThreshold",
            threshold=1,
            missing="breaching",
        ),
        _of_checks("self-check", "a page of the dashboard is wrong", CHECK_FAILED, 0, "Sum"),
        _of_checks("page-slow", "a page takes too long", PAGE_TIME, page_too_slow_ms, "Average"),
        _of_checks("data-old", "the dashboard shows old numbers", DATA_AGE, data_too_old_s, "Minimum"),
        Alarm(
            name="release-ended",
            meaning="a release ended badly; systemd starts the current one again",
            metric=RELEASE_ENDED.metric,
            statistic="Sum",
            beyond="GreaterThanThreshold",
            threshold=0,
            missing="notBreaching",
            periods=1,
            points=1,
        ),
    )


def _of_host(name: str, meaning: str, metric: str, threshold: float, *, missing: Missing = "breaching") -> Alarm:
    """A host that says nothing about itself is in trouble."""
    return Alarm(name, meaning, metric, "Average", "GreaterThanThreshold", threshold, missing, by_instance=True)


def _of_checks(
    name: str,
    meaning: str,
    made_of: MetricFilter,
    threshold: float,
    statistic: Literal["Average", "Minimum", "Sum"],
) -> Alarm:
    """Of no self check at all another alarm tells."""
    return Alarm(name, meaning, made_of.metric, statistic, "GreaterThanThreshold", threshold, "notBreaching")
