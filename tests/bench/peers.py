"""What three others would report of the same looks, by the rules in their code. Pure.

Read in uptime-kuma 6398a958, gatus 08c46354 and upptime/uptime-monitor v1.43.15. Each is given more than it has: the
looks that we have (the two daemons look once a minute where they run on a host of their own), summaries that are
written at every look, figures without rounding, and windows of exactly our length where it has another month.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from tests.bench.looks import Look
from tests.bench.outages import DAY, HOUR, MINUTE, Span, Spans, length_s, merged, within

WINDOWS_S: Mapping[str, int] = {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}

# The figure of a window that ends now; None where it has no such window or nothing in it.
Rule = Callable[[str], float | None]


def counted(beats: Sequence[tuple[int, bool]], start_of: Callable[[str], int | None]) -> Rule:
    """Good checks over checks, from the bucket on that a window starts with."""
    times_s = [at_s for at_s, _ in beats]
    good = list(accumulate((up for _, up in beats), initial=0))

    def rule(window: str) -> float | None:
        start_s = start_of(window)
        first = len(beats) if start_s is None else bisect_left(times_s, start_s)
        return (good[-1] - good[first]) / (len(beats) - first) if first < len(beats) else None

    return rule


# --- Uptime Kuma -----------------------------------------------------------------------------------------------------

KUMA_BUCKETS: Mapping[str, tuple[int, int]] = {
    "24h": (MINUTE, 1440),
    "7d": (HOUR, 168),
    "30d": (DAY, 30),
    "90d": (DAY, 90),
}


def kuma(looks: Sequence[Look], maintenance: Sequence[Span], now_s: int, retries: int) -> Rule:
    """Each beat counts once; maintenance does not. With retries, PENDING counts as down, recovered or not.

    In server/uptime-calculator.js and the beat of server/model/monitor.js; `retries` is 0 unless somebody sets it.
    There is no look at the prober's own network.
    """

    def start_of(window: str) -> int:
        unit_s, number = KUMA_BUCKETS[window]
        return now_s - now_s % unit_s - (number - 1) * unit_s

    return counted(list(_beats(looks, Spans(maintenance), retries)), start_of)


def _beats(looks: Sequence[Look], maintenance: Spans, retries: int) -> Iterator[tuple[int, bool]]:
    tried = 0
    for look in looks:
        if look.at_s in maintenance:
            tried = 0
            continue
        for attempt in range(retries + 1):
            up = attempt >= look.failed
            yield look.at_s, up
            pending = not up and tried < retries
            tried = 0 if up else tried + 1
            if not pending:
                break


# --- Gatus -----------------------------------------------------------------------------------------------------------


def gatus(looks: Sequence[Look], now_s: int) -> Rule:
    """Each check counts once, maintenance too; no retry; with `connectivity` set, none while the prober is offline.

    In watchdog/endpoint.go and storage/store/memory/uptime.go: hours since the one the window begins in; 30 days at
    most.
    """

    def start_of(window: str) -> int | None:
        start_s = now_s - WINDOWS_S[window]
        return None if window == "90d" else start_s - start_s % HOUR

    return counted([(look.at_s, look.failed == 0) for look in looks if not look.offline[0]], start_of)


# --- Upptime ---------------------------------------------------------------------------------------------------------

SHORT_S = 15 * MINUTE
PAGE = 100


def upptime(looks: Sequence[Look], maintenance: Sequence[Span], now_s: int) -> Rule:
    """Down is while an issue is open, from the failing run to the next good one; all the rest is up.

    In src/update.ts, src/summary.ts, src/helpers/calculate-uptime.ts: issues closed within 15 minutes are deleted, the
    newest 100 count, none is opened in maintenance (announced as its documentation says, with `expectedDown`), and
    none after it while the status stays the same.
    """
    issues = list(_issues(looks, Spans(maintenance), now_s))
    kept = [(start, end) for start, end in issues if end - start >= SHORT_S or end == now_s][-PAGE:]
    down = merged(kept)

    def rule(window: str) -> float:
        start_s = now_s - WINDOWS_S[window]
        return 1 - length_s(within(down, start_s, now_s)) / (now_s - start_s)

    return rule


def _issues(looks: Sequence[Look], maintenance: Spans, now_s: int) -> Iterator[Span]:
    was_down, opened_s = False, None
    for look in looks:
        down, expected = look.all_failed, look.at_s in maintenance
        if down != was_down:
            if down and not expected:
                opened_s = look.at_s if opened_s is None else opened_s
            elif opened_s is not None:
                yield opened_s, look.at_s
                opened_s = None
        was_down = down
    if opened_s is not None:
        yield opened_s, now_s


def rules(looks: Sequence[Look], maintenance: Sequence[Span], now_s: int) -> dict[str, Rule]:
    """All of them, as they come and as they can be set."""
    return {
        "Kuma": kuma(looks, maintenance, now_s, retries=0),
        "Kuma, 2 retries": kuma(looks, maintenance, now_s, retries=2),
        "Gatus": gatus(looks, now_s),
        "Upptime": upptime(looks, maintenance, now_s),
    }
