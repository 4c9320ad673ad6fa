"""Single days, months of the year, products that gain and lose, customers by name: over tables checked by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from dashboard import customer_views, day_charts, day_views, movers, product_charts, product_views
from dashboard.periods import Period
from tests.test_dashboard_views import daily, days

MONDAY = date(2026, 3, 2)
WHOLE = Period(MONDAY, date(2026, 12, 31))


def shop(gross, returns=None, orders=None, first=MONDAY):
    returned = returns or [0] * len(gross)
    return daily(
        first,
        len(gross),
        gross_sales=gross,
        returns=returned,
        net_sales=[sold - back for sold, back in zip(gross, returned, strict=True)],
        orders=orders or [10] * len(gross),
    )


# --- the calendar ----------------------------------------------------------------------------------------------------


def test_the_calendar_has_a_week_in_each_column_and_nothing_for_quiet_days():
    frame = shop([100] * 9, orders=[1, 1, 0, 1, 1, 1, 1, 1, 1])
    table = day_views.calendar(frame, Period(MONDAY, date(2026, 3, 10)), "net_sales")
    assert [str(week.date()) for week in table.columns] == ["2026-03-02", "2026-03-09"]
    assert table.shape == (7, 2)
    assert np.isnan(table.iloc[2, 0])  # no order, no return
    assert np.isnan(table.iloc[2, 1])  # not in the data
    assert table.iloc[0, 1] == 100


def test_the_calendar_reaches_a_year_back_in_whole_weeks():
    shown = day_views.calendar_days(days("2026-03-01", "2026-03-10"), days("2020-01-01", "2026-12-31"))
    assert (shown.first.weekday(), shown.last) == (0, date(2026, 3, 10))
    assert 360 < shown.days <= 371
    assert day_views.calendar_days(WHOLE, WHOLE).first >= WHOLE.first


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("by", ["net_sales", "orders", "returns"])
def test_the_calendar_is_drawn_for_any_days(by, dark):
    for frame in (shop([100] * 40), shop([100]), shop([0], orders=[0])):
        table = day_views.calendar(frame, WHOLE, by)
        figure = day_charts.calendar(table, by, "GBP", dark=dark)
        assert len(figure.data) == (0 if table.empty else 1)


# --- best and worst days ---------------------------------------------------------------------------------------------


def test_a_record_day_that_a_return_cancels_is_among_the_best_and_marked():
    frame = shop([1000] * 13 + [90_000], [0] * 13 + [88_000])
    best = day_views.best_days(frame, WHOLE, 1).iloc[0]
    assert (best["date"], best["gross_sales"]) == (pd.Timestamp("2026-03-15"), 90_000)
    assert best["reason"] == "Returns took back 98% of what was sold"


def test_days_are_set_apart_by_what_made_them():
    frame = shop([1000] * 26 + [9000, 3000], orders=[10] * 26 + [10, 30])
    reasons = day_views.best_days(frame, WHOLE, 3)["reason"].tolist()
    assert reasons == ["Large orders: 9.0 times the usual average", "Many orders, usually 10 on such a day", ""]


def test_the_worst_days_are_not_those_on_which_nothing_happened():
    frame = shop([1000] * 12 + [0, 50, 400], [0] * 12 + [0, 80, 0], orders=[10] * 12 + [0, 1, 10])
    worst = day_views.worst_days(frame, WHOLE, 2)
    assert worst["net_sales"].tolist() == [-30, 400]
    assert worst["reason"].tolist() == [
        "Returns took back more than was sold",
        "Small orders: 0.4 times the usual average",
    ]


def test_a_shop_without_a_sale_has_no_best_day():
    frame = shop([0, 0], orders=[0, 0])
    assert day_views.best_days(frame, WHOLE).empty
    assert day_views.worst_days(frame, WHOLE).empty


def test_months_of_the_year_are_told_with_the_days_that_are_there():
    frame = shop([10] * 40, first=date(2025, 12, 31))
    table = day_views.months_of_the_year(frame)
    assert table[["year", "month", "days", "whole"]].to_numpy().tolist() == [
        [2025, 12, 1, False],
        [2026, 1, 31, True],
        [2026, 2, 8, False],
    ]
    assert table["net_sales"].tolist() == [10, 310, 80]
    assert [bar.name for bar in day_charts.months_of_the_year(table, "GBP").data] == ["2025", "2026"]


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


def test_every_segment_has_something_to_do():
    assert set(customer_views.TO_DO) == set(customer_views.SEGMENTS)
    assert customer_views.advice(RFM)["to_do"].str.len().min() > 10
