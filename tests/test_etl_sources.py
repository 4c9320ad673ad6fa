"""What the ETL makes of the files people have: kinds of file, cells, lines, and files that cannot be used."""

import gzip
import io
import json
import os
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from etl.dialect import Said
from etl.errors import SettingsError, SourceError
from etl.layouts import Own, chosen, proposed
from etl.run import Job, run
from etl.store import DirectoryStore

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
CAFE = "536366,85124,CAFÉ,1,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"
GOOD = "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"


def hashes(manifest):
    return {name: (artifact.parquet.sha256, artifact.csv.sha256) for name, artifact in manifest.artifacts.items()}


def kept(directory):
    return pq.read_table(directory / "sample_kpis.parquet").to_pylist()


def quarantined(directory):
    return [(row["reason"], row["seen"]) for row in pq.read_table(directory / "quarantine.parquet").to_pylist()]


@pytest.fixture
def small_csv(sample_csv, tmp_path):
    path = tmp_path / "small.csv"
    path.write_text("".join(sample_csv.read_text().splitlines(keepends=True)[:3000]))
    return path


def test_csv_gzip_parquet_and_xlsx_of_the_same_lines_give_the_same_bytes(small_csv, snapshot_of, tmp_path):
    zipped = tmp_path / "small.csv.gz"
    zipped.write_bytes(gzip.compress(small_csv.read_bytes()))
    parquet, xlsx = tmp_path / "small.parquet", tmp_path / "small.xlsx"
    write_parquet(small_csv, parquet)
    write_xlsx(small_csv, xlsx)
    expected = hashes(snapshot_of([small_csv], tmp_path / "csv"))
    for path in (zipped, parquet, xlsx):
        assert hashes(snapshot_of([path], tmp_path / path.suffix)) == expected, path.name


def write_parquet(csv_path, path):
    """As a typed export: whole numbers as int64, prices as float64, times as timestamps, what is not one as null."""
    texts = {name: pa.string() for name in HEADER.split(",")}
    table = pacsv.read_csv(
        csv_path,
        parse_options=pacsv.ParseOptions(invalid_row_handler=lambda _row: "skip"),
        convert_options=pacsv.ConvertOptions(column_types=texts, strings_can_be_null=True),
    )

    def converted(name, convert):
        return pa.array([attempt(convert, cell) for cell in table[name].to_pylist()])

    table = table.set_column(3, "Quantity", converted("Quantity", int))
    table = table.set_column(4, "InvoiceDate", converted("InvoiceDate", datetime.fromisoformat))
    table = table.set_column(5, "UnitPrice", converted("UnitPrice", float))
    pq.write_table(table, path)


def attempt(convert, cell):
    try:
        return convert(cell)
    except (ValueError, TypeError):
        return None


def write_xlsx(csv_path, path):
    """As a spreadsheet would hold it: numbers as numbers, times as Excel times."""
    table = pq.read_table(csv_path.with_suffix(".parquet"))
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        time = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.write_row(0, 0, table.column_names)
        for place, row in enumerate(table.to_pylist(), start=1):
            for column, value in enumerate(row.values()):
                if isinstance(value, datetime):
                    sheet.write_datetime(place, column, value, time)
                elif value is not None:
                    sheet.write(place, column, value)


@pytest.fixture(autouse=True)
def _no_torn_line(request):
    """The typed formats cannot hold a line with three cells; the shop's first 3,000 lines have none."""
    if "small_csv" in request.fixturenames:
        lines = request.getfixturevalue("small_csv").read_text().splitlines()
        assert all(line.count(",") >= 7 for line in lines)


def test_columns_may_stand_in_any_order_with_others_between_and_be_spelt_with_blanks(snapshot_of, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text(
        "extra,Country,customer id,UNIT PRICE,Invoice_Date,quantity,description,stock code,invoice no\n"
        "x,UK,17850.0,2.55,2010-12-01 08:26:00,6,LANTERN,85123a, 536365 \n"
    )
    snapshot_of([path], tmp_path / "out")
    (line,) = kept(tmp_path / "out")
    assert (line["invoice"], line["sku"], line["customer_id"], line["amount"]) == ("536365", "85123A", "17850", 15300)


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("quantity", "6", 6),
        ("quantity", "6.0", 6),
        ("quantity", " 6 ", 6),
        ("quantity", "-6", -6),
        ("unit_mills", "2.55", 2550),
        ("unit_mills", "0.001", 1),
        ("unit_mills", "2.5555", 2556),
        ("unit_mills", "1e1", 10000),
        ("unit_mills", ".5", 500),
        ("at", "2010-12-01", datetime(2010, 12, 1)),
        ("at", "2010-12-01 8:05", datetime(2010, 12, 1, 8, 5)),
        ("at", "2010-12-01T08:05:06", datetime(2010, 12, 1, 8, 5, 6)),
        ("at", " 2010-12-01 08:05:06 ", datetime(2010, 12, 1, 8, 5, 6)),
        ("customer_id", "17850.0", "17850"),
        ("customer_id", "17850", "17850"),
        ("customer_id", "A.0", "A.0"),
        ("customer_id", "", None),
        ("description", "  ", None),
        ("description", " LANTERN ", " LANTERN "),
    ],
)
def test_a_readable_cell_has_this_value(shop, snapshot_of, tmp_path, column, text, value):
    snapshot_of([shop(line_with(column, text))], tmp_path / "out")
    assert kept(tmp_path / "out")[0][column] == value


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("quantity", ""),
        ("quantity", "six"),
        ("quantity", "1.5"),
        ("quantity", "1_0"),
        ("quantity", "0x1F"),
        ("quantity", "99999999999999999999"),
        ("unit_mills", ""),
        ("unit_mills", "NaN"),
        ("unit_mills", "inf"),
        ("unit_mills", "1e300"),
        ("unit_mills", "GBP 2"),
        ("at", ""),
        ("at", "2010-02-30"),
        ("at", "infinity"),
        ("at", "epoch"),
        ("at", "1.12.2010"),
        ("at", "0000-12-01 08:26:00"),
        ("at", "9999-12-31 08:26:00"),
        ("at", "2010-12-01 08:26+02"),
        ("at", "2010-12-01T08:26:00Z"),
        ("at", "2010-12-01T08:26:00+02:00"),
        ("invoice", ""),
        ("invoice", "   "),
        ("sku", ""),
    ],
)
def test_an_unreadable_cell_makes_its_line_malformed_and_the_line_is_kept_for_people(
    shop, snapshot_of, tmp_path, column, text
):
    bad = line_with(column, text)
    snapshot_of([shop(GOOD.split(","), bad)], tmp_path / "out")
    assert quarantined(tmp_path / "out") == [("malformed", " | ".join(bad))]


def line_with(column, text):
    places = ("invoice", "sku", "description", "quantity", "at", "unit_mills", "customer_id", "country")
    cells = GOOD.split(",")
    cells[places.index(column)] = text
    return cells


def test_a_line_with_too_few_cells_is_read_as_far_as_it_goes(shop, snapshot_of, tmp_path):
    snapshot_of([shop(GOOD.split(",")[:6], GOOD.split(",")[:3])], tmp_path / "out")
    (line,) = kept(tmp_path / "out")
    assert (line["customer_id"], line["country"], line["quantity"]) == (None, None, 6)
    assert quarantined(tmp_path / "out") == [("malformed", "536365 | 85123A | LANTERN |  |  |  |  | ")]


def test_a_line_with_a_cell_too_many_is_malformed_unless_the_cell_is_empty(shop, snapshot_of, tmp_path):
    snapshot_of([shop([*GOOD.split(","), ""], [*GOOD.split(","), "more"])], tmp_path / "out")
    assert len(kept(tmp_path / "out")) == 1
    assert quarantined(tmp_path / "out") == [("malformed", f"{GOOD},more")]


def test_a_line_with_an_endless_cell_and_one_too_many_is_malformed(shop, snapshot_of, tmp_path):
    snapshot_of([shop(GOOD.split(","), [*GOOD.replace("LANTERN", "X" * 200_000).split(","), "more"])], tmp_path / "out")
    assert [reason for reason, _ in quarantined(tmp_path / "out")] == ["malformed"]


def test_quoted_newlines_windows_line_ends_and_a_byte_order_mark_are_read(snapshot_of, tmp_path):
    path = tmp_path / "windows.csv"
    lines = [HEADER, GOOD.replace("LANTERN", '"LAN""TERN,\r\nred"'), GOOD]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n")
    snapshot_of([path], tmp_path / "out")
    assert {line["description"] for line in kept(tmp_path / "out")} == {'LAN"TERN,\r\nred', "LANTERN"}


@pytest.mark.parametrize("ends", [("\r\n", "\n"), ("\n", "\r\n"), ("\r", "\r"), ("\r\n", "\r\n"), ("\n", "\r")])
def test_lines_may_end_in_any_way_even_in_two(snapshot_of, tmp_path, ends):
    path = tmp_path / "ends.csv"
    path.write_bytes((HEADER + ends[0] + (GOOD + ends[0]) * 30 + (GOOD + ends[1]) * 30).encode())
    assert snapshot_of([path], tmp_path / "out").rows_kept == 60


@pytest.mark.parametrize(
    "name", ["sales[1].csv", "sa*es.csv", "what?.csv", "it's.csv", "{a,b}.csv", "50%.csv", "a b.csv.gz"]
)
def test_a_file_is_read_by_its_own_name_whatever_stands_in_it(snapshot_of, tmp_path, name):
    (tmp_path / "sales1.csv").write_text(f"{HEADER}\n{GOOD}\n{GOOD}\n")
    (tmp_path / "saXes.csv").write_text(f"{HEADER}\n{GOOD}\n{GOOD}\n")
    text = f"{HEADER}\n{GOOD.replace('2.55', '9.99')}\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    snapshot_of([tmp_path / name], tmp_path / "out[1]*")
    assert [line["unit_mills"] for line in kept(tmp_path / "out[1]*")] == [9990]


def test_a_name_that_is_no_utf_8_is_shown_with_marks(snapshot_of, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.csv")
    path.write_text(f"{HEADER}\n{GOOD}\n")
    manifest = snapshot_of([path], tmp_path / "out")
    assert manifest.source.files[0].name == "caf\N{REPLACEMENT CHARACTER}.csv"


def test_numbers_that_a_typed_file_holds_as_decimals_are_written_as_in_a_csv(snapshot_of, tmp_path):
    table = pa.table(
        {
            "InvoiceNo": pa.array([536365.0, 536366.0]),
            "StockCode": ["A", "A"],
            "Description": ["THING", "THING"],
            "Quantity": pa.array([1.0, 2.0]),
            "InvoiceDate": pa.array([datetime(2010, 12, 1), datetime(2010, 12, 2)]),
            "UnitPrice": pa.array([1.5, 2.5]),
            "CustomerID": pa.array([17850.0, float("nan")]),
            "Country": ["UK", "UK"],
        }
    )
    pq.write_table(table, tmp_path / "typed.parquet")
    snapshot_of([tmp_path / "typed.parquet"], tmp_path / "out")
    told = [(line["invoice"], line["quantity"], line["customer_id"]) for line in kept(tmp_path / "out")]
    assert told == [("536365", 1, "17850"), ("536366", 2, None)]


def test_more_files_than_a_small_number_can_count(snapshot_of, tmp_path):
    paths = [tmp_path / f"{number}.csv" for number in range(130)]
    for number, path in enumerate(paths):
        path.write_text(f"{HEADER}\n{GOOD.replace('536365', str(number))}\n")
    assert snapshot_of(paths, tmp_path / "out").rows_kept == 130


def test_two_runs_over_the_same_input_give_the_same_bytes(small_csv, snapshot_of, tmp_path, now):
    first = snapshot_of([small_csv], tmp_path / "a")
    second = snapshot_of([small_csv], tmp_path / "b", now=now.replace(hour=9))
    assert hashes(first) == hashes(second)
    assert first.run_id != second.run_id


def test_an_invoice_in_two_files_is_taken_once_from_the_copy_with_more_lines(shop, snapshot_of, tmp_path):
    one, two, three = (GOOD.replace("85123A", sku).split(",") for sku in ("A1", "A2", "A3"))
    other = GOOD.replace("536365", "536366").split(",")
    first = shop(one, other, name="first.csv")
    second = shop(one, two, three, name="second.csv")
    manifest = snapshot_of([first, second], tmp_path / "out")
    assert [(line["invoice"], line["sku"]) for line in kept(tmp_path / "out")] == [
        ("536365", "A1"),
        ("536365", "A2"),
        ("536365", "A3"),
        ("536366", "85123A"),
    ]
    assert [(file.name, file.rows) for file in manifest.source.files] == [("first.csv", 2), ("second.csv", 3)]
    assert (manifest.source.overlap_rows, manifest.rows_in) == (1, 4)


def test_an_invoice_whose_copies_are_of_one_size_is_taken_from_the_first_file(shop, snapshot_of, tmp_path):
    first = shop(GOOD.split(","), name="b.csv")
    second = shop(GOOD.replace("LANTERN", "LAMP").split(","), name="a.csv")
    snapshot_of([first, second], tmp_path / "out")
    assert [line["description"] for line in kept(tmp_path / "out")] == ["LANTERN"]


def test_a_file_named_twice_counts_once(shop, snapshot_of, tmp_path):
    path = shop(GOOD.split(","))
    manifest = snapshot_of([path, path], tmp_path / "out")
    assert (manifest.rows_in, len(manifest.source.files), manifest.source.overlap_rows) == (1, 1, 0)


def test_exact_duplicates_are_kept_and_counted_and_dropped_on_request(shop, snapshot_of, tmp_path):
    path = shop(GOOD.split(","), GOOD.split(","), GOOD.split(","))
    kept_all = snapshot_of([path], tmp_path / "kept")
    dropped = snapshot_of([path], tmp_path / "dropped", drop_duplicates=True)
    assert (kept_all.source.duplicate_rows, kept_all.rows_in) == (2, 3)
    assert (dropped.source.duplicate_rows, dropped.rows_in, dropped.source.overlap_rows) == (2, 1, 0)


# --- files that cannot be used ---------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(200)


def bad_file(directory, name):
    content = {
        "empty.csv": b"",
        "blank.csv": b"\n\n",
        "picture.csv": PNG,
        "picture.xlsx": PNG,
        "picture.parquet": PNG,
        "picture.csv.gz": PNG,
        "cut.csv.gz": gzip.compress((HEADER + "\n" + (GOOD + "\n") * 5000).encode())[:-400],
        "damaged.csv.gz": damaged(gzip.compress((HEADER + "\n" + (GOOD + "\n") * 5000).encode())),
        "header.csv": HEADER.encode() + b"\n",
        "column.csv": HEADER.replace("Quantity", "Qty").encode() + b"\n" + GOOD.encode(),
        "two_ways.csv": f"{HEADER}\n{CAFE}\n".encode() + (GOOD + "\n").encode() * 50_000 + CAFE.encode("latin-1"),
        "two.zip": zipped({"a.csv": HEADER, "b.csv": HEADER}),
        "none.zip": zipped({"a.txt": HEADER}),
        "picture.zip": PNG,
        "no_order.csv": (HEADER + "\n" + GOOD.replace("2010-12-01", "1.12.2010")).encode(),
        "both_orders.csv": "\n".join(
            [HEADER, *(GOOD.replace("2010-12-01", day) for day in ("13/1/2010", "1/13/2010"))]
        ).encode(),
        "quarantined.csv": (HEADER + "\n" + GOOD.replace("2.55", "0")).encode(),
        "american.csv": (HEADER + "\n" + GOOD.replace("2010-12-01", "12/1/2010")).encode(),
        "notes.txt": b"hello",
        "damaged.parquet": damaged_parquet(),
    }.get(name)
    path = directory / name
    if content is not None:
        path.write_bytes(content)
    elif name == "folder.csv":
        path.mkdir()
    elif name == "loop.csv":
        path.symlink_to(directory / "pool.csv")
        (directory / "pool.csv").symlink_to(path)
    elif name == "pipe.csv":
        os.mkfifo(path)
    return path


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def damaged(data):
    changed = bytearray(data)
    changed[-6] ^= 0xFF  # in the checksum: only who looks at it can tell
    return bytes(changed)


def damaged_parquet():
    out = io.BytesIO()
    cells = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    pq.write_table(pa.table({name: [cell] * 500 for name, cell in cells.items()}), out)
    data = bytearray(out.getvalue())
    data[8:40] = bytes(32)
    return bytes(data)


BAD_FILES = {
    "missing.csv": "is not there",
    "folder.csv": "is a directory",
    "loop.csv": "is not there",
    "pipe.csv": "is no ordinary file",
    "damaged.parquet": "cannot be read",
    "empty.csv": "is empty",
    "blank.csv": "has no header line",
    "picture.csv": "is not text",
    "picture.xlsx": "cannot be read",
    "picture.parquet": "cannot be read",
    "picture.csv.gz": "is cut off or damaged",
    "cut.csv.gz": "is cut off or damaged",
    "damaged.csv.gz": "is cut off or damaged",
    "header.csv": "has a header and no line",
    "column.csv": "has no column Quantity; its columns are: InvoiceNo, StockCode, Description, Qty,",
    "two_ways.csv": "is not UTF-8: line 50003 is not, line 2 is",
    "two.zip": "holds 2 CSV files",
    "none.zip": "holds 0 CSV files",
    "picture.zip": "cannot be unpacked",
    "no_order.csv": "none tells whether the day or the month is first",
    "both_orders.csv": "some of them have the day first, others the month",
    "quarantined.csv": "every line is quarantined (non_positive_price 1)",
    "american.csv": "none tells whether the day or the month is first",
    "notes.txt": "is of a kind that is not read",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_gets_one_message_and_the_previous_snapshot_stays(name, shop, snapshot_of, tmp_path):
    out = tmp_path / "out"
    snapshot_of([shop(GOOD.split(","))], out)
    before = contents(out)
    with pytest.raises(SourceError) as caught:
        snapshot_of([bad_file(tmp_path, name)], out)
    assert BAD_FILES[name] in str(caught.value)
    assert name in caught.value.seen
    assert caught.value.expected
    assert caught.value.to_do
    assert contents(out) == before
    assert DirectoryStore(out).current().manifest.rows_in == 1


def contents(directory: Path):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_metadata_says_what_the_snapshot_was_made_from(shop, snapshot_of, tmp_path, now):
    path = shop(GOOD.split(","), GOOD.replace("2.55", "0").split(","), name="my shop.csv")
    snapshot_of([path], tmp_path / "out")
    said = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert said["source"]["files"][0]["name"] == "my shop.csv"
    assert said["quarantine"] == {"non_positive_price": 1}
    assert (said["rows_in"], said["rows_kept"]) == (2, 1)
    assert (said["data_from"], said["data_through"]) == ("2010-12-01", "2010-12-01")
    assert said["generated_at"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- how other systems write the same -------------------------------------------------------------------------------


def retold(lines, *, delimiter=",", decimal=".", date="{0:%Y-%m-%d %H:%M:%S}"):
    """Lines of our kind as another system exports them."""
    rows = [line.split(",") for line in lines]
    for row in rows:
        row[4] = date.format(datetime.fromisoformat(row[4]))
        row[5] = row[5].replace(".", decimal)
    cells = [HEADER.split(","), *rows]
    return "\n".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in cells) + "\n"


SALES = [
    GOOD,
    CAFE,
    GOOD.replace("536365", "536367").replace("2010-12-01", "2010-12-31"),
    GOOD.replace("536365", "C536368").replace(",6,", ",-6,").replace("2.55", "1234.50"),
]


def as_computed(directory, paths, **options):
    directory.mkdir()
    said = Said(options.pop("dates", None), options.pop("time_zone", ""))
    layout = options.pop("layout", None)
    job = Job(layout, "GBP", datetime(2026, 11, 22, 6, tzinfo=UTC), "test", said=said, **options)
    manifest = run(paths, job, directory)
    return hashes(manifest), manifest


@pytest.mark.parametrize(
    "content",
    [
        retold(SALES, delimiter=";", decimal=",").encode(),
        retold(SALES, delimiter="\t", decimal=",").encode("utf-16"),
        retold(SALES, delimiter="\t").encode("cp1252"),
        retold(SALES, delimiter=",", decimal=",").encode("utf-8-sig"),
        retold(SALES, date="{0:%d/%m/%Y %H:%M:%S}").encode(),
        retold(SALES, date="{0:%m/%d/%Y %H:%M}").encode("cp1252"),
        retold(SALES, delimiter=";", decimal=",", date="{0.day}.{0.month}.{0:%Y %H:%M}")
        .encode("utf-16-le")
        .join([b"\xff\xfe", b""]),
        retold(SALES).replace("1234.50", '"1234.50"').replace("\n", "\r\n").encode("cp1252"),
    ],
    ids=[
        "semicolons",
        "tabs in utf-16",
        "windows-1252",
        "decimal comma",
        "day first",
        "month first",
        "all of it",
        "quoted",
    ],
)
def test_however_a_system_writes_its_export_the_snapshot_is_the_same(tmp_path, content):
    plain, other = tmp_path / "plain.csv", tmp_path / "other.csv"
    plain.write_text(retold(SALES))
    other.write_bytes(content)
    expected, _ = as_computed(tmp_path / "a", [plain])
    found, manifest = as_computed(tmp_path / "b", [other])
    assert found == expected
    assert sum(manifest.quarantine.values()) == 0


@pytest.mark.parametrize(
    ("quantity", "price", "read"),
    [
        ("1.000", "1.234,50", (1000, 1_234_500)),
        ("6,0", "0,5", (6, 500)),
        ("6.0", "2,55", (6, 2550)),
        ("-1.234.567", "12,345", (-1_234_567, 12_345)),
    ],
)
def test_with_a_decimal_comma_points_group_thousands_and_nothing_else(tmp_path, quantity, price, read):
    path = tmp_path / "sales.csv"
    lines = [GOOD.replace(",", ";").replace("2.55", cell) for cell in (price, "2,5")]
    path.write_text("\n".join([HEADER.replace(",", ";"), lines[0].replace(";6;", f";{quantity};"), lines[1]]))
    as_computed(tmp_path / "out", [path])
    assert {(line["quantity"], line["unit_mills"]) for line in kept(tmp_path / "out")} == {read, (6, 2500)}


@pytest.mark.parametrize(("price", "other"), [("1,234", "3"), ("1,234.50", "2.55")])
def test_a_price_that_may_be_thousands_is_malformed_and_not_guessed(tmp_path, price, other):
    path = tmp_path / "sales.csv"
    path.write_text("\n".join([HEADER, GOOD.replace("2.55", other), GOOD.replace("2.55", f'"{price}"')]))
    _, manifest = as_computed(tmp_path / "out", [path])
    assert manifest.quarantine["malformed"] == 1


def test_an_order_of_dates_that_is_said_is_taken(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text(retold([GOOD], date="{0:%d/%m/%Y}"))
    days = {}
    for dates in ("dmy", "mdy"):
        _, manifest = as_computed(tmp_path / dates, [path], dates=dates)
        days[dates] = manifest.data_through.isoformat()
    assert days == {"dmy": "2010-12-01", "mdy": "2010-01-12"}


def test_a_zip_with_one_csv_and_a_directory_of_files_are_read(tmp_path):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "a.zip").write_bytes(zipped({"a.csv": retold(SALES[:2]), "readme.txt": "", "__MACOSX/._a.csv": "\0"}))
    (shelf / "b.csv").write_text(retold(SALES[2:]))
    (shelf / "notes.txt").write_text("hello")
    (tmp_path / "all.csv").write_text(retold(SALES))
    expected, _ = as_computed(tmp_path / "x", [tmp_path / "all.csv"])
    found, manifest = as_computed(tmp_path / "y", [shelf])
    assert found == expected
    assert [file.name for file in manifest.source.files] == ["a.zip", "b.csv"]


def test_the_layout_is_recognised_by_the_header(tmp_path):
    first, second = tmp_path / "one.csv", tmp_path / "two.csv"
    first.write_text(retold(SALES))
    second.write_text(
        retold(SALES).replace("InvoiceNo", "Invoice").replace("UnitPrice", "Price").replace("CustomerID", "Customer ID")
    )
    one, told_one = as_computed(tmp_path / "a", [first])
    two, told_two = as_computed(tmp_path / "b", [second])
    assert one == two
    assert (told_one.source.layout, told_two.source.layout) == ("online_retail", "online_retail_ii")
    with pytest.raises(SourceError, match="of several layouts"):
        as_computed(tmp_path / "c", [first, second])


def test_a_header_of_no_layout_gets_a_mapping_that_works_when_it_is_pasted(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("Order ID,Item Code,Qty,Order Date,Unit Price,Note\n1,A,2,2010-12-01,3.50,x\n")
    with pytest.raises(SourceError, match="its columns are: Order ID, Item Code, Qty") as caught:
        as_computed(tmp_path / "a", [path])
    assert "the nearest is online_retail" in caught.value.expected
    mapping = tomllib.loads("\n".join(line.strip() for line in caught.value.to_do.partition("\n\n")[2].splitlines()))
    columns = mapping["etl"]["columns"]
    assert columns["description"] == columns["customer_id"] == columns["country"] == ""
    (tmp_path / "b").mkdir()
    job = Job(chosen("auto", Own(columns, ["a "])), "GBP", datetime(2026, 11, 22, 6, tzinfo=UTC), "test")
    manifest = run([path], job, tmp_path / "b")
    ((line),) = pq.read_table(tmp_path / "b" / "sample_kpis.parquet").to_pylist()
    assert (line["invoice"], line["sku"], line["amount"], line["customer_id"], line["service"]) == (
        "1",
        "A",
        7000,
        None,
        True,
    )
    assert manifest.source.layout == "custom"


def test_a_mapping_proposes_the_amount_of_a_line_only_where_there_is_no_price_of_a_piece():
    by_line = tomllib.loads(proposed(["Order ID", "SKU", "Qty", "Date", "Line Total"]))["etl"]["columns"]
    assert (by_line["price"], by_line["amount"]) == ("", "Line Total")
    by_piece = tomllib.loads(proposed(["Order ID", "SKU", "Qty", "Date", "Line Total", "Price"]))["etl"]["columns"]
    assert (by_piece["price"], "amount" in by_piece) == ("Price", False)


ALL_NEEDED = dict.fromkeys(("invoice", "sku", "quantity", "at", "price"), "x")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"invoice": "Order"}, "lacks sku, quantity, at, price"),
        (ALL_NEEDED | {"colour": "c"}, "has colour"),
        ({**ALL_NEEDED, "price": "", "amount": ""}, "lacks price"),
    ],
)
def test_a_mapping_that_says_too_little_or_too_much_is_refused(columns, said):
    with pytest.raises(SettingsError, match=said):
        chosen("custom", Own(columns))


def test_the_price_of_a_piece_wins_over_the_amount_of_a_line():
    both = chosen("auto", Own(ALL_NEEDED | {"amount": "y"}))
    assert "amount" not in both.columns
    assert chosen("auto", Own({**ALL_NEEDED, "price": "", "amount": "y"})).columns["amount"] == "y"


def test_the_columns_of_the_settings_as_they_are_shipped_are_none() -> None:
    shipped = tomllib.loads((Path(__file__).parent.parent / "settings.toml").read_text())["etl"]["columns"]
    assert set(shipped.values()) == {""}
    assert chosen("auto", Own(shipped)) is None


OWN_COLUMNS = {"invoice": "Order", "sku": "Item", "quantity": "Qty", "at": "Date", "price": "Price"}
OWN = "Order,Item,Qty,Date,Price\n"


@pytest.mark.parametrize(
    ("prefix", "kinds"),
    [("", ["sale", "sale", "sale", "cancellation"]), ("ca", ["sale", "cancellation", "sale", "cancellation"])],
)
def test_in_an_export_of_ones_own_the_first_letter_of_an_invoice_means_only_what_was_said(tmp_path, prefix, kinds):
    path = tmp_path / "own.csv"
    lines = ["A1,X1,1,2026-03-01,2", "CA-2,X1,1,2026-03-02,2", "C3,X1,1,2026-03-03,2", "4,X1,-1,2026-03-04,2"]
    path.write_text(OWN + "\n".join(lines) + "\n")
    as_computed(tmp_path / "out", [path], layout=chosen("auto", Own(OWN_COLUMNS, cancellation=prefix)))
    assert [line["kind"] for line in kept(tmp_path / "out")] == kinds


MOMENTS = [
    ("2026-03-29T00:30:00Z", "2026-03-29 01:30:00"),  # before the clocks go forward in Berlin, and after
    ("2026-03-29T01:30:00Z", "2026-03-29 03:30:00"),
    ("2026-07-01 23:30:00+00:00", "2026-07-02 01:30:00"),
    ("2026-07-01 10:00 -0500", "2026-07-01 17:00:00"),
    ("2026-12-01T10:00:00.250 UTC", "2026-12-01 11:00:00.250000"),
    ("2026-12-01 10:00:00", "2026-12-01 10:00:00"),
    ("2026-12-01", "2026-12-01 00:00:00"),
]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_moment_with_an_offset_is_the_shops_local_time_where_its_zone_is_told(tmp_path, kind):
    path = tmp_path / f"moments.{kind}"
    rows = [f"{number},X1,1,{moment},2" for number, (moment, _) in enumerate(MOMENTS)]
    wanted = [local for _, local in MOMENTS]
    if kind == "csv":
        path.write_text(OWN + "\n".join(rows) + "\n")
    else:
        at = pa.array([datetime.fromisoformat("2026-03-29T00:30:00+00:00")], pa.timestamp("us", "America/New_York"))
        cells = {"Order": ["0"], "Item": ["X1"], "Qty": [1], "Date": at, "Price": [2.0]}
        pq.write_table(pa.table(cells), path)
        wanted = wanted[:1]
    as_computed(tmp_path / "out", [path], layout=chosen("auto", Own(OWN_COLUMNS)), time_zone="Europe/Berlin")
    assert [str(line["at"]) for line in sorted(kept(tmp_path / "out"), key=lambda line: line["invoice"])] == wanted


def test_a_moment_with_an_offset_is_malformed_where_no_zone_is_told(tmp_path):
    path = tmp_path / "moments.csv"
    path.write_text(OWN + "1,X1,1,2026-03-29T00:30:00Z,2\n2,X1,1,2026-03-29,2\n")
    as_computed(tmp_path / "out", [path], layout=chosen("auto", Own(OWN_COLUMNS)))
    assert [reason for reason, _ in quarantined(tmp_path / "out")] == ["malformed"]


def test_a_zone_that_is_not_there_is_a_mistake_in_the_settings(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text(retold(SALES))
    with pytest.raises(SettingsError, match="'Europe/Atlantis' is no time zone"):
        as_computed(tmp_path / "out", [path], time_zone="Europe/Atlantis")


def test_that_a_file_was_taken_for_windows_1252_is_said(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_bytes(retold(SALES).encode("cp1252"))
    told = []
    (tmp_path / "out").mkdir()
    run([path], Job(None, "GBP", datetime(2026, 11, 22, 6, tzinfo=UTC), "test"), tmp_path / "out", tell=told.append)
    assert told == [f"{path} is neither UTF-8 nor UTF-16: it was read as Windows-1252"]


# --- a clock of twelve hours, several sheets -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("12/1/2010 8:26 AM", "2010-12-01 08:26:00"),
        ("12/13/2010 8:26 pm", "2010-12-13 20:26:00"),
        ("12/1/2010 12:05:09 AM", "2010-12-01 00:05:09"),
        ("12/1/2010 12:00 p.m.", "2010-12-01 12:00:00"),
        ("2010-12-01 1:07PM", "2010-12-01 13:07:00"),
        ("12/1/2010 13:26 PM", None),
        ("12/1/2010 0:26 AM", None),
    ],
)
def test_times_with_am_and_pm_are_read_and_those_of_no_such_clock_are_not(tmp_path, told, meant):
    path = tmp_path / "sales.csv"
    first = (
        "536365,A,LAMP,1,12/13/2010 8:00 AM,2.55,17850,UK"
        if "/" in told
        else "536365,A,LAMP,1,2010-12-13 8:00 AM,2.55,17850,UK"
    )
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    path.write_text(f"{header}\n{first}\n536366,B,CUP,1,{told},2.55,17850,UK\n")
    out = tmp_path / "out"
    out.mkdir()
    manifest = run([path], Job(None, "GBP", datetime(2026, 11, 22, tzinfo=UTC), "test"), out)
    lines = {line["sku"]: line["at"] for line in pq.read_table(out / "sample_kpis.parquet").to_pylist()}
    assert manifest.quarantine.get("malformed", 0) == (meant is None)
    assert (f"{lines['B']:%Y-%m-%d %H:%M:%S}" if "B" in lines else None) == meant


def test_every_sheet_of_sales_is_read_and_the_others_are_named(tmp_path):
    header = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    path = tmp_path / "years.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Read me").write_row(0, 0, ["Exported by", "Ann"])
        for year in (2009, 2010):
            sheet = book.add_worksheet(f"Year {year}")
            sheet.write_row(0, 0, header)
            sheet.write_row(1, 0, [f"{year}", "A", "LAMP", 1, f"{year}-12-01 08:00:00", 2.0, 1, "UK"])
        book.add_worksheet("Empty")
    out, told = tmp_path / "out", []
    out.mkdir()
    manifest = run([path], Job(None, "GBP", datetime(2026, 11, 22, tzinfo=UTC), "test"), out, tell=told.append)
    assert (manifest.rows_in, manifest.rows_kept) == (2, 2)
    assert (manifest.data_from.year, manifest.data_through.year) == (2009, 2010)
    assert told == [f"{path}: sheets with other columns were left out: Read me"]
