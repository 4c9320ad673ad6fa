"""Where everything lies on the host: one place for both sides of the connection. Pure."""

from dataclasses import dataclass
from pathlib import Path
from pathlib import PurePosixPath as P
from typing import Final

HOME: Final = P("/opt/kpi")
RELEASES: Final = HOME / "releases"  # RELEASES/ID is one release; RELEASES/.ID.part one that is arriving
CURRENT: Final = HOME / "current"  # -> releases/ID; the only truth about what serves
ENVIRONMENTS: Final = HOME / "environments"  # ENVIRONMENTS/KEY is a venv, shared by releases
PACKAGES: Final = HOME / "packages"  # uv, its cache, wheels that were sent
UV: Final = PACKAGES / "uv"  # a venv that holds nothing but uv
CACHE: Final = PACKAGES / "cache"  # uv's, only while an environment is made
WHEELS: Final = PACKAGES / "wheels"  # *.whl as the operator sent them, where the host has no package index
RECORD: Final = HOME / "record"  # RECORD/ID.json: what became of a release; RECORD/deploys.jsonl: who did what
LOCK: Final = P("/run/kpi-ops/deploy.lock")
STEP_LOCK: Final = P("/run/kpi-ops/step.lock")
AFTER: Final = P("/run/kpi-ops/after")  # one empty file for each reaction to a changed file that is still due
HISTORY: Final = RECORD / "deploys.jsonl"
UNSETTLED: Final = RECORD / "unsettled.json"  # a deploy is under way: when, and by which unit, it is settled if it ends
RELEASE_LOCK: Final = P("requirements/host.txt")  # within a release: what its environment holds
UV_LOCK: Final = P("requirements/uv.txt")  # within a release: the uv that makes it
PROBE: Final = P("ops/uptime/probe.py")  # within a release: looks at it as a person would
TOOL: Final = P("/usr/local/lib/kpi-ops")  # TOOL/ops/onhost/*.py
COMMAND: Final = P("/usr/local/sbin/kpi-host")
CONFIGURATION: Final = P("/etc/kpi-ops")
DASHBOARD_ENVIRONMENT: Final = CONFIGURATION / "dashboard.env"  # from [host.environment]
SECRETS: Final = CONFIGURATION / "secrets.env"  # written by a person on the host, read by systemd only
RUN: Final = P("/run/kpi-dashboard")  # RUN/ID/http.sock is a release's private socket
STATE: Final = P("/var/lib/kpi-dashboard")
UNITS: Final = P("/etc/systemd/system")
USER: Final = "kpi-dashboard"
SOCKET_UNIT: Final = "kpi-dashboard.socket"
DISPATCHER_UNIT: Final = "kpi-dashboard.service"
SETTLE_UNIT: Final = "kpi-settle"  # the dead man's transient timers and services are SETTLE_UNIT-NUMBER
MEMINFO: Final = P("/proc/meminfo")
SETTLE_AT_BOOT_UNIT: Final = "kpi-settle-at-boot.service"  # the same after a restart, which no timer survives
PORT: Final = 8501  # unless the socket unit says otherwise
MANIFEST: Final = "release.json"  # at the root of a release
MAX_BYTES: Final = 200 * 1024 * 1024  # of the files of a release
MAX_FILES: Final = 10_000
MAX_PATH: Final = 400


def unit(release: str) -> str:
    """The systemd unit of a release."""
    return f"kpi-dashboard@{release}.service"


@dataclass(frozen=True, slots=True)
class Tree:
    """The host's files below a root: / on the host, any directory in a test."""

    root: Path = Path("/")

    def at(self, place: P) -> Path:
        """Where a place of this module lies."""
        return self.root / place.relative_to("/")

    def release(self, release: str) -> Path:
        """The directory of a release, or the alias of one."""
        return self.at(RELEASES) / release

    def environment(self, key: str) -> Path:
        """The venv of a key."""
        return self.at(ENVIRONMENTS) / key
