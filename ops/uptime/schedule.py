"""Whether the checks came when they were due: the prober's own health. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from ops.uptime.history import Track
from ops.uptime.latency import percentile

LOOKED_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Slots of the last 30 days that are over, those in which a check came, how late it came; None without data.

    Slots begin at whole multiples of the cadence in UTC, and lateness counts from there: a cron at :07 is 7 min late.
    """

    due: int
    delivered: int
    late_p50_s: int | None
    late_p95_s: int | None
    longest_gap_s: int | None


def schedule(tracks: Iterable[Track], *, now: datetime, cadence: timedelta) -> Schedule:
    """Health of the schedule by the moments of all looks, whoever took them, since the first of them at most."""
    slot_s = max(1, int(cadence.total_seconds()))
    now_s = math.floor(now.timestamp())
    known = [track for track in tracks if track.times_s and track.times_s[0] <= now_s]
    if not known:
        return Schedule(0, 0, None, None, None)
    first_s, earliest_s = min(track.times_s[0] for track in known), now_s - int(LOOKED_BACK.total_seconds())
    start_s = max(first_s, earliest_s)
    seen_s = sorted({second for track in known for second in _between(track.times_s, start_s, now_s)})
    first_slot = start_s // slot_s if first_s >= earliest_s else -(-start_s // slot_s)
    slot_of_now = now_s // slot_s
    late_s: dict[int, int] = {}
    for second in seen_s:
        if first_slot <= second // slot_s < slot_of_now:
            late_s.setdefault(second // slot_s, second % slot_s)
    return Schedule(
        due=max(0, slot_of_now - first_slot),
        delivered=len(late_s),
        late_p50_s=percentile(late_s.values(), 50),
        late_p95_s=percentile(late_s.values(), 95),
        longest_gap_s=max(after - before for before, after in pairwise([start_s, *seen_s, now_s])),
    )


def _between(times_s: Sequence[int], first_s: int, last_s: int) -> Sequence[int]:
    return times_s[bisect_left(times_s, first_s) : bisect_right(times_s, last_s)]
