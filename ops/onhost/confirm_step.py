"""`kpi-host confirm ID`: the release that serves was watched, and is one to go back to from now on."""

from collections.abc import Mapping
from typing import Any

from ops.onhost import dead_man, history, inventory, record
from ops.onhost.machine import Machine
from ops.onhost.trouble import CouldNot


def step(machine: Machine, release: str) -> Mapping[str, Any]:
    """Mark it good, then call the dead man off."""
    began = machine.clock()
    found = inventory.take(machine.tree)
    if found.serving != release:
        raise CouldNot(
            f"{found.serving or 'nothing'} serves, not {release}",
            expected="that the release to be confirmed is the one that serves",
            to_do="see `fab status`; the host may have settled on another release meanwhile",
        )
    record.judge(machine.tree, release, "good", began)
    dead_man.disarm(machine)
    history.note(machine, "confirm", came_from=release, went_to=release, outcome="good", began=began)
    return {"ok": True, "release": release}
