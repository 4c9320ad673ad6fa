"""Two clocks: did the job run, did the data move; and neither may be ahead of its time."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from etl.contract import Manifest
from ops.freshness import closed_time, judge
from ops.settings import WEEKDAYS, FreshnessSettings

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


@pytest.mark.parametrize(
    ("at", "verdict"), [(datetime.min.replace(tzinfo=UTC), "stale"), (datetime.max.replace(tzinfo=UTC), "future")]
)
def test_the_ends_of_time_are_old_or_in_the_future_and_no_error_of_ours(at: datetime, verdict: str):
    seen = judge(manifest(at, at.date()), NOW, LIMITS)
    assert (seen.verdict, seen.generated.verdict, seen.data.verdict) == (verdict, verdict, verdict)
    assert seen.data.since.tzinfo is UTC


def test_data_of_a_day_that_began_after_the_job_ran_is_in_the_future_of_the_job():
    """A sale with a wrong date would otherwise look like news once its day has come."""
    assert judge(manifest(ago(hours=20), date(2026, 11, 22)), NOW, LIMITS).data.verdict == "fresh"
    seen = judge(manifest(ago(hours=30), date(2026, 11, 22)), NOW, LIMITS)
    assert (seen.generated.verdict, seen.data.verdict) == ("warn", "future")
    assert seen.text.endswith("and that began only after the job had run")


def test_the_moment_may_be_given_in_any_zone():
    there = NOW.astimezone(timezone(timedelta(hours=-13)))  # where it is still yesterday
    closed = LIMITS.model_copy(update={"closed_weekdays": ("sat", "sun")})
    for limits in (LIMITS, closed):
        assert judge(manifest(), there, limits) == judge(manifest(), NOW, limits)


# --- days on which the shop is closed --------------------------------------------------------------------------------

FRIDAY = date(2026, 11, 20)  # over at the midnight on which Saturday begins
WEEKEND = LIMITS.model_copy(update={"closed_weekdays": ("sat", "sun")})


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (datetime(2026, 11, 22, 23, 59, tzinfo=UTC), "fresh"),
        (datetime(2026, 11, 25, 0, tzinfo=UTC), "fresh"),
        (datetime(2026, 11, 25, 0, 0, 1, tzinfo=UTC), "warn"),
        (datetime(2026, 11, 27, 0, tzinfo=UTC), "warn"),
        (datetime(2026, 11, 27, 0, 0, 1, tzinfo=UTC), "stale"),
    ],
)
def test_the_data_does_not_age_over_a_closed_weekend(now: datetime, verdict: str):
    assert judge(manifest(now, FRIDAY), now, WEEKEND).verdict == verdict


def test_the_job_ages_on_closed_days_as_on_any():
    sunday = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert judge(manifest(sunday - timedelta(hours=51), FRIDAY), sunday, WEEKEND).generated.verdict == "stale"


def test_single_days_are_closed_too_and_one_that_is_closed_twice_counts_once():
    now = datetime(2026, 11, 26, 0, 0, 1, tzinfo=UTC)
    assert judge(manifest(now, YESTERDAY), now, LIMITS).verdict == "stale"
    holiday = LIMITS.model_copy(update={"closed_days": (date(2026, 11, 25), date(2026, 11, 25))})
    assert judge(manifest(now, YESTERDAY), now, holiday).data.closed == timedelta(days=1)
    both = WEEKEND.model_copy(update={"closed_days": (date(2026, 11, 22),)})
    assert judge(manifest(now, YESTERDAY), now, both).data.closed == timedelta(days=1)


def test_a_closed_day_does_not_make_a_day_to_come_a_past_one():
    now = datetime(2026, 11, 21, 9, 54, 59, tzinfo=UTC)
    assert judge(manifest(now, date(2026, 11, 22)), now, WEEKEND).verdict == "future"


def test_the_text_says_how_much_of_the_age_counts():
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert judge(manifest(now, FRIDAY), now, WEEKEND).data.text == (
        "data through 2026-11-20, a day that ended 60 h 0 min ago, 12 h 0 min of it on open days"
    )


CALENDARS = st.builds(
    lambda weekdays, days: LIMITS.model_copy(update={"closed_weekdays": tuple(weekdays), "closed_days": tuple(days)}),
    st.sets(st.sampled_from(WEEKDAYS), max_size=6),
    st.lists(st.dates(date(2026, 10, 1), date(2026, 12, 31)), max_size=20),
)
DAYS = st.dates(date(2026, 10, 1), date(2026, 12, 31))
MOMENTS = st.datetimes(datetime(2026, 10, 1), datetime(2026, 12, 31), timezones=st.just(UTC))


def day_by_day(day: date, now: datetime, limits: FreshnessSettings) -> timedelta:
    total = timedelta()
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    while begins < now:
        is_closed = begins.date() in limits.closed_days or WEEKDAYS[begins.weekday()] in limits.closed_weekdays
        total += min(timedelta(days=1), now - begins) if is_closed else timedelta()
        begins += timedelta(days=1)
    return total


@given(DAYS, MOMENTS, CALENDARS)
def test_closed_time_is_what_counting_the_days_gives(day: date, now: datetime, limits: FreshnessSettings):
    assert closed_time(day, now, limits) == day_by_day(day, now, limits)


@given(DAYS, MOMENTS, CALENDARS, st.timedeltas(timedelta(), timedelta(days=60)))
def test_data_never_grows_younger_and_never_faster_than_time(
    day: date, now: datetime, limits: FreshnessSettings, later: timedelta
):
    first, second = (judge(manifest(at, day), at, limits).data.counted for at in (now, now + later))
    assert timedelta() <= second - first <= later


def test_a_week_without_an_open_day_is_refused():
    """Else nothing would ever be too old."""
    with pytest.raises(ValidationError, match="open is expected"):
        FreshnessSettings(closed_weekdays=WEEKDAYS)
    assert FreshnessSettings(closed_weekdays=WEEKDAYS[1:]).closed_weekdays == WEEKDAYS[1:]


@pytest.mark.parametrize(
    "wrong",
    [
        {"closed_weekdays": ["Saturday"]},
        {"closed_days": ["25.12.2026"]},
        {"closed_days": [20261225]},
        {"generated_warn_h": float("inf")},
        {"data_error_h": float("nan")},
        {"dashboard": "dashboard:8501"},
    ],
    ids=str,
)
def test_a_setting_that_would_be_misread_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        FreshnessSettings.model_validate(wrong)
