"""Bring a release up beside, or after, the one that serves; with the reason where it does not let itself in."""

import shutil
from dataclasses import dataclass
from typing import Final

from ops.onhost import files, journal, names, private, proc, reasons, systemd
from ops.onhost.inventory import Inventory
from ops.onhost.layout import MEMINFO, RUN, unit
from ops.onhost.machine import TIMED_OUT, Machine
from ops.onhost.reasons import Refusal
from ops.onhost.room import fits
from ops.onhost.states import running
from ops.onhost.units import Unit, Units

LIMIT_S: Final = 300.0  # systemd ends a start that hangs earlier, after the unit's TimeoutStartSec
LEAVE_S: Final = 10.0  # the old release, told to leave at once
LOOK_EVERY_S: Final = 0.2
AT_ONCE: Final = "at-once"  # beside a release's private socket: it does not wait for its sessions
STATE_S: Final = 2.0
RUNTIME_UNITS: Final = "run/systemd/system"


@dataclass(frozen=True, slots=True)
class Started:
    """The instance that runs a release now, or why it does not run."""

    release: str
    instance: str
    refusal: Refusal | None = None


def start(machine: Machine, inventory: Inventory, release: str, *, after: str | None = None) -> Started:
    """Start a release and wait for its gate. A refused one is stopped and forgotten by systemd, with nothing left.

    `after`: the instance that leaves first, without waiting for its sessions, and comes back if the release is refused;
    callers wait in the socket's queue.
    """
    units = systemd.units(machine)
    serving = running(release, inventory, units)
    if serving:
        return Started(release, serving)
    instance = _free_name(machine, inventory, units, release)
    began = machine.clock()
    said = _after(machine, after, instance) if after else _beside(machine, instance)
    ended = systemd.units(machine).of(instance)
    if ended is not None and ended.serves:
        return Started(release, instance)
    refusal = _why(machine, instance, ended, began, said)
    stop_now(machine, instance)
    if after:
        systemd.start(machine, after, limit_s=LIMIT_S)
    return Started(release, instance, refusal)


def stop_now(machine: Machine, instance: str) -> None:
    """End an instance that nobody uses; nothing of it stays, not even its alias."""
    systemd.kill(machine, instance)
    shutil.rmtree(machine.tree.at(RUN) / instance, ignore_errors=True)
    if machine.tree.release(instance).is_symlink():
        machine.tree.release(instance).unlink()


def contract(machine: Machine, inventory: Inventory) -> object:
    """The version of the snapshot that is served now; None where nobody says."""
    said = private.state(machine.tree, inventory.current, STATE_S) if inventory.current else None
    return said.get("contract") if said else None


def crowded_out(machine: Machine, inventory: Inventory) -> str | None:
    """The current instance, where there is no memory for another release beside it."""
    unit = systemd.units(machine).of(inventory.current) if inventory.current else None
    if unit is None or not unit.lives:
        return None
    memory = proc.memory_bytes(machine.tree.at(MEMINFO).read_text())
    return None if fits(memory, unit.memory_bytes) else unit.instance


def leave_at_once(machine: Machine, instance: str) -> None:
    """Tell an instance not to wait for its sessions once it is stopped."""
    directory = machine.tree.at(RUN) / instance
    if directory.is_dir():
        (directory / AT_ONCE).touch()


def _free_name(machine: Machine, inventory: Inventory, units: Units, release: str) -> str:
    """The release itself, or an alias of it while its own unit still has sessions to lose."""
    busy = units.of(release)
    if busy is None or not busy.leaves:
        if busy is not None and busy.lives:  # of a deploy that was killed: it is tried from the start
            stop_now(machine, release)
        shutil.rmtree(machine.tree.at(RUN) / release, ignore_errors=True)
        return release
    name = names.alias(release, int(machine.clock()), {*inventory.aliases, *units.living()})
    files.link(machine.tree.release(name), release)
    return name


def _beside(machine: Machine, instance: str) -> str:
    done = systemd.start(machine, instance, limit_s=LIMIT_S)
    return f"no answer within {LIMIT_S:g} s" if done.status == TIMED_OUT else done.err


def _after(machine: Machine, old: str, instance: str) -> str:
    """Have the old one leave and the new one start in its place.

    The new one's start waits in systemd's queue for the old one's end, as ordered by a drop-in. While it waits the
    socket starts nothing else, and callers wait in its backlog: there is no instant in which the old one comes back.
    """
    drop_in = machine.tree.root / RUNTIME_UNITS / f"{unit(instance)}.d"
    drop_in.mkdir(parents=True, exist_ok=True)
    files.write(drop_in / "after.conf", f"[Unit]\nAfter={unit(old)}\n")
    systemd.reload(machine)
    try:
        leave_at_once(machine, old)
        systemd.drain(machine, old)
        said = systemd.begin(machine, instance).err
        return said or _waited_for(machine, old, instance)
    finally:
        shutil.rmtree(drop_in, ignore_errors=True)


def _waited_for(machine: Machine, old: str, instance: str) -> str:
    began = machine.clock()
    killed = False
    while (waited_s := machine.clock() - began) < LIMIT_S:
        units = systemd.units(machine)
        mine, leaving = units.of(instance), units.of(old)
        if mine is None or not mine.starts:
            return ""
        if leaving is not None and leaving.lives and waited_s > LEAVE_S and not killed:
            machine.run(["systemctl", "kill", "--signal=KILL", unit(old)])
            killed = True
        machine.sleep(LOOK_EVERY_S)
    return f"no answer within {LIMIT_S:g} s"


def _why(machine: Machine, instance: str, ended: Unit | None, began: float, said: str) -> Refusal:
    run = journal.first_run(systemd.written(machine, instance, began))
    return reasons.refusal(run, ended, said)
