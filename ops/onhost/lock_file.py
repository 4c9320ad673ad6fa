"""A lock of requirements, read as far as two of them have to be compared. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_LINE = re.compile(r"(?:[^\n]*\\\n)*[^\n]*")  # with those that a backslash joins to it
_WHOLE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?==[^\s;\\]+(\s*;[^#\\]+?)?([\s\\]+--hash=sha256:[0-9a-f]{64})+\s*(#.*)?"
)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: its version, and the files that may be it."""

    version: str
    hashes: frozenset[str]


def pins(text: str) -> dict[str, Pin]:
    """Name -> pin of every entry."""
    found = list(_ENTRY.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    return {
        match[1].lower(): Pin(match[2], frozenset(_HASH.findall(text[match.end() : end])))
        for match, end in zip(found, ends, strict=False)  # a lock of nothing has an end all the same
    }


def flaw(text: str) -> str | None:
    """What keeps a text from being a lock, None where nothing does: packages with version and hashes, nothing else.

    Anything else an installer would follow: to other files of the host, or to other places than the index.
    """
    for match in _LINE.finditer(text):
        line = match[0].strip()
        if not line or line.startswith("#"):
            continue
        if not _WHOLE.fullmatch(line):
            number = text.count("\n", 0, match.start()) + 1
            return f"line {number} is no package with its version and hashes: {line.splitlines()[0][:80]}"
    return None


def changed(old: Mapping[str, Pin], new: Mapping[str, Pin]) -> list[str]:
    """What an environment of the old lock lacks for the new one."""
    return sorted(name for name, pin in new.items() if old.get(name) != pin)


def replaced(old: Mapping[str, Pin], new: Mapping[str, Pin]) -> list[str]:
    """Packages of the same version but other files: an installer would take them for what is there already."""
    return sorted(name for name in changed(old, new) if name in old and old[name].version == new[name].version)


def is_near(old: Mapping[str, Pin], new: Mapping[str, Pin]) -> bool:
    """Whether an environment of the old lock is a good beginning for the new one: they share half of each at least."""
    shared = sum(pin == old.get(name) for name, pin in new.items())
    return 2 * shared >= max(len(old), len(new))
