"""The check of oneself: visit a page as people do, tell the journal what was found, and systemd that it came back.

A page that never finishes is what a restart cures, so only that keeps the watchdog waiting; a page that is wrong is
told of, and goes on being served.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ops import monitoring

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
EVERY_S: Final = 60.0  # where systemd does not ask
CHECKS_PER_WATCHDOG: Final = 3
PATIENCE: Final = 1.5  # times as long as it is between two checks


@dataclass(slots=True)
class Health:
    """What the newest check found; `problem` is one line, None for a page that is as it should be."""

    page_ms: int | None = None
    problem: str | None = None
    pages: tuple[tuple[str, str], ...] = field(default=(("", "first page"),))  # (hash, name) of each


def every_s(watchdog_s: float | None) -> float:
    """How often to check, so that one slow check in a row does no harm."""
    return watchdog_s / CHECKS_PER_WATCHDOG if watchdog_s else EVERY_S


def facts_of(state: Mapping[str, Any], *, ok: bool) -> dict[str, Any]:
    """The line of one check, by the names that alarms and dashboards know. `state`: as /state says it."""
    told = (
        monitoring.RELEASE,
        monitoring.PAGE_MS,
        monitoring.SESSIONS,
        monitoring.DATA_AGE_S,
        monitoring.MEMORY_BYTES,
        monitoring.PROBLEM,
    )
    return {monitoring.EVENT: monitoring.SELF_CHECK, monitoring.OK: ok, **{name: state[name] for name in told}}


def line_of(facts: Mapping[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))


def memory_bytes(statm: Path = Path("/proc/self/statm")) -> int | None:
    """The resident set of this process; None where the system does not say."""
    try:
        return int(statm.read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None


def turn(pages: Sequence[tuple[str, str]], check: int) -> tuple[str, str]:
    """Which page the check of that number visits: each in its turn."""
    return pages[check % len(pages)]
