"""The report: the same bytes for the same samples, and figures that never flatter."""

import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ops.uptime.__main__ import main
from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import PHASES, Reason, Result, Stage, Verdict
from ops.uptime.record import Recorded, Sample, append, parsed
from ops.uptime.report import as_json, as_markdown, length, percent, report

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
NEXT_MIDNIGHT = MIDNIGHT + timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
GOLDEN = Path(__file__).parent / "golden" / "uptime.md"


def at(
    minute: int,
    verdict: Verdict = "up",
    *,
    target: str = "dashboard",
    stage: Stage | None = None,
    reason: Reason | None = None,
    detail: str | None = None,
) -> Sample:
    result = Result(verdict, stage, reason, detail, dict.fromkeys(PHASES, 30 + minute // 60), 3 if stage else 1)
    return Sample(at=MIDNIGHT + timedelta(minutes=minute), target=target, by="github", run="7", result=result)


def failed(minute: int, detail: str | None = "RuntimeError: no such snapshot") -> Sample:
    return at(minute, "down", stage="script_done", reason="script_exception", detail=detail)


WORKED_CASE = [
    *[at(minute) for minute in range(0, 360, 30)],
    failed(360),
    failed(390),
    *[at(minute) for minute in range(420, 600, 30)],
    *[at(minute) for minute in range(900, 1440, 30)],
]


def markdown(
    samples: list[Sample], *, now: datetime = NEXT_MIDNIGHT, torn: int = 0, freshness: str | None = None
) -> str:
    recorded = Recorded(tuple(sorted(samples, key=lambda sample: (sample.at, sample.target))), torn)
    return as_markdown(report(recorded, now=now, cadence=HALF_HOUR), freshness=freshness)


def test_the_report_on_the_worked_case_is_this_text():
    other = [at(60, target="other", verdict="degraded"), at(70, target="other", verdict="unknown", reason="prober")]
    text = markdown([*WORKED_CASE, *other], torn=2, freshness="freshness: fresh: generated 3 h 0 min ago")
    assert text == GOLDEN.read_text("utf-8")


def test_shuffled_and_repeated_lines_make_the_same_bytes():
    lines = [sample.to_line() for sample in WORKED_CASE]
    shuffled = lines * 2
    random.Random(3).shuffle(shuffled)
    reports = [report(parsed(each), now=NEXT_MIDNIGHT, cadence=HALF_HOUR) for each in (lines, shuffled)]
    assert as_markdown(reports[0]) == as_markdown(reports[1])
    assert as_json(reports[0]) == as_json(reports[1])


def test_the_numbers_of_the_worked_case_have_these_keys_and_values():
    numbers = as_json(report(parsed([s.to_line() for s in WORKED_CASE]), now=NEXT_MIDNIGHT, cadence=HALF_HOUR))
    window = {
        "up_s": 65700,
        "down_s": 3600,
        "nodata_s": 17100,
        "maintenance_s": 0,
        "uptime": pytest.approx(0.948051, abs=1e-6),
        "coverage": pytest.approx(0.802083, abs=1e-6),
        "worst": pytest.approx(0.760416, abs=1e-6),
        "best": pytest.approx(0.958333, abs=1e-6),
    }
    incident = {
        "start": "2026-11-22T06:00:00Z",
        "last_bad": "2026-11-22T06:30:00Z",
        "first_good": "2026-11-22T07:00:00Z",
        "min_s": 1800,
        "max_s": 5400,
        "reason": "script_exception",
        "detail": "RuntimeError: no such snapshot",
    }
    assert numbers == {
        "now": "2026-11-23T00:00:00Z",
        "targets": {
            "dashboard": {
                "windows": dict.fromkeys(("24h", "7d", "30d", "90d"), window),
                "incidents": [incident],
                "latency_ms": {"p50": 7 * 39, "p95": 7 * 53},
            }
        },
        "schedule": {"due": 48, "delivered": 38, "late_p50_s": 0, "late_p95_s": 0, "longest_gap_s": 19800},
        "torn_lines": 0,
    }


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (None, "-"),
        (Fraction(0), "0.000 %"),
        (Fraction(1), "100.000 %"),
        (Fraction(7_775_999, 7_776_000), "99.999 %"),
        (Fraction(1095, 1155), "94.805 %"),
        (Fraction(1095, 1440), "76.041 %"),
        (Fraction(2, 3), "66.666 %"),
    ],
)
def test_percentages_are_cut_and_never_rounded_up(fraction: Fraction | None, text: str):
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (172_799, "47 h 59 min"),
        (172_800, "2 d"),
        (180_000, "2 d 2 h"),
    ],
)
def test_lengths_are_told_in_two_units(seconds: int, text: str):
    assert length(timedelta(seconds=seconds)) == text


def test_under_half_coverage_there_is_no_figure():
    assert "| 24h | insufficient data | 49.9" in markdown([at(0)], now=MIDNIGHT + timedelta(minutes=90, seconds=1))
    assert "| 24h | 100.000 % | 50.000 % |" in markdown([at(0)], now=MIDNIGHT + timedelta(minutes=90))


def test_with_a_single_down_second_it_is_not_100_percent():
    samples = [at(minute) for minute in range(0, 24 * 60, 30)]
    now = MIDNIGHT + timedelta(hours=24, seconds=1)
    assert "100.000 %" in markdown(samples, now=now)
    assert "| 24h | 99.998 %" in markdown([*samples, failed(24 * 60)], now=now)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([], "no data yet"),
        ([at(1430)], "everything is up"),
        ([failed(1430)], "dashboard is down"),
        ([at(1430), at(1430, "degraded", target="shop")], "dashboard is up, shop is degraded"),
        ([at(0)], "dashboard has no recent data"),
    ],
)
def test_the_status_line_says_what_is_true_now(samples: list[Sample], words: str):
    assert f"**At 2026-11-23T00:00:00Z: {words}.**" in markdown(samples)


def test_only_the_last_ten_incidents_are_listed_newest_first():
    """One every six hours and a half: too far apart to be flapping."""
    samples = [
        sample for n in range(12) for sample in (at(n * 420), failed(n * 420 + 30), at(n * 420 + 60), at(n * 420 + 90))
    ]
    text = markdown(samples, now=MIDNIGHT + timedelta(days=5))
    starts = [line.split("|")[1].strip() for line in text.splitlines() if "script_exception" in line]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) == 10
    assert "2 older incidents are in `report --json`." in text


def test_words_from_outside_stay_words():
    text = markdown([at(0), failed(30, "x | `y` <script> [z](http://h)"), at(60)], freshness="cannot tell: <b>|*a*")
    assert r"| `x \| 'y' <script> [z](http://h)` |" in text
    assert r"cannot tell: \<b\>\|\*a\*" in text


def test_flapping_is_said():
    samples = [at(0), *[failed(minute) if n % 3 == 0 else at(minute) for n, minute in enumerate(range(30, 400, 30))]]
    assert "| `flapping, " in markdown(samples)


def test_maintenance_is_taken_out_and_shown():
    apart = (Maintenance(MIDNIGHT + timedelta(hours=6), MIDNIGHT + timedelta(hours=7), "new disk"),)
    numbers = report(
        parsed([s.to_line() for s in WORKED_CASE]), now=NEXT_MIDNIGHT, cadence=HALF_HOUR, maintenance=apart
    )
    assert numbers.targets["dashboard"].windows["24h"].uptime == 1
    assert numbers.targets["dashboard"].incidents == []
    assert "| 1 h |" in as_markdown(numbers)


# --- python -m ops.uptime report -------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    append(tmp_path / "uptime", WORKED_CASE)
    return tmp_path / "uptime"


def run(directory: Path, *more: str) -> int:
    return main(["report", "--samples", str(directory), "--now", "2026-11-23T01:00:00+01:00", *more])


def test_report_prints_and_writes_nothing(directory: Path, capsys: pytest.CaptureFixture[str]):
    before = {file: file.stat().st_mtime_ns for file in directory.parent.rglob("*")}
    assert run(directory) == 0
    assert capsys.readouterr().out == markdown(WORKED_CASE)
    assert {file: file.stat().st_mtime_ns for file in directory.parent.rglob("*")} == before


def test_report_prints_its_numbers_as_one_json_document(directory: Path, capsys: pytest.CaptureFixture[str]):
    assert run(directory, "--json", "--cadence", "30m") == 0
    assert json.loads(capsys.readouterr().out)["targets"]["dashboard"]["windows"]["7d"]["up_s"] == 1095 * 60


def test_report_reads_the_maintenance_beside_the_samples(directory: Path, capsys: pytest.CaptureFixture[str]):
    times = "start = 2026-11-22T07:00:00\nend = 2026-11-22T08:00:00\n"
    (directory / "maintenance.toml").write_text(f'[[maintenance]]\n{times}zone = "Europe/Berlin"\nwhy = "new disk"\n')
    assert run(directory, "--json") == 0
    window: dict[str, Any] = json.loads(capsys.readouterr().out)["targets"]["dashboard"]["windows"]["24h"]
    assert (window["down_s"], window["maintenance_s"], window["uptime"]) == (0, 3600, 1)


def test_the_cadence_decides_how_long_a_sample_speaks(directory: Path, capsys: pytest.CaptureFixture[str]):
    assert run(directory, "--json", "--cadence", "1m") == 0
    assert json.loads(capsys.readouterr().out)["targets"]["dashboard"]["windows"]["24h"]["up_s"] == 36 * 90


@pytest.mark.parametrize(
    "more",
    [
        ["--now", "noon"],
        ["--now", "2026-11-22T12:00:00"],
        ["--now", "0001-01-01T00:00:00+05:00"],
        ["--now", "9999-12-31T23:59:59-05:00"],
        ["--cadence", "often"],
        ["--cadence", "0m"],
        ["--what"],
    ],
)
def test_report_refuses_what_it_does_not_understand(
    directory: Path, capsys: pytest.CaptureFixture[str], more: list[str]
):
    assert status_of(["report", "--samples", str(directory), "--now", "2026-11-22T12:00:00Z", *more]) == 4
    assert capsys.readouterr().err.startswith("error: ")


def status_of(argv: list[str]) -> int | str | None:
    try:
        return main(argv)
    except SystemExit as stop:
        return stop.code


def test_report_on_a_missing_directory_is_one_clear_message(directory: Path, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(directory)
    assert run(directory) == 4
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("error:")) == ("", 1)
    assert "there is no directory" in printed.err
