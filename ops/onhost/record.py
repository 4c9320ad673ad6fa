"""What became of a release, kept in RECORD/ID.json. Pure but for reading and writing that file."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from ops.onhost import files
from ops.onhost.layout import RECORD, Tree

Verdict = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Record:
    """Times are seconds since 1970. `served_at`: when a deploy last made it serve, or took its place."""

    arrived_at: float = 0
    bytes: int = 0
    served_at: float | None = None
    verdict: Verdict | None = None
    verdict_at: float | None = None
    reason: str | None = None


def read(tree: Tree, release: str) -> Record:
    """The record of a release; an empty one where there is none, or it is damaged."""
    document = files.read_json(_path(tree, release)) or {}
    known = {field.name for field in fields(Record)}
    return Record(**{name: value for name, value in document.items() if name in known})


def write(tree: Tree, release: str, record: Record) -> None:
    """Put it on the disk."""
    files.write_json(_path(tree, release), asdict(record))


def judge(tree: Tree, release: str, verdict: Verdict, at: float, reason: str | None = None) -> None:
    """Say for good what a release is: what was said before is overwritten."""
    write(tree, release, replace(read(tree, release), verdict=verdict, verdict_at=at, reason=reason))


def forget(tree: Tree, release: str) -> None:
    """Remove the record of a release that is gone."""
    _path(tree, release).unlink(missing_ok=True)


def _path(tree: Tree, release: str) -> Path:
    return tree.at(RECORD) / f"{release}.json"
