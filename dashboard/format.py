"""Numbers as people read them: compact on a card, exact on hover and in files. Money comes in mills."""

import re
from datetime import date, datetime, timedelta
from typing import Final

from etl.contract import MILLS_PER_UNIT

NOT_AVAILABLE: Final = "n/a"
SYMBOLS: Final = {"GBP": "£", "EUR": "€", "USD": "$"}
_MARKS: Final = re.compile(r"[\\`*_{}\[\]()<>#+!|~:$^=-]")
_SHOWN_IN_FULL_BELOW: Final = 10_000
_WITH_CENTS_BELOW: Final = 1000 * 100
_MILLS_PER_CENT: Final = MILLS_PER_UNIT // 100
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_AGES: Final = ((365.25, "year"), (30.44, "month"), (1, "day"))
_STEPS: Final = ((10**9, "B"), (10**6, "M"), (10**3, "k"))
_NEEDLESS_DECIMALS: Final = re.compile(r"\.0+(?=[kMB]?$)|(?<=\.[1-9])0(?=[kMB]$)")


def unmarked(words: str) -> str:
    """As it is written, in a text where Markdown is read."""
    return _MARKS.sub(r"\\\g<0>", words)


def symbol(currency: str) -> str:
    """What stands before an amount: a sign where one is known, else the ISO code and a space."""
    return SYMBOLS.get(currency, f"{currency} ")


def money(mills: float | None, currency: str) -> str:
    """Three significant digits for a card, more where they fit: £9.79M, £8,124, £519.45."""
    if mills is None:
        return NOT_AVAILABLE
    amount = abs(round(mills))
    cents = _rounded(amount, _MILLS_PER_CENT)
    if not cents:
        return f"{symbol(currency)}0"
    in_full = cents < _WITH_CENTS_BELOW
    return _signed(mills, symbol(currency) + (_cents(cents) if in_full else _compact(amount, MILLS_PER_UNIT)))


def money_exact(mills: float | None, currency: str) -> str:
    """To the cent, rounded half up: £9,793,394.69."""
    if mills is None:
        return NOT_AVAILABLE
    cents = _rounded(abs(round(mills)), _MILLS_PER_CENT)
    text = symbol(currency) + _cents(cents)
    return _signed(mills, text) if cents else text


def _cents(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02d}"


def compact(number: int) -> str:
    """Exact below 10,000, else three significant digits and a letter: 1,234, 54.3k, 1.00M."""
    return f"-{_compact(-number, 1)}" if number < 0 else _compact(number, 1)


def _compact(value: int, unit: int) -> str:
    """`value` counts parts, `unit` of which are one. Rounded once, before a letter is chosen: 999,950 is 1.00M."""
    if _rounded(value, unit) < _SHOWN_IN_FULL_BELOW:
        return f"{_rounded(value, unit):,}"
    last_digit = 10 ** (len(str(value // unit)) - 3)
    number = _rounded(value, last_digit * unit) * last_digit
    size, letter = next(step for step in _STEPS if number >= step[0])
    decimals = max(0, 3 - len(str(number // size)))
    return f"{number // size:,}" + (f".{number % size * 10**decimals // size:0{decimals}d}" * bool(decimals)) + letter


def _rounded(number: int, divisor: int) -> int:
    """Half up, in whole numbers."""
    return (2 * number + divisor) // (2 * divisor)


def _signed(value: float, text: str) -> str:
    return f"-{text}" if value < 0 else text


def units(mills: int) -> str:
    """An amount for a file: decimal units, exact, at least two decimals (12.50, 0.125)."""
    whole, rest = divmod(abs(mills), MILLS_PER_UNIT)
    decimals = f"{rest:03d}"
    return _signed(mills, f"{whole}.{decimals.removesuffix('0')}")


def count(number: float | None) -> str:
    """A whole number with thousands separators."""
    return NOT_AVAILABLE if number is None else f"{round(number):,}"


def count_compact(number: float | None) -> str:
    """A whole number for a card: in full up to 999,999, which still fits."""
    return count(number) if number is None or abs(number) < 10**6 else compact(round(number))


def without_needless_decimals(number: str) -> str:
    """A round number as an axis shows it: £20.0k is £20k, 1.50M is 1.5M, but £2.50 keeps its cents."""
    return _NEEDLESS_DECIMALS.sub("", number)


def percent(rate: float | None) -> str:
    """A share of 1 with one decimal: 16.3 %."""
    return NOT_AVAILABLE if rate is None else f"{rate * 100:,.1f} %"


def change(ratio: float | None) -> str:
    """A ratio of change, from current / previous - 1: +4.2 %."""
    return NOT_AVAILABLE if ratio is None else _delta(ratio, "%")


def points(difference: float | None) -> str:
    """The difference of two rates in percentage points: -0.3 pp."""
    return NOT_AVAILABLE if difference is None else _delta(difference, "pp")


def _delta(ratio: float, unit: str) -> str:
    text = f"{ratio * 100:+,.1f}"
    return f"{'0.0' if text in ('+0.0', '-0.0') else text} {unit}"


def day(value: date) -> str:
    """9 Dec 2011, whatever the server's locale."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def month(value: date) -> str:
    """Dec 2011."""
    return f"{_MONTHS[value.month - 1]} {value.year}"


def span(first: date, last: date) -> str:
    """One day, or the first and the last with an en dash; the year once where it is the same."""
    if first == last:
        return day(first)
    start = day(first) if first.year != last.year else f"{first.day} {_MONTHS[first.month - 1]}"
    return f"{start} \N{EN DASH} {day(last)}"


def moment(at: datetime) -> str:
    """22 Nov 2026, 15:46 UTC."""
    return f"{day(at)}, {at:%H:%M} UTC"


def age(elapsed: timedelta) -> str:
    """In words, in its largest whole unit: 14 years, 3 hours, less than a minute."""
    days = elapsed / timedelta(days=1)
    for size_days, name in _AGES:
        if days >= size_days:
            return _of(int(days / size_days), name)
    hours, minutes = divmod(max(0, int(elapsed.total_seconds() // 60)), 60)
    if hours:
        return _of(hours, "hour")
    return _of(minutes, "minute") if minutes else "less than a minute"


def _of(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
