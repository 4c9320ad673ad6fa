"""Which products sell more than they did, and which less; and one product month by month. Pure.

Computed from product_months; money in mills; frames are never changed.
"""

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

import numpy as np
import pandas as pd

from dashboard.views import divided

Length = Literal["1 month", "3 months", "12 months"]
Against = Literal["before", "last year"]

LENGTHS: Final[tuple[Length, ...]] = get_args(Length)
AGAINST: Final[tuple[Against, ...]] = get_args(Against)
MONTHS_OF: Final[dict[Length, int]] = {"1 month": 1, "3 months": 3, "12 months": 12}
MONTHS_OF_A_YEAR: Final = 12
MOVER_COLUMNS: Final = ("sku", "description", "net_sales", "net_sales_before", "change", "change_rate", "units")


@dataclass(frozen=True, slots=True)
class Months:
    """Whole calendar months, by the first day of the first and of the last."""

    first: date
    last: date

    @property
    def end(self) -> date:
        """The last day of the last one."""
        return self.last.replace(day=calendar.monthrange(self.last.year, self.last.month)[1])


def whole_months(first: date, through: date) -> Months | None:
    """The months of which the data has every day; None where there is none. A running month is not compared."""
    start = first if first.day == 1 else _shifted(first, 1)
    last_day = calendar.monthrange(through.year, through.month)[1]
    end = through if through.day == last_day else _shifted(through, -1)
    start, end = start.replace(day=1), end.replace(day=1)
    whole = Months(start, end)
    return whole if first <= start <= end and whole.end <= through else None


def compared(whole: Months | None, length: Length, against: Against) -> tuple[Months, Months] | None:
    """The newest months, and those they are compared with; None where the data does not have all of both."""
    if whole is None:
        return None
    number = MONTHS_OF[length]
    now = Months(_shifted(whole.last, 1 - number), whole.last)
    back = number if against == "before" else MONTHS_OF_A_YEAR
    before = Months(_shifted(now.first, -back), _shifted(now.last, -back))
    return (now, before) if before.first >= whole.first else None


def _shifted(month: date, months: int) -> date:
    number = month.year * MONTHS_OF_A_YEAR + month.month - 1 + months
    year, of_year = divmod(max(number, MONTHS_OF_A_YEAR), MONTHS_OF_A_YEAR)
    return date(min(year, date.max.year), of_year + 1, 1)


def movers(months: pd.DataFrame, products: pd.DataFrame, now: Months, before: Months) -> pd.DataFrame:
    """One row for each product sold or returned in either: MOVER_COLUMNS, most gained first.

    `change_rate` is NaN where nothing was earned before: there is nothing to compare with. `units`: sold now.
    """
    current, earlier = _sums(months, now), _sums(months, before)
    table = current.join(earlier[["net_sales"]].rename(columns={"net_sales": "net_sales_before"}), how="outer")
    table = table.fillna(0).astype("int64")
    change = table["net_sales"] - table["net_sales_before"]
    rate = divided(change, table["net_sales_before"].clip(lower=0))
    names = products.drop_duplicates("sku").set_index("sku")["description"]
    table = table.assign(change=change, change_rate=rate).rename_axis("sku").reset_index()
    table = table.assign(sku=table["sku"].astype("str"))
    table = table.assign(description=table["sku"].map(names))
    return table.sort_values(["change", "sku"], ascending=[False, True])[list(MOVER_COLUMNS)].reset_index(drop=True)


def _sums(months: pd.DataFrame, span: Months) -> pd.DataFrame:
    inside = months[(months["month"] >= pd.Timestamp(span.first)) & (months["month"] <= pd.Timestamp(span.last))]
    return inside.groupby("sku", observed=True)[["net_sales", "units"]].sum()


def ends(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """The products that gained most, then those that lost most, `number` of each; those that did not move are none."""
    gained = table[table["change"] > 0].head(number)
    lost = table[table["change"] < 0].tail(number)
    return pd.concat([gained, lost])


def months_of(months: pd.DataFrame, sku: str, first: date, through: date) -> pd.DataFrame:
    """One product, a row for each month of the data, quiet ones as zeros; the columns of product_months without sku."""
    every = pd.date_range(first.replace(day=1), through, freq="MS", unit="ms")
    own = months[np.asarray(months["sku"] == sku)].drop(columns="sku").set_index("month")
    numbers = own.reindex(every, fill_value=0)
    return numbers.rename_axis("month").reset_index()
