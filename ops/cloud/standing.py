"""The one screen of `fab status` asked in AWS: whether the stack drifted, and how many CPU credits the host has."""

from datetime import datetime
from typing import Any

from ops.around import CREDITS_BACK
from ops.settings import Settings
from ops.stack.desk import Clients

METRIC = {"Namespace": "AWS/EC2", "MetricName": "CPUCreditBalance", "Statistics": ["Minimum"], "Period": 300}


def drift(clients: Clients, settings: Settings) -> tuple[str, datetime | None]:
    """What CloudFormation found when it looked last, and when. Raises StackError."""
    found: Any = clients.cloudformation.describe_stacks(StackName=settings.stack.name)["Stacks"][0]
    said = found.get("DriftInformation") or {}
    return str(said.get("StackDriftStatus", "NOT_CHECKED")), said.get("LastCheckTimestamp")


def credits_left(clients: Clients, instance: str, now: datetime) -> float | None:
    """Credits of a burstable instance, None where CloudWatch has no recent figure. Raises StackError."""
    asked: Any = clients.cloudwatch
    dimensions = [{"Name": "InstanceId", "Value": instance}]
    found = asked.get_metric_statistics(**METRIC, Dimensions=dimensions, StartTime=now - CREDITS_BACK, EndTime=now)
    points = sorted(found.get("Datapoints", ()), key=lambda point: point["Timestamp"])
    return float(points[-1]["Minimum"]) if points else None
