"""The days of a calendar: how high each stands among them, and what sets it apart. Money is in mills. Pure."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard.notable_days import cancelled_records
from dashboard.periods import Period
from dashboard.views import within

Measure = Literal["Net sales", "Orders", "Returns"]

MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
MOST_YEARS: Final = 3
LEVELS: Final = 5  # a fifth of the days in each: one record day cannot make all others pale
QUIET, NONE, LOSS = "quiet", "none", "loss"  # nothing sold or returned; none of what is measured; below zero
_COLUMNS: Final[dict[Measure, str]] = {"Net sales": "net_sales", "Orders": "orders", "Returns": "returns"}


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One day of the data. `look`: QUIET, NONE, LOSS, or its level from "1" to LEVELS; `value`: mills, or a number.

    `inside`: it belongs to the chosen period. `cancelled`: returns took back a record day's sales.
    """

    day: date
    value: int
    look: str
    inside: bool
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """What is drawn. `edges`: the greatest value of each level but the highest.

    `left_out`: how many years of the period are not shown.
    """

    measure: Measure
    days: tuple[CalendarDay, ...]
    edges: tuple[float, ...]
    left_out: int


def years_shown(period: Period, data: Period) -> Period:
    """The days of the data in the newest MOST_YEARS years of a period: whole years where the data has them."""
    first = max(period.first.year, period.last.year - MOST_YEARS + 1)
    return Period(max(date(first, 1, 1), data.first), min(date(period.last.year, 12, 31), data.last))


def calendar_of(daily: pd.DataFrame, period: Period, data: Period, measure: Measure) -> Calendar:
    """The calendar of the years of a period."""
    shown = years_shown(period, data)
    rows = within(daily, shown)
    values = rows[_COLUMNS[measure]].to_numpy()
    edges = _edges(values[values > 0])
    quiet = ((rows["orders"] == 0) & (rows["returns"] == 0)).to_numpy()
    cancelled = rows.index.isin(cancelled_records(daily, shown).index)
    days = tuple(
        CalendarDay(moment.date(), int(value), str(look), period.first <= moment.date() <= period.last, bool(record))
        for moment, value, look, record in zip(
            rows["date"], values, _looks(values, quiet, edges), cancelled, strict=True
        )
    )
    return Calendar(measure, days, edges, max(0, period.last.year - period.first.year + 1 - MOST_YEARS))


def _edges(positive: npt.NDArray[Any]) -> tuple[float, ...]:
    if not len(positive):
        return ()
    quantiles = np.quantile(positive, np.arange(1, LEVELS) / LEVELS, method="lower")
    return tuple(float(edge) for edge in np.unique(quantiles) if edge < positive.max())


def _looks(values: npt.NDArray[Any], quiet: npt.NDArray[np.bool_], edges: tuple[float, ...]) -> npt.NDArray[Any]:
    """Where few values differ there are few levels: the high ones, as those can be seen."""
    levels = LEVELS - len(edges) + np.searchsorted(edges, values)
    looks = np.where(values > 0, levels.astype("str"), np.where(values < 0, LOSS, NONE))
    return np.where(quiet, QUIET, looks)
