"""Figures, lengths and moments as they are read: cut where a bound may be cut, rounded up where it may not."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest

from ops.uptime.display.words import (
    between,
    day,
    digits_up,
    length,
    length_up,
    listed,
    minute,
    outside,
    percent,
    sentence,
)
from ops.words import moment

NOON = datetime(2026, 11, 22, 12, 7, 3, tzinfo=UTC)


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
def test_percentages_are_cut_and_never_rounded_up(fraction, text):
    assert percent(fraction) == text


@pytest.mark.parametrize(("decimals", "cut", "up"), [(0, "66 %", "67"), (1, "66.6 %", "66.7"), (2, "66.66 %", "66.67")])
def test_a_percentage_has_as_many_decimals_as_are_asked_for(decimals, cut, up):
    assert (percent(Fraction(2, 3), decimals), digits_up(Fraction(2, 3), decimals)) == (cut, up)


def test_an_upper_bound_that_needs_no_rounding_is_not_moved():
    assert [digits_up(Fraction(n, 1000), 1) for n in (0, 875, 876, 1000)] == ["0.0", "87.5", "87.6", "100.0"]
    assert digits_up(Fraction(1, 10**9), 1) == "0.1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (172_799, "47 h 59 min"),
        (172_800, "2 d"),
        (180_000, "2 d 2 h"),
    ],
)
def test_lengths_are_told_in_two_units(seconds, text):
    assert length(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59, "59 s"), (3661, "1 h 2 min"), (3660, "1 h 1 min"), (172_799, "2 d"), (180_001, "2 d 3 h")],
)
def test_the_upper_bound_of_a_length_is_rounded_up(seconds, text):
    assert length_up(timedelta(seconds=seconds)) == text


def test_moments_are_in_utc_whatever_the_zone():
    there = NOON.astimezone(timezone(timedelta(hours=14)))
    assert (moment(there), minute(there)) == ("2026-11-22T12:07:03Z", "12:07 UTC on 22 Nov 2026")
    assert day(there.date()) == "23 Nov 2026"


@pytest.mark.parametrize(
    ("earliest", "latest", "text"),
    [
        ((22, 5, 30, 59), (22, 7, 0, 0), "between 05:30 and 07:00 UTC on 22 Nov 2026"),
        ((22, 5, 30, 0), (22, 7, 0, 1), "between 05:30 and 07:01 UTC on 22 Nov 2026"),
        ((21, 23, 30, 0), (22, 0, 0, 0), "between 23:30 on 21 Nov 2026 and 00:00 UTC on 22 Nov 2026"),
        ((22, 23, 50, 0), (22, 23, 59, 30), "between 23:50 on 22 Nov 2026 and 00:00 UTC on 23 Nov 2026"),
    ],
)
def test_two_bounds_to_the_minute_still_hold(earliest, latest, text):
    assert between(datetime(2026, 11, *earliest, tzinfo=UTC), datetime(2026, 11, *latest, tzinfo=UTC)) == text


def test_words_from_outside_are_one_line_that_can_be_printed():
    assert outside(" a\r\n\tb\x00\x1b[2Jc\u202e\u200bd\ud800\ufeff ") == "a b [2Jc d"
    assert outside("שלום 😀 <b>") == "שלום 😀 <b>"
    assert len(outside("x" * 10_000)) == 400


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed_as_in_a_sentence(words, text):
    assert listed(words) == text


def test_a_sentence_begins_with_a_capital_and_keeps_the_others():
    assert (sentence("the S3 of"), sentence("")) == ("The S3 of", "")
