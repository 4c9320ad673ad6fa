"""Two clocks: did the job run, did the data move; and neither may be ahead of its time."""

from datetime import UTC, date, datetime, timedelta

import pytest

from etl.contract import Manifest
from ops.freshness import judge
from ops.settings import FreshnessSettings

LIMITS = FreshnessSettings(generated_warn_h=26, generated_error_h=50, data_warn_h=48, data_error_h=96)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
YESTERDAY = date(2026, 11, 21)  # over at midnight, 12 hours before NOW


def manifest(generated_at: datetime = NOW, data_through: date = YESTERDAY) -> Manifest:
    """Only the two clocks; nothing else is looked at."""
    return Manifest.model_construct(generated_at=generated_at, data_through=data_through)


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


@pytest.mark.parametrize(
    ("generated_at", "verdict"),
    [
        (NOW, "fresh"),
        (ago(hours=26), "fresh"),
        (ago(hours=26, seconds=1), "warn"),
        (ago(hours=50), "warn"),
        (ago(hours=50, seconds=1), "stale"),
        (ago(minutes=-5), "fresh"),
        (ago(minutes=-5, seconds=-1), "future"),
    ],
)
def test_the_job_is_judged_by_when_it_ran(generated_at: datetime, verdict: str):
    assert judge(manifest(generated_at), NOW, LIMITS).verdict == verdict


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (datetime(2026, 11, 21, 12, tzinfo=UTC), "fresh"),
        (datetime(2026, 11, 24, 0, tzinfo=UTC), "fresh"),
        (datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC), "warn"),
        (datetime(2026, 11, 26, 0, tzinfo=UTC), "warn"),
        (datetime(2026, 11, 26, 0, 0, 1, tzinfo=UTC), "stale"),
    ],
)
def test_the_data_ages_from_the_end_of_its_last_day(now: datetime, verdict: str):
    assert judge(manifest(now, YESTERDAY), now, LIMITS).verdict == verdict


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (datetime(2026, 11, 21, 9, 55, tzinfo=UTC), "fresh"),
        (datetime(2026, 11, 21, 9, 54, 59, tzinfo=UTC), "future"),
        (datetime(2026, 11, 19, 12, tzinfo=UTC), "future"),
    ],
)
def test_a_day_that_has_begun_nowhere_on_earth_is_in_the_future(now: datetime, verdict: str):
    """The shop's date may be ahead of UTC by 14 hours; five minutes are for clocks that differ."""
    assert judge(manifest(now, date(2026, 11, 22)), now, LIMITS).verdict == verdict


@pytest.mark.parametrize(
    ("generated_at", "data_through", "verdict"),
    [
        (ago(hours=30), YESTERDAY, "warn"),
        (NOW, date(2026, 11, 18), "warn"),
        (ago(hours=30), date(2026, 11, 1), "stale"),
        (ago(days=9), date(2026, 11, 30), "future"),
    ],
)
def test_the_worse_clock_decides(generated_at: datetime, data_through: date, verdict: str):
    assert judge(manifest(generated_at, data_through), NOW, LIMITS).verdict == verdict


def test_the_text_says_both_ages():
    assert judge(manifest(ago(hours=27, minutes=5)), NOW, LIMITS).text == (
        "warn: generated 27 h 5 min ago; data through 2026-11-21, a day that ended 12 h 0 min ago"
    )
    assert judge(manifest(NOW, NOW.date()), NOW, LIMITS).text.endswith("a day that ends 12 h 0 min from now")
