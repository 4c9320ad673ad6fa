"""`fab logs`: the journal of the dashboard's units, asked with journalctl on the host."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from etl.errors import ExitCode, HostError
from ops.host.remote import Remote
from ops.onhost import layout

DEFAULT_LINES = 100
ALL = "all"
SPAN = re.compile(r"(\d+\s*(s|sec|m|min|h|hours?|d|days?|w|weeks?)\s*)+")
RELEASE = re.compile(r"[a-z0-9.]+")
UNIT = re.compile(r"[A-Za-z0-9@:._\\][A-Za-z0-9@:._\\-]*")
READ_S = 120
# journalctl looks once which units a pattern stands for: a release that starts later would not be followed.
FROM_NOW_ON = (
    r"_SYSTEMD_SLICE=system-kpi\x2ddashboard.slice",
    "+",
    f"_SYSTEMD_UNIT={layout.DISPATCHER_UNIT}",
    "+",
    f"SYSLOG_IDENTIFIER={layout.COMMAND.name}",
    "+",
    "SYSLOG_IDENTIFIER=systemd",
)
OF_SYSTEMD, OURS = re.compile(r"\S+ systemd\[1\]: "), "kpi-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines. `since`: a span like 2h, a moment, or words of systemd like yesterday. `lines` 0: the default.

    `unit`: of systemd on the host; without one, all that is the dashboard's.
    """

    since: str = ""
    grep: str = ""
    lines: int = 0
    release: str = ""
    follow: bool = False
    unit: str = ""


def journalctl(wanted: Wanted) -> list[str]:
    """The command. Raises HostError for a release that no release can be called."""
    return [
        "journalctl",
        "--no-pager",
        "--quiet",
        "--output=short-iso",
        "--no-hostname",
        f"--lines={wanted.lines or (ALL if wanted.since else DEFAULT_LINES)}",
        *([f"--since={since(wanted.since)}"] if wanted.since else []),
        *([f"--grep={wanted.grep}"] if wanted.grep else []),
        *(["--follow"] if wanted.follow else []),
        *_of_whom(wanted),
    ]


def _of_whom(wanted: Wanted) -> Sequence[str]:
    if wanted.unit:
        return (f"--unit={_unit(wanted.unit)}",)
    if wanted.release:
        release = _release(wanted.release)
        # The second: where it was gone back to while it still drained, it runs under an alias.
        return (f"--unit={layout.unit(release)}", f"--unit={layout.unit(f'{release}.[0-9]*')}")
    if wanted.follow:
        return FROM_NOW_ON
    units = (layout.unit("*"), layout.SOCKET_UNIT, layout.DISPATCHER_UNIT, f"{layout.SETTLE_UNIT}*")
    return [f"--unit={unit}" for unit in units]


def _unit(name: str) -> str:
    if not UNIT.fullmatch(name):
        raise HostError(
            f"{name!r} is no unit of systemd",
            expected="a name like caddy or ssh.service",
            to_do="see `systemctl` there",
        )
    return name


def _release(name: str) -> str:
    if not RELEASE.fullmatch(name):
        raise HostError(
            f"{name!r} is no release",
            expected="a name like 20261123t101500.ab12cd3",
            to_do="take it from `fab releases`",
        )
    return name


def since(text: str) -> str:
    """A moment as the host's journalctl takes it, old ones, too: it knows no 2h and no ...T...Z."""
    if SPAN.fullmatch(text.strip()):
        return f"-{text.strip()}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return text
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def show(remote: Remote, wanted: Wanted, tell: Callable[[str], None]) -> ExitCode:
    """Tell each line as it comes; with `follow` until somebody stops it. CHECK_FAILED where --grep finds none.

    Raises HostError where journalctl cannot do as asked.
    """
    done = remote.run(
        journalctl(wanted),
        on_line=lambda line: tell(printable(line)) if wanted.unit or _ours(line) else None,
        timeout_s=math.inf if wanted.follow else READ_S,
    )
    if done.status == 0:
        return ExitCode.GOOD
    if not done.err.strip() and wanted.grep:
        return ExitCode.CHECK_FAILED
    raise HostError(
        f"the journal cannot be read: {printable(done.err.strip()) or f'journalctl ended with {done.status}'}",
        expected="--since like 2h, 2026-11-23 or yesterday; --grep with a regular expression",
        to_do="mend what was asked for",
    )


def _ours(line: str) -> bool:
    """Whether a line is not one of systemd about somebody else's unit."""
    return not OF_SYSTEMD.match(line) or OURS in line


def printable(line: str) -> str:
    """A line as a terminal may have it."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
