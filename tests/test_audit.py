"""Who changed what: a line however a command ends, none lost while the bucket is away, one timeline of both places."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from etl.errors import ExitCode, StoreError
from etl.store.wire import Patience
from ops.audit.asked import Sources, asked
from ops.audit.change import AUDIT_PREFIX, Change, as_line, key, parsed
from ops.audit.kept import Book
from ops.audit.noted import Notary, noted
from ops.audit.timeline import as_json, as_text, of_host, timeline

NOW = datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC)
CHANGE = Change("2026-11-23T12:00:05Z", "ann@laptop", "deploy", "r1", "r2", "done", 12.5)


# --- a line however it ends


def run(body, what="deploy"):
    """The lines that are kept, and what came of the command."""
    kept, ticks = [], iter([100.0, 112.5])
    try:
        came = noted(what, body, Notary("ann@laptop", lambda: NOW, lambda: next(ticks), kept.append))
    except BaseException as error:  # noqa: BLE001 - whatever ends a command
        came = type(error)
    return kept, came


def body_of(status, **told):
    def body(draft):
        for name, value in told.items():
            setattr(draft, name, value)
        if isinstance(status, BaseException):
            raise status
        return status

    return body


def test_what_was_done_is_noted_with_from_and_to_and_seconds():
    assert run(body_of(ExitCode.GOOD, origin="r1", to="r2")) == ([CHANGE], ExitCode.GOOD)


def test_what_was_refused_is_noted_with_its_reason():
    (line,), came = run(body_of(ExitCode.CHECK_FAILED, origin="r1", to="r2", reason="page products shows an error"))
    assert came == ExitCode.CHECK_FAILED
    assert (line.outcome, line.reason) == ("refused", "page products shows an error")


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (StoreError("S3 is away", expected="an answer", to_do="try again"), "failed", "S3 is away"),
        (KeyboardInterrupt(), "interrupted", ""),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
        (SystemExit(3), "failed", "SystemExit"),
    ],
)
def test_what_was_stopped_is_noted_and_the_error_goes_on(error, outcome, reason):
    (line,), came = run(body_of(error, to="r2"))
    assert came is type(error)
    assert (line.outcome, line.reason, line.to, line.seconds) == (outcome, reason, "r2", 12.5)


@pytest.mark.parametrize("status", [ExitCode.CHANGES_PENDING, ExitCode.LOCKED])
def test_a_plan_and_somebody_elses_lock_change_nothing_and_leave_no_line(status):
    assert run(body_of(status)) == ([], status)


def test_nothing_to_do_leaves_no_line():
    assert run(body_of(ExitCode.GOOD, changed=False)) == ([], ExitCode.GOOD)


def test_a_refusal_is_noted_even_where_nothing_was_changed():
    assert len(run(body_of(ExitCode.CHECK_FAILED, changed=False))[0]) == 1


# --- a line as it is kept


def test_a_line_is_one_line_and_comes_back_as_it_was():
    strange = replace(CHANGE, who='a"\n\x1b[31m b', reason="ü" * 500)
    assert as_line(strange).count("\n") == 1
    assert parsed(as_line(strange)) == strange


def test_keys_are_in_the_order_of_time_and_the_same_for_the_same_line():
    times = ["2026-09-30T23:59:59Z", "2026-10-01T00:00:00Z", "2026-10-01T00:00:01Z", "2026-11-02T03:00:00Z"]
    keys = [key(replace(CHANGE, at=at)) for at in times]
    assert keys == sorted(keys)
    assert keys[0].startswith("2026/09/30T235959Z-deploy-")
    assert key(CHANGE) == key(replace(CHANGE)) != key(replace(CHANGE, who="bob"))


AT = '{"at": "2026-11-23T12:00:05Z", "what": "x"'
NONE = [
    "",
    "{}",
    "[]",
    "null",
    "1",
    '{"at": 1}',
    AT,
    f'{AT}, "seconds": "soon"}}',
    AT.replace("2026-11-", ""),
    "[" * 5000,
]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_line_is_none(text):
    assert parsed(text) is None


# --- the bucket


@pytest.fixture
def book(new_bucket, tmp_path):
    store = new_bucket()
    return Book(lambda: store.client, store.bucket, tmp_path / "audit")


def keys_of(book):
    listed = book.client().list_objects_v2(Bucket=book.bucket).get("Contents", [])
    return [each["Key"] for each in listed]


def test_a_line_is_an_object_below_ops_audit_and_nothing_waits_here(book):
    told = []
    book.keep(CHANGE, told.append)
    assert keys_of(book) == [AUDIT_PREFIX + key(CHANGE)]
    assert told == []
    assert list(book.unsent.iterdir()) == []
    assert book.newest(10, NOW) == [CHANGE]


def away():
    raise StoreError("S3 is away", expected="an answer", to_do="try again")


def test_a_line_waits_here_while_the_bucket_is_away_and_goes_with_the_next(book):
    told = []
    lines = [replace(CHANGE, at=f"2026-11-23T12:00:0{n}Z") for n in range(3)]
    for line in lines[:2]:
        replace(book, client=away).keep(line, told.append)
    assert len(told) == 2
    assert all("S3 is away" in line and str(book.unsent) in line for line in told)
    assert keys_of(book) == []
    assert len(book.newest(10, NOW)) == 2  # they are shown all the same
    book.keep(lines[2], told.append)
    assert len(told) == 2
    assert book.newest(10, NOW) == lines[::-1]
    assert list(book.unsent.iterdir()) == []


def test_a_bucket_that_is_not_there_is_told_in_a_line_and_stops_nothing(book):
    told = []
    impatient = replace(book, bucket="nobody-has-this-one", patience=Patience(attempts=1, deadline_s=5))
    impatient.keep(CHANGE, told.append)
    assert len(told) == 1
    assert "NoSuchBucket" in told[0]
    assert len(list(book.unsent.glob("*.json"))) == 1


def test_a_place_that_cannot_be_written_is_told_in_a_line_and_stops_nothing(book, tmp_path):
    (tmp_path / "file").touch()
    told = []
    replace(book, unsent=tmp_path / "file").keep(CHANGE, told.append)
    assert len(told) == 1
    assert "not kept" in told[0]


def test_a_waiting_file_that_is_no_line_is_taken_away_and_not_sent(book):
    book.unsent.mkdir()
    (book.unsent / "torn.json").write_text('{"at": "2026-11-2')
    book.keep(CHANGE, pytest.fail)
    assert keys_of(book) == [AUDIT_PREFIX + key(CHANGE)]
    assert list(book.unsent.iterdir()) == []


def test_the_newest_are_found_over_months_and_years(book):
    months = ["2025-01", "2025-11", "2025-12", "2026-01", "2026-10", "2026-11"]
    lines = [replace(CHANGE, at=f"{month}-0{day}T12:00:00Z") for month in months for day in (1, 2)]
    for line in lines:
        book.keep(line, pytest.fail)
    assert book.newest(5, NOW) == lines[::-1][:5]
    book.keep(replace(CHANGE, at="2024-12-31T12:00:00Z"), pytest.fail)
    assert book.newest(100, NOW) == lines[::-1]


def test_what_others_put_there_does_no_harm(book):
    book.keep(CHANGE, pytest.fail)
    for name, body in (("zz.json", b"<html>"), ("zy.json", b"\xff\xfe"), ("zx.json", b"[]")):
        book.client().put_object(Bucket=book.bucket, Key=f"{AUDIT_PREFIX}2026/11/{name}", Body=body)
    assert book.newest(10, NOW) == [CHANGE]


# --- one timeline


def host_line(what, at, origin="r1", to="r2", **more):
    line = {"at": at, "who": "ann@laptop", "what": what, "from": origin, "to": to, "outcome": "done", "seconds": 1.0}
    return line | {"reason": None} | more


def test_the_steps_of_a_deploy_are_not_told_twice():
    host = of_host([host_line("switch", "2026-11-23T12:00:12Z"), host_line("confirm", "2026-11-23T12:00:16Z")])
    assert timeline([CHANGE], host, 10) == [CHANGE]


def test_a_rollback_within_a_deploy_belongs_to_it():
    refused = replace(CHANGE, outcome="refused", reason="three bad looks")
    host = of_host(
        [host_line("switch", "2026-11-23T12:00:12Z"), host_line("rollback", "2026-11-23T12:00:15Z", "r2", "r1")]
    )
    assert timeline([refused], host, 10) == [refused]


def test_what_only_the_host_knows_is_told_too():
    settled = host_line("settle", "2026-11-23T12:05:00Z", "r2", "r1", who="kpi-settle", reason="the page is wrong")
    by_hand = host_line("rollback", "2026-11-22T12:00:00Z", "r3", "r1", who="by hand")
    found = timeline([CHANGE], of_host([settled, by_hand]), 10)
    assert [(change.what, change.who) for change in found] == [
        ("settle", "kpi-settle"),
        ("deploy", "ann@laptop"),
        ("rollback", "by hand"),
    ]


def test_lines_of_a_host_that_are_none_are_passed_over():
    assert of_host([{}, {"at": "x", "what": "switch"}, {"at": 3, "what": None}]) == []


def test_one_place_that_does_not_answer_is_named_and_the_other_is_shown():
    found = asked(Sources(lambda _count: [CHANGE], away), 10)
    assert (list(found.changes), found.exit_code) == ([CHANGE], ExitCode.GOOD)
    assert found.not_asked == ["the host: S3 is away"]
    assert json.loads(as_json(found.changes, found.not_asked))["not_asked"] == ["the host: S3 is away"]


def test_where_no_place_answers_nothing_can_be_told():
    found = asked(Sources(lambda _count: away(), away), 10)
    assert found.exit_code == ExitCode.COULD_NOT
    assert len(found.not_asked) == 2


def test_one_kind_of_change_is_looked_for_among_many():
    lines = [replace(CHANGE, what="etl-sync", at=f"2026-11-23T{n:02}:00:00Z") for n in range(20)]
    found = asked(Sources(lambda count: [*lines, CHANGE][:count], lambda: ()), 1, "deploy")
    assert found.changes == [CHANGE]


def test_the_table_has_no_control_characters_and_a_reason_below_its_line():
    text = as_text([replace(CHANGE, who="ann\x1b[2J\nroot", outcome="failed", reason="disk full\nsecond line")])
    assert text.splitlines()[1].split("  ")[-1] == "ann [2J root"
    assert text.splitlines()[2:] == ["  disk full second line"]
    assert as_text([]) == "nothing is noted"


def test_the_json_names_its_fields_as_the_lines_do():
    (line,) = json.loads(as_json([CHANGE], []))["changes"]
    assert line == json.loads(as_line(CHANGE))
