"""Files that are whole or not there, whatever instant the program or the power ends: written aside, renamed last."""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOTHING_BYTES = 8 * 1024 * 1024
PART = ".part"  # .NAME.part is being made
GONE = ".gone"  # .NAME.gone is being removed


def part(path: Path) -> Path:
    """Where something is made before it gets its name."""
    return path.with_name(f".{path.name}{PART}")


def write(path: Path, text: str) -> None:
    """Put a whole file in place of what was there, and on the disk."""
    aside = part(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync(path.parent)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """As `write`, one object."""
    write(path, json.dumps(document) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where there is no such file, or it holds no object."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def link(path: Path, target: str) -> None:
    """Make `path` a symbolic link, in place of the one that was there."""
    aside = part(path)
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(path)
    sync(path.parent)


def append(path: Path, line: str) -> None:
    """Add a line with one write; behind a line that was cut short a new one is begun."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
        file.write(b"\n" * torn + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Remove a directory: first its name, so that half of it is never taken for the whole."""
    gone = path.with_name(f".{path.name}{GONE}")
    discard(gone)
    try:
        path.rename(gone)
    except OSError as error:
        if error.errno != errno.EXDEV:  # an overlay cannot rename a directory of its lower layer
            raise
        gone = path
    sync(path.parent)
    discard(gone)


def discard(path: Path) -> None:
    """Remove a directory or file that nobody looks at; none is fine."""
    if path.is_dir() and not path.is_symlink():
        import shutil  # takes long to import, and `status` removes nothing

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_full(path: Path) -> bool:
    """Whether hardly anything fits on the disk of a path any more: programs do not always say why they failed."""
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize < NOTHING_BYTES


def leftovers(directory: Path) -> list[Path]:
    """What was being made or removed when a step ended early."""
    return sorted(path for path in _entries(directory) if path.name[0] == "." and path.suffix in {PART, GONE})


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def sync(directory: Path) -> None:
    """Put the names in a directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
