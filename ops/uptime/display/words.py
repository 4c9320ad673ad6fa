"""Figures, lengths and moments as a reader gets them: what is cut is said to be, and bounds still hold. Pure."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from ops.words import plain

DAY_S, HOUR_S, MINUTE_S = 24 * 3600, 3600, 60
SHOWN_IN_DAYS_S = 2 * DAY_S
MINUTE = timedelta(minutes=1)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def percent(fraction: Fraction | None, decimals: int = 3) -> str:
    """A percentage, cut and never rounded up: 100 % means that nothing is missing."""
    return "-" if fraction is None else f"{digits(fraction, decimals)} %"


def digits(fraction: Fraction, decimals: int = 3) -> str:
    """The figure of a percentage, cut."""
    return _in_steps(fraction.numerator * 100 * 10**decimals // fraction.denominator, decimals)


def digits_up(fraction: Fraction, decimals: int = 3) -> str:
    """The figure of a percentage, rounded up: for an upper bound, which would not hold if it were cut."""
    return _in_steps(-(-fraction.numerator * 100 * 10**decimals // fraction.denominator), decimals)


def _in_steps(steps: int, decimals: int) -> str:
    whole, rest = divmod(steps, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}" if decimals else str(whole)


def length(duration: timedelta) -> str:
    """A duration in its two largest units, cut, the second only where it is not 0: '1 h 30 min', '45 min'."""
    seconds = int(duration.total_seconds())
    if seconds >= SHOWN_IN_DAYS_S:
        return _in_units(seconds // DAY_S, "d", seconds % DAY_S // HOUR_S, "h")
    if seconds >= HOUR_S:
        return _in_units(seconds // HOUR_S, "h", seconds % HOUR_S // MINUTE_S, "min")
    return _in_units(seconds // MINUTE_S, "min", seconds % MINUTE_S, "s") if seconds >= MINUTE_S else f"{seconds} s"


def length_up(duration: timedelta) -> str:
    """A duration in two units, rounded up: for an upper bound."""
    seconds = int(duration.total_seconds())
    unit_s = HOUR_S if seconds >= SHOWN_IN_DAYS_S else MINUTE_S if seconds >= HOUR_S else 1
    return length(timedelta(seconds=-(-seconds // unit_s) * unit_s))


def _in_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"


def day(of: date) -> str:
    """A date whose month cannot be mistaken for its day: 22 Nov 2026."""
    return f"{of.day} {MONTHS[of.month - 1]} {of.year}"


def minute(at: datetime) -> str:
    """A moment to the minute, cut: 12:07 UTC on 22 Nov 2026."""
    return f"{_clock(at)} UTC on {day(at.astimezone(UTC))}"


def minute_up(at: datetime) -> str:
    """A moment to the minute, rounded up: for an upper bound."""
    return minute(_minute_up(at.astimezone(UTC)))


def between(earliest: datetime, latest: datetime) -> str:
    """Two moments that something lies between, to the minute and so that it still does."""
    earliest, latest = earliest.astimezone(UTC), _minute_up(latest.astimezone(UTC))
    if earliest.date() == latest.date():
        return f"between {_clock(earliest)} and {minute(latest)}"
    return f"between {_clock(earliest)} on {day(earliest)} and {minute(latest)}"


def _minute_up(at: datetime) -> datetime:
    cut = at.replace(second=0, microsecond=0)
    return cut if cut == at else cut + MINUTE


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M}"


def outside(text: str) -> str:
    """Words from outside: one line of letters that can be printed, and not endless."""
    return " ".join(plain(text).split())


def listed(words: list[str]) -> str:
    """Words as a sentence lists them: a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def sentence(words: str) -> str:
    """Words that begin a sentence."""
    return words[:1].upper() + words[1:]
