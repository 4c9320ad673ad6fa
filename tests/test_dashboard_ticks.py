"""Marks of an axis: few, round, and in the words of the cards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.ticks import MOST_STEPS, ticks


@pytest.mark.parametrize(
    ("mills", "currency", "labels"),
    [
        ([0, 84_000], "GBP", ["£0", "£20", "£40", "£60", "£80", "£100"]),
        ([-432_000, 24_000], "GBP", ["-£500", "-£400", "-£300", "-£200", "-£100", "£0", "£100"]),
        ([-450_000], "GBP", ["-£500", "-£400", "-£300", "-£200", "-£100", "£0"]),
        ([7_200_000], "GBP", ["£0", "£2,000", "£4,000", "£6,000", "£8,000"]),
        ([61_000_000], "GBP", ["£0", "£20k", "£40k", "£60k", "£80k"]),
        ([1_200_000_000], "EUR", ["€0", "€250k", "€500k", "€750k", "€1M", "€1.25M"]),
        ([638 * 10**12], "JPY", ["JPY 0", "JPY 200B", "JPY 400B", "JPY 600B", "JPY 800B"]),
        ([9_000], "USD", ["$0", "$2", "$4", "$6", "$8", "$10"]),
        ([5_500], "USD", ["$0", "$2", "$4", "$6"]),
        ([12_500], "USD", ["$0", "$2.50", "$5", "$7.50", "$10", "$12.50"]),
        ([20], "GBP", ["£0", "£0.01", "£0.02"]),
    ],
)
def test_money_is_marked_with_round_amounts_as_cards_write_them(mills: list[int], currency: str, labels: list[str]):
    assert list(ticks(mills, currency).labels) == labels


@pytest.mark.parametrize(
    ("counts", "labels"),
    [
        ([1], ["0", "1"]),
        ([4, 3], ["0", "1", "2", "3", "4"]),
        ([12], ["0", "5", "10", "15"]),
        ([110], ["0", "25", "50", "75", "100", "125"]),
        ([7_200_000], ["0", "2M", "4M", "6M", "8M"]),
    ],
)
def test_a_count_is_marked_with_whole_numbers(counts: list[int], labels: list[str]):
    assert list(ticks(counts, None).labels) == labels


def test_where_nothing_happened_the_axis_is_one_unit_high():
    assert (ticks([0, 0], "GBP").labels, ticks([0, 0], "GBP").top) == (("£0", "£1"), 1000)
    assert (ticks([], None).labels, ticks([], None).top) == (("0", "1"), 1)


@given(values=st.lists(st.integers(-(10**16), 10**16), min_size=1), currency=st.sampled_from([None, "GBP"]))
def test_any_values_lie_between_few_marks_with_labels_of_their_own(values: list[int], currency: str | None):
    marks = ticks(values, currency)
    assert marks.places[0] <= min(0, *values)
    assert marks.places[-1] >= max(0, *values)
    assert 0 in marks.places
    assert len(marks.places) <= MOST_STEPS + 3
    assert len(set(marks.labels)) == len(marks.labels)
