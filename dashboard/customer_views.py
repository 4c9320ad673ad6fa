"""The numbers of the customers, computed from rfm and cohorts. Money is in mills; frames are never changed."""

import calendar
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from dashboard.periods import Period
from dashboard.views import divided, ratio

SEGMENTS: Final = (  # as they are valued, best first
    "Champions",
    "Loyal",
    "Potential loyalists",
    "New",
    "Promising",
    "Need attention",
    "About to sleep",
    "Cannot lose",
    "At risk",
    "Hibernating",
)
SCORES: Final = (1, 2, 3, 4, 5)
RECENT_DAYS: Final = 90


def customers_in(rfm: pd.DataFrame, period: Period, data: Period) -> int | None:
    """Distinct customers with an order in a period that ends with the data; None for others: it cannot be known.

    Each customer's last order is known, so who ordered since a day is; who ordered between two days is not.
    """
    return int((rfm["last_order"] >= pd.Timestamp(period.first)).sum()) if period.last == data.last else None


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """The customer cards; shares are of 1, None where there is nobody."""

    customers: int
    repeat_share: float | None
    recent: int
    recent_share: float | None
    average_spend_mills: float | None


def customer_facts(rfm: pd.DataFrame) -> CustomerFacts:
    """How many customers there are, and how many came back; recent: within RECENT_DAYS of the last day of the data."""
    customers = len(rfm)
    recent = int((rfm["recency_days"] <= RECENT_DAYS).sum())
    return CustomerFacts(
        customers=customers,
        repeat_share=ratio(int((rfm["frequency"] > 1).sum()), customers),
        recent=recent,
        recent_share=ratio(recent, customers),
        average_spend_mills=ratio(int(rfm["monetary"].sum()), customers),
    )


def segments(rfm: pd.DataFrame) -> pd.DataFrame:
    """One row for each segment with customers, best first: segment, customers, monetary, and their shares of all."""
    grouped = rfm.groupby("segment")["monetary"]
    table = pd.DataFrame({"customers": grouped.size(), "monetary": grouped.sum()})
    order = [*(name for name in SEGMENTS if name in table.index), *sorted(set(table.index) - set(SEGMENTS))]
    everything = pd.Series(table["monetary"].sum(), index=table.index)
    return (
        table.assign(
            share_of_customers=table["customers"] / max(len(rfm), 1),
            share_of_sales=divided(table["monetary"], everything),
        )
        .reindex(order)
        .rename_axis("segment")
        .reset_index()
    )


def rfm_grid(rfm: pd.DataFrame) -> pd.DataFrame:
    """One row for each of the 25 pairs of scores: r_score, f_score, customers, monetary; zeros where nobody is."""
    grouped = rfm.groupby(["r_score", "f_score"])["monetary"]
    pairs = pd.MultiIndex.from_product([SCORES, SCORES], names=["r_score", "f_score"])
    table = pd.DataFrame({"customers": grouped.size(), "monetary": grouped.sum()})
    return table.reindex(pairs, fill_value=0).reset_index()


@dataclass(frozen=True, slots=True)
class Retention:
    """Who came back: rows are cohorts (first of the month of the first order), columns months since, from 1 on.

    `rates`: share of the cohort that ordered in that month, NaN where that month has not begun. `sizes`: customers of
    each cohort. `running`: the last month, if the data ends before it does: its rates are lower bounds.
    """

    rates: pd.DataFrame
    sizes: tuple[int, ...]
    running: date | None

    def is_running(self, cohort: pd.Timestamp, since: int) -> bool:
        """Whether a cell belongs to the month that is not over."""
        return self.running is not None and _months_until(cohort, self.running) == since


def retention(cohorts: pd.DataFrame, through: date) -> Retention:
    """The cohort triangle: cohorts with a month after their first; the first is 100 % by definition."""
    sizes = cohorts.groupby("cohort_month")["customers"].max()
    ages = np.array([_months_until(month, through) for month in pd.DatetimeIndex(sizes.index)], dtype=np.int64)
    sizes, ages = sizes[ages > 0], ages[ages > 0]
    later = cohorts[cohorts["months_since"] > 0]
    columns = np.arange(1, ages.max(initial=0) + 1)
    rates = later.pivot_table(index="cohort_month", columns="months_since", values="retention", aggfunc="max")
    rates = rates.reindex(index=sizes.index, columns=columns).astype("float64").fillna(0.0)
    ended = through.day == calendar.monthrange(through.year, through.month)[1]
    return Retention(
        rates=rates.where(columns[np.newaxis, :] <= ages[:, np.newaxis]),
        sizes=tuple(int(size) for size in sizes),
        running=None if ended else through.replace(day=1),
    )


def _months_until(month: pd.Timestamp, through: date) -> int:
    return (through.year - month.year) * 12 + through.month - month.month


TO_DO: Final = {
    "Champions": "Thank them, and show them what is new before others see it.",
    "Loyal": "Ask for a review, and offer what goes with what they buy.",
    "Potential loyalists": "Give a reason for the next order while they remember this one.",
    "New": "Welcome them; the second order decides.",
    "Promising": "Remind them within the usual time between two orders.",
    "Need attention": "Write with an offer that ends soon.",
    "About to sleep": "Ask what was missing, and show what sells well now.",
    "Cannot lose": "Call or write in person: they bought often, and stopped.",
    "At risk": "Write to win them back, with the products they used to buy.",
    "Hibernating": "Write now and then; spend little on it.",
}
GAP_EDGES_DAYS: Final = (0, 7, 14, 30, 60, 90, 180)
TOP_CUSTOMERS: Final = 1000
TOP_COLUMNS: Final = ("rank", "customer", "country", "segment", "frequency", "monetary", "share", "last_order")


def advice(rfm: pd.DataFrame) -> pd.DataFrame:
    """The table of `segments`, with to_do: what to do about each, in a sentence."""
    table = segments(rfm)
    return table.assign(to_do=[TO_DO.get(name, "") for name in table["segment"]])


def gap_days(rfm: pd.DataFrame) -> "pd.Series[float]":
    """Days between two orders of each customer with two orders or more: the time there was, over the gaps in it."""
    back = rfm[rfm["frequency"] > 1]
    return (back["last_order"] - back["first_order"]).dt.days / (back["frequency"] - 1)


def gap_histogram(gaps: "pd.Series[float]") -> pd.DataFrame:
    """One row for each range of GAP_EDGES_DAYS: days (a name), customers."""
    names = [f"{low}\N{EN DASH}{high}" for low, high in pairwise(GAP_EDGES_DAYS)] + [f"{GAP_EDGES_DAYS[-1]}+"]
    place = np.searchsorted(np.array(GAP_EDGES_DAYS[1:]), gaps.to_numpy(), side="right")
    return pd.DataFrame({"days": names, "customers": np.bincount(place, minlength=len(names))})


def ranked(rfm: pd.DataFrame, *, masked: bool, number: int | None = None) -> pd.DataFrame:
    """The customers by what they brought, the best `number` or all: TOP_COLUMNS; `masked`: a rank in place of an id.

    A rank says what the page shows anyway, and cannot be turned back into an id as a hash of a short number can.
    """
    some = rfm if number is None else rfm.loc[rfm["monetary"].nlargest(number, keep="all").index]
    best = some.sort_values(["monetary", "customer_id"], ascending=[False, True]).head(number or len(some))
    best = best.reset_index(drop=True)
    rank = pd.Series(np.arange(1, len(best) + 1))
    total = pd.Series(rfm["monetary"].clip(lower=0).sum(), index=best.index)
    named = "Customer " + rank.astype("str") if masked else best["customer_id"]
    return best.assign(rank=rank, customer=named, share=divided(best["monetary"], total))[list(TOP_COLUMNS)]
