"""What is to be said now: from the incidents of a report and from what each channel was told before. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ops.alerts.ledger import ChannelName, Entry, Event, Kind
from ops.settings import AlertSettings, TargetSettings
from ops.uptime.incidents import Incident
from ops.uptime.maintenance import Maintenance
from ops.uptime.report import Report, TargetReport
from ops.uptime.rules import Rules

AGAIN_WITHIN = timedelta(hours=24)  # an incident that begins so soon after the last was closed reopens it
MATTERS_FOR = timedelta(days=7)  # for so long what ended untold is still told
ENDINGS: frozenset[Event] = frozenset({"closed", "passed"})

Ending = Literal["ended", "withdrawn", "unwatched"]
Said = Mapping[datetime, Sequence[Entry]]  # by the start of the incident as it was told, in order of time


@dataclass(frozen=True, slots=True)
class News:
    """What there is to tell of at `now`: the numbers of targets, and what `kinds` of incident the watched ones have."""

    now: datetime
    targets: Mapping[str, TargetReport]
    kinds: Mapping[str, Kind]
    rules: Rules
    maintenance: Sequence[Maintenance] = ()
    remind_every: timedelta = timedelta(hours=24)

    def incidents(self, target: str, kind: Kind) -> Sequence[Incident]:
        """The incidents of a target that is watched; of another, none."""
        numbers = self.targets.get(target)
        return numbers.incidents if numbers and self.kinds.get(target) == kind else ()


class Thread(NamedTuple):
    """What belongs together for who reads it: the incidents of one kind of one target, on one channel."""

    channel: ChannelName
    target: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Due:
    """Something to say: that the incident that is told as the one of `starts` has opened, lasts, or has closed.

    `incidents`: as the report has them now; several only where they all passed, none where it is not one any more;
    `memo`: what the channel noted when it was last told of this thread; `nth`: how often it will have been told this.
    """

    thread: Thread
    event: Event
    starts: tuple[datetime, ...]
    incidents: tuple[Incident, ...]
    ending: Ending = "ended"
    memo: str = ""
    nth: int = 1


def news_of(
    numbers: Report, targets: Iterable[TargetSettings], maintenance: Sequence[Maintenance], alerts: AlertSettings
) -> News:
    """What there is to tell, of a report and of what settings say."""
    kinds: dict[str, Kind] = {target.name: "stale" if target.kind == "data" else "down" for target in targets}
    remind_every = timedelta(hours=alerts.remind_h)
    return News(numbers.now, numbers.targets, kinds, numbers.rules, maintenance, remind_every)


def due(news: News, told: Iterable[Entry], channels: Sequence[ChannelName]) -> list[Due]:
    """What is to be said on each channel, in the order in which it is to be said. `told`: in order of time."""
    said = _said(told)
    watched = [Thread(channel, target, kind) for channel in channels for target, kind in news.kinds.items()]
    once_told = [thread for thread in said if thread.channel in channels]
    threads = sorted({*watched, *once_told})
    return [one for thread in threads for one in _of_thread(news, thread, said.get(thread, {}))]


def _said(told: Iterable[Entry]) -> dict[Thread, Said]:
    found: dict[Thread, dict[datetime, list[Entry]]] = {}
    for entry in told:
        if entry.outcome == "sent":
            found.setdefault(_thread(entry), {}).setdefault(entry.incident, []).append(entry)
    return dict(found)


def _thread(entry: Entry) -> Thread:
    return Thread(entry.channel, entry.target, entry.kind)


def _of_thread(news: News, thread: Thread, said: Said) -> Iterator[Due]:
    """Ends first, then what came and went, then what goes on: so that nothing opens twice without closing."""
    incidents = news.incidents(thread.target, thread.kind)
    going_on = [incident for incident in incidents[-1:] if not is_over(incident, news)]
    over = incidents[: len(incidents) - len(going_on)]
    ends = [*_lost(news, thread, said), *_closed(thread, said, over), *_passed(news, thread, said, over)]
    goes_on = [one for incident in going_on for one in _going_on(news, thread, said, incident, just_ended=bool(ends))]
    yield from (replace(one, memo=_memo(said), nth=_nth(one, said)) for one in [*ends, *goes_on])


def is_over(incident: Incident, news: News) -> bool:
    """Whether it has ended. One that flaps has when it was good for as long as flapping is counted over."""
    calm = news.rules.flapping_within if incident.changes else timedelta()
    return incident.first_good is not None and news.now - incident.first_good >= calm


def _holds(incident: Incident, start: datetime) -> bool:
    """Whether what was told as having begun at `start` is this incident.

    Its first bad sample may be another one by now: an earlier one came in late, or maintenance was noted over it.
    """
    after = incident.last_good is None or incident.last_good < start
    return after and (incident.first_good is None or start < incident.first_good)


def _live(said: Said) -> list[datetime]:
    """Starts that were told as opened and not yet as ended."""
    return [start for start, entries in sorted(said.items()) if entries[-1].event not in ENDINGS]


def _lost(news: News, thread: Thread, said: Said) -> Iterator[Due]:
    """What was told as opened and is in no report any more."""
    incidents = news.incidents(thread.target, thread.kind)
    lost = [start for start in _live(said) if not any(_holds(incident, start) for incident in incidents)]
    watched = news.kinds.get(thread.target) == thread.kind
    if lost:
        yield Due(thread, "closed", tuple(lost), (), "withdrawn" if watched else "unwatched")


def _closed(thread: Thread, said: Said, over: Iterable[Incident]) -> Iterator[Due]:
    live = _live(said)
    for incident in over if live else ():
        starts = tuple(start for start in live if _holds(incident, start))
        if starts:
            yield Due(thread, "closed", starts, (incident,))


def _passed(news: News, thread: Thread, said: Said, over: Iterable[Incident]) -> Iterator[Due]:
    """All that came and went without being told, as one."""
    recent = [incident for incident in over if _still_matters(incident, news) and not _is_quiet(incident, news)]
    missed = [incident for incident in recent if not any(_holds(incident, start) for start in said)]
    if missed:
        yield Due(thread, "passed", tuple(incident.start for incident in missed), tuple(missed))


def _still_matters(incident: Incident, news: News) -> bool:
    return incident.first_good is not None and news.now - incident.first_good <= MATTERS_FOR


def _going_on(news: News, thread: Thread, said: Said, incident: Incident, *, just_ended: bool) -> Iterator[Due]:
    live = [start for start in _live(said) if _holds(incident, start)]
    if _is_quiet(incident, news):
        return
    if not live:
        again = just_ended or _begins_soon_after(incident, said)
        yield Due(thread, "reopened" if again else "opened", (incident.start,), (incident,))
    elif news.now - max(said[start][-1].at for start in live) >= news.remind_every:
        yield Due(thread, "reminder", (live[-1],), (incident,))


def _begins_soon_after(incident: Incident, said: Said) -> bool:
    closings = [entry.at for entries in said.values() for entry in entries if entry.event in ENDINGS]
    return bool(closings) and incident.start - max(closings) <= AGAIN_WITHIN


def _is_quiet(incident: Incident, news: News) -> bool:
    """Whether it began in or reached into maintenance and was not seen to outlast it."""
    end = incident.first_good or news.now + timedelta(seconds=1)
    return any(m.start < end and incident.start < m.end and incident.last_bad < m.end for m in news.maintenance)


def _memo(said: Said) -> str:
    noted = [entry for entries in said.values() for entry in entries if entry.detail]
    return max(noted, key=lambda entry: entry.at).detail if noted else ""


def _nth(one: Due, said: Said) -> int:
    return 1 + sum(entry.event == one.event for start in one.starts for entry in said.get(start, ()))
