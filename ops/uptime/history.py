"""What was recorded, as tracks: years of looks in little memory, one track for each target and vantage point."""

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

from ops.uptime.probe import PHASES, Reason, Stage, Verdict
from ops.uptime.record import FILE_PATTERN, Sample, no_access

# The state of a look, as one letter of `Track.states`.
STATES: Mapping[Verdict, int] = {"up": ord("u"), "degraded": ord("g"), "down": ord("d"), "unknown": ord("k")}
VERDICT_OF: Mapping[int, Verdict] = {letter: verdict for verdict, letter in STATES.items()}
NOT_REACHED = -1
READERS = 2
PART_BYTES = 1 << 21  # a file larger than this is worth the start of the fast reader


class Failure(NamedTuple):
    """Why a look was not simply up. Empty texts stand for none: so that two can be compared."""

    stage: Stage | str = ""
    reason: Reason | str = ""
    detail: str = ""


SIMPLY_UP = Failure()


class Look(NamedTuple):
    """One look without its moment; `spent_ms`: by phase in the order of `probe.PHASES`, NOT_REACHED for None."""

    state: int
    attempts: int
    failure: Failure
    spent_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """What one vantage point saw of one target.

    `times_s`: seconds since 1970, rising; `states` and `attempts`: one byte for each; `failures`: by second, of the
    looks that were not simply up; `spent_ms`: a column for each of `probe.PHASES`, of the newest looks, as many as it
    has.
    """

    target: str
    by: str
    times_s: Sequence[int]
    states: bytes
    attempts: bytes
    failures: Mapping[int, Failure]
    spent_ms: Sequence[Sequence[int]]

    def until(self, now_s: int) -> "Track":
        """The track without what comes after a moment."""
        kept = bisect_right(self.times_s, now_s)
        if kept == len(self.times_s):
            return self
        later = len(self.times_s) - kept
        return Track(
            self.target,
            self.by,
            self.times_s[:kept],
            self.states[:kept],
            self.attempts[:kept],
            {at_s: failure for at_s, failure in self.failures.items() if at_s <= now_s},
            [column[: max(0, len(column) - later)] for column in self.spent_ms],
        )

    def spent_since(self, start_s: int) -> tuple[Sequence[int], bytes, Sequence[Sequence[int]]]:
        """Seconds, states, and milliseconds in a column for each phase, of the looks from a second on."""
        known_from = len(self.times_s) - len(self.spent_ms[0]) if self.spent_ms else len(self.times_s)
        first = max(bisect_left(self.times_s, start_s), known_from)
        return self.times_s[first:], self.states[first:], [column[first - known_from :] for column in self.spent_ms]


@dataclass(frozen=True, slots=True)
class History:
    """The tracks of a directory, sorted by target and vantage point, and how many lines were torn or no samples.

    `complete`: no older month was left out.
    """

    tracks: Sequence[Track]
    torn_lines: int = 0
    complete: bool = True

    @property
    def digest(self) -> str:
        """12 hex digits of a hash of every look."""
        found = hashlib.sha256()
        for track in self.tracks:
            head = [track.target, track.by, *map(str, sorted(track.failures.items()))]
            found.update(repr(head).encode("utf-8", "backslashreplace"))
            found.update(array("q", track.times_s).tobytes() + track.states + track.attempts)
            found.update(b"".join(array("i", column).tobytes() for column in track.spent_ms))
        return found.hexdigest()[:12]


Rows = dict[tuple[str, str], dict[int, Look]]


def read(
    directory: Path,
    *,
    since: datetime | None = None,
    spent_since: datetime | None = None,
    part_bytes: int = PART_BYTES,
) -> History:
    """The samples of a directory. Raises KpiOpsError if it is not there.

    `since`: months that end before it are not read; `spent_since`: times by phase are kept from then on; `part_bytes`:
    how much of a large file is read at once.
    """
    try:
        if not directory.is_dir():
            raise NotADirectoryError(f"there is no directory {directory}")
        files = sorted(directory.glob(FILE_PATTERN))
        wanted = [file for file in files if _reaches(file, since)]
        floor_s = int(spent_since.timestamp()) if spent_since else None
        large = sum(file.stat().st_size for file in wanted) > part_bytes
        with ThreadPoolExecutor(READERS) as pool:  # the fast reader leaves Python's lock to the other one
            of_files = pool.map(lambda file: _months(file, part_bytes, floor_s, large=large), wanted)
            parts = [part for of_file in of_files for part in of_file]
    except OSError as error:
        raise no_access("read", directory, error) from error
    tracks = [_spent_from(track, floor_s) for track in _joined([track for part in parts for track in part.tracks])]
    return History(tracks, sum(part.torn_lines for part in parts), complete=len(wanted) == len(files))


def _reaches(month: Path, since: datetime | None) -> bool:
    return since is None or month.stem >= f"{since.astimezone(UTC):%Y-%m}"


def _months(file: Path, part_bytes: int, floor_s: int | None, *, large: bool) -> list[History]:
    return [_part(lines, floor_s, large=large) for lines in _parts(file, part_bytes)]


def _parts(file: Path, part_bytes: int) -> Iterator[bytes]:
    """A file in parts of whole lines: years of samples need not be in memory at once."""
    if not file.is_file():
        raise OSError(None, f"{file.name} is not a file")
    with file.open("rb") as stream:
        while part := stream.read(part_bytes):
            yield part + stream.readline()


def _part(lines: bytes, floor_s: int | None, *, large: bool) -> History:
    tracks = _at_once(lines, floor_s) if large else None
    return parsed(lines.split(b"\n")) if tracks is None else History(tracks)


def _at_once(lines: bytes, floor_s: int | None) -> list[Track] | None:
    try:
        from ops.uptime import bulk
    except ImportError:  # where only a look is installed for, no pyarrow is: slower, and the same
        return None
    tracks = None if floor_s is None else bulk.tracks(lines, times=False)
    if tracks is None or any(floor_s is None or track.times_s[-1] >= floor_s for track in tracks):
        return bulk.tracks(lines, times=True)
    return tracks


def _spent_from(track: Track, floor_s: int | None) -> Track:
    """The track with times from a second on only: which way a file was read must not show."""
    if floor_s is None:
        return track
    kept = len(track.times_s) - bisect_left(track.times_s, floor_s)
    return replace(track, spent_ms=[column[len(column) - kept :] for column in track.spent_ms] if kept else [])


def parsed(lines: Iterable[bytes]) -> History:
    """The samples of lines in any order: the same (t, target, by) once, what is no sample counted."""
    samples: list[Sample] = []
    torn = 0
    for line in lines:
        try:
            samples += [Sample.from_line(line)] if line.strip() else []
        except (ValueError, RecursionError):
            torn += 1
    return replace(history_of(samples), torn_lines=torn)


def history_of(samples: Iterable[Sample]) -> History:
    """The history that these samples make."""
    rows: Rows = {}
    for sample in samples:
        looks, look, at_s = rows.setdefault((sample.target, sample.by), {}), _look(sample), int(sample.at.timestamp())
        looks[at_s] = min(look, looks.get(at_s, look))  # whichever: but the same whatever the order
    return History(_tracks(rows))


def _look(sample: Sample) -> Look:
    result = sample.result
    failure = Failure(result.stage or "", result.reason or "", result.detail or "")
    spent = tuple(_ms(result.ms.get(phase)) for phase in PHASES)
    return Look(STATES[sample.verdict], min(result.attempts, 255), failure, spent)


def _ms(ms: int | None) -> int:
    return NOT_REACHED if ms is None else ms


def _tracks(rows: Rows) -> list[Track]:
    return [_track(target, by, rows[target, by]) for target, by in sorted(rows)]


def _track(target: str, by: str, looks: Mapping[int, Look]) -> Track:
    times_s = sorted(looks)
    inorder = [looks[at_s] for at_s in times_s]
    return Track(
        target,
        by,
        array("q", times_s),
        bytes(look.state for look in inorder),
        bytes(look.attempts for look in inorder),
        {at_s: look.failure for at_s, look in zip(times_s, inorder, strict=True) if look.failure != SIMPLY_UP},
        _columns([look.spent_ms for look in inorder]),
    )


def _columns(rows: Sequence[tuple[int, ...]]) -> list[Sequence[int]]:
    """Of the newest rows that are known, which are all, but where months were read in two ways."""
    known = list(takewhile(bool, reversed(rows)))
    return [array("i", column) for column in zip(*reversed(known), strict=True)]


def _joined(parts: Sequence[Track]) -> list[Track]:
    """One track for each target and vantage point, of those of single months."""
    found: dict[tuple[str, str], list[Track]] = {}
    for part in parts:
        found.setdefault((part.target, part.by), []).append(part)
    return [_one(found[key]) for key in sorted(found)]


def _one(parts: list[Track]) -> Track:
    parts = sorted((part for part in parts if part.times_s), key=lambda part: part.times_s[0])
    if len(parts) == 1:
        return parts[0]
    apart = all(before.times_s[-1] < after.times_s[0] for before, after in pairwise(parts))
    return _in_a_row(parts) if apart else _interwoven(parts)


def _in_a_row(parts: Sequence[Track]) -> Track:
    times_s, spent = array("q"), [array("i") for _ in PHASES]
    failures: dict[int, Failure] = {}
    for part in parts:
        times_s.extend(part.times_s)
        whole = [len(part.times_s)] * len(PHASES) == [len(column) for column in part.spent_ms]
        spent = spent if whole else [array("i") for _ in PHASES]
        for column, more in zip(spent, part.spent_ms, strict=False):
            column.extend(more)
        failures |= part.failures
    states, attempts = b"".join(part.states for part in parts), b"".join(part.attempts for part in parts)
    return Track(parts[0].target, parts[0].by, times_s, states, attempts, failures, spent)


def _interwoven(parts: Sequence[Track]) -> Track:
    """Lines that lie in another month's file."""
    looks: dict[int, Look] = {}
    for part in parts:
        known = list(zip(*part.spent_ms, strict=True))
        spent_ms = [()] * (len(part.times_s) - len(known)) + known
        rows = zip(part.times_s, part.states, part.attempts, spent_ms, strict=True)
        for at_s, state, attempts, spent in rows:
            look = Look(state, attempts, part.failures.get(at_s, SIMPLY_UP), spent)
            looks[at_s] = min(look, looks.get(at_s, look))
    return _track(parts[0].target, parts[0].by, looks)
