"""`kpi-host switch ID`: what has proven itself serves from now on, also after a reboot."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ops.onhost import dead_man, history, inventory, record, systemd
from ops.onhost.machine import Machine
from ops.onhost.states import running
from ops.onhost.switching import drain_others, point
from ops.onhost.trouble import CouldNot


def step(machine: Machine, release: str) -> Mapping[str, Any]:
    """Have `current` name a release that runs, and the others drain. Doing it twice changes nothing."""
    began = machine.clock()
    found = inventory.take(machine.tree)
    instance = running(release, found, systemd.units(machine))
    if instance is None:
        raise CouldNot(
            f"{release} does not run",
            expected="a release that `kpi-host start` has let in",
            to_do="deploy again; `fab logs` says why it ended",
        )
    dead_man.arm(machine)
    if found.current != instance:
        if found.serving and found.serving != release:  # a rollback may have made it serve: it is the way back now
            _serves(machine, found.serving)
        _serves(machine, release)
        point(machine, instance)
    draining = drain_others(machine, instance)
    if found.current != instance:
        history.note(machine, "switch", came_from=found.serving, went_to=release, outcome="done", began=began)
    return {"ok": True, "release": release, "from": found.serving, "draining": draining}


def _serves(machine: Machine, release: str) -> None:
    was = record.read(machine.tree, release)
    record.write(machine.tree, release, replace(was, served_at=machine.clock()))
