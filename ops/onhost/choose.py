"""Which releases can be gone back to, the best first. Pure."""

from collections.abc import Sequence

from ops.onhost.inventory import Inventory, Known, version


def in_order(releases: Sequence[Known]) -> list[Known]:
    """Releases as deploys found or made them serving, the newest last: a rollback alone does not change the order."""
    return sorted(releases, key=lambda known: (known.record.served_at or 0, known.record.arrived_at, known.release))


def good(inventory: Inventory) -> list[str]:
    """The releases that have proven themselves, newest last."""
    return [known.release for known in in_order(inventory.releases) if known.record.verdict == "good"]


def ways_back(inventory: Inventory, contract: object = None) -> list[str]:
    """The good releases that served before the current one, the last first, as far as they can start here.

    `contract`: the version of the snapshot that is published, None where it is not known.
    """
    return [known.release for known in reversed(_before(inventory)) if not obstacle(known, contract)]


def ways_out(inventory: Inventory, contract: object = None) -> list[str]:
    """As `ways_back`, and then what was deployed later: for a host that must serve something."""
    back = ways_back(inventory, contract)
    others = [known for known in reversed(in_order(inventory.releases)) if known.release not in back]
    later = [known.release for known in others if not obstacle(known, contract)]
    return back + [release for release in later if release != inventory.serving]


def _before(inventory: Inventory) -> list[Known]:
    ordered = in_order(inventory.releases)
    names = [known.release for known in ordered]
    return ordered[: names.index(inventory.serving)] if inventory.serving in names else ordered


def obstacle(known: Known, contract: object) -> str | None:
    """Why a release may not be gone back to; None when it may."""
    if known.record.verdict == "bad":
        return f"{known.release} is marked bad: {known.record.reason or 'no reason was kept'}"
    if known.record.verdict != "good":
        return f"{known.release} never proved itself"
    if not known.environment_ready:
        return f"the environment of {known.release} is gone"
    if not reads(known, contract):
        return (
            f"{known.release} reads snapshots up to contract {known.manifest['contract']}, "
            f"and the published one is of {contract}"
        )
    return None


def reads(known: Known, contract: object) -> bool:
    """Whether a release can read a snapshot of that contract; what is not known is no obstacle."""
    wanted, able = version(contract), version(known.manifest["contract"])
    return not wanted or not able or able >= wanted
