"""What is true of a target now, and since when. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from ops.uptime.history import VERDICT_OF, Track
from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import Verdict

Status = Literal["up", "degraded", "down", "unknown", "no data"]
BEST_FIRST: tuple[Verdict, ...] = ("up", "degraded", "down", "unknown")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is true now.

    `status`: the best that the vantage points say, "no data" where none has looked lately; `since`: from when on all
    looks say so, None where there were none; `planned`: why, if now is maintenance.
    """

    status: Status
    since: datetime | None
    planned: str | None = None


def standing(
    tracks: Sequence[Track], *, now: datetime, hold: timedelta, maintenance: Sequence[Maintenance] = ()
) -> Standing:
    """What is true of the target that these tracks are of."""
    now_s, hold_s = math.floor(now.timestamp()), hold // timedelta(seconds=1)
    known = [track for track in (track.until(now_s) for track in tracks) if track.times_s]
    fresh = [track for track in known if now_s - hold_s < track.times_s[-1]]
    planned = next((entry.why for entry in maintenance if entry.start <= now < entry.end), None)
    if not fresh:
        silent_s = max((track.times_s[-1] + hold_s for track in known), default=None)
        return Standing("no data", None if silent_s is None else _moment(silent_s), planned)
    status = min((VERDICT_OF[track.states[-1]] for track in fresh), key=BEST_FIRST.index)
    saying = [track for track in fresh if VERDICT_OF[track.states[-1]] == status]
    return Standing(status, _moment(min(_began_s(track) for track in saying)), planned)


def _began_s(track: Track) -> int:
    """The first of the newest looks that all say the same."""
    return track.times_s[len(track.states.rstrip(track.states[-1:]))]


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
