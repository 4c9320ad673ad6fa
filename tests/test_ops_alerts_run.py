"""What a check does about alerts, from samples on disk to an issue and back."""

import time

import pytest

from etl.store import Patience
from ops.alerts import ledger, run
from ops.settings import AlertSettings, TargetSettings, UptimeSettings
from ops.uptime import history, record
from ops.uptime.probe import PHASES, Result
from ops.uptime.record import Sample
from ops.uptime.report import report
from ops.uptime.rules import Rules
from tests.github_stand_in import REPOSITORY, TOKEN, GitHub
from tests.made_incidents import at

ON = AlertSettings(github=True)


@pytest.fixture
def github(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    stand_in = GitHub()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def check(tmp_path, github):
    """A function that takes a look at hour so and so, and then does what a check does about alerts."""
    targets = (TargetSettings(name="shop", url="http://127.0.0.1:1"), TargetSettings(name="kpis", kind="data"))
    uptime = UptimeSettings(directory=tmp_path / "uptime", targets=targets)

    def looked(hours, alerts=ON, **verdicts):
        samples = [
            Sample(at=at(hours), target=name, by="github", run=None, result=result(verdict))
            for name, verdict in verdicts.items()
        ]
        record.append(uptime.directory, samples)
        numbers = report(history.read(uptime.directory), now=at(hours), rules=Rules())
        place = {"api": github.api, "repository": REPOSITORY, "token": TOKEN}
        return run.run(numbers, uptime, alerts, (), **place, patience=Patience(4, 20, lambda _: None, time.monotonic))

    return looked


def result(verdict):
    bad = verdict == "down"
    return Result(verdict, "tcp" if bad else None, "refused" if bad else None, None, dict.fromkeys(PHASES), 1)


def test_from_the_second_bad_sample_to_the_second_good_one(check, github, tmp_path):
    assert check(1, shop="up", kpis="up") == ()
    assert check(1.5, shop="down", kpis="down") == ()
    opened = check(2, shop="down", kpis="down")
    assert opened == (
        "told github: kpis is stale since 2026-11-22T01:30:00Z (tcp / refused) (#1)",
        "told github: shop is down since 2026-11-22T01:30:00Z (tcp / refused) (#2)",
    )
    asked = len(github.asked)
    assert check(2.5, shop="up", kpis="down") == ()
    assert len(github.asked) == asked
    assert check(3, shop="up", kpis="down") == (
        "told github: shop is up again: from 2026-11-22T01:30:00Z for 30 min to 1 h 30 min (#2)",
    )
    assert (github.numbers("open"), github.numbers("closed")) == ([1], [2])
    kept = ledger.read(tmp_path / "uptime").entries
    assert [(entry.target, entry.event, entry.detail) for entry in kept] == [
        ("kpis", "opened", "#1"),
        ("shop", "opened", "#2"),
        ("shop", "closed", "#2"),
    ]


def test_where_nothing_is_switched_on_nothing_is_read_or_written(check, tmp_path):
    check(1, AlertSettings(), shop="down")
    assert check(1.5, AlertSettings(), shop="down") == ()
    assert not (tmp_path / "uptime" / "alerts.jsonl").exists()


def test_torn_lines_are_said(check, tmp_path):
    check(1, shop="up")
    (tmp_path / "uptime" / "alerts.jsonl").write_text("<<<<<<< HEAD\n")
    assert check(1.5, shop="up") == ("torn lines in alerts.jsonl, skipped: 1",)


def test_a_run_whose_lines_were_lost_finds_its_issue_again(check, github, tmp_path):
    check(1, shop="down")
    check(1.5, shop="down")
    (tmp_path / "uptime" / "alerts.jsonl").unlink()
    assert check(2, shop="down")[0].endswith("(#1)")
    assert (github.numbers("open"), github.said(1)) == ([1], [])
