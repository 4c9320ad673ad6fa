"""Spoiled sales files through the command itself: a snapshot whose sums agree, or one clear message; never a traceback.

KPI_OPS_FUZZ=2000 spoils so many files; without it, as many as a minute on a small machine allows.
"""

import codecs
import csv
import gzip
import hashlib
import io
import multiprocessing
import os
import re
import sys
import tempfile
import zipfile
from collections import Counter
from contextlib import redirect_stderr
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice
from pathlib import Path
from random import Random
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from etl.cli import main
from etl.contract import METADATA, Manifest
from etl.errors import ExitCode
from etl.layouts import ONLINE_RETAIL
from etl.sample import HEADER, lines

SEED = 20260101
FILES = int(os.environ.get("KPI_OPS_FUZZ", "240"))
PARTS = 8  # so that each of them ends in time also where there are many files
WORKERS = 2
SOLD_THROUGH = date(2026, 11, 21)
OTHERS = [
    ["900001", "POST", "POSTAGE", "1", "2024-11-23 09:00:00", "9.95", "12001.0", "Germany"],
    ["900002", "M", "Manual", "1", "2024-11-23 09:10:00", "100", "", "France"],
    ["C900003", "20007", "Café jar, blue", "-2", "2024-11-24 09:00:00", "4.25", "12001.0", "Germany"],
    ["900004", "20014", "Tray, “oak”", "-1", "2024-11-24 09:00:00", "4.25", "12002", "United Kingdom"],
    ["A900005", "B", "Adjust bad debt", "1", "2024-11-24 10:00:00", "-11.06", "", "United Kingdom"],
    ["900006", "20021", "", "-7", "2024-11-25 10:00:00", "0.0", "", "United Kingdom"],
    ["900007", "20021", "Vase", "0", "2024-11-25 10:00:00", "3", "12003", "United Kingdom"],
]
SHOP = [*islice(lines(SOLD_THROUGH), 33), *OTHERS]
ODD_CELLS = (
    *(
        "",
        " ",
        "0",
        "-0",
        "-1",
        "1.5",
        "1e3",
        "1E+2",
        "n/a",
        "NULL",
        "None",
        "nan",
        "inf",
        "6.0",
        " 6 ",
        "+6",
        "٣",
        "½",
    ),
    *("999999999999", "9999999999999", "-999999999999", "1e99", "1e-9", "0.0004", "0.0005", "1,234", "1.234,56", "£5"),
    *("2024-11-23", "2024-11-23T08:05", "2024-2-3 8:05", "2024-02-30", "2024-11-23 08:05:06.5", "1/12/2024"),
    *("2024-11-23T08:05:00Z", "2024-11-23 08:05:00+02:00", "0001-01-01", "9999-12-31 23:59:59", "45000"),
    *("C", "c900003", "A", "POST", " post ", "=1+1", "@x", "-", "é", "\N{SNOWMAN}", "a\tb", "a;b", "a,b", 'a"b', "a'b"),
    *("a\nb", "x" * 3000, "\N{ZERO WIDTH SPACE}", "\N{NO-BREAK SPACE}", "%s", "{}", "\\", "--", "');DROP TABLE x"),
)


# --- files to be read ------------------------------------------------------------------------------------------------


class Export:
    """Lines that a shop exports, and how; `tame` as long as a plain reader of CSV takes it for what it is."""

    def __init__(self, random):
        self.random = random
        self.rows = [list(HEADER), *(list(row) for row in SHOP)]
        self.delimiter = ","
        self.letters = "utf-8"
        self.line_end = "\n"
        self.quoting = csv.QUOTE_MINIMAL
        self.tame = True

    def data(self):
        out = io.StringIO()
        csv.writer(out, delimiter=self.delimiter, lineterminator=self.line_end, quoting=self.quoting).writerows(
            self.rows
        )
        return out.getvalue().encode(self.letters, errors="replace")

    def some_row(self):
        return self.random.randrange(1, len(self.rows))


def shuffle_columns(export):
    order = export.random.sample(range(len(HEADER)), len(HEADER))
    export.rows = [[row[place] if place < len(row) else "" for place in order] for row in export.rows]


def cut_lines(export):
    export.rows = [export.rows[0], *export.random.sample(export.rows[1:], export.random.randint(10, len(SHOP) // 2))]


def swap_cells(export):
    for _ in range(export.random.randint(1, 6)):
        one, other = export.rows[export.some_row()], export.rows[export.some_row()]
        if one and other:
            here, there = export.random.randrange(len(one)), export.random.randrange(len(other))
            one[here], other[there] = other[there], one[here]


def put_odd_cells(export):
    for _ in range(export.random.randint(1, 8)):
        row = export.rows[export.some_row()]
        if row:
            row[export.random.randrange(len(row))] = export.random.choice(ODD_CELLS)


def repeat_lines(export):
    export.rows += export.random.sample(export.rows[1:], 5)


def repeat_the_header(export):
    export.rows.insert(export.some_row(), list(export.rows[0]))


def shorten_lines(export):
    for _ in range(export.random.randint(1, 4)):
        row = export.rows[export.some_row()]
        del row[export.random.randint(1, len(row)) if row else 0 :]


def lengthen_lines(export):
    for _ in range(export.random.randint(1, 4)):
        export.rows[export.some_row()] += export.random.choice([[""], ["", ""], ["x"], ["", "5"]])


def other_delimiter(export):
    export.delimiter = export.random.choice(";\t")


def other_letters(export):
    export.letters = export.random.choice(["utf-8-sig", "utf-16", "windows-1252"])


def other_line_end(export):
    export.line_end = "\r\n"


def quote_all(export):
    export.quoting = csv.QUOTE_ALL


TAME = (
    shuffle_columns,
    cut_lines,
    swap_cells,
    put_odd_cells,
    repeat_lines,
    repeat_the_header,
    shorten_lines,
    lengthen_lines,
    other_delimiter,
    other_letters,
    other_line_end,
    quote_all,
)


def flip_bytes(data, random):
    spoiled = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 5, 40])):
        spoiled[random.randrange(len(spoiled))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


def truncate(data, random):
    return data[: random.randrange(len(data))]


def behead(data, random):
    return data[random.randrange(len(data)) :]


def insert(what):
    def spoil(data, random):
        for _ in range(random.choice([1, 1, 2, 7])):
            place = random.randrange(len(data))
            data = data[:place] + random.choice(what) + data[place:]
        return data

    return spoil


def cut_out(data, random):
    start = random.randrange(len(data))
    return data[:start] + data[start + random.randint(1, 300) :]


def repeat_a_piece(data, random):
    start = random.randrange(len(data))
    piece = data[start : start + random.randint(1, 400)]
    place = random.randrange(len(data))
    return data[:place] + piece + data[place:]


def join_with_other_letters(data, random):
    half = len(data) // 2
    return data[:half] + data[half:].decode("utf-8", "replace").encode(
        random.choice(["utf-16", "windows-1252"]), "replace"
    )


def noise(data, random):
    place = random.randrange(len(data))
    return data[:place] + random.randbytes(random.randint(1, 200)) + data[place:]


WILD = (
    flip_bytes,
    flip_bytes,
    truncate,
    behead,
    insert([b'"', b'"', b'""', b'",', b',"', b'"\n', b'\n"']),
    insert([b"\0"]),
    insert([b"\r", b"\r\n", b"\n", b"\n\n", b"\r\r\n"]),
    insert([b",", b";", b"\t", b"|", b",,,,,,,,,,"]),
    insert(
        ["é".encode(), "é".encode("latin-1"), b"\xff\xfe", b"\xef\xbb\xbf", b"\x81", b"\xed\xa0\x80", b"\xe2\x80\xa8"]
    ),
    insert([b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xc2\x85", b"\x1a", b"\x1b[2J"]),
    cut_out,
    repeat_a_piece,
    join_with_other_letters,
    noise,
)


def spoiled(number):
    """The file of a number, the same for the same one, and the export it is when nothing but tame was done to it."""
    random = Random(f"{SEED}-{number}")
    export = Export(random)
    for change in random.sample(TAME, random.choice([0, 1, 2, 3, 4])):
        change(export)
    data = export.data()
    for change in random.choices(WILD, k=random.choice([0, 0, 1, 1, 1, 2, 3])):
        data = change(data, random) if data else data
        export.tame = False
    return data, export if export.tame else None


def as_parquet():
    out = io.BytesIO()
    columns = {name: [row[place] if place < len(row) else "" for row in SHOP] for place, name in enumerate(HEADER)}
    pq.write_table(pa.table(columns), out, store_schema=False)
    return out.getvalue()


def as_xlsx():
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate([HEADER, *SHOP]):
            sheet.write_row(place, 0, row)
    return out.getvalue()


def as_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sales.csv", as_csv())
    return out.getvalue()


def as_gzip():
    return gzip.compress(as_csv(), mtime=0)


def as_csv():
    return Export(Random(SEED)).data()


PACKED = {"sales.parquet": as_parquet, "sales.xlsx": as_xlsx, "sales.zip": as_zip, "sales.csv.gz": as_gzip}


def flip_near_the_end(data, random):
    """Where archives and Parquet files have what is told of the rest."""
    spoiled = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 4])):
        spoiled[-random.randint(1, min(len(spoiled), 1500))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


def flip_inside(data, random):
    """Spoil one file of an archive, and pack it well again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(out, "w") as archive:
        chosen = random.choice(given.namelist())
        for name in given.namelist():
            inside = given.read(name)
            archive.writestr(name, flip_bytes(inside, random) if name == chosen else inside)
    return out.getvalue()


def spoil_packed(data, random):
    if data.startswith(b"PK") and random.random() < 0.5:
        return flip_inside(data, random)
    return random.choice([flip_near_the_end, flip_bytes, truncate, behead, cut_out, repeat_a_piece, noise])(
        data, random
    )


# --- counted in plain Python -----------------------------------------------------------------------------------------


def recounted(export, data):
    """The lines that count as (invoice, sku, quantity, mills), how often each; and how often each reason fits."""
    text = data.decode(export.letters).removeprefix("\ufeff")
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=export.delimiter, strict=True)
    places = [header.index(name) for name in HEADER]
    kept, reasons = Counter(), Counter()
    for row in filter(None, rows):
        cells = [row[place] if place < len(row) else "" for place in places]
        line = None if any(row[len(header) :]) else values(cells)
        reason = reason_of(line, cells[2])
        if reason:
            reasons[reason] += 1
        else:
            kept[line] += 1
    return kept, reasons


def values(cells):
    """Of a line that can be read; else None."""
    invoice, sku, _, quantity, at, price, *_ = cells
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,12}(\.0*)?\s*", quantity, re.ASCII) or not is_time(at):
        return None
    if not re.fullmatch(r"\s*[+-]?([0-9]{1,12}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?\s*", price, re.ASCII):
        return None
    pieces, each = int(Decimal(quantity.strip())), Decimal(price.strip())
    if abs(each) >= Decimal(10) ** 15:
        return None
    mills = int((each * 1000).quantize(Decimal(1), ROUND_HALF_UP))
    if abs(pieces * mills) > 10**13 or not invoice.strip(" \t\n\r") or not sku.strip(" \t\n\r"):
        return None
    return invoice.strip(" \t\n\r").upper(), sku.strip(" \t\n\r").upper(), pieces, mills


def is_time(text):
    found = re.fullmatch(
        r"\s*((?:19|20|21)\d\d)-(\d\d?)-(\d\d?)(?:[ T](\d\d?):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?)?\s*", text, re.ASCII
    )
    try:
        return bool(found and datetime(*(int(part or 0) for part in found.groups())))
    except ValueError:
        return False


def reason_of(line, description):
    if line is None:
        return "malformed"
    invoice, _, quantity, mills = line
    if invoice.startswith("A"):
        return "bad_debt"
    if mills == 0 and not description.strip():
        return "stock_adjustment"
    if mills <= 0:
        return "non_positive_price"
    return "zero_quantity" if quantity == 0 else None


# --- what becomes of them --------------------------------------------------------------------------------------------


def problem(number):
    """What is wrong with what becomes of the file of a number; "" where nothing is."""
    data, export = spoiled(number)
    return wrong_with(f"file {number}", "sales.csv", data, export)


def problem_of_packed(number):
    """The same of a file that is no plain text."""
    random = Random(f"{SEED}-packed-{number}")
    name = random.choice(sorted(PACKED))
    return wrong_with(f"packed file {number}", name, spoil_packed(PACKED[name](), random))


def wrong_with(which, name, data, export=None):
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="kpi", dir=memory if memory.is_dir() else None) as place:
        source, out, said = Path(place, name), Path(place, "out"), io.StringIO()
        source.write_bytes(data)
        try:
            with redirect_stderr(said):
                status = main(["--source", str(source), "--out", str(out)])
            if status == ExitCode.GOOD:
                check_snapshot(out, name, export, data)
            else:
                check_refusal(status, said.getvalue(), out)
                assert export is None, said.getvalue()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the file that brought it about
            return f"{which}, {name}: {type(error).__name__}: {error}\n{data[:20_000]!r}"
    return ""


def check_refusal(status, said, out):
    assert status == ExitCode.COULD_NOT
    assert said.startswith("error: ")
    assert said.count("\n  expected: ") == said.count("\n  to do:    ") == 1
    assert "Traceback" not in said
    assert not (out / METADATA).exists()
    assert list((out / ".runs").iterdir()) == []


def check_snapshot(out, name, export, data):
    manifest = Manifest.from_json((out / METADATA).read_bytes())
    for file in manifest.files:
        assert hashlib.sha256((out / file.key).read_bytes()).hexdigest() == file.sha256, file.key
    tables = {path.stem: pq.read_table(path).to_pylist() for path in out.glob("*.parquet")}
    kept, days, months = tables["sample_kpis"], tables["daily_kpis"], tables["product_months"]
    held = Counter(row["reason"] for row in tables["quarantine"])

    assert held == Counter(manifest.quarantine)
    assert manifest.rows_in == manifest.rows_kept + held.total()
    assert manifest.rows_kept == len(kept)
    assert total(kept, "amount", service=False) == total(days, "net_sales")
    assert total(kept, "amount", service=True) == total(days, "other_charges")
    assert total(kept, "amount") == total(days, "total_sales")
    for column in ("gross_sales", "returns", "net_sales", "units"):
        assert total(days, column) == total(months, column), column
    assert all(row["amount"] == row["quantity"] * row["unit_mills"] for row in kept)
    assert all(row["service"] == (row["sku"] in ONLINE_RETAIL.service_codes) for row in kept)
    if export:
        found = Counter((row["invoice"], row["sku"], row["quantity"], row["unit_mills"]) for row in kept)
        assert (found, held) == recounted(export, data)
    if name == "sales.csv" and '"' not in text_of(data):
        assert manifest.rows_in == sum(bool(line.strip(" ")) for line in re.split("\r\n|\r|\n", text_of(data))) - 1


def text_of(data):
    """As the program says that it takes a file: UTF-16 where it is marked, else UTF-8, else Windows-1252."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")


def total(rows, name, **wanted):
    return sum(row[name] for row in rows if all(row[key] == value for key, value in wanted.items()))


@pytest.fixture(scope="module")
def processes():
    """Two at once, forked from one that has imported everything; the signals that a command takes are theirs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["etl.run", "etl.store", "pyarrow.parquet", "pytest"])
    with pytest.MonkeyPatch.context() as patch:
        # A page under test leaves its script as __main__, and every process would begin by running that.
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))
        with context.Pool(WORKERS, maxtasksperchild=20) as pool:
            yield pool


@pytest.mark.parametrize("part", range(PARTS))
def test_a_spoiled_file_ends_in_a_snapshot_whose_sums_agree_or_in_one_clear_message(processes, part):
    found = [each for each in processes.imap_unordered(problem, range(part, FILES, PARTS), chunksize=5) if each]
    assert not found, f"{len(found)} files:\n" + "\n\n".join(found[:5])


def test_a_spoiled_parquet_xlsx_zip_or_gzip_file_ends_so_too(processes):
    count = FILES // 2
    found = [each for each in processes.imap_unordered(problem_of_packed, range(count), chunksize=5) if each]
    assert not found, f"{len(found)} of {count} files:\n" + "\n\n".join(found[:5])


def test_a_parquet_file_with_a_column_whose_name_is_not_utf_8_is_refused_in_one_clear_message(processes):
    data = as_parquet().replace(b"Country", b"Co\xf6ntry")
    assert processes.apply(wrong_with, ("latin", "sales.parquet", data)) == ""


def test_of_the_spoiled_files_many_are_counted_line_by_line_and_many_are_not_to_be_foreseen():
    tame = sum(spoiled(number)[1] is not None for number in range(FILES))
    assert FILES / 5 < tame < FILES / 2
