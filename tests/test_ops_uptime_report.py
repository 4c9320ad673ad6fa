"""The report: the same bytes for the same samples, and figures that never flatter."""

import json
import random
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.uptime.__main__ import main
from ops.uptime.display.markdown import as_markdown
from ops.uptime.history import history_of, parsed
from ops.uptime.latency import Percentiles
from ops.uptime.maintenance import Maintenance
from ops.uptime.probe import PHASES, Reason, Result, Stage, Verdict
from ops.uptime.record import Sample, append
from ops.uptime.releases import Release
from ops.uptime.report import Report, as_json, lately, report
from ops.uptime.rules import Rules
from ops.uptime.summary import Window

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
NEXT_MIDNIGHT = MIDNIGHT + timedelta(days=1)
RULES = Rules()


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


def numbers_of(samples: list[Sample], now: datetime = NEXT_MIDNIGHT, **more: Any) -> Report:
    return report(history_of(samples), now=now, rules=RULES, **more)


def test_shuffled_and_repeated_lines_make_the_same_numbers():
    lines = [sample.to_line() for sample in WORKED_CASE]
    shuffled = lines * 2
    random.Random(3).shuffle(shuffled)
    reports = [report(parsed(each), now=NEXT_MIDNIGHT, rules=RULES) for each in (lines, shuffled)]
    assert reports[0] == reports[1]
    assert as_json(reports[0]) == as_json(reports[1])


def test_the_numbers_of_the_worked_case_have_these_keys_and_values():
    numbers = as_json(numbers_of(WORKED_CASE))
    window = {
        "up_s": 65700,
        "down_s": 3600,
        "nodata_s": 17100,
        "maintenance_s": 0,
        "uptime": pytest.approx(0.948051, abs=1e-6),
        "coverage": pytest.approx(0.802083, abs=1e-6),
        "worst": pytest.approx(0.760416, abs=1e-6),
        "best": pytest.approx(0.958333, abs=1e-6),
        "lowest": pytest.approx((990 - 9 * 30) / 1440, abs=1e-6),  # certainly up, but for what may have slipped through
        "highest": pytest.approx(1 - 2 / 86400, abs=1e-9),  # two bad looks, and recoveries between them
    }
    incident = {
        "start": "2026-11-22T06:00:00Z",
        "last_bad": "2026-11-22T06:30:00Z",
        "first_good": "2026-11-22T07:00:00Z",
        "last_good": "2026-11-22T05:30:00Z",
        "min_s": 1800,
        "max_s": 5400,
        "unseen_s": 0,
        "stage": "script_done",
        "reason": "script_exception",
        "detail": "RuntimeError: no such snapshot",
        "release": None,
    }
    phases = {phase: {"p50": 39, "p95": 53} for phase in PHASES}
    digest = numbers.pop("digest")
    assert re.fullmatch("[0-9a-f]{12}", digest)
    assert numbers == {
        "now": "2026-11-23T00:00:00Z",
        "targets": {
            "dashboard": {
                "status": "up",
                "since": "2026-11-22T07:00:00Z",
                "windows": dict.fromkeys(("24h", "7d", "30d", "90d"), window),
                "incidents": [incident],
                "latency_ms": {"p50": 7 * 39, "p95": 7 * 53, "phases": phases},
            }
        },
        "schedule": {"due": 48, "delivered": 38, "late_p50_s": 0, "late_p95_s": 0, "longest_gap_s": 19800},
        "torn_lines": 0,
        "samples": 38,
    }


@pytest.mark.parametrize(
    ("samples", "status", "since"),
    [
        ([at(1430)], "up", 1430),
        ([at(1390), at(1430)], "up", 1390),
        ([at(1390), failed(1400), failed(1430)], "down", 1400),
        ([at(1400), at(1430, "degraded")], "degraded", 1430),
        ([at(0)], "no data", 45),
    ],
)
def test_a_target_stands_since_its_looks_say_the_same(samples: list[Sample], status: str, since: int):
    target = numbers_of(samples).targets["dashboard"]
    assert (target.status, target.since) == (status, MIDNIGHT + timedelta(minutes=since))


def test_the_last_ninety_days_are_told_one_by_one():
    days = numbers_of(WORKED_CASE).targets["dashboard"].days
    assert [len(days), days[-1].date, days[0].date] == [90, date(2026, 11, 23), date(2026, 8, 26)]
    assert days[-2].window == Window(65700, 3600, 17100, 0)
    assert days[-2].latency == Percentiles(7 * 39, 7 * 53)
    assert days[-3].window == Window(0, 0, 0, 0)


def test_a_day_of_the_bar_adds_up_to_the_window_that_is_that_day():
    samples = [failed(minute) if minute % 700 < 60 else at(minute) for minute in range(0, 5 * 1440, 30)]
    now = MIDNIGHT + timedelta(days=5)
    target = numbers_of(samples, now).targets["dashboard"]
    whole = target.windows["7d"]
    told = [day.window for day in target.days]
    assert sum(day.up_s for day in told) == whole.up_s
    assert sum(day.down_s for day in told) == whole.down_s


def test_what_is_over_for_ninety_days_is_not_told_any_more():
    samples = [at(0), failed(30), at(60), at(90)]
    early, late = (lately(numbers_of(samples, MIDNIGHT + timedelta(days=days))) for days in (90, 91))
    assert len(early.targets["dashboard"].incidents) == 1
    assert late.targets["dashboard"].incidents == []


def test_the_release_that_was_live_is_told():
    releases = [
        Release(MIDNIGHT, "dashboard", "a1"),
        Release(MIDNIGHT + timedelta(hours=6, minutes=10), "dashboard", "b2"),
    ]
    (incident,) = numbers_of(WORKED_CASE, releases=releases).targets["dashboard"].incidents
    assert incident.release == "a1"


def test_time_that_nobody_saw_within_an_incident_is_told():
    (incident,) = (
        numbers_of([at(0), failed(30), failed(60), failed(300), at(330), at(360)]).targets["dashboard"].incidents
    )
    assert (incident.min_s, incident.max_s) == (270 * 60, 330 * 60)
    assert incident.unseen_s == (240 - 45) * 60


def test_maintenance_is_taken_out_and_told():
    apart = (Maintenance(MIDNIGHT + timedelta(hours=6), MIDNIGHT + timedelta(hours=7), "new disk"),)
    numbers = numbers_of(WORKED_CASE, maintenance=apart)
    assert numbers.targets["dashboard"].windows["24h"].uptime == 1
    assert numbers.targets["dashboard"].incidents == []
    assert numbers.targets["dashboard"].windows["24h"].maintenance_s == 3600
    assert (
        numbers_of([at(0)], MIDNIGHT + timedelta(hours=6), maintenance=apart).targets["dashboard"].planned == "new disk"
    )


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
    assert capsys.readouterr().out == as_markdown(numbers_of(WORKED_CASE))
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


def report_on(directory: Path) -> list[str]:
    now = ["--now", "2026-11-23T00:00:00Z"]
    return [sys.executable, "-m", "ops.uptime", "report", "--samples", str(directory), *now]


def test_who_has_read_enough_is_left_quietly_and_a_full_disk_is_told(directory: Path):
    command = report_on(directory)
    piped = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    piped.stdout.close()
    assert (piped.stderr.read(), piped.wait()) == (b"", 141)
    piped.stderr.close()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("error: the report cannot be printed: No space left")


def test_the_report_is_the_same_bytes_on_a_terminal_without_letters_of_ours(directory: Path):
    command = report_on(directory)
    printed = {
        subprocess.run(command, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": encoding}, check=True).stdout
        for encoding in ("ascii", "utf-8")
    }
    assert printed == {as_markdown(numbers_of(WORKED_CASE)).encode()}


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
