"""Numbers as people read them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from dashboard import format as text
from dashboard.export import csv


@pytest.mark.parametrize(
    ("mills", "shown"),
    [
        (None, "n/a"),
        (0, "£0"),
        (4, "£0"),
        (5, "£0.01"),
        (519_499, "£519.50"),
        (999_994, "£999.99"),
        (999_995, "£1,000"),
        (8_124_499, "£8,124"),
        (9_999_499, "£9,999"),
        (9_999_500, "£10.0k"),
        (54_349_000, "£54.3k"),
        (999_499_999, "£999k"),
        (999_500_000, "£1.00M"),
        (9_793_394_690, "£9.79M"),
        (-1_234_567_890, "-£1.23M"),
        (1_000_000_000_000, "£1.00B"),
        (12_345_000_000_000_000, "£12,300B"),
    ],
)
def test_money_on_a_card_has_three_digits_and_never_rounds_into_a_thousand_thousands(mills: float | None, shown: str):
    assert text.money(mills, "GBP") == shown


@pytest.mark.parametrize(
    ("mills", "shown"),
    [(9_793_394_690, "£9,793,394.69"), (-4, "£0.00"), (-5, "-£0.01"), (1_005, "£1.01"), (519_499.6, "£519.50")],
)
def test_exact_money_is_rounded_half_up_to_the_cent(mills: float | None, shown: str):
    assert text.money_exact(mills, "GBP") == shown


def test_a_currency_without_a_known_sign_shows_its_code():
    assert text.money(9_793_394_690, "CHF") == "CHF 9.79M"
    assert text.money(9_793_394_690, "EUR") == "€9.79M"


@pytest.mark.parametrize(("mills", "shown"), [(12_500, "12.50"), (125, "0.125"), (-1_000, "-1.00"), (0, "0.00")])
def test_amounts_in_files_are_exact(mills: float | None, shown: str):
    assert text.units(mills) == shown


@pytest.mark.parametrize(("number", "shown"), [(None, "n/a"), (19_773, "19,773"), (1_234_567, "1.23M"), (-5, "-5")])
def test_counts_on_a_card_stay_whole_while_they_fit(number: float | None, shown: str):
    assert text.count_compact(number) == shown


def test_compact_numbers_keep_their_sign():
    assert text.compact(-54_321) == "-54.3k"


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(None, "n/a"), (0.042, "+4.2 %"), (-0.3, "-30.0 %"), (0.0004, "0.0 %"), (-0.0004, "0.0 %"), (12.5, "+1,250.0 %")],
)
def test_a_change_has_a_sign_unless_it_rounds_to_nothing(ratio: float | None, shown: str):
    assert text.change(ratio) == shown


def test_rates_change_in_percentage_points():
    assert text.points(-0.014) == "-1.4 pp"
    assert text.points(None) == "n/a"
    assert text.percent(0.1625) == "16.2 %"
    assert text.percent(None) == "n/a"


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        (date(2011, 12, 9), date(2011, 12, 9), "9 Dec 2011"),
        (date(2011, 11, 12), date(2011, 12, 9), "12 Nov \N{EN DASH} 9 Dec 2011"),
        (date(2010, 12, 1), date(2011, 12, 9), "1 Dec 2010 \N{EN DASH} 9 Dec 2011"),
    ],
)
def test_a_span_names_the_year_once_where_it_can(first: date, last: date, shown: str):
    assert text.span(first, last) == shown


@pytest.mark.parametrize(
    ("elapsed", "shown"),
    [
        (timedelta(seconds=-5), "less than a minute"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=59), "59 minutes"),
        (timedelta(hours=3, minutes=59), "3 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=40), "1 month"),
        (timedelta(days=5461), "14 years"),
    ],
)
def test_an_age_is_told_in_its_largest_whole_unit(elapsed: timedelta, shown: str):
    assert text.age(elapsed) == shown


def test_a_moment_is_told_in_utc():
    assert text.moment(datetime(2026, 11, 2, 5, 4, tzinfo=UTC)) == "2 Nov 2026, 05:04 UTC"
    assert text.month(date(2011, 2, 1)) == "Feb 2011"


def test_a_file_has_decimal_units_iso_dates_and_blanks_for_what_is_missing():
    import pandas as pd

    frame = pd.DataFrame(
        {
            "first": pd.to_datetime(["2011-12-09", "2011-12-10"]),
            "net_sales": [1_250, -5],
            "average_order": [float("nan"), 519_499.6],
            "name": ["é, ü", None],
        }
    )
    expected = 'first,net_sales,average_order,name\n2011-12-09,1.25,,"é, ü"\n2011-12-10,-0.005,519.50,\n'
    assert csv(frame, ("net_sales", "average_order", "not there")) == expected.encode()
    assert frame["net_sales"].tolist() == [1_250, -5]


@pytest.mark.parametrize("words", ["eve_*b*@evil.net", "[x](http://y)", ":red[x]", "a $x$ `b` <b> # ~~c~~", "\\*"])
def test_what_somebody_else_wrote_is_shown_and_not_obeyed(words: str) -> None:
    escaped = text.unmarked(words)
    assert escaped.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\") == words
    assert all(escaped[place - 1] == "\\" for place, letter in enumerate(escaped) if letter in "*_[]()`$<>#~:")
