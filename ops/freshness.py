"""How old the published data is, on two clocks: did the job run, did the data move. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from etl.contract import Manifest
from ops.settings import WEEKDAYS, FreshnessSettings

Verdict = Literal["fresh", "warn", "stale", "future"]
_WORST_FIRST: tuple[Verdict, ...] = ("future", "stale", "warn", "fresh")

SHOWN_IN_HOURS = 100  # four days: the limits are in hours, and so is what is near them
SKEW = timedelta(minutes=5)
FURTHEST_AHEAD = timedelta(hours=14)  # data_through is the shop's local date; somewhere on earth it is that day already
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock. `age`: time since `since`, negative where that lies ahead; `closed`: the part that does not count."""

    verdict: Verdict
    since: datetime
    age: timedelta
    closed: timedelta
    text: str

    @property
    def counted(self) -> timedelta:
        """The age that is held against the limits."""
        return self.age - self.closed


@dataclass(frozen=True, slots=True)
class Freshness:
    """Both clocks. `warn` is late, `stale` and `future` are errors."""

    generated: Clock
    data: Clock

    @property
    def verdict(self) -> Verdict:
        """The worse of the two."""
        verdicts = {self.generated.verdict, self.data.verdict}
        return next(verdict for verdict in _WORST_FIRST if verdict in verdicts)

    @property
    def text(self) -> str:
        """Verdict and ages in one line."""
        return f"{self.verdict}: {self.generated.text}; {self.data.text}"


def judge(manifest: Manifest, now: datetime, limits: FreshnessSettings) -> Freshness:
    """Ages of a manifest at `now` (aware) against the limits (strictly more is too old).

    `generated_at` ages from its moment, `data_through` from the end of that day in UTC, and not on closed days. A time
    of more than five minutes in the future is an error, never fresh; so is data of a day that began after the job ran.
    """
    return Freshness(_generated(manifest.generated_at, now, limits), _data(manifest, now, limits))


def _generated(at: datetime, now: datetime, limits: FreshnessSettings) -> Clock:
    age = now - at
    verdict: Verdict = "future" if age < -SKEW else _by_age(age, limits.generated_warn_h, limits.generated_error_h)
    return Clock(verdict, at, age, timedelta(), f"generated {_told(age)}")


def _data(manifest: Manifest, now: datetime, limits: FreshnessSettings) -> Clock:
    day = manifest.data_through
    start = datetime.combine(day, time(), UTC)
    age = now - start - DAY  # in this order: the end of the last day that Python knows is no date
    closed = closed_time(day, now, limits)
    verdict = _by_age(age - closed, limits.data_warn_h, limits.data_error_h)
    text = f"data through {day}, a day that {_ended(age)}"
    if closed:
        text += f", {_length(age - closed)} of it on open days"
    if now - start + FURTHEST_AHEAD < -SKEW:
        verdict = "future"
    elif verdict != "stale" and manifest.generated_at - start + FURTHEST_AHEAD < -SKEW:
        verdict, text = "future", f"{text}, and that began only after the job had run"
    return Clock(verdict, _end_of(day), age, closed, text)


def _by_age(age: timedelta, warn_h: float, error_h: float) -> Verdict:
    hours = age / timedelta(hours=1)
    if hours > error_h:
        return "stale"
    return "warn" if hours > warn_h else "fresh"


def _end_of(day: date) -> datetime:
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.combine(day, time(), UTC) + DAY


# --- the days the shop is closed -------------------------------------------------------------------------------------


def closed_time(day: date, now: datetime, limits: FreshnessSettings) -> timedelta:
    """How much of the time from the end of `day` until `now` lies on closed days, all of them days in UTC."""
    now = now.astimezone(UTC)
    today = now.date()
    if today <= day:
        return timedelta()
    since_midnight = now - datetime.combine(today, time(), UTC)
    running = since_midnight if _is_closed(today, limits) else timedelta()
    return _closed_days(day.toordinal() + 1, today.toordinal(), limits) * DAY + running


def _is_closed(day: date, limits: FreshnessSettings) -> bool:
    return day in limits.closed_days or WEEKDAYS[day.weekday()] in limits.closed_weekdays


def _closed_days(first: int, end: int, limits: FreshnessSettings) -> int:
    """Closed days from the ordinal `first` to before `end`. Counted, not walked: data_through may be of the year 1."""
    weekdays = {WEEKDAYS.index(name) for name in limits.closed_weekdays}
    by_weekday = sum(_with_weekday(weekday, end) - _with_weekday(weekday, first) for weekday in weekdays)
    single = {day for day in limits.closed_days if first <= day.toordinal() < end and day.weekday() not in weekdays}
    return by_weekday + len(single)


def _with_weekday(weekday: int, end: int) -> int:
    """How many days before the ordinal `end` have a weekday; the day 1 is a Monday."""
    return (end - 1 - weekday + 6) // 7


# --- words -----------------------------------------------------------------------------------------------------------


def _told(age: timedelta) -> str:
    return f"{_length(age)} ago" if age >= timedelta(0) else f"{_length(age)} from now"


def _ended(age: timedelta) -> str:
    return f"ended {_told(age)}" if age >= timedelta(0) else f"ends {_told(age)}"


def _length(duration: timedelta) -> str:
    minutes = int(abs(duration) / timedelta(minutes=1))
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < SHOWN_IN_HOURS else f"{hours // 24} d {hours % 24} h"
