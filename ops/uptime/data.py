"""The published data, as every check looks at it: judged once, and within a moment."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from etl.errors import KpiOpsError
from etl.store import Patience, open_reader
from ops.checkup import checkup
from ops.settings import DashboardSettings, FreshnessSettings
from ops.shown import page_at
from ops.verdict import Verdict

PATIENCE = Patience(attempts=1, deadline_s=20)  # the schedule does not wait for S3


def judge(store_address: str, *, now: datetime, limits: FreshnessSettings, patience: Patience = PATIENCE) -> Verdict:
    """What is true of the published data: its age, its files, the page. Raises KpiOpsError where nobody can tell.

    `store_address`: a directory or s3://bucket/prefix/.
    """
    page = page_at(limits.dashboard, DashboardSettings().refresh_s)
    return checkup(partial(open_reader, store_address), limits, now=now, page=page, patience=patience)


def freshness_line(judged: Callable[[], Verdict]) -> str:
    """The report's line about the published data. It changes no uptime and no exit status."""
    try:
        return f"freshness: {judged().line}"
    except KpiOpsError as error:
        return f"freshness: cannot tell: {error.seen}"
    except Exception as error:  # noqa: BLE001 - a bug there is no reason to record no uptime
        return f"freshness: cannot tell: {error!r}"
