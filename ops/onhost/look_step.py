"""`kpi-host look ID`: one deep look at what the public sees, while a deploy watches its release."""

from collections.abc import Mapping
from typing import Any

from ops.onhost import dead_man, inventory, systemd
from ops.onhost.looking import DOWN, Look, look
from ops.onhost.machine import Machine
from ops.onhost.trouble import Refused


def step(machine: Machine, release: str) -> Mapping[str, Any]:
    """What was seen. Raises Refused with the same document where it was not fine, or another release serves."""
    found = inventory.take(machine.tree)
    if found.current is None or found.serving != release:
        raise Refused(release=release, verdict="unknown", reason=f"{found.serving or 'nothing'} serves, not {release}")
    dead_man.beat(machine)
    seen = _fallen(machine, found.current) or look(machine, found.current)
    dead_man.beat(machine)
    document = {"release": release, "verdict": seen.verdict, "reason": seen.reason, "ms": seen.ms}
    if not seen.fine:
        raise Refused(**document)
    return {"ok": True, **document}


def _fallen(machine: Machine, instance: str) -> Look | None:
    """A release that was just let in and ends again and again looks well in between: callers wait, and are answered."""
    unit = systemd.units(machine).of(instance)
    if unit is None or not unit.restarts:
        return None
    return Look(DOWN, f"it ended by itself, and systemd had to start it again ({unit.restarts} x): see `fab logs`", {})
