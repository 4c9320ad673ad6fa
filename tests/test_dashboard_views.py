"""The numbers of the pages, over tables small enough to check by hand."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from dashboard import customer_views, product_views, views
from dashboard.periods import Period
from etl.contract import ARTIFACTS

NUMBERS = {"int64": "int64", "float64": "float64"}


def empty(artifact: str) -> pd.DataFrame:
    kinds = {**NUMBERS, "date": "datetime64[ms]", "string": "str"}
    return pd.DataFrame({column.name: pd.Series(dtype=kinds[column.type]) for column in ARTIFACTS[artifact]})


def daily(first: date, days: int, **columns: list[int]) -> pd.DataFrame:
    """daily_kpis with the given columns, everything else 0."""
    frame = empty("daily_kpis").reindex(range(days))
    frame["date"] = pd.date_range(first, periods=days, unit="ms")
    for name in views.SUMMED:
        frame[name] = np.array(columns.get(name, [0] * days), dtype="int64")
    return frame


def days(first: str, last: str) -> Period:
    return Period(date.fromisoformat(first), date.fromisoformat(last))


def kpis_by_name(frame: pd.DataFrame, period: Period, before: Period | None) -> dict[str, views.Kpi]:
    return {kpi.name: kpi for kpi in views.kpis(frame, period, before)}


# --- a period


def test_kpis_are_ratios_of_sums_not_averages_of_daily_ratios():
    frame = daily(
        date(2024, 3, 1),
        4,
        gross_sales=[1_000, 9_000, 20_000, 0],
        returns=[0, 500, 1_000, 0],
        net_sales=[1_000, 8_500, 19_000, 0],
        orders=[1, 3, 8, 0],
        new_customers=[1, 1, 0, 0],
        returning_customers=[0, 1, 6, 0],
        cancellations=[1, 0, 2, 0],
    )
    found = kpis_by_name(frame, days("2024-03-03", "2024-03-04"), days("2024-03-01", "2024-03-02"))
    assert {name: (kpi.value, kpi.change) for name, kpi in found.items()} == {
        "Net sales": (19_000, 1.0),
        "Gross sales": (20_000, 1.0),
        "Returns": (1_000, 1.0),
        "Orders": (8, 1.0),
        "Average order": (2_500, 0.0),
        "Customers a day": (3.0, 1.0),
        "New customers": (0.0, -2 / 3),
        "Cancellation rate": (0.2, 0.0),
    }
    assert found["Average order"].series == (2_500.0,)
    assert [name for name, kpi in found.items() if kpi.rise_is_good is False] == ["Returns", "Cancellation rate"]
    assert found["New customers"].rise_is_good is None


def test_where_the_persons_are_known_their_number_stands_on_the_card_and_the_change_is_that_of_a_day():
    frame = daily(
        date(2024, 3, 1), 4, orders=[1, 1, 1, 1], new_customers=[1, 1, 1, 0], returning_customers=[0, 0, 1, 1]
    )
    found = views.kpis(frame, days("2024-03-03", "2024-03-04"), days("2024-03-01", "2024-03-02"), different_customers=2)
    card = {kpi.name: kpi for kpi in found}["Customers"]
    assert (card.value, card.change, card.change_of, card.series) == (2, 0.5, "a day", (2.0, 1.0))


def test_without_a_comparison_nothing_has_changed_by_anything():
    frame = daily(date(2024, 3, 1), 2, net_sales=[5, 7], orders=[1, 1])
    assert {kpi.change for kpi in views.kpis(frame, days("2024-03-01", "2024-03-02"), None)} == {None}


@pytest.mark.parametrize(("then", "change"), [(0, None), (-100, None), (50, 1.0)])
def test_a_change_from_nothing_or_from_a_loss_is_not_available(then: int, change: float | None):
    frame = daily(date(2024, 3, 1), 2, net_sales=[then, 100])
    found = kpis_by_name(frame, days("2024-03-02", "2024-03-02"), days("2024-03-01", "2024-03-01"))
    assert found["Net sales"].change == change


def test_a_quiet_period_has_zeros_and_no_rates():
    frame = daily(date(2024, 3, 1), 3)
    found = kpis_by_name(frame, days("2024-03-01", "2024-03-03"), None)
    assert found["Net sales"].value == 0
    assert found["Average order"].value is None
    assert found["Cancellation rate"].value is None
    assert found["Cancellation rate"].series == ()


def test_a_shop_of_one_day_has_one_point():
    frame = daily(date(2024, 2, 29), 1, gross_sales=[700], net_sales=[700], orders=[2])
    period = days("2024-02-29", "2024-02-29")
    points = views.series(frame, period)
    assert points[["net_sales", "orders", "days", "partial"]].to_numpy().tolist() == [[700, 2, 1, False]]
    assert kpis_by_name(frame, period, None)["Average order"].value == 350


def test_empty_tables_have_zeros_for_every_day_of_the_period():
    points = views.series(empty("daily_kpis"), days("2024-03-01", "2024-03-03"))
    assert points["net_sales"].tolist() == [0, 0, 0]
    assert points["average_order"].isna().all()
    assert views.totals(empty("daily_kpis"), days("2024-03-01", "2024-03-03")).net_sales_mills == 0


def test_weeks_are_counted_back_from_the_last_day_so_that_only_the_first_is_short():
    frame = daily(date(2024, 1, 1), 100, orders=[1] * 100)
    points = views.series(frame, Period(date(2024, 1, 1), date(2024, 4, 9)))
    assert points["orders"].tolist() == [2, *[7] * 14]
    assert points["partial"].tolist() == [True, *[False] * 14]
    assert points["last"].iloc[-1] == pd.Timestamp(2024, 4, 9)
    assert points["first"].iloc[-1] == pd.Timestamp(2024, 4, 3)


def test_months_are_the_calendars_and_say_where_they_are_cut():
    first = date(2022, 1, 15)
    frame = daily(first, 750, orders=[1] * 750)
    points = views.series(frame, Period(first, first + timedelta(days=749)))
    assert points["orders"].iloc[:3].tolist() == [17, 28, 31]
    assert points["partial"].tolist() == [True, *[False] * (len(points) - 2), True]
    assert points["orders"].sum() == 750


def test_a_comparison_is_cut_where_the_period_is():
    frame = daily(date(2022, 1, 1), 900, orders=list(range(900)))
    period, before = Period(date(2023, 3, 1), date(2024, 5, 1)), Period(date(2022, 1, 1), date(2023, 3, 3))
    now, then = views.series(frame, period), views.series(frame, before, like=period)
    assert now["days"].tolist() == then["days"].tolist()
    assert then["first"].iloc[0] == pd.Timestamp(2022, 1, 1)
    assert then["first"].iloc[1] == pd.Timestamp(2022, 2, 1)
    assert then["orders"].sum() == views.totals(frame, before).orders


def test_months_are_told_by_year_and_say_which_are_not_whole():
    frame = daily(date(2023, 12, 31), 33, net_sales=[7] + [1] * 31 + [5], orders=[1] * 33)
    table = views.months(frame)
    assert table.to_dict("list") == {
        "year": [2023, 2024, 2024],
        "month": [12, 1, 2],
        "days": [1, 31, 1],
        "partial": [True, False, True],
        "net_sales": [7, 31, 5],
        "orders": [1, 31, 1],
    }
    assert views.months(empty("daily_kpis")).empty


def test_the_share_of_new_customers_is_that_of_customer_days_and_missing_where_nobody_came():
    frame = daily(date(2024, 3, 1), 3, new_customers=[3, 0, 0], returning_customers=[1, 0, 4])
    period = days("2024-03-01", "2024-03-03")
    assert views.totals(frame, period).new_share == 3 / 8
    assert views.series(frame, period)["new_share"].fillna(-1).tolist() == [0.75, -1, 0]


def test_the_average_weekday_counts_quiet_days_and_leaves_out_weekdays_that_do_not_occur():
    frame = daily(date(2024, 3, 4), 8, net_sales=[100, 0, 0, 0, 0, 0, 0, 300], orders=[1, 0, 0, 0, 0, 0, 0, 3])
    profile = views.weekdays(frame, days("2024-03-04", "2024-03-11"))
    assert profile.iloc[0].tolist() == ["Mon", 2, 200.0, 2.0]
    assert profile.iloc[1].tolist() == ["Tue", 1, 0.0, 0.0]
    assert views.weekdays(frame, days("2024-03-04", "2024-03-04"))["net_sales"].isna().sum() == 6


# --- products


@pytest.fixture
def products() -> pd.DataFrame:
    frame = empty("top_products").reindex(range(4))
    return frame.assign(
        rank=[1, 2, 3, 4],
        sku=["A", "B", "C", "D"],
        description=["a", None, "c", "d"],
        gross_sales=[8_000, 1_500, 400, 100],
        returns=[0, 1_500, 100, 0],
        net_sales=[8_000, 0, 300, 100],
        units=[5, 5, 50, 1],
        orders=[2, 1, 3, 1],
        customers=[1, 1, 2, 1],
        first_sold=pd.Timestamp(2024, 1, 1),
        last_sold=pd.Timestamp(2024, 2, 1),
        share=[0.8, 0.15, 0.04, 0.01],
        cumulative_share=[0.8, 0.95, 0.99, 1.0],
        abc_class=["A", "B", "C", "C"],
    )


def test_products_are_ranked_by_the_measure_asked_for_and_the_sku_decides_ties(products: pd.DataFrame):
    assert product_views.leaders(products, "net_sales", 3)["sku"].tolist() == ["A", "C", "D"]
    assert product_views.leaders(products, "gross_sales", 2)["sku"].tolist() == ["A", "B"]
    assert product_views.leaders(products, "units", 9)["sku"].tolist() == ["C", "A", "B", "D"]


def test_most_returned_lists_only_products_that_came_back(products: pd.DataFrame):
    worst = product_views.most_returned(products, 10)
    assert worst[["sku", "returns", "return_rate"]].to_numpy().tolist() == [["B", 1_500, 1.0], ["C", 100, 0.25]]


def test_product_facts_and_classes_add_up(products: pd.DataFrame):
    assert product_views.product_facts(products) == product_views.ProductFacts(4, 1, 0.25, 1.0, 0.16)
    table = product_views.abc(products)
    assert table["abc_class"].tolist() == ["A", "B", "C"]
    assert table["products"].tolist() == [1, 1, 2]
    assert table["share_of_products"].tolist() == [0.25, 0.25, 0.5]
    assert table["share_of_sales"].tolist() == [0.8, 0.15, 0.05]


def test_the_concentration_curve_keeps_the_ends_of_classes_when_it_is_thinned(products: pd.DataFrame):
    curve = product_views.pareto(products)
    assert curve["share_of_products"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve["cumulative_share"].tolist() == [0.8, 0.95, 0.99, 1.0]
    many = pd.DataFrame(
        {
            "rank": range(1, 5001),
            "abc_class": ["A"] * 1001 + ["B"] * 999 + ["C"] * 3000,
            "cumulative_share": np.linspace(0.01, 1, 5000),
        }
    )
    thin = product_views.pareto(many)
    assert len(thin) <= 303
    assert thin["share_of_products"].iloc[-1] == 1.0
    assert {1001 / 5000, 2000 / 5000} <= set(thin["share_of_products"])


def test_the_product_table_shows_units_of_money_and_leaves_the_frame_alone(products: pd.DataFrame):
    shown = product_views.product_table(products)
    assert tuple(shown.columns) == product_views.PRODUCT_COLUMNS
    assert shown["gross_sales"].tolist() == [8.0, 1.5, 0.4, 0.1]
    assert products["gross_sales"].tolist() == [8_000, 1_500, 400, 100]


def test_a_shop_without_products_has_no_facts_and_no_curve():
    none = empty("top_products")
    assert product_views.product_facts(none) == product_views.ProductFacts(0, 0, None, None, None)
    assert product_views.pareto(none).empty
    assert product_views.abc(none).empty
    assert product_views.most_returned(none, 5).empty


# --- customers


@pytest.fixture
def rfm() -> pd.DataFrame:
    frame = empty("rfm").reindex(range(4))
    return frame.assign(
        customer_id=["1", "2", "3", "4"],
        first_order=pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01", "2024-03-08"]),
        last_order=pd.to_datetime(["2024-03-09", "2024-02-01", "2024-03-01", "2024-03-08"]),
        recency_days=[1, 38, 91, 2],
        frequency=[5, 1, 1, 2],
        monetary=[9_000, 500, 500, 0],
        r_score=[5, 1, 1, 4],
        f_score=[5, 1, 1, 2],
        m_score=[5, 2, 2, 1],
        segment=["Champions", "Hibernating", "Zebras", "Potential loyalists"],
    )


def test_customer_facts_count_who_came_back_and_who_is_recent(rfm: pd.DataFrame):
    assert customer_views.customer_facts(rfm) == customer_views.CustomerFacts(4, 0.5, 3, 0.75, 2_500)
    assert customer_views.customer_facts(empty("rfm")) == customer_views.CustomerFacts(0, None, 0, None, None)


def test_distinct_customers_are_known_only_for_ranges_that_end_with_the_data(rfm: pd.DataFrame):
    data = days("2024-01-01", "2024-03-09")
    assert customer_views.customers_in(rfm, data, data) == 4
    assert customer_views.customers_in(rfm, days("2024-03-08", "2024-03-09"), data) == 2
    assert customer_views.customers_in(rfm, days("2024-03-08", "2024-03-08"), data) is None


def test_segments_stand_in_order_of_value_with_unknown_names_last(rfm: pd.DataFrame):
    table = customer_views.segments(rfm)
    assert table["segment"].tolist() == ["Champions", "Potential loyalists", "Hibernating", "Zebras"]
    assert table["share_of_customers"].tolist() == [0.25] * 4
    assert table["share_of_sales"].tolist() == [0.9, 0.0, 0.05, 0.05]
    assert customer_views.segments(empty("rfm")).empty


def test_the_rfm_grid_has_all_25_cells_and_loses_nobody(rfm: pd.DataFrame):
    grid = customer_views.rfm_grid(rfm)
    assert len(grid) == 25
    assert (grid["customers"].sum(), grid["monetary"].sum()) == (4, 10_000)
    assert grid[(grid["r_score"] == 1) & (grid["f_score"] == 1)][["customers", "monetary"]].to_numpy().tolist() == [
        [2, 1_000]
    ]


def cohort_rows(*rows: tuple[str, int, int, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cohort_month": pd.to_datetime([row[0] for row in rows]),
            "months_since": [row[1] for row in rows],
            "customers": [row[2] for row in rows],
            "retention": [row[3] for row in rows],
        }
    )


COHORTS = cohort_rows(
    ("2023-12-01", 0, 10, 1.0), ("2023-12-01", 2, 10, 0.3), ("2024-01-01", 0, 4, 1.0), ("2024-02-01", 0, 5, 1.0)
)


def test_retention_is_zero_where_nobody_came_and_empty_where_the_month_has_not_begun():
    found = customer_views.retention(COHORTS, date(2024, 2, 28))
    assert found.rates.to_numpy()[0].tolist() == [0.0, 0.3]
    assert found.rates.to_numpy()[1, 0] == 0.0
    assert np.isnan(found.rates.to_numpy()[1, 1])
    assert found.sizes == (10, 4)


def test_the_month_that_is_not_over_is_named_and_its_cells_are_known():
    found = customer_views.retention(COHORTS, date(2024, 2, 28))
    assert found.running == date(2024, 2, 1)
    assert found.is_running(pd.Timestamp(2023, 12, 1), 2)
    assert not found.is_running(pd.Timestamp(2023, 12, 1), 1)
    assert customer_views.retention(COHORTS, date(2024, 2, 29)).running is None


def test_a_shop_in_its_first_month_has_no_retention_yet():
    assert customer_views.retention(cohort_rows(("2024-02-01", 0, 5, 1.0)), date(2024, 2, 9)).rates.empty
    assert customer_views.retention(empty("cohorts"), date(2024, 2, 9)).rates.empty
