"""Which release was live when: uptime/releases.jsonl, a line for each change that the scheduled check saw."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ops.uptime.probe import detail_of
from ops.uptime.record import MAX_LINE_BYTES, append_lines, moment_of, name_of, no_access, text_of

FILE_NAME = "releases.jsonl"
VERSION = 1
NAMELESS = "unnamed"


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A release of a target, live at `at` (UTC, whole seconds) and until another was seen."""

    at: datetime
    target: str
    name: str

    def to_line(self) -> bytes:
        """One line of JSON."""
        fields = {"v": VERSION, "t": f"{self.at:%Y-%m-%dT%H:%M:%SZ}", "target": self.target, "release": self.name}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Release":
        """Parse one line. Raises ValueError."""
        fields = json.loads(line)
        if not isinstance(fields, dict) or fields.get("v") != VERSION or len(line) > MAX_LINE_BYTES:
            raise ValueError("not a release of version 1")
        return cls(moment_of(fields, "t"), name_of(fields, "target"), text_of(fields, "release"))


def read(directory: Path) -> list[Release]:
    """The releases noted in a directory of samples, in order; torn lines are skipped. Raises KpiOpsError."""
    file = directory / FILE_NAME
    try:
        return parsed(file.read_bytes().split(b"\n") if file.exists() else [])
    except OSError as error:
        raise no_access("read", directory, error) from error


def parsed(lines: Iterable[bytes]) -> list[Release]:
    """The releases of lines in any order, each once."""
    found = set()
    for line in lines:
        try:
            found.add(Release.from_line(line))
        except (ValueError, RecursionError):
            continue
    return sorted(found)


def note(directory: Path, known: Sequence[Release], seen: Iterable[Release]) -> None:
    """Append what is new: a release that is not the one known last of its target. Raises KpiOpsError."""
    new = [each for each in seen if live_at(known, each.target, each.at) != each.name]
    append_lines(directory, FILE_NAME, [each.to_line() for each in new])


def named(target: str, name: str, now: datetime) -> Release:
    """A release as it is written: one line of at most 120 bytes."""
    return Release(now.astimezone(UTC).replace(microsecond=0), target, detail_of(name) or NAMELESS)


def live_at(releases: Sequence[Release], target: str, at: datetime) -> str | None:
    """The newest release of a target that was seen by then."""
    return next((each.name for each in reversed(releases) if each.target == target and each.at <= at), None)
