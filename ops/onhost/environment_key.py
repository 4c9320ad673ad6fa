"""Which environment a release has, and whether this host's Python may run it. Pure."""

import re
from collections.abc import Sequence

_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|>|<|~=)\s*(\d+(?:\.\d+)*)(\.\*)?\s*")


def key(lock_sha256: str, version: Sequence[int]) -> str:
    """The directory of the venv that holds a lock under a Python: 0123456789abcdef-py3.11."""
    return f"{lock_sha256[:16]}-py{version[0]}.{version[1]}"


def same_python(one: str, other: str) -> bool:
    """Whether two keys are of one Python."""
    return one.partition("-")[2] == other.partition("-")[2]


def accepts(requires: str, version: Sequence[int]) -> bool:
    """Whether a Python is within requires-python, like ">=3.11,<3.14"; not if a clause is of another kind."""
    return all(_holds(clause, tuple(version[:3])) for clause in requires.split(",") if clause.strip())


def _holds(clause: str, version: tuple[int, ...]) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if not match:
        return False
    wanted = tuple(int(number) for number in match[2].split("."))
    if match[3] or match[1] == "~=":
        return _holds_prefix(match[1], wanted, version)
    here, wanted = _padded(version), _padded(wanted)
    return {
        ">=": here >= wanted,
        "<=": here <= wanted,
        ">": here > wanted,
        "<": here < wanted,
        "==": here == wanted,
        "!=": here != wanted,
    }[match[1]]


def _holds_prefix(operator: str, wanted: tuple[int, ...], version: tuple[int, ...]) -> bool:
    """==3.11.*, !=3.11.* and ~=3.11 (at least that, and the same but for its last number)."""
    if operator == "~=":
        return _padded(version) >= _padded(wanted) and version[: len(wanted) - 1] == wanted[:-1]
    return (version[: len(wanted)] == wanted) is (operator == "==")


def _padded(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return (*numbers, 0, 0, 0)[:3]
