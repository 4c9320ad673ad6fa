"""Years of samples read at once are the very looks that reading line by line gives."""

import json
import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.errors import KpiOpsError
from ops.uptime import bulk, history
from ops.uptime.history import History, history_of, parsed
from ops.uptime.probe import PHASES, Result
from ops.uptime.record import REASONS, STAGES, VERDICTS, Sample, append
from ops.uptime.rules import Rules

NOON = datetime(2026, 11, 22, 12, 7, 3, tzinfo=UTC)

looks = st.lists(
    st.builds(
        Sample,
        at=st.integers(0, 5000).map(lambda second: NOON + timedelta(seconds=second)),
        target=st.sampled_from(["dashboard", "shop"]),
        by=st.sampled_from(["github", "host"]),
        run=st.none() | st.just("7"),
        result=st.builds(
            Result,
            verdict=st.sampled_from(sorted(VERDICTS)),
            stage=st.none() | st.sampled_from(sorted(STAGES)),
            reason=st.none() | st.sampled_from(sorted(REASONS)),
            detail=st.none() | st.text(min_size=1, max_size=20),
            ms=st.fixed_dictionaries({phase: st.none() | st.integers(0, 90_000) for phase in PHASES}),
            attempts=st.integers(1, 3),
        ),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda sample: (sample.at, sample.target, sample.by),
)


def lines_of(samples: list[Sample]) -> list[bytes]:
    return [sample.to_line() for sample in samples]


def sample(minute: int, **changed: object) -> Sample:
    result = Result("up", None, None, None, dict.fromkeys(PHASES, 5))
    made = Sample(at=NOON + timedelta(minutes=minute), target="dashboard", by="github", run="7", result=result)
    return replace(made, **changed)


@given(looks)
def test_many_at_once_are_what_line_by_line_gives(samples: list[Sample]):
    data = b"".join(lines_of(samples))
    found = bulk.tracks(data, times=True)
    assert found is None or History(sorted(found, key=lambda t: (t.target, t.by))) == parsed(data.split(b"\n"))
    assert found is not None or b"\\" in data


@given(looks)
def test_without_times_only_the_times_are_left_out(samples: list[Sample]):
    data = b"".join(lines_of(samples))
    found = bulk.tracks(data, times=False)
    if found is not None:
        expected = [replace(track, spent_ms=[]) for track in parsed(data.split(b"\n")).tracks]
        assert sorted(found, key=lambda t: (t.target, t.by)) == expected


GOOD = sample(0).to_line()
FIELDS = json.loads(GOOD)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        GOOD[:50],
        GOOD.strip() + GOOD.strip(),
        GOOD.replace(b"{", b"\n{", 1).strip() + b" " * 400,
        b"[]",
        b"null",
        GOOD.strip() + GOOD.strip() + b"\n ",
        GOOD.replace(b'"by"', b'\n"by"', 1).strip() + b"\n" + GOOD.strip() + GOOD.strip(),
        json.dumps(FIELDS | {"t": "0000-11-01T12:07:03Z"}).encode(),
        json.dumps(FIELDS | {"v": True}).encode(),
        json.dumps(FIELDS | {"v": 1.0}).encode(),
        b"\xff\xfe",
        json.dumps(FIELDS | {"v": 2}).encode(),
        json.dumps(FIELDS | {"v": None}).encode(),
        json.dumps(FIELDS | {"t": "2026-11-22 12:07:03Z"}).encode(),
        json.dumps(FIELDS | {"t": "2026-13-22T12:07:03Z"}).encode(),
        json.dumps(FIELDS | {"t": "2026-11-22T12:07:60Z"}).encode(),
        json.dumps(FIELDS | {"t": 5}).encode(),
        json.dumps(FIELDS | {"target": "<b>"}).encode(),
        json.dumps(FIELDS | {"by": None}).encode(),
        json.dumps(FIELDS | {"verdict": "sideways"}).encode(),
        json.dumps(FIELDS | {"verdict": None}).encode(),
        json.dumps(FIELDS | {"stage": "moon"}).encode(),
        json.dumps(FIELDS | {"reason": "bored"}).encode(),
        json.dumps(FIELDS | {"attempts": 0}).encode(),
        json.dumps(FIELDS | {"attempts": True}).encode(),
        json.dumps(FIELDS | {"attempts": "3"}).encode(),
        json.dumps(FIELDS | {"attempts": 2**40}).encode(),
        json.dumps(FIELDS | {"detail": "\ud800"}).encode(),
        json.dumps(FIELDS | {"detail": "x" * 121}).encode(),
        json.dumps(FIELDS | {"more": "x" * 400}).encode(),
        GOOD.strip()[:-1] + b',"t":"2026-11-22T12:07:04Z"}',
    ],
)
def test_what_may_be_no_sample_is_looked_at_line_by_line(line: bytes):
    lines = [*lines_of([sample(1), sample(2)]), line + b"\n"]
    assert bulk.tracks(b"".join(lines), times=True) is None


@pytest.mark.parametrize("ms", [None, {}, {"dns": None}, {"dns": 3, "more": 1}])
def test_a_look_without_its_times_is_read_at_once_too(ms: object):
    data = json.dumps(FIELDS | {"ms": ms}).encode() + b"\n"
    assert bulk.tracks(data, times=True) == parsed([data]).tracks


def test_a_sample_that_stands_twice_is_looked_at_line_by_line():
    assert bulk.tracks(GOOD + GOOD, times=True) is None


def directory_of(directory: Path, days: int, rng: random.Random) -> list[Sample]:
    """Every five minutes for some days, with failures, from two places."""
    made = []
    for minute in range(0, days * 24 * 60, 5):
        for by in ("github", "host"):
            down = rng.random() < 0.05
            result = Result(
                "down" if down else "up", "tcp" if down else None, "refused" if down else None,
                "Connection refused" if down else None, dict.fromkeys(PHASES, rng.randint(0, 300)), rng.randint(1, 3),
            )  # fmt: skip
            made.append(sample(minute, by=by, result=result))
    append(directory, made)
    return made


def test_a_directory_with_large_months_is_read_as_one_with_small_ones(tmp_path: Path):
    rng = random.Random(5)
    samples = directory_of(tmp_path, 20, rng)
    file = tmp_path / "2026-11.jsonl"
    torn = [b"{torn\n", *lines_of([sample(40 * 24 * 60 + n) for n in range(5)])]
    for place in (0, 900, 5000):  # torn lines, repeated ones, and ones of another month
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join([*lines[:place], *torn, *lines[place : place + 9], *lines[place:]]))
    read = history.read(tmp_path, part_bytes=200_000)
    assert read.torn_lines == 3
    expected = history_of([*samples, *(sample(40 * 24 * 60 + n) for n in range(5))])
    assert read.tracks == expected.tracks
    assert read.digest == expected.digest


def test_times_are_those_of_the_newest_looks_where_older_months_are_read_without(tmp_path: Path):
    directory_of(tmp_path, 45, random.Random(6))
    read, whole = (
        next(track for track in recorded.tracks if track.by == "host")
        for recorded in (
            history.read(tmp_path, spent_since=NOON + timedelta(days=20), part_bytes=200_000),
            history.read(tmp_path),
        )
    )
    assert 0 < len(read.spent_ms[0]) < len(whole.spent_ms[0])
    start_s = int((NOON + timedelta(days=30)).timestamp())
    assert read.spent_since(start_s) == whole.spent_since(start_s)


@settings(max_examples=30)
@given(looks, st.integers(0, 5000))
def test_what_comes_after_a_moment_is_cut_off(samples: list[Sample], second: int):
    until = NOON + timedelta(seconds=second)
    cut = [track.until(int(until.timestamp())) for track in history_of(samples).tracks]
    kept = [track for track in cut if track.times_s]
    assert kept == history_of([each for each in samples if each.at <= until]).tracks


def test_recent_looks_in_an_old_large_file_keep_their_times(tmp_path: Path):
    directory_of(tmp_path, 8, random.Random(8))
    late = [sample(60 * 24 * 60 + n, by="host") for n in range(20)]
    file = tmp_path / "2026-11.jsonl"
    file.write_bytes(file.read_bytes() + b"".join(lines_of(late)))
    append(tmp_path, late[:9])
    since = NOON + timedelta(days=50)
    read = [history.read(tmp_path, spent_since=since, part_bytes=size) for size in (200_000, 1 << 30)]
    assert read[0] == read[1]
    assert read[0].digest == read[1].digest
    assert len(read[0].tracks[1].spent_ms[0]) == 20


def test_what_is_no_file_is_named(tmp_path: Path):
    (tmp_path / "2026-11.jsonl").mkdir()
    os.mkfifo(tmp_path / "2026-10.jsonl")
    with pytest.raises(KpiOpsError, match=r"2026-10\.jsonl is not a file"):
        history.read(tmp_path)


def test_text_in_another_encoding_is_no_sample():
    assert parsed([GOOD.strip().decode().encode("utf-16")]).torn_lines == 1
    assert parsed([b"\xef\xbb\xbf" + GOOD]).torn_lines == 0


def test_rules_hold_whole_seconds():
    assert Rules(cadence=timedelta(minutes=1), hold_cadences=2.05).hold == timedelta(seconds=123)
    assert Rules(cadence=timedelta(seconds=1)).hold == timedelta(seconds=1)
    assert Rules(cadence=timedelta(minutes=30)).hold == timedelta(minutes=45)
