"""Exports of orders: what was paid is what counts, what was taken back is a cancellation, and nobody is named."""

import csv
import io
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from etl.errors import SourceError
from etl.orders import SHOPIFY, WOOCOMMERCE, export_of, lines
from etl.run import Job, run

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
SHOPIFY_HEADER = [
    "Name",
    "Email",
    "Financial Status",
    "Paid at",
    "Fulfillment Status",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
    "Lineitem sku",
    "Billing Name",
    "Billing Country",
    "Shipping Country",
    "Cancelled at",
    "Refunded Amount",
    "Vendor",
    "Id",
    "Lineitem discount",
]
WOO_HEADER = [
    "Order Number",
    "Order Status",
    "Order Date",
    "First Name (Billing)",
    "Country Code (Billing)",
    "Email (Billing)",
    "Payment Method Title",
    "Cart Discount Amount",
    "Order Subtotal Amount",
    "Order Shipping Amount",
    "Order Refund Amount",
    "Order Total Amount",
    "SKU",
    "Item #",
    "Item Name",
    "Quantity (- Refund)",
    "Quantity",
    "Item Cost",
]
AT = "2026-03-01 23:30:00 +0200"


def order(name, *items, header=SHOPIFY_HEADER, **said):
    """Rows of one order: what is said of it stands in the first row only, as Shopify writes it."""
    rows = []
    for number, item in enumerate(items):
        own = {"Name": name, "Email": "Ann@Example.com", "Created at": AT}
        first = {"Financial Status": "paid", "Currency": "GBP", "Billing Country": "GB", **said} if not number else {}
        rows.append(dict.fromkeys(header, "") | own | first | item)
    return rows


def item(sku, quantity, price, name="A lamp"):
    return {
        "Lineitem sku": sku,
        "Lineitem quantity": str(quantity),
        "Lineitem price": str(price),
        "Lineitem name": name,
    }


def written(path, rows):
    """As CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue())
    return path


def short(rows, export=SHOPIFY):
    """invoice, sku, quantity, price of each line."""
    return [(line[0], line[1], line[3], line[5]) for line in lines(rows, export)]


# --- Shopify, line by line


def test_an_order_over_several_rows_is_a_line_each_with_the_shops_own_time_and_the_country():
    rows = order("#1001", item("A", 2, "10.00"), item("B", 1, "5.00", "A cup"), Subtotal="25.00")
    customer = next(iter(lines(rows, SHOPIFY)))[6]
    assert list(lines(rows, SHOPIFY)) == [
        ("#1001", "A", "A lamp", "2", "2026-03-01 23:30:00", "10.000", customer, "GB"),
        ("#1001", "B", "A cup", "1", "2026-03-01 23:30:00", "5.000", customer, "GB"),
    ]


def test_discounts_are_spread_over_the_lines_so_that_the_order_comes_to_what_was_paid():
    rows = order("#1", item("A", 2, "10.00"), item("B", 1, "20.00"), Subtotal="30.00")
    assert short(rows) == [("#1", "A", "2", "7.500"), ("#1", "B", "1", "15.000")]


def test_shipping_is_a_line_of_its_own():
    rows = order("#1", item("A", 1, "10.00"), Subtotal="10.00", Shipping="4.90")
    assert short(rows)[1:] == [("#1", "SHIPPING", "1", "4.900")]


@pytest.mark.parametrize(
    "said",
    [{"Financial Status": "refunded"}, {"Financial Status": "Voided"}, {"Cancelled at": "2026-03-04 09:00:00 +0200"}],
)
def test_what_was_cancelled_or_refunded_whole_is_taken_back_line_by_line(said):
    rows = order("#1", item("A", 2, "10.00"), Subtotal="20.00", Shipping="5", **said)
    back = [line for line in lines(rows, SHOPIFY) if line[0] == "C#1"]
    assert [(line[1], line[3], line[5]) for line in back] == [("A", "-2", "10.000"), ("SHIPPING", "-1", "5.000")]
    assert {line[4] for line in back} == {"2026-03-04 09:00:00" if "Cancelled at" in said else "2026-03-01 23:30:00"}


def test_money_given_back_of_an_order_is_one_line_of_no_product():
    rows = order(
        "#1", item("A", 2, "10"), Subtotal="20", **{"Financial Status": "partially_refunded", "Refunded Amount": "7"}
    )
    assert short(rows)[1:] == [("C#1", "REFUND", "-1", "7.000")]


def test_an_article_without_a_code_is_known_by_its_name():
    assert short(order("#1", item("", 1, "3", "A bag")))[0][1] == "A bag"


@pytest.mark.parametrize(("name", "invoice"), [("C1001", "#C1001"), ("A7", "#A7"), ("#9", "#9"), ("EU-5", "#EU-5")])
def test_the_name_of_an_order_is_never_taken_for_a_cancellation(name, invoice):
    assert short(order(name, item("A", 1, "3")))[0][0] == invoice


def test_a_customer_is_told_apart_by_the_address_and_not_named():
    one, same, other = (
        next(iter(lines(order("#1", item("A", 1, "3") | {"Email": mail}), SHOPIFY)))[6]
        for mail in ("ann@example.com", " Ann@Example.COM ", "bob@example.com")
    )
    assert one == same != other
    assert "ann" not in one


def test_what_is_no_number_goes_on_as_it_stands_and_is_not_guessed():
    rows = order("#1", item("A", "two", "10.00"), item("B", 1, "x"), Subtotal="10")
    assert short(rows) == [("#1", "A", "two", "10.00"), ("#1", "B", "1", "x")]


# --- WooCommerce


def woo(number, status="Completed", quantity=2, kept=2, **said):
    row = dict.fromkeys(WOO_HEADER, "") | {
        "Order Number": str(number),
        "Order Status": status,
        "Order Date": "2026-03-01 10:11",
        "Email (Billing)": "ann@example.com",
        "Country Code (Billing)": "GB",
        "Order Subtotal Amount": "20.00",
        "SKU": "A",
        "Item Name": "A lamp",
        "Quantity": str(quantity),
        "Quantity (- Refund)": str(kept),
        "Item Cost": "10.00",
    }
    return row | said


def test_pieces_that_came_back_are_a_cancellation():
    assert short([woo(7, kept=1)], WOOCOMMERCE) == [("#7", "A", "2", "10.000"), ("C#7", "A", "-1", "10.000")]


def test_without_the_number_that_was_sold_what_stayed_is_what_was_sold():
    rows = [{name: cell for name, cell in woo(7, kept=1).items() if name != "Quantity"}]
    assert short(rows, WOOCOMMERCE)[0][2] == "1"
    assert len(short(rows, WOOCOMMERCE)) == 1


@pytest.mark.parametrize("status", ["Refunded", "cancelled", "Failed"])
def test_an_order_that_came_to_nothing_is_taken_back(status):
    assert [line[2] for line in short([woo(7, status)], WOOCOMMERCE)] == ["2", "-2"]


def test_a_discount_of_the_cart_is_taken_off():
    assert short([woo(7) | {"Cart Discount Amount": "5.00"}], WOOCOMMERCE) == [("#7", "A", "2", "7.500")]


# --- whole files


def snapshot(path, tmp_path, currency="GBP", layout=None):
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    manifest = run([path], Job(layout, currency, NOW, "test"), out)
    return manifest, {name: pq.read_table(out / f"{name}.parquet").to_pylist() for name in ("daily_kpis", "rfm")}


def many(count=40, seed=7):
    """Orders, and what they come to by the plainest arithmetic: products sold, products taken back, the rest."""
    draw = random.Random(seed)
    rows, sold, back = [], 0, 0
    for number in range(count):
        items = [
            item(f"P{draw.randrange(9)}", draw.randint(1, 5), draw.randint(1, 40)) for _ in range(draw.randint(1, 4))
        ]
        paid = sum(int(one["Lineitem quantity"]) * int(one["Lineitem price"]) for one in items)
        state = draw.choice(["paid", "paid", "pending", "refunded"])
        rows += order(f"#{number}", *items, Subtotal=str(paid), Shipping="5.00", **{"Financial Status": state})
        sold += paid * 1000
        back += paid * 1000 if state == "refunded" else 0
    return rows, sold, back


def test_the_figures_of_a_file_are_those_of_plain_arithmetic(tmp_path):
    rows, sold, back = many()
    manifest, found = snapshot(written(tmp_path / "orders.csv", rows), tmp_path)
    (day,) = found["daily_kpis"]
    assert (day["gross_sales"], day["returns"], day["net_sales"]) == (sold, back, sold - back)
    refunded = sum(1 for row in rows if row["Financial Status"] == "refunded")
    assert day["other_charges"] == (40 - refunded) * 5000
    assert manifest.rows_kept == manifest.rows_in
    assert len(found["rfm"]) == 1


def test_an_export_is_known_by_its_header_in_any_order_of_columns(tmp_path):
    rows, sold, _ = many()
    turned = [dict(sorted(row.items())) for row in rows]
    _, found = snapshot(written(tmp_path / "orders.csv", turned), tmp_path)
    assert found["daily_kpis"][0]["gross_sales"] == sold
    assert export_of(WOO_HEADER) is WOOCOMMERCE
    assert export_of(["Name", "Email"]) is None


def test_another_currency_is_refused_with_what_to_say(tmp_path):
    rows = order("#1", item("A", 1, "3"), Currency="EUR")
    with pytest.raises(SourceError, match="amounts in EUR") as raised:
        snapshot(written(tmp_path / "orders.csv", rows), tmp_path)
    assert "--currency" in str(raised.value)
    assert snapshot(written(tmp_path / "orders.csv", rows), tmp_path, "EUR")[0].currency == "EUR"


def fab_etl(*words):
    done = subprocess.run([sys.executable, "-m", "etl", *map(str, words)], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done


def test_a_layout_that_a_file_is_not_of_is_refused_with_its_own_columns(tmp_path):
    path = written(tmp_path / "orders.csv", [woo(1)])
    done = fab_etl("--source", path, "--layout", "shopify", "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "Lineitem quantity" in done.stderr
    assert fab_etl("--source", path, "--layout", "woocommerce", "--out", tmp_path / "out").returncode == 0


def test_a_quoted_pattern_stands_for_its_files(tmp_path):
    written(tmp_path / "january.csv", order("#1", item("A", 1, "3")))
    written(tmp_path / "march.csv", order("#2", item("A", 1, "4")))
    (tmp_path / "notes.txt").write_text("no sales")
    done = fab_etl("--source", tmp_path / "*.csv", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert pq.read_table(next((tmp_path / "out").glob("daily_kpis*.parquet"))).to_pylist()[0]["gross_sales"] == 7000
    missing = fab_etl("--source", tmp_path / "*.xlsx", "--out", tmp_path / "out")
    assert missing.returncode == 3
    assert "*.xlsx is not there" in missing.stderr


def test_200_damaged_exports_give_a_result_that_balances_or_one_clear_error(tmp_path):
    rows, _, _ = many(12)
    whole = written(tmp_path / "orders.csv", rows).read_bytes()
    draw = random.Random(11)
    refused = 0
    for number in range(200):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            place = draw.randrange(len(data))
            kind = draw.randrange(4)
            if kind == 0:
                data[place] = draw.randrange(256)
            elif kind == 1:
                del data[place : place + draw.randint(1, 40)]
            elif kind == 2:
                data[place:place] = draw.choice([b'"', b"\n", b",", b"\x00", b"\xff", b"-", b"\r"])
            else:
                del data[max(place, 600) :]
        path = tmp_path / f"damaged{number}.csv"
        path.write_bytes(bytes(data))
        out = tmp_path / f"out{number}"
        out.mkdir()
        try:
            manifest = run([path], Job(None, "GBP", NOW, "test"), out)
        except SourceError:
            refused += 1
            continue
        assert manifest.rows_in == manifest.rows_kept + sum(manifest.quarantine.values())
    assert 0 < refused < 200


def test_the_docs_name_every_layout_of_orders():
    text = (Path(__file__).parent.parent / "docs" / "sources.md").read_text()
    assert "shopify" in text
    assert "woocommerce" in text
