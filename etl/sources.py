"""A shop's export -> canonical lines: reads CSV (plain, gzip, zip), Parquet and XLSX files."""

import codecs
import csv
import errno
import gzip
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from isal import igzip, isal_zlib

from etl import dialect
from etl.dialect import NOTHING_SAID, DateOrder, Said
from etl.engine import Engine
from etl.errors import SourceError
from etl.layouts import AMOUNT, CANONICAL, LAYOUTS, Layout, nearest, proposed, recognised
from etl.layouts import plain as plainly
from etl.orders import EXPORTS, Orders, currencies, export_of, lines

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = {".csv": "csv", ".csv.gz": "csv", ".zip": "csv", ".parquet": "parquet", ".xlsx": "xlsx"}
LAST_RESORT = "windows-1252"  # what Excel writes where UTF-8 is not asked for
HEADER_BYTES = 64 * 1024
BLOCK_BYTES = 1024 * 1024
BYTES_OF_A_LINE = 80
USUAL_TIME = "20__-__-__ __:__:__"
ISO_TIME = r"^\s*(19|20|21)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?)?\s*$"
TIME_WITH_OFFSET = (
    r"^\s*(19|20|21)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}[ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
    r"\s?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)\s*$"
)
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
    """One input file, looked at but not read: its kind, SHA-256, column names, and where its plain text is.

    `delimiter`: what stands between the cells of a CSV file; `letters`: how it is encoded.
    `orders`: the layout of an export of orders, whose lines `plain` then holds. `left_out`: sheets of a workbook with
    other columns.
    """

    path: Path
    kind: str
    sha256: str
    header: tuple[str, ...]
    plain: Path
    delimiter: str = ","
    letters: str = "utf-8"
    orders: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Writing:
    """How the cells of one file are written. `dates`: the order of day and month; `half_days`: times with AM and PM.

    `offsets`: times with an offset are readable.
    """

    columns: Mapping[str, int]
    decimal_comma: bool = False
    dates: DateOrder = "iso"
    half_days: bool = False
    offsets: bool = False


def layout_of(sources: Sequence[SourceText]) -> Layout:
    """The one layout that all headers are of. Raises SourceError with a mapping to paste where one is of none."""
    found = {source.path: LAYOUTS.get(source.orders) or recognised(source.header) for source in sources}
    for source in sources:
        if found[source.path] is None:
            raise _of_no_layout(source)
    layouts = {layout.name: path for path, layout in found.items() if layout}
    if len(layouts) > 1:
        raise SourceError(
            "the files are of several layouts: " + ", ".join(f"{path} of {name}" for name, path in layouts.items()),
            expected="files of one layout in a run",
            to_do="run them apart, or export them in one way",
        )
    return LAYOUTS[next(iter(layouts))]


def _of_no_layout(source: SourceText) -> SourceError:
    layout, lacking = nearest(source.header)
    mapping = "\n    ".join(proposed(source.header).splitlines())
    return SourceError(
        f"{source.path} is of no layout that is known; its columns are: {_shown(', '.join(source.header))}",
        expected=f"one of {', '.join(LAYOUTS)}; the nearest is {layout.name}, of which {', '.join(lacking)} is missing",
        to_do=f"put this into settings.toml in place of its [etl.columns], and look it over:\n\n    {mapping}",
    )


def inspect(path: Path, work: Path, *, layout: Layout | None = None, currency: str = "") -> SourceText:
    """Look at a file: it is there, whole, and has a header. A gzip file is unpacked into `work`. Raises SourceError.

    An export of orders is turned into lines there, unless `layout` is another; they must be in `currency`.
    """
    with _opening(path):
        if not path.is_file():
            raise _unusable(path, _instead_of_a_file(path), "a file with sales")
        if path.stat().st_size == 0:
            raise _unusable(path, "is empty", "a header line and at least one line of sales")
        kind = _kind(path)
        plain, letters, delimiter = _plain_text(path, work), "utf-8", ","
        if kind == "csv":
            letters = _letters(path, plain)
            plain = _with_one_line_end(_in_utf8(plain, letters, work), work)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if kind == "csv":
            first = _first_line(path, plain)
            delimiter = dialect.delimiter_of(first)
            header = tuple(dialect.cells_of(first, delimiter))
            found = SourceText(path, kind, digest, header, plain, delimiter, letters)
            export = export_of(header)
            if export and (layout is None or layout.name == export.name):
                return _lines_of_orders(found, export, work, currency)
            return found
        if kind == "xlsx":
            book = _workbook(path)
            return SourceText(path, kind, digest, book.header, plain, left_out=book.left_out)
        return SourceText(path, kind, digest, _parquet_header(path), plain)


def text_bytes(source: SourceText) -> int:
    """About how many bytes the lines take as text: a Parquet file may be a twentieth of that."""
    if source.kind == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(source.plain).num_rows) * BYTES_OF_A_LINE
    return source.plain.stat().st_size


def _lines_of_orders(source: SourceText, export: Orders, work: Path, currency: str) -> SourceText:
    """The same file with a line for each thing sold or taken back."""
    written = Path(tempfile.mkstemp(dir=work, suffix=".csv")[1])
    seen: set[str] = set()

    def rows() -> Iterator[dict[str, str]]:
        with source.plain.open(encoding="utf-8-sig", errors="replace", newline="") as given:
            for row in csv.DictReader(given, delimiter=source.delimiter, restval="", strict=True):
                row.pop(None, None)  # cells beyond the header
                seen.update(currencies([row], export))
                yield {name.strip(): cell for name, cell in row.items()}

    try:
        with written.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(CANONICAL)
            writer.writerows(lines(rows(), export))
    except csv.Error as error:
        raise _unusable(source.path, f"is no CSV to its end: {error}", "the export as the shop wrote it") from error
    if seen - {currency} and currency:
        raise SourceError(
            f"{source.path} has amounts in {', '.join(sorted(seen))}",
            expected=f"{currency}: nothing is converted",
            to_do="name it with --currency, or currency in [etl]; orders in several: a file and a snapshot each",
        )
    return replace(source, header=CANONICAL, plain=written, delimiter=",", orders=export.name)


def read(
    engine: Engine,
    sources: Sequence[SourceText],
    layout: Layout,
    then: Callable[[ir.Table], ir.Table],
    said: Said = NOTHING_SAID,
) -> ir.Table:
    """Read every file once: canonical lines, with `file` (position in `sources`) and `seen`, and what `then` adds.

    `seen` is null, or the cells as they stand in the file where one of them is not readable. Raises SourceError when
    a file cannot be read to its end, or leaves open which of 1/12/2010 is the day; `said.dates` decides that.
    """
    parts = []
    for position, source in enumerate(sources):
        columns = _columns(source, layout)
        with _opening(source.path):
            rows = _rows(engine, source, position)
            writing = _writing(engine, source, rows, columns, said)
            kept = engine.keep(_name(position), then(_canonical(rows, writing, position)))
            repaired = _repaired(engine, source, writing, position) if source.kind == "csv" else None
            if repaired is not None:
                engine.append(_name(position), then(repaired))
        parts.append(kept)
    return parts[0] if len(parts) == 1 else ibis.union(*parts)


def _name(position: int) -> str:
    return f"lines_{position}"


# --- files and headers -----------------------------------------------------------------------------------------------


def is_kind(path: Path) -> bool:
    """Whether a file's name is of a kind that is read."""
    return path.is_file() and path.name.lower().endswith(tuple(KINDS))


def _kind(path: Path) -> str:
    for ending, kind in KINDS.items():
        if path.name.lower().endswith(ending):
            return kind
    raise _unusable(path, "is of a kind that is not read", f"a file name ending in {', '.join(KINDS)}")


def _plain_text(path: Path, work: Path) -> Path:
    name = path.name.lower()
    if name.endswith(".gz"):
        return _unpacked(path, work)
    return _unzipped(path, work) if name.endswith(".zip") else _with_a_name_in_utf8(path, work)


def _unzipped(path: Path, work: Path) -> Path:
    """The one CSV file of an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [each for each in archive.infolist() if _is_csv(each.filename)]
            if len(inside) != 1:
                raise _unusable(path, f"holds {len(inside)} CSV files", "an archive with one")
            plain = Path(tempfile.mkstemp(dir=work, suffix=".csv")[1])
            with archive.open(inside[0]) as packed, plain.open("wb") as out:
                shutil.copyfileobj(packed, out, BLOCK_BYTES)
    except (zipfile.BadZipFile, zipfile.zlib.error, EOFError, NotImplementedError, RuntimeError) as error:  # type: ignore[attr-defined] # zlib's, as zipfile has it
        raise _unusable(path, f"cannot be unpacked: {error}", "a whole zip file without a password") from error
    return plain


def _is_csv(name: str) -> bool:
    """Not what a Mac puts beside each file."""
    return name.lower().endswith(".csv") and not name.rpartition("/")[2].startswith("._")


def _letters(path: Path, plain: Path) -> str:
    """utf-8, utf-16, or windows-1252 for what is neither. Raises SourceError for a file that is of two kinds."""
    with plain.open("rb") as file:
        start = file.read(HEADER_BYTES)
        if start.startswith(dialect.UTF_16_MARKS):
            return "utf-16"
        if b"\0" in start:
            raise _unusable(path, f"is not text: it starts with {start[:8]!r}", "a CSV file")
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for block in _blocks(file):
                if decoder.getstate()[0] or not block.isascii():
                    decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            _refuse_two_kinds(path, file)
            return LAST_RESORT
    return "utf-8"


def _refuse_two_kinds(path: Path, file: BinaryIO) -> None:
    """Some lines in UTF-8 and some not: to read them all in one way would spoil the words of the others."""
    first_foreign = in_utf8 = 0
    for number, line in enumerate(file, start=1):
        if line.isascii():
            continue
        try:
            line.decode()
            in_utf8 = in_utf8 or number
        except UnicodeDecodeError:
            first_foreign = first_foreign or number
        if first_foreign and in_utf8:
            raise _not_utf8(path, f"line {first_foreign} is not, line {in_utf8} is")


def _in_utf8(plain: Path, letters: str, work: Path) -> Path:
    if letters == "utf-8":
        return plain
    written = Path(tempfile.mkstemp(dir=work, suffix=".csv")[1])
    # Five bytes are no letter of Windows-1252: they are shown as such, and spoil no number.
    with (
        plain.open(encoding=letters, errors="replace", newline="") as given,
        written.open("w", encoding="utf-8", newline="") as out,
    ):
        shutil.copyfileobj(given, out, BLOCK_BYTES)
    return written


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
        return "is a directory without a file of sales"
    return "is no ordinary file" if path.exists() else "is not there"


def _parquet_header(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, UnicodeDecodeError) as error:  # the latter of a column's name
        raise _unusable(path, f"cannot be read: {error}", "a whole Parquet file") from error


def _first_line(path: Path, plain: Path) -> str:
    lines = _start(plain).splitlines()
    if not lines or not lines[0].strip():
        raise _unusable(path, "has no header line", "a header line and at least one line of sales")
    return lines[0]


def _start(plain: Path) -> str:
    """The beginning of a text in UTF-8; a letter that is cut in two at its end is left out."""
    with plain.open("rb") as file:
        return file.read(HEADER_BYTES).decode("utf-8-sig", errors="ignore")


def _columns(source: SourceText, layout: Layout) -> dict[str, int]:
    """Canonical name -> position of its column in the file; case, blanks and underscores do not matter."""
    places = {plainly(name): place for place, name in reversed(list(enumerate(source.header)))}
    missing = [wanted for wanted in layout.columns.values() if plainly(wanted) not in places]
    if layout.name in EXPORTS and not source.orders:
        missing = [name for name in EXPORTS[layout.name].needed if plainly(name) not in places]
    if missing:
        wanted_names = EXPORTS[layout.name].needed if layout.name in EXPORTS else tuple(layout.columns.values())
        raise SourceError(
            f"{source.path} has no column {', '.join(missing)}; its columns are: {_shown(', '.join(source.header))}",
            expected=f"the layout {layout.name}: {', '.join(wanted_names)}",
            to_do="rename the columns of the file, or choose another layout with --layout",
        )
    there = {name: wanted for name, wanted in layout.more.items() if plainly(wanted) in places}
    return {canonical: places[plainly(wanted)] for canonical, wanted in ({**layout.columns, **there}).items()}


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
    names = [_c(place) for place in range(len(source.header))]
    return engine.scan_csv(f"text_{position}", source.plain, names, source.delimiter)


def _writing(engine: Engine, source: SourceText, rows: ir.Table, columns: Mapping[str, int], said: Said) -> Writing:
    """How this file's prices and dates are written, by its first lines; by all where the day could be the month."""
    worth = AMOUNT if AMOUNT in columns else "price"
    price, at = (rows[_c(columns[name])] for name in (worth, "at"))
    first = _first_rows(engine, source, rows, (columns[worth], columns["at"]))
    comma = price.type().is_string() and dialect.has_decimal_comma([row[0] for row in first])
    order: DateOrder = "iso"
    if at.type().is_string() and dialect.has_other_dates([row[1] for row in first]):
        order = said.dates or _order(engine, source, at)
    half_days = at.type().is_string() and dialect.has_half_days([row[1] for row in first])
    return Writing(columns, decimal_comma=comma, dates=order, half_days=half_days, offsets=bool(said.time_zone))


def _first_rows(engine: Engine, source: SourceText, rows: ir.Table, places: tuple[int, int]) -> list[tuple[str, str]]:
    if source.kind == "csv":
        lines = csv.reader(io.StringIO(_start(source.plain)), delimiter=source.delimiter)
        try:
            found: list[Sequence[object]] = [
                tuple(line[place] for place in places) for line in lines if len(line) > max(places)
            ]
        except csv.Error:  # a cell of megabytes, say
            return []
        found = found[1:]
    else:
        found = list(engine.fetch(rows.select(*(rows[_c(place)].cast("string") for place in places)).limit(100)))
    return [(str(row[0] or ""), str(row[1] or "")) for row in found]


def _order(engine: Engine, source: SourceText, at: ir.Column) -> DateOrder:
    parts = at.as_table().select(
        first=at.re_extract(dialect.OTHER_DATE, 1).try_cast("int64"),
        second=at.re_extract(dialect.OTHER_DATE, 2).try_cast("int64"),
    )
    ((first, second),) = engine.fetch(parts.agg(first=parts["first"].max(), second=parts["second"].max()))
    order = dialect.date_order(first or 0, second or 0)
    if order is None:
        both = (first or 0) > dialect.MONTHS
        raise SourceError(
            f"{source.path} has dates like 1/12/2010, and "
            + (
                "some of them have the day first, others the month"
                if both
                else "none tells whether the day or the month is first"
            ),
            expected="dates like 2010-12-01, or a word on their order",
            to_do="export them anew, in one order"
            if both
            else "say it: --dates dmy (1 December) or --dates mdy (January 12)",
        )
    return order


def _c(place: int) -> str:
    return f"c{place}"


def _repaired(engine: Engine, source: SourceText, writing: Writing, position: int) -> ir.Table | None:
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
    cells = [_cells(text, width, source.delimiter) if countable else None for _, text, _, countable in found]
    texts = [None if row else text for row, (_, text, _, _) in zip(cells, found, strict=True)]
    table = _text_table([row or [None] * width for row in cells], width, broken=texts)
    rows = engine.adopt(f"repaired_{position}", table)
    lines = _canonical(rows, writing, position)
    return lines.mutate(seen=ibis.coalesce(lines.broken, lines.seen)).drop("broken")


def _cells(text: str, width: int, delimiter: str) -> list[str | None] | None:
    """The cells of one CSV line, as many as the header has; None where it is anybody's guess which is which."""
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:  # a cell of megabytes, say
        return None
    if len(rows) != 1 or any(rows[0][width:]):
        return None
    return [cell or None for cell in rows[0][:width]] + [None] * (width - len(rows[0]))


@dataclass(frozen=True, slots=True)
class _Workbook:
    """The sheets of sales: their header, the rows of all of them, and the names of sheets with other columns."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    left_out: tuple[str, ...]


def _workbook(path: Path) -> _Workbook:
    """The first sheet whose header is of a layout that is known, else the first; and those with the very same header.

    Raises SourceError.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(path)
        sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    except CalamineError as error:
        raise _unusable(path, f"cannot be read: {error}", "a whole XLSX file") from error
    headers = {name: tuple(_cell_text(cell) or "" for cell in rows[0]) for name, rows in sheets.items() if rows}
    known = [header for header in headers.values() if recognised(header)]
    header = next(iter([*known, *headers.values()]), ())
    alike = [name for name, own in headers.items() if own == header]
    others = tuple(name for name, own in headers.items() if own != header and any(own))
    return _Workbook(header, [row for name in alike for row in sheets[name][1:]], others)


def _sheet(source: SourceText) -> "pa.Table":
    """The sheets of sales, every cell as the text that a CSV export would hold; wholly empty rows are left out."""
    texts = [[_cell_text(cell) for cell in row] for row in _workbook(source.path).rows]
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


def _canonical(rows: ir.Table, writing: Writing, position: int) -> ir.Table:
    cell: dict[str, ir.Column] = dict.fromkeys(CANONICAL, ibis.null("string"))
    cell |= {canonical: rows[_c(place)] for canonical, place in writing.columns.items()}
    by_line = AMOUNT in cell
    if by_line:
        cell["price"] = cell.pop(AMOUNT)
    as_it_stands = ibis.literal(" | ").join([value.cast("string").fill_null("") for value in cell.values()])
    if writing.decimal_comma:
        cell |= {name: _with_a_point(cell[name]) for name in ("quantity", "price")}
    if writing.dates != "iso":
        cell["at"] = cell["at"].re_replace(dialect.OTHER_DATE, dialect.AS_ISO[writing.dates])
    if writing.half_days:
        cell["at"] = _of_24_hours(cell["at"])
    values = {
        "invoice": _text(cell["invoice"]).upper(),
        "sku": _text(cell["sku"]).upper(),
        "description": _description(cell["description"]),
        "quantity": _quantity(cell["quantity"]),
        "at": _time(cell["at"], offsets=writing.offsets),
        "unit_mills": _mills(cell["price"]),  # the whole line's, where `by_line`
        "customer_id": _identifier(cell["customer_id"]),
        "country": _text(cell["country"]),
    }
    if by_line:
        values |= _of_one_piece(values["quantity"], values["unit_mills"])
    needed = [values[name] for name in ("invoice", "sku", "quantity", "at", "unit_mills")]
    more = {name: rows[name] for name in ("broken",) if name in rows.columns}
    return rows.select(
        **values,
        **more,
        file=ibis.literal(position, "int32"),
        seen=ibis.ifelse(ibis.or_(*(value.isnull() for value in needed)), as_it_stands, ibis.null("string")),
    )


def _of_one_piece(quantity: ir.Column, line_mills: ir.Column) -> dict[str, ir.Column]:
    """The price of one piece, rounded, and what the line comes to, which is exact.

    A price is above 0 where quantity and amount have the same sign; one that would round to 0 is a mill.
    """
    pieces = ibis.ifelse(quantity == 0, 1, quantity)
    exact = line_mills.cast("float64") / pieces
    rounded = exact.round().cast("int64")
    price = ibis.ifelse((rounded == 0) & (line_mills != 0), exact.sign().cast("int64"), rounded)
    return {"unit_mills": price, "line_mills": line_mills}


def _of_24_hours(cell: ir.Column) -> ir.Column:
    """8:26 PM as 20:26; 12 AM is midnight. An hour that no such clock shows stays what it is."""
    hour = cell.re_extract(dialect.HALF_DAY, 2).try_cast("int64")
    later = ibis.ifelse(cell.re_extract(dialect.HALF_DAY, 4).lower() == "p", 12, 0)
    time = (hour % 12 + later).cast("string") + cell.re_extract(dialect.HALF_DAY, 3)
    return ibis.ifelse(hour.between(1, 12), cell.re_extract(dialect.HALF_DAY, 1) + time, cell)


def _with_a_point(cell: ir.Column) -> ir.Column:
    """1.234,56 as 1234.56; a point that groups no thousands stays what it is: 6.0 is six."""
    if not cell.type().is_string():
        return cell
    return ibis.ifelse(cell.re_search(dialect.GROUPED), cell.replace(".", ""), cell).replace(",", ".")


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


def _time(cell: ir.Column, *, offsets: bool) -> ir.TimestampColumn:
    """The shop's local time. A time with an offset is readable where `offsets`: the engine lives in the shop's zone."""
    kind = cell.type()
    if kind.is_string():
        usual = (cell.like(USUAL_TIME), cell.try_cast("timestamp"))
        iso = (cell.re_search(ISO_TIME), cell.strip().try_cast("timestamp"))
        moment = (cell.re_search(TIME_WITH_OFFSET), _moment(cell))
        return ibis.cases(usual, iso, *[moment] * offsets)
    if kind.is_timestamp() and kind.timezone is not None and offsets:
        cell, kind = _local(cell), dt.timestamp
    if kind.is_date() or (kind.is_timestamp() and kind.timezone is None):
        time = cell.try_cast("timestamp")
        return ibis.ifelse(time.year().between(*YEARS), time, None)
    return ibis.null("timestamp")


def _moment(cell: ir.Column) -> ir.TimestampColumn:
    """DuckDB takes no blank before an offset."""
    return _local(cell.strip().re_replace(r"\s([+-][0-9:]+)$", r"\1").try_cast("timestamp('UTC')"))


def _local(moment: ir.Column) -> ir.TimestampColumn:
    return moment.cast("timestamp")


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
        expected="a file that is written in one way: UTF-8, UTF-16 or Windows-1252",
        to_do="export it again; or find out how its parts were joined, and convert those that are not UTF-8",
    )
