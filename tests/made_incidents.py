"""Incidents and the news of them in a few words, for tests of what is told: hours count from midnight."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from ops.alerts.decide import Due, News, Thread
from ops.alerts.ledger import Entry
from ops.alerts.words import message
from ops.uptime.incidents import Incident
from ops.uptime.latency import Latency, Percentiles
from ops.uptime.maintenance import Maintenance
from ops.uptime.report import TargetReport
from ops.uptime.rules import Rules
from ops.uptime.summary import Window

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
RULES = Rules(enough_coverage=Fraction(1, 2))
WINDOWS = {"24h": Window(up_s=1095 * 60, down_s=60 * 60, nodata_s=285 * 60, maintenance_s=0, most_down_s=7200)}
HALF_AN_HOUR = 0.5


def at(hours):
    """So many hours after midnight."""
    return MIDNIGHT + timedelta(hours=hours)


def incident(start, end=None, *, last_bad=None, detail="refused", changes=0, before=HALF_AN_HOUR, release=None):
    """Down from hour `start`; good again at hour `end`, or not yet."""
    newest = last_bad if last_bad is not None else start if end is None else max(start, end - HALF_AN_HOUR)
    good_again = None if end is None else at(end)
    good_before = None if before is None else at(start - before)
    return Incident(at(start), at(newest), good_before, good_again, "tcp", "refused", detail, changes, release)


def numbers(*incidents):
    """The numbers of a target that had these incidents."""
    none = Percentiles(None, None)
    return TargetReport("down", None, WINDOWS, incidents, Latency(none, {}), [], {})


def news(now, *incidents, target="dashboard", kind="down", maintenance=(), watched=True, remind_h=24):
    """What there is to tell of one target at hour `now`."""
    apart = tuple(Maintenance(at(start), at(end), "a new disk") for start, end in maintenance)
    return News(
        now=at(now),
        targets={target: numbers(*incidents)},
        kinds={target: kind} if watched else {},
        rules=RULES,
        maintenance=apart,
        remind_every=timedelta(hours=remind_h),
    )


def told(event, start, when, channel="webhook", *, outcome="sent", target="dashboard", kind="down", detail=""):
    """A line of the ledger: told at hour `when`."""
    return Entry(at(when), target, kind, at(start), event, channel, outcome, detail)


def alert(event, one, now=None, *, memo="", nth=1, channel="github", target="dashboard", kind="down"):
    """The message that an incident opened, closed, ..."""
    due = Due(Thread(channel, target, kind), event, (one.start,), (one,), memo=memo, nth=nth)
    hours = (one.last_bad - MIDNIGHT) / timedelta(hours=1) if now is None else now
    return message(due, news(hours, one, target=target, kind=kind))
