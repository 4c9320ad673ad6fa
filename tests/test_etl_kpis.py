"""The definitions on shops small enough to count by hand."""

from datetime import date

import pyarrow.parquet as pq
import pytest

DAY = "2026-03-02"


@pytest.fixture
def computed(shop, snapshot_of, tmp_path):
    """A function: lines of the shop -> artifact name -> rows."""

    def compute(*lines):
        out = tmp_path / "out"
        snapshot_of([shop(*lines)], out)
        return {path.stem: pq.read_table(path).to_pylist() for path in out.glob("*.parquet")}

    return compute


def line(invoice="1", sku="A", quantity=1, at=DAY, price="10", customer="7", *, description="THING", country="UK"):
    return invoice, sku, description, quantity, at, price, customer, country


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(quantity="x"), "malformed"),
        (line(invoice="A1", price="x"), "malformed"),
        (line(invoice="A1", price="-5"), "bad_debt"),
        (line(invoice="a1"), "bad_debt"),
        (line(description="", price="0"), "stock_adjustment"),
        (line(description="", price="0", quantity=0), "stock_adjustment"),
        (line(price="0"), "non_positive_price"),
        (line(price="-1"), "non_positive_price"),
        (line(description="", price="-1"), "non_positive_price"),
        (line(quantity=0), "zero_quantity"),
    ],
)
def test_a_line_is_quarantined_for_the_first_reason_that_fits(computed, bad, reason):
    artifacts = computed(line(), bad)
    assert [row["reason"] for row in artifacts["quarantine"]] == [reason]
    assert len(artifacts["sample_kpis"]) == 1


@pytest.mark.parametrize(
    ("given", "kind", "service"),
    [
        (line(), "sale", False),
        (line(invoice="C1", quantity=-1), "cancellation", False),
        (line(invoice="c1", quantity=1), "cancellation", False),
        (line(quantity=-1), "cancellation", False),
        (line(sku="post"), "sale", True),
        (line(sku="BANK CHARGES"), "sale", True),
        (line(sku="POSTER"), "sale", False),
        (line(sku="C2"), "sale", True),
        (line(sku="GIFT"), "sale", True),
        (line(sku="gift_0001_20"), "sale", False),
    ],
)
def test_a_line_is_of_this_kind(computed, given, kind, service):
    (row,) = computed(given)["sample_kpis"]
    assert (row["kind"], row["service"]) == (kind, service)


def test_a_day_adds_up(computed):
    day = computed(
        line("1", "A", 2, price="10.50"),
        line("1", "POST", 1, price="4.95"),
        line("2", "BB", 1, price="3", customer=""),
        line("C3", "A", -1, price="10.50"),
        line("C4", "POST", -1, price="4.95"),
        line("5", "M", 1, price="100"),
    )["daily_kpis"][0]
    assert day == {
        "date": date(2026, 3, 2),
        "gross_sales": 24_000,
        "returns": 10_500,
        "net_sales": 13_500,
        "other_charges": 100_000,
        "total_sales": 113_500,
        "orders": 2,
        "units": 3,
        "customers": 1,
        "new_customers": 1,
        "returning_customers": 0,
        "cancellations": 2,
        "cancellation_rate": 0.5,
        "aov": 12_000.0,
    }


def test_quiet_days_are_zeros_and_their_rates_are_null(computed):
    days = computed(line("1", at="2026-02-27"), line("2", at="2026-03-02"))["daily_kpis"]
    assert [day["date"].day for day in days] == [27, 28, 1, 2]
    assert [day["orders"] for day in days] == [1, 0, 0, 1]
    assert (days[1]["gross_sales"], days[1]["aov"], days[1]["cancellation_rate"]) == (0, None, None)
    assert [day["returning_customers"] for day in days] == [0, 0, 0, 1]


def test_an_invoice_over_midnight_belongs_to_the_day_of_its_earliest_line(computed):
    artifacts = computed(
        line("1", "A", at="2026-03-02 23:59:00"),
        line("1", "BB", at="2026-03-03 00:01:00", customer="8"),
        line("2", "A", at="2026-03-03 09:00:00"),
    )
    assert [(day["orders"], day["gross_sales"], day["customers"]) for day in artifacts["daily_kpis"]] == [
        (1, 20_000, 2),
        (1, 10_000, 1),
    ]
    assert [(row["sku"], row["last_sold"].day) for row in artifacts["top_products"]] == [("A", 3), ("BB", 2)]


def test_products_rank_by_gross_sales_then_sku_and_take_their_class_from_those_before(computed):
    products = computed(
        line("1", "A", 79),
        line("2", "BB", 8),
        line("3", "C", 8),
        line("4", "DD", 5),
        line("C5", "BB", -8),
        line("C6", "Z", -1),
    )["top_products"]
    assert [(p["rank"], p["sku"], p["abc_class"]) for p in products] == [
        (1, "A", "A"),
        (2, "BB", "A"),
        (3, "C", "B"),
        (4, "DD", "C"),
    ]
    assert [p["cumulative_share"] for p in products] == [0.79, 0.87, 0.95, 1.0]
    assert (products[1]["returns"], products[1]["net_sales"]) == (80_000, 0)


def test_a_product_is_called_what_most_of_its_sales_call_it_then_by_the_alphabet(computed):
    products = computed(
        line("1", "A", description="ZEBRA"),
        line("2", "A", description="APPLE"),
        line("3", "BB", description="MANY"),
        line("4", "BB", description="MANY"),
        line("5", "BB", description="FEW"),
        line("C6", "BB", -1, description="FEW"),
        line("C7", "BB", -1, description="FEW"),
        line("8", "DD", description=""),
    )["top_products"]
    assert {p["sku"]: p["description"] for p in products} == {"A": "APPLE", "BB": "MANY", "DD": None}


def test_customers_score_by_competition_rank_so_that_ties_share(computed):
    lines = [
        line(str(n), customer=str(n), price=price, at=f"2026-03-{n:02}") for n, price in enumerate("11235", start=1)
    ]
    customers = computed(*lines)["rfm"]
    assert [c["m_score"] for c in customers] == [1, 1, 3, 4, 5]
    assert [c["recency_days"] for c in customers] == [5, 4, 3, 2, 1]
    assert [c["r_score"] for c in customers] == [1, 2, 3, 4, 5]
    assert [c["f_score"] for c in customers] == [1, 1, 1, 1, 1]
    assert [c["rfm"] for c in customers] == ["111", "211", "313", "414", "515"]
    assert [c["segment"] for c in customers] == ["Hibernating", "Hibernating", "About to sleep", "Promising", "New"]


def test_a_customer_who_only_returned_is_in_no_table(computed):
    artifacts = computed(
        line("1", customer="7"), line("C2", quantity=-1, customer="8"), line("3", "POST", customer="9")
    )
    assert [row["customer_id"] for row in artifacts["rfm"]] == ["7"]
    assert artifacts["cohorts"][0]["customers"] == 1


def test_cohorts_run_to_the_last_month_of_the_data_with_zeros_where_nobody_came(computed):
    rows = computed(
        line("1", customer="7", at="2025-12-31"),
        line("2", customer="8", at="2025-12-01"),
        line("3", customer="7", at="2026-02-01"),
        line("C4", customer="8", quantity=-1, at="2026-02-03"),
        line("5", customer="9", at="2026-02-28"),
    )["cohorts"]
    told = [
        (r["cohort_month"].isoformat(), r["months_since"], r["active"], r["retention"], r["net_sales"]) for r in rows
    ]
    assert told == [
        ("2025-12-01", 0, 2, 1.0, 20_000),
        ("2025-12-01", 1, 0, 0.0, 0),
        ("2025-12-01", 2, 1, 0.5, 0),
        ("2026-02-01", 0, 1, 1.0, 10_000),
    ]


def test_a_product_has_a_row_for_each_month_in_which_it_was_sold_or_came_back(computed):
    rows = computed(
        line("1", "A", at="2025-12-31 23:59:00"),
        line("1", "A", at="2026-01-01 00:01:00"),  # an invoice is of the day it began on
        line("2", "A", at="2026-02-01"),
        line("2", "BB", 3, at="2026-02-01"),
        line("C3", "A", -1, at="2026-03-03"),
        line("4", "POST", at="2026-03-03"),
    )["product_months"]
    told = [
        (r["sku"], r["month"].isoformat(), r["gross_sales"], r["returns"], r["net_sales"], r["units"], r["orders"])
        for r in rows
    ]
    assert told == [
        ("A", "2025-12-01", 20_000, 0, 20_000, 2, 1),
        ("A", "2026-02-01", 10_000, 0, 10_000, 1, 1),
        ("A", "2026-03-01", 0, 10_000, -10_000, 0, 0),
        ("BB", "2026-02-01", 30_000, 0, 30_000, 3, 1),
    ]


def test_the_sample_is_the_first_500_lines_in_the_order_of_the_contract(computed):
    lines = [line(str(n), at=f"2026-03-{1 + n % 28:02}") for n in range(600)]
    sample = computed(*lines)["sample_kpis"]
    keys = [(row["at"], row["invoice"], row["sku"], row["quantity"], row["unit_mills"]) for row in sample]
    assert len(keys) == 500
    assert keys == sorted(keys)


def test_a_shop_without_a_sale_still_gives_every_day(computed):
    artifacts = computed(line("C1", quantity=-1), line("C2", quantity=-1, at="2026-03-03"))
    assert [day["net_sales"] for day in artifacts["daily_kpis"]] == [-10_000, -10_000]
    assert (artifacts["top_products"], artifacts["rfm"], artifacts["cohorts"]) == ([], [], [])
