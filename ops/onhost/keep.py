"""What may be removed, and what never. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ops.onhost.choose import in_order, ways_back
from ops.onhost.inventory import Inventory

FEWEST = 1
FAILED_KEPT = 1  # the newest that did not make it, for whoever wants to know why


@dataclass(frozen=True, slots=True)
class Doomed:
    """Names of releases, aliases and environments that nobody needs."""

    releases: tuple[str, ...]
    aliases: tuple[str, ...]
    environments: tuple[str, ...]


def doomed(inventory: Inventory, living: Collection[str], environments: Iterable[str], keep: int) -> Doomed:
    """Keep so many good ones; and always what serves, what runs, and what a rollback would go to.

    `living`: instances that run. A failed deploy takes no good release's place.
    """
    ordered = in_order(inventory.releases)
    proven = [known.release for known in ordered if known.record.verdict == "good"]
    others = [known.release for known in ordered if known.record.verdict != "good"]
    never = {inventory.serving, *ways_back(inventory)[:1], *map(inventory.release_of, living)}
    kept = never | set(proven[-max(keep, FEWEST) :]) | set(others[-FAILED_KEPT:])
    needed = {known.environment for known in inventory.releases if known.release in kept}
    return Doomed(
        releases=tuple(known.release for known in ordered if known.release not in kept),
        aliases=tuple(alias for alias in inventory.aliases if alias != inventory.current and alias not in living),
        environments=tuple(sorted(key for key in environments if key not in needed)),
    )
