"""`fab releases`: what lies on the host, newest first, each with what became of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.uptime.display.words import length
from ops.words import plain

MEGABYTE = 1024 * 1024
COMMIT = 7
COLUMNS = ("release", "commit", "ref", "age", "by", "size", "state")
WORDS = {"current": "serves", "draining": "drains", "candidate": "starts"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A release as it is listed. `sessions` is None where nothing of it runs; `state` is kpi-host's word."""

    release: str
    sha: str
    ref: str
    dirty: bool
    made_at: str
    who: str
    state: str
    reason: str | None
    sessions: int | None
    bytes: int


def releases(host: Mapping[str, Any]) -> list[Listed]:
    """The releases of which `kpi-host status` tells, the newest first."""
    newest_first = sorted(host["releases"], key=lambda known: (known["made_at"], known["release"]), reverse=True)
    return [_listed(known, host["units"]) for known in newest_first]


def _listed(known: Mapping[str, Any], units: Sequence[Mapping[str, Any]]) -> Listed:
    return Listed(
        release=known["release"],
        sha=known["sha"],
        ref=known["ref"],
        dirty=known["dirty"],
        made_at=known["made_at"],
        who=known["who"],
        state=known["state"],
        reason=known["reason"],
        sessions=sessions(known["release"], units),
        bytes=known["bytes"],
    )


def sessions(release: str, units: Sequence[Mapping[str, Any]]) -> int | None:
    """How many people a release has, under whatever name it runs; None where none of it says."""
    told = [unit["state"]["sessions"] for unit in units if unit["release"] == release and unit["state"]]
    return sum(told) if told else None


def as_text(listed: Sequence[Listed], now: datetime) -> str:
    """A table, or that there is nothing."""
    if not listed:
        return "no release is on the host"
    rows = [COLUMNS, *(_row(release, now) for release in listed)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(listed: Listed, now: datetime) -> tuple[str, ...]:
    return (
        listed.release,
        listed.sha[:COMMIT] or "?",
        plain(listed.ref) or "?",
        age(listed.made_at, now),
        plain(listed.who) or "?",
        f"{listed.bytes / MEGABYTE:.1f} MB",
        _state(listed),
    )


def _state(listed: Listed) -> str:
    word = WORDS.get(listed.state, listed.state)
    if listed.sessions is not None:
        word = f"{word}, {listed.sessions} session" + ("" if listed.sessions == 1 else "s")
    if listed.state == "bad" and listed.reason:
        word = f"{word}: {plain(listed.reason.strip().partition(chr(10))[0])}"
    return f"{word} (not committed)" if listed.dirty else word


def age(at: str, now: datetime) -> str:
    """How long ago a moment of kpi-host was; "?" for what is none."""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return "?"
    return length(max(now - then.replace(tzinfo=then.tzinfo or UTC), timedelta()))


def as_json(listed: Sequence[Listed]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [asdict(release) for release in listed]
