"""Files written whole: who reads one at any moment has the old one or the new one."""

import os
from contextlib import suppress
from pathlib import Path

from etl.errors import KpiOpsError


def replace_whole(path: Path, data: bytes) -> None:
    """Put data in the place of a file. Raises OSError, and leaves no litter."""
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_whole(path: Path, text: str) -> None:
    """Write a text, in UTF-8. Raises KpiOpsError."""
    try:
        replace_whole(path, text.encode())
    except OSError as error:
        raise KpiOpsError(
            f"cannot write {path}: {error.strerror or error}",
            expected="a file that this user may write",
            to_do="name another, or mend its rights",
        ) from error


def write_changed(path: Path, text: str) -> bool:
    """Write a text unless the file holds just that; whether it was written. Raises KpiOpsError."""
    try:
        same = path.read_bytes() == text.encode()
    except OSError:  # not there yet, or unreadable: writing will tell
        same = False
    if not same:
        write_whole(path, text)
    return not same
