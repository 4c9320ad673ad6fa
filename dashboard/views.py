"""The numbers of a period, computed from daily_kpis. Money is in mills; frames are never changed."""

import calendar
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.periods import DAYS_OF_A_WEEK, Period

Kind = Literal["money", "count", "rate"]

SUMMED: Final = (
    "gross_sales",
    "returns",
    "net_sales",
    "orders",
    "units",
    "new_customers",
    "returning_customers",
    "cancellations",
)
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def ratio(part: float, whole: float) -> float | None:
    """The share a part has of a whole; None where that has no meaning."""
    return part / whole if whole else None


def divided(part: "pd.Series[Any]", whole: "pd.Series[Any]") -> "pd.Series[float]":
    """Row by row part / whole as float64, NaN where whole is 0."""
    return part.astype("float64").div(whole.where(whole != 0).astype("float64"))


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some days."""

    gross_sales_mills: int
    returns_mills: int
    net_sales_mills: int
    orders: int
    customer_days: int  # customers are counted once a day
    new_customers: int
    days: int
    cancellations: int

    @property
    def average_order_mills(self) -> float | None:
        """Gross sales for each order."""
        return ratio(self.gross_sales_mills, self.orders)

    @property
    def customers_a_day(self) -> float | None:
        """Known customers on the average day, quiet days included."""
        return ratio(self.customer_days, self.days)

    @property
    def new_share(self) -> float | None:
        """Customers on the day of their first order as a share of all customers with an order."""
        return ratio(self.new_customers, self.customer_days)

    @property
    def cancellation_rate(self) -> float | None:
        """Cancelled invoices as a share of all invoices."""
        return ratio(self.cancellations, self.orders + self.cancellations)


@dataclass(frozen=True, slots=True)
class Kpi:
    """One card. `value`: mills, a number, or a share of 1.

    `change`: current / previous - 1, for a rate the difference; None where there is nothing sound to compare with.
    `change_of`: what the change is of, where that is not the value itself.
    `series`: the values of the period's buckets, those without a meaning left out.
    `rise_is_good`: None where more is neither good nor bad.
    """

    name: str
    kind: Kind
    value: float | None
    change: float | None
    series: tuple[float, ...]
    rise_is_good: bool | None
    meaning: str
    change_of: str = ""


@dataclass(frozen=True, slots=True)
class _Definition:
    name: str
    kind: Kind
    total: str
    column: str
    meaning: str
    rise_is_good: bool | None = True


_KPIS: Final = (
    _Definition("Net sales", "money", "net_sales_mills", "net_sales", "Product sales minus product returns."),
    _Definition("Gross sales", "money", "gross_sales_mills", "gross_sales", "Product sales, before returns."),
    _Definition(
        "Returns",
        "money",
        "returns_mills",
        "returns",
        "Value of the products that came back, on the day they came back.",
        rise_is_good=False,
    ),
    _Definition("Orders", "count", "orders", "orders", "Invoices with at least one product sold."),
    _Definition("Average order", "money", "average_order_mills", "average_order", "Gross sales divided by orders."),
    _Definition(
        "Customers a day",
        "count",
        "customers_a_day",
        "customers_a_day",
        "Known customers with an order, on the average day. How many different ones that were is known only of a range "
        "that runs to the last day of the data.",
    ),
    _Definition(
        "New customers",
        "rate",
        "new_share",
        "new_share",
        "Customers on the day of their first order, as a share of all known customers with an order; each customer "
        "counts once a day. Near the first day of the data nearly everyone is new: what was before is not known.",
        rise_is_good=None,
    ),
    _Definition(
        "Cancellation rate",
        "rate",
        "cancellation_rate",
        "cancellation_rate",
        "Cancelled invoices as a share of orders and cancellations together.",
        rise_is_good=False,
    ),
)


def within(daily: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The rows of daily_kpis in a period."""
    dates = daily["date"]
    return daily[(dates >= pd.Timestamp(period.first)) & (dates <= pd.Timestamp(period.last))]


def totals(daily: pd.DataFrame, period: Period) -> Totals:
    """Sums over the days of a period that are in daily_kpis."""
    rows = within(daily, period)
    return Totals(
        gross_sales_mills=int(rows["gross_sales"].sum()),
        returns_mills=int(rows["returns"].sum()),
        net_sales_mills=int(rows["net_sales"].sum()),
        orders=int(rows["orders"].sum()),
        customer_days=int((rows["new_customers"] + rows["returning_customers"]).sum()),
        new_customers=int(rows["new_customers"].sum()),
        days=len(rows),
        cancellations=int(rows["cancellations"].sum()),
    )


def kpis(
    daily: pd.DataFrame, period: Period, before: Period | None, different_customers: int | None = None
) -> tuple[Kpi, ...]:
    """The cards of a period, compared with another one if there is one.

    `different_customers`: how many persons ordered in the period, where that is known; it then stands on the card of
    the customers, whose change stays that of the average day: of an earlier period the persons are never known.
    """
    now, then = totals(daily, period), totals(daily, before) if before else None
    points = series(daily, period)
    found = (_kpi(definition, now, then, points) for definition in _KPIS)
    if different_customers is None:
        return tuple(found)
    return tuple(_as_persons(kpi, different_customers) if kpi.name == "Customers a day" else kpi for kpi in found)


def _as_persons(kpi: Kpi, customers: int) -> Kpi:
    meaning = "Different known customers with an order. The change and the line are those of customers a day."
    return replace(kpi, name="Customers", value=customers, change_of="a day", meaning=meaning)


def _kpi(definition: _Definition, now: Totals, then: Totals | None, points: pd.DataFrame) -> Kpi:
    value = getattr(now, definition.total)
    return Kpi(
        name=definition.name,
        kind=definition.kind,
        value=value,
        change=_change(definition.kind, value, getattr(then, definition.total) if then else None),
        series=tuple(float(point) for point in points[definition.column].dropna()),
        rise_is_good=definition.rise_is_good,
        meaning=definition.meaning,
    )


def _change(kind: Kind, now: float | None, then: float | None) -> float | None:
    if now is None or then is None:
        return None
    if kind == "rate":
        return now - then
    return now / then - 1 if then > 0 else None  # what is "+20 %" of a loss?


def series(daily: pd.DataFrame, period: Period, like: Period | None = None) -> pd.DataFrame:
    """The period in buckets (days, weeks or months, by its length): the points of its charts.

    Columns: first, last (dates), days, partial (the bucket has fewer days than its kind), SUMMED as int64, and the
    float64 rates average_order (mills), customers_a_day, new_share, return_rate, cancellation_rate: NaN where the
    divisor is 0.
    Customers are counted once a day: in a wider bucket new + returning is a sum of days, not of persons.
    With `like`, a period of the same length, the buckets are cut where that one's are, so that the two can be laid
    over each other.
    """
    shape = like or period
    numbers = _bucket_numbers(shape)
    rows = within(daily, period)
    offsets = (rows["date"] - pd.Timestamp(period.first)).dt.days.to_numpy()
    sums = rows[list(SUMMED)].groupby(numbers[offsets]).sum().reindex(np.unique(numbers), fill_value=0)
    return _with_rates(pd.concat([_edges(shape, period, numbers), sums], axis="columns"))


def _bucket_numbers(period: Period) -> npt.NDArray[np.int64]:
    """For each day of the period the number of its bucket, from 0.

    Weeks are counted back from the last day, so only the first may be short; months are the calendar's.
    """
    days = np.arange(period.days)
    if period.grain == "day":
        return days
    if period.grain == "week":
        weeks_to_go = (period.days - 1 - days) // DAYS_OF_A_WEEK
        return np.asarray(weeks_to_go[0] - weeks_to_go)
    dates = pd.date_range(period.first, period.last)
    return np.asarray((dates.year - period.first.year) * 12 + dates.month - period.first.month, dtype=np.int64)


def _edges(shape: Period, period: Period, numbers: npt.NDArray[np.int64]) -> pd.DataFrame:
    buckets, starts, sizes = np.unique(numbers, return_index=True, return_counts=True)
    days = [timedelta(days=int(start)) for start in starts]
    whole = [_whole_days(shape, shape.first + start) for start in days]
    return pd.DataFrame(
        {
            "first": pd.to_datetime([period.first + start for start in days]),
            "last": pd.to_datetime(
                [period.first + start + timedelta(days=int(size) - 1) for start, size in zip(days, sizes, strict=True)]
            ),
            "days": sizes,
            "partial": sizes < np.array(whole),
        },
        index=buckets,
    )


def _whole_days(period: Period, day: date) -> int:
    if period.grain == "month":
        return calendar.monthrange(day.year, day.month)[1]
    return DAYS_OF_A_WEEK if period.grain == "week" else 1


def _with_rates(points: pd.DataFrame) -> pd.DataFrame:
    invoices = points["orders"] + points["cancellations"]
    customers = points["new_customers"] + points["returning_customers"]
    return points.assign(
        average_order=divided(points["gross_sales"], points["orders"]),
        customers_a_day=divided(customers, points["days"]),
        new_share=divided(points["new_customers"], customers),
        return_rate=divided(points["returns"], points["gross_sales"]),
        cancellation_rate=divided(points["cancellations"], invoices),
    )


def weekdays(daily: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The average day of each weekday: weekday (Mon..Sun), days, net_sales (mills, float), orders; NaN where no day."""
    rows = within(daily, period)
    grouped = rows[["net_sales", "orders"]].groupby(rows["date"].dt.day_of_week.to_numpy())
    week = range(len(WEEKDAYS))
    means = grouped.mean().reindex(week)
    days = grouped.size().reindex(week, fill_value=0)
    return pd.DataFrame({"weekday": WEEKDAYS, "days": days, "net_sales": means["net_sales"], "orders": means["orders"]})


def months(daily: pd.DataFrame) -> pd.DataFrame:
    """One row for each month of the data: year, month (1..12), days, partial (not all its days), net_sales, orders."""
    dates = daily["date"].dt
    keys = [dates.year.rename("year"), dates.month.rename("month")]
    grouped = daily[["net_sales", "orders"]].groupby(keys)
    table = pd.concat([grouped.size().rename("days"), grouped.sum()], axis="columns").reset_index()
    whole = [calendar.monthrange(year, month)[1] for year, month in zip(table["year"], table["month"], strict=True)]
    table.insert(3, "partial", table["days"].to_numpy() < np.array(whole, dtype="int64"))
    return table
