"""`fab logs` while the host is away: the same lines from CloudWatch, where the agent has carried them."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from etl.errors import ExitCode, HostError
from ops.host.logs import DEFAULT_LINES, Wanted, printable
from ops.monitoring import DASHBOARD

LOOKED_BACK: Final = timedelta(hours=24)  # where nothing else is said
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
PART: Final = re.compile(r"(\d+)\s*([smhdw])[a-z]*\s*")


def show(logs: Any, wanted: Wanted, now: datetime, tell: Callable[[str], None]) -> ExitCode:
    """Tell the lines; CHECK_FAILED where --grep finds none.

    `logs`: a client of CloudWatch Logs. Raises HostError for what CloudWatch cannot tell, StackError where it refuses.
    """
    if wanted.follow or wanted.unit:
        raise HostError(
            "CloudWatch keeps the dashboard's lines and follows nothing",
            expected="no --follow and no --unit while the host does not answer",
            to_do="leave them out",
        )
    start, sought = _start(wanted.since, now), _sought(wanted)
    asked: dict[str, Any] = {"logGroupName": DASHBOARD, "startTime": int(start.timestamp() * 1000)}
    found = sorted(_events(logs, asked), key=lambda event: event["timestamp"])
    lines = [line for event in found if sought(line := _line(event))]
    for line in lines[-(wanted.lines or (len(lines) if wanted.since else DEFAULT_LINES)) :]:
        tell(line)
    return ExitCode.GOOD if lines or not wanted.grep else ExitCode.CHECK_FAILED


def _events(logs: Any, asked: dict[str, Any]) -> Iterator[Any]:
    token = ""
    while True:
        page = logs.filter_log_events(**asked, **({"nextToken": token} if token else {}))
        yield from page.get("events", ())
        token = page.get("nextToken", "")
        if not token:
            return


def _line(event: Any) -> str:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}+00:00 {printable(str(event['message']).rstrip())}"


def _sought(wanted: Wanted) -> Callable[[str], bool]:
    try:
        expression = re.compile(wanted.grep)
    except re.error as error:
        raise HostError(
            f"--grep {wanted.grep} is no regular expression: {error}", expected="one", to_do="mend it"
        ) from error
    return lambda line: bool(expression.search(line)) and wanted.release in line


def _start(since: str, now: datetime) -> datetime:
    """The moment that --since stands for."""
    text = since.strip()
    if not text:
        return now - LOOKED_BACK
    parts = PART.findall(text)
    if parts and PART.sub("", text) == "":
        return now - timedelta(seconds=sum(int(count) * UNITS[unit] for count, unit in parts))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise HostError(
            f"--since {since} is told by the host alone, which does not answer",
            expected="a span like 2h, or a moment like 2026-11-23T10:00:00Z",
            to_do="write it so",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
