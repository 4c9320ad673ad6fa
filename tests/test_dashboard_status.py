"""What the head of each page says about its data."""

from datetime import UTC, date, datetime, timedelta

import pytest

from dashboard.data import Problem
from dashboard.status import status
from etl.contract import Manifest
from etl.errors import StoreUnreachable
from ops.settings import FreshnessSettings

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LIMITS = FreshnessSettings(generated_warn_h=26, generated_error_h=50, data_warn_h=48, data_error_h=96)


def manifest(age: timedelta, through: date) -> Manifest:
    return Manifest.model_construct(generated_at=NOW - age, data_through=through)


@pytest.mark.parametrize(
    ("age_h", "tone"), [(0, "green"), (26, "green"), (26.01, "orange"), (50, "orange"), (50.01, "red")]
)
def test_the_colour_follows_the_clock_of_the_calculation(age_h: float, tone: str):
    told = status(manifest(timedelta(hours=age_h), date(2026, 11, 21)), None, NOW, LIMITS)
    assert told.tone == tone
    assert (told.warning is None) == (tone == "green")
    assert told.badge == "Data through 21 Nov 2026"


def test_old_sales_are_told_and_amber_but_nothing_to_be_warned_of():
    told = status(manifest(timedelta(hours=1), date(2011, 12, 9)), None, NOW, LIMITS)
    assert told.tone == "orange"
    assert told.warning is None
    assert told.detail == "calculated 1 hour ago · the newest sale is 14 years old"


def test_days_on_which_the_shop_is_closed_make_no_sale_old():
    closed = LIMITS.model_copy(update={"closed_days": tuple(date(2026, 11, day) for day in range(16, 22))})
    told = status(manifest(timedelta(hours=1), date(2026, 11, 15)), None, NOW, closed)
    assert told.tone == "green"
    assert told.detail == "calculated 1 hour ago"


def test_a_calculation_in_the_future_is_red_and_points_to_the_clock():
    told = status(manifest(-timedelta(days=2), date(2026, 11, 21)), None, NOW, LIMITS)
    assert told.tone == "red"
    assert "clock of the machine" in (told.warning or "")


def test_recent_sales_are_not_mentioned():
    told = status(manifest(timedelta(minutes=5), date(2026, 11, 20)), None, NOW, LIMITS)
    assert told.detail == "calculated 5 minutes ago"


def test_a_store_that_is_away_is_named_with_its_reason_and_since_when():
    error = StoreUnreachable("reading s3://b/k: timed out", expected="an answer", to_do="wait")
    problem = Problem(error, NOW - timedelta(minutes=7))
    told = status(manifest(timedelta(hours=1), date(2026, 11, 21)), problem, NOW, LIMITS)
    assert told.tone == "orange"
    assert told.warning == (
        "These are the last good numbers: no newer ones could be read for 7 minutes. reading s3://b/k: timed out."
    )
