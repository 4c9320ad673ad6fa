"""`kpi-host start ID`: the release proves itself on its private socket while the old one serves."""

from collections.abc import Mapping
from typing import Any

from ops.onhost import dead_man, history, inventory, record, systemd
from ops.onhost.inventory import Inventory
from ops.onhost.machine import Machine
from ops.onhost.starting import start
from ops.onhost.trouble import CouldNot, Refused


def step(machine: Machine, release: str, *, handoff: bool) -> Mapping[str, Any]:
    """Start a release. Raises Refused with its reason; the release is then marked bad, and the old one serves."""
    began = machine.clock()
    found = inventory.take(machine.tree)
    needed(found, release)
    dead_man.arm(machine)
    leaving = _leaving(machine, found, release) if handoff else None
    started = start(machine, found, release, after=leaving)
    if started.refusal is not None:
        reason = "\n".join(started.refusal.lines)
        record.judge(machine.tree, release, "bad", machine.clock(), reason)
        history.note(
            machine, "start", came_from=found.serving, went_to=release, outcome="refused", began=began, reason=reason
        )
        raise Refused(release=release, **started.refusal.document, serving=found.serving)
    dead_man.arm(machine)
    seconds = round(machine.clock() - began, 2)
    return {"ok": True, "release": release, "instance": started.instance, "seconds": seconds}


def needed(found: Inventory, release: str) -> inventory.Known:
    """The release, where it can be started. Raises CouldNot."""
    known = found.known(release)
    if known is None:
        raise CouldNot(f"there is no release {release}", expected="one that was received", to_do="see `fab releases`")
    if not known.environment_ready:
        raise CouldNot(
            f"the environment of {release} is not there, or not whole",
            expected="that `kpi-host environment` has made it",
            to_do="deploy again",
        )
    return known


def _leaving(machine: Machine, found: Inventory, release: str) -> str | None:
    """The instance that has to make room: the current one, where it lives and is another release."""
    current = found.current
    if current is None or found.serving == release or current not in systemd.units(machine).living():
        return None
    return current
