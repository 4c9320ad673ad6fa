"""Whether the numbers can be trusted: lines set aside, days without a sale, sums that must agree."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from dashboard import quality_charts, quality_views
from etl.contract import REASONS, Manifest, Source, SourceFile, UnknownCode
from ops.settings import FreshnessSettings

MONDAY = date(2026, 3, 2)


def manifest(**changes):
    facts = {
        "rows_in": 1000,
        "rows_kept": 1000,
        "quarantine": {},
        "data_from": MONDAY,
        "data_through": MONDAY,
        "duplicates": 0,
        "dropped": False,
        "overlap": 0,
        "run_id": "r",
    } | changes
    source = Source(
        layout="x",
        files=(SourceFile(name="a.csv", sha256="0" * 64, rows=facts["rows_in"]),),
        overlap_rows=facts["overlap"],
        duplicate_rows=facts["duplicates"],
        duplicates_dropped=facts["dropped"],
    )
    return Manifest.model_construct(
        run_id=facts["run_id"],
        generated_at=datetime(2026, 11, 22, tzinfo=UTC),
        data_from=facts["data_from"],
        data_through=facts["data_through"],
        currency="GBP",
        source=source,
        code_version="test",
        quarantine=facts["quarantine"],
        rows_in=facts["rows_in"],
        rows_kept=facts["rows_kept"],
        artifacts={},
    )


def daily(orders, first=MONDAY, **columns):
    days = len(orders)
    frame = pd.DataFrame({"date": pd.date_range(first, periods=days, unit="ms"), "orders": orders})
    for name in ("gross_sales", "returns", "other_charges", "cancellations", "new_customers"):
        frame[name] = columns.get(name, [0] * days)
    return frame


def gaps_of(frame, limits=None):
    days = quality_views.days(frame, limits or FreshnessSettings())
    return days, quality_views.gaps(frame, days)


# --- lines -----------------------------------------------------------------------------------------------------------


def test_every_reason_of_the_contract_has_its_lines_its_share_a_meaning_and_what_to_do():
    table = quality_views.quarantine(manifest(rows_kept=990, quarantine={"bad_debt": 4, "malformed": 6}))
    assert table["reason"].tolist() == list(REASONS)
    assert table["lines"].tolist() == [6, 4, 0, 0, 0]
    assert table["share"].tolist() == [0.006, 0.004, 0, 0, 0]
    assert all(table["meaning"])
    assert all(table["to_do"])


def test_of_no_line_there_is_no_share():
    lines = quality_views.lines_of(manifest(rows_in=0, rows_kept=0))
    assert (lines.kept_share, lines.quarantined_share, lines.duplicate_share) == (None, None, None)


def test_duplicates_that_were_dropped_are_a_share_of_what_there_was_before():
    assert quality_views.lines_of(manifest(rows_in=90, duplicates=10, dropped=True)).duplicate_share == 0.1
    assert quality_views.lines_of(manifest(rows_in=100, duplicates=10)).duplicate_share == 0.1


def test_codes_that_may_be_services_are_told_with_their_lines_and_amounts():
    told = manifest().model_copy(update={"unknown_codes": (UnknownCode(sku="PORTO", lines=3, amount_mills=14700),)})
    table = quality_views.in_units(quality_views.unknown_codes(told), ("amount",))
    assert table.to_dict("records") == [{"sku": "PORTO", "lines": 3, "amount": 14.7}]
    assert quality_views.unknown_codes(manifest()).empty


def test_the_sample_tells_of_no_customer():
    lines = pd.DataFrame({"invoice": ["1", "2"], "customer_id": ["17850", None]})
    table = quality_views.sample(lines)
    assert table.to_dict("list") == {"invoice": ["1", "2"], "customer": [True, False]}


# --- days ------------------------------------------------------------------------------------------------------------


def test_a_weekday_on_which_nothing_is_ever_sold_is_closed_and_no_gap():
    week = [3, 3, 3, 3, 3, 0, 3]
    days, gaps = gaps_of(daily(week * 6))
    assert days.closed_weekdays == (5,)
    assert gaps.empty
    assert quality_views.closed_words(days) == "The shop is closed on Saturdays; that is no gap."


def test_days_without_a_sale_are_one_gap_also_across_a_closed_day():
    orders = [3, 3, 3, 3, 3, 0, 3] * 6
    orders[18] = orders[20] = 0  # Friday and Sunday, around a closed Saturday
    days, gaps = gaps_of(daily(orders))
    (gap,) = gaps.to_dict("records")
    assert (gap["first"], gap["last"]) == (pd.Timestamp("2026-03-20"), pd.Timestamp("2026-03-22"))
    assert (gap["open_days"], gap["usual_orders"]) == (2, 6)
    assert int(days.missing.sum()) == 2


def test_a_day_on_which_only_returns_were_booked_is_told_apart():
    (gap,) = gaps_of(daily([3, 0, 3], returns=[0, 5, 0]))[1].to_dict("records")
    assert gap["other_bookings"] == 1


def test_closed_days_of_the_settings_are_no_gaps():
    limits = FreshnessSettings(closed_weekdays=("tue",), closed_days=(MONDAY + timedelta(days=2),))
    days, gaps = gaps_of(daily([3, 0, 0, 3]), limits)
    assert gaps.empty
    assert days.open_days == 2


def test_the_days_of_a_month_add_up():
    days, _ = gaps_of(daily([1] * 40))
    months = quality_views.months(days)
    assert months[["sold", "closed", "missing"]].sum(axis="columns").tolist() == [30, 10]


# --- sums and the answer ---------------------------------------------------------------------------------------------


def frames(gross=10, products=10, new=1, customers=1):
    return {
        "daily_kpis": daily([1], gross_sales=[gross], new_customers=[new]),
        "top_products": pd.DataFrame({"gross_sales": [products]}),
        "rfm": pd.DataFrame({"frequency": [1] * customers}),
    }


def answered(of=None, **changes):
    said = of or frames()
    made = manifest(**changes)
    days, gaps = gaps_of(said["daily_kpis"])
    checks = quality_views.checks(made, said, days)
    return checks, quality_views.answer(made, checks, gaps)


def test_numbers_without_a_remark_can_be_trusted():
    checks, answer = answered()
    assert checks["holds"].all()
    assert (answer.word, answer.good) == ("Yes", True)


@pytest.mark.parametrize(
    ("of", "changes", "broken"),
    [
        (frames(products=9), {}, "Gross sales"),
        (frames(new=2), {}, "Each known customer"),
        (frames(), {"data_through": MONDAY + timedelta(days=1)}, "There is a row for every day"),
        (frames(), {"rows_kept": 999}, "Every line read"),
    ],
)
def test_sums_that_do_not_agree_are_named_and_the_answer_is_no(of, changes, broken):
    checks, answer = answered(of, **changes)
    assert [check.startswith(broken) for check in checks["check"][~checks["holds"]]] == [True]
    assert not answer.good
    assert broken.lower() in answer.remarks[0]


def test_much_that_is_unreadable_set_aside_or_twice_is_a_remark():
    _, answer = answered(rows_kept=900, quarantine={"malformed": 100}, duplicates=30)
    assert answer.good
    assert [remark.split()[0] for remark in answer.remarks] == ["100", "10.0", "3.0"]


def test_runs_are_told_with_the_change_against_the_run_before():
    table = quality_views.runs([manifest(run_id="b", rows_in=1200, rows_kept=1200), manifest(run_id="a")])
    assert table["run_id"].tolist() == ["b", "a"]
    assert table["rows_in_change"].tolist() == [200, pd.NA]


# --- pictures --------------------------------------------------------------------------------------------------------


def test_the_bars_of_the_reasons_and_of_the_months_hold_their_numbers():
    table = quality_views.quarantine(manifest(rows_kept=990, quarantine={"malformed": 10}))
    (bars,) = quality_charts.quarantine(table).data
    assert list(bars.x) == [10, 0, 0, 0, 0]
    days, _ = gaps_of(daily([3, 3, 0, 3] * 20))
    drawn = {trace.name: list(trace.y) for trace in quality_charts.days(quality_views.months(days)).data}
    assert sum(drawn["With a sale"]) == 60
    assert sum(drawn["Without a sale"]) == 20
    assert "Closed" not in drawn
