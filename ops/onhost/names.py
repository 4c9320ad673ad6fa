"""Names of releases and of the units that run them. Pure."""

import re
from collections.abc import Container

from ops.onhost.trouble import CouldNot

_RELEASE = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")
_LONGEST = 100
_BEFORE, _AFTER = "kpi-dashboard@", ".service"


def checked(release: str) -> str:
    """The name itself, where it may be one. Raises CouldNot: it becomes part of paths and of unit names."""
    if len(release) > _LONGEST or not _RELEASE.fullmatch(release):
        raise CouldNot(
            f"{release!r} is no name of a release",
            expected="small letters, digits and points, like 20261123t101500.ab12cd3",
            to_do="see `fab releases`",
        )
    return release


def instance_of(unit: str) -> str | None:
    """The release, or alias of one, that a unit runs; None for a unit that runs none."""
    inside = unit.startswith(_BEFORE) and unit.endswith(_AFTER)
    return unit[len(_BEFORE) : -len(_AFTER)] if inside else None


def alias(release: str, epoch_s: int, taken: Container[str]) -> str:
    """A second name for a release whose first one is still busy: it ends with the time, or the next that is free."""
    while f"{release}.{epoch_s}" in taken:
        epoch_s += 1
    return f"{release}.{epoch_s}"
