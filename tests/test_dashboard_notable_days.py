"""Best and worst days, over tables small enough to check by hand. 4 March 2024 is a Monday."""

from datetime import date, timedelta

import pandas as pd
import pytest

from dashboard import notable_days
from dashboard.notable_days import NotableDays
from dashboard.periods import Period

MONDAY = date(2024, 3, 4)
WEEKS = 6
NOTED = 16  # the Wednesday of the third week


def shop(**changes: tuple[int, int, int]) -> pd.DataFrame:
    """Six weeks of 10 orders and 1,000 a day, nothing on Saturdays; changes: (gross sales, returns, orders) by day.

    Sales grow by a penny a day, so that each order of days is the only one.
    """
    rows = [(0, 0, 0) if place % 7 == 5 else (1_000_000 + place * 10, 0, 10) for place in range(WEEKS * 7)]
    for place, row in changes.items():
        rows[int(place.removeprefix("day"))] = row
    frame = pd.DataFrame(rows, columns=["gross_sales", "returns", "orders"])
    dates = pd.date_range(MONDAY, periods=len(rows), unit="ms")
    return frame.assign(date=dates, net_sales=frame["gross_sales"] - frame["returns"])


ALL = Period(MONDAY, MONDAY + timedelta(days=WEEKS * 7 - 1))


def found(frame: pd.DataFrame, period: Period = ALL) -> NotableDays:
    return notable_days.notable_days(frame, period, ALL, "GBP")


def places(days: tuple[notable_days.NotableDay, ...]) -> list[int]:
    return [(day.day - MONDAY).days for day in days]


def test_the_best_and_the_worst_come_by_net_sales_and_closed_days_are_counted_not_listed():
    days = found(shop(day3=(5_000_000, 0, 50), day8=(100_000, 0, 1)))
    assert places(days.best) == [3, 41, 39, 38, 37]
    assert places(days.worst) == [8, 0, 1, 2, 4]
    assert (days.cancelled, days.quiet) == ((), WEEKS)
    assert days.best[0].weekday == "Thursday"


@pytest.mark.parametrize(("length", "best", "worst"), [(1, [0], []), (2, [1], [0]), (7, [6, 4, 3], [0, 1, 2])])
def test_of_a_short_period_no_day_is_both_good_and_bad(length: int, best: list[int], worst: list[int]):
    days = found(shop(), Period(MONDAY, MONDAY + timedelta(days=length - 1)))
    assert (places(days.best), places(days.worst)) == (best, worst)


def test_a_record_that_returns_of_the_same_day_cancelled_is_named_and_is_neither_best_nor_worst():
    days = found(shop(day16=(9_000_000, 8_500_000, 10)))
    assert places(days.cancelled) == [NOTED]
    assert NOTED not in places(days.best) + places(days.worst)
    assert days.cancelled[0].reasons == (
        "Returns of £8,500 cancelled 94.4 % of £9,000 sold that day",
        "Large orders: £900.00 on average, 9.0 times the usual",
    )


def test_returns_on_an_ordinary_day_make_a_bad_day_and_no_lost_record():
    days = found(shop(day16=(1_000_000, 600_000, 10)))
    assert days.cancelled == ()
    assert places(days.worst)[0] == NOTED
    assert days.worst[0].reasons == ("Returns of £600.00 cancelled 60.0 % of £1,000 sold that day",)


BEST = [
    ((5_000_000, 0, 50), ("50 orders; a Wednesday then usually had 10",)),
    ((5_000_000, 0, 10), ("Large orders: £500.00 on average, 5.0 times the usual",)),
    ((5_000_000, 0, 1), ("One order of £5,000, 50.0 times the usual",)),
    ((1_300_000, 0, 13), ()),
]


@pytest.mark.parametrize(("row", "reasons"), BEST, ids=["many orders", "large orders", "one order", "nothing unusual"])
def test_the_best_day_has_the_reason_that_its_own_numbers_give(row: tuple[int, int, int], reasons: tuple[str, ...]):
    best = found(shop(day16=row)).best[0]
    assert ((best.day - MONDAY).days, best.reasons) == (NOTED, reasons)


WORST = [
    ((100_000, 0, 1), ("1 order; a Wednesday then usually had 10",)),
    ((900_000, 0, 10), ()),
    ((400_000, 0, 10), ("Small orders: £40.00 on average, 0.4 times the usual",)),
    ((900_000, 1_200_000, 10), ("Returns of £1,200, more than the £900.00 sold that day",)),
    ((0, 300_000, 0), ("Returns of £300.00 and no sale",)),
]


@pytest.mark.parametrize(
    ("row", "reasons"), WORST, ids=["few orders", "nothing unusual", "small orders", "loss", "only returns"]
)
def test_the_worst_day_has_the_reason_that_its_own_numbers_give(row: tuple[int, int, int], reasons: tuple[str, ...]):
    worst = found(shop(day16=row)).worst[0]
    assert ((worst.day - MONDAY).days, worst.reasons) == (NOTED, reasons)


def test_a_bad_day_on_a_weak_weekday_is_told_by_its_weekday():
    sundays = {f"day{place}": (600_000, 0, 10) for place in range(6, WEEKS * 7, 7)}
    worst = found(shop(**sundays), Period(MONDAY, MONDAY + timedelta(days=27))).worst[0]
    assert (worst.weekday, worst.reasons) == ("Sunday", ("Sundays were weak then: £600.00 on the usual one",))


def test_a_bad_day_at_the_end_of_the_data_may_not_be_whole():
    worst = found(shop(day41=(900_000, 0, 10))).worst[0]
    assert worst.reasons == ("The last day of the data: it may not be whole",)


def test_of_two_or_three_days_nothing_is_usual():
    alone = shop()[:2]
    data = Period(MONDAY, MONDAY + timedelta(days=1))
    days = notable_days.notable_days(alone.assign(orders=[1, 500]), data, data, "GBP")
    assert days.best[0].reasons == ()


def test_what_is_usual_is_asked_of_the_days_around_and_not_of_other_years():
    later = shop().assign(date=lambda frame: frame["date"] + pd.Timedelta(days=3640))
    both = pd.concat([shop(), later.assign(orders=later["orders"] * 5)], ignore_index=True)
    data = Period(MONDAY, ALL.last + timedelta(days=3640))
    assert {day.reasons for day in notable_days.notable_days(both, data, data, "GBP").best} == {()}


def test_an_empty_table_has_no_days():
    days = found(shop()[:0])
    assert days == NotableDays(best=(), worst=(), cancelled=(), quiet=0)
    assert notable_days.as_table(days).empty


def test_the_table_of_the_days_holds_every_list():
    table = notable_days.as_table(found(shop(day16=(9_000_000, 8_500_000, 10))))
    assert table["list"].value_counts().to_dict() == {"best": 5, "worst": 5, "cancelled record": 1}
    assert table.loc[table["list"] == "cancelled record", "net_sales"].tolist() == [500_000]
