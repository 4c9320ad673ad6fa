"""The arithmetic of uptime: exact, whole seconds, and nothing that flatters."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import SettingsError
from ops.uptime import maintenance
from ops.uptime.history import Track, history_of
from ops.uptime.latency import Percentiles, latency, percentile
from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import PHASES, Result, Verdict
from ops.uptime.record import Sample
from ops.uptime.rules import Rules
from ops.uptime.schedule import Schedule, schedule
from ops.uptime.standing import standing
from ops.uptime.summary import Window, timeline
from ops.uptime.summary import windows as windows_of

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
RULES = Rules(cadence=HALF_HOUR)


def at(minute: float, verdict: Verdict = "up", by: str = "github", ms: int = 1) -> Sample:
    result = Result(verdict, None, None, None, dict.fromkeys(PHASES, ms))
    return Sample(at=MIDNIGHT + timedelta(minutes=minute), target="dashboard", by=by, run=None, result=result)


def tracks_of(samples: list[Sample]) -> list[Track]:
    return list(history_of(samples).tracks)


def windows(
    tracks: list[Track], *, now: datetime, rules: Rules, maintenance: tuple[Maintenance, ...] = ()
) -> dict[str, Window]:
    spans = timeline(tracks, now=now, hold=rules.hold, maintenance=maintenance)
    return windows_of(tracks, spans, rules=rules, maintenance=maintenance)


def day(samples: list[Sample], minutes: float = 24 * 60, apart: tuple[Maintenance, ...] = ()) -> Window:
    """The 24 h window that ends so many minutes after midnight."""
    now = MIDNIGHT + timedelta(minutes=minutes)
    return by_state(windows(tracks_of(samples), now=now, rules=RULES, maintenance=apart)["24h"])


def by_state(window: Window) -> Window:
    """The window without the bounds, which are another's business."""
    return replace(window, least_down_s=0, most_down_s=0)


def minutes(up: int = 0, down: int = 0, nodata: int = 0, apart: int = 0) -> Window:
    return Window(up * 60, down * 60, nodata * 60, apart * 60)


def kept(start: int, end: int) -> Maintenance:
    return Maintenance(MIDNIGHT + timedelta(minutes=start), MIDNIGHT + timedelta(minutes=end), "new disk")


WORKED_CASE = [
    *[at(n) for n in range(0, 360, 30)],
    *[at(n, "down") for n in (360, 390)],
    *[at(n) for n in range(420, 600, 30)],
    *[at(n) for n in range(900, 1440, 30)],
]


def test_the_worked_case_has_exactly_the_figures_of_its_definition():
    window = day(WORKED_CASE)
    assert window == minutes(up=1095, down=60, nodata=285)
    assert window.uptime == Fraction(1095, 1155)
    assert window.coverage == Fraction(1155, 1440)
    assert (window.worst, window.best) == (Fraction(1095, 1440), Fraction(1380, 1440))


@pytest.mark.parametrize(
    ("samples", "now", "window"),
    [
        pytest.param([], 60, minutes(), id="no samples"),
        pytest.param([at(0)], 0, minutes(), id="the very first moment"),
        pytest.param([at(0)], 45, minutes(up=45), id="a sample speaks for 1.5 x the cadence"),
        pytest.param([at(0)], 60, minutes(up=45, nodata=15), id="and no longer"),
        pytest.param([at(0), at(10, "down")], 20, minutes(up=10, down=10), id="until the next one"),
        pytest.param([at(0), at(10, "unknown")], 30, minutes(up=10, nodata=20), id="unknown is no data"),
        pytest.param([at(0, "degraded")], 30, minutes(up=30), id="degraded works"),
        pytest.param([at(0, "down"), at(99)], 30, minutes(down=30), id="what comes after now is not known"),
        pytest.param([at(0), at(24 * 60)], 25 * 60, minutes(up=45, nodata=24 * 60 - 45), id="the window moves on"),
        pytest.param([at(-20), at(0, "down")], 30, minutes(up=20, down=30), id="it starts at the first sample"),
        pytest.param([at(0, "down"), at(0, by="host")], 30, minutes(up=30), id="somebody sees it up: it is up"),
        pytest.param([at(0, "down"), at(0, "down", by="host")], 30, minutes(down=30), id="all see it down: it is down"),
        pytest.param(
            [at(0, "down"), at(0, "unknown", by="host")], 30, minutes(down=30), id="who cannot tell has no say"
        ),
        pytest.param(
            [at(0, "down"), at(20, by="host")], 90, minutes(up=45, down=20, nodata=25), id="each speaks in its own time"
        ),
    ],
)
def test_every_second_is_up_down_or_no_data(samples: list[Sample], now: int, window: Window):
    assert day(samples, now) == window


@pytest.mark.parametrize(
    ("apart", "window"),
    [
        pytest.param((kept(10, 20),), minutes(up=20, apart=10), id="taken out of both sides"),
        pytest.param((kept(10, 20), kept(15, 25)), minutes(up=15, apart=15), id="overlapping ones count once"),
        pytest.param((kept(-60, 5), kept(25, 90)), minutes(up=20, apart=10), id="only within the window"),
        pytest.param((kept(-60, -5), kept(40, 90)), minutes(up=30), id="outside it nothing"),
        pytest.param((kept(-60, 90),), minutes(apart=30), id="nothing else left"),
    ],
)
def test_maintenance_is_neither_up_nor_down(apart: tuple[Maintenance, ...], window: Window):
    found = day([at(0)], 30, apart)
    assert found == window
    assert found.coverage == (1 if window.up_s else None)


def test_down_during_maintenance_does_not_count():
    assert day([at(0), at(10, "down"), at(20)], 30, (kept(10, 20),)) == minutes(up=20, apart=10)


def test_where_nothing_is_known_there_is_no_figure():
    assert (day([]).uptime, day([]).coverage, day([]).worst, day([]).best) == (None, None, None, None)
    unknown = day([at(0, "unknown")], 30)
    assert (unknown.uptime, unknown.coverage, unknown.worst, unknown.best) == (None, 0, 0, 1)


def test_windows_differ_in_what_they_look_back_on():
    now = MIDNIGHT + timedelta(days=100)
    samples = [at(24 * 60 * n, "down" if n == 50 else "up") for n in range(100)]
    found = windows(tracks_of(samples), now=now, rules=Rules(cadence=timedelta(days=1)))
    assert {name: window.promised_s // 86400 for name, window in found.items()} == {
        "24h": 1,
        "7d": 7,
        "30d": 30,
        "90d": 90,
    }
    assert {name: window.down_s // 86400 for name, window in found.items()} == {"24h": 0, "7d": 0, "30d": 0, "90d": 1}


# --- properties ------------------------------------------------------------------------------------------------------

histories = st.lists(
    st.builds(
        at,
        st.integers(0, 600).map(lambda half_minutes: half_minutes / 2),
        st.sampled_from(["up", "degraded", "down", "unknown"]),
        st.sampled_from(["github", "host"]),
    ),
    max_size=30,
    unique_by=lambda sample: (sample.at, sample.by),
)
closures = st.lists(
    st.tuples(st.integers(-30, 300), st.integers(1, 60)).map(lambda pair: kept(pair[0], sum(pair))), max_size=3
).map(tuple)
nows = st.integers(0, 24 * 60)


@given(histories, closures, nows, st.randoms())
def test_order_does_not_matter(samples: list[Sample], apart: tuple[Maintenance, ...], now: int, random: Random):
    shuffled = list(samples)
    random.shuffle(shuffled)
    assert day(shuffled, now, apart) == day(samples, now, apart)


@given(histories, closures, nows)
def test_the_seconds_are_those_of_the_window_exactly(samples: list[Sample], apart: tuple[Maintenance, ...], now: int):
    moment = MIDNIGHT + timedelta(minutes=now)
    known = [sample.at for sample in samples if sample.at <= moment]
    length = moment - min(known) if known else timedelta(0)
    window = day(samples, now, apart)
    assert window.promised_s + window.maintenance_s == length // timedelta(seconds=1)
    assert min(window.up_s, window.down_s, window.nodata_s, window.maintenance_s) >= 0


@given(histories, closures, nows)
def test_worst_uptime_and_best_are_in_this_order(samples: list[Sample], apart: tuple[Maintenance, ...], now: int):
    moment = MIDNIGHT + timedelta(minutes=now)
    window = windows(tracks_of(samples), now=moment, rules=RULES, maintenance=apart)["24h"]
    if window.uptime is not None:
        assert 0 <= window.lowest <= window.worst <= window.uptime <= window.best <= window.highest <= 1


@given(histories, closures, nows, st.integers(0, 300), st.sampled_from(["github", "host", "laptop"]))
def test_a_down_sample_never_raises_uptime(
    samples: list[Sample], apart: tuple[Maintenance, ...], now: int, minute: int, by: str
):
    before = day(samples, now, apart)
    taken = {(sample.at, sample.by) for sample in samples}
    more = at(minute + 0.25, "down", by)
    assert (more.at, more.by) not in taken
    after = day([*samples, more], now, apart)
    if before.uptime is not None:
        assert after.uptime is None or after.uptime <= before.uptime


@given(histories, closures, nows)
def test_the_timeline_has_no_gaps_and_no_overlaps(samples: list[Sample], apart: tuple[Maintenance, ...], now: int):
    moment = MIDNIGHT + timedelta(minutes=now)
    spans = timeline(tracks_of(samples), now=moment, hold=RULES.hold, maintenance=apart)
    assert all(before.end_s == after.start_s for before, after in pairwise(spans))


# --- latency, status, schedule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "p50", "p95"),
    [([], None, None), ([7], 7, 7), ([2, 1], 1, 2), (range(1, 101), 50, 95), ([1, 2, 3], 2, 3)],
)
def test_a_percentile_is_a_value_that_was_seen(values: list[int], p50: int | None, p95: int | None):
    assert (percentile(values, 50), percentile(values, 95)) == (p50, p95)


def test_latency_is_that_of_good_probes_of_thirty_days():
    samples = [at(0, ms=1), at(1, "degraded", ms=2), at(2, "down", ms=900), at(-31 * 24 * 60, ms=800), at(99, ms=700)]
    found = latency(tracks_of(samples), now=MIDNIGHT + timedelta(minutes=30))
    assert found.total == Percentiles(p50_ms=7, p95_ms=14)
    assert found.phases == dict.fromkeys(PHASES, Percentiles(p50_ms=1, p95_ms=2))


def test_a_look_without_times_is_no_quick_one():
    untimed = replace(at(5), result=Result("up", None, None, None, {}))
    assert latency(tracks_of([at(0, ms=1), untimed]), now=MIDNIGHT + timedelta(minutes=30)).total == Percentiles(7, 7)


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        ([], "no data"),
        ([at(-45)], "no data"),
        ([at(1)], "no data"),
        ([at(-44)], "up"),
        ([at(-30), at(0, "down")], "down"),
        ([at(-30, "down"), at(0, "unknown")], "unknown"),
        ([at(0, "down"), at(0, by="host")], "up"),
        ([at(0, "unknown"), at(0, "down", by="host")], "down"),
        ([at(0, "degraded")], "degraded"),
    ],
)
def test_status_is_the_best_that_anybody_sees_now(samples: list[Sample], text: str):
    assert standing(tracks_of(samples), now=MIDNIGHT, hold=timedelta(minutes=45)).status == text


@pytest.mark.parametrize(
    ("offsets", "now", "expected"),
    [
        pytest.param([], 60, Schedule(0, 0, None, None, None), id="nothing yet"),
        pytest.param([5], 20, Schedule(0, 0, None, None, 900), id="no slot is over"),
        pytest.param([5, 35, 65], 90, Schedule(3, 3, 300, 300, 1800), id="all came"),
        pytest.param([5, 95], 120, Schedule(4, 2, 300, 300, 5400), id="two did not"),
        pytest.param([0, 1, 2, 59], 60, Schedule(2, 2, 0, 1740, 57 * 60), id="the first of a slot counts"),
        pytest.param([5, 35, 200], 90, Schedule(3, 2, 300, 300, 3300), id="what comes after now is not known"),
        pytest.param(
            [-60 * 1440, 0], 60, Schedule(1440, 1, 0, 0, 30 * 86400 - 3600), id="a month in which nobody looked counts"
        ),
        pytest.param([-60 * 1440], 0, Schedule(1440, 0, None, None, 30 * 86400), id="nobody looks any more"),
    ],
)
def test_the_prober_measures_its_own_schedule(offsets: list[int], now: int, expected: Schedule):
    tracks = tracks_of([at(offset) for offset in offsets])
    assert schedule(tracks, now=MIDNIGHT + timedelta(minutes=now), cadence=HALF_HOUR) == expected


# --- maintenance.toml ------------------------------------------------------------------------------------------------


def read(tmp_path: Path, text: str) -> tuple[Maintenance, ...]:
    (tmp_path / "maintenance.toml").write_text(text)
    return maintenance.read(tmp_path)


def entry(start: str, end: str, more: str = "") -> str:
    return f'[[maintenance]]\nstart = {start}\nend = {end}\nwhy = "new disk"\n{more}\n'


def test_without_a_file_there_is_no_maintenance(tmp_path: Path):
    assert maintenance.read(tmp_path) == ()


def test_times_with_an_offset_are_moments(tmp_path: Path):
    found = read(tmp_path, entry("2026-11-22T01:00:00+02:00", "2026-11-22T01:00:00Z"))
    assert found == (
        Maintenance(datetime(2026, 11, 21, 23, tzinfo=UTC), datetime(2026, 11, 22, 1, tzinfo=UTC), "new disk"),
    )


@pytest.mark.parametrize(
    ("zone", "hours"), [("Europe/London", 4), ("America/New_York", 3), ("Australia/Lord_Howe", 3), ("UTC", 3)]
)
def test_wall_clock_times_of_a_zone_know_its_summer_time(tmp_path: Path, zone: str, hours: int):
    """On 2026-10-25 London sets its clocks back within these three hours of the wall clock."""
    (found,) = read(tmp_path, entry("2026-10-25T00:30:00", "2026-10-25T03:30:00", f'zone = "{zone}"'))
    assert found.end - found.start == timedelta(hours=hours)
    assert found.start.astimezone(ZoneInfo(zone)).hour == 0


@pytest.mark.parametrize(("end", "minutes"), [("02:00:00", 0), ("02:15:00", 15), ("02:30:00", 30), ("03:00:00", 60)])
def test_a_time_that_the_clocks_skip_is_when_they_are_put_forward(tmp_path: Path, end: str, minutes: int):
    """On 2026-03-29 in London 01:00 is followed by 02:00."""
    times = "2026-03-29T00:30:00", f"2026-03-29T{end}"
    (found,) = read(tmp_path, entry(*times, 'zone = "Europe/London"'))
    assert (found.end - found.start) == timedelta(minutes=30 + minutes)
    (skipped,) = read(tmp_path, entry("2026-03-29T01:30:00", "2026-03-29T03:00:00", 'zone = "Europe/London"'))
    assert skipped.start == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_part_of_a_second_and_a_byte_order_mark_do_no_harm(tmp_path: Path):
    (found,) = read(tmp_path, "\ufeff" + entry("2026-11-22T01:00:00.5Z", "2026-11-22T02:00:00.9Z"))
    assert (found.start.microsecond, found.end.microsecond) == (0, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (entry("2026-11-22T01:00:00", "2026-11-22T02:00:00"), "neither offset nor zone"),
        (entry("2026-11-22T01:00:00", "2026-11-22T02:00:00", 'zone = "Mars/Base"'), "no zone 'Mars/Base'"),
        (entry("2026-11-22T01:00:00", "2026-11-22T02:00:00", 'zone = "../etc"'), "no zone"),
        (entry("2026-11-22T02:00:00Z", "2026-11-22T01:00:00Z"), "ends before it begins"),
        (entry('"2026-11-22T02:00:00Z"', "2026-11-22T01:00:00Z"), "not quoted"),
        (entry("2026-11-22", "2026-11-23"), "a date with a time"),
        (entry("2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z", "colour = 1"), "colour is not known"),
        ("[[maintenance]]\nstart = 2026-11-22T01:00:00Z\nend = 2026-11-22T02:00:00Z", "say why"),
        ("[[maintenance]]\n", "start must be"),
        ("maintenance = 3", "only .*maintenance"),
        ("[other]", "only .*maintenance"),
        ("maintenance = [1]", "only .*maintenance"),
        ("???", "Invalid"),
        ("a = " + "[" * 3000, "."),
        (entry("0001-01-01T00:00:00+14:00", "2026-11-22T01:00:00Z"), "out of range"),
        (entry("2026-11-22T01:00:00", "9999-12-31T23:59:59", 'zone = "America/New_York"'), "out of range"),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_clear_error(tmp_path: Path, text: str, words: str):
    with pytest.raises(SettingsError, match=words):
        read(tmp_path, text)


def test_a_part_of_a_second_does_not_move_a_window():
    now = MIDNIGHT + timedelta(minutes=30, microseconds=999_999)
    rules = RULES, Rules(cadence=timedelta(seconds=1))
    found = [windows(tracks_of([at(0)]), now=now, rules=each)["24h"] for each in rules]
    assert [by_state(window) for window in found] == [minutes(up=30), Window(1, 0, 1799, 0)]
