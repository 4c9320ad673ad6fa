"""One file of the record given the lines that another place holds: whole or not at all, and never a line less."""

from pathlib import Path

from ops.uptime.record import no_access
from ops.uptime.storage.union import missing, united
from ops.whole import replace_whole


def take_over(file: Path, theirs: bytes) -> int:
    """Make the file hold what they have and then what they lack; gives how many lines they lack. Raises KpiOpsError."""
    try:
        ours = file.read_bytes() if file.exists() else b""
        both = united(theirs, ours)
        if both != ours:
            replace_whole(file, both)
    except OSError as error:
        raise no_access("write to", file.parent, error) from error
    return len(missing(theirs, ours))
