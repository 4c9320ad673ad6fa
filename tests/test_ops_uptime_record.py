"""Samples survive being written, torn, shuffled and repeated."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import KpiOpsError
from ops.uptime.history import history_of, parsed, read
from ops.uptime.probe import PHASES, Result
from ops.uptime.record import REASONS, STAGES, VERDICTS, Sample, append

NOON = datetime(2026, 11, 22, 12, 7, 3, tzinfo=UTC)
MS = {"dns": 2, "tcp": 9, "tls": 0, "ttfb": 14, "body": 1, "ws": 11, "script": 240}
UP = Sample(at=NOON, target="dashboard", by="github", run="1234567", result=Result("up", None, None, None, MS))

UP_LINE = (
    b'{"v":1,"t":"2026-11-22T12:07:03Z","target":"dashboard","verdict":"up","stage":null,"reason":null,"attempts":1,'
    b'"ms":{"dns":2,"tcp":9,"tls":0,"ttfb":14,"body":1,"ws":11,"script":240},"by":"github","run":"1234567"}\n'
)
DOWN_LINE = (
    b'{"v":1,"t":"2026-11-22T12:07:03Z","target":"dashboard","verdict":"down","stage":"tcp","reason":"refused",'
    b'"attempts":3,"ms":{"dns":2,"tcp":9,"tls":null,"ttfb":null,"body":null,"ws":null,"script":null},"by":"host",'
    b'"run":null,"detail":"Connection refused"}\n'
)
DOWN = Sample(
    at=NOON,
    target="dashboard",
    by="host",
    run=None,
    result=Result("down", "tcp", "refused", "Connection refused", dict.fromkeys(PHASES) | {"dns": 2, "tcp": 9}, 3),
)


@pytest.mark.parametrize(("sample", "line"), [(UP, UP_LINE), (DOWN, DOWN_LINE)], ids=["up", "down"])
def test_a_sample_is_this_line_to_the_byte(sample: Sample, line: bytes):
    assert sample.to_line() == line
    assert Sample.from_line(line) == sample


samples = st.builds(
    Sample,
    at=st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    target=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", fullmatch=True),
    by=st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True),
    run=st.none() | st.from_regex(r"[0-9]{1,12}", fullmatch=True),
    result=st.builds(
        Result,
        verdict=st.sampled_from(sorted(VERDICTS)),
        stage=st.none() | st.sampled_from(sorted(STAGES)),
        reason=st.none() | st.sampled_from(sorted(REASONS)),
        detail=st.none() | st.text(min_size=1, max_size=30),
        ms=st.fixed_dictionaries({phase: st.none() | st.integers(0, 90_000) for phase in PHASES}),
        attempts=st.integers(1, 3),
    ),
)


def undetailed(sample: Sample) -> Sample:
    return replace(sample, result=replace(sample.result, detail=None))


@given(samples)
def test_any_sample_comes_back_from_a_line_of_at_most_400_bytes(sample: Sample):
    line = sample.to_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= 401
    back = Sample.from_line(line)
    assert undetailed(back) == undetailed(sample)
    assert (sample.result.detail or "").startswith(back.result.detail or "")


def test_the_longest_sample_gives_up_a_part_of_its_detail_and_nothing_else():
    longest = Sample(
        at=NOON,
        target="t" * 40,
        by="b" * 20,
        run="1" * 20,
        result=Result("degraded", "script_done", "script_exception", "é" * 60, dict.fromkeys(PHASES, 90_000), 3),
    )
    line = longest.to_line()
    assert 398 <= len(line) <= 400
    assert undetailed(Sample.from_line(line)) == undetailed(longest)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": None},
        {"t": "2026-11-22T12:07:03"},
        {"t": "2026-11-22T12:07:03+00:00"},
        {"t": "2026-13-22T12:07:03Z"},
        {"t": 5},
        {"target": ""},
        {"target": None},
        {"target": "<b>"},
        {"verdict": "sideways"},
        {"verdict": []},
        {"stage": "moon"},
        {"reason": "bored"},
        {"attempts": 0},
        {"attempts": True},
        {"attempts": "3"},
        {"by": ""},
        {"detail": "\ud800"},
        {"detail": "x" * 121},
    ],
    ids=json.dumps,
)
def test_a_line_of_another_form_is_counted_and_skipped(change: dict[str, Any]):
    line = json.dumps(json.loads(UP_LINE) | change).encode()
    assert parsed([line, UP_LINE]) == parsed([UP_LINE, b"{"]) == parsed([UP_LINE, line])
    assert parsed([line]).torn_lines == 1


@pytest.mark.parametrize("key", ["v", "t", "target", "verdict", "by"])
def test_a_line_that_lacks_what_a_look_is_made_of_is_none(key: str):
    fields = json.loads(UP_LINE)
    del fields[key]
    assert parsed([json.dumps(fields).encode()]).torn_lines == 1


@pytest.mark.parametrize(
    "change",
    [
        {"stage": None, "reason": None, "detail": None, "run": None, "attempts": None},
        {"detail": "", "run": 5, "cert_days": 6},
        {"ms": {}},
        {"ms": None},
        {"ms": {"dns": -1, "tcp": 1.5, "tls": "3", "ttfb": True, "body": [], "ws": 2**40, "more": 1}},
    ],
    ids=json.dumps,
)
def test_a_look_counts_where_only_what_is_told_beside_it_is_odd(change: dict[str, Any]):
    """Files of other hands and of later versions are read too."""
    line = json.dumps(json.loads(UP_LINE) | change).encode()
    recorded = parsed([line])
    assert (recorded.torn_lines, recorded.tracks[0].states) == (0, b"u")
    assert recorded.tracks[0].failures == {}


@pytest.mark.parametrize("line", [b"{", b"[]", b"null", b"\xff\xfe", UP_LINE[:40], UP_LINE[40:], b"[" * 100_000])
def test_a_torn_line_is_counted_and_skipped(line: bytes):
    recorded = parsed([line, UP_LINE])
    assert recorded == replace(history_of([UP]), torn_lines=1)


def test_empty_lines_are_nothing():
    assert parsed([b"", b"  ", b"\r"]).torn_lines == 0


def test_samples_are_read_in_order_and_once_however_they_lie():
    lines = [replace(UP, at=NOON + timedelta(minutes=n)).to_line() for n in range(20)]
    shuffled = lines * 2
    random.Random(7).shuffle(shuffled)
    assert parsed(shuffled) == parsed(lines)
    (track,) = parsed(shuffled).tracks
    assert list(track.times_s) == [int((NOON + timedelta(minutes=n)).timestamp()) for n in range(20)]


def test_two_that_look_at_the_same_second_are_two_samples():
    recorded = parsed([UP.to_line(), replace(UP, by="host").to_line(), replace(UP, run="8").to_line()])
    assert [(track.by, len(track.times_s)) for track in recorded.tracks] == [("github", 1), ("host", 1)]


def test_a_sample_lies_in_the_file_of_its_utc_month(tmp_path: Path):
    last = replace(UP, at=datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    first = replace(UP, at=last.at + timedelta(seconds=1))
    append(tmp_path / "new", [last, first])
    assert (tmp_path / "new" / "2026-11.jsonl").read_bytes() == last.to_line()
    assert (tmp_path / "new" / "2026-12.jsonl").read_bytes() == first.to_line()
    assert read(tmp_path / "new") == history_of([last, first])
    assert read(tmp_path / "new", since=first.at) == replace(history_of([first]), complete=False)


def test_appending_leaves_what_is_there_and_starts_on_a_fresh_line_after_a_torn_one(tmp_path: Path):
    append(tmp_path, [UP])
    file = tmp_path / "2026-11.jsonl"
    file.write_bytes(file.read_bytes() + UP_LINE[:100])
    append(tmp_path, [DOWN])
    append(tmp_path, [replace(UP, run=None, at=NOON + timedelta(minutes=30))])
    assert file.read_bytes().startswith(UP_LINE + UP_LINE[:100] + b"\n" + DOWN_LINE)
    assert (sum(len(track.times_s) for track in read(tmp_path).tracks), read(tmp_path).torn_lines) == (3, 1)


def test_other_files_in_the_directory_are_left_alone(tmp_path: Path):
    append(tmp_path, [UP])
    (tmp_path / "maintenance.toml").write_text("")
    (tmp_path / "notes.jsonl").write_text("not a sample\n")
    assert read(tmp_path).torn_lines == 0


def test_a_directory_that_is_not_there_is_one_clear_error(tmp_path: Path):
    with pytest.raises(KpiOpsError, match="there is no directory"):
        read(tmp_path / "nowhere")


def test_a_directory_that_cannot_be_written_is_one_clear_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KpiOpsError, match="cannot write to"):
        append(tmp_path / "file", [UP])
