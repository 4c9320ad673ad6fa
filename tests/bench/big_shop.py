"""A published snapshot of a made-up shop of 10 years and 300,000 customers, without the sales it would come from."""

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from etl.contract import (
    ARTIFACTS,
    SCHEMA_VERSION,
    Artifact,
    ArtifactFile,
    Manifest,
    Source,
    SourceFile,
    columns_of,
    run_id,
)
from etl.kpis import SEGMENTS
from etl.store import DirectoryStore, sha256

ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


class BigShop:
    """The frames of it, each by the name of its artifact."""

    def __init__(self, last=date(2026, 11, 21), *, years=10, customers=300_000, products=6_000, seed=8):
        self.first, self.last = last.replace(year=last.year - years) + timedelta(days=1), last
        self._customers, self._products = customers, products
        self._rng = np.random.default_rng(seed)
        self._days = pd.date_range(self.first, last)

    def daily_kpis(self):
        days, rng = len(self._days), self._rng
        season = 1 + 0.4 * np.sin(2 * np.pi * self._days.day_of_year.to_numpy() / 365)
        orders = rng.poisson(300 * season) * (self._days.day_of_week != 6)
        gross = orders * rng.integers(30_000, 50_000, days)
        returned = (gross * rng.beta(1, 30, days)).astype("int64")
        customers = (orders * 0.9).astype("int64")
        new = (customers * 0.3).astype("int64")
        cancelled = (orders * rng.beta(1, 40, days)).astype("int64")
        with np.errstate(invalid="ignore", divide="ignore"):
            rate, aov = cancelled / (cancelled + orders), gross / orders
        return pd.DataFrame(
            {
                "date": self._days,
                "gross_sales": gross,
                "returns": returned,
                "net_sales": gross - returned,
                "other_charges": orders * 100,
                "total_sales": gross - returned + orders * 100,
                "orders": orders,
                "units": orders * 7,
                "customers": customers,
                "new_customers": new,
                "returning_customers": customers - new,
                "cancellations": cancelled,
                "cancellation_rate": rate,
                "aov": aov,
            }
        )

    def top_products(self):
        count = self._products
        gross = np.sort((self._rng.pareto(1.2, count) + 1) * 1_000_000).astype("int64")[::-1]
        returned = (gross * self._rng.beta(1, 30, count)).astype("int64")
        net = gross - returned
        cumulative = gross.cumsum() / gross.sum()
        return pd.DataFrame(
            {
                "rank": np.arange(1, count + 1),
                "sku": [f"P{number:05d}" for number in range(count)],
                "description": [f"PRODUCT OF A LONG NAME {number}" for number in range(count)],
                "gross_sales": gross,
                "returns": returned,
                "net_sales": net,
                "units": gross // 2_000,
                "orders": gross // 20_000 + 1,
                "customers": gross // 40_000 + 1,
                "first_sold": self._some_days(count, 0, 1_000),
                "last_sold": self._some_days(count, 2_000, len(self._days)),
                "share": gross / gross.sum(),
                "cumulative_share": cumulative,
                "abc_class": np.where(cumulative <= 0.8, "A", np.where(cumulative <= 0.95, "B", "C")),
            }
        )

    def product_months(self):
        months = pd.date_range(self.first.replace(day=1), self.last, freq="MS")
        skus = [f"P{number:05d}" for number in range(self._products)]
        index = pd.MultiIndex.from_product([skus, months], names=["sku", "month"])
        gross = self._rng.integers(0, 500_000, len(index))
        returned = gross // 30
        frame = pd.DataFrame(
            {
                "gross_sales": gross,
                "returns": returned,
                "net_sales": gross - returned,
                "units": gross // 2_000,
                "orders": gross // 20_000,
            },
            index=index,
        ).reset_index()
        return frame[self._rng.random(len(frame)) < 0.4]  # not every product sells in every month

    def rfm(self):
        count, rng = self._customers, self._rng
        first = rng.integers(0, len(self._days), count)
        last = first + ((len(self._days) - 1 - first) * rng.beta(0.5, 1.5, count)).astype("int64")
        scores = rng.integers(1, 6, (count, 3))
        return pd.DataFrame(
            {
                "customer_id": [f"{number:06d}" for number in range(count)],
                "country": rng.choice(["United Kingdom", "Germany", "France", "EIRE", "Spain"], count),
                "first_order": self._days[first],
                "last_order": self._days[last],
                "recency_days": len(self._days) - 1 - last,
                "frequency": rng.geometric(0.3, count),
                "monetary": (rng.pareto(1.5, count) * 100_000).astype("int64"),
                "r_score": scores[:, 0],
                "f_score": scores[:, 1],
                "m_score": scores[:, 2],
                "rfm": ["".join(map(str, row)) for row in scores.tolist()],
                "segment": np.select(
                    [(scores[:, 0] >= r) & (scores[:, 1] >= f) for r, f, _ in SEGMENTS],
                    [name for *_, name in SEGMENTS],
                    "",
                ),
            }
        )

    def cohorts(self):
        months = pd.date_range(self.first.replace(day=1), self.last, freq="MS")
        rows = [(first, since) for place, first in enumerate(months) for since in range(len(months) - place)]
        since = np.array([each for _, each in rows])
        customers = np.full(len(rows), self._customers // len(months))
        active = np.where(since == 0, customers, (customers * 0.3 * 0.98**since).astype("int64"))
        return pd.DataFrame(
            {
                "cohort_month": [first for first, _ in rows],
                "months_since": since,
                "customers": customers,
                "active": active,
                "retention": active / customers,
                "net_sales": active * 40_000,
            }
        )

    def sample_kpis(self):
        return pd.DataFrame(
            {
                "invoice": ["1"],
                "sku": ["P00000"],
                "description": ["PRODUCT OF A LONG NAME 0"],
                "quantity": [1],
                "at": [datetime.combine(self.first, datetime.min.time())],
                "unit_mills": [2_000],
                "customer_id": ["000000"],
                "country": ["United Kingdom"],
                "amount": [2_000],
                "kind": ["sale"],
                "service": [False],
            }
        )

    def _some_days(self, count, low, high):
        return self._days[self._rng.integers(low, high, count)]


def publish_big_shop(place, now=datetime(2026, 11, 22, 6, tzinfo=UTC), **wanted):
    """Put it into a directory as `fab etl` does; its manifest. An artifact that has no maker here is an error."""
    shop, store = BigShop(**wanted), DirectoryStore(Path(place))
    with store.staging() as staged:
        artifacts = {name: _written(name, getattr(shop, name)(), staged) for name in ARTIFACTS}
        return store.adopt(_manifest(shop, artifacts, now), staged)


def _written(name, frame, staged):
    schema = pa.schema([pa.field(each.name, ARROW[each.type]) for each in ARTIFACTS[name]])
    table = pa.Table.from_pandas(frame, schema, preserve_index=False)
    files = {}
    for fmt, write in (("parquet", _parquet), ("csv", pyarrow.csv.write_csv)):
        out = io.BytesIO()
        write(table, out)
        data = out.getvalue()
        (staged / f"{name}.{fmt}").write_bytes(data)
        files[fmt] = ArtifactFile(key=f"{name}.{fmt}", sha256=sha256(data), bytes=len(data), rows=len(frame))
    return Artifact(columns=columns_of(name), **files)


def _parquet(table, out):
    pyarrow.parquet.write_table(table, out, compression="zstd")


def _manifest(shop, artifacts, now):
    lines = 4_000_000
    return Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=run_id(now, artifacts),
        generated_at=now,
        data_from=shop.first,
        data_through=shop.last,
        currency="GBP",
        source=Source(
            layout="online_retail",
            files=(SourceFile(name="made-up.csv", sha256="0" * 64, rows=lines),),
            overlap_rows=0,
            duplicate_rows=0,
            duplicates_dropped=False,
        ),
        code_version="bench",
        quarantine={},
        rows_in=lines,
        rows_kept=lines,
        artifacts=artifacts,
    )
