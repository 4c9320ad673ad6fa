"""How old the published data is, on two clocks: did the job run, did the data move. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from etl.contract import Manifest
from ops.settings import FreshnessSettings

Verdict = Literal["fresh", "warn", "stale", "future"]
_WORST_FIRST: tuple[Verdict, ...] = ("future", "stale", "warn", "fresh")

SHOWN_IN_HOURS = 100  # four days: the limits are in hours, and so is what is near them
SKEW = timedelta(minutes=5)
FURTHEST_AHEAD = timedelta(hours=14)  # data_through is the shop's local date; somewhere on earth it is that day already


@dataclass(frozen=True, slots=True)
class Freshness:
    """The worse of both clocks, and a line that says both ages. `warn` is late, `stale` and `future` are errors."""

    verdict: Verdict
    text: str


def judge(manifest: Manifest, now: datetime, limits: FreshnessSettings) -> Freshness:
    """Ages of a manifest at `now` against the limits (strictly more is too old).

    `generated_at` ages from its moment, `data_through` from the end of that day in UTC. A time of more than five
    minutes in the future is an error, never fresh.
    """
    generated_age = now - manifest.generated_at
    data_age = now - _end_of(manifest.data_through)
    earliest_start = _end_of(manifest.data_through) - timedelta(days=1) - FURTHEST_AHEAD
    verdicts = {
        _verdict(generated_age, generated_age, limits.generated_warn_h, limits.generated_error_h),
        _verdict(data_age, now - earliest_start, limits.data_warn_h, limits.data_error_h),
    }
    verdict = next(verdict for verdict in _WORST_FIRST if verdict in verdicts)
    return Freshness(
        verdict,
        f"{verdict}: generated {_age(generated_age)}; "
        f"data through {manifest.data_through}, a day that {_ended(data_age)}",
    )


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def _verdict(age: timedelta, since_possible: timedelta, warn_h: float, error_h: float) -> Verdict:
    if since_possible < -SKEW:
        return "future"
    if age > timedelta(hours=error_h):
        return "stale"
    return "warn" if age > timedelta(hours=warn_h) else "fresh"


def _age(age: timedelta) -> str:
    minutes = int(abs(age) / timedelta(minutes=1))
    hours = minutes // 60
    length = f"{hours} h {minutes % 60} min" if hours < SHOWN_IN_HOURS else f"{hours // 24} d {hours % 24} h"
    return f"{length} ago" if age >= timedelta(0) else f"{length} from now"


def _ended(age: timedelta) -> str:
    return f"ended {_age(age)}" if age >= timedelta(0) else f"ends {_age(age)}"
