"""Reports made by hand, for whoever shows them: small ones, and a realistic one with all that can happen."""

import random
from datetime import UTC, datetime, timedelta

from ops.uptime.incidents import Incident
from ops.uptime.latency import Latency, Percentiles
from ops.uptime.report import Report, TargetReport
from ops.uptime.rules import Rules
from ops.uptime.schedule import Schedule
from ops.uptime.summary import Day, Window

NOW = datetime(2026, 11, 22, 12, 7, 3, tzinfo=UTC)
TODAY = NOW.date()
DAY_S = 24 * 3600
NOTHING = Percentiles(None, None)


def seen(up_s=0, down_s=0, nodata_s=0, maintenance_s=0):
    """A window whose bounds are twice and half of what was seen down."""
    return Window(up_s, down_s, nodata_s, maintenance_s, down_s // 2, 2 * down_s + nodata_s // 10)


def same(window):
    return dict.fromkeys(("24h", "7d", "30d", "90d"), window)


def latency(*, p50=277, p95=912, phases=()):
    return Latency(Percentiles(p50, p95), {phase: Percentiles(p50 // 7, p95 // 5) for phase in phases})


def days(window=None, count=90, p50=277, p95=912):
    window = seen(DAY_S) if window is None else window
    return [
        Day(TODAY - timedelta(days=ago), window, Percentiles(p50, p95) if window.up_s else NOTHING)
        for ago in reversed(range(count))
    ]


def target(**changes):
    """A target that has been up for ever."""
    values = {
        "status": "up",
        "since": NOW - timedelta(days=40),
        "windows": same(seen(DAY_S)),
        "incidents": [],
        "latency": latency(phases=("dns", "tcp", "tls", "ttfb", "body", "ws", "script")),
        "days": days(),
        "seen_by": {"github": NOW},
        "planned": None,
    }
    return TargetReport(**{**values, **changes})


def nothing_known():
    """A target that was never seen: all figures without meaning."""
    return target(
        status="no data",
        since=None,
        windows=same(Window(0, 0, 0, 0)),
        latency=Latency(NOTHING, {}),
        days=[],
        seen_by={},
    )


def incident(**changes):
    """The worked case: bad at 06:00 and 06:30, good at 05:30 and 07:00."""
    morning = datetime(2026, 11, 22, tzinfo=UTC)
    values = {
        "start": morning + timedelta(hours=6),
        "last_bad": morning + timedelta(hours=6, minutes=30),
        "last_good": morning + timedelta(hours=5, minutes=30),
        "first_good": morning + timedelta(hours=7),
        "stage": "script_done",
        "reason": "script_exception",
        "detail": "ValueError: no such snapshot",
        "release": "20261121-a1b2c3d",
    }
    return Incident(**{**values, **changes})


def report(targets=None, **changes):
    values = {
        "now": NOW,
        "rules": Rules(),
        "targets": {"dashboard": target()} if targets is None else targets,
        "schedule": Schedule(1440, 1402, 431, 1903, 18720),
        "samples": 12_345,
        "torn_lines": 2,
        "first": NOW - timedelta(days=120),
        "last": NOW,
        "digest": "0a1b2c3d4e5f",
    }
    return Report(**{**values, **changes})


# --- a realistic one -------------------------------------------------------------------------------------------------


def realistic():
    """Three targets: one up after some bad days, one degraded and under maintenance, one that is down and new."""
    luck = random.Random(7)
    return report(
        {"api.shop": _flapping(luck), "dashboard": _eventful(luck), "www.shop-front": _young(luck)},
        schedule=Schedule(1440, 1291, 672, 2893, 31020),
    )


def _eventful(luck):
    special = {
        80: seen(0, DAY_S),
        79: seen(40_000, 30_000, DAY_S - 70_000),
        61: seen(DAY_S - 5400, 5400),
        44: seen(0, 0, DAY_S),
        43: seen(0, 0, DAY_S),
        42: seen(20_000, 0, DAY_S - 20_000),
        30: seen(20_000, 0, 6_400, 60_000),
        12: seen(DAY_S - 700, 700),
        3: seen(50_000, 30_000, 6_400),
    }
    return target(
        since=NOW - timedelta(days=2, hours=22),
        windows={
            "24h": seen(84_600, 0, 1800),
            "7d": seen(560_000, 30_000, 14_800),
            "30d": seen(2_430_000, 30_700, 71_300, 60_000),
            "90d": seen(7_000_000, 157_000, 619_000, 60_000),
        },
        incidents=[
            incident(
                start=NOW - timedelta(days=80, hours=12),
                last_bad=NOW - timedelta(days=79, hours=4),
                last_good=NOW - timedelta(days=80, hours=13),
                first_good=NOW - timedelta(days=79, hours=3, minutes=12),
                stage="tcp",
                reason="refused",
                detail="nothing listens on 203.0.113.7:443",
                release=None,
                unseen_s=7380,
            ),
            incident(
                start=NOW - timedelta(days=61),
                last_bad=NOW - timedelta(days=61),
                last_good=NOW - timedelta(days=61, minutes=31),
                first_good=NOW - timedelta(days=61, minutes=-88),
                stage="ws_upgrade",
                reason="ws_refused",
                detail="HTTP 403 to the upgrade",
            ),
            incident(
                start=NOW - timedelta(days=3, hours=7),
                last_bad=NOW - timedelta(days=2, hours=23),
                last_good=NOW - timedelta(days=3, hours=7, minutes=37),
                first_good=NOW - timedelta(days=2, hours=22),
            ),
        ],
        days=_days(luck, special, 277),
        seen_by={"github": NOW, "host": NOW - timedelta(minutes=7), "laptop": NOW - timedelta(days=9)},
    )


def _flapping(luck):
    special = {ago: seen(70_000, 2_000 * (ago % 5), 10_000) for ago in range(3, 9)} | {0: seen(30_000, 0, 0, 13_000)}
    return target(
        status="degraded",
        since=NOW - timedelta(minutes=31),
        windows={
            "24h": seen(70_000, 0, 3_000, 13_400),
            "7d": seen(560_000, 9_000, 35_000, 13_400),
            "30d": seen(2_480_000, 20_000, 90_000, 13_400),
            "90d": seen(7_400_000, 20_000, 356_000, 13_400),
        },
        incidents=[
            incident(
                start=NOW - timedelta(days=7),
                last_bad=NOW - timedelta(days=6, hours=15),
                last_good=NOW - timedelta(days=7, minutes=30),
                first_good=NOW - timedelta(days=6, hours=14),
                stage="ttfb",
                reason="timeout",
                detail="no end within the time given",
                changes=11,
                release=None,
            )
        ],
        latency=latency(p50=88, p95=1400, phases=("dns", "tcp", "tls", "ttfb", "body")),
        days=_days(luck, special, 88),
        planned="new disk <b>",
    )


def _young(luck):
    return target(
        status="down",
        since=NOW - timedelta(hours=5, minutes=30),
        windows={
            "24h": seen(48_600, 19_800, 18_000),
            **dict.fromkeys(("7d", "30d", "90d"), seen(90_000, 19_800, 180_000)),
        },
        incidents=[
            incident(
                start=NOW - timedelta(hours=5, minutes=30),
                last_bad=NOW,
                last_good=NOW - timedelta(hours=7, minutes=2),
                first_good=None,
                stage="script_done",
                reason="script_exception",
                detail="botocore.exceptions.ClientError: An error occurred (403) | `x` @someone <img src=x>",
                release="v2.4.0-rc1",
            )
        ],
        latency=latency(p50=2210, p95=6100, phases=("dns", "tcp", "ttfb", "ws", "script")),
        days=_days(luck, {0: seen(25_000, 18_000, 500), 1: seen(40_000, 0, 46_000)}, 2210)[-4:],
    )


def _days(luck, special, usual_ms):
    made = []
    for ago in reversed(range(90)):
        unseen_s = luck.choice((0, 600, 1800, 5400, 14_000))
        window = special.get(ago, seen(DAY_S - unseen_s, 0, unseen_s))
        p50 = round(usual_ms * luck.uniform(0.9, 1.15))
        found = Percentiles(p50, round(p50 * luck.uniform(1.6, 3.4))) if window.up_s else NOTHING
        made.append(Day(TODAY - timedelta(days=ago), window, found))
    return made
