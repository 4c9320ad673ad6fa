"""`kpi-host settle`, the dead man: one release that has proven itself serves, and nothing else is left over."""

from collections.abc import Mapping
from typing import Any, Final

from ops.onhost import choose, dead_man, history, inventory, record, systemd
from ops.onhost.inventory import Inventory
from ops.onhost.layout import DISPATCHER_UNIT, SOCKET_UNIT
from ops.onhost.layout import unit as unit_of
from ops.onhost.looking import DOWN, look
from ops.onhost.machine import Machine
from ops.onhost.settle_plan import adoptable, strays
from ops.onhost.starting import contract, crowded_out, leave_at_once, start, stop_now
from ops.onhost.switching import point
from ops.onhost.trouble import Refused

LOOK_AGAIN_S: Final = 1.0  # one bad look alone may be the noise of a small machine


def step(machine: Machine, unit: str | None) -> Mapping[str, Any]:
    """Settle. `unit`: the timer that went off; nothing is done where a later one counts. Raises Refused: none is well.

    However it ends early, the next timer begins again.
    """
    if unit is not None and dead_man.replaced(machine.tree, unit):
        return {"ok": True, "did": ["nothing: a deploy went on, or ended well"]}
    began = machine.clock()
    dead_man.arm(machine)
    did: list[str] = []
    before = inventory.take(machine.tree).serving
    serving = _settled(machine, did)
    dead_man.disarm(machine)
    if serving is None:
        did.append("no release on this host runs well")
    if did:
        outcome = "settled" if serving else "nothing is well"
        history.note(
            machine, "settle", came_from=before, went_to=serving, outcome=outcome, began=began, reason="; ".join(did)
        )
    if serving is None:
        raise Refused(reason=did, serving=before)
    return {"ok": True, "serving": serving, "did": did}


def _settled(machine: Machine, did: list[str]) -> str | None:
    """The release that serves in the end; None where none is well. What was done is added to `did`."""
    _mend_socket(machine, did)
    found = _with_current(machine, did)
    _without_strays(machine, found, did)
    if found.serving and _serves_well(machine, found, found.serving, did):
        return found.serving
    out = _way_out(machine, found, did)
    if out is None and found.current:
        systemd.begin(machine, found.current)  # systemd goes on trying
    return out


def _mend_socket(machine: Machine, did: list[str]) -> None:
    """A socket that was ended by hand cannot come back while a release has its port: all leave, then it starts."""
    units = systemd.units(machine)
    if units.socket == "active":
        return
    if machine.run(["systemctl", "start", SOCKET_UNIT]).status:
        for instance in units.living():
            leave_at_once(machine, instance)
        machine.run(["systemctl", "stop", DISPATCHER_UNIT, *map(unit_of, sorted(units.living()))], timeout_s=30)
        for instance in systemd.units(machine).living():
            stop_now(machine, instance)
        machine.run(["systemctl", "reset-failed", SOCKET_UNIT])
        machine.run(["systemctl", "start", SOCKET_UNIT])
    did.append(f"started {SOCKET_UNIT}, which was {units.socket}")


def _with_current(machine: Machine, did: list[str]) -> Inventory:
    """What lies there; where `current` names nothing, after it was made to name the release that serves."""
    found = inventory.take(machine.tree)
    if found.current is None:
        adopted = adoptable(found, systemd.units(machine))
        if adopted:
            point(machine, adopted)
            did.append(f"made {adopted} the current release, which served while there was none")
            return inventory.take(machine.tree)
    return found


def _without_strays(machine: Machine, found: Inventory, did: list[str]) -> None:
    units = systemd.units(machine)
    left = strays(units, found.current)
    current = units.of(found.current) if found.current else None
    for instance in left.end:
        stop_now(machine, instance)
        did.append(f"ended {instance}, which was starting")
    if current is None or not current.serves:  # its memory is needed at once
        for instance in left.drain:
            leave_at_once(machine, instance)
    systemd.drain(machine, *left.drain)
    did.extend(f"stopped {instance}, which was not current" for instance in left.drain)


def _serves_well(machine: Machine, found: Inventory, release: str, did: list[str]) -> bool:
    """Whether the current release runs and looks well; it is started where it does not run."""
    started = start(machine, found, release)
    if started.refusal is not None:
        did.append(f"{release} does not start: {started.refusal.lines[0]}")
        return False
    if started.instance != found.current:
        point(machine, started.instance)
    if not _looks_well(machine, started.instance, did):
        return False
    if record.read(machine.tree, release).verdict is None:
        record.judge(machine.tree, release, "good", machine.clock())
        did.append(f"{release} looks well: it is good")
    return True


def _looks_well(machine: Machine, instance: str, did: list[str]) -> bool:
    """A prober that could not look is no reason to leave a release."""
    seen = look(machine, instance)
    if seen.verdict == DOWN:
        machine.sleep(LOOK_AGAIN_S)
        seen = look(machine, instance)
    if seen.verdict == DOWN:
        did.append(f"{instance} looks bad: {seen.reason}")
    return seen.verdict != DOWN


def _way_out(machine: Machine, found: Inventory, did: list[str]) -> str | None:
    """A good release in place of the current one: that its own gate lets it in is proof enough to take callers.

    The current one is marked bad where it never was good, and the other is seen to be well in its place.
    """
    for release in choose.ways_out(found, contract(machine, found)):
        started = start(machine, found, release, after=crowded_out(machine, found))
        if started.refusal is not None:
            did.append(f"{release} does not start: {started.refusal.lines[0]}")
            continue
        why = did[-1] if did else None
        point(machine, started.instance)
        systemd.drain(machine, *strays(systemd.units(machine), started.instance).drain)
        did.append(f"went back to {release}")
        if _looks_well(machine, started.instance, did):
            _mark(machine, found.serving, why)
        return release
    return None


def _mark(machine: Machine, left: str | None, why: str | None) -> None:
    if left and record.read(machine.tree, left).verdict is None:
        record.judge(machine.tree, left, "bad", machine.clock(), why)
