"""`kpi-host status`: everything that the operator's side decides on, in one document, whatever state the host is in."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar

from ops.onhost import choose, dead_man, digest, history, inventory, locks, private, proc, states, systemd
from ops.onhost.inventory import Inventory, Known
from ops.onhost.layout import AFTER, COMMAND, DASHBOARD_ENVIRONMENT, HOME, MEMINFO, TOOL, UNITS
from ops.onhost.machine import Machine
from ops.onhost.room import AVAILABLE, SWAP
from ops.onhost.trouble import CouldNot
from ops.onhost.units import Unit, Units

STATE_S: Final = 1.0
SHOWN_DEPLOYS: Final = 20
PROC: Final = Path("/proc")
NONE: Final[dict[str, str]] = {}
T = TypeVar("T")


def step(machine: Machine) -> Mapping[str, Any]:
    """What is there. A part that cannot be read is null, empty or -1, and never stops the rest."""
    found = inventory.take(machine.tree)
    units = _or(Units([], "unknown", ()), lambda: systemd.units(machine))
    memory: dict[str, int] = _or({}, lambda: proc.memory_bytes(machine.tree.at(MEMINFO).read_text()))
    return {
        "ok": True,
        "python": platform.python_version(),
        "arch": platform.machine(),
        "clock": machine.clock(),
        "current": found.serving,
        "previous": next(iter(choose.ways_back(found)), None),
        "good": choose.good(found),
        "releases": [_release(known, found, units) for known in choose.in_order(found.releases)],
        "units": [_unit(machine, unit, found) for unit in units.instances if unit.lives],
        "socket": units.socket,
        "port": units.port,
        "lock": _or(None, lambda: locks.holder(machine.tree)),
        **_disk(machine),
        "memory_available_bytes": memory.get(AVAILABLE, -1),
        "swap_free_bytes": memory.get(SWAP, -1),
        "port_owner": _or(None, lambda: _port_owner(units.port)),
        "files": _or(NONE, lambda: dict(_managed(machine))),
        "due": _or(None, lambda: sorted(path.name for path in machine.tree.at(AFTER).glob("*"))),
        "deploys": _or([], lambda: history.newest(machine.tree, SHOWN_DEPLOYS)),
        "settle_at": _or(None, lambda: dead_man.due(machine.tree)),
    }


def _or(otherwise: T, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (OSError, ValueError, CouldNot):
        return otherwise


def _release(known: Known, found: Inventory, units: Units) -> Mapping[str, Any]:
    return {
        **known.manifest,
        "state": states.state(known, found, units),
        "environment_ready": known.environment_ready,
        "reason": known.record.reason,
        "bytes": known.record.bytes,
    }


def _unit(machine: Machine, unit: Unit, found: Inventory) -> Mapping[str, Any]:
    release = found.release_of(unit.instance)
    return {
        "release": release,
        "alias": unit.instance if unit.instance != release else None,
        "active": unit.active,
        "sub": unit.sub,
        "pid": unit.pid,
        "memory_bytes": unit.memory_bytes,
        "state": private.state(machine.tree, unit.instance, STATE_S),
    }


def _disk(machine: Machine) -> Mapping[str, int]:
    """Where releases go, or would go on a host that has none yet."""
    places = [machine.tree.at(HOME), *machine.tree.at(HOME).parents]
    disk = os.statvfs(next(place for place in places if place.exists()))
    # A file system that has no inodes to count says 0 of 0.
    return {"free_bytes": disk.f_bavail * disk.f_frsize, "free_inodes": disk.f_favail if disk.f_files else -1}


def _managed(machine: Machine) -> Iterator[tuple[str, str]]:
    """The path of each file that a deploy may place, and that file as `digest.placed` writes it; not the secrets."""
    tree = machine.tree
    units, tool = tree.at(UNITS), tree.at(TOOL) / "ops"
    parts = (units.glob("kpi-*.*"), units.glob("kpi-*.d/*.conf"), tool.glob("*.py"), tool.glob("onhost/*.py"))
    single = (tree.at(DASHBOARD_ENVIRONMENT), tree.at(COMMAND))
    for path in sorted(path for path in (*chain(*parts), *single) if path.is_file()):
        found = path.stat()
        written = digest.placed(path.read_bytes(), found.st_mode & 0o7777, found.st_uid, found.st_gid)
        yield f"/{path.relative_to(tree.root)}", written


def _port_owner(port: int) -> str | None:
    """Who listens on the public port: systemd, or a process by its name and number."""
    tables = [path.read_text() for name in ("tcp", "tcp6") if (path := PROC / "net" / name).exists()]
    wanted = {f"socket:[{inode}]" for table in tables for inode in proc.listening(table, port)}
    return _owner(wanted) if wanted else None


def _owner(sockets: set[str]) -> str:
    """The first that has it: systemd, whose socket the releases have inherited."""
    for process in sorted((path for path in PROC.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name)):
        if sockets & set(_open(process)):
            name = (process / "comm").read_text().strip()
            return name if name == "systemd" else f"{name} (pid {process.name})"
    return "a process that cannot be seen"


def _open(process: Path) -> Iterator[str]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield str(descriptor.readlink())
        except OSError:
            continue
