"""Lines of the journal, parsed. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FIELDS = "MESSAGE,PRIORITY,INVOCATION_ID,_SYSTEMD_INVOCATION_ID,_PID,UNIT_RESULT"
DEFAULT_PRIORITY = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """A line. `invocation`: which run of the unit it belongs to; `by_systemd`: said about it, not by it."""

    text: str
    priority: int
    invocation: str
    by_systemd: bool


def parse(lines: str) -> list[Entry]:
    """What `journalctl --output=json` prints, a document a line; what is none is left out."""
    return [_entry(document) for line in lines.splitlines() if (document := _document(line))]


def first_run(entries: Sequence[Entry]) -> list[Entry]:
    """The entries of the first run of a unit that is spoken of: where systemd tried again, the first one counts."""
    first = next((entry.invocation for entry in entries if entry.invocation), "")
    return [entry for entry in entries if entry.invocation in {first, ""}]


def _document(line: str) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _entry(document: dict[str, Any]) -> Entry:
    said_about = document.get("INVOCATION_ID")
    return Entry(
        text=_text(document.get("MESSAGE")),
        priority=int(document.get("PRIORITY") or DEFAULT_PRIORITY),
        invocation=str(said_about or document.get("_SYSTEMD_INVOCATION_ID") or ""),
        by_systemd=bool(said_about),
    )


def _text(message: object) -> str:
    """A message with bytes that are no text comes as a list of numbers; one that is too long as null."""
    if isinstance(message, list):
        return bytes(number for number in message if isinstance(number, int)).decode("utf-8", "replace")
    return message if isinstance(message, str) else ""
