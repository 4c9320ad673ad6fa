"""How much was truly down, at least and at most, whatever happened between two looks: the interval we print. Pure.

What two looks say: between two bad ones in a row it was down, between two good ones up. Where they differ, where nobody
looked for longer than a sample speaks, before the first look and after the last it can have been either.

What can have slipped through: an outage that is over between two good looks. If outages do not keep in step with the
schedule, and last long against the seconds that one run tries, each has its chance to be met: that more is missed than
the nine longest times between two good looks hold together happens once in e^9, 8,000 times, at worst. One kind does
keep in step and is allowed for apart: what comes at the same time of every day, as long as the widest time of day at
which no good look ever fell. The same the other way round for recoveries between two bad looks, of which there are far
fewer: the four longest.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import merge, nlargest
from itertools import compress, repeat
from operator import and_, mul, sub

OUTAGES_MISSED = 9  # so many of the longest times between two good looks may have been down all through
RECOVERIES_MISSED = 4  # and so many between two bad ones up
DAY_S = 24 * 3600

Looks = tuple[Sequence[int], bytes]  # seconds since 1970, rising; one letter each: up, degraded (g), down, unknown (k)
Span = tuple[int, int]  # from a second up to, but not including, another

_UP, _DOWN, _NEITHER = 1, 2, 0  # so that "and" of two neighbours says what both say
_SAID = bytes.maketrans(b"ugdk", bytes((_UP, _UP, _DOWN, _NEITHER)))


@dataclass(frozen=True, slots=True)
class _Window:
    """A time and the maintenance in it, in order and apart."""

    start_s: int
    end_s: int
    maintenance: Sequence[Span]

    @property
    def promised_s(self) -> int:
        """Its length without maintenance."""
        return self.end_s - self.start_s - sum(last_s - first_s for first_s, last_s in self.maintenance)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of a window: seconds between looks that agree, and how many looks were bad.

    `daily_s`: the widest time of day, no longer than a sample speaks, in which no good look ever fell.
    """

    promised_s: int
    good_s: Sequence[int]
    bad_s: Sequence[int]
    bad_looks: int
    daily_s: int

    @property
    def least_down_s(self) -> int:
        """A second for each bad look, even if it came back between them as often as can be."""
        return max(self.bad_looks, sum(self.bad_s) - sum(nlargest(RECOVERIES_MISSED, self.bad_s)))

    @property
    def most_down_s(self) -> int:
        """All that is not between two good looks, and what can have slipped through there."""
        days = -(-self.promised_s // DAY_S)
        missed_s = max(sum(nlargest(OUTAGES_MISSED, self.good_s)), self.daily_s * days)
        return self.promised_s - max(0, sum(self.good_s) - missed_s)


def down_bounds(
    looks: Sequence[Looks], *, hold_s: int, start_s: int, end_s: int, maintenance: Iterable[Span] = ()
) -> tuple[int, int]:
    """Least and most seconds of [start, end) outside maintenance in which a target was down.

    `looks`: what each vantage point saw of it. With several it was up where anybody saw it up.
    """
    window = _Window(start_s, end_s, _apart(maintenance, start_s, end_s))
    near = [_near(each, window) for each in looks]
    at_s, said = near[0] if len(near) == 1 else _together(near, hold_s)
    seen = _seen(at_s, said, window, hold_s)
    return seen.least_down_s, seen.most_down_s


def _apart(spans: Iterable[Span], start_s: int, end_s: int) -> list[Span]:
    """What lies in the window: in order, and each second once."""
    found: list[Span] = []
    for begun_s, ended_s in sorted(spans):
        first_s, last_s = max(begun_s, found[-1][1] if found else start_s), min(ended_s, end_s)
        if first_s < last_s:
            found.append((first_s, last_s))
    return found


def _near(looks: Looks, window: _Window) -> Looks:
    """The looks of a window and the ones next to it, and what they say."""
    at_s, states = looks
    first, beyond = max(0, bisect_right(at_s, window.start_s) - 1), bisect_left(at_s, window.end_s) + 1
    return at_s[first:beyond], states[first:beyond].translate(_SAID)


def _together(looks: Sequence[Looks], hold_s: int) -> Looks:
    """What several vantage points say, as one: a bad look counts where nobody else has just seen it up."""
    latest: dict[int, tuple[int, int]] = {}
    times_s: list[int] = []
    together = bytearray()
    for at_s, says, who in merge(*(zip(at_s, said, repeat(who)) for who, (at_s, said) in enumerate(looks))):
        others = {said for other, (until_s, said) in latest.items() if other != who and at_s < until_s}
        latest[who] = at_s + hold_s, says
        if says == _NEITHER and others - {_NEITHER}:
            continue  # somebody else can tell
        both_say = _NEITHER if says == _DOWN and _UP in others else says
        if not times_s or (times_s[-1], together[-1]) != (at_s, both_say):  # of two at one second, one
            times_s.append(at_s)
            together.append(both_say)
    return times_s, bytes(together)


def _seen(at_s: Sequence[int], said: bytes, window: _Window, hold_s: int) -> _Seen:
    near = map(hold_s.__ge__, map(sub, at_s[1:], at_s))
    agreed = bytes(map(mul, map(and_, said, said[1:]), near))
    lengths_s = _promised(at_s, window)
    return _Seen(
        window.promised_s,
        list(compress(lengths_s, map(_UP.__eq__, agreed))),
        list(compress(lengths_s, map(_DOWN.__eq__, agreed))),
        _bad_looks(at_s, said, window),
        _daily_s(at_s, said, hold_s),
    )


def _promised(at_s: Sequence[int], window: _Window) -> list[int]:
    """Seconds from each look to the next, in the window and outside maintenance."""
    first, beyond = bisect_left(at_s, window.start_s), bisect_right(at_s, window.end_s)
    cut_s = [window.start_s] * first + list(at_s[first:beyond]) + [window.end_s] * (len(at_s) - beyond)
    lengths_s = list(map(sub, cut_s[1:], cut_s))
    for first_s, last_s in window.maintenance:
        place = max(0, bisect_right(cut_s, first_s) - 1)
        while place < len(lengths_s) and cut_s[place] < last_s:
            lengths_s[place] -= min(cut_s[place + 1], last_s) - max(cut_s[place], first_s)
            place += 1
    return lengths_s


def _bad_looks(at_s: Sequence[int], said: bytes, window: _Window) -> int:
    def bad(first_s: int, last_s: int) -> int:
        return said.count(_DOWN, bisect_left(at_s, first_s), bisect_left(at_s, last_s))

    return bad(window.start_s, window.end_s) - sum(bad(*span) for span in window.maintenance)


def _daily_s(at_s: Sequence[int], said: bytes, hold_s: int) -> int:
    times_of_day = sorted({second % DAY_S for second in compress(at_s, map(_UP.__eq__, said))})
    around = [*times_of_day, *(second + DAY_S for second in times_of_day[:1])]
    return max(filter(hold_s.__ge__, map(sub, around[1:], around)), default=0)
