"""How much memory a computation may take here: what is free, within the limits of the control group it runs in.

Files of Linux; elsewhere nothing is known, and the engine's own default holds.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MEMINFO: Final = Path("proc/meminfo")
OWN_GROUPS: Final = Path("proc/self/cgroup")
GROUPS: Final = Path("sys/fs/cgroup")
# (limit, usage) of a group: of version 2, and of version 1, whose tree of memory groups has a name.
FILES_2: Final = ("memory.max", "memory.current")
FILES_1: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes")
CACHE: Final = ("total_inactive_file", "inactive_file")  # counted as used, and given back when it is needed
KIB: Final = 1024


def available_bytes(root: Path = Path("/")) -> int | None:
    """The least of what the machine has free and what each group above us leaves; None where nothing tells."""
    found = [*_of_the_machine(root), *_of_groups(root)]
    return max(0, min(found)) if found else None


def _of_the_machine(root: Path) -> Iterator[int]:
    told = re.search(r"^MemAvailable:\s+(\d+) kB$", _text(root / MEMINFO), re.MULTILINE)
    if told:
        yield int(told[1]) * KIB


def _of_groups(root: Path) -> Iterator[int]:
    for line in _text(root / OWN_GROUPS).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if controllers == "":
            yield from _upwards(root / GROUPS, place, FILES_2)
        elif "memory" in controllers.split(","):
            yield from _upwards(root / GROUPS / "memory", place, FILES_1)


def _upwards(top: Path, place: str, names: tuple[str, str]) -> Iterator[int]:
    """What each group on the way up leaves. In a container its own group may be the top of what is seen."""
    parts = [part for part in place.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        group = top.joinpath(*parts[:depth])
        limit, used = (_text(group / name).strip() for name in names)
        if limit.isdecimal() and used.isdecimal():
            yield int(limit) - int(used) + _cache(group)


def _cache(group: Path) -> int:
    found = dict(line.split() for line in _text(group / "memory.stat").splitlines() if line.count(" ") == 1)
    return int(next((found[name] for name in CACHE if name in found), 0))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
