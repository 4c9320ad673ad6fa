"""The KPI definitions a second time, in pandas and from the contract alone: shares no code with etl/.

For Online Retail files in CSV whose cells are well formed or plainly not (no odd numbers, no offsets). It is also the
honest baseline of the benchmark: vectorised, the C reader, one pass of cleaning, no loop over rows.

    python tests/pandas_reference.py SOURCE OUT     writes the same artifacts, for timing
"""

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

SERVICE = {
    *("POST", "DOT", "M", "D", "S", "B", "C2", "C3", "CRUK", "PADS", "AMAZONFEE", "BANK CHARGES"),
    *("ADJUST", "ADJUST2", "SP1002", "TEST001", "TEST002", "GIFT"),
}
SEGMENT_OF = {  # (recency score, frequency score) -> name, all 25 pairs written out
    **{(5, f): "Champions" for f in (4, 5)},
    **{(r, f): "Loyal" for r in (3, 4) for f in (4, 5)},
    **{(r, f): "Potential loyalists" for r in (4, 5) for f in (2, 3)},
    (5, 1): "New",
    (4, 1): "Promising",
    (3, 3): "Need attention",
    **{(3, f): "About to sleep" for f in (1, 2)},
    **{(r, 5): "Cannot lose" for r in (1, 2)},
    **{(r, f): "At risk" for r in (1, 2) for f in (3, 4)},
    **{(r, f): "Hibernating" for r in (1, 2) for f in (1, 2)},
}


def read(path):
    """Canonical lines with a `reason` column."""
    if str(path).endswith(".parquet"):
        raw = pd.read_parquet(path)
    else:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    lines = pd.DataFrame(
        {
            "invoice": raw["InvoiceNo"].str.strip().str.upper(),
            "sku": raw["StockCode"].str.strip().str.upper(),
            "description": raw["Description"].where(raw["Description"].str.strip() != ""),
            "quantity": pd.to_numeric(raw["Quantity"], errors="coerce"),
            "at": pd.to_datetime(raw["InvoiceDate"], errors="coerce", format="%Y-%m-%d %H:%M:%S"),
            "price": pd.to_numeric(raw["UnitPrice"], errors="coerce"),
            "customer_id": raw["CustomerID"].str.strip().str.removesuffix(".0"),
            "country": raw["Country"].str.strip(),
        }
    )
    bad = lines[["invoice", "sku", "quantity", "at", "price"]].isna().any(axis=1) | (lines["quantity"] % 1 != 0)
    lines["unit_mills"] = (lines.pop("price") * 1000).round()
    lines["reason"] = np.select(
        [
            bad,
            lines["invoice"].str.startswith("A").fillna(value=False).astype(bool),
            lines["description"].isna() & (lines["unit_mills"] == 0),
            lines["unit_mills"] <= 0,
            lines["quantity"] == 0,
        ],
        ["malformed", "bad_debt", "stock_adjustment", "non_positive_price", "zero_quantity"],
        default="",
    )
    return lines


def kept_lines(lines):
    """Kept lines with amount, kinds and the day of their invoice."""
    kept = lines[lines["reason"] == ""].drop(columns="reason")
    kept = kept.astype({"quantity": "int64", "unit_mills": "int64"})
    kept["amount"] = kept["quantity"] * kept["unit_mills"]
    kept["cancelled"] = kept["invoice"].str.startswith("C").astype(bool) | (kept["quantity"] < 0)
    kept["service"] = kept["sku"].isin(SERVICE)
    kept["day"] = kept.groupby("invoice")["at"].transform("min").dt.normalize()
    return kept


def daily_kpis(kept):
    """See the contract."""
    sales = kept[~kept["cancelled"] & ~kept["service"]]
    known = sales.dropna(subset=["customer_id"])
    first = known.groupby("customer_id")["day"].min()
    days = pd.DataFrame(index=pd.date_range(kept["day"].min(), kept["day"].max(), freq="D", name="date"))
    days["gross_sales"] = sales.groupby("day")["amount"].sum()
    days["returns"] = -kept[kept["cancelled"] & ~kept["service"]].groupby("day")["amount"].sum()
    days["other_charges"] = kept[kept["service"]].groupby("day")["amount"].sum()
    days["orders"] = sales.groupby("day")["invoice"].nunique()
    days["units"] = sales.groupby("day")["quantity"].sum()
    days["customers"] = known.groupby("day")["customer_id"].nunique()
    days["new_customers"] = first.value_counts()
    days["cancellations"] = kept[kept["cancelled"]].groupby("day")["invoice"].nunique()
    days = days.fillna(0).astype("int64")
    days["net_sales"] = days["gross_sales"] - days["returns"]
    days["total_sales"] = days["net_sales"] + days["other_charges"]
    days["returning_customers"] = days["customers"] - days["new_customers"]
    tried = days["orders"] + days["cancellations"]
    days["cancellation_rate"] = days["cancellations"] / tried.where(tried > 0)
    days["aov"] = days["gross_sales"] / days["orders"].where(days["orders"] > 0)
    order = "date gross_sales returns net_sales other_charges total_sales orders units customers new_customers "
    order += "returning_customers cancellations cancellation_rate aov"
    return days.reset_index()[order.split()]


def most_frequent(lines, key, value):
    """Per key the value on most lines, ties by the alphabet."""
    counted = lines.groupby([key, value]).size().rename("n").reset_index()
    best = counted.sort_values([key, "n", value], ascending=[True, False, True], kind="stable")
    return best.drop_duplicates(key).set_index(key)[value]


def top_products(kept):
    """See the contract."""
    products = kept[~kept["service"]]
    sales = products[~products["cancelled"]]
    by_sku = sales.groupby("sku")
    table = by_sku.agg(
        gross_sales=("amount", "sum"),
        units=("quantity", "sum"),
        orders=("invoice", "nunique"),
        customers=("customer_id", "nunique"),
        first_sold=("day", "min"),
        last_sold=("day", "max"),
    )
    table["returns"] = -products[products["cancelled"]].groupby("sku")["amount"].sum()
    table["returns"] = table["returns"].fillna(0).astype("int64")
    table["net_sales"] = table["gross_sales"] - table["returns"]
    table["description"] = most_frequent(sales, "sku", "description")
    table = table.reset_index().sort_values(["gross_sales", "sku"], ascending=[False, True], ignore_index=True)
    total, running = table["gross_sales"].sum(), table["gross_sales"].cumsum()
    before = running - table["gross_sales"]
    table["rank"] = np.arange(1, len(table) + 1)
    table["share"] = table["gross_sales"] / total
    table["cumulative_share"] = running / total
    table["abc_class"] = np.select([before * 100 < total * 80, before * 100 < total * 95], ["A", "B"], default="C")
    order = "rank sku description gross_sales returns net_sales units orders customers first_sold last_sold share "
    order += "cumulative_share abc_class"
    return table[order.split()]


def rfm(kept):
    """See the contract."""
    known = kept.dropna(subset=["customer_id"])
    products = known[~known["service"]]
    sales = products[~products["cancelled"]]
    table = sales.groupby("customer_id").agg(
        first_order=("day", "min"), last_order=("day", "max"), frequency=("invoice", "nunique")
    )
    table["country"] = most_frequent(sales, "customer_id", "country")
    table["monetary"] = products.groupby("customer_id")["amount"].sum()
    table["recency_days"] = (kept["day"].max() - table["last_order"]).dt.days + 1
    scores = {"r_score": -table["recency_days"], "f_score": table["frequency"], "m_score": table["monetary"]}
    for name, goodness in scores.items():
        rank = goodness.rank(method="min").astype("int64")
        table[name] = (5 * (rank - 1)) // len(table) + 1
    table["rfm"] = table["r_score"].astype(str) + table["f_score"].astype(str) + table["m_score"].astype(str)
    pairs = pd.Series(list(zip(table["r_score"], table["f_score"], strict=True)), index=table.index)
    table["segment"] = pairs.map(SEGMENT_OF)
    order = "customer_id country first_order last_order recency_days frequency monetary r_score f_score m_score rfm "
    order += "segment"
    return table.reset_index().sort_values("customer_id", ignore_index=True)[order.split()]


def cohorts(kept):
    """See the contract."""
    products = kept[~kept["service"]].dropna(subset=["customer_id"])
    sales = products[~products["cancelled"]]
    first = sales.groupby("customer_id")["day"].min().dt.to_period("M")
    last_month = kept["day"].max().to_period("M")
    sizes = first.value_counts()
    rows = []
    placed = products[products["customer_id"].isin(first.index)]
    month = placed["day"].dt.to_period("M")
    placed = placed.assign(cohort=placed["customer_id"].map(first), month=month)
    net = placed.groupby(["cohort", "month"])["amount"].sum()
    active = placed[~placed["cancelled"]].groupby(["cohort", "month"])["customer_id"].nunique()
    for cohort in sorted(sizes.index):
        for since, month in enumerate(pd.period_range(cohort, last_month, freq="M")):
            seen = int(active.get((cohort, month), 0))
            rows.append(
                (
                    cohort.to_timestamp(),
                    since,
                    sizes[cohort],
                    seen,
                    seen / sizes[cohort],
                    int(net.get((cohort, month), 0)),
                )
            )
    return pd.DataFrame(rows, columns=["cohort_month", "months_since", "customers", "active", "retention", "net_sales"])


def product_months(kept):
    """See the contract."""
    products = kept[~kept["service"]]
    products = products.assign(month=products["day"].dt.to_period("M").dt.to_timestamp())
    keys = ["sku", "month"]
    table = pd.DataFrame(index=products.groupby(keys).size().index)
    sales = products[~products["cancelled"]].groupby(keys)
    table["gross_sales"] = sales["amount"].sum()
    table["returns"] = -products[products["cancelled"]].groupby(keys)["amount"].sum()
    table["units"] = sales["quantity"].sum()
    table["orders"] = sales["invoice"].nunique()
    table = table.fillna(0).astype("int64")
    table["net_sales"] = table["gross_sales"] - table["returns"]
    columns = "sku month gross_sales returns net_sales units orders"
    return table.reset_index().sort_values(keys, ignore_index=True)[columns.split()]


def sample_kpis(kept):
    """See the contract."""
    order = ["at", "invoice", "sku", "quantity", "unit_mills", "description", "customer_id", "country"]
    first = kept.sort_values(order, kind="stable").head(500).copy()
    first["kind"] = np.where(first["cancelled"], "cancellation", "sale")
    columns = "invoice sku description quantity at unit_mills customer_id country amount kind service"
    return first[columns.split()].reset_index(drop=True)


def artifacts(lines):
    """Artifact name -> frame."""
    kept = kept_lines(lines)
    return {make.__name__: make(kept) for make in (daily_kpis, top_products, rfm, cohorts, product_months, sample_kpis)}


def main(source, out):
    """Do all that the product does, in pandas: read, compute, count, write both formats and hash them."""
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    lines = read(source)
    counts = lines["reason"].value_counts().to_dict()
    duplicates = int(lines.duplicated().sum())
    Path(out).mkdir(parents=True, exist_ok=True)
    lines[lines["reason"] != ""].to_parquet(Path(out) / "quarantine.parquet")
    hashes = {}
    for name, frame in artifacts(lines).items():
        parquet = io.BytesIO()
        frame.to_parquet(parquet, compression="zstd")
        money = ["gross_sales", "returns", "net_sales", "other_charges", "total_sales", "monetary", "amount"]
        text = frame.assign(**{c: frame[c] / 1000 for c in money if c in frame}).to_csv(index=False).encode()
        for ending, data in {"parquet": parquet.getvalue(), "csv": text}.items():
            (Path(out) / f"{name}.{ending}").write_bytes(data)
            hashes[f"{name}.{ending}"] = hashlib.sha256(data).hexdigest()
    (Path(out) / "metadata.json").write_text(json.dumps([digest, counts, duplicates, hashes]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
