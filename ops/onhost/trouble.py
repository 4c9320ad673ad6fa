"""What kpi-host says where it could not, or would not: one sentence each, never a traceback. Pure."""

import errno
from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Status(IntEnum):
    """Exit statuses of kpi-host. What is none of these is a bug, and comes with a traceback."""

    GOOD = 0
    REFUSED = 1
    COULD_NOT = 3
    BUG = 70
    LOCKED = 75


class CouldNot(Exception):
    """The host is not as it must be, or an argument is wrong; nothing that serves was changed."""

    def __init__(self, seen: str, *, expected: str, to_do: str) -> None:
        """Keep its three parts, each a phrase without a full stop."""
        super().__init__(seen)
        self.seen = seen
        self.expected = expected
        self.to_do = to_do

    @property
    def document(self) -> Mapping[str, Any]:
        """As it is printed."""
        return {"ok": False, "seen": self.seen, "expected": self.expected, "to_do": self.to_do}


class Unfit(CouldNot):
    """The release itself is what cannot be used: it is refused, for the same three reasons."""

    @property
    def document(self) -> Mapping[str, Any]:
        """As a refusal is printed."""
        return {"ok": False, "reason": [self.seen, f"expected: {self.expected}", f"to do: {self.to_do}"]}


class Refused(Exception):
    """A decision against it, with what the operator's side is told."""

    def __init__(self, **document: object) -> None:
        """Keep the document; `reason` is a list of lines."""
        super().__init__(str(document.get("reason")))
        self.document: Mapping[str, Any] = {"ok": False, **document}


class Busy(Exception):
    """Another holds the lock that is needed, and did not let go in time."""

    def __init__(self, **document: object) -> None:
        """Keep the document."""
        super().__init__(str(document))
        self.document: Mapping[str, Any] = {"ok": False, **document}


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def of_the_disk(error: OSError) -> CouldNot:
    """What the system said while a file was read or written, as a person can act on it."""
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in FULL:
        return CouldNot(
            f"no space is left on the disk{where}",
            expected="room for a release and its environment; what serves was not touched",
            to_do="look at `df -h /opt/kpi` and `df -i /opt/kpi`, remove what is not needed, and deploy again",
        )
    return CouldNot(
        f"{error.strerror or error}{where}",
        expected="the host as `fab bootstrap` leaves it",
        to_do="run `fab bootstrap`, then try again",
    )
