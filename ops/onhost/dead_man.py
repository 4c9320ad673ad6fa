"""The dead man: a timer that settles the host when a deploy is not heard of any more.

Each beat starts a new timer under a new name, then writes that name down, then ends the older ones. So there is no
instant without a timer, and one that goes off when its name is not the one written down has been replaced.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ops.onhost import files
from ops.onhost.layout import COMMAND, SETTLE_UNIT, UNSETTLED, Tree
from ops.onhost.machine import Machine
from ops.onhost.trouble import CouldNot

PATIENCE_S: Final = 45
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def arm(machine: Machine) -> None:
    """Settle in PATIENCE_S unless this is called again, or `disarm`. Raises CouldNot where systemd does not."""
    now = machine.clock()
    older = files.read_json(machine.tree.at(UNSETTLED)) or {}
    name = _name(now, str(older.get("unit")))
    _timer(machine, name)
    files.write_json(machine.tree.at(UNSETTLED), {"unit": name, "at": now + PATIENCE_S, "boot": _boot()})
    _end(machine, older)


def beat(machine: Machine) -> None:
    """As `arm`, where a deploy is under way that could have to be settled."""
    if machine.tree.at(UNSETTLED).exists():
        arm(machine)


def disarm(machine: Machine) -> None:
    """There is nothing left to settle."""
    older = files.read_json(machine.tree.at(UNSETTLED)) or {}
    machine.tree.at(UNSETTLED).unlink(missing_ok=True)
    _end(machine, older)


def due(tree: Tree) -> float | None:
    """When the host is settled unless somebody beats, in seconds since 1970; None where nothing is to be settled."""
    at = (files.read_json(tree.at(UNSETTLED)) or {}).get("at")
    return float(at) if isinstance(at, (int, float)) else None


def replaced(tree: Tree, name: str) -> bool:
    """Whether a timer that went off is not the one that counts."""
    return (files.read_json(tree.at(UNSETTLED)) or {}).get("unit") != name


def _name(now: float, older: str) -> str:
    """A number of milliseconds, later than the older one's: the clock may have been set back."""
    number = older.rpartition("-")[2]
    return f"{SETTLE_UNIT}-{max(int(now * 1000), int(number) + 1 if number.isdecimal() else 0)}"


def _timer(machine: Machine, name: str) -> None:
    done = machine.run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={name}",
            f"--on-active={PATIENCE_S}",
            "--timer-property=AccuracySec=100ms",
            "--description=kpi-ops: settle after a deploy that ended early",
            str(COMMAND),
            "settle",
            "--unit",
            name,
        ]
    )
    if done.status:
        raise CouldNot(
            f"no timer could be set that settles the host: {done.err.strip()}",
            expected="that `systemd-run` works",
            to_do="look at `systemctl status` on the host",
        )


def _end(machine: Machine, older: Mapping[str, Any]) -> None:
    """End a timer of this boot; where it went off already it sees by itself that it was replaced."""
    if older.get("boot") == _boot():
        machine.run(["systemctl", "stop", f"{older.get('unit')}.timer"])


def _boot() -> str:
    return BOOT_ID.read_text().strip()
