"""Single days, months of the year, products that gain and lose, customers by name: over tables checked by hand."""

from datetime import date

import pandas as pd
import pytest

from dashboard import customer_views, movers, product_charts, product_views
from dashboard.periods import Period

MONDAY = date(2026, 3, 2)
WHOLE = Period(MONDAY, date(2026, 12, 31))


# --- movers ----------------------------------------------------------------------------------------------------------


def months(*rows):
    table = pd.DataFrame(rows, columns=["sku", "month", "net_sales", "units"])
    table["month"] = pd.to_datetime(table["month"]).astype("datetime64[ms]")
    table["gross_sales"], table["returns"], table["orders"] = table["net_sales"], 0, 1
    return table.astype({"sku": "category"})


PRODUCTS = pd.DataFrame({"sku": ["A", "B", "C"], "description": ["APPLE", "BREAD", None]})


def test_only_whole_months_are_compared():
    assert movers.whole_months(date(2026, 1, 1), date(2026, 3, 31)) == movers.Months(date(2026, 1, 1), date(2026, 3, 1))
    assert movers.whole_months(date(2025, 12, 2), date(2026, 3, 30)) == movers.Months(
        date(2026, 1, 1), date(2026, 2, 1)
    )
    assert movers.whole_months(date(2026, 1, 2), date(2026, 1, 30)) is None
    assert movers.whole_months(date(1, 1, 1), date(1, 1, 5)) is None


COMPARED = [
    ("1 month", "before", ("2026-02-01", "2026-02-01", "2026-01-01", "2026-01-01")),
    ("3 months", "before", ("2025-12-01", "2026-02-01", "2025-09-01", "2025-11-01")),
    ("3 months", "last year", ("2025-12-01", "2026-02-01", "2024-12-01", "2025-02-01")),
    ("12 months", "before", ("2025-03-01", "2026-02-01", "2024-03-01", "2025-02-01")),
]


@pytest.mark.parametrize(("length", "against", "expected"), COMPARED)
def test_months_are_compared_with_as_many_before_or_a_year_earlier(length, against, expected):
    whole = movers.Months(date(2024, 1, 1), date(2026, 2, 1))
    now, before = movers.compared(whole, length, against)
    assert tuple(str(day) for day in (now.first, now.last, before.first, before.last)) == expected


def test_without_all_of_the_months_nothing_is_compared():
    assert movers.compared(movers.Months(date(2026, 1, 1), date(2026, 2, 1)), "3 months", "before") is None
    assert movers.compared(None, "1 month", "before") is None


def test_movers_are_told_from_most_gained_to_most_lost():
    table = months(
        ("A", "2026-01-01", 100, 1), ("A", "2026-02-01", 250, 2), ("B", "2026-01-01", 90, 1), ("C", "2026-02-01", 60, 6)
    )
    now, before = movers.Months(date(2026, 2, 1), date(2026, 2, 1)), movers.Months(date(2026, 1, 1), date(2026, 1, 1))
    found = movers.movers(table, PRODUCTS, now, before)
    assert found[["sku", "change", "units"]].to_numpy().tolist() == [["A", 150, 2], ["C", 60, 6], ["B", -90, 0]]
    assert found["change_rate"].tolist() == [1.5, pytest.approx(float("nan"), nan_ok=True), -1.0]
    assert found["description"].tolist()[0] == "APPLE"
    assert movers.ends(found, 1)["sku"].tolist() == ["A", "B"]
    (bars,) = product_charts.movers(movers.ends(found, 1), "GBP").data
    assert list(bars.x) == [0.15, -0.09]


def test_one_product_has_a_row_for_every_month_of_the_data():
    table = months(("A", "2026-01-01", 100, 1), ("A", "2026-03-01", 50, 1))
    own = movers.months_of(table, "A", date(2025, 12, 5), date(2026, 3, 9))
    assert own["net_sales"].tolist() == [0, 100, 0, 50]
    assert movers.months_of(table, "nobody", date(2026, 1, 1), date(2026, 1, 9))["net_sales"].tolist() == [0]
    assert len(product_charts.months(own, "GBP").data) == 2


# --- products --------------------------------------------------------------------------------------------------------

SOLD = pd.DataFrame(
    {
        "rank": [1, 2],
        "sku": ["85123A", "A/B c&?"],
        "description": ["WHITE HEART", None],
        "gross_sales": [3000, 1000],
        "returns": [300, 0],
        "net_sales": [2700, 1000],
        "units": [3, 1],
        "orders": [2, 1],
        "customers": [1, 1],
        "first_sold": pd.to_datetime(["2026-01-01", "2026-01-02"]),
        "last_sold": pd.to_datetime(["2026-02-01", "2026-01-02"]),
        "share": [0.75, 0.25],
        "cumulative_share": [0.75, 1.0],
        "abc_class": ["A", "A"],
    }
)


def test_a_search_finds_words_in_names_and_skus_and_obeys_no_pattern():
    table = product_views.product_table(SOLD)
    assert product_views.found(table, "heart white")["sku"].tolist() == ["85123A"]
    assert product_views.found(table, "a/b")["sku"].tolist() == ["A/B c&?"]
    assert product_views.found(table, ".*").empty
    assert product_views.found(table, "((((").empty
    assert len(product_views.found(table, "  ")) == 2


def test_a_product_is_linked_to_by_its_sku_whatever_stands_in_it():
    assert product_views.product_table(SOLD)["link"].tolist() == ["products?sku=85123A", "products?sku=A%2FB%20c%26%3F"]


def test_one_product_is_found_by_its_very_sku():
    found = product_views.product(SOLD, "85123A")
    assert (found.rank, found.description, found.return_rate) == (1, "WHITE HEART", 0.1)
    assert product_views.product(SOLD, "A/B c&?").description is None
    assert product_views.product(SOLD, "85123a") is None


# --- customers -------------------------------------------------------------------------------------------------------

RFM = pd.DataFrame(
    {
        "customer_id": ["7", "8", "9"],
        "country": ["UK", None, "UK"],
        "first_order": pd.to_datetime(["2026-01-01", "2026-01-01", "2026-01-01"]),
        "last_order": pd.to_datetime(["2026-01-31", "2026-01-01", "2026-01-01"]),
        "frequency": [4, 1, 2],
        "monetary": [100, 300, -50],
        "segment": ["Champions", "New", "At risk"],
    }
)


def test_the_gap_between_orders_is_that_of_customers_who_came_back():
    gaps = customer_views.gap_days(RFM)
    assert gaps.tolist() == [10.0, 0.0]
    table = customer_views.gap_histogram(gaps)
    assert table["customers"].tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert customer_views.gap_histogram(gaps.head(0))["customers"].sum() == 0


def test_the_best_customers_come_first_and_masked_none_is_named():
    table = customer_views.ranked(RFM, masked=False)
    assert table["customer"].tolist() == ["8", "7", "9"]
    assert table["share"].tolist() == [0.75, 0.25, -0.125]
    masked = customer_views.ranked(RFM, masked=True)
    assert masked["customer"].tolist() == ["Customer 1", "Customer 2", "Customer 3"]
    assert "customer_id" not in masked.columns
    best = customer_views.ranked(RFM, masked=True, number=1)
    assert best["share"].tolist() == [0.75]
    assert len(customer_views.ranked(RFM.head(0), masked=False, number=5)) == 0


def test_every_segment_has_something_to_do():
    assert set(customer_views.TO_DO) == set(customer_views.SEGMENTS)
    assert customer_views.advice(RFM)["to_do"].str.len().min() > 10
