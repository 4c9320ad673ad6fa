"""`kpi-host look ID`: one deep look at what the public sees, while a deploy watches its release."""

from collections.abc import Mapping
from typing import Any

from ops.onhost import dead_man, inventory
from ops.onhost.looking import look
from ops.onhost.machine import Machine
from ops.onhost.trouble import Refused


def step(machine: Machine, release: str) -> Mapping[str, Any]:
    """What was seen. Raises Refused with the same document where it was not fine, or another release serves."""
    found = inventory.take(machine.tree)
    if found.serving is None or found.serving != release:
        raise Refused(release=release, verdict="unknown", reason=f"{found.serving or 'nothing'} serves, not {release}")
    dead_man.beat(machine)
    seen = look(machine, release)
    dead_man.beat(machine)
    document = {"release": release, "verdict": seen.verdict, "reason": seen.reason, "ms": seen.ms}
    if not seen.fine:
        raise Refused(**document)
    return {"ok": True, **document}
