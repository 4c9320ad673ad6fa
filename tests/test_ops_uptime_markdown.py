"""uptime.md: what is true, in text that cannot be mistaken for anything else."""

import re
from datetime import timedelta
from fractions import Fraction
from typing import get_args

import pytest
from markdown_it import MarkdownIt

from ops.uptime.display.markdown import as_markdown, code
from ops.uptime.display.phrases import CAUSES
from ops.uptime.latency import Latency, Percentiles
from ops.uptime.probe import Reason
from ops.uptime.rules import Rules
from ops.uptime.schedule import Schedule
from ops.uptime.summary import Window
from tests.made_reports import (
    NOTHING,
    NOW,
    TODAY,
    days,
    incident,
    latency,
    nothing_known,
    realistic,
    report,
    same,
    seen,
    target,
)

DAY_S = 24 * 3600
PARSER = MarkdownIt("commonmark").enable("table")


def row(text, first):
    """The cells of the first row that begins with a word."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def section(text, heading):
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def only(**changes):
    return as_markdown(report({"dashboard": target(**changes)}))


# --- now -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([], "No data yet"),
        (["up"], "Everything is up"),
        (["up", "up"], "Everything is up"),
        (["down"], "`t0` is down"),
        (["down", "down"], "Everything is down"),
        (["no data"], "`t0` is without recent data"),
        (["up", "degraded"], "`t1` is degraded, `t0` is up"),
        (["up", "down", "up"], "`t1` is down, the rest is up"),
        (["unknown", "down", "degraded"], "`t1` is down, `t2` is degraded, `t0` is in an unknown state"),
        (["down"] * 3 + ["up"], "`t0`, `t1` and `t2` are down, `t3` is up"),
        (["down"] * 4 + ["up"], "4 targets are down, `t4` is up"),
    ],
)
def test_the_status_line_says_what_is_true_now_the_loudest_first(states, words):
    text = as_markdown(report({f"t{n}": target(status=state) for n, state in enumerate(states)}))
    assert text.splitlines()[2].startswith(f"**{words}.**")


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["up", "up"], "Up since 12:07 UTC on 20 Nov 2026."),
        (["down", "down"], "Down since 12:07 UTC on 18 Nov 2026."),
        (["up", "down"], "Down since 12:07 UTC on 20 Nov 2026."),
    ],
)
def test_the_status_line_says_since_when(states, words):
    moments = [NOW - timedelta(days=4), NOW - timedelta(days=2)]
    targets = {f"t{n}": target(status=state, since=moments[n]) for n, state in enumerate(states)}
    assert as_markdown(report(targets)).splitlines()[2].endswith(words)


def test_since_when_is_left_out_where_it_is_not_known():
    one_unknown = report({"a": target(), "b": target(since=None)})
    assert as_markdown(one_unknown).splitlines()[2] == "**Everything is up.**"
    assert "**Up.** Seen by" in as_markdown(one_unknown)


def test_the_moment_and_all_that_the_figures_were_made_of_stand_on_one_line():
    text = as_markdown(report())
    assert text.splitlines()[3] == "As of 2026-11-22T12:07:03Z, from 12,345 samples, digest 0a1b2c3d4e5f."
    assert text.count("12:07:03") == 1
    assert as_markdown(report(samples=1, digest="")).splitlines()[3] == "As of 2026-11-22T12:07:03Z, from 1 sample."


def test_planned_is_said_to_be_planned():
    text = only(status="down", planned="new disk")
    assert text.splitlines()[2] == "**`dashboard` is under maintenance.**"
    assert "**Now is maintenance:** `new disk`." in text


def test_a_vantage_point_that_fell_silent_is_named():
    text = only(seen_by={"github": NOW, "laptop": NOW - timedelta(minutes=45), "host": NOW - timedelta(minutes=44)})
    assert "Seen by `github`, `host` and `laptop`." in text
    assert re.findall(r"\*\*(.*) has not looked since (.*)\.\*\*", text) == [("`laptop`", "11:22 UTC on 22 Nov 2026")]


# --- figures ---------------------------------------------------------------------------------------------------------


def test_each_window_has_its_uptime_its_bounds_and_its_coverage():
    windows = {"24h": Window(65_700, 3_600, 17_100, 0, 1_800, 20_741), "7d": seen(DAY_S)}
    text = only(windows=windows)
    assert row(text, "24h") == ["24h", "94.805 %", "75.9 to 98.0 %", "80 %", "1 h"]
    assert row(text, "7d") == ["7d", "100.000 %", "100.0 to 100.0 %", "100 %", "0 s"]


def test_with_a_single_down_second_it_is_not_100_percent():
    assert row(only(windows=same(Window(7_775_999, 1, 0, 0, 1, 1))), "90d")[1:3] == ["99.999 %", "99.9 to 100.0 %"]


@pytest.mark.parametrize(
    ("window", "enough", "figure"),
    [
        (seen(50, 0, 50), Fraction(1, 2), "100.000 %"),
        (seen(50, 0, 51), Fraction(1, 2), "insufficient data"),
        (seen(50, 0, 51), Fraction(1, 4), "100.000 %"),
        (Window(0, 0, 100, 0), Fraction(0), "-"),
        (Window(0, 0, 0, 100), Fraction(1, 2), "insufficient data"),
    ],
)
def test_without_enough_coverage_there_is_no_figure(window, enough, figure):
    text = as_markdown(report({"dashboard": target(windows=same(window))}, rules=Rules(enough_coverage=enough)))
    assert row(text, "30d")[1] == figure


def test_maintenance_is_said_to_be_taken_out():
    windows = {"24h": seen(80_000), "7d": seen(500_000, 0, 0, 7200), "30d": seen(10, 0, 0, 3600)}
    assert "Maintenance is taken out: 2 h of 7d and 1 h of 30d.\n" in only(windows=windows)
    assert "Maintenance is taken out" not in only()


def test_phases_stand_in_the_order_in_which_they_happen_and_only_if_they_did():
    phases = {"script": Percentiles(1240, 2000), "dns": Percentiles(2, 9), "tls": NOTHING}
    text = only(latency=Latency(Percentiles(1300, 2100), phases))
    assert row(text, "ms") == ["ms", "dns", "script", "total"]
    assert row(text, "median") == ["median", "2", "1,240", "1,300"]
    assert row(text, "p95") == ["p95", "9", "2,000", "2,100"]


def test_without_a_good_probe_there_is_no_response_time():
    text = only(latency=Latency(NOTHING, {}))
    assert "| median" not in text
    assert "response.svg" not in text


def test_columns_stand_below_each_other_in_a_terminal():
    table = [line for line in as_markdown(realistic()).splitlines() if line.startswith("|")]
    for line in table:
        assert len(line) in {len(table[0]), *(10 + 9 * columns for columns in range(1, 9))}


# --- 90 days ---------------------------------------------------------------------------------------------------------


def letters(of):
    text = only(days=of)
    return text.partition("```text\n")[2].partition("```")[0].splitlines()


def test_the_bar_has_a_line_for_each_month_and_a_place_for_each_day():
    assert letters(days()) == [
        "Aug 2026 " + " " * 24 + "█" * 7,
        "Sep 2026 " + "█" * 30,
        "Oct 2026 " + "█" * 31,
        "Nov 2026 " + "█" * 22,
    ]


@pytest.mark.parametrize(
    ("window", "letter"),
    [
        (seen(DAY_S), "█"),
        (seen(DAY_S - 1, 1), "▆"),
        (seen(91, 9), "▆"),
        (seen(90, 10), "▃"),
        (seen(1, 99), "▃"),
        (seen(0, 1, DAY_S - 1), "x"),
        (seen(0, 0, DAY_S), "?"),
        (seen(49, 0, 51), "?"),
        (seen(50, 0, 50), "█"),
        (seen(100, 10, 900), "▆"),
        (seen(0, 0, 0, DAY_S), "m"),
        (seen(40, 0, 0, 60), "m"),
        (seen(60, 0, 0, 40), "█"),
        (seen(), "-"),
    ],
)
def test_each_kind_of_day_has_a_letter_of_its_own(window, letter):
    assert letters(days(window))[-1] == "Nov 2026 " + letter * 22


def test_days_that_are_not_told_are_before_the_first_sample():
    assert letters(days(count=1))[-1] == "Nov 2026 " + "-" * 21 + "█"
    assert letters([])[-1] == "Nov 2026 " + "-" * 22


def test_the_picture_of_the_bar_says_in_words_what_it_shows():
    some = [*days(count=90)[:-2], days(seen(1, 1))[-2], days(seen(0, 0, 9))[-1]]
    assert "![90 days: 88 up, 1 partly down, 1 no data](uptime/dashboard-90d.svg)" in only(days=some)


def test_the_pictures_lie_where_they_are_said_to():
    text = as_markdown(report(), beside="../my samples")
    assert "](../my%20samples/dashboard-90d.svg)" in text
    assert "](../my%20samples/dashboard-response.svg)" in text


# --- incidents -------------------------------------------------------------------------------------------------------


def incidents(*of):
    return section(only(incidents=list(of)), "Incidents").strip().splitlines()


def test_an_incident_is_told_with_bounds_stage_reason_detail_and_release():
    assert incidents(incident()) == [
        (
            "- `dashboard` down between 05:30 and 07:00 UTC on 22 Nov 2026, for 30 min to 1 h 30 min: "
            "the page raised ValueError."
        ),
        "  - Began between 05:30 and 06:00 UTC on 22 Nov 2026; ended between 06:30 and 07:00 UTC on 22 Nov 2026.",
        "  - `script_done / script_exception`, `ValueError: no such snapshot`, live was `20261121-a1b2c3d`.",
    ]


def test_an_incident_that_goes_on_says_so():
    first, second, _ = incidents(incident(first_good=None))
    assert "down since 06:00 UTC on 22 Nov 2026, for 30 min or more, and goes on: " in first
    assert second.endswith("; last seen bad at 06:30 UTC on 22 Nov 2026.")


def test_an_incident_before_which_nothing_was_seen_has_no_upper_bound():
    first, second, _ = incidents(incident(last_good=None))
    assert (
        "down at 06:00 UTC on 22 Nov 2026 or earlier, until 06:30 UTC on 22 Nov 2026 or later, for 30 min or " in first
    )
    assert second.startswith("  - Nothing was seen before; ended between")
    assert (
        "down since 06:00 UTC on 22 Nov 2026 or earlier, for" in incidents(incident(last_good=None, first_good=None))[0]
    )


def test_a_single_bad_sample_lasted_at_most_so_long():
    assert ", for at most 1 h 30 min: " in incidents(incident(last_bad=incident().start))[0]


def test_the_longest_that_it_can_have_lasted_is_rounded_up():
    assert (
        ", for 30 min to 1 h 31 min: "
        in incidents(incident(first_good=incident().first_good + timedelta(seconds=1)))[0]
    )


def test_flapping_and_what_nobody_saw_are_remarked():
    first, second, _ = incidents(incident(changes=7, unseen_s=600))
    assert first.startswith("- `dashboard` flapping between ")
    assert second.endswith(". 7 changes between good and bad. Nobody looked for 10 min of it.")


@pytest.mark.parametrize(
    ("reason", "detail", "words"),
    [
        ("script_exception", "botocore.exceptions.ClientError: 403", "the page raised ClientError"),
        ("script_exception", "KeyError", "the page raised KeyError"),
        ("script_exception", "www.example.com: x", "the page raised an exception"),
        ("script_exception", "@Someone: x", "the page raised an exception"),
        ("script_exception", None, "the page raised an exception"),
        ("timeout", "ValueError: x", "no answer came in time"),
        ("of_a_later_version", None, "the reason has no name here"),
        (None, None, "the reason was not recorded"),
    ],
)
def test_the_cause_is_told_in_our_own_words(reason, detail, words):
    assert incidents(incident(reason=reason, detail=detail))[0].endswith(f": {words}.")


def test_every_reason_that_a_probe_gives_has_words():
    assert set(get_args(Reason)) <= set(CAUSES)


def test_an_incident_of_which_nothing_is_recorded_is_two_lines():
    assert len(incidents(incident(stage=None, reason=None, detail=None, release=None))) == 2
    assert incidents(incident(stage="dns", reason="dns", detail=None, release=None))[2] == "  - `dns`."


def test_the_last_ten_incidents_of_all_are_told_newest_first_and_those_that_go_on_before_them():
    def at(days_ago, **changes):
        shift = timedelta(days=days_ago)
        one = incident()
        moments = {key: getattr(one, key) - shift for key in ("start", "last_bad", "last_good", "first_good")}
        return incident(**{**moments, **changes})

    a = [at(n) for n in range(20, 0, -2)]
    b = [at(60, first_good=None), *(at(n) for n in range(19, 0, -2))]
    text = as_markdown(report({"a": target(incidents=a), "b": target(incidents=b)}))
    told = re.findall(r"^- `(.)` down (?:since|between) .*? on (\d+) (...)", text, re.MULTILINE)
    assert told == [("b", "23", "Sep"), *(("ba"[n % 2], str(21 - n), "Nov") for n in range(9))]
    assert "\n11 more are in `report --json`.\n" in text


# --- the rest --------------------------------------------------------------------------------------------------------


def test_the_schedule_is_told_as_slots_due_and_delivered_lateness_and_gap():
    text = section(as_markdown(report()), "The prober itself")
    assert "In the last 30 days a check came in 1,402 of 1,440 slots of 30 min." in text
    assert "It came 7 min (median) and 31 min (p95) after the slot began." in text
    assert "The longest gap was 5 h 12 min." in text


def test_a_schedule_that_never_ran_or_was_never_late_is_told_in_fewer_words():
    assert "No check in the last 30 days." in as_markdown(report(schedule=Schedule(0, 0, None, None, None)))
    young = section(as_markdown(report(schedule=Schedule(0, 0, None, None, 59))), "The prober itself")
    assert "after the slot began" not in young
    assert "The longest gap was 59 s." in young


def test_it_says_from_which_data():
    assert (
        "The oldest sample that was looked at is from 12:07 UTC on 25 Jul 2026.\n2 torn lines were skipped."
        in as_markdown(report())
    )
    assert "\n1 torn line was skipped." in as_markdown(report(torn_lines=1))
    silent = as_markdown(report(last=NOW - timedelta(minutes=45)))
    assert "The newest is from 11:22 UTC on 22 Nov 2026." in silent
    assert "The newest" not in as_markdown(report(last=NOW - timedelta(minutes=44)))


def test_freshness_and_warnings_stand_above_the_targets():
    text = as_markdown(report(), freshness="freshness: late: 31 h", warnings=["46 days", "and more"])
    head = text.partition("\n\n## ")[0].split("\n\n")
    assert head[2:] == ["**Warning:** `46 days`", "**Warning:** `and more`", "Freshness: `late: 31 h`"]
    assert "Freshness" not in as_markdown(report())


def test_the_same_report_is_the_same_text():
    assert as_markdown(realistic(), freshness="x") == as_markdown(realistic(), freshness="x")


def test_the_text_has_an_even_size_so_that_git_stores_what_differs():
    sizes = {len(as_markdown(report(samples=samples, digest="é")).encode()) for samples in (1, 22, 333, 4444)}
    assert {size % 128 for size in sizes} == {0}
    assert as_markdown(report()).endswith(" \n")


# --- words from outside ----------------------------------------------------------------------------------------------

HOSTILE = [
    "`` ` ``` <img src=x onerror=alert(1)>",
    "\\`",
    "x\\| | @someone #1 https://example.com/",
    "a\n\n# heading\n\n- list\n```\n",
    "![i](http://h/i.png) [l](javascript:x) **b** _i_ ~~s~~",
    "</details><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}&lt;b&gt;",
    "\u202eabc\u2066 שלום 😀\x00\x1b[31m\ud800",
    "x" * 5000,
]


def tokens(text):
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("words", HOSTILE)
def test_words_from_outside_stay_code_wherever_they_stand(words):
    hostile = target(
        status="down",
        planned=words,
        seen_by={words: NOW, words + "2": NOW - timedelta(days=1)},
        incidents=[incident(detail=words, release=words, stage=words, reason=words)],
    )
    text = as_markdown(report({words: hostile, "b": target()}), freshness=words, warnings=[words])
    found = list(tokens(text))
    shown = code(words).strip("`")
    said = [token.content for token in found if token.type == "code_inline" and shown.strip() in token.content]
    assert len(said) >= 9
    html = {token.content.strip() for token in found if token.type in {"html_block", "html_inline"}}
    assert html == {"<details><summary>The 90 days in letters</summary>", "</details>"}
    assert not [token for token in found if token.type == "link_open"]
    assert all(token.attrs["src"].startswith("uptime/") for token in found if token.type == "image")
    assert not [token for token in found if token.type == "text" and "@" in token.content]
    assert [token.tag for token in found if token.type == "heading_open"] == ["h1"] + ["h2"] * 5
    text.encode()


@pytest.mark.parametrize(
    ("words", "text"), [("a`b", "`a'b`"), ("", ""), (" \n ", ""), ("`", "`'`"), ("a  b", "`a b`"), ("\\", "`\\`")]
)
def test_code_is_one_span(words, text):
    assert code(words) == text


@pytest.mark.parametrize(
    "numbers",
    [
        report({}, samples=0, first=None, last=None, digest=""),
        report({"dashboard": nothing_known()}),
        report({"dashboard": target(windows={}, days=days(count=1), latency=latency(p50=1, p95=1))}, samples=1),
        report({f"shop-{n}": target() for n in range(40)}),
    ],
    ids=["no target", "nothing known", "one sample", "forty targets"],
)
def test_little_and_much_are_told_too(numbers):
    text = as_markdown(numbers)
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        *(f"## `{name}`" for name in numbers.targets),
        "## Incidents",
        "## The prober itself",
        "## How to read this",
    ]
    assert "None" not in text.replace("\nNone.\n", "")


def test_the_last_day_of_the_bar_is_today():
    assert letters(days(count=1))[-1].startswith(f"Nov {TODAY.year}")
