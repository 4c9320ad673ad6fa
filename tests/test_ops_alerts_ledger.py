"""The record of what was told: small, readable in whatever state merges leave it."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import KpiOpsError
from ops.alerts import ledger
from ops.alerts.ledger import EVENTS, FILE_NAME, Entry, Ledger
from tests.made_incidents import at, told

ENTRIES = [told("opened", 1, 2), told("closed", 1, 4), told("opened", 1, 2, "github", detail="#12")]


def lines(entries):
    return [entry.to_line() for entry in entries]


def test_a_line_has_the_agreed_shape():
    line = told("opened", 6, 6.5, "github", detail="#12").to_line()
    assert line == (
        b'{"v":1,"t":"2026-11-22T06:30:00Z","target":"dashboard","kind":"down","incident":"2026-11-22T06:00:00Z",'
        b'"event":"opened","channel":"github","outcome":"sent","detail":"#12"}\n'
    )


ENTRY = st.builds(
    Entry,
    at=st.integers(0, 10_000).map(lambda minutes: at(minutes / 60)),
    target=st.from_regex(r"[A-Za-z0-9_.-]{1,40}", fullmatch=True),
    kind=st.sampled_from(["down", "stale"]),
    incident=st.integers(0, 10_000).map(lambda minutes: at(minutes / 60)),
    event=st.sampled_from(EVENTS),
    channel=st.sampled_from(["github", "webhook", "sns"]),
    outcome=st.sampled_from(["sent", "dead"]),
    detail=st.text(max_size=300),
)


@given(ENTRY)
def test_whatever_the_detail_a_line_is_short_and_comes_back_but_for_what_was_cut_of_it(entry):
    line = entry.to_line()
    back = Entry.from_line(line)
    assert len(line) <= 400
    assert line.count(b"\n") == 1
    assert replace(back, detail="") == replace(entry, detail="")
    assert len(back.detail.encode()) <= 120
    assert entry.detail.encode("utf-8", "replace").decode().startswith(back.detail)


def test_written_entries_are_read_again_in_order_of_time(tmp_path):
    for entry in reversed(ENTRIES):
        ledger.append(tmp_path, [entry])
    found = ledger.read(tmp_path)
    assert sorted(found.entries, key=repr) == sorted(ENTRIES, key=repr)
    assert [entry.at for entry in found.entries] == sorted(entry.at for entry in ENTRIES)
    assert found.torn_lines == 0


def test_where_nothing_was_told_there_is_an_empty_ledger_and_nothing_to_add_makes_no_file(tmp_path):
    ledger.append(tmp_path, [])
    assert ledger.read(tmp_path) == Ledger()
    assert list(tmp_path.iterdir()) == []


def test_lines_that_a_merge_doubled_and_shuffled_make_the_same_ledger():
    whole = ledger.parsed(lines(ENTRIES))
    for order in itertools.permutations(lines(ENTRIES) + lines(ENTRIES[:1])):
        assert ledger.parsed(order) == whole


@pytest.mark.parametrize(
    "line",
    [
        b"<<<<<<< HEAD",
        b'{"v":1,"t":"2026-11-22T06:30',
        b"[]",
        b"null",
        b"[" * 100_000,
        ENTRIES[0].to_line().replace(b'"v":1', b'"v":2'),
        ENTRIES[0].to_line().replace(b"opened", b"shouted"),
        ENTRIES[0].to_line().replace(b"webhook", b"pigeon"),
        ENTRIES[0].to_line().replace(b'"sent"', b'["sent"]'),
        ENTRIES[0].to_line().replace(b"dashboard", b"../dashboard"),
        ENTRIES[0].to_line().replace(b"2026-11-22T02:00:00Z", b"2026-11-22T02:00:00+01:00"),
        ENTRIES[0].to_line().replace(b"}", b',"detail":"\\ud800"}'),
        ENTRIES[0].to_line().replace(b"}", b',"detail":"' + b"x" * 400 + b'"}'),
        b"\xff\xfe",
    ],
)
def test_a_torn_or_foreign_line_is_counted_and_takes_nothing_along(line):
    found = ledger.parsed([*lines(ENTRIES), line, b"", b"  "])
    assert (len(found.entries), found.torn_lines) == (len(ENTRIES), 1)


def test_keys_of_later_versions_are_passed_over():
    line = ENTRIES[0].to_line().replace(b"}", b',"priority":"high"}')
    assert ledger.parsed([line]).entries == (ENTRIES[0],)


def test_a_line_after_one_that_was_torn_off_is_a_line_of_its_own(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(ENTRIES[0].to_line() + ENTRIES[1].to_line()[:40])
    ledger.append(tmp_path, [ENTRIES[2]])
    found = ledger.read(tmp_path)
    assert (set(found.entries), found.torn_lines) == ({ENTRIES[0], ENTRIES[2]}, 1)


def test_a_ledger_that_cannot_be_read_is_no_empty_one(tmp_path):
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(KpiOpsError, match=r"cannot read alerts\.jsonl of"):
        ledger.read(tmp_path)
