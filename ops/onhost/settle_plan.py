"""What there is to settle after a deploy that ended early. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from ops.onhost.inventory import Inventory
from ops.onhost.units import Units


@dataclass(frozen=True, slots=True)
class Strays:
    """Instances that should not be there: those that serve drain, those that do not are ended."""

    drain: Sequence[str]
    end: Sequence[str]


def strays(units: Units, keep: str | None) -> Strays:
    """Every instance but the one to keep, and but those that leave already."""
    others = [unit for unit in units.instances if unit.lives and not unit.leaves and unit.instance != keep]
    return Strays(
        drain=[unit.instance for unit in others if unit.serves],
        end=[unit.instance for unit in others if not unit.serves],
    )


def adoptable(inventory: Inventory, units: Units) -> str | None:
    """An instance that serves while `current` names no release: of a first deploy, or of a damaged link.

    One whose release was called good comes first, then the one that was deployed last.
    """
    serving = [unit.instance for unit in units.instances if unit.serves]
    able = [(known, name) for name in serving if (known := inventory.known(inventory.release_of(name)))]
    fit = [(known, name) for known, name in able if known.record.verdict != "bad"]
    best = max(fit, key=lambda one: (one[0].record.verdict == "good", one[0].record.arrived_at), default=None)
    return best[1] if best else None
