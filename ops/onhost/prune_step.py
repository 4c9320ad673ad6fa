"""`kpi-host prune`: remove what nobody needs, and what steps that ended early left behind."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.onhost import files, inventory, keep, private, record, systemd
from ops.onhost.layout import CACHE, CURRENT, ENVIRONMENTS, PACKAGES, RECORD, RELEASES
from ops.onhost.machine import Machine
from ops.onhost.starting import stop_now

KEEP = 5
STATE_S = 2.0
BEGINS_TO_LEAVE_WITHIN_S = 10.0  # a busy process hears that it is to leave only after what it is doing
ASK_AGAIN_S = 0.25


def step(machine: Machine, kept: int) -> Mapping[str, Any]:
    """Remove old releases beyond `kept`, environments without a release, aliases without a unit, and leftovers."""
    tree = machine.tree
    _end_who_stays(machine)
    found = inventory.take(tree)
    doomed = keep.doomed(found, systemd.units(machine).living(), _environments(machine), kept)
    for alias in doomed.aliases:
        tree.release(alias).unlink()
    for release in doomed.releases:
        record.forget(tree, release)  # first: half of it must not be one to go back to
        files.remove(tree.release(release))
    for key in doomed.environments:
        (tree.environment(key) / inventory.READY).unlink(missing_ok=True)
        files.remove(tree.environment(key))
    left = _leftovers(machine)
    for path in left:
        files.discard(path)
    shutil.rmtree(tree.at(CACHE), ignore_errors=True)  # only an install that was killed leaves it
    return {
        "ok": True,
        "releases": doomed.releases,
        "aliases": doomed.aliases,
        "environments": doomed.environments,
        "leftovers": [path.name for path in left],
    }


def _end_who_stays(machine: Machine) -> None:
    """End whoever was told to leave and says that it does not: beside the new release it would go on taking callers."""
    for unit in systemd.units(machine).instances:
        if unit.leaves and _stays(machine, unit.instance):
            stop_now(machine, unit.instance)
        if unit.active == "failed" and not unit.lives:  # one that systemd had to end in the middle of its leaving
            systemd.forget(machine, unit.instance)


def _stays(machine: Machine, instance: str) -> bool:
    """Whether it goes on saying that it does not leave; at once that only says that it has not heard yet."""
    began = machine.clock()
    while _says_it_stays(machine, instance):
        if machine.clock() - began >= BEGINS_TO_LEAVE_WITHIN_S:
            return True
        machine.sleep(ASK_AGAIN_S)
    return False


def _says_it_stays(machine: Machine, instance: str) -> bool:
    said = private.state(machine.tree, instance, STATE_S)
    return said is not None and said.get("draining") is False


def _environments(machine: Machine) -> list[str]:
    directory = machine.tree.at(ENVIRONMENTS)
    return [path.name for path in directory.iterdir() if path.name[0] != "."] if directory.is_dir() else []


def _leftovers(machine: Machine) -> list[Path]:
    places = (RELEASES, ENVIRONMENTS, PACKAGES, RECORD, CURRENT.parent)
    return [path for place in places for path in files.leftovers(machine.tree.at(place))]
