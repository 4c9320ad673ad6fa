"""What a page may need beside the numbers themselves: the settings, and who reads the store."""

from dataclasses import dataclass

from dashboard.data import LastGood, Snapshot
from ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Around:
    """The snapshot that is shown, and what stands around it."""

    snapshot: Snapshot
    settings: Settings
    holder: LastGood
