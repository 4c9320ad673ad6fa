"""The best and the worst days of a period, each with its reasons where the data has some. Money is in mills. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard import format as text
from dashboard.periods import Period
from dashboard.views import within

LISTED: Final = 5
NEIGHBOUR_DAYS: Final = 56  # what is usual is asked of eight weeks on either side: sixteen of a weekday, one season
FEWEST_NEIGHBOURS: Final = 3  # of fewer days nothing is usual
CANCELLING: Final = 0.5  # returns that take back most of what was sold that day
LARGE_ORDER: Final = 2.0  # times the usual average order; on three days of four it stays below 1.25 times
SMALL_ORDER: Final = 0.5  # of the usual average order, as far to the other side
UNUSUAL_ORDERS: Final = 1.5  # times as many orders as the weekday's usual, or so many times fewer
WEAK_WEEKDAY: Final = 0.75  # of what a day usually brings: below it the weekday is reason enough
_Place = Literal["best", "worst", "cancelled"]
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class NotableDay:
    """One day, and what the data says about why."""

    day: date
    net_sales_mills: int
    gross_sales_mills: int
    returns_mills: int
    orders: int
    reasons: tuple[str, ...]

    @property
    def weekday(self) -> str:
        """In full."""
        return _WEEKDAYS[self.day.weekday()]


@dataclass(frozen=True, slots=True)
class NotableDays:
    """By net sales, the best and the worst first. No day is in two of the lists.

    `cancelled`: days that were among the best before returns of the same day took back most of it.
    `quiet`: days with neither a sale nor a return; they are in no list.
    """

    best: tuple[NotableDay, ...]
    worst: tuple[NotableDay, ...]
    cancelled: tuple[NotableDay, ...]
    quiet: int


@dataclass(frozen=True, slots=True)
class _Usual:
    """Medians of the days with sales around a day; None where there are too few."""

    average_order_mills: float | None
    orders_of_weekday: float | None
    net_sales_of_weekday: float | None
    net_sales: float | None


def cancelled_records(daily: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The rows of days whose gross sales reach the best days' net sales, most of it taken back on the same day."""
    rows = within(daily, period)
    best = rows["net_sales"].nlargest(LISTED)
    if best.empty:
        return rows
    taken_back = rows["returns"] >= CANCELLING * rows["gross_sales"]
    record = (rows["orders"] > 0) & (rows["gross_sales"] >= best.iloc[-1]) & ~rows.index.isin(best.index)
    found: pd.DataFrame = rows[taken_back & record].sort_values(["gross_sales", "date"], ascending=[False, True])
    return found


def notable_days(daily: pd.DataFrame, period: Period, data: Period, currency: str) -> NotableDays:
    """LISTED best and worst days of a period; of a short one each day stands in one list, the best in the longer."""
    rows = within(daily, period)
    busy = rows[(rows["orders"] > 0) | (rows["returns"] > 0)]
    ranked = busy.sort_values(["net_sales", "date"], ascending=[False, True])
    best = ranked.head(min(LISTED, (len(ranked) + 1) // 2))
    cancelled = cancelled_records(daily, period).drop(best.index, errors="ignore").head(LISTED)
    worst = ranked.iloc[len(best) :].drop(cancelled.index).tail(LISTED).iloc[::-1]
    sold = _Sold.of(daily)

    def told(chosen: pd.DataFrame, place: _Place) -> tuple[NotableDay, ...]:
        return tuple(_told(row, _why(row, sold, data, currency, place)) for row in _rows(chosen))

    return NotableDays(
        best=told(best, "best"),
        worst=told(worst, "worst"),
        cancelled=told(cancelled, "cancelled"),
        quiet=len(rows) - len(busy),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    day: date
    gross_sales: int
    returns: int
    net_sales: int
    orders: int


def _rows(frame: pd.DataFrame) -> Iterator[_Row]:
    names = ["gross_sales", "returns", "net_sales", "orders"]
    for moment, *numbers in zip(frame["date"], *(frame[name] for name in names), strict=True):
        gross, returns, net, orders = (int(number) for number in numbers)
        yield _Row(moment.date(), gross, returns, net, orders)


def _told(row: _Row, reasons: Iterator[str]) -> NotableDay:
    return NotableDay(row.day, row.net_sales, row.gross_sales, row.returns, row.orders, tuple(reasons))


@dataclass(frozen=True, slots=True)
class _Sold:
    """The days with sales, as plain arrays: a dozen days each ask for their neighbours among them."""

    days: npt.NDArray[np.int64]  # proleptic ordinals
    weekdays: npt.NDArray[np.int64]
    orders: npt.NDArray[np.float64]
    net_sales: npt.NDArray[np.float64]
    average_orders: npt.NDArray[np.float64]

    @classmethod
    def of(cls, daily: pd.DataFrame) -> "_Sold":
        rows = daily[daily["orders"] > 0]
        orders = rows["orders"].to_numpy(dtype="float64")
        days = rows["date"].to_numpy().astype("datetime64[D]").astype("int64") + date(1970, 1, 1).toordinal()
        return cls(
            days=days,
            weekdays=(days - 1) % len(_WEEKDAYS),
            orders=orders,
            net_sales=rows["net_sales"].to_numpy(dtype="float64"),
            average_orders=rows["gross_sales"].to_numpy(dtype="float64") / orders,
        )

    def usual(self, day: date) -> _Usual:
        distance = np.abs(self.days - day.toordinal())
        near = (distance <= NEIGHBOUR_DAYS) & (distance > 0)
        alike = near & (self.weekdays == day.weekday())
        return _Usual(
            average_order_mills=_median(self.average_orders[near]),
            orders_of_weekday=_median(self.orders[alike]),
            net_sales_of_weekday=_median(self.net_sales[alike]),
            net_sales=_median(self.net_sales[near]),
        )


def _median(values: npt.NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if len(values) >= FEWEST_NEIGHBOURS else None


def _why(row: _Row, sold: _Sold, data: Period, currency: str, place: _Place) -> Iterator[str]:
    """Only what explains its place: many orders are no reason for a bad day."""
    usual = sold.usual(row.day)
    yield from _returned(row, currency)
    if place != "worst" or row.returns >= CANCELLING * row.gross_sales:
        yield from _large_orders(row, usual, currency)
    if place == "best":
        yield from _many_orders(row, usual)
    if place == "worst":
        yield from _few_orders(row, usual)
        yield from _small_orders(row, usual, currency)
        yield from _weak_weekday(row, usual, currency)
        yield from _edge(row.day, data)


def _returned(row: _Row, currency: str) -> Iterator[str]:
    back = text.money(row.returns, currency)
    if row.returns and not row.orders:
        yield f"Returns of {back} and no sale"
    elif row.returns > row.gross_sales:
        yield f"Returns of {back}, more than the {text.money(row.gross_sales, currency)} sold that day"
    elif row.returns >= CANCELLING * row.gross_sales > 0:
        share = text.percent(row.returns / row.gross_sales)
        yield f"Returns of {back} cancelled {share} of {text.money(row.gross_sales, currency)} sold that day"


def _large_orders(row: _Row, usual: _Usual, currency: str) -> Iterator[str]:
    average = row.gross_sales / row.orders if row.orders else 0.0
    if not usual.average_order_mills or average < LARGE_ORDER * usual.average_order_mills:
        return
    times = f"{average / usual.average_order_mills:.1f} times the usual"
    if row.orders == 1:
        yield f"One order of {text.money(average, currency)}, {times}"
    else:
        yield f"Large orders: {text.money(average, currency)} on average, {times}"


def _small_orders(row: _Row, usual: _Usual, currency: str) -> Iterator[str]:
    average = row.gross_sales / row.orders if row.orders else 0.0
    if usual.average_order_mills and 0 < average <= SMALL_ORDER * usual.average_order_mills:
        times = f"{average / usual.average_order_mills:.1f} times the usual"
        yield f"Small orders: {text.money(average, currency)} on average, {times}"


def _many_orders(row: _Row, usual: _Usual) -> Iterator[str]:
    if usual.orders_of_weekday and row.orders >= UNUSUAL_ORDERS * usual.orders_of_weekday:
        yield _orders(row, usual.orders_of_weekday)


def _few_orders(row: _Row, usual: _Usual) -> Iterator[str]:
    if usual.orders_of_weekday and 0 < row.orders * UNUSUAL_ORDERS <= usual.orders_of_weekday:
        yield _orders(row, usual.orders_of_weekday)


def _orders(row: _Row, often: float) -> str:
    counted = "1 order" if row.orders == 1 else f"{text.count(row.orders)} orders"
    return f"{counted}; a {_WEEKDAYS[row.day.weekday()]} then usually had {text.count(often)}"


def _weak_weekday(row: _Row, usual: _Usual, currency: str) -> Iterator[str]:
    of_weekday, of_any = usual.net_sales_of_weekday, usual.net_sales
    if of_weekday is not None and of_any is not None and of_weekday <= WEAK_WEEKDAY * of_any:
        name = _WEEKDAYS[row.day.weekday()]
        yield f"{name}s were weak then: {text.money(of_weekday, currency)} on the usual one"


def _edge(day: date, data: Period) -> Iterator[str]:
    if day in (data.first, data.last):
        which = "last" if day == data.last else "first"
        yield f"The {which} day of the data: it may not be whole"


def as_table(days: NotableDays) -> pd.DataFrame:
    """All of them as one table, for a file."""
    lists = (("best", days.best), ("cancelled record", days.cancelled), ("worst", days.worst))
    rows = [(name, day) for name, listed in lists for day in listed]
    return pd.DataFrame(
        {
            "list": [name for name, _ in rows],
            "date": pd.to_datetime([day.day for _, day in rows]),
            "weekday": [day.weekday for _, day in rows],
            "net_sales": [day.net_sales_mills for _, day in rows],
            "gross_sales": [day.gross_sales_mills for _, day in rows],
            "returns": [day.returns_mills for _, day in rows],
            "orders": [day.orders for _, day in rows],
            "reasons": [". ".join(day.reasons) for _, day in rows],
        }
    )
