"""Make one instance the one that serves: `current` is renamed, and every other takes no more callers."""

from ops.onhost import files, systemd
from ops.onhost.layout import CURRENT, RELEASES
from ops.onhost.machine import Machine


def point(machine: Machine, instance: str) -> None:
    """Have `current` name an instance, in one rename."""
    files.link(machine.tree.at(CURRENT), f"{RELEASES.name}/{instance}")


def drain_others(machine: Machine, instance: str) -> list[str]:
    """Have every other instance leave when its sessions have ended; their names."""
    living = [unit for unit in systemd.units(machine).instances if unit.lives and not unit.leaves]
    others = [unit.instance for unit in living if unit.instance != instance]
    systemd.drain(machine, *others)
    return others
