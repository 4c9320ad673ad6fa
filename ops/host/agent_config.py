"""What the CloudWatch agent collects, as its configuration says it: from the settings and the agent's version. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ops import monitoring
from ops.settings import AgentSettings

Version: TypeAlias = tuple[int, ...]
Configuration: TypeAlias = dict[str, Any]

JOURNAL_SINCE: Final[Version] = (1, 300070)  # the first agent that reads the journal by itself
RUNS_AS: Final = "cwagent"  # the package's own user; reads the journal as a member of READS
READS: Final = ("adm", "systemd-journal")
LOGS: Final = "/var/log/kpi-ops"
STREAM: Final = "{instance_id}"
EVERY_S: Final = 60
WARNINGS: Final = "warning"


@dataclass(frozen=True, slots=True)
class Copy:
    """A part of the journal that a unit of ours copies to a file, for an agent that can read only files.

    `words` choose the part, as journalctl understands them.
    """

    name: str
    log_group: str
    words: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where it is copied to."""
        return f"{LOGS}/{self.name}.log"

    @property
    def unit(self) -> str:
        """The unit that copies."""
        return f"kpi-log-{self.name}.service"


_DASHBOARD: Final = f"SYSLOG_IDENTIFIER={monitoring.IDENTIFIER}"
# Numbers can be taken of an event that is one JSON object, not of one that is wrapped in another: also where the agent
# reads the journal, these lines come by a file.
CHECKS: Final = Copy("checks", monitoring.CHECKS, ("--grep", f'^{{"{monitoring.EVENT}":', _DASHBOARD))
DASHBOARD: Final = Copy("dashboard", monitoring.DASHBOARD, (_DASHBOARD,))
SYSTEM: Final = Copy("system", monitoring.SYSTEM, ("--priority", WARNINGS))
COPIES: Final = (CHECKS, DASHBOARD, SYSTEM)


def version_of(text: str) -> Version:
    """The numbers of a package's version, like 1.300070.0b1234-1; () of anything else."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in found.groups() if part) if found else ()


def reads_journal(version: Version | None) -> bool:
    """Whether an agent of that version does; None, where no old one was asked for, is the newest."""
    return version is None or version >= JOURNAL_SINCE


def copies(version: Version | None) -> tuple[Copy, ...]:
    """What has to be copied to files for an agent of that version."""
    return (CHECKS,) if reads_journal(version) else COPIES


def configuration(settings: AgentSettings, version: Version | None) -> Configuration:
    """Metrics of memory, swap and disk by instance, and the logs of the dashboard and of the system."""
    return {
        "agent": {"metrics_collection_interval": EVERY_S, "run_as_user": RUNS_AS},
        "metrics": _metrics(),
        "logs": {"logs_collected": _logs(settings.log_days, version), "log_stream_name": STREAM},
    }


def text_of(configured: Configuration) -> str:
    """As it lies on the host."""
    return json.dumps(configured, indent=2) + "\n"


def _metrics() -> Configuration:
    return {
        "namespace": monitoring.NAMESPACE,
        "append_dimensions": {"InstanceId": "${aws:InstanceId}"},
        # A disk has dimensions of its own besides, which no alarm should have to know.
        "aggregation_dimensions": [["InstanceId"]],
        "metrics_collected": {
            "mem": {"measurement": [monitoring.MEMORY_USED]},
            "swap": {"measurement": [monitoring.SWAP_USED]},
            "disk": {"measurement": [monitoring.DISK_USED], "resources": ["/"], "drop_device": True},
        },
    }


def _logs(days: int, version: Version | None) -> Configuration:
    files = {"collect_list": [{"file_path": copy.path, **_group(copy.log_group, days)} for copy in copies(version)]}
    if not reads_journal(version):
        return {"files": files}
    journal = [
        {**_group(monitoring.DASHBOARD, days), "matches": [_match(_DASHBOARD)]},
        {**_group(monitoring.SYSTEM, days), "priority": WARNINGS},
    ]
    return {"files": files, "journald": {"collect_list": journal}}


def _group(name: str, days: int) -> Configuration:
    return {"log_group_name": name, "log_stream_name": STREAM, "retention_in_days": days}


def _match(words: str) -> dict[str, str]:
    """FIELD=value as the agent writes it."""
    field, _, value = words.partition("=")
    return {field: value}
