"""What the schedule runs: retries, the control addresses, the record, the report, the exit status."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import requests

from etl.contract import ARTIFACTS, SCHEMA_VERSION, Artifact, ArtifactFile, Manifest, Source, columns_of
from etl.errors import KpiOpsError, SettingsError
from etl.store import Patience
from ops.settings import FreshnessSettings, ProbeSettings, TargetSettings
from ops.uptime.__main__ import main
from ops.uptime.check import Looking, asks_control, check, decide, exit_code, target_of
from ops.uptime.control import any_answers
from ops.uptime.data import freshness_line, judge
from ops.uptime.probe import PHASES, Reason, Result, Stage, Target, Verdict, Wanted, WrongSetting, probe_patiently
from ops.uptime.record import Sample
from ops.uptime.rewrite import Places, rewrite
from ops.uptime.rules import Rules

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FAR = "https://kpi.example"
NEAR = "http://127.0.0.1:8501"


def result(verdict: Verdict = "up", stage: Stage | None = None, reason: Reason | None = None) -> Result:
    return Result(verdict, stage, reason, None, dict.fromkeys(PHASES, 1))


UP = result()
DEGRADED = result("degraded", "script_done", "missing_element")
UNKNOWN = result("unknown", "script_done", "proto")
BROKEN = result("down", "script_done", "script_exception")
REFUSED = result("down", "tcp", "refused")


def saying(*results: Result) -> Callable[..., Result]:
    rest = iter(results)
    return lambda *_: next(rest)


# --- attempts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "verdict", "attempts", "waits"),
    [
        pytest.param([UP], "up", 1, [], id="up at once"),
        pytest.param([REFUSED, UP], "up", 2, [5], id="recovered"),
        pytest.param([REFUSED, REFUSED, UP], "up", 3, [5, 20], id="recovered late"),
        pytest.param([REFUSED, REFUSED, REFUSED], "down", 3, [5, 20], id="down"),
        pytest.param([DEGRADED], "degraded", 1, [], id="a page that was read is an answer"),
        pytest.param([REFUSED, DEGRADED], "degraded", 2, [5], id="also after a failure"),
        pytest.param([UNKNOWN, UP], "up", 2, [5], id="what could not be decoded is tried again"),
    ],
)
def test_a_failure_is_tried_again_after_5_and_20_seconds(
    results: list[Result], verdict: str, attempts: int, waits: list[float]
):
    slept: list[float] = []
    found = probe_patiently(saying(*results), attempts=3, timeout_s=30, sleep=slept.append)
    assert (found.verdict, found.attempts, slept) == (verdict, attempts, waits)


def test_one_attempt_is_one_attempt():
    assert probe_patiently(saying(REFUSED), attempts=1, timeout_s=30, sleep=pytest.fail).attempts == 1


def test_all_attempts_together_get_90_seconds():
    limits: list[float] = []

    def attempt(timeout_s: float) -> Result:
        limits.append(timeout_s)
        return REFUSED

    probe_patiently(attempt, attempts=3, timeout_s=88, sleep=lambda _: None)
    assert limits[0] == 88
    assert limits[1] <= 85
    assert limits[2] <= 70


# --- the control addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "found", "asks"),
    [
        (FAR, REFUSED, True),
        (FAR, result("down", "dns", "dns"), True),
        (FAR, result("down", "tls", "tls"), True),
        (FAR, result("down", "ttfb", "timeout"), True),
        (FAR, result("down", "script_done", "script_timeout"), True),
        (FAR, result("down", "ttfb", "http_status"), False),
        (FAR, BROKEN, False),
        (FAR, UP, False),
        (FAR, DEGRADED, False),
        (FAR, UNKNOWN, False),
        (NEAR, REFUSED, False),
        ("http://localhost:8501", REFUSED, False),
        ("http://app.localhost", REFUSED, False),
        ("http://[::1]:8501", REFUSED, False),
        ("http://127.9.9.9", REFUSED, False),
        ("http://10.0.0.1", REFUSED, True),
    ],
)
def test_only_what_our_own_network_could_explain_asks_the_control_addresses(url: str, found: Result, *, asks: bool):
    assert asks_control(url, found) is asks


def test_offline_is_unknown_with_all_else_kept():
    assert decide(REFUSED, offline=False) == REFUSED
    assert decide(REFUSED, offline=True) == result("unknown", "tcp", "prober")


@dataclass
class Session(requests.Session):
    """Answers what each address is said to answer, and notes who was asked."""

    answers: dict[str, int]
    asked: list[str] = field(default_factory=list)

    def get(self, url: str, **_: object) -> requests.Response:  # type: ignore[override]
        self.asked.append(url)
        if url not in self.answers:
            raise requests.ConnectionError(url)
        answer = requests.Response()
        answer.status_code = self.answers[url]
        answer.raw = None
        answer.close = lambda: None
        return answer


@pytest.mark.parametrize(
    ("answers", "reachable"), [({"a": 200}, True), ({"b": 200}, True), ({"b": 503}, True), ({}, False)]
)
def test_any_answer_of_any_control_address_will_do(answers: dict[str, int], *, reachable: bool):
    assert any_answers(Session(answers), ["a", "b"]) is reachable


def test_a_real_session_tells_an_answer_from_none():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with requests.Session() as session:
        assert not any_answers(session, [f"http://127.0.0.1:{port}", "http://no-such-host.invalid"], timeout_s=1)


ONCE = ProbeSettings(timeout_s=7, waits_s=(0,), total_s=60)

# --- check -----------------------------------------------------------------------------------------------------------


@dataclass
class Bench:
    """A check in a directory of its own, with every door a value."""

    directory: Path
    control: bool = True
    asked: int = 0
    slept: list[float] = field(default_factory=list)

    def ask(self) -> bool:
        self.asked += 1
        return self.control

    def check(self, seen: dict[str, Result], urls: str = FAR, now: datetime = NOON) -> list[Sample]:
        return check(
            [Target(name, urls, Wanted(), "github") for name in seen],
            Looking(lambda target, _: seen[target.name], self.ask, self.slept.append),
            now=now,
            run="77",
            directory=self.directory / "uptime",
        )

    def report(self, now: datetime = NOON) -> str:
        places = Places(self.directory / "uptime", self.directory / "uptime.md")
        rewrite(places, now=now, rules=Rules(), freshness="freshness: fresh", warnings=["nobody is told"])
        return places.report.read_text("utf-8")

    @property
    def recorded(self) -> list[Sample]:
        return [Sample.from_line(line) for line in (self.directory / "uptime/2026-11.jsonl").read_bytes().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_check_records_each_target(bench: Bench):
    samples = bench.check({"dashboard": UP, "shop": BROKEN})
    assert bench.recorded == samples
    assert [(s.at, s.target, s.by, s.run, s.verdict, s.result.attempts) for s in samples] == [
        (NOON, "dashboard", "github", "77", "up", 1),
        (NOON, "shop", "github", "77", "down", 3),
    ]


def test_what_is_recorded_is_reported_with_pictures_and_a_page(bench: Bench):
    bench.check({"dashboard": UP, "shop": BROKEN})
    text = bench.report()
    assert "shop" in text
    assert re.search(r"fresh\b", text)
    assert "nobody is told" in text
    assert {file.name for file in bench.directory.iterdir()} == {"uptime", "uptime.md"}
    beside = {file.name for file in (bench.directory / "uptime").iterdir()}
    assert beside >= {
        "2026-11.jsonl",
        "index.html",
        "badge.svg",
        "badge.json",
        "dashboard-90d.svg",
        "shop-response.svg",
    }
    pictures = set(re.findall(r"uptime/([\w.-]+\.svg)", text))
    assert pictures
    assert pictures <= beside


def test_what_is_the_same_is_not_written_again(bench: Bench):
    bench.check({"dashboard": UP})
    bench.report()
    before = {file: file.stat().st_ino for file in bench.directory.rglob("*") if file.is_file()}
    bench.report()
    assert {file: file.stat().st_ino for file in bench.directory.rglob("*") if file.is_file()} == before


def test_a_second_check_adds_to_the_first(bench: Bench):
    bench.check({"dashboard": UP})
    bench.check({"dashboard": UP}, now=NOON + timedelta(minutes=30))
    assert [sample.at for sample in bench.recorded] == [NOON, NOON + timedelta(minutes=30)]


def test_a_sample_is_dated_to_the_second(bench: Bench):
    bench.check({"dashboard": UP}, now=NOON + timedelta(microseconds=5))
    assert bench.recorded[0].at == NOON


def test_a_sample_is_dated_to_the_attempt_that_decided(bench: Bench):
    """A page that was back at the third attempt was not seen to be up before."""
    waited: list[float] = []
    results = iter([REFUSED, REFUSED, UP])
    looking = Looking(lambda *_: next(results), bench.ask, waited.append, clock=lambda: 100 + sum(waited))
    (sample,) = check([Target("a", FAR, Wanted(), "host")], looking, now=NOON, run=None, directory=bench.directory)
    assert (sample.verdict, sample.result.attempts, sample.at) == ("up", 3, NOON + timedelta(seconds=25))


def test_a_target_that_works_asks_nobody(bench: Bench):
    bench.check({"dashboard": UP, "shop": DEGRADED})
    assert (bench.asked, bench.slept) == (0, [])


def test_a_target_that_cannot_be_reached_is_down_where_a_control_address_answers(bench: Bench):
    assert bench.check({"dashboard": REFUSED})[0].verdict == "down"
    assert (bench.asked, bench.slept) == (1, [5, 20])


def test_and_unknown_where_none_does(bench: Bench):
    bench.control = False
    samples = bench.check({"dashboard": REFUSED, "shop": REFUSED, "blog": BROKEN, "wiki": UP})
    assert [sample.verdict for sample in samples] == ["unknown", "unknown", "down", "up"]
    assert samples[0].result.reason == "prober"
    assert bench.asked == 1


def test_a_loopback_target_is_down_whatever_the_network(bench: Bench):
    bench.control = False
    assert bench.check({"dashboard": REFUSED}, urls=NEAR)[0].verdict == "down"
    assert bench.asked == 0


def test_targets_are_looked_at_side_by_side(bench: Bench):
    together = threading.Barrier(3, timeout=20)

    def look(_target: Target, _timeout_s: float) -> Result:
        together.wait()
        return UP

    targets = [Target(name, FAR, Wanted(), "github") for name in "abc"]
    looking = Looking(look, bench.ask, bench.slept.append)
    assert len(check(targets, looking, now=NOON, run=None, directory=bench.directory)) == 3


def test_attempts_and_limits_are_those_of_the_settings(bench: Bench):
    limits: list[float] = []
    looking = Looking(
        lambda _target, limit_s: limits.append(limit_s) or REFUSED,
        bench.ask,
        bench.slept.append,
        limits=ProbeSettings(timeout_s=7, waits_s=(0, 1), total_s=60),
    )
    (sample,) = check([Target("a", FAR, Wanted(), "github")], looking, now=NOON, run=None, directory=bench.directory)
    assert (sample.result.attempts, limits, bench.slept) == (2, [7, 7], [1])


def test_what_a_shut_door_hides_is_unknown_and_what_it_does_not_is_down(bench: Bench):
    looking = Looking(
        lambda *_: REFUSED, bench.ask, bench.slept.append, kept_out=lambda url: url.endswith(":8501"), limits=ONCE
    )
    urls = ("http://198.51.100.7:8501", "http://198.51.100.7:9999")
    targets = [Target(url[-4:], url, Wanted(), "github") for url in urls]
    samples = check(targets, looking, now=NOON, run=None, directory=bench.directory)
    assert [sample.result.verdict for sample in samples] == ["unknown", "down"]


def test_a_report_that_cannot_be_written_is_one_clear_error_and_leaves_the_samples(bench: Bench):
    (bench.directory / "uptime.md").mkdir()
    bench.check({"dashboard": UP})
    with pytest.raises(KpiOpsError, match="cannot write"):
        bench.report()
    assert len(bench.recorded) == 1


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([UP, UP], 0),
        ([UP, DEGRADED], 2),
        ([DEGRADED, UNKNOWN], 3),
        ([UNKNOWN, BROKEN, DEGRADED], 1),
        ([REFUSED], 1),
    ],
)
def test_the_exit_status_is_that_of_the_worst(found: list[Result], code: int):
    assert exit_code(Sample(at=NOON, target="t", by="host", run=None, result=one) for one in found) == code


def test_a_target_of_the_settings_is_checked_before_anything_is_probed():
    good = TargetSettings(name="dashboard", url=NEAR, min={"metric": 5}, text=("Data through",))
    assert target_of(good, "host") == Target("dashboard", NEAR, Wanted({"metric": 5}, ("Data through",)), "host")
    with pytest.raises(SettingsError, match="wants gauges"):
        target_of(good.model_copy(update={"min": {"gauges": 1}}), "host")
    with pytest.raises(WrongSetting, match="user name"):
        target_of(good.model_copy(update={"url": "http://me:secret@h"}), "host")


def test_the_probe_s_token_goes_only_to_a_page_behind_sign_in_and_never_over_plain_http():
    far = TargetSettings(name="dashboard", url="https://shop.example", signed_in=True)
    assert target_of(far, "host", "token").key == "token"
    assert target_of(far.model_copy(update={"signed_in": False}), "host", "token").key == ""
    assert target_of(far.model_copy(update={"url": "http://127.0.0.1:8501"}), "host", "token").key == "token"
    for changed, token, said in (
        ({}, "", "KPI_SIGN_IN__PROBE_TOKEN is empty"),
        ({"url": "http://shop.example"}, "token", "plain http"),
        ({"kind": "http"}, "token", "nobody signs in"),
    ):
        with pytest.raises(SettingsError, match=said):
            target_of(far.model_copy(update=changed), "host", token)


# --- freshness -------------------------------------------------------------------------------------------------------


def manifest(generated_at: datetime) -> Manifest:
    file = ArtifactFile(key="x", sha256="0" * 64, bytes=0, rows=0)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        run_id="run",
        generated_at=generated_at,
        data_from=generated_at.date(),
        data_through=generated_at.date(),
        currency="GBP",
        source=Source(layout="l", files=(), overlap_rows=0, duplicate_rows=0, duplicates_dropped=False),
        code_version="v",
        quarantine={},
        rows_in=0,
        rows_kept=0,
        artifacts={name: Artifact(columns=columns_of(name), parquet=file, csv=file) for name in ARTIFACTS},
    )


def test_the_line_about_the_data_is_the_verdict_on_what_is_published(tmp_path: Path):
    (tmp_path / "metadata.json").write_text(manifest(NOON - timedelta(hours=30)).to_json())
    at_once = Patience(attempts=1, deadline_s=20, sleep=lambda _s: None)
    judged = partial(judge, str(tmp_path), now=NOON, limits=FreshnessSettings(), patience=at_once)
    line = freshness_line(judged)
    assert line.startswith(
        "freshness: foreign: generated 30 h 0 min ago; data through 2026-11-21, a day that ended 12 h 0 min ago; "
        "12 of 12 files are not what metadata.json says: "
    )


@pytest.mark.parametrize(
    ("published", "word", "words"),
    [
        (None, "missing", "there is no"),
        ("{}", "foreign", "is not a manifest"),
        ("", "unreadable", "is not a manifest"),
        ('{"schema_version": 9}', "cannot tell", "has schema_version 9"),
    ],
)
def test_where_nothing_can_be_read_the_line_says_why(tmp_path: Path, published: str | None, word: str, words: str):
    if published is not None:
        (tmp_path / "metadata.json").write_text(published)
    line = freshness_line(partial(judge, str(tmp_path), now=NOON, limits=FreshnessSettings()))
    assert line.startswith(f"freshness: {word}: ")
    assert words in line


# --- the command line ------------------------------------------------------------------------------------------------


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["watch"],
        ["probe", "--what"],
        ["probe", "--url", "dashboard"],
        ["probe", "--url", "http://me:secret@h/?token=secret"],
        ["probe", "--url", ""],
        ["probe", "--url", NEAR, "--min", "metric"],
        ["probe", "--url", NEAR, "--min", "metric=0"],
        ["probe", "--url", NEAR, "--min", "gauge=1"],
        ["probe", "--url", NEAR, "--timeout", "0"],
        ["probe", "--url", NEAR, "--timeout", "nan"],
        ["probe", "--url", NEAR, "--timeout", "91"],
        ["probe", "--url", NEAR, "--attempts", "4"],
        ["check", "--now"],
        ["report"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_exit_with_4_and_one_message(argv: list[str], capsys: pytest.CaptureFixture[str]):
    try:
        status: int | str | None = main(argv)
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("error: ")) == (4, "", 1)
    assert "expected:" in printed.err
    assert "to do:" in printed.err
    assert "secret" not in printed.err


def test_probe_prints_a_sample_as_json(capsys: pytest.CaptureFixture[str]):
    port = closed_port()
    assert main(["probe", "--url", f"http://127.0.0.1:{port}/?token=secret", "--json"]) == 1
    out = capsys.readouterr().out
    sample = Sample.from_line(out.encode())
    assert (sample.target, sample.verdict, sample.result.stage) == (f"127.0.0.1-{port}", "down", "tcp")
    assert json.loads(out) == json.loads(sample.to_line())
    assert "secret" not in out


def test_probe_tells_a_person_in_two_lines(capsys: pytest.CaptureFixture[str]):
    port = closed_port()
    assert main(["probe", "--url", f"http://127.0.0.1:{port}/?token=secret"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"down at tcp http://127.0.0.1:{port}/  refused: Connection refused"
    assert second.endswith("tls -, ttfb -, body -, ws -, script -")


SETTINGS = """
[dashboard]
store = "nothing/here"
[uptime]
by = "host"
[[uptime.targets]]
name = "dashboard"
url = "{url}"
min = {{ {kind} = 5 }}
"""


def in_directory(directory: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.uptime", *argv], cwd=directory, check=False, capture_output=True, text=True
    )


def test_probe_without_an_address_takes_the_first_target_of_the_settings(tmp_path: Path):
    (tmp_path / "settings.toml").write_text(SETTINGS.format(url=f"http://127.0.0.1:{closed_port()}", kind="metric"))
    done = in_directory(tmp_path, "probe", "--json")
    assert done.returncode == 1
    assert (json.loads(done.stdout)["target"], json.loads(done.stdout)["by"]) == ("dashboard", "host")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no target is named"),
        ("[uptime]\nsometimes = 1", "no such setting"),
        (SETTINGS.format(url=NEAR, kind="gauge"), "wants gauge"),
        (SETTINGS.format(url="http://me:secret@h", kind="metric"), "user name"),
    ],
)
@pytest.mark.parametrize("command", ["probe", "check"])
def test_wrong_settings_exit_with_4_and_one_message(tmp_path: Path, command: str, text: str, words: str):
    (tmp_path / "settings.toml").write_text(text)
    done = in_directory(tmp_path, command)
    assert (done.returncode, done.stdout) == (4, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["settings.toml"]
