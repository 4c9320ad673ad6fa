"""The one screen of `fab status`: the host, and what is around it, what is wrong first. Pure."""

import json
from collections.abc import Sequence
from datetime import datetime

from etl.errors import ExitCode, KpiOpsError
from ops import around
from ops.around import Line
from ops.host import status
from ops.host.status import Status
from ops.words import moment


def exit_code(host: Status | KpiOpsError, beside: Sequence[Line]) -> ExitCode:
    """0 well, 1 something is wrong, 3 the host cannot be asked."""
    if isinstance(host, KpiOpsError):
        return ExitCode.COULD_NOT
    return ExitCode.CHECK_FAILED if host.problems or any(line.wrong for line in beside) else ExitCode.GOOD


def as_text(host: Status | KpiOpsError, beside: Sequence[Line], now: datetime) -> str:
    """A headline, what is wrong, and a line for each thing that one may want to know."""
    if isinstance(host, KpiOpsError):
        return f"cannot tell how the host is, at {moment(now)}\nerror: {host}\n{around.as_text(beside)}".rstrip()
    return status.as_text(host, now, beside)


def as_json(host: Status | KpiOpsError, beside: Sequence[Line], now: datetime) -> str:
    """One document: that of the host, its problems and those around it together."""
    more = around.as_values(beside)
    if isinstance(host, KpiOpsError):
        values = {"exit_code": int(ExitCode.COULD_NOT), "at": moment(now), "error": str(host), **more}
        return json.dumps(values, indent=2, allow_nan=False)
    values = json.loads(status.as_json(host))
    problems = [*values["problems"], *more["problems"]]
    code = int(exit_code(host, beside))
    return json.dumps(values | more | {"problems": problems, "exit_code": code}, indent=2, allow_nan=False)
