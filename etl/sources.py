"""A shop's export -> canonical lines: reads CSV, CSV.gz, Parquet and XLSX files in a known layout."""

import csv
import errno
import gzip
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import ibis
import ibis.expr.types as ir
from isal import igzip, isal_zlib

from etl.engine import Engine
from etl.errors import SourceError
from etl.layouts import LAYOUTS, Layout

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".xlsx": "xlsx"}
HEADER_BYTES = 64 * 1024
BLOCK_BYTES = 1024 * 1024
LONGEST_CHARACTER = 4  # bytes of one character in UTF-8
USUAL_TIME = "20__-__-__ __:__:__"
ISO_TIME = r"^\s*(19|20|21)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?)?\s*$"
WHOLE_NUMBER = r"^\s*[+-]?[0-9]{1,12}([.]0*)?\s*$"
DECIMAL_NUMBER = r"^\s*[+-]?([0-9]{1,12}([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,2})?\s*$"
FIRST_VISIBLE = "!"  # every blank, tab and line end sorts before it
SOMETHING_TO_READ = r"\S"
LARGEST_NUMBER = 1e12  # beyond it a quantity or price is a typing error
YEARS = (1900, 2199)  # outside of them a date is one, and the calendar of days would be endless; see ISO_TIME
# The type checker takes the class isal_zlib.error for one of its instances.
DAMAGED_GZIP: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, isal_zlib.error)  # type: ignore[assignment]
DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class SourceText:
    """One input file, looked at but not read: its kind, SHA-256, column names, and where its plain text is."""

    path: Path
    kind: str
    sha256: str
    header: tuple[str, ...]
    plain: Path


def layout_named(name: str) -> Layout:
    """The layout of that name. Raises SourceError."""
    if name not in LAYOUTS:
        raise SourceError(
            f"there is no layout {name!r}",
            expected=f"one of: {', '.join(LAYOUTS)}",
            to_do="mend --layout, or layout in [etl] of settings.toml",
        )
    return LAYOUTS[name]


def inspect(path: Path, work: Path) -> SourceText:
    """Look at a file: it is there, whole, and has a header. A gzip file is unpacked into `work`. Raises SourceError."""
    with _opening(path):
        if not path.is_file():
            raise _unusable(path, _instead_of_a_file(path), "a file with sales")
        if path.stat().st_size == 0:
            raise _unusable(path, "is empty", "a header line and at least one line of sales")
        kind = _kind(path)
        plain = _unpacked(path, work) if path.name.lower().endswith(".gz") else _with_a_name_in_utf8(path, work)
        if kind == "csv":
            plain = _with_one_line_end(plain, work)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return SourceText(path, kind, digest, _header(path, kind, plain), plain)


def read(
    engine: Engine, sources: Sequence[SourceText], layout: Layout, then: Callable[[ir.Table], ir.Table]
) -> ir.Table:
    """Read every file once: canonical lines, with `file` (position in `sources`) and `seen`, and what `then` adds.

    `seen` is null, or the cells as they stand in the file where one of them is not readable. Raises SourceError when
    a file cannot be read to its end.
    """
    parts = []
    for position, source in enumerate(sources):
        columns = _columns(source, layout)
        with _opening(source.path):
            rows = _rows(engine, source, position)
            kept = engine.keep(_name(position), then(_canonical(rows, columns, position)))
            repaired = _repaired(engine, source, columns, position) if source.kind == "csv" else None
            if repaired is not None:
                engine.append(_name(position), then(repaired))
        parts.append(kept)
    return parts[0] if len(parts) == 1 else ibis.union(*parts)


def _name(position: int) -> str:
    return f"lines_{position}"


# --- files and headers -----------------------------------------------------------------------------------------------


def _kind(path: Path) -> str:
    for ending, kind in KINDS.items():
        if path.name.lower().endswith(ending):
            return kind
    raise _unusable(path, "is of a kind that is not read", f"a file name ending in {', '.join(KINDS)}")


def _unpacked(path: Path, work: Path) -> Path:
    """The text of a gzip file. DuckDB could read it packed, but slower, and without looking at the checksum."""
    plain = Path(tempfile.mkstemp(dir=work, suffix=".csv")[1])
    packed: BinaryIO = igzip.open(path, "rb")  # type: ignore[no-untyped-call] # isal's functions carry no types
    with packed, plain.open("wb") as out:
        shutil.copyfileobj(packed, out, BLOCK_BYTES)
    return plain


def _with_a_name_in_utf8(path: Path, work: Path) -> Path:
    """DuckDB takes no other name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        link = Path(tempfile.mkdtemp(dir=work)) / f"source{path.suffix}"
        link.symlink_to(os.path.realpath(path))
        return link
    return path


def _with_one_line_end(plain: Path, work: Path) -> Path:
    """The same text, its lines ending in one way: DuckDB refuses what was joined from exports of two systems."""
    if not _has_mixed_line_ends(plain):
        return plain
    mended = Path(tempfile.mkstemp(dir=work, suffix=".csv")[1])
    with (
        plain.open(encoding="utf-8", errors="surrogateescape", newline=None) as given,
        mended.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as out,
    ):
        shutil.copyfileobj(given, out, BLOCK_BYTES)
    return mended


def _has_mixed_line_ends(plain: Path) -> bool:
    """Whether there is a carriage return that ends a line by itself, or a line end with one and another without."""
    with plain.open("rb") as file:
        if not any(b"\r" in block for block in _blocks(file)):
            return False
        file.seek(0)
        pairs = returns = feeds = 0
        last = b""
        for block in _blocks(file):
            returns += block.count(b"\r")
            feeds += block.count(b"\n")
            pairs += block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
            last = block[-1:]
    return pairs != returns or pairs not in (0, feeds)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _instead_of_a_file(path: Path) -> str:
    if path.is_dir():
        return "is a directory"
    return "is no ordinary file" if path.exists() else "is not there"


def _header(path: Path, kind: str, plain: Path) -> tuple[str, ...]:
    if kind == "parquet":
        return _parquet_header(path)
    if kind == "xlsx":
        return tuple(_cell_text(cell) or "" for cell in next(_sheet_rows(path), ()))
    return _csv_header(path, plain)


def _parquet_header(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(path).names)
    except pa.ArrowException as error:
        raise _unusable(path, f"cannot be read: {error}", "a whole Parquet file") from error


def _csv_header(path: Path, plain: Path) -> tuple[str, ...]:
    with plain.open("rb") as file:
        start = file.read(HEADER_BYTES)
    if b"\0" in start:
        raise _unusable(path, f"is not text: it starts with {start[:8]!r}", "a CSV file in UTF-8")
    lines = _decoded(path, start).splitlines()
    if not lines or not lines[0].strip():
        raise _unusable(path, "has no header line", "a header line and at least one line of sales")
    return tuple(next(csv.reader(io.StringIO(lines[0]))))


def _decoded(path: Path, start: bytes) -> str:
    try:
        return start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut_by_us = len(start) == HEADER_BYTES and len(start) - error.start < LONGEST_CHARACTER
        if not cut_by_us:
            raise _not_utf8(path, f"{start[error.start : error.start + 8]!r} at byte {error.start}") from error
        return start[: error.start].decode("utf-8-sig")


def _columns(source: SourceText, layout: Layout) -> dict[str, int]:
    """Canonical name -> position of its column in the file; case, blanks and underscores do not matter."""
    places = {_plain(name): place for place, name in reversed(list(enumerate(source.header)))}
    missing = [wanted for wanted in layout.columns.values() if _plain(wanted) not in places]
    if missing:
        raise SourceError(
            f"{source.path} has no column {', '.join(missing)}; its columns are: {_shown(', '.join(source.header))}",
            expected=f"the layout {layout.name}: {', '.join(layout.columns.values())}",
            to_do="rename the columns of the file, or choose another layout with --layout",
        )
    return {canonical: places[_plain(wanted)] for canonical, wanted in layout.columns.items()}


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "").replace("_", "")


def _shown(text: str, most: int = 300) -> str:
    return text if len(text) <= most else text[:most] + "..."


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows(engine: Engine, source: SourceText, position: int) -> ir.Table:
    """The file's rows, its columns renamed c0, c1, ...: a header may hold anything, even a name twice."""
    if source.kind == "parquet":
        found = engine.scan_parquet(f"parquet_{position}", source.plain)
        return found.select(**{_c(place): found[name] for place, name in enumerate(source.header)})
    if source.kind == "xlsx":
        return engine.adopt(f"sheet_{position}", _sheet(source))
    return engine.scan_csv(f"text_{position}", source.plain, [_c(place) for place in range(len(source.header))])


def _c(place: int) -> str:
    return f"c{place}"


def _repaired(engine: Engine, source: SourceText, columns: Mapping[str, int], position: int) -> ir.Table | None:
    """Lines that the CSV reader passed over, as canonical lines; None where there are none.

    One with too few cells, or with empty ones too many, is read as it stands. Of any other nothing is taken to be
    known: it is all null, and `seen` is its text.
    """
    rejects = f"rejects_text_{position}"
    found = engine.rows(
        f"SELECT line, trim(first(csv_line), chr(13) || chr(10)), bool_or(error_type = 'INVALID ENCODING'), "
        f"bool_and(error_type IN ('MISSING COLUMNS', 'TOO MANY COLUMNS')) FROM {rejects} GROUP BY line ORDER BY line"
    )
    for line, text, foreign, _ in found:
        if foreign:
            raise _not_utf8(source.path, f"line {line}: {_shown(text, 80)}")
    if not found:
        return None
    width = len(source.header)
    cells = [_cells(text, width) if countable else None for _, text, _, countable in found]
    texts = [None if row else text for row, (_, text, _, _) in zip(cells, found, strict=True)]
    table = _text_table([row or [None] * width for row in cells], width, broken=texts)
    rows = engine.adopt(f"repaired_{position}", table)
    lines = _canonical(rows, columns, position)
    return lines.mutate(seen=ibis.coalesce(lines.broken, lines.seen)).drop("broken")


def _cells(text: str, width: int) -> list[str | None] | None:
    """The cells of one CSV line, as many as the header has; None where it is anybody's guess which is which."""
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error:  # a cell of megabytes, say
        return None
    if len(rows) != 1 or any(rows[0][width:]):
        return None
    return [cell or None for cell in rows[0][:width]] + [None] * (width - len(rows[0]))


def _sheet_rows(path: Path) -> Iterator[Sequence[object]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return iter(CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python())
    except CalamineError as error:
        raise _unusable(path, f"cannot be read: {error}", "a whole XLSX file") from error


def _sheet(source: SourceText) -> "pa.Table":
    """The first sheet, every cell as the text that a CSV export would hold; wholly empty rows are left out."""
    rows = _sheet_rows(source.path)
    next(rows)
    texts = [[_cell_text(cell) for cell in row] for row in rows]
    return _text_table([row for row in texts if any(row)], len(source.header))


def _text_table(rows: Sequence[Sequence[str | None]], width: int, **more: Sequence[str | None]) -> "pa.Table":
    import pyarrow as pa

    cells = {_c(place): [row[place] for row in rows] for place in range(width)}
    return pa.table({name: pa.array(values, pa.string()) for name, values in (cells | more).items()})


def _cell_text(cell: object) -> str | None:
    match cell:
        case None | "":
            return None
        case float() if cell.is_integer():
            return str(int(cell))
        case datetime():
            return cell.isoformat(" ")
        case date():
            return cell.isoformat()
        case _:
            return str(cell)


# --- cells -----------------------------------------------------------------------------------------------------------


def _canonical(rows: ir.Table, columns: Mapping[str, int], position: int) -> ir.Table:
    cell = {canonical: rows[_c(place)] for canonical, place in columns.items()}
    values = {
        "invoice": _text(cell["invoice"]).upper(),
        "sku": _text(cell["sku"]).upper(),
        "description": _description(cell["description"]),
        "quantity": _quantity(cell["quantity"]),
        "at": _time(cell["at"]),
        "unit_mills": _mills(cell["price"]),
        "customer_id": _identifier(cell["customer_id"]),
        "country": _text(cell["country"]),
    }
    needed = [values[name] for name in ("invoice", "sku", "quantity", "at", "unit_mills")]
    as_it_stands = ibis.literal(" | ").join([value.cast("string").fill_null("") for value in cell.values()])
    more = {name: rows[name] for name in ("broken",) if name in rows.columns}
    return rows.select(
        **values,
        **more,
        file=ibis.literal(position, "int32"),
        seen=ibis.ifelse(ibis.or_(*(value.isnull() for value in needed)), as_it_stands, ibis.null("string")),
    )


def _text(cell: ir.Column) -> ir.StringColumn:
    text = _written(cell)
    # Two comparisons cost an eighth of trimming every cell. They are true for an empty one too.
    blank_at_an_end = (text < FIRST_VISIBLE) | (text.right(1) < FIRST_VISIBLE)
    return ibis.ifelse(blank_at_an_end, text.strip().nullif(""), text)


def _description(cell: ir.Column) -> ir.StringColumn:
    """As it stands in the file; null where there is nothing to read."""
    text = _written(cell)
    return ibis.cases((text >= FIRST_VISIBLE, text), (text.re_search(SOMETHING_TO_READ), text))


def _written(cell: ir.Column) -> ir.StringColumn:
    """A cell as a CSV export would write it: a number that is whole without `.0`, one that is none not at all."""
    if not cell.type().is_floating():
        return cell.cast("string")
    whole = _sane(cell) & (cell == cell.floor())
    return ibis.cases((cell.isnan(), None), (whole, cell.cast("int64").cast("string")), else_=cell.cast("string"))


def _identifier(cell: ir.Column) -> ir.StringColumn:
    """A customer number that a spreadsheet took for a decimal number loses its `.0`."""
    text = _text(cell)
    short = text.left(text.length() - 2)
    is_number = text.endswith(".0") & short.try_cast("int64").notnull()
    return ibis.ifelse(is_number, short, text)


def _quantity(cell: ir.Column) -> ir.IntegerColumn:
    kind = cell.type()
    if kind.is_string():
        return ibis.ifelse(cell.re_search(WHOLE_NUMBER), cell.try_cast("decimal(18, 3)"), None).cast("int64")
    if kind.is_integer():
        return cell.try_cast("int64")
    if kind.is_floating() or kind.is_decimal():
        number = cell.cast("float64")
        return ibis.ifelse(_sane(number) & (number == number.floor()), number, None).cast("int64")
    return ibis.null("int64")


def _mills(cell: ir.Column) -> ir.IntegerColumn:
    """A price in 1/1000 of the currency unit; what lies below is rounded, halves away from zero."""
    kind = cell.type()
    if kind.is_string():
        exact = ibis.ifelse(cell.re_search(DECIMAL_NUMBER), cell.try_cast("decimal(18, 3)"), None)
        return (exact * 1000).cast("int64")
    if kind.is_numeric():
        number = cell.cast("float64")
        return (ibis.ifelse(_sane(number), number, None) * 1000).round().cast("int64")
    return ibis.null("int64")


def _sane(number: ir.FloatingColumn) -> ir.BooleanColumn:
    return ~number.isnan() & (number.abs() <= LARGEST_NUMBER)


def _time(cell: ir.Column) -> ir.TimestampColumn:
    """The shop's local time. A time with an offset is not readable: which local time it means is not known."""
    kind = cell.type()
    if kind.is_string():
        usual = (cell.like(USUAL_TIME), cell.try_cast("timestamp"))
        return ibis.cases(usual, (cell.re_search(ISO_TIME), cell.strip().try_cast("timestamp")))
    if kind.is_date() or (kind.is_timestamp() and kind.timezone is None):
        time = cell.try_cast("timestamp")
        return ibis.ifelse(time.year().between(*YEARS), time, None)
    return ibis.null("timestamp")


# --- messages --------------------------------------------------------------------------------------------------------


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Turn what the readers say about a bad file into one message."""
    import duckdb

    try:
        yield
    except DAMAGED_GZIP as error:
        raise _unusable(path, f"is cut off or damaged ({error})", "a whole gzip file") from error
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
        raise  # a statement of ours that is wrong
    except duckdb.Error as error:
        raise _unusable(path, f"cannot be read: {str(error).splitlines()[0]}", "a whole file of that kind") from error
    except OSError as error:
        if error.errno in DISK_IS_FULL:
            raise  # not this file's fault: it is where we write that is full
        raise _unusable(path, f"cannot be read: {error.strerror or error}", "a file that this user may read") from error


def _unusable(path: Path, seen: str, expected: str) -> SourceError:
    return SourceError(f"{path} {seen}", expected=expected, to_do="name another file with --source, or export it again")


def _not_utf8(path: Path, where: str) -> SourceError:
    return SourceError(
        f"{path} is not UTF-8: {where}",
        expected="text in UTF-8",
        to_do=f"convert it, for example: iconv -f LATIN1 -t UTF-8 {path.name} > utf8.csv",
    )
