"""The snapshot against a second version of the definitions, written in pandas, and against published figures."""

import csv
import hashlib
import importlib.util
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from etl.contract import ARTIFACTS, Manifest
from etl.store import DirectoryStore

_spec = importlib.util.spec_from_file_location("pandas_reference", Path(__file__).with_name("pandas_reference.py"))
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)


def frame(directory, artifact):
    return pq.read_table(directory / f"{artifact}.parquet").to_pandas(date_as_object=False)


def assert_same_rows(directory, source):
    for name, expected in reference.artifacts(reference.read(source)).items():
        found = frame(directory, name)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True, obj=name)


def test_every_artifact_of_the_sample_shop_agrees_row_for_row_with_the_pandas_version(sample_snapshot_dir, sample_csv):
    assert_same_rows(sample_snapshot_dir, sample_csv)


def test_every_artifact_of_the_real_shop_agrees_row_for_row_with_the_pandas_version(real_snapshot, real_sales):
    assert_same_rows(real_snapshot, real_sales)


def test_quarantine_counts_of_the_sample_shop_agree_with_the_pandas_version(sample_snapshot_dir, sample_csv):
    manifest = DirectoryStore(sample_snapshot_dir).current().manifest
    expected = reference.read(sample_csv)["reason"].value_counts().drop("").to_dict()
    assert dict(manifest.quarantine) == expected
    assert pq.read_metadata(sample_snapshot_dir / "quarantine.parquet").num_rows == sum(expected.values())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x","y")', "\t=1"])
def test_a_text_that_a_spreadsheet_would_compute_is_text_in_the_csv_and_as_it_was_in_the_parquet(
    text, shop, snapshot_of, tmp_path
):
    quoted = '"' + text.replace('"', '""') + '"'
    snapshot_of([shop(("1", "A", quoted, 1, "2026-03-02", "10", "7", quoted))], tmp_path / "out")
    for name, column in (("top_products", "description"), ("sample_kpis", "description"), ("rfm", "country")):
        stored = text.strip() if column == "country" else text
        assert frame(tmp_path / "out", name)[column].tolist() == [stored]
        with (tmp_path / "out" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            assert [row[column] for row in csv.DictReader(file)] == [f"'{stored}"]


def test_the_csv_says_what_the_parquet_says_with_money_in_units(sample_snapshot_dir):
    for name, columns in ARTIFACTS.items():
        texts = [column.name for column in columns if column.type == "string"]
        dates = [column.name for column in columns if column.type in ("date", "timestamp")]
        text = pd.read_csv(
            sample_snapshot_dir / f"{name}.csv",
            dtype=dict.fromkeys(texts, str),
            parse_dates=dates,
            keep_default_na=False,
            na_values=[""],
        )
        parquet = frame(sample_snapshot_dir, name)
        for column in columns:
            if column.money and column.type == "int64":
                text[column.name] = (text[column.name] * 1000).round()
            if column.money and column.type == "float64":
                parquet[column.name] = parquet[column.name] / 1000
        pd.testing.assert_frame_equal(text, parquet, check_dtype=False, check_exact=True, obj=name)


@pytest.fixture(scope="module")
def real_snapshot(real_sales, snapshot_of, tmp_path_factory):
    out = tmp_path_factory.mktemp("real")
    snapshot_of([real_sales], out)
    return out


@pytest.fixture(scope="module")
def real_figures(real_snapshot):
    """Every figure of the golden file, taken from the artifacts by other means than the ETL's."""
    manifest = Manifest.from_json((real_snapshot / "metadata.json").read_text())
    days, products, customers = (frame(real_snapshot, name) for name in ("daily_kpis", "top_products", "rfm"))
    best = days.loc[days["gross_sales"].idxmax()]
    first = days.iloc[0]
    scores = "\n".join(sorted(customers["customer_id"] + "," + customers["rfm"]))
    sums = ("total_sales", "gross_sales", "returns", "net_sales", "other_charges", "orders", "units", "cancellations")

    def histogram(column):
        return {str(score): int(count) for score, count in customers[column].value_counts().sort_index().items()}

    return {
        "rows_in": manifest.rows_in,
        "quarantined": dict(manifest.quarantine),
        "rows_kept": manifest.rows_kept,
        **{name: int(days[name].sum()) for name in sums},
        "customers": len(customers),
        "first_day": manifest.data_from.isoformat(),
        "last_day": manifest.data_through.isoformat(),
        "days": len(days),
        "trading_days": int((days["orders"] > 0).sum()),
        "best_day": {"date": best["date"].date().isoformat()}
        | {name: int(best[name]) for name in ("gross_sales", "returns", "orders", "units", "customers")},
        "new_customers_total": int(days["new_customers"].sum()),
        "first_day_kpis": {name: int(first[name]) for name in ("gross_sales", "orders", "customers", "new_customers")},
        "products": len(products),
        "top5": products.head(5)[["sku", "gross_sales", "units", "orders"]].to_numpy().tolist(),
        "abc": products["abc_class"].value_counts().sort_index().to_dict(),
        "rfm": {
            "customers": len(customers),
            "recency_sum": int(customers["recency_days"].sum()),
            "frequency_sum": int(customers["frequency"].sum()),
            "monetary_sum": int(customers["monetary"].sum()),
            "r": histogram("r_score"),
            "f": histogram("f_score"),
            "m": histogram("m_score"),
            "score_sha256": hashlib.sha256(scores.encode()).hexdigest(),
        },
        "exact_duplicates": manifest.source.duplicate_rows,
    }


def test_every_golden_figure_of_the_real_shop_is_met_exactly(real_figures, real_sales):
    golden = json.loads(real_sales.with_name("online_retail.golden.json").read_text())
    assert real_figures == golden
