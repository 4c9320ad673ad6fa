"""Which days are shown, and which they are compared with. Everything counts back from the last day of the data."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, get_args

Preset = Literal["7d", "28d", "90d", "YTD", "12m", "All", "Custom"]
Comparison = Literal["previous", "last year", "off"]
Grain = Literal["day", "week", "month"]

PRESETS: Final[tuple[Preset, ...]] = get_args(Preset)
COMPARISONS: Final[tuple[Comparison, ...]] = get_args(Comparison)
DEFAULT_PRESET: Final[Preset] = "28d"  # four whole weeks: both halves of a comparison hold each weekday four times
DEFAULT_COMPARISON: Final[Comparison] = "previous"

DAYS_OF_A_YEAR_BY_WEEKDAY: Final = 364  # 52 weeks: Mondays meet Mondays
DAYS_OF_A_WEEK: Final = 7
_DAILY_UP_TO_DAYS: Final = 92
_WEEKLY_UP_TO_DAYS: Final = 400
_LENGTHS_DAYS: Final[dict[Preset, int]] = {"7d": 7, "28d": 28, "90d": 90}


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def grain(self) -> Grain:
        """How wide one point of a chart should be for this length."""
        if self.days <= _DAILY_UP_TO_DAYS:
            return "day"
        return "week" if self.days <= _WEEKLY_UP_TO_DAYS else "month"

    @property
    def cuts_buckets(self) -> bool:
        """Whether a chart of this length has a bucket that is only part of its week or month."""
        if self.grain == "month":
            return self.first.day != 1 or (self.last + timedelta(days=1)).day != 1
        return self.grain == "week" and self.days % DAYS_OF_A_WEEK != 0

    def overlap(self, other: "Period") -> "Period | None":
        """The days in both, or None."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        return Period(first, last) if first <= last else None


def chosen(preset: Preset, data: Period, custom: tuple[date, ...] = ()) -> Period | None:
    """The days a preset means, cut to the days there are; None when a custom range has no day of the data.

    A custom range of one date is that one day, as an address keeps only one of two equal dates; of none, it is all.
    """
    if preset == "All" or (preset == "Custom" and not custom):
        return data
    if preset == "Custom":
        return Period(min(custom), max(custom)).overlap(data)
    return Period(max(_first(preset, data.last), data.first), data.last)


def _first(preset: Preset, last: date) -> date:
    if preset == "YTD":
        return last.replace(month=1, day=1)
    if preset == "12m":
        return _a_year_before(last) + timedelta(days=1)
    return _days_before(last, _LENGTHS_DAYS[preset] - 1)


def _a_year_before(day: date) -> date:
    if day.year == date.min.year:
        return date.min
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year - 1, day=28)


def _days_before(day: date, days: int) -> date:
    return date.fromordinal(max(1, day.toordinal() - days))


def compared(kind: Comparison, period: Period, data: Period) -> Period | None:
    """The days to compare with, as many as `period` has; None when off, or when not every one of them has data."""
    shift = shift_days(kind, period)
    if shift is None or period.first.toordinal() - shift < data.first.toordinal():
        return None
    back = timedelta(days=shift)
    return Period(period.first - back, period.last - back)


def shift_days(kind: Comparison, period: Period) -> int | None:
    """How many days lie between a day and the one it is compared with; None when off."""
    if kind == "off":
        return None
    return period.days if kind == "previous" else DAYS_OF_A_YEAR_BY_WEEKDAY
