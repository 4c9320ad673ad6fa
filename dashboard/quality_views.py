"""Whether the numbers can be trusted: lines set aside, days without a sale, sums that must agree. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboard import format as text
from dashboard.views import ratio
from etl.contract import MILLS_PER_UNIT, REASONS, Manifest, Reason
from ops.settings import WEEKDAYS as WEEKDAY_KEYS
from ops.settings import FreshnessSettings

MEANINGS: Final[Mapping[Reason, str]] = {
    "malformed": "Invoice, SKU, time, quantity or price is missing or not readable.",
    "bad_debt": "The invoice starts with A: a correction by the bookkeeper.",
    "stock_adjustment": "No description, and a price of 0.",
    "non_positive_price": "The price is 0 or less.",
    "zero_quantity": "The quantity is 0.",
}
TO_DO: Final[Mapping[Reason, str]] = {
    "malformed": "Mend the export: these may be sales that are missing here.",
    "bad_debt": "Nothing: no sale of a product.",
    "stock_adjustment": "Nothing: no sale of a product.",
    "non_positive_price": "Look whether gifts and samples are meant.",
    "zero_quantity": "Look at what the shop's system means by it.",
}
# A share of all lines from which on something is said in the first line of the page.
MUCH_MALFORMED: Final = 0.001
MUCH_QUARANTINED: Final = 0.05
MUCH_DUPLICATED: Final = 0.02

WEEKDAY_NAMES: Final = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
SELDOM_OPEN: Final = 0.1  # of the weeks: below it a weekday is one on which the shop is closed
ENOUGH_WEEKS: Final = 4  # so often must a weekday have come before anything is said of it
NOT_SHOWN: Final = "customer_id"  # of the quality sample: nothing is checked by it


# --- lines ------------------------------------------------------------------------------------------------------------


def quarantine(manifest: Manifest) -> pd.DataFrame:
    """One row for each reason in the contract's order: reason, lines, share (of all lines read), meaning, to_do."""
    lines = [manifest.quarantine.get(reason, 0) for reason in REASONS]
    return pd.DataFrame(
        {
            "reason": list(REASONS),
            "lines": lines,
            "share": [ratio(number, manifest.rows_in) for number in lines],
            "meaning": [MEANINGS[reason] for reason in REASONS],
            "to_do": [TO_DO[reason] for reason in REASONS],
        }
    ).astype({"lines": "int64", "share": "float64"})


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the lines went. Shares are of 1, None where no line was read.

    `duplicates`: lines that repeat another one exactly; `dropped`: whether those are left out. `overlap`: rows of
    invoices that stand in another input file too, and count once.
    """

    read: int
    kept: int
    quarantined: int
    duplicates: int
    dropped: bool
    overlap: int

    @property
    def kept_share(self) -> float | None:
        """Of all lines."""
        return ratio(self.kept, self.read)

    @property
    def quarantined_share(self) -> float | None:
        """Of all lines."""
        return ratio(self.quarantined, self.read)

    @property
    def duplicate_share(self) -> float | None:
        """Of all lines there were before any was dropped."""
        return ratio(self.duplicates, self.read + (self.duplicates if self.dropped else 0))


def lines_of(manifest: Manifest) -> Lines:
    """As the manifest counts them."""
    return Lines(
        read=manifest.rows_in,
        kept=manifest.rows_kept,
        quarantined=manifest.rows_in - manifest.rows_kept,
        duplicates=manifest.source.duplicate_rows,
        dropped=manifest.source.duplicates_dropped,
        overlap=manifest.source.overlap_rows,
    )


def sources(manifest: Manifest) -> pd.DataFrame:
    """One row for each input file: file, rows, sha256."""
    files = manifest.source.files
    return pd.DataFrame(
        {
            "file": pd.Series([file.name for file in files], dtype="str"),
            "rows": pd.Series([file.rows for file in files], dtype="int64"),
            "sha256": pd.Series([file.sha256 for file in files], dtype="str"),
        }
    )


def unknown_codes(manifest: Manifest) -> pd.DataFrame:
    """Codes that count as products and may be services: sku, lines, amount (mills), most lines first."""
    codes = manifest.unknown_codes
    return pd.DataFrame(
        {
            "sku": pd.Series([code.sku for code in codes], dtype="str"),
            "lines": pd.Series([code.lines for code in codes], dtype="int64"),
            "amount": pd.Series([code.amount_mills for code in codes], dtype="int64"),
        }
    )


def sample(lines: pd.DataFrame) -> pd.DataFrame:
    """The quality sample without who bought: `customer` says only whether the line names one."""
    known = lines.assign(**{NOT_SHOWN: lines[NOT_SHOWN].notna()})
    return known.rename(columns={NOT_SHOWN: "customer"})


def in_units(table: pd.DataFrame, money: Sequence[str]) -> pd.DataFrame:
    """The same with `money` columns (mills) in units of the currency, for a table on a page."""
    return table.assign(**{name: table[name] / MILLS_PER_UNIT for name in money})


# --- days -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Days:
    """Every day of the data by what it is, as arrays of the same length.

    `sold`: at least one order; `closed`: none, and the shop is closed on such days. The rest is a gap.
    `closed_weekdays`: 0 is Monday; those of the settings, and those on which next to nothing was ever sold.
    """

    dates: pd.DatetimeIndex
    sold: npt.NDArray[np.bool_]
    closed: npt.NDArray[np.bool_]
    closed_weekdays: tuple[int, ...]

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Days without a sale on which the shop is usually open."""
        return ~self.sold & ~self.closed

    @property
    def open_days(self) -> int:
        """Days on which a sale could be expected."""
        return int((~self.closed).sum())


def days(daily: pd.DataFrame, limits: FreshnessSettings) -> Days:
    """What each day of daily_kpis is."""
    dates = pd.DatetimeIndex(daily["date"])
    sold = (daily["orders"] > 0).to_numpy()
    weekdays = np.asarray(dates.day_of_week)
    settled = {WEEKDAY_KEYS.index(name) for name in limits.closed_weekdays}
    closed_weekdays = tuple(day for day in range(7) if day in settled or _seldom_open(sold[weekdays == day]))
    single = dates.isin(pd.DatetimeIndex(list(limits.closed_days)))
    return Days(dates, sold, ~sold & (np.isin(weekdays, closed_weekdays) | single), closed_weekdays)


def _seldom_open(sold: npt.NDArray[np.bool_]) -> bool:
    return len(sold) >= ENOUGH_WEEKS and float(sold.mean()) < SELDOM_OPEN


def closed_words(of: Days) -> str:
    """On which days of the week no sale is expected, as a sentence; empty where there is none."""
    names = [WEEKDAY_NAMES[day] for day in of.closed_weekdays]
    if not names:
        return ""
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"The shop is closed on {listed}; that is no gap."


def gaps(daily: pd.DataFrame, of: Days) -> pd.DataFrame:
    """One row for each run of missing days, the longest first: first, last, open_days, usual_orders, other_bookings.

    Closed days between two missing ones belong to the same run, but are not counted. `usual_orders`: as many as the
    median of the same weekdays that had any; `other_bookings`: days of the run with returns or charges all the same.
    """
    missing = of.missing
    run = np.cumsum(of.sold)  # it is a sale that ends a run
    rows = daily.assign(run=run, usual=_usual_orders(daily, of), booked=_booked(daily))[missing]
    found = rows.groupby("run").agg(
        first=("date", "min"),
        last=("date", "max"),
        open_days=("date", "size"),
        usual_orders=("usual", "sum"),
        other_bookings=("booked", "sum"),
    )
    whole = found.astype({"open_days": "int64", "usual_orders": "int64", "other_bookings": "int64"})
    return whole.sort_values(["open_days", "first"], ascending=[False, True]).reset_index(drop=True)


def _usual_orders(daily: pd.DataFrame, of: Days) -> npt.NDArray[np.int64]:
    """For each day the median of its weekday's orders, over days with any; of no such day, 0."""
    weekdays = np.asarray(of.dates.day_of_week)
    medians = daily["orders"][of.sold].groupby(weekdays[of.sold]).median().reindex(range(7), fill_value=0.0)
    return np.asarray(medians.to_numpy()[weekdays].round(), dtype=np.int64)


def _booked(daily: pd.DataFrame) -> "pd.Series[bool]":
    return (daily["returns"] != 0) | (daily["other_charges"] != 0) | (daily["cancellations"] > 0)


def months(of: Days) -> pd.DataFrame:
    """One row for each month: month (its first day), sold, closed, missing: numbers of days that add up to it."""
    first = of.dates.to_period("M").to_timestamp()
    table = pd.DataFrame({"month": first, "sold": of.sold, "closed": of.closed, "missing": of.missing})
    return table.groupby("month").sum().astype("int64").reset_index()


# --- sums that must agree ---------------------------------------------------------------------------------------------


def checks(manifest: Manifest, frames: Mapping[str, pd.DataFrame], of: Days) -> pd.DataFrame:
    """One row for each thing that must be so: check, holds, seen. The files' hashes were compared when they were read.

    What would be a lie on every page is looked for here: parts that do not add up to the whole.
    """
    daily, products, rfm = frames["daily_kpis"], frames["top_products"], frames["rfm"]
    lines = lines_of(manifest)
    gross = int(daily["gross_sales"].sum()), int(products["gross_sales"].sum())
    persons = int(daily["new_customers"].sum()), len(rfm)
    span = (manifest.data_through - manifest.data_from).days + 1
    every_day = len(of.dates) == span and bool(of.dates.is_unique) and bool(of.dates.is_monotonic_increasing)
    rows = [
        (
            "Every line read either counts or is in quarantine",
            lines.read == lines.kept + sum(manifest.quarantine.values()),
            f"{text.count(lines.read)} = {text.count(lines.kept)} + {text.count(lines.quarantined)}",
        ),
        (
            "The files are those that the manifest names, byte for byte",
            True,  # else this snapshot would not be shown
            f"SHA-256 of {len(frames)} files",
        ),
        (
            "There is a row for every day from the first to the last",
            every_day,
            f"{text.count(len(of.dates))} of {text.count(span)} days",
        ),
        (
            "Gross sales of all days are those of all products",
            gross[0] == gross[1],
            " and ".join(text.money_exact(amount, manifest.currency) for amount in dict.fromkeys(gross)),
        ),
        (
            "Each known customer is new on one day, and only one",
            persons[0] == persons[1],
            f"{text.count(persons[0])} new on a day, {text.count(persons[1])} customers",
        ),
    ]
    return pd.DataFrame(rows, columns=["check", "holds", "seen"])


def known_share(frames: Mapping[str, pd.DataFrame]) -> float | None:
    """The share of orders that name their customer; None where there is no order."""
    orders = int(frames["daily_kpis"]["orders"].sum())
    share = ratio(int(frames["rfm"]["frequency"].sum()), orders)
    return None if share is None else min(share, 1.0)


# --- the answer -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """The first line of the page: a word, whether it is a good one, and what there is to look at."""

    word: str
    good: bool
    remarks: tuple[str, ...]


def answer(manifest: Manifest, checked: pd.DataFrame, found: pd.DataFrame) -> Answer:
    """Whether the numbers can be trusted. `checked`: of `checks`; `found`: of `gaps`."""
    broken = [f"{check[0].lower()}{check[1:]}: this does not hold" for check in checked["check"][~checked["holds"]]]
    remarks = (*broken, *_line_remarks(manifest), *_gap_remarks(found))
    if broken:
        return Answer("No, not all of them", good=False, remarks=remarks)
    if not remarks:
        return Answer("Yes", good=True, remarks=("nothing was found that would need a look",))
    return Answer("Yes, with something to look at", good=True, remarks=remarks)


def _line_remarks(manifest: Manifest) -> Sequence[str]:
    lines = lines_of(manifest)
    malformed = manifest.quarantine.get("malformed", 0)
    told = []
    if _is_much(malformed, lines.read, MUCH_MALFORMED):
        told.append(f"{text.count(malformed)} lines could not be read")
    if _is_much(lines.quarantined, lines.read, MUCH_QUARANTINED):
        told.append(f"{text.percent(lines.quarantined_share)} of the lines are in quarantine")
    if not lines.dropped and _is_much(lines.duplicates, lines.read, MUCH_DUPLICATED):
        told.append(f"{text.percent(lines.duplicate_share)} of the lines repeat another one, and count")
    return told


def _is_much(part: int, whole: int, share: float) -> bool:
    return whole > 0 and part / whole > share


def _gap_remarks(found: pd.DataFrame) -> Sequence[str]:
    if found.empty:
        return []
    number, longest = int(found["open_days"].sum()), found.iloc[0]
    span = text.span(longest["first"].date(), longest["last"].date())
    days_word = "day" if number == 1 else "days"
    return [
        f"{text.count(number)} {days_word} without a sale on which the shop is usually open, the longest gap {span}"
    ]


# --- runs -------------------------------------------------------------------------------------------------------------


RUN_COLUMNS: Final = (
    "run_id",
    "generated_at",
    "data_through",
    "rows_in",
    "rows_in_change",
    "rows_kept",
    "quarantined",
    "quarantined_change",
    "duplicates",
    "code_version",
    "published_by",
    "restored_by",
)


def runs(manifests: Sequence[Manifest]) -> pd.DataFrame:
    """One row for each run, in the order given, newest first; `_change`: against the run below.

    Its columns are RUN_COLUMNS.
    """
    table = pd.DataFrame([_run(manifest) for manifest in manifests])
    for name in ("rows_in", "quarantined"):
        table[f"{name}_change"] = (table[name] - table[name].shift(-1)).astype("Int64")
    return table[list(RUN_COLUMNS)]


def _run(manifest: Manifest) -> Mapping[str, Any]:
    return {
        "run_id": manifest.run_id,
        "generated_at": pd.Timestamp(manifest.generated_at),
        "data_through": pd.Timestamp(manifest.data_through),
        "rows_in": manifest.rows_in,
        "rows_kept": manifest.rows_kept,
        "quarantined": manifest.rows_in - manifest.rows_kept,
        "duplicates": manifest.source.duplicate_rows,
        "code_version": manifest.code_version,
        "published_by": manifest.published_by or "",
        "restored_by": manifest.restored_by or "",
    }
