"""Tell what is to be told: all channels side by side, each with its own troubles, and never for long."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from etl.store import Patience
from etl.store.wire import Deadline
from ops.alerts.decide import Due, News, Thread, due
from ops.alerts.ledger import ChannelName, Entry, Outcome
from ops.alerts.wire import Undelivered
from ops.alerts.words import Message, headline, message

PATIENCE = Patience(attempts=4, deadline_s=50)
GRACE_S = 5.0  # for what was under way when the deadline passed


class Channel(Protocol):
    """A way to tell."""

    @property
    def name(self) -> ChannelName:
        """As it stands in the ledger."""

    def send(self, message: Message, *, deadline: Deadline, now: datetime) -> str:
        """Deliver a message and return what is to be noted of it. Raises Undelivered."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told: lines for a person, and the entries that the ledger is to get."""

    lines: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of something that was due."""

    due: Due
    outcome: Outcome
    detail: str


def tell(
    news: News,
    told: Sequence[Entry],
    channels: Sequence[Channel],
    *,
    patience: Patience = PATIENCE,
    grace_s: float = GRACE_S,
) -> Told:
    """Say on each channel what it was not told yet. What other machines do wrong raises nothing.

    `told`: the entries of the ledger; `patience`: its deadline is that of everything, but for a `grace_s` for what is
    under way then.
    """
    wanted = due(news, told, [channel.name for channel in channels])
    deadline = patience.begin()
    arrived: queue.SimpleQueue[Done] = queue.SimpleQueue()
    for channel in channels:
        own = _in_order([one for one in wanted if one.thread.channel == channel.name], told)
        messages = [(one, message(one, news)) for one in own]
        work = (channel, messages, deadline, news.now, arrived.put)
        threading.Thread(target=_deliver, args=work, name=f"alerts to {channel.name}", daemon=True).start()
    done = list(_collected(wanted, arrived, deadline, grace_s))
    return Told(tuple(map(_line, done)), tuple(_entries(done, told, news.now)))


def _in_order(wanted: Iterable[Due], told: Sequence[Entry]) -> list[Due]:
    """What could not be told before comes after all else: one message that is refused each time blocks no other."""
    dead = {(entry.channel, entry.target, entry.kind) for entry in told if entry.outcome == "dead"}
    return sorted(wanted, key=lambda one: one.thread in dead)


def _deliver(
    channel: Channel,
    messages: Sequence[tuple[Due, Message]],
    deadline: Deadline,
    now: datetime,
    arrived: Callable[[Done], None],
) -> None:
    """Send them in turn. After one that failed nothing more is said in its thread; after a hopeless one, nothing."""
    given_up: dict[Thread | None, str] = {}  # None: all threads
    for one, told in messages:
        why = given_up.get(None) or given_up.get(one.thread)
        try:
            if why is None:
                arrived(Done(one, "sent", channel.send(told, deadline=deadline, now=now)))
                continue
        except Undelivered as error:
            why = error.why
            given_up[None if error.hopeless else one.thread] = why
        except Exception as error:  # noqa: BLE001 - a bug in one channel stops no other; its words may hold an address
            why = given_up[one.thread] = f"failed: {type(error).__name__}"
        arrived(Done(one, "dead", why))


def _collected(
    wanted: Sequence[Due], arrived: "queue.SimpleQueue[Done]", deadline: Deadline, grace_s: float
) -> Iterator[Done]:
    """What became of each, in the order in which they were due; whoever has not answered in time is left behind."""
    found: dict[Due, Done] = {}
    with suppress(queue.Empty):
        while len(found) < len(wanted):
            left_s = deadline.end_s + grace_s - deadline.patience.clock()
            done = arrived.get(timeout=max(0.0, left_s))
            found[done.due] = done
    late = f"not done after {deadline.patience.deadline_s:g} s"
    yield from (found.get(one, Done(one, "dead", late)) for one in wanted)


def _line(done: Done) -> str:
    what = f"{done.due.thread.channel}: {headline(done.due)}"
    if done.outcome == "sent":
        return f"told {what}{f' ({done.detail})' if done.detail else ''}"
    return f"not told, tried again at the next run: {what}: {done.detail}"


def _entries(done: Iterable[Done], told: Sequence[Entry], now: datetime) -> Iterator[Entry]:
    """An entry for each incident that was told, and for each that could not be, the first time only."""
    for each in done:
        channel, target, kind = each.due.thread
        for start in each.due.starts:
            entry = Entry(now, target, kind, start, each.due.event, channel, each.outcome, each.detail)
            if each.outcome == "sent" or not _is_known_dead(entry, told):
                yield entry


def _is_known_dead(entry: Entry, told: Sequence[Entry]) -> bool:
    same = [
        each
        for each in told
        if (each.channel, each.target, each.kind) == (entry.channel, entry.target, entry.kind)
        and each.incident == entry.incident
    ]
    sent = max((each.at for each in same if each.outcome == "sent"), default=None)
    return any(
        each.outcome == "dead" and each.event == entry.event and (sent is None or each.at > sent) for each in same
    )
