"""Figures: what is drawn, what it is called, and that drawing changes no frame."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from dashboard import chart_shapes, charts, customer_views, overview_charts, product_views, views
from dashboard.periods import Period

FIRST, DAYS = date(2024, 1, 1), 100
PERIOD, BEFORE = Period(date(2024, 3, 1), date(2024, 3, 28)), Period(date(2024, 2, 2), date(2024, 2, 29))


@pytest.fixture
def daily() -> pd.DataFrame:
    numbers = np.arange(DAYS, dtype="int64")
    columns = dict.fromkeys(views.SUMMED, numbers * 1000)
    return pd.DataFrame({"date": pd.date_range(FIRST, periods=DAYS), **columns})


@pytest.fixture
def products() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rank": [1, 2, 3],
            "sku": ["1", "2", "3"],
            "description": ["A VERY LONG NAME OF A PRODUCT", None, "CUP"],
            "gross_sales": [8_000, 1_500, 0],
            "returns": [500, 1_500, 200],
            "net_sales": [7_500, 0, -200],
            "units": [10_000, 5, 1],
            "cumulative_share": [0.8, 0.95, 1.0],
            "abc_class": ["A", "B", "C"],
        }
    )


@pytest.fixture
def rfm() -> pd.DataFrame:
    return pd.DataFrame(
        {"segment": ["Loyal", "At risk"], "monetary": [9_000, 1_000], "r_score": [5, 1], "f_score": [4, 2]}
    )


def test_net_sales_are_drawn_in_units_with_the_comparison_dashed(daily: pd.DataFrame):
    now, then = views.series(daily, PERIOD), views.series(daily, BEFORE, like=PERIOD)
    figure = charts.net_sales(now, then, "Period before", PERIOD.grain, "GBP")
    before, current = figure.data
    assert (before.name, before.line.dash, current.name, current.line.dash) == (
        "Period before",
        "dash",
        "Net sales",
        None,
    )
    assert list(current.y[:2]) == [60.0, 61.0]
    assert list(before.y[:2]) == [32.0, 33.0]
    assert list(before.x) == list(current.x)
    assert list(before.customdata[0]) == ["2 Feb 2024", "£32.00"]
    assert list(current.customdata[-1]) == ["28 Mar 2024", "£87.00"]
    assert list(figure.layout.yaxis.ticktext) == ["£0", "£20", "£40", "£60", "£80", "£100"]


def test_without_a_comparison_there_is_one_line_and_no_legend(daily: pd.DataFrame):
    for figure in (
        charts.net_sales(views.series(daily, PERIOD), None, "", PERIOD.grain, "GBP"),
        charts.orders(views.series(daily, PERIOD), None, "", PERIOD.grain),
    ):
        assert len(figure.data) == 1
        assert not figure.layout.showlegend


def test_a_part_of_a_week_is_hollow_pale_and_named(daily: pd.DataFrame):
    period = Period(FIRST, date(2024, 4, 9))
    points = views.series(daily, period)
    line = charts.net_sales(points, None, "", period.grain, "GBP").data[0]
    assert list(line.marker.symbol[:2]) == ["circle-open", "circle"]
    assert line.customdata[0][0] == "1 Jan \N{EN DASH} 2 Jan 2024 (part of a week)"
    assert list(charts.returns(points, period.grain, "GBP").data[0].marker.opacity[:2]) == [0.45, 1.0]


def test_the_share_of_new_customers_has_a_line_over_closed_days_and_its_comparison_dashed(daily: pd.DataFrame):
    closed = daily["date"] == pd.Timestamp(2024, 3, 3)
    mixed = daily.assign(returning_customers=daily["new_customers"] * 3).where(
        ~closed, daily.assign(new_customers=0, returning_customers=0)
    )
    now, then = views.series(mixed, PERIOD), views.series(mixed, BEFORE, like=PERIOD)
    before, current = charts.new_share(now, then, "Period before", PERIOD.grain).data
    assert (before.name, before.line.dash, current.name) == ("Period before", "dash", "New")
    assert current.connectgaps
    assert np.isnan(current.y[2])
    assert list(current.customdata[0]) == ["1 Mar 2024", "25.0 %"]
    assert list(current.customdata[2]) == ["3 Mar 2024", "n/a"]


def test_the_last_year_has_bars_the_two_before_it_lines_and_months_that_are_not_whole_are_pale_or_hollow():
    days = pd.date_range("2021-12-31", "2025-01-15", unit="ms")
    table = views.months(pd.DataFrame({"date": days, "net_sales": 1000, "orders": 1}))
    figure = overview_charts.months(table, "GBP")
    assert [(trace.type, trace.name) for trace in figure.data] == [
        ("bar", "2025"),
        ("scatter", "2024"),
        ("scatter", "2023"),
    ]
    assert list(figure.data[0].marker.opacity) == [0.45]
    assert figure.data[0].customdata[0] == "Jan 2025 (15 days of it)<br>Net sales: <b>£15.00</b>"
    assert set(figure.data[1].marker.symbol) == {"circle"}
    assert list(figure.layout.yaxis.ticktext) == ["£0", "£10", "£20", "£30", "£40"]
    first = overview_charts.months(table[table["year"] <= 2022], "GBP")
    assert first.data[1].marker.symbol == ("circle-open",)


def test_months_of_one_year_need_no_legend_and_of_no_year_no_bars():
    table = views.months(pd.DataFrame({"date": pd.date_range("2024-01-01", periods=31), "net_sales": 0, "orders": 0}))
    assert not overview_charts.months(table, "GBP").layout.showlegend
    assert overview_charts.months(table[:0], "GBP").data == ()


def test_a_single_point_can_be_seen(daily: pd.DataFrame):
    points = views.series(daily, Period(FIRST, FIRST))
    assert charts.orders(points, None, "", "day").data[0].marker.size == (9,)
    before = charts.orders(points, points, "Period before", "day").data[0]
    assert (before.mode, before.marker.size) == ("markers", (9,))


def test_one_day_stands_in_the_middle_of_its_own_axis(daily: pd.DataFrame):
    points = views.series(daily, Period(FIRST, FIRST))
    for figure in (charts.orders(points, None, "", "day"), charts.returns(points, "day", "GBP")):
        axis = figure.layout.xaxis
        assert list(axis.ticktext) == ["1 Jan<br>2024"]
        assert [pd.Timestamp(edge) for edge in axis.range] == [
            pd.Timestamp(2023, 12, 31, 12),
            pd.Timestamp(2024, 1, 1, 12),
        ]


def test_the_marks_of_a_few_days_are_those_days_with_the_year_where_it_changes():
    points = pd.DataFrame({"date": pd.date_range("2023-12-30", periods=3), **dict.fromkeys(views.SUMMED, 1)})
    period = Period(date(2023, 12, 30), date(2024, 1, 1))
    axis = charts.orders(views.series(points, period), None, "", "day").layout.xaxis
    assert list(axis.ticktext) == ["30 Dec<br>2023", "31 Dec", "1 Jan<br>2024"]
    assert [pd.Timestamp(mark).hour for mark in axis.tickvals] == [0, 0, 0]


def test_nothing_has_an_axis_of_one_whole_thing(daily: pd.DataFrame):
    points = views.series(daily.assign(orders=0, returns=0), PERIOD)
    for figure, labels in (
        (charts.orders(points, None, "", "day"), ["0", "1"]),
        (charts.returns(points, "day", "GBP"), ["£0", "£1"]),
    ):
        axis = figure.layout.yaxis
        assert (list(axis.tickvals), list(axis.ticktext), list(axis.range)) == ([0, 1], labels, [0, 1])


def test_new_customers_stand_on_returning_ones_each_in_its_colour(daily: pd.DataFrame):
    figure = charts.customers(views.series(daily, PERIOD), PERIOD.grain)
    assert [(trace.name, trace.marker.color) for trace in figure.data] == [
        ("Returning", charts.CUSTOMERS),
        ("New", charts.NEW_CUSTOMERS),
    ]
    assert figure.layout.barmode == "stack"


def test_a_weekday_that_does_not_occur_has_no_label(daily: pd.DataFrame):
    bars = charts.weekdays(views.weekdays(daily, Period(FIRST, FIRST)), "GBP").data[0]
    assert list(bars.text) == ["£0", "", "", "", "", "", ""]


def test_leaders_are_labelled_with_their_numbers_and_shortened_names(products: pd.DataFrame):
    figure = charts.leaders(product_views.leaders(products, "net_sales", 3), "net_sales", "GBP")
    assert list(figure.data[0].text) == ["£7.50", "£0", "-£0.20"]
    assert list(figure.layout.yaxis.ticktext) == ["A very long name of a pro…", "2", "Cup"]
    assert list(figure.data[0].x) == [7.5, 0.0, -0.2]
    units = charts.leaders(product_views.leaders(products, "units", 1), "units", "GBP").data[0]
    assert (list(units.x), list(units.text), units.marker.color) == ([10_000], ["10,000"], charts.UNITS)


def test_tags_in_the_names_of_products_are_shown_not_obeyed(products: pd.DataFrame):
    named = products.assign(description="<a href='x'>Mug</a> & co", sku=["<b>1", "2", "3"])
    figure = charts.leaders(product_views.leaders(named, "units", 1), "units", "GBP")
    assert list(figure.layout.yaxis.ticktext) == ["&lt;a href='x'&gt;mug&lt;/a&gt; &amp; co"]
    assert figure.data[0].customdata[0][2] == "&lt;b&gt;1"


def test_a_ranking_of_nothing_is_an_empty_chart(products: pd.DataFrame):
    nothing = product_views.most_returned(products.assign(returns=0), 5)
    assert len(charts.most_returned(nothing, "GBP").data[0].y) == 0


def test_returns_say_which_share_of_the_products_sales_came_back(products: pd.DataFrame):
    bars = charts.most_returned(product_views.most_returned(products, 5), "GBP").data[0]
    assert list(bars.text) == ["£1.50 (100.0 %)", "£0.50 (6.2 %)", "£0.20 (n/a)"]


def test_the_curve_starts_at_nothing_and_has_a_band_for_each_class(products: pd.DataFrame):
    figure = charts.pareto(product_views.pareto(products), product_views.abc(products))
    assert (figure.data[0].x[0], figure.data[0].y[0]) == (0, 0)
    assert [shape.fillcolor for shape in figure.layout.shapes] == list(charts.ABC_COLOURS.values())
    assert [note.text for note in figure.layout.annotations] == ["<b>A</b> 1", "<b>B</b> 1", "<b>C</b> 1"]


def test_segments_show_their_share_of_sales_beside_their_share_of_customers(rfm: pd.DataFrame):
    sales, people = charts.segments(customer_views.segments(rfm), "GBP").data
    assert (list(sales.text), list(people.text)) == (["90.0 %", "10.0 %"], ["50.0 %", "50.0 %"])
    assert (sales.marker.color, people.marker.color) == (charts.SALES, charts.CUSTOMERS)


def test_the_map_shows_customers_or_their_money(rfm: pd.DataFrame):
    grid = customer_views.rfm_grid(rfm)
    people, numbers = charts.rfm_map(grid, "customers", "GBP", dark=False).data
    money, amounts = charts.rfm_map(grid, "monetary", "GBP", dark=False).data
    cell = list(zip(numbers.y, numbers.x, strict=True)).index((5, 4))
    assert (people.z[4][3], numbers.text[cell]) == (1, "1")
    assert (money.z[4][3], amounts.text[cell]) == (9.0, "£9.00")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_text_of_every_cell_can_be_read_on_its_colour(scheme: str):
    scale = chart_shapes.scale_of(dark=scheme == "dark")
    values = np.linspace(0, 1, 101)
    for value in values:
        places = np.linspace(0, 1, len(scale))
        ground = chart_shapes._luminance([np.interp(value, places, parts) for parts in zip(*scale, strict=True)])
        ink = {"#000000": 0.0, "#ffffff": 1.0}[chart_shapes._ink(scale, value)]
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5


def test_cohorts_leave_the_future_empty_and_mark_the_running_month():
    cohorts = pd.DataFrame(
        {
            "cohort_month": pd.to_datetime(["2023-12-01", "2023-12-01", "2024-01-01", "2024-01-01"]),
            "months_since": [1, 2, 0, 1],
            "customers": [10, 10, 4, 4],
            "retention": [0.5, 0.3, 1.0, 0.25],
        }
    )
    heat, texts = charts.cohorts(customer_views.retention(cohorts, date(2024, 2, 9)), dark=False).data
    assert list(zip(texts.y, texts.x, texts.text, strict=True)) == [
        ("Dec 2023 · 10", "1", "50"),
        ("Dec 2023 · 10", "2", "≥30"),
        ("Jan 2024 · 4", "1", "≥25"),
    ]
    assert np.isnan(heat.z[1][1])
    assert list(heat.y) == ["Dec 2023 · 10", "Jan 2024 · 4"]


def test_cohorts_are_drawn_no_wider_than_a_phone_can_show():
    months = pd.date_range("2020-01-01", periods=30, freq="MS")
    cohorts = pd.DataFrame({"cohort_month": months, "months_since": 0, "customers": 4, "retention": 1.0})
    heat = charts.cohorts(customer_views.retention(cohorts, date(2022, 6, 30)), dark=True).data[0]
    assert (len(heat.y), len(heat.x)) == (29, charts.COHORT_MONTHS)


def test_drawing_changes_no_frame(daily: pd.DataFrame, products: pd.DataFrame, rfm: pd.DataFrame):
    def prints() -> list[int]:
        return [int(pd.util.hash_pandas_object(frame).sum()) for frame in (daily, products, rfm)]

    before = prints()
    points = views.series(daily, PERIOD)
    charts.net_sales(points, views.series(daily, BEFORE, like=PERIOD), "b", "day", "GBP")
    charts.weekdays(views.weekdays(daily, PERIOD), "GBP")
    charts.leaders(product_views.leaders(products, "units", 3), "units", "GBP")
    charts.pareto(product_views.pareto(products), product_views.abc(products))
    charts.segments(customer_views.segments(rfm), "GBP")
    charts.rfm_map(customer_views.rfm_grid(rfm), "monetary", "GBP", dark=True)
    assert prints() == before


def test_every_figure_leaves_background_and_text_to_the_theme_and_cannot_be_dragged(daily: pd.DataFrame):
    layout = charts.orders(views.series(daily, PERIOD), None, "", "day").layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor) == ("rgba(0,0,0,0)", "rgba(0,0,0,0)")
    assert layout.font.color is None
    assert (layout.dragmode, layout.xaxis.fixedrange, layout.yaxis.fixedrange) == (False, True, True)
    assert charts.CONFIG["displayModeBar"] is False
