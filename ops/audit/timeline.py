"""The lines of the bucket and those of the host as one timeline. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from ops.audit.change import Change, read
from ops.words import plain

# Steps that change what serves; the host's other lines are parts of a deploy.
ON_HOST: Final = frozenset({"switch", "rollback", "settle"})
CLOCKS: Final = timedelta(seconds=30)  # what the two clocks may differ by
COLUMNS: Final = ("when (UTC)", "what", "from", "to", "outcome", "took", "who")


def of_host(lines: Iterable[Mapping[str, Any]]) -> list[Change]:
    """What the host noted by itself; what is no line is passed over."""
    found = []
    for line in lines:
        try:
            change = read(line)
            _ = change.began
        except (KeyError, TypeError, ValueError):
            continue
        if change.what in ON_HOST:
            found.append(change)
    return found


def timeline(bucket: Sequence[Change], host: Sequence[Change], count: int) -> list[Change]:
    """All changes once, the newest first: a step on the host that belongs to a command of the bucket is left out."""
    alone = [change for change in host if not any(_part_of(change, command) for command in bucket)]
    return sorted([*bucket, *alone], key=lambda change: change.at, reverse=True)[:count]


def _part_of(step: Change, command: Change) -> bool:
    same = step.to == command.to or (command.what == "deploy" and step.origin == command.to)
    within = command.began - CLOCKS <= step.began <= command.began + timedelta(seconds=command.seconds) + CLOCKS
    return command.what in ("deploy", "rollback") and same and within


def as_text(changes: Sequence[Change]) -> str:
    """A table, and below a line the reason of what did not go well."""
    if not changes:
        return "nothing is noted"
    rows = [COLUMNS, *(_row(change) for change in changes)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons = ["", *(f"  {plain(change.reason)}" if change.reason else "" for change in changes)]
    return "\n".join(line for pair in zip(lines, reasons, strict=True) for line in pair if line)


def _row(change: Change) -> tuple[str, ...]:
    at = change.at[:16].replace("T", " ")
    ends = (plain(change.origin) or "-", plain(change.to) or "-")
    return (at, plain(change.what), *ends, plain(change.outcome), f"{change.seconds:,.0f} s", plain(change.who))


def as_json(changes: Sequence[Change], not_asked: Sequence[str]) -> str:
    """One document; `not_asked`: sources that could not be asked, and why."""
    lines = [{"from" if name == "origin" else name: value for name, value in asdict(c).items()} for c in changes]
    return json.dumps({"changes": lines, "not_asked": list(not_asked)}, indent=2, allow_nan=False)
