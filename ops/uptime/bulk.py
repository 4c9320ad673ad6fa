"""Many samples at once, by pyarrow: the same looks as line by line, or none where that is not certain."""

import re
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ops.uptime.history import NOT_REACHED, SIMPLY_UP, STATES, Failure, Track
from ops.uptime.probe import MAX_DETAIL_BYTES, PHASES
from ops.uptime.record import MAX_LINE_BYTES, MAX_NUMBER, NAME, REASONS, STAGES, VERSION

NEWLINE = 10
FIRST_S = -62_135_596_800  # 0001-01-01
MOMENT_LENGTH = len("2026-11-22T12:07:03Z")
SIGNS = (4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "Z")
BLOCK_BYTES = 1 << 19
LOOK = [
    *((name, pa.int64()) for name in ("v", "attempts")),
    *((name, pa.string()) for name in ("t", "target", "by", "verdict", "stage", "reason", "detail")),
]
TIMES = ("ms", pa.struct([(phase, pa.int64()) for phase in PHASES]))


class Doubtful(Exception):
    """Something that only a look at every line can judge."""


def tracks(data: bytes, *, times: bool) -> list[Track] | None:
    """The looks of some whole lines; None where a line may be torn, repeated or no sample.

    `times`: also how long each phase took.
    """
    columns = pa.schema([*LOOK, TIMES] if times else LOOK)
    parsing = pj.ParseOptions(explicit_schema=columns, unexpected_field_behavior="ignore")
    try:
        _plain(data)
        table = pj.read_json(
            pa.BufferReader(data),
            pj.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parsing,
            pa.system_memory_pool(),
        )
        return _tracks(table, _lines(data), times=times)
    except (Doubtful, pa.ArrowException, UnicodeDecodeError):
        return None


def _plain(data: bytes) -> None:
    """Refuse what two readers of JSON may read differently."""
    if (b"\\" in data and b"\\u" in data) or b"\r" in data:
        raise Doubtful("escaped or hidden letters")
    if not data.isascii():
        data.decode()


def _lines(data: bytes) -> int:
    """How many lines there are: each from its { to its }, and none too long."""
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == NEWLINE)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts
    if lengths.min() == 0 or lengths.max() > MAX_LINE_BYTES:
        raise Doubtful("an empty or a long line")
    if np.any(letters[starts] != ord("{")) or np.any(letters[ends - 1] != ord("}")):
        raise Doubtful("two that share a line, or one on two lines")
    return len(ends)


def _tracks(table: pa.Table, lines: int, *, times: bool) -> list[Track]:
    if table.num_rows != lines or np.any(_numbers(table["v"], 1, NOT_REACHED) != VERSION):
        raise Doubtful("a line that is not one sample")
    times_s = _moments(table["t"])
    states, attempts = _states(table["verdict"]), _numbers(table["attempts"], 1, 1)
    names, codes = _names(table)
    failures = _failures(table, states, times_s)
    spent = _spent(table) if times else []
    found = []
    for code, (target, by) in enumerate(names):
        rows = np.flatnonzero(codes == code)
        if not len(rows):
            continue
        rows = rows[np.argsort(times_s[rows], kind="stable")]
        own_s = times_s[rows]
        if np.any(np.diff(own_s) == 0):
            raise Doubtful("the same sample twice")
        found.append(
            Track(
                target,
                by,
                array("q", own_s.tobytes()),
                states[rows].tobytes(),
                np.minimum(attempts[rows], 255).astype(np.uint8).tobytes(),
                {at_s: why for row, (at_s, why) in failures.items() if codes[row] == code},
                [array("i", column[rows].astype(np.int32).tobytes()) for column in spent],
            )
        )
    return found


def _moments(column: pa.ChunkedArray) -> Any:
    lengths = pc.binary_length(column)
    if column.null_count or pc.min(lengths).as_py() != MOMENT_LENGTH or pc.max(lengths).as_py() != MOMENT_LENGTH:
        raise Doubtful("a moment of another form")
    text = column.combine_chunks()
    letters = np.frombuffer(text.buffers()[2], np.uint8, len(text) * MOMENT_LENGTH).reshape(-1, MOMENT_LENGTH)
    if text.offset or any(np.any(letters[:, place] != ord(sign)) for place, sign in SIGNS):
        raise Doubtful("a moment of another form")
    times_s = _values(column.cast(pa.timestamp("s", "UTC")), np.int64)
    if len(times_s) and times_s.min() < FIRST_S:
        raise Doubtful("a year that is none")
    return times_s


# Arrow's own ways to numpy, and any Python value handed to its functions, would import pandas: 40 MB for nothing.


def _values(column: pa.ChunkedArray, kind: Any) -> Any:
    """The numbers of a column, whatever stands where it is null."""
    values = column.combine_chunks()
    width = np.dtype(kind).itemsize
    return np.frombuffer(values.buffers()[1], kind, count=len(values), offset=values.offset * width)


def _is_null(column: pa.ChunkedArray) -> Any:
    values = column.combine_chunks()
    if not values.null_count:
        return np.zeros(len(values), bool)
    bits = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
    return bits[values.offset : values.offset + len(values)] == 0


def _coded(column: pa.ChunkedArray) -> tuple[Sequence[str], Any]:
    """Distinct words of a column, and for each row the place of its word; where it is null, that of "" at the end."""
    encoded = column.combine_chunks().dictionary_encode()
    words = [*encoded.dictionary.to_pylist(), ""]
    places = _values(pa.chunked_array([encoded.indices]), np.int32)
    return words, np.where(_is_null(column), len(words) - 1, places)


def _states(column: pa.ChunkedArray) -> Any:
    words, places = _coded(column)
    letters = np.array([STATES.get(word, 0) for word in words], np.uint8)[places]  # type: ignore[call-overload]
    if not letters.all():
        raise Doubtful("a verdict that is none")
    return letters


def _names(table: pa.Table) -> tuple[list[tuple[str, str]], Any]:
    """Pairs of target and vantage point, and for each row the place of its pair."""
    (targets, target), (vantage_points, by) = _coded(table["target"]), _coded(table["by"])
    pairs = [(one, other) for one in targets for other in vantage_points]
    places = target * len(vantage_points) + by
    if not all(re.fullmatch(NAME, name) for place in np.unique(places).tolist() for name in pairs[place]):
        raise Doubtful("a name that is none")
    return pairs, places


def _numbers(column: pa.ChunkedArray, least: int, missing: int) -> Any:
    """The numbers of a column, `missing` where it is null."""
    null, numbers = _is_null(column), _values(column, np.int64)
    seen = numbers[~null]
    if len(seen) and (seen.min() < least or seen.max() > MAX_NUMBER):
        raise Doubtful("a number that cannot be meant")
    return np.where(null, missing, numbers)


def _spent(table: pa.Table) -> list[Any]:
    return [_numbers(pc.struct_field(table["ms"], phase), 0, NOT_REACHED) for phase in PHASES]


def _failures(table: pa.Table, states: Any, times_s: Any) -> Mapping[int, tuple[int, Failure]]:
    """By row: the second, and why it was not simply up."""
    coded = [_coded(table[name]) for name in Failure._fields]
    told = np.logical_or.reduce([places != len(words) - 1 for words, places in coded])
    found: dict[int, tuple[int, Failure]] = {}
    for row in np.flatnonzero(told | (states != STATES["up"])).tolist():
        failure = _known(Failure(*(words[places[row]] for words, places in coded)))
        if failure != SIMPLY_UP:
            found[row] = int(times_s[row]), failure
    return found


def _known(failure: Failure) -> Failure:
    if (failure.stage and failure.stage not in STAGES) or (failure.reason and failure.reason not in REASONS):
        raise Doubtful("a stage or reason that is none")
    if len(failure.detail.encode()) > MAX_DETAIL_BYTES:
        raise Doubtful("a detail that is too long")
    return failure
