"""`kpi-host rollback`: serve a release again that was good, without a registry, git or an install."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ops.onhost import choose, dead_man, history, inventory, private, record
from ops.onhost.inventory import Inventory
from ops.onhost.looking import DEAF_S
from ops.onhost.machine import Machine
from ops.onhost.starting import Started, contract, crowded_out, start, stop_now
from ops.onhost.switching import drain_others, point
from ops.onhost.trouble import Refused

MOST_TRIED: Final = 3
FORWARD: Final = "deploy a commit that works"


def step(machine: Machine, to: str | None, reason: str | None, bad: str | None, *, plan: bool) -> Mapping[str, Any]:
    """Go back to `to`, or to the last good release; `bad` is marked first. Raises Refused: what serves goes on then.

    With `plan` nothing is written.
    """
    began = machine.clock()
    if bad and not plan:
        record.judge(machine.tree, bad, "bad", began, reason)
    found = inventory.take(machine.tree)
    ways = _named(machine, found, to) if to else _ways(machine, found)
    if plan:
        return {"ok": True, "release": ways[0], "from": found.serving}
    dead_man.arm(machine)
    started = _first_that_starts(machine, found, ways[:MOST_TRIED])
    point(machine, started.instance)
    if found.current and private.deaf(machine.tree, found.current, DEAF_S):
        stop_now(machine, found.current)  # it would not hear that it is to leave, nor answer those whom it holds
    drain_others(machine, started.instance)
    dead_man.disarm(machine)
    history.note(
        machine,
        "rollback",
        came_from=found.serving,
        went_to=started.release,
        outcome="done",
        began=began,
        reason=reason,
    )
    return {
        "ok": True,
        "release": started.release,
        "from": found.serving,
        "instance": started.instance,
        "seconds": round(machine.clock() - began, 2),
    }


def _named(machine: Machine, found: Inventory, to: str) -> list[str]:
    """The release that a person named. Raises Refused with the obstacle."""
    known = found.known(to)
    if known is None:
        raise _refused(found, f"there is no release {to} on the host", "see `fab releases`")
    if found.serving == to:
        raise _refused(found, f"{to} serves already", "name another; see `fab releases`")
    obstacle = choose.obstacle(known, contract(machine, found))
    if obstacle:
        raise _refused(found, obstacle, _way_out(found, known, machine))
    return [to]


def _way_out(found: Inventory, known: inventory.Known, machine: Machine) -> str:
    if choose.reads(known, contract(machine, found)):
        return f"see `fab releases` for another, or {FORWARD}"
    return "publish a snapshot that it can read (`fab snapshots` lists them), or " + FORWARD


def _ways(machine: Machine, found: Inventory) -> list[str]:
    """The good releases before the current one. Raises Refused where there is none, and says what is in the way."""
    published = contract(machine, found)
    ways = choose.ways_back(found, published)
    if ways:
        return ways
    unread = [known for known in found.releases if known.release in choose.ways_back(found)]
    if unread:
        raise _refused(found, str(choose.obstacle(unread[-1], published)), _way_out(found, unread[-1], machine))
    later = choose.ways_out(found, published)
    named = f"name one with --to: {', '.join(later)}" if later else FORWARD
    raise _refused(found, "no older release on the host has proven itself", named)


def _first_that_starts(machine: Machine, found: Inventory, ways: Sequence[str]) -> Started:
    """One of them, running. Raises Refused with the reason of each; a refusal here marks no good release bad."""
    lines: list[str] = []
    for release in ways:
        started = start(machine, found, release, after=crowded_out(machine, found))
        if started.refusal is None:
            return started
        lines += [f"{release} does not run any more:", *started.refusal.lines]
    dead_man.disarm(machine)
    raise Refused(reason=lines, serving=found.serving, to_do=f"look at `fab logs`; {FORWARD}")


def _refused(found: Inventory, reason: str, to_do: str) -> Refused:
    return Refused(reason=[reason], serving=found.serving, to_do=to_do)
