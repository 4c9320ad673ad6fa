"""What each day of the 90-day bar was: up, partly down, down, no data, maintenance, or not looked at yet. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import groupby
from typing import Literal

from ops.uptime.display.phrases import INSUFFICIENT, figure, is_enough, length_of_s
from ops.uptime.display.words import MONTHS, day, percent
from ops.uptime.summary import Day, Window

Kind = Literal["up", "partly", "down", "nodata", "maintenance", "before"]
DAYS_SHOWN = 90
NAMES: Mapping[Kind, str] = {
    "up": "up",
    "partly": "partly down",
    "down": "down",
    "nodata": "no data",
    "maintenance": "maintenance",
    "before": "not yet seen",
}
DEPTHS = (Fraction(1, 100), Fraction(1, 10), Fraction(1, 2))  # where a day counts as deeper down
SIGNS: Mapping[Kind, str] = {"up": "█", "down": "x", "nodata": "?", "maintenance": "m", "before": "-"}
SIGNS_BY_DEPTH = {1: "▆", 2: "▆", 3: "▃", 4: "▃"}  # a day less than a tenth down, and deeper


@dataclass(frozen=True, slots=True)
class Cell:
    """A day as the bar shows it. `depth`: 1 to 4 for a day partly down, by the share that was; else 0."""

    date: date
    kind: Kind
    depth: int
    title: str


def cells(days: Sequence[Day], *, today: date, enough: Fraction) -> list[Cell]:
    """The 90 days that end today, each with its kind; a day that is not among `days` is before the first sample."""
    known = {one.date: one.window for one in days}
    dates = [today - timedelta(days=ago) for ago in reversed(range(DAYS_SHOWN))]
    return [_cell(each, known.get(each), enough, is_over=each < today) for each in dates]


def _cell(of: date, window: Window | None, enough: Fraction, *, is_over: bool) -> Cell:
    kind = "before" if window is None else kind_of(window, enough)
    depth = 0 if window is None or kind != "partly" else _depth(window)
    return Cell(of, kind, depth, f"{day(of)}: {_told(window, kind, enough, is_over=is_over)}")


def kind_of(window: Window, enough: Fraction) -> Kind:
    """The kind of a day. What was seen down is shown, however little was seen; up takes enough data."""
    if window.down_s:
        return "partly" if window.up_s else "down"
    if window.promised_s + window.maintenance_s == 0:
        return "before"
    if window.maintenance_s > window.promised_s:
        return "maintenance"
    return "up" if is_enough(window, enough) else "nodata"


def _depth(window: Window) -> int:
    share = Fraction(window.down_s, window.up_s + window.down_s)
    return 1 + sum(share >= limit for limit in DEPTHS)


def _told(window: Window | None, kind: Kind, enough: Fraction, *, is_over: bool) -> str:
    """Today is told without figures: they would change with every run."""
    if window is None or kind == "before" or not is_over:
        return NAMES[kind] + ("" if is_over else " so far")
    apart = [f"maintenance {length_of_s(window.maintenance_s)}"] if window.maintenance_s else []
    if window.up_s + window.down_s == 0:
        return ", ".join(apart or [NAMES[kind]])
    kinds = [NAMES[kind]] if kind in {"partly", "down"} else []
    uptime = f"uptime {figure(window, enough)}" if is_enough(window, enough) else INSUFFICIENT
    return ", ".join([*kinds, uptime, f"coverage {percent(window.coverage, 1)}", *apart])


def summary(of: Sequence[Cell]) -> str:
    """How many days there are of each kind."""
    count = Counter(cell.kind for cell in of)
    return ", ".join(f"{count[kind]} {NAMES[kind]}" for kind in NAMES if count[kind])


def as_text(of: Sequence[Cell]) -> list[str]:
    """The bar in letters: a line for each month, in which a day stands where it stands in the month."""
    months = [list(each) for _, each in groupby(of, key=lambda cell: (cell.date.year, cell.date.month))]
    return [_month(each) for each in months]


def _month(of: Sequence[Cell]) -> str:
    first = of[0].date
    indent = " " * (first.day - 1)
    return f"{MONTHS[first.month - 1]} {first.year} {indent}{''.join(sign(cell) for cell in of)}"


def sign(cell: Cell) -> str:
    """The letter of a day."""
    return SIGNS_BY_DEPTH[cell.depth] if cell.kind == "partly" else SIGNS[cell.kind]
