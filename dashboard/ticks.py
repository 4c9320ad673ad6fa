"""Round numbers for an axis, in the words of the cards. Everything is counted in whole mills, orders or customers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dashboard import format as text
from etl.contract import MILLS_PER_UNIT

MOST_STEPS: Final = 5
_LEAST_MONEY_STEP_MILLS: Final = 10  # a cent: no label has more decimals
_TENTHS: Final = (10, 20, 25, 50, 100)


@dataclass(frozen=True, slots=True)
class Ticks:
    """Where the marks of an axis stand, and what is written there. `top` is set where no value gives the axis one."""

    places: tuple[int, ...]
    labels: tuple[str, ...]
    top: int | None = None


def ticks(values: Iterable[float], currency: str | None) -> Ticks:
    """Marks for values that stand on zero: mills with a currency, a count of whole things without one."""
    shown = [0, *(int(value) for value in values)]
    least, greatest = min(shown), max(shown)
    if least == greatest:  # nothing happened: one unit of it gives the axis a height
        top = MILLS_PER_UNIT if currency else 1
        return _labelled((0, top), currency, top)
    step = _step(greatest - least, _LEAST_MONEY_STEP_MILLS if currency else 1)
    return _labelled(tuple(range(least // step * step, greatest + step, step)), currency, None)


def _labelled(places: tuple[int, ...], currency: str | None, top: int | None) -> Ticks:
    labels = [text.money(value, currency) if currency else text.count_compact(value) for value in places]
    return Ticks(places, tuple(text.without_needless_decimals(label) for label in labels), top)


def _step(span: int, least: int) -> int:
    """The least of 1, 2, 2.5, 5 x 10^n that makes few steps of the span and is a whole number of `least`."""
    wanted = max(1, -(-span // (MOST_STEPS * least)))
    power = int("1" + "0" * (len(str(wanted)) - 1))
    whole = (tenths * power // 10 for tenths in _TENTHS if tenths * power % 10 == 0)
    return least * next(step for step in whole if step >= wanted)
