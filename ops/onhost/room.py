"""Whether a second release fits into memory beside the one that serves. Pure."""

from collections.abc import Mapping

ROOM = 1.15  # above what the running release takes
AVAILABLE, SWAP = "MemAvailable", "SwapFree"


def fits(memory_bytes: Mapping[str, int], taken_bytes: int | None) -> bool:
    """`memory_bytes`: of /proc/meminfo. Where nothing is known of either, it is tried."""
    available = memory_bytes.get(AVAILABLE)
    return available is None or taken_bytes is None or available >= ROOM * taken_bytes
