"""What holds for every shop: no line is lost, sums agree, each customer is told once, the order of lines is nothing."""

import csv
import hashlib
import itertools
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.kpis import SEGMENTS
from etl.layouts import ONLINE_RETAIL
from etl.run import Job, run
from etl.sample import HEADER

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
FIRST_DAY = datetime(2026, 1, 25)
GOOD = ("1", "A1", "LAMP", "3", "2026-02-10 12:00:00", "2.50", "7", "UK")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

# A cell is broken once in a while: most lines are to count.
invoices = st.sampled_from([*map(str, range(1, 9)), *map(str, range(1, 9)), "C9", "c9", "C10", " 3 ", "A11", ""])
skus = st.sampled_from(["A1", "A1", "B2", "b2", "C3P", "D4", "E5", "POST", "M", "gift", " D4 ", ""])
descriptions = st.sampled_from(["LAMP", "VASE", "Tray, oak", 'Jar "blue"', ""])
quantities = st.one_of(
    st.integers(1, 12).map(str),
    st.integers(1, 12).map(str),
    st.sampled_from(["-1", "-7", "0", "2.5", "n/a", "", "6.0"]),
)
moments = st.one_of(
    st.integers(0, 60 * 24).map(lambda hours: str(FIRST_DAY + timedelta(hours=hours))),
    st.integers(0, 60).map(lambda days: f"{FIRST_DAY + timedelta(days=days):%Y-%m-%d}"),
    st.sampled_from(["2026-02-28 23:59:00", "2026-03-01 00:00:00", "2026-02-30", "yesterday", ""]),
)
prices = st.sampled_from(["2.50", "10", "0.001", "99.99", "4.2549", "1e2", "2.50", "10", "0", "0.0", "-1", "n/a"])
customers = st.sampled_from(["", "", *(str(number) for number in range(7, 19)), "7.0", "12.0"])
countries = st.sampled_from(["UK", "UK", "FR", "DE", ""])
lines = st.tuples(invoices, skus, descriptions, quantities, moments, prices, customers, countries)
shops = st.lists(lines, min_size=9, max_size=59).map(lambda others: [GOOD, *others])
flags = st.booleans()


def with_examples(count):
    """No time limit for one of them, and the same ones every time."""
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW)


class Computed:
    """The snapshot of a shop whose lines lie in one file or in several: manifest, rows, and the hash of each file."""

    def __init__(self, *files, drop_duplicates=False):
        with tempfile.TemporaryDirectory(prefix="kpi-shop-") as name:
            place, out = Path(name), Path(name, "out")
            out.mkdir()
            paths = [written(place / f"{number}.csv", rows) for number, rows in enumerate(files)]
            job = Job(ONLINE_RETAIL, "GBP", NOW, "test", drop_duplicates=drop_duplicates)
            self.manifest = run(paths, job, out)
            self.rows = {path.stem: pq.read_table(path).to_pylist() for path in out.glob("*.parquet")}
            self.hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}

    def total(self, artifact, column):
        return sum(row[column] for row in self.rows[artifact])


def written(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


@with_examples(24)
@given(shops)
def test_in_every_shop_no_line_is_lost_and_days_products_months_and_customers_agree(shop):
    computed = Computed(shop)
    no_line_is_lost(computed, shop)
    days_add_up(computed)
    products_add_up(computed)
    every_customer_with_an_order_is_told_once(computed)
    scores_follow_what_they_score(computed)
    cohorts_hold_every_customer(computed)


def no_line_is_lost(computed, shop):
    manifest = computed.manifest
    assert manifest.rows_in == len(shop)
    assert manifest.rows_in == manifest.rows_kept + sum(manifest.quarantine.values())
    assert len(computed.rows["sample_kpis"]) == manifest.rows_kept
    assert len(computed.rows["quarantine"]) == sum(manifest.quarantine.values())


def days_add_up(computed):
    days = computed.rows["daily_kpis"]
    for day in days:
        assert day["net_sales"] == day["gross_sales"] - day["returns"]
        assert day["net_sales"] + day["other_charges"] == day["total_sales"]
        assert day["new_customers"] + day["returning_customers"] == day["customers"] <= day["orders"] * 60
    assert all(after["date"] - before["date"] == timedelta(days=1) for before, after in itertools.pairwise(days))
    assert (days[0]["date"], days[-1]["date"]) == (computed.manifest.data_from, computed.manifest.data_through)
    assert computed.total("daily_kpis", "total_sales") == computed.total("sample_kpis", "amount")


def products_add_up(computed):
    for column in ("gross_sales", "returns", "net_sales", "units"):
        assert computed.total("daily_kpis", column) == computed.total("product_months", column), column
    columns = ("gross_sales", "returns", "net_sales", "units", "orders")
    of_months = defaultdict(lambda: [0] * len(columns))
    for row in computed.rows["product_months"]:
        of_months[row["sku"]] = [sum(pair) for pair in zip(of_months[row["sku"]], map(row.get, columns), strict=True)]
    sold = {row["sku"]: [row[column] for column in columns] for row in computed.rows["top_products"]}
    assert sold == {sku: sums for sku, sums in of_months.items() if sums[-1]}  # the others only came back
    assert computed.total("top_products", "gross_sales") == computed.total("daily_kpis", "gross_sales")


def every_customer_with_an_order_is_told_once(computed):
    orders, spent = defaultdict(set), defaultdict(int)
    for line in computed.rows["sample_kpis"]:
        if line["customer_id"] is not None and not line["service"]:
            spent[line["customer_id"]] += line["amount"]
            if line["kind"] == "sale":
                orders[line["customer_id"]].add(line["invoice"])
    told = [(row["customer_id"], row["frequency"], row["monetary"]) for row in computed.rows["rfm"]]
    assert told == [(customer, len(orders[customer]), spent[customer]) for customer in sorted(orders)]
    for row in computed.rows["rfm"]:
        assert row["segment"] in {name for _, _, name in SEGMENTS}
        assert row["rfm"] == f"{row['r_score']}{row['f_score']}{row['m_score']}"
        assert row["recency_days"] == (computed.manifest.data_through - row["last_order"]).days + 1 >= 1


def scores_follow_what_they_score(computed):
    by_score = {
        "r_score": lambda row: -row["recency_days"],
        "f_score": lambda row: row["frequency"],
        "m_score": lambda row: row["monetary"],
    }
    for name, worth in by_score.items():
        for one, other in itertools.combinations(sorted(computed.rows["rfm"], key=worth), 2):
            assert one[name] <= other[name], name
            assert (one[name] == other[name]) or (worth(one) != worth(other)), name


def cohorts_hold_every_customer(computed):
    first = [row for row in computed.rows["cohorts"] if row["months_since"] == 0]
    assert sum(row["customers"] for row in first) == len(computed.rows["rfm"])
    assert all(row["active"] == row["customers"] for row in first)


@with_examples(10)
@given(shops, st.randoms(use_true_random=False), flags)
def test_shuffled_lines_give_the_same_bytes(shop, random, drop_duplicates):
    shuffled = random.sample(shop, len(shop))
    expected = Computed(shop, drop_duplicates=drop_duplicates)
    found = Computed(shuffled, drop_duplicates=drop_duplicates)
    assert found.hashes == expected.hashes
    assert found.manifest.artifacts == expected.manifest.artifacts


def held(computed):
    """What is in quarantine, whichever file it came from."""
    return Counter(tuple({**row, "source_file": ""}.values()) for row in computed.rows["quarantine"])


@with_examples(8)
@given(shops, st.sets(st.sampled_from("12345678"), min_size=1, max_size=7))
def test_invoices_spread_over_two_files_give_the_same_artifacts(shop, elsewhere):
    there = [line for line in shop if line[0].strip() in elsewhere]
    here = [line for line in shop if line[0].strip() not in elsewhere]
    expected, found = Computed(shop), Computed(there, here)
    assert found.manifest.artifacts == expected.manifest.artifacts
    assert found.manifest.quarantine == expected.manifest.quarantine
    assert found.manifest.source.overlap_rows == 0
    assert held(found) == held(expected)


@with_examples(10)
@given(
    shops,
    st.lists(st.tuples(st.sampled_from(["A1", "B2", "NEW1", "POST"]), st.integers(1, 50)), min_size=1, max_size=5),
    st.sampled_from(["", "7", "99"]),
    st.dates(date(2026, 1, 20), date(2026, 4, 1)),
    st.integers(0, 30),
)
def test_an_invoice_and_its_full_cancellation_leave_net_sales_as_they_were(shop, basket, customer, day, days_later):
    bought = [("77", sku, "LAMP", str(count), str(day), "2.50", customer, "UK") for sku, count in basket]
    came_back = [
        (f"C{invoice}", sku, name, f"-{count}", str(day + timedelta(days=days_later)), *rest)
        for invoice, sku, name, count, _, *rest in bought
    ]
    before, after = Computed(shop), Computed([*shop, *bought, *came_back])
    for column in ("net_sales", "other_charges", "total_sales"):
        assert after.total("daily_kpis", column) == before.total("daily_kpis", column), column
    products = 2500 * sum(count for sku, count in basket if sku != "POST")
    for column in ("gross_sales", "returns"):
        assert after.total("daily_kpis", column) == before.total("daily_kpis", column) + products, column
    assert after.total("daily_kpis", "orders") == before.total("daily_kpis", "orders") + bool(products)
    assert after.total("daily_kpis", "cancellations") == before.total("daily_kpis", "cancellations") + 1
