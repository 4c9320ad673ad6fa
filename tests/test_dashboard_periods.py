"""Which days are shown, and which they are compared with."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.periods import COMPARISONS, PRESETS, Comparison, Period, Preset, chosen, compared

DATA = Period(date(2010, 12, 1), date(2011, 12, 9))
LONG = Period(date(2019, 1, 1), date(2024, 2, 29))


def days(first: str, last: str):
    return Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("preset", "data", "expected"),
    [
        ("7d", DATA, days("2011-12-03", "2011-12-09")),
        ("28d", DATA, days("2011-11-12", "2011-12-09")),
        ("90d", DATA, days("2011-09-11", "2011-12-09")),
        ("YTD", DATA, days("2011-01-01", "2011-12-09")),
        ("12m", DATA, days("2010-12-10", "2011-12-09")),
        ("All", DATA, DATA),
        ("Custom", DATA, DATA),
        ("12m", LONG, days("2023-03-01", "2024-02-29")),
        ("7d", days("2011-12-09", "2011-12-09"), days("2011-12-09", "2011-12-09")),
        ("90d", days("0001-01-01", "0001-01-03"), days("0001-01-01", "0001-01-03")),
        ("12m", days("0001-01-01", "0001-01-03"), days("0001-01-02", "0001-01-03")),
    ],
)
def test_a_preset_counts_back_from_the_last_day_of_the_data_and_stays_inside_it(
    preset: Preset, data: Period, expected: Period | None
):
    assert chosen(preset, data) == expected


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        (("2011-11-01", "2011-11-05"), days("2011-11-01", "2011-11-05")),
        (("2011-11-05", "2011-11-01"), days("2011-11-01", "2011-11-05")),
        (("2011-11-05",), days("2011-11-05", "2011-11-05")),
        (("2011-11-05", "2011-11-05"), days("2011-11-05", "2011-11-05")),
        (("1999-01-01", "2011-01-01"), days("2010-12-01", "2011-01-01")),
        (("2012-01-01", "2012-02-01"), None),
        (("2012-01-01",), None),
        ((), DATA),
    ],
)
def test_a_custom_range_is_cut_to_the_data(custom: tuple[str, ...], expected: Period | None):
    assert chosen("Custom", DATA, tuple(date.fromisoformat(day) for day in custom)) == expected


@pytest.mark.parametrize(
    ("kind", "period", "expected"),
    [
        ("previous", days("2011-11-12", "2011-12-09"), days("2011-10-15", "2011-11-11")),
        ("last year", days("2011-12-01", "2011-12-09"), days("2010-12-02", "2010-12-10")),
        ("last year", days("2011-11-30", "2011-12-09"), days("2010-12-01", "2010-12-10")),
        ("last year", days("2011-11-29", "2011-12-09"), None),
        ("previous", days("2011-01-01", "2011-12-09"), None),
        ("previous", DATA, None),
        ("off", days("2011-12-01", "2011-12-09"), None),
    ],
)
def test_a_comparison_needs_every_one_of_its_days_in_the_data(
    kind: Comparison, period: Period, expected: Period | None
):
    assert compared(kind, period, DATA) == expected


def test_last_year_meets_the_same_weekdays_over_a_leap_day():
    before = compared("last year", days("2024-02-23", "2024-02-29"), LONG)
    assert before == days("2023-02-24", "2023-03-02")
    assert before.first.weekday() == date(2024, 2, 23).weekday()


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (1, ("day", False)),
        (92, ("day", False)),
        (93, ("week", True)),
        (98, ("week", False)),
        (400, ("week", True)),
        (401, ("month", True)),
    ],
)
def test_longer_ranges_have_wider_buckets(length: int, expected: tuple[str, bool]):
    last = date(2024, 2, 29)
    period = Period(last - timedelta(days=length - 1), last)
    assert (period.grain, period.cuts_buckets) == expected


def test_months_are_cut_where_the_range_begins_or_ends_inside_one():
    assert days("2022-01-01", "2023-12-31").grain == "month"
    assert not days("2022-01-01", "2023-12-31").cuts_buckets
    assert days("2022-01-02", "2023-12-31").cuts_buckets
    assert days("2022-01-01", "2023-12-30").cuts_buckets


@given(
    first=st.dates(), length=st.integers(0, 5000), preset=st.sampled_from(PRESETS), kind=st.sampled_from(COMPARISONS)
)
def test_any_choice_over_any_data_stays_inside_it_and_compares_equal_lengths(
    first: date, length: int, preset: Preset, kind: Comparison
):
    data = Period(first, date.fromordinal(min(first.toordinal() + length, date.max.toordinal())))
    period = chosen(preset, data)
    assert period is not None
    assert data.overlap(period) == period
    before = compared(kind, period, data)
    assert before is None or (data.overlap(before) == before and before.days == period.days)
