"""The calendar of days: what each day looks like, and the markup that a browser lays out."""

import re
from datetime import date, timedelta

import pandas as pd
import pytest

from dashboard import calendar_days
from dashboard.calendar_days import Calendar, Measure, calendar_of, years_shown
from dashboard.calendar_html import as_html
from dashboard.periods import Period


def daily(first: date, rows: list[tuple[int, int, int]]) -> pd.DataFrame:
    """Rows of (gross sales, returns, orders)."""
    frame = pd.DataFrame(rows, columns=["gross_sales", "returns", "orders"])
    dates = pd.date_range(first, periods=len(rows), unit="ms")
    return frame.assign(date=dates, net_sales=frame["gross_sales"] - frame["returns"])


def calendar(
    rows: list[tuple[int, int, int]], measure: Measure = "Net sales", first: date = date(2024, 3, 1)
) -> Calendar:
    period = Period(first, first + timedelta(days=len(rows) - 1))
    return calendar_of(daily(first, rows), period, period, measure)


def looks(shown: Calendar) -> list[str]:
    return [day.look for day in shown.days]


@pytest.mark.parametrize(
    ("period", "shown"),
    [
        (Period(date(2024, 3, 1), date(2024, 3, 28)), Period(date(2024, 1, 1), date(2024, 12, 31))),
        (Period(date(2023, 12, 31), date(2024, 1, 1)), Period(date(2023, 1, 1), date(2024, 12, 31))),
        (Period(date(2015, 5, 5), date(2025, 2, 2)), Period(date(2023, 1, 1), date(2025, 2, 2))),
        (Period(date(2015, 5, 5), date(2015, 5, 5)), Period(date(2015, 5, 5), date(2015, 12, 31))),
    ],
)
def test_the_whole_years_of_a_period_are_shown_at_most_the_newest_three(period: Period, shown: Period):
    assert years_shown(period, Period(date(2015, 5, 5), date(2025, 2, 2))) == shown


def test_each_shade_holds_a_fifth_of_the_days_so_that_one_record_makes_no_other_day_pale():
    shown = calendar([(amount, 0, 1) for amount in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10**9)])
    assert looks(shown) == ["1", "1", "2", "2", "3", "3", "4", "4", "5", "5"]
    assert shown.edges == (2.0, 4.0, 6.0, 8.0)


def test_a_closed_day_a_zero_and_a_loss_look_like_three_things():
    rows = [(0, 0, 0), (500, 500, 2), (0, 700, 0), (900, 0, 1)]
    assert looks(calendar(rows)) == [calendar_days.QUIET, calendar_days.NONE, calendar_days.LOSS, "5"]
    assert looks(calendar(rows, "Orders")) == [calendar_days.QUIET, "5", calendar_days.NONE, "4"]
    assert looks(calendar(rows, "Returns")) == [calendar_days.QUIET, "4", "5", calendar_days.NONE]


def test_days_that_are_all_alike_have_the_darkest_shade():
    assert looks(calendar([(100, 0, 1)] * 3)) == ["5", "5", "5"]


def test_a_cancelled_record_is_marked_and_days_outside_the_period_are_told_from_those_inside():
    rows = [(100, 0, 1)] * 10
    rows[4] = (900, 850, 1)
    data = Period(date(2024, 3, 1), date(2024, 3, 10))
    shown = calendar_of(daily(data.first, rows), Period(date(2024, 3, 9), data.last), data, "Net sales")
    assert [place for place, day in enumerate(shown.days) if day.cancelled] == [4]
    assert [place for place, day in enumerate(shown.days) if day.inside] == [8, 9]


def test_the_years_that_are_left_out_are_counted():
    data = Period(date(2015, 1, 1), date(2024, 12, 31))
    shown = calendar_of(daily(data.first, [(1, 0, 1)] * data.days), data, data, "Orders")
    assert shown.left_out == 7
    assert {day.day.year for day in shown.days} == {2022, 2023, 2024}


def cells(markup: str) -> list[tuple[str, str]]:
    return re.findall(r'<i class="([^"]*)" data-d="([^"]*)">', markup)


def test_each_day_is_told_exactly_and_the_first_of_a_month_stands_on_its_weekday():
    markup = as_html(calendar([(1_234_560, 0, 3), (0, 0, 0), (10_000, 20_000, 1)]), "GBP")
    assert cells(markup) == [
        ("l5 w4", "Fri 1 Mar: £1,234.56"),
        ("quiet", "Sat 2 Mar: no sale"),
        ("loss", "Sun 3 Mar: -£10.00"),
    ]
    assert (
        'aria-label="Net sales of each day, 1 Mar \N{EN DASH} 3 Mar 2024. Highest on 1 Mar 2024: £1,234.56.' in markup
    )


def test_the_newest_year_comes_first():
    markup = as_html(calendar([(1, 0, 1)] * 2, "Orders", date(2023, 12, 31)), "GBP")
    assert re.findall(r"<section><b>(\d+)", markup) == ["2024", "2023"]
    assert [told for _, told in cells(markup)] == ["Mon 1 Jan: 1 order", "Sun 31 Dec: 1 order"]


def test_the_legend_names_what_can_be_seen_and_nothing_else():
    def legend(shown: Calendar) -> list[str]:
        return re.findall(r"</i>([^<]+)</span>", as_html(shown, "GBP"))

    assert legend(calendar([(amount * 1000, 0, 1) for amount in range(1, 6)])) == [
        "up to £1.00",
        "up to £2.00",
        "up to £3.00",
        "up to £4.00",
        "more",
    ]
    assert legend(calendar([(0, 0, 0), (1000, 0, 1)])) == ["net sales", "no sale"]
    assert legend(calendar([(0, 0, 0)])) == ["no sale"]


def test_a_shop_without_days_has_a_calendar_without_days():
    period = Period(date(2024, 3, 1), date(2024, 3, 1))
    empty = calendar_of(daily(period.first, [(0, 0, 0)])[:0], period, period, "Returns")
    assert empty.days == ()
    assert "A calendar without days." in as_html(empty, "GBP")
