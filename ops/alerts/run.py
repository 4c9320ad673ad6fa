"""What a check does about alerts: read what was told, tell the rest, keep what was told now."""

from collections.abc import Sequence

from etl.store import Patience
from ops.alerts import ledger
from ops.alerts.channels import channels
from ops.alerts.decide import news_of
from ops.alerts.send import PATIENCE, tell
from ops.settings import AlertSettings, UptimeSettings
from ops.uptime.maintenance import Maintenance
from ops.uptime.report import Report


def run(
    numbers: Report,
    uptime: UptimeSettings,
    alerts: AlertSettings,
    maintenance: Sequence[Maintenance],
    *,
    api: str = "",
    repository: str = "",
    token: str = "",
    patience: Patience = PATIENCE,
) -> tuple[str, ...]:
    """Tell of the incidents in a report what is not told yet, within a minute; returns lines for a person.

    `api`, `repository`, `token`: what GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN say, or nothing. Raises
    KpiOpsError where the ledger cannot be read or written; what other machines do wrong is a line.
    """
    switched = channels(alerts, api=api, repository=repository, token=token)
    if not switched.on:
        return tuple(switched.lines)
    known = ledger.read(uptime.directory)
    told = tell(news_of(numbers, uptime.targets, maintenance, alerts), known.entries, switched.on, patience=patience)
    ledger.append(uptime.directory, told.entries)
    torn = [f"torn lines in {ledger.FILE_NAME}, skipped: {known.torn_lines}"] if known.torn_lines else []
    return (*switched.lines, *torn, *told.lines)
