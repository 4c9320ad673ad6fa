"""The made-up shop looks like a real one, and is the same one every time."""

from datetime import date

import pyarrow.parquet as pq
import pytest

from etl.contract import REASONS
from etl.sample import lines, write
from etl.store import DirectoryStore

THROUGH = date(2026, 11, 21)


@pytest.fixture(scope="module")
def days(sample_snapshot_dir):
    return pq.read_table(sample_snapshot_dir / "daily_kpis.parquet").to_pandas().set_index("date")


def test_the_same_day_gives_the_same_bytes(sample_csv, tmp_path):
    write(tmp_path / "again.csv", THROUGH)
    assert (tmp_path / "again.csv").read_bytes() == sample_csv.read_bytes()


def test_it_has_about_two_hundred_thousand_lines_over_two_years_up_to_its_day(sample_snapshot_dir):
    manifest = DirectoryStore(sample_snapshot_dir).current().manifest
    assert 180_000 < manifest.rows_in < 220_000
    assert (manifest.data_from, manifest.data_through) == (date(2024, 11, 22), THROUGH)


@pytest.mark.parametrize("through", [date(2024, 2, 29), date(2026, 1, 1), date(2026, 12, 26)])
def test_any_day_may_be_the_last_one(through):
    assert any(line[4].startswith(through.isoformat()) for line in lines(through) if len(line) > 4)


def test_it_has_seasons_weekdays_and_a_bad_day(days):
    by_month = days.groupby([day.month for day in days.index])["orders"].mean()
    by_weekday = days.groupby([day.weekday() for day in days.index])["orders"].mean()
    assert by_month[11] > 1.5 * by_month[1]
    assert by_weekday[1] > 1.2 * by_weekday[5]
    bad = days.loc[date(2026, 9, 7)]
    assert bad["orders"] < 0.3 * days["orders"].median()
    assert (days["orders"] == 0).sum() == 6  # both years: 25 and 26 December, 1 January


def test_it_has_returns_guests_duplicates_and_most_kinds_of_mess(sample_snapshot_dir, days):
    manifest = DirectoryStore(sample_snapshot_dir).current().manifest
    sample = pq.read_table(sample_snapshot_dir / "sample_kpis.parquet").to_pylist()
    assert 0.005 < days["returns"].sum() / days["gross_sales"].sum() < 0.05
    assert any(line["customer_id"] is None for line in sample)
    assert manifest.source.duplicate_rows > 100
    assert set(manifest.quarantine) == set(REASONS) - {"zero_quantity"}
