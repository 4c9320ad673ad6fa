"""CloudWatch's own dashboard of the host: alarms, the machine, the pages. Pure."""

import json
from collections.abc import Sequence
from typing import Any, Final

from ops import monitoring
from ops.monitoring import Alarm
from ops.settings import Settings
from ops.stack import names

WIDTH: Final = 8
COLUMNS: Final = 24
HEIGHT: Final = 6
ALARMS_HEIGHT: Final = 3
PERIOD_S: Final = 300
INSTANCE: Final = "${Instance}"  # for CloudFormation to fill in, as are the others of this form


def body(settings: Settings, alarms: Sequence[Alarm]) -> str:
    """The JSON that Fn::Sub is given."""
    place = {"x": 0, "y": 0, "width": COLUMNS, "height": ALARMS_HEIGHT}
    shown = {"type": "alarm", **place, "properties": {"title": "Alarms", "alarms": _arns(settings, alarms)}}
    charts = [_chart(number, *chart) for number, chart in enumerate(_charts())]
    return json.dumps({"widgets": [shown, *charts]}, indent=1)


def _arns(settings: Settings, alarms: Sequence[Alarm]) -> list[str]:
    account = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}"
    return [f"{account}:alarm:{names.alarm(settings, alarm)}" for alarm in alarms]


def _charts() -> list[tuple[str, list[list[str]], str]]:
    """Title, metrics and statistic of each."""
    return [
        ("Memory, swap and disk, %", [_of_host(metric) for metric in _HOST], "Maximum"),
        ("CPU, %", [_of_machine("CPUUtilization")], "Average"),
        ("CPU credits", [_of_machine("CPUCreditBalance")], "Minimum"),
        ("Time of a page, ms", [_of_checks(monitoring.PAGE_TIME.metric)], "Average"),
        ("Open sessions", [_of_checks(monitoring.OPEN_SESSIONS.metric)], "Maximum"),
        ("Age of the data, s", [_of_checks(monitoring.DATA_AGE.metric)], "Minimum"),
        ("Memory of the dashboard, bytes", [_of_checks(monitoring.MEMORY.metric)], "Maximum"),
        ("Failed self checks and bad ends", [_of_checks(metric) for metric in _BAD], "Sum"),
        ("Traffic, bytes", [_of_machine("NetworkOut"), _of_machine("NetworkIn")], "Sum"),
    ]


_HOST: Final = (monitoring.MEMORY_USED, monitoring.SWAP_USED, monitoring.DISK_USED)
_BAD: Final = (monitoring.CHECK_FAILED.metric, monitoring.RELEASE_ENDED.metric)


def _of_host(metric: str) -> list[str]:
    return [monitoring.NAMESPACE, metric, "InstanceId", INSTANCE]


def _of_machine(metric: str) -> list[str]:
    return [monitoring.EC2, metric, "InstanceId", INSTANCE]


def _of_checks(metric: str) -> list[str]:
    return [monitoring.NAMESPACE, metric]


def _chart(number: int, title: str, metrics: list[list[str]], statistic: str) -> dict[str, Any]:
    per_row = COLUMNS // WIDTH
    return {
        "type": "metric",
        "x": WIDTH * (number % per_row),
        "y": ALARMS_HEIGHT + HEIGHT * (number // per_row),
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": title,
            "metrics": metrics,
            "stat": statistic,
            "period": PERIOD_S,
            "region": "${AWS::Region}",
        },
    }
