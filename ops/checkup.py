"""Everything that `fab freshness` looks at: the two clocks, every file, the page. Gather, then decide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from etl.contract import METADATA, Manifest
from etl.errors import KpiOpsError, SettingsError, StoreError
from etl.store import Patience, SnapshotReader
from etl.store.wire import Deadline, Request, asked
from ops import freshness, integrity, shown
from ops.freshness import Clock, judge
from ops.integrity import Look
from ops.settings import FreshnessSettings
from ops.shown import Page, Shown
from ops.verdict import NOT_KNOWN, Finding, Status, Verdict
from ops.words import moment

# What is asked is patient by itself; this ends everything, whatever a server does.
LONGEST = Patience(attempts=1, deadline_s=60)
LONGEST_PAGE_S = 10
WAIT_S = 2.0
MINUTES = 60

STATUS: Mapping[freshness.Verdict, Status] = {"fresh": "pass", "warn": "warn", "stale": "error", "future": "error"}
WORD: Mapping[freshness.Verdict, str] = {"fresh": "fresh", "warn": "late", "stale": "stale", "future": "future"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was gathered: the manifest or why there is none, its files, and what the page said if it was asked."""

    where: str
    manifest: Manifest | KpiOpsError
    looks: Sequence[Look] = ()
    shown: Shown | KpiOpsError | None = None


def checkup(
    opened: Callable[[], SnapshotReader],
    limits: FreshnessSettings,
    *,
    now: datetime,
    page: Page | None = None,
    patience: Patience = LONGEST,
) -> Verdict:
    """Look at a store (and at a page that shows it) and judge it at `now` (aware), within the deadline of `patience`.

    What goes wrong with store and page is a finding; raises SettingsError for an address that cannot be used.
    """
    began_s = patience.clock()
    seen = gather(opened, page, patience)
    findings = decide(seen, limits, page, now)
    run_id = seen.manifest.run_id if isinstance(seen.manifest, Manifest) else None
    return Verdict(seen.where, run_id, now, patience.clock() - began_s, findings)


# --- gather ----------------------------------------------------------------------------------------------------------


def gather(opened: Callable[[], SnapshotReader], page: Page | None, patience: Patience) -> Seen:
    """Ask the page, then the store: who publishes in between makes the page look late, never ahead."""
    said = _asked_page(page, patience) if page else None
    try:
        reader = opened()
    except StoreError as error:  # of how AWS is configured
        return Seen("the store", error, shown=said)
    deadline = patience.begin()
    seen = _store(reader, deadline)
    if _files(seen) == "error":  # while somebody publishes, a bucket without versions is torn for a moment
        patience.sleep(WAIT_S)
        again = _store(reader, deadline)
        seen = seen if _files(again) == "unknown" else again
    return replace(seen, shown=said)


def _asked_page(page: Page, patience: Patience) -> Shown | KpiOpsError:
    shortly = replace(patience, deadline_s=min(LONGEST_PAGE_S, patience.deadline_s))
    try:
        return asked(Request(f"asking {page.url}", lambda: shown.ask(page.url)), shortly.begin())
    except SettingsError:
        raise
    except KpiOpsError as error:
        return error


def _store(reader: SnapshotReader, deadline: Deadline) -> Seen:
    try:
        current = asked(Request(f"reading {METADATA} of {reader.where}", reader.current), deadline)
    except KpiOpsError as error:
        return Seen(reader.where, error)
    except integrity.NONSENSE as error:
        return Seen(reader.where, integrity.nonsense(f"reading {METADATA}", error))
    if current is None:  # only ever said to a reader that knows the manifest already
        return Seen(reader.where, integrity.nonsense(f"reading {METADATA}", ValueError("nothing has changed")))
    return Seen(reader.where, current.manifest, integrity.look_at(reader, current.manifest, deadline))


def _files(seen: Seen) -> Status:
    if isinstance(seen.manifest, KpiOpsError):
        return "unknown"
    return integrity.finding(seen.looks, seen.manifest, seen.where).status


# --- decide ----------------------------------------------------------------------------------------------------------


def decide(seen: Seen, limits: FreshnessSettings, page: Page | None, now: datetime) -> list[Finding]:
    """A finding for each check, in the order in which they are told."""
    manifest = seen.manifest
    if isinstance(manifest, KpiOpsError):
        findings = _unpublished(manifest, limits, now)
    else:
        findings = [*_clocks(manifest, limits, now), integrity.finding(seen.looks, manifest, seen.where)]
    if page and seen.shown is not None:
        known = manifest if isinstance(manifest, Manifest) else None
        findings.append(shown.finding(page, seen.shown, known, now))
    return findings


def _unpublished(error: KpiOpsError, limits: FreshnessSettings, now: datetime) -> list[Finding]:
    state = integrity.state_of(error)
    status = integrity.STATUS[state]
    facts = {"state": state}
    return [
        Finding(METADATA, status, state, error.seen, error.expected, error.to_do, facts=facts),
        Finding("generated_at", status, state, NOT_KNOWN, facts=_facts(None, now, _generated_limits(limits))),
        Finding("data_through", status, state, NOT_KNOWN, facts=_facts(None, now, _data_limits(limits))),
    ]


def _clocks(manifest: Manifest, limits: FreshnessSettings, now: datetime) -> list[Finding]:
    both = judge(manifest, now, limits)
    return [
        _clock("generated_at", both.generated, now, _generated_limits(limits), _RUN_IT),
        _clock("data_through", both.data, now, _data_limits(limits), _NEWER_SALES),
    ]


_RUN_IT = "publish with `fab etl-sync`, and find out why nobody has: the scheduled run and its log"
_NEWER_SALES = "give `fab etl-sync` an export with newer sales: the job may run well and read an old file"
_SET_CLOCK = (
    "set the clock of the machine that made it, or of this one; look for a sale with a wrong date; publish again"
)


def _clock(check: str, clock: Clock, now: datetime, limits_h: tuple[float, float], to_do: str) -> Finding:
    warn_h, error_h = limits_h
    ahead = clock.verdict == "future"
    return Finding(
        check,
        STATUS[clock.verdict],
        WORD[clock.verdict],
        clock.text,
        "nothing of the future" if ahead else f"at most {warn_h:g} h, and never more than {error_h:g} h",
        _SET_CLOCK if ahead else to_do,
        facts=_facts(clock, now, limits_h),
        age=clock.counted,
    )


def _facts(clock: Clock | None, now: datetime, limits_h: tuple[float, float]) -> dict[str, object]:
    warn_h, error_h = limits_h
    return {
        "max_loaded_at": moment(clock.since) if clock else None,
        "snapshotted_at": moment(now),
        "max_loaded_at_time_ago_in_s": round(clock.age.total_seconds(), 3) if clock else None,
        "closed_s": round(clock.closed.total_seconds(), 3) if clock else None,
        "criteria": {"warn_after": _period(warn_h), "error_after": _period(error_h), "filter": None},
    }


def _generated_limits(limits: FreshnessSettings) -> tuple[float, float]:
    return limits.generated_warn_h, limits.generated_error_h


def _data_limits(limits: FreshnessSettings) -> tuple[float, float]:
    return limits.data_warn_h, limits.data_error_h


def _period(hours: float) -> dict[str, object]:
    """A limit as dbt writes it: a whole count of hours, of minutes where it is not whole."""
    if hours == int(hours):
        return {"count": int(hours), "period": "hour"}
    return {"count": round(hours * MINUTES), "period": "minute"}
