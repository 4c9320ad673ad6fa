"""The page of who keeps it running: clocks, the published record of uptime, this server."""

import json
import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboard import operations_views
from dashboard.process import Process
from dashboard.uptime_holder import UptimeHolder, UptimeState
from dashboard.uptime_record import Record, record_of
from etl.errors import ContractError, NothingPublished, StoreError
from etl.store.beside import MAX_BYTES, FileDocument, S3Document
from ops.freshness import judge
from ops.settings import FreshnessSettings
from ops.uptime.storage.kept import rewrite_with_numbers
from tests.test_dashboard_quality import manifest
from tests.test_ops_uptime_report import WORKED_CASE, numbers_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)


def window(uptime=1.0, coverage=1.0):
    return {
        "up_s": 3600,
        "down_s": 60,
        "nodata_s": 0,
        "maintenance_s": 0,
        "uptime": uptime,
        "coverage": coverage,
        "lowest": 0.98123,
        "highest": 0.99991,
        "worst": 0.9,
        "best": 1.0,
    }


def incident(start="2026-11-21T10:00:00Z", good="2026-11-21T11:30:00Z"):
    return {
        "start": start,
        "last_bad": "2026-11-21T11:00:00Z",
        "first_good": good,
        "min_s": 3600,
        "max_s": 5400 if good else None,
        "reason": "script",
        "detail": "KeyError",
        "release": None,
    }


def document(**changes):
    target = {
        "status": "up",
        "since": "2026-11-20T00:00:00Z",
        "windows": {name: window() for name in ("24h", "7d", "30d", "90d")},
        "incidents": [incident()],
        "latency_ms": {
            "p50": 277,
            "p95": 912,
            "phases": {"script": {"p50": 200, "p95": 800}, "dns": {"p50": 3, "p95": 9}},
        },
    } | changes
    return {"now": "2026-11-22T11:50:00Z", "samples": 1234, "targets": {"dashboard": target}}


def record(**changes) -> Record:
    return record_of(json.dumps(document(**changes)).encode(), "here")


def only(of: Record):
    (target,) = of.targets.values()
    return target


# --- the record ------------------------------------------------------------------------------------------------------


def test_what_a_scheduled_check_writes_beside_its_report_is_read(tmp_path):
    numbers = tmp_path / "report.json"
    rewrite_with_numbers(lambda: numbers_of(WORKED_CASE), numbers)
    found = only(record_of(numbers.read_bytes(), "there"))
    assert list(found.windows) == ["24h", "7d", "30d", "90d"]
    assert [(each.min_s, each.max_s) for each in found.incidents] == [
        (each.min_s, each.max_s) for target in numbers_of(WORKED_CASE).targets.values() for each in target.incidents
    ]
    assert found.total.p50_ms is not None


def test_windows_are_told_cut_and_never_rounded_up():
    told = operations_views.windows_told(operations_views.windows(only(record()), 0.5))
    assert told["uptime"].tolist() == ["100.000 %"] * 4
    assert told["between"].tolist() == ["98.1 to 100.0 %"] * 4
    assert told["down"].tolist() == ["1 min"] * 4
    assert operations_views.cut(0.999999) == "99.999 %"


def test_a_window_of_which_too_little_was_seen_has_no_figure():
    table = operations_views.windows(only(record(windows={"24h": window(coverage=0.4)})), 0.5)
    assert table["uptime"].isna().all()
    assert operations_views.windows_told(table)["uptime"].tolist() == ["insufficient data"]
    assert operations_views.headline(only(record(windows={"24h": window(coverage=0.4)})), 0.5) == ("30d", None)


def test_incidents_come_newest_first_with_how_long_they_can_have_lasted():
    lasting = incident("2026-11-22T09:00:00Z", None)
    table = operations_views.incidents(record(incidents=[incident(), lasting]))
    assert table["began"].tolist() == ["2026-11-22 09:00 UTC", "2026-11-21 10:00 UTC"]
    assert table["lasted"].tolist() == ["1 h or more, and goes on", "1 h to 1 h 30 min"]


def test_phases_come_in_the_order_of_a_visit():
    assert operations_views.response(only(record()))["phase"].tolist() == ["dns", "script", "total"]


NO_TARGET = b'{"now":"2026-11-22T11:50:00Z","targets":{"x":NaN}}'


@pytest.mark.parametrize("junk", [b"", b"[]", b"{", b"\xff", b'{"now": 7}', b"[" * 90_000, NO_TARGET])
def test_what_is_no_report_is_refused_in_words(junk):
    with pytest.raises(ContractError, match="here"):
        record_of(junk, "here")


@pytest.mark.parametrize("name", ["", "a b", "[x](y)", "<b>", "x" * 41, "-a", "a\n", ":red[x]"])
def test_a_target_that_no_settings_would_name_so_is_refused(name):
    made = document()
    made["targets"][name] = made["targets"]["dashboard"]
    with pytest.raises(ContractError, match="targets has one called"):
        record_of(json.dumps(made).encode(), "here")


@pytest.mark.parametrize("status", ["sideways", "**up**", ""])
def test_a_status_that_is_not_known_here_is_unknown(status):
    assert only(record(status=status)).status == "unknown"
    assert only(record(status="degraded")).status == "degraded"


def mutations(number):
    """Documents with one value replaced, gone or of another kind, from a seed."""
    dice = random.Random(20261122)
    values = [None, -1, 1e308, 2**70, "", "x" * 5000, [], {}, True, float("nan"), "2026-13-01", {"a": {}}, [[]], 0.5]
    for _ in range(number):
        made = document()
        place = made
        while True:
            key = dice.choice(list(place) if isinstance(place, dict) else range(len(place)))
            below = place[key]
            if not isinstance(below, dict | list) or not below or dice.random() < 0.2:
                break
            place = below
        if dice.random() < 0.3:
            del place[key]
        else:
            place[key] = dice.choice(values)
        yield json.dumps(made).encode()


def test_whatever_a_report_says_it_is_read_or_refused_and_what_is_read_can_be_shown():
    read = 0
    for data in mutations(300):
        try:
            found = record_of(data, "here")
        except ContractError:
            continue
        read += 1
        operations_views.incidents(found)
        for target in found.targets.values():
            operations_views.windows_told(operations_views.windows(target, 0.5))
            operations_views.response(target)
            operations_views.headline(target, 0.5)
    assert 0 < read < 300


# --- who holds it ----------------------------------------------------------------------------------------------------


def holder_of(path: Path) -> UptimeHolder:
    return UptimeHolder(str(path), lambda: FileDocument(path))


def test_the_last_record_that_could_be_read_stays_with_the_reason(tmp_path):
    place = tmp_path / "report.json"
    holder = holder_of(place)
    assert holder.state().reading
    assert holder.refresh() == UptimeState(absent=True)
    place.write_text(json.dumps(document()))
    good = holder.refresh()
    assert good.record is not None
    assert holder.refresh().record is good.record  # the same bytes are not read anew
    place.write_text("{")
    torn = holder.refresh()
    assert torn.record is good.record
    assert torn.problem
    place.write_text(" " * (MAX_BYTES + 1))
    assert "holds more than" in (holder.refresh().problem or "")
    place.unlink()
    assert holder.refresh() == UptimeState(absent=True)


def test_a_bug_of_ours_ends_no_thread():
    def broken():
        raise ZeroDivisionError

    assert UptimeHolder("x", broken).refresh().problem == "ZeroDivisionError"


def test_a_holder_looks_by_itself_until_it_is_stopped(tmp_path):
    place = tmp_path / "report.json"
    place.write_text(json.dumps(document()))
    looked = threading.Event()

    def opened():
        looked.set()
        return FileDocument(place)

    holder = UptimeHolder(str(place), opened, refresh_s=0.01)
    holder.start()
    assert looked.wait(10)
    holder.stop()


def test_a_document_on_s3_is_read_when_it_changed_and_told_apart_when_it_is_not_there(new_bucket):
    store = new_bucket()
    reader = S3Document(store.client, store.bucket, "processed/uptime/report.json")
    with pytest.raises(NothingPublished):
        reader.read()
    store.client.put_object(Bucket=store.bucket, Key=reader.key, Body=b"one")
    first = reader.read()
    assert first is not None
    assert first.data == b"one"
    assert reader.read(first.etag) is None
    store.client.put_object(Bucket=store.bucket, Key=reader.key, Body=b"x" * (MAX_BYTES + 1))
    with pytest.raises(ContractError, match="holds more than"):
        reader.read(first.etag)


def test_a_document_that_may_not_be_read_is_a_store_error(tmp_path):
    with pytest.raises(StoreError):
        FileDocument(tmp_path).read()  # a directory


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "begins", "look"),
    [
        (UptimeState(), "The record of uptime is being read", False),
        (UptimeState(absent=True), "No record of uptime is published at `there`", False),
        (
            UptimeState(problem="a `bad` thing\n# x"),
            "The newest record of uptime cannot be read: `a  bad  thing # x`.",
            True,
        ),
    ],
)
def test_what_is_said_where_there_is_no_record(state, begins, look):
    line, looked = operations_views.record_line(state, "there", NOW, HALF_AN_HOUR)
    assert line.replace("  ", " ").startswith(begins.replace("  ", " "))
    assert looked is look


def test_a_record_that_nobody_adds_to_is_history():
    fresh = operations_views.record_line(UptimeState(record()), "there", NOW, HALF_AN_HOUR)
    late = operations_views.record_line(UptimeState(record()), "there", NOW + timedelta(hours=2), HALF_AN_HOUR)
    assert (fresh[1], late[1]) == (False, True)
    assert "No check came since" in late[0]


def server(**changes):
    facts = {
        "release": "20261122t101112.abcdef0",
        "began": NOW - timedelta(hours=3),
        "memory_bytes": 215_000_000,
        "sessions": 2,
        "python": "3.11.7",
        "streamlit": "1.67.0",
        "store": "s3://b/p/",
        "errors": 0,
        "last_error": None,
    }
    return operations_views.Server(**(facts | changes))


def test_this_server_is_told_in_facts_and_an_error_without_its_message(tmp_path):
    process = Process()
    process.begin("r", NOW)
    process.failed(KeyError("customer 17850"), tmp_path, NOW)
    told = operations_views.server(server(errors=process.errors, last_error=process.last_error), NOW)
    facts = dict(zip(told["fact"], told["value"], strict=True))
    assert facts["Commit"] == "abcdef0"
    assert facts["Memory (RSS)"] == "215 MB"
    assert facts["Last script error"].startswith("KeyError")
    assert "17850" not in str(facts)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "< 1 min"), (59, "< 1 min"), (60, "1 min"), (7200, "2 h"), (90_000, "1 d"), (10**9, "31 y")],
)
def test_an_age_on_a_card_is_short(seconds, words):
    assert operations_views.short_age(timedelta(seconds=seconds)) == words


def test_the_first_line_says_what_is_wrong():
    fresh = judge(manifest(), NOW, FreshnessSettings())
    words = [
        (part.words, part.tone)
        for part in operations_views.answer(fresh, record(status="down"), server(), NOW, HALF_AN_HOUR)
    ]
    assert words == [
        ("Calculation in time", "green"),
        ("Data too old", "red"),
        ("dashboard: down", "red"),
        ("Pages raise nothing", "green"),
    ]
    unseen = operations_views.answer(fresh, None, server(), NOW, HALF_AN_HOUR)[2]
    assert (unseen.words, unseen.tone) == ("Not watched from outside", "gray")


def test_both_clocks_are_held_against_their_limits():
    table = operations_views.clocks(judge(manifest(), NOW, FreshnessSettings()), FreshnessSettings())
    assert table["verdict"].tolist() == ["in time", "too old"]
    assert table["counted_h"].tolist()[0] == 12.0
