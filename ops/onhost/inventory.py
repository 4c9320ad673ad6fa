"""What lies on the host: releases, aliases, environments, and where `current` points. Gathered, not judged."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.onhost import files, record
from ops.onhost.layout import CURRENT, MANIFEST, RELEASES, Tree
from ops.onhost.record import Record

READY = ".ready"  # within an environment: it is whole
# What release.json says; where one is damaged, the operator's side still finds every key.
UNKNOWN: Mapping[str, Any] = {
    "sha": "",
    "dirty": False,
    "ref": "",
    "made_at": "",
    "who": "",
    "lock_sha256": "",
    "requires_python": "",
    "settings_sha256": "",
    "contract": 0,
    "files_sha256": "",
}


@dataclass(frozen=True, slots=True)
class Known:
    """One release: what release.json says, what became of it, which environment it has and whether that is whole."""

    release: str
    manifest: Mapping[str, Any]
    record: Record
    environment: str | None
    environment_ready: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """`aliases`: alias -> release. `current`: the instance that `current` names, None where that is no release."""

    releases: Sequence[Known]
    aliases: Mapping[str, str]
    current: str | None

    def known(self, release: str) -> Known | None:
        """A release by its name."""
        return next((known for known in self.releases if known.release == release), None)

    def release_of(self, instance: str) -> str:
        """The release that an instance runs."""
        return self.aliases.get(instance, instance)

    @property
    def serving(self) -> str | None:
        """The release that `current` names."""
        return None if self.current is None else self.release_of(self.current)


def take(tree: Tree) -> Inventory:
    """Look at the disk. Nothing of it needs to be there."""
    entries = sorted(path for path in _entries(tree.at(RELEASES)) if path.name[0] != ".")
    releases = [_known(tree, path) for path in entries if path.is_dir() and not path.is_symlink()]
    names = {known.release for known in releases}
    aliases = {path.name: str(path.readlink()) for path in entries if path.is_symlink()}
    aliases = {alias: release for alias, release in aliases.items() if release in names}
    return Inventory(releases, aliases, _current(tree, names | set(aliases)))


def _known(tree: Tree, path: Path) -> Known:
    environment = path / "environment"
    manifest = files.read_json(path / MANIFEST) or {}
    return Known(
        release=path.name,
        manifest={**UNKNOWN, **manifest, "release": path.name},
        record=record.read(tree, path.name),
        environment=environment.readlink().name if environment.is_symlink() else None,
        environment_ready=(environment / READY).is_file(),
    )


def _current(tree: Tree, names: set[str]) -> str | None:
    try:
        name = tree.at(CURRENT).readlink().name
    except OSError:
        return None
    return name if name in names else None


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def version(text: object) -> tuple[int, ...]:
    """A contract's version in the order of versions: 2 -> (2,), "1.10" -> (1, 10), null -> ()."""
    return tuple(int(number) for number in re.findall(r"\d+", str(text)))
