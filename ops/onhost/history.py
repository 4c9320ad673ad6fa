"""Who did what, when, and how it went: RECORD/deploys.jsonl, only ever added to."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from ops.onhost import files, locks
from ops.onhost.layout import HISTORY, SETTLE_UNIT, Tree
from ops.onhost.machine import Machine

LONGEST_LINE: Final = 4096  # bytes that a line may have to be surely among the newest
ALONE: Final = {"settle": SETTLE_UNIT}  # what needs nobody to hold the lock


def note(
    machine: Machine,
    what: str,
    *,
    came_from: str | None,
    went_to: str | None,
    outcome: str,
    began: float,
    reason: str | None = None,
) -> None:
    """Add a line. `who` is whoever holds the lock of deploys; where nobody does, the dead man or a person there."""
    now = machine.clock()
    held = locks.holder(machine.tree)
    line = {
        "at": moment(now),
        "who": held["who"] if held else ALONE.get(what, "by hand"),
        "what": what,
        "from": came_from,
        "to": went_to,
        "outcome": outcome,
        "seconds": round(now - began, 2),
        "reason": reason,
    }
    files.append(machine.tree.at(HISTORY), json.dumps(line))


def newest(tree: Tree, count: int) -> list[Any]:
    """The last lines, the newest last; one that was torn by a fallen plug is passed over."""
    path = tree.at(HISTORY)
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - count * LONGEST_LINE))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return [line for line in map(_parsed, lines) if line][-count:]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def moment(epoch_s: float) -> str:
    """A moment as everything here writes it: UTC, whole seconds."""
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
