"""What is told when: opened once, reminded now and then, closed once, quiet in maintenance, and never a flood."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ops.alerts.decide import due, news_of
from ops.settings import AlertSettings, TargetSettings
from ops.uptime.history import history_of
from ops.uptime.report import report
from tests.made_incidents import RULES, at, incident, news, told


def said(now_news, *entries, channel="webhook"):
    """(event, hours at which the incidents began) of what is due."""
    found = due(now_news, sorted(entries, key=lambda entry: entry.at), [channel])
    return [(one.event, [(start - at(0)) / timedelta(hours=1) for start in one.starts]) for one in found]


# --- once


def test_an_incident_that_nobody_heard_of_is_opened():
    assert said(news(7, incident(6))) == [("opened", [6])]


def test_what_was_told_is_not_told_again_at_the_next_run():
    assert said(news(8, incident(6)), told("opened", 6, 7)) == []


def test_each_channel_is_told_by_itself():
    assert said(news(8, incident(6)), told("opened", 6, 7, "sns")) == [("opened", [6])]


def test_the_end_is_told_to_who_heard_of_the_start():
    assert said(news(9, incident(6, 8)), told("opened", 6, 7)) == [("closed", [6])]
    assert said(news(10, incident(6, 8)), told("opened", 6, 7), told("closed", 6, 9)) == []


def test_what_could_not_be_told_is_due_again():
    assert said(news(8, incident(6)), told("opened", 6, 7, outcome="dead")) == [("opened", [6])]
    dead_end = [told("opened", 6, 7), told("closed", 6, 9, outcome="dead")]
    assert said(news(10, incident(6, 8)), *dead_end) == [("closed", [6])]


def test_what_came_and_went_untold_is_one_message_with_both_ends():
    assert said(news(9, incident(6, 8)), told("opened", 6, 7, outcome="dead")) == [("passed", [6])]
    assert said(news(9, incident(6, 8)), told("passed", 6, 8.5)) == []


def test_many_that_came_and_went_untold_are_one_message_too():
    many = [incident(hour, hour + 1) for hour in range(0, 40, 2)]
    assert said(news(48, *many)) == [("passed", list(range(0, 40, 2)))]


def test_what_ended_untold_over_a_week_ago_is_not_told_any_more():
    week = 7 * 24
    assert said(news(8 + week, incident(6, 8))) == [("passed", [6])]
    assert said(news(8.01 + week, incident(6, 8))) == []


def test_an_end_is_told_however_late():
    assert said(news(10_000, incident(6, 8)), told("opened", 6, 7)) == [("closed", [6])]


def test_a_channel_that_missed_an_end_hears_of_it_before_the_next_start():
    found = said(news(20, incident(6, 8), incident(10, 11), incident(19)), told("opened", 6, 7))
    assert found == [("closed", [6]), ("passed", [10]), ("reopened", [19])]


# --- again


@pytest.mark.parametrize(("start", "event"), [(33, "reopened"), (33.01, "opened")])
def test_an_incident_that_begins_within_24_hours_of_the_closing_reopens_it(start, event):
    before = [told("opened", 6, 7), told("closed", 6, 9)]
    assert said(news(start, incident(6, 8), incident(start)), *before) == [(event, [start])]


def test_another_kind_reopens_nothing():
    before = [told("opened", 6, 7, kind="stale"), told("closed", 6, 9, kind="stale")]
    assert said(news(20, incident(19)), *before) == [("opened", [19])]


@pytest.mark.parametrize(("now", "expected"), [(30.99, []), (31, [("reminder", [6])])])
def test_while_it_lasts_there_is_a_reminder_once_in_so_many_hours(now, expected):
    assert said(news(now, incident(6)), told("opened", 6, 7)) == expected


def test_a_reminder_counts_from_the_last_one():
    before = [told("opened", 6, 7), told("reminder", 6, 31)]
    assert said(news(54, incident(6)), *before) == []
    assert said(news(55, incident(6)), *before) == [("reminder", [6])]


def test_a_reminder_of_a_lost_one_is_due_at_the_next_run():
    before = [told("opened", 6, 7), told("reminder", 6, 31, outcome="dead")]
    assert said(news(31.5, incident(6)), *before) == [("reminder", [6])]


def test_the_same_thing_told_again_is_counted():
    before = [told("opened", 6, 7), told("reminder", 6, 31), told("reminder", 6, 55)]
    assert [one.nth for one in due(news(80, incident(6)), before, ["webhook"])] == [3]


# --- flapping


def test_one_that_flaps_is_told_as_ended_when_it_has_been_good_for_as_long_as_flapping_is_counted_over():
    before = told("opened", 6, 7)
    assert said(news(15.9, incident(6, 10, changes=6)), before) == []
    assert said(news(16, incident(6, 10, changes=6)), before) == [("closed", [6])]


def test_incidents_that_turn_out_to_be_one_flapping_one_are_told_once_more_and_then_no_more():
    apart = [told("opened", 6, 6), told("closed", 6, 7), told("reopened", 7.5, 8), told("closed", 7.5, 8.5)]
    whole = incident(6, last_bad=9, changes=5)
    assert said(news(9, whole), *apart) == [("reopened", [6])]
    assert said(news(9.5, whole), *apart, told("reopened", 6, 9)) == []
    calm = replace(whole, first_good=at(10), changes=9)
    assert said(news(12, calm), *apart, told("reopened", 6, 9)) == []
    assert said(news(16, calm), *apart, told("reopened", 6, 9)) == [("closed", [6])]
    assert said(news(17, calm), *apart, told("reopened", 6, 9), told("closed", 6, 16)) == []


def test_the_next_incident_ends_one_that_flapped():
    found = said(news(15, incident(6, 10, changes=6), incident(14.5)), told("opened", 6, 7))
    assert found == [("closed", [6]), ("reopened", [14.5])]


# --- what was told is not what is known now


@pytest.mark.parametrize("start", [5, 6.5])
def test_an_incident_whose_first_bad_sample_is_another_one_by_now_is_still_the_same(start):
    assert said(news(8, incident(start, last_bad=8, before=2)), told("opened", 6, 7)) == []


def test_a_start_that_no_record_reaches_back_to_is_still_the_same():
    assert said(news(500, incident(400, before=None)), told("opened", 6, 7), told("reminder", 6, 490)) == []


def test_an_incident_that_the_record_does_not_show_any_more_is_taken_back_once():
    taken_back = due(news(8), [told("opened", 6, 7)], ["webhook"])
    assert [(one.event, one.ending, one.incidents) for one in taken_back] == [("closed", "withdrawn", ())]
    assert said(news(8.5), told("opened", 6, 7), told("closed", 6, 8)) == []


def test_a_target_that_is_not_watched_any_more_is_closed_and_then_forgotten():
    gone = news(8, incident(6), watched=False)
    assert [one.ending for one in due(gone, [told("opened", 6, 7)], ["webhook"])] == ["unwatched"]
    assert said(gone) == []


def test_a_channel_that_is_off_is_told_nothing():
    assert due(news(8, incident(6)), [told("opened", 6, 7)], []) == []


# --- maintenance


def test_what_begins_in_maintenance_is_not_told_until_it_was_seen_to_outlast_it():
    within = {"maintenance": [(6, 8)]}
    assert said(news(7, incident(6.5, last_bad=7), **within)) == []
    assert said(news(8.1, incident(6.5, last_bad=7.5), **within)) == []
    assert said(news(8.5, incident(6.5, last_bad=8.5), **within)) == [("opened", [6.5])]


def test_what_reaches_into_maintenance_untold_waits_too():
    within = {"maintenance": [(6, 8)]}
    assert said(news(5.9, incident(5.5), **within)) == [("opened", [5.5])]
    assert said(news(6, incident(5.5), **within)) == []
    assert said(news(9, incident(5.5, 8.5, last_bad=5.9), **within)) == []


def test_maintenance_before_or_after_an_incident_keeps_nothing_quiet():
    for window in [(1, 6), (7.5, 8)]:
        assert said(news(7, incident(6), maintenance=[window])) == [("opened", [6])]
    assert said(news(9, incident(6, 7), maintenance=[(7, 8)])) == [("passed", [6])]


def test_in_maintenance_there_is_no_reminder_but_the_end_is_told():
    before = told("opened", 5, 5)
    assert said(news(30, incident(5, last_bad=20), maintenance=[(28, 32)]), before) == []
    assert said(news(30, incident(5, 29.5, last_bad=20), maintenance=[(28, 32)]), before) == [("closed", [5])]
    assert said(news(33, incident(5, last_bad=33), maintenance=[(28, 32)]), before) == [("reminder", [5])]


# --- from settings


def test_data_goes_stale_and_all_else_goes_down():
    kinds = {"page": "http://a", "http": "http://b", "tcp": "tcp://c:1", "data": ""}
    targets = [TargetSettings(name=kind, kind=kind, url=url) for kind, url in kinds.items()]
    numbers = report(history_of([]), now=at(1), rules=RULES)
    found = news_of(numbers, targets, (), AlertSettings(remind_h=6))
    assert found.kinds == {"page": "down", "http": "down", "tcp": "down", "data": "stale"}
    assert (found.now, found.rules, found.remind_every) == (at(1), RULES, timedelta(hours=6))
