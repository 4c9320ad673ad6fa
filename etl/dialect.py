"""How a text file is written: its letters, what stands between its cells, its decimal sign, the order of its dates.

Nothing is guessed that would change a figure: where a file leaves it open, that is said. Pure.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

DateOrder = Literal["iso", "dmy", "mdy"]
DELIMITERS: Final = (",", ";", "\t")
UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
# Day and month in an order of their own, then the year: 1/12/2010, 01.12.2010 08:26, 1-12-2010T08:26:00
OTHER_DATE: Final = r"^\s*([0-9]{1,2})[./-]([0-9]{1,2})[./-]((?:19|20|21)[0-9]{2})(.*)$"
AS_ISO: Final[dict[DateOrder, str]] = {"dmy": r"\3-\2-\1\4", "mdy": r"\3-\1-\2\4"}
# A clock of twelve hours behind its date: 8:26 PM, 12:05:00 a.m.
HALF_DAY: Final = r"^(.*[ T])([0-9]{1,2})((?::[0-9]{2}){1,2})\s*([AaPp])[.]?[Mm][.]?\s*$"
GROUPED: Final = r"^\s*[+-]?[0-9]{1,3}([.][0-9]{3})+(,[0-9]+)?\s*$"  # thousands by points: 1.234 and 1.234,56
MONTHS: Final = 12
_DECIMAL_COMMA: Final = re.compile(r"\s*[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+),([0-9]+)\s*")
_DECIMAL_POINT: Final = re.compile(r"\s*[+-]?[0-9,]*\.[0-9]+\s*")
_ISO_DATE: Final = re.compile(r"\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
_THOUSANDS: Final = 3  # digits: 1,234 may be either


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says of times. `dates`: which of 1/12/2010 is the day, None where the file tells.

    `time_zone`: the shop's, whose local time a time with an offset becomes; "" where there are none.
    """

    dates: DateOrder | None = None
    time_zone: str = ""


NOTHING_SAID: Final = Said()


def delimiter_of(header: str) -> str:
    """What stands between the cells: that which makes most columns of the header, a comma where none makes more."""
    return max(DELIMITERS, key=lambda delimiter: len(cells_of(header, delimiter)))


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of one line."""
    return next(csv.reader(io.StringIO(line), delimiter=delimiter), [])


def has_decimal_comma(prices: Sequence[str]) -> bool:
    """Whether 2,55 is two and a half: some are written so, none with a point, and not all could be thousands."""
    found = [_DECIMAL_COMMA.fullmatch(price) for price in prices]
    if any(_DECIMAL_POINT.fullmatch(price) for price in prices):
        return False
    return any(each and len(each[1]) != _THOUSANDS for each in found)


def has_other_dates(cells: Sequence[str]) -> bool:
    """Whether dates do not begin with their year. One among those that do is a typing error, and no way of writing."""
    return any(re.match(OTHER_DATE, cell) for cell in cells) and not any(_ISO_DATE.match(cell) for cell in cells)


def has_half_days(cells: Sequence[str]) -> bool:
    """Whether times are told with AM and PM."""
    return any(re.match(HALF_DAY, cell) for cell in cells)


def date_order(largest_first: int, largest_second: int) -> DateOrder | None:
    """Which of the two is the day, by the largest of each in the whole file; None where both, or neither, can be."""
    if largest_first > MONTHS >= largest_second:
        return "dmy"
    return "mdy" if largest_second > MONTHS >= largest_first else None
