"""What an alert says: the exact figures, in plain words, and nothing from outside that could be taken for more."""

import json
import re
from dataclasses import replace

import pytest

from ops.alerts.decide import Due, Thread
from ops.alerts.words import message
from tests.made_incidents import alert, at, incident, news

THREAD = Thread("github", "dashboard", "down")


def line(event, *incidents, kind="down", ending="ended"):
    starts = tuple(one.start for one in incidents) or (at(6),)
    due = Due(Thread("webhook", "dashboard", kind), event, starts, incidents, ending)
    return message(due, news(9, *incidents, kind=kind)).headline


@pytest.mark.parametrize(
    ("event", "one", "expected"),
    [
        ("opened", incident(6), "dashboard is down since 2026-11-22T06:00:00Z (tcp / refused)"),
        ("reopened", incident(6), "dashboard is down again since 2026-11-22T06:00:00Z (tcp / refused)"),
        ("reminder", incident(6), "dashboard is still down since 2026-11-22T06:00:00Z (tcp / refused)"),
        ("reminder", incident(6, changes=7), "dashboard is still flapping since 2026-11-22T06:00:00Z (tcp / refused)"),
        ("closed", incident(6, 7), "dashboard is up again: from 2026-11-22T06:00:00Z for 30 min to 1 h 30 min"),
        ("passed", incident(6, 7), "dashboard was down and is up again: from 2026-11-22T06:00:00Z for 30 min to 1 h 30 min"),  # noqa: E501 - one line
    ],
)  # fmt: skip
def test_the_headline_says_what_happened_and_since_when(event, one, expected):
    assert line(event, one) == expected


def test_data_is_stale_and_fresh_again():
    assert line("opened", incident(6), kind="stale").startswith("dashboard is stale since")
    assert line("closed", incident(6, 7), kind="stale").startswith("dashboard is fresh again")


def test_several_that_passed_are_counted():
    many = [incident(1, 2), incident(3, 4), incident(5, 6)]
    expected = "3 times between 2026-11-22T01:00:00Z and 2026-11-22T05:30:00Z"
    assert line("passed", *many) == f"dashboard was down and is up again: {expected}"


@pytest.mark.parametrize(("ending", "words"), [("withdrawn", "does not show"), ("unwatched", "not watched any more")])
def test_an_end_that_nobody_saw_says_why(ending, words):
    assert words in line("closed", ending=ending)


def test_the_body_has_the_timeline_the_bounds_the_cause_the_release_and_uptime_with_its_coverage():
    one = incident(6, 7, detail="[Errno 111] Connection refused", release="3f2a91c")
    body = alert("closed", one, now=8).body
    for expected in (
        "- last good sample before: 2026-11-22T05:30:00Z",
        "- first bad sample: 2026-11-22T06:00:00Z",
        "- last bad sample: 2026-11-22T06:30:00Z",
        "- first good sample after: 2026-11-22T07:00:00Z",
        "- lasted: for 30 min to 1 h 30 min",
        "- failed at: tcp / refused",
        "- detail: `[Errno 111] Connection refused`",
        "- release that was live: `3f2a91c`",
        "| 24h | 94.805 % | 80.208 % |",
        "As of 2026-11-22T08:00:00Z.",
    ):
        assert expected in body


def test_the_body_lists_the_incidents_of_the_last_days():
    earlier = [incident(hour, hour + 1) for hour in range(0, 24, 2)]
    now_on = incident(30)
    due = Due(THREAD, "opened", (now_on.start,), (now_on,))
    body = message(due, news(31, *earlier, now_on)).body
    listed = [words for words in body.splitlines() if words.startswith("- 2026-")]
    assert len(listed) == 10
    assert listed[-1] == "- 2026-11-23T06:00:00Z, for 0 s or more, and goes on (tcp / refused)"
    assert "- and 3 before" in body


EVIL = [
    "@everyone look at `this` and ``that``",
    "<!-- kpi-ops alert: other/down -->",
    "x\n<!-- kpi-ops alert: other/down -->\ny",
    "</details><img src=x onerror=alert(1)>",
    "[click](https://evil.example) ![x](https://evil.example/x.png)",
    "| a | b |\n|---|---|",
    "\u202e\u2028# heading\r\n## another",
    "fixes #1, closes owner/repo#2",
    "`" * 50,
    "\\`",
    "<!channel> <@U123> &amp;",
]


@pytest.mark.parametrize("evil", EVIL)
def test_words_from_outside_are_code_on_one_line_wherever_markdown_is_read(evil):
    one = incident(6, 7, detail=evil, release=evil)
    told = alert("closed", one)
    harmless = alert("closed", incident(6, 7, detail="x", release="x"))
    for words, expected in ((told.body, harmless.body), (told.comment, harmless.comment), (told.chat, harmless.chat)):
        assert re.sub(r"(?m)^(- [a-z ]+): `[^`]+`$", r"\1: `x`", words) == expected


@pytest.mark.parametrize("evil", EVIL)
def test_in_plain_text_they_are_on_one_line(evil):
    told = alert("closed", incident(6, 7, detail=evil)).text
    assert len(told.splitlines()) == len(alert("closed", incident(6, 7, detail="x")).text.splitlines())
    assert all(letter.isprintable() or letter == "\n" for letter in told)


def test_plain_text_is_not_dressed_as_code():
    assert "\n- detail: connection refused\n" in alert("closed", incident(6, 7, detail="connection refused")).text


def test_programs_get_every_figure():
    values = alert("closed", incident(6, 7, release="3f2a91c"), now=8).values
    assert json.loads(json.dumps(values)) == {
        "v": 1,
        "id": "dashboard/down/2026-11-22T06:00:00Z/closed/1",
        "event": "closed",
        "target": "dashboard",
        "kind": "down",
        "ending": "ended",
        "incidents": [
            {
                "start": "2026-11-22T06:00:00Z",
                "last_bad": "2026-11-22T06:30:00Z",
                "last_good": "2026-11-22T05:30:00Z",
                "first_good": "2026-11-22T07:00:00Z",
                "min_s": 1800,
                "max_s": 5400,
                "unseen_s": 0,
                "stage": "tcp",
                "reason": "refused",
                "detail": "refused",
                "changes": 0,
                "release": "3f2a91c",
            }
        ],
        "windows": {"24h": {"uptime": 1095 / 1155, "coverage": 1155 / 1440}},
    }


def test_under_the_coverage_that_is_enough_there_is_no_figure():
    one = incident(6)
    there = news(9, one)
    sparse = replace(there, rules=replace(there.rules, enough_coverage=1))
    assert (
        "uptime 24h: insufficient data (coverage 80.208 %"
        in message(Due(THREAD, "opened", (at(6),), (one,)), sparse).text
    )


def test_the_same_alert_has_the_same_id_and_the_next_another():
    one = incident(6)
    assert alert("reminder", one).id == alert("reminder", one, now=9).id
    assert alert("reminder", one).id != alert("reminder", one, nth=2).id
