"""One file of the record given the lines that another place holds: whole or not at all, and never a line less."""

import os
from pathlib import Path

from ops.uptime.record import no_access
from ops.uptime.storage.union import missing, united


def take_over(file: Path, theirs: bytes) -> int:
    """Make the file hold what they have and then what they lack; gives how many lines they lack. Raises KpiOpsError."""
    try:
        ours = file.read_bytes() if file.exists() else b""
        both = united(theirs, ours)
        if both != ours:
            _write_whole(file, both)
    except OSError as error:
        raise no_access("write to", file.parent, error) from error
    return len(missing(theirs, ours))


def _write_whole(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.parent / f".{file.name}.{os.getpid()}"
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
