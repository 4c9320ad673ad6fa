"""uptime/alerts.jsonl: what was told to whom. Runs keep no other memory; lines are written once, never changed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ops.uptime.record import append_lines, moment_of, name_of, no_access, text_of
from ops.words import moment

FILE_NAME = "alerts.jsonl"
VERSION = 1
MAX_LINE_BYTES = 400
MAX_DETAIL_BYTES = 120

Kind = Literal["down", "stale"]
ChannelName = Literal["github", "webhook", "sns"]
Event = Literal["opened", "reopened", "reminder", "closed", "passed"]  # passed: it came and went before it was told
Outcome = Literal["sent", "dead"]

EVENTS: tuple[Event, ...] = get_args(Event)
WORDS: Mapping[str, tuple[str, ...]] = {
    "kind": get_args(Kind),
    "event": EVENTS,
    "channel": get_args(ChannelName),
    "outcome": get_args(Outcome),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: at `at` a channel was told of an event of the incident that began at `incident`, or could not be.

    `outcome`: dead where it could not be told; `detail`: the issue's number, or why not.
    """

    at: datetime
    target: str
    kind: Kind
    incident: datetime
    event: Event
    channel: ChannelName
    outcome: Outcome
    detail: str = ""

    def to_line(self) -> bytes:
        """The entry as one line of at most 400 bytes; where it would be longer, the detail is cut."""
        detail = _cut(self.detail, MAX_DETAIL_BYTES)
        while len(line := _dumped(self, detail)) > MAX_LINE_BYTES:
            detail = _cut(detail, len(detail.encode()) - (len(line) - MAX_LINE_BYTES))
        return line

    @classmethod
    def from_line(cls, line: bytes) -> "Entry":
        """Parse one line. Raises ValueError for anything that is no entry; keys of later versions are passed over."""
        fields = json.loads(line)
        if not isinstance(fields, dict) or fields.get("v") != VERSION or len(line.strip()) > MAX_LINE_BYTES:
            raise ValueError("not an entry of version 1")
        kind, event, channel, outcome = (_one_of(fields, name) for name in WORDS)
        return cls(
            at=moment_of(fields, "t"),
            target=name_of(fields, "target"),
            kind=kind,
            incident=moment_of(fields, "incident"),
            event=event,
            channel=channel,
            outcome=outcome,
            detail=text_of(fields, "detail") if fields.get("detail") else "",
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the file holds: entries in order of time, each once, and how many lines were torn or no entries."""

    entries: tuple[Entry, ...] = ()
    torn_lines: int = 0


def read(directory: Path) -> Ledger:
    """The ledger beside the samples, in whatever state merges left it; empty where there is none yet.

    Raises KpiOpsError where it is there and cannot be read: without it everything would be told again.
    """
    try:
        return parsed((directory / FILE_NAME).read_bytes().split(b"\n"))
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise no_access(f"read {FILE_NAME} of", directory, error) from error


def parsed(lines: Iterable[bytes]) -> Ledger:
    """Entries of lines in any order: sorted, the same one once, what is no entry counted."""
    found: set[Entry] = set()
    torn = 0
    for line in lines:
        try:
            found |= {Entry.from_line(line)} if line.strip() else set()
        except (ValueError, RecursionError):
            torn += 1
    return Ledger(tuple(sorted(found, key=_order)), torn)


def append(directory: Path, entries: Iterable[Entry]) -> None:
    """Add entries to the file, in one write. Raises KpiOpsError where that fails."""
    append_lines(directory, FILE_NAME, [entry.to_line() for entry in entries])


def _order(entry: Entry) -> tuple[datetime, datetime, int, tuple[str, ...]]:
    """By time; within one run what began first comes first, and opens before it closes."""
    rest = (entry.target, entry.kind, entry.channel, entry.outcome, entry.detail)
    return entry.at, entry.incident, EVENTS.index(entry.event), rest


def _dumped(entry: Entry, detail: str) -> bytes:
    fields = {
        "v": VERSION,
        "t": moment(entry.at),
        "target": entry.target,
        "kind": entry.kind,
        "incident": moment(entry.incident),
        "event": entry.event,
        "channel": entry.channel,
        "outcome": entry.outcome,
    }
    with_detail = fields | ({"detail": detail} if detail else {})
    return json.dumps(with_detail, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _cut(text: str, limit_bytes: int) -> str:
    return text.encode("utf-8", "replace")[: max(0, limit_bytes)].decode("utf-8", "ignore").rstrip()


def _one_of(fields: Mapping[str, Any], name: str) -> Any:
    if fields.get(name) not in WORDS[name]:
        raise ValueError(f"{name} must be one of {', '.join(WORDS[name])}")
    return fields[name]
