"""`kpi-host prune`: remove what nobody needs, and what steps that ended early left behind."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.onhost import files, inventory, keep, record, systemd
from ops.onhost.layout import CACHE, CURRENT, ENVIRONMENTS, PACKAGES, RECORD, RELEASES
from ops.onhost.machine import Machine

KEEP = 5


def step(machine: Machine, kept: int) -> Mapping[str, Any]:
    """Remove old releases beyond `kept`, environments without a release, aliases without a unit, and leftovers."""
    tree = machine.tree
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


def _environments(machine: Machine) -> list[str]:
    directory = machine.tree.at(ENVIRONMENTS)
    return [path.name for path in directory.iterdir() if path.name[0] != "."] if directory.is_dir() else []


def _leftovers(machine: Machine) -> list[Path]:
    places = (RELEASES, ENVIRONMENTS, PACKAGES, RECORD, CURRENT.parent)
    return [path for place in places for path in files.leftovers(machine.tree.at(place))]
