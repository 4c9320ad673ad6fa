"""Single days: a calendar of them, the best and the worst with a reason, and months of the year. Pure.

Computed from daily_kpis; money in mills; frames are never changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import numpy as np
import pandas as pd

from dashboard import format as text
from dashboard.periods import DAYS_OF_A_WEEK, Period
from dashboard.views import within

Shade = Literal["net_sales", "orders", "returns"]

CALENDAR_WEEKS: Final = 53  # a year, as wide as a phone can show
NAMED_DAYS: Final = 5
MUCH_RETURNED: Final = 0.2  # of a day's gross sales: from here on the day is not what its sales say
HUGE_ORDER: Final = 3.0  # times the usual average order: then a few large orders made the day
UNUSUAL_ORDERS: Final = 1.5  # times as many as on the usual day of that weekday, or as few
DAY_MONEY: Final = ("net_sales", "gross_sales", "returns")
DAY_COLUMNS: Final = ("date", "weekday", "net_sales", "gross_sales", "returns", "orders", "reason")
WEEKDAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def calendar_days(period: Period, data: Period) -> Period:
    """The weeks that the calendar shows: whole ones up to the period's last day, a year where the data has it."""
    end = period.last + timedelta(days=DAYS_OF_A_WEEK - 1 - period.last.weekday())
    first = end - timedelta(days=DAYS_OF_A_WEEK * CALENDAR_WEEKS - 1)
    return Period(max(first, data.first), period.last)


def calendar(daily: pd.DataFrame, shown: Period, by: Shade) -> pd.DataFrame:
    """A row for each weekday from Monday, a column for each week (its Monday); NaN for days outside, and without any.

    A day on which nothing was sold, and nothing came back, is not a zero among others: it has no shade.
    """
    rows = within(daily, shown)
    quiet = (rows["orders"] == 0) & (rows["returns"] == 0)
    weekdays = rows["date"].dt.day_of_week
    table = pd.DataFrame(
        {
            "weekday": weekdays.to_numpy(),
            "week": (rows["date"] - pd.to_timedelta(weekdays, unit="D")).to_numpy(),
            "value": rows[by].astype("float64").mask(quiet).to_numpy(),
        }
    )
    return table.pivot_table(index="weekday", columns="week", values="value", aggfunc="first", dropna=False).reindex(
        range(DAYS_OF_A_WEEK)
    )


def best_days(daily: pd.DataFrame, period: Period, number: int = NAMED_DAYS) -> pd.DataFrame:
    """The days of highest gross sales, best first, each with a reason where the data has one; DAY_COLUMNS.

    By gross sales, and not net: a record that was cancelled on the same day is to be seen here, and marked.
    """
    sold = within(daily, period).query("orders > 0")
    return _told(sold.sort_values(["gross_sales", "date"], ascending=[False, True]).head(number), daily, _made_it)


def worst_days(daily: pd.DataFrame, period: Period, number: int = NAMED_DAYS) -> pd.DataFrame:
    """The days of lowest net sales among those with an order or a return, worst first; DAY_COLUMNS."""
    rows = within(daily, period)
    busy = rows[(rows["orders"] > 0) | (rows["returns"] > 0)]
    return _told(busy.sort_values(["net_sales", "date"]).head(number), daily, _spoiled_it)


_Reason = Callable[["_Day"], str]


def _told(days: pd.DataFrame, daily: pd.DataFrame, reason: _Reason) -> pd.DataFrame:
    weekdays = days["date"].dt.day_of_week
    named = days.assign(
        weekday=[WEEKDAY_NAMES[day] for day in weekdays],
        reason=[_took_back(day) or reason(day) for day in _in_proportion(daily, days)],
    )
    return named[list(DAY_COLUMNS)].reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class _Day:
    """`usual_orders`: of its weekday; `times_average`: its average order beside the usual one; medians of all days."""

    gross_sales: int
    returns: int
    orders: int
    usual_orders: float
    times_average: float


def _in_proportion(daily: pd.DataFrame, days: pd.DataFrame) -> list[_Day]:
    sold = daily[daily["orders"] > 0]
    by_weekday = sold["orders"].groupby(sold["date"].dt.day_of_week).median()
    usual_average = float((sold["gross_sales"] / sold["orders"]).median()) if len(sold) else 0.0
    return [
        _Day(
            gross_sales=int(gross),
            returns=int(returns),
            orders=int(orders),
            usual_orders=float(by_weekday.get(weekday, 0.0)),
            times_average=float(gross / orders / usual_average) if orders and usual_average else 1.0,
        )
        for gross, returns, orders, weekday in zip(
            days["gross_sales"], days["returns"], days["orders"], days["date"].dt.day_of_week, strict=True
        )
    ]


def _took_back(day: _Day) -> str:
    if day.returns <= 0 or day.returns < MUCH_RETURNED * day.gross_sales:
        return ""
    more = day.returns > day.gross_sales
    share = "more than was sold" if more else f"{day.returns / day.gross_sales:.0%} of what was sold"
    return f"Returns took back {share}"


def _made_it(day: _Day) -> str:
    if day.times_average >= HUGE_ORDER:
        return f"Large orders: {day.times_average:.1f} times the usual average"
    if day.usual_orders and day.orders >= UNUSUAL_ORDERS * day.usual_orders:
        return f"Many orders, usually {text.count(day.usual_orders)} on such a day"
    return ""


def _spoiled_it(day: _Day) -> str:
    if day.orders * UNUSUAL_ORDERS <= day.usual_orders:
        return f"Few orders, usually {text.count(day.usual_orders)} on such a day"
    if day.times_average * UNUSUAL_ORDERS <= 1:
        return f"Small orders: {day.times_average:.1f} times the usual average"
    return ""


def months_of_the_year(daily: pd.DataFrame) -> pd.DataFrame:
    """One row for each month there is: year, month (1 to 12), days, whole (all its days are there), net_sales."""
    dates = daily["date"].dt
    grouped = daily["net_sales"].groupby([dates.year.rename("year"), dates.month.rename("month")])
    table = pd.DataFrame({"days": grouped.size(), "net_sales": grouped.sum()}).reset_index()
    lengths = pd.to_datetime(table[["year", "month"]].assign(day=1)).dt.days_in_month
    return table.assign(whole=np.asarray(table["days"] == lengths))[["year", "month", "days", "whole", "net_sales"]]
