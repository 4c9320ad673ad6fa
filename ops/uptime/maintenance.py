"""uptime/maintenance.toml: when nobody was promised anything.

    [[maintenance]]
    start = 2026-11-22T01:00:00      # with a zone, wall-clock time there
    end = 2026-11-22T02:00:00
    zone = "Europe/London"
    why = "new disk"

Without a zone, start and end need an offset: 2026-11-22T01:00:00Z.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from etl.errors import SettingsError

FILE_NAME = "maintenance.toml"
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time taken out of both sides of uptime: from `start` up to, but not including, `end`, both UTC."""

    start: datetime
    end: datetime
    why: str


def read(directory: Path) -> tuple[Maintenance, ...]:
    """The maintenance noted in a directory of samples; none where there is no file. Raises SettingsError."""
    file = directory / FILE_NAME
    if not file.exists():
        return ()
    try:
        values = tomllib.loads(file.read_text("utf-8-sig"))
        return parsed(values)
    except (OSError, ValueError, OverflowError, RecursionError) as error:  # those of TOML and UTF-8 are ValueErrors
        raise SettingsError(
            f"{file} cannot be used: {error}",
            expected='[[maintenance]] with start, end, why; a zone = "Europe/London", or times with an offset or Z',
            to_do="mend it",
        ) from error


def parsed(values: Mapping[str, Any]) -> tuple[Maintenance, ...]:
    """Maintenance of the values of such a file. Raises ValueError."""
    entries = values.get("maintenance", [])
    if set(values) - {"maintenance"} or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise ValueError("only [[maintenance]] is known")
    return tuple(_entry(index, entry) for index, entry in enumerate(entries, start=1))


def _entry(index: int, entry: Mapping[str, Any]) -> Maintenance:
    strays = set(entry) - {"start", "end", "zone", "why"}
    if strays:
        raise ValueError(f"entry {index}: {', '.join(sorted(strays))} is not known")
    zone = _zone(index, entry.get("zone"))
    start, end = (_moment(index, name, entry.get(name), zone) for name in ("start", "end"))
    why = entry.get("why")
    if end <= start:
        raise ValueError(f"entry {index}: it ends before it begins")
    if not isinstance(why, str):
        raise ValueError(f"entry {index}: why must say why")  # noqa: TRY004 - one kind
    return Maintenance(start, end, why)


def _zone(index: int, name: object) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"entry {index}: there is no zone {name!r}") from error


def _moment(index: int, name: str, value: object, zone: ZoneInfo | None) -> datetime:
    if not isinstance(value, datetime):
        raise ValueError(f"entry {index}: {name} must be a date with a time, not quoted")  # noqa: TRY004 - one kind
    value = value.replace(microsecond=0)
    if value.utcoffset() is not None:
        return value.astimezone(UTC)
    if zone is None:
        raise ValueError(f"entry {index}: {name} says neither offset nor zone")
    return _on_the_wall(value, zone)


def _on_the_wall(time: datetime, zone: ZoneInfo) -> datetime:
    """The moment of a wall-clock time; where the clocks are put forward over it, that is when they are."""
    later, earlier = (time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if later <= earlier:  # an ordinary time, or the first of two
        return later
    before = earlier.astimezone(zone).utcoffset()
    while later - earlier > SECOND:
        middle = earlier + (later - earlier) // 2
        earlier, later = (middle, later) if middle.astimezone(zone).utcoffset() == before else (earlier, middle)
    return later.replace(microsecond=0)
