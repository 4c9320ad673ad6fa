"""What a directory of samples gives: from the months that are needed, with what stands beside them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.uptime import releases
from ops.uptime.gather import gather, gather_all
from ops.uptime.probe import PHASES, Result
from ops.uptime.record import Sample, append
from ops.uptime.releases import Release, live_at, named
from ops.uptime.rules import Rules

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOURLY = Rules(cadence=timedelta(hours=1))


def sample(days_ago: float, verdict: str = "up") -> Sample:
    result = Result(verdict, None, None, None, dict.fromkeys(PHASES, 5))
    return Sample(at=NOW - timedelta(days=days_ago), target="dashboard", by="github", run=None, result=result)


def days_of(first: int, last: int, verdict: str = "up") -> list[Sample]:
    return [sample(day, verdict) for day in range(first, last, -1)]


def test_months_that_are_over_for_ninety_days_are_not_read(tmp_path: Path):
    append(tmp_path, days_of(300, 0))
    with (tmp_path / "2026-03.jsonl").open("ab") as file:
        file.write(b"{torn\n")
    lately, all_of_it = gather(tmp_path, now=NOW, rules=HOURLY), gather_all(tmp_path, now=NOW, rules=HOURLY)
    assert (lately.torn_lines, all_of_it.torn_lines) == (0, 1)
    assert (lately.samples, all_of_it.samples) == (113, 300)
    assert lately.targets["dashboard"].windows == all_of_it.targets["dashboard"].windows
    assert lately.targets["dashboard"].days == all_of_it.targets["dashboard"].days


@pytest.mark.parametrize("began", [119, 150, 280])
def test_an_outage_keeps_its_beginning_however_long_ago_that_was(tmp_path: Path, began: int):
    append(tmp_path, [*days_of(300, began), *days_of(began, 0, "down")])
    (incident,) = gather(tmp_path, now=NOW, rules=HOURLY).targets["dashboard"].incidents
    assert (incident.start, incident.last_good) == (NOW - timedelta(days=began), NOW - timedelta(days=began + 1))


@pytest.mark.parametrize("day", [108, 109, 110, 111, 112, 113])
def test_an_incident_that_a_month_cuts_apart_stays_one(tmp_path: Path, day: int):
    """It opens with two bad looks and goes on, never good for two in a row."""
    rules = Rules(cadence=timedelta(days=1))
    flapping = [sample(n, "up" if (day - n) % 2 else "down") for n in range(day, 0, -1)]
    append(tmp_path, [*days_of(day + 6, day + 1), sample(day + 1, "down"), *flapping])
    (incident,) = gather(tmp_path, now=NOW, rules=rules).targets["dashboard"].incidents
    assert (incident.start, incident.first_good) == (NOW - timedelta(days=day + 1), None)


def test_a_record_that_nobody_went_on_with_is_still_told(tmp_path: Path):
    append(tmp_path, days_of(300, 200))
    target = gather(tmp_path, now=NOW, rules=HOURLY).targets["dashboard"]
    assert (target.status, target.since) == ("no data", NOW - timedelta(days=201) + timedelta(minutes=90))


def test_the_same_samples_make_the_same_report_wherever_their_lines_lie(tmp_path: Path):
    samples = days_of(80, 0)
    append(tmp_path / "one", samples)
    append(tmp_path / "other", [*samples[40:], *samples[:40], *samples[10:20]])
    assert gather(tmp_path / "one", now=NOW, rules=HOURLY) == gather(tmp_path / "other", now=NOW, rules=HOURLY)


def test_a_release_is_noted_when_it_changes(tmp_path: Path):
    for hour, name in enumerate(["a1", "a1", "b2", "b2", "a1"]):
        known = releases.read(tmp_path)
        releases.note(tmp_path, known, [named("dashboard", name, NOW + timedelta(hours=hour))])
    assert [each.name for each in releases.read(tmp_path)] == ["a1", "b2", "a1"]
    assert live_at(releases.read(tmp_path), "dashboard", NOW + timedelta(hours=3)) == "b2"
    assert live_at(releases.read(tmp_path), "dashboard", NOW - timedelta(hours=1)) is None
    assert live_at(releases.read(tmp_path), "shop", NOW) is None


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"v":1}',
        b'{"v":2,"t":"2026-11-22T12:00:00Z","target":"dashboard","release":"a"}',
        b"[" * 9999,
    ],
)
def test_a_torn_line_among_releases_is_passed_over(tmp_path: Path, line: bytes):
    whole = named("dashboard", "a1", NOW)
    (tmp_path / releases.FILE_NAME).write_bytes(line + b"\n" + whole.to_line())
    assert releases.read(tmp_path) == [whole]


def test_a_release_is_one_short_line_whatever_a_page_says():
    assert named("dashboard", "a\nb\x1b[0m" + "ü" * 200, NOW).name.startswith("a b [0mü")
    assert len(named("dashboard", "ü" * 400, NOW).to_line()) <= 400


def test_releases_lie_in_order_whatever_the_order_of_lines():
    first, second = named("dashboard", "a", NOW), named("dashboard", "b", NOW + timedelta(hours=1))
    lines = [second.to_line(), first.to_line(), second.to_line()]
    assert releases.parsed(lines) == [first, second]
    assert first < replace(first, at=second.at) == Release(second.at, "dashboard", "a")
