"""What a release is to a person, in one word, and why. Pure."""

from typing import Literal

from ops.onhost.inventory import Inventory, Known
from ops.onhost.units import Units

State = Literal["current", "draining", "candidate", "bad", "good", "arrived"]


def state(known: Known, inventory: Inventory, units: Units) -> State:
    """What runs comes before what was said of it."""
    if known.release == inventory.serving:
        return "current"
    mine = [unit for unit in units.instances if unit.lives and inventory.release_of(unit.instance) == known.release]
    if mine:
        return "draining" if all(unit.leaves for unit in mine) else "candidate"
    return known.record.verdict or "arrived"


def running(release: str, inventory: Inventory, units: Units) -> str | None:
    """The instance of a release that serves; the one that `current` names where there are several."""
    serving = [
        unit.instance for unit in units.instances if unit.serves and inventory.release_of(unit.instance) == release
    ]
    return inventory.current if inventory.current in serving else next(iter(serving), None)
