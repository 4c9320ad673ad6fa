"""Each page, run whole over a real snapshot: what a visitor reads, whatever the address says and the store does."""

import csv
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from dashboard import data
from etl.contract import ARTIFACTS, METADATA
from ops.settings import DashboardSettings, Settings

FIRST, DAYS = date(2023, 1, 2), 420
HEADER = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")


def sales(days: int) -> Iterator[tuple[object, ...]]:
    """Two orders of two lines a day but on Sundays, and a return every tenth day."""
    for day in range(days):
        at = FIRST + timedelta(days=day)
        if at.weekday() == 6:
            continue
        for order in range(2):
            customer = 100 + (day * 7 + order * 3) % 37
            for line in range(2):
                sku = (day + order * 5 + line * 11) % 23
                price = f"{2 + sku}.{sku:02d}"
                yield (
                    f"5{day:04d}{order}",
                    f"P{sku}",
                    f"PRODUCT {sku}",
                    3 + line,
                    f"{at} 10:00:00",
                    price,
                    customer,
                    "UK",
                )
        if day % 10 == 0:
            yield f"C{day:05d}", "P1", "PRODUCT 1", -1, f"{at} 11:00:00", "3.01", 100, "UK"


def snapshot(directory: Path, lines: Iterable[tuple[object, ...]]) -> Path:
    source = directory / "sales.csv"
    with source.open("w", newline="") as out:
        csv.writer(out).writerows([HEADER, *lines])
    out = directory / "snapshot"
    subprocess.run([sys.executable, "-m", "etl", "--source", source, "--out", out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot(tmp_path_factory.mktemp("shop"), sales(DAYS))


@pytest.fixture(autouse=True)
def _no_holder_is_left() -> Iterator[None]:
    yield
    data.stop_shared()


def _script(store: str) -> None:
    """What Streamlit runs."""
    from dashboard import app
    from ops.settings import DashboardSettings, Settings

    app.main(Settings(dashboard=DashboardSettings(store=store)))


def opened(store: Path, path: str = "", query: dict[str, list[str]] | None = None) -> AppTest:
    test = AppTest.from_function(_script, kwargs={"store": str(store)})
    if path:  # AppTest.switch_page knows pages that are files; ours are functions, known by the hash of their path
        test._page_hash = calc_hash(path)
    for name, values in (query or {}).items():
        test.query_params[name] = values
    return test.run(timeout=30)


def words(test: AppTest) -> str:
    kinds = (test.title, test.markdown, test.caption, test.info, test.warning, test.error)
    return "\n".join(str(element.value) for elements in kinds for element in elements)


def cards(test: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in test.metric}


PAGES = [
    ("", "How is the shop doing?", 8, 7),
    ("products", "Which products", 4, 4),
    ("customers", "Who are", 4, 4),
    ("quality", "Can these numbers be trusted?", 5, 1),
    ("operations", "Do the numbers arrive", 6, 0),
]
NAMES = [path or "overview" for path, *_ in PAGES]


@pytest.mark.parametrize(("path", "question", "metrics", "charts"), PAGES, ids=NAMES)
def test_each_page_asks_its_question_and_answers_it_in_full(
    shop: Path, path: str, question: str, metrics: int, charts: int
):
    test = opened(shop, path)
    assert not test.exception
    assert not test.error
    assert test.title[0].value.startswith(question)
    assert (len(test.metric), len(test.get("plotly_chart"))) == (metrics, charts)
    assert "Data through 24 Feb 2024" in words(test)


def test_the_cards_show_what_the_daily_table_adds_up_to(shop: Path):
    daily = pd.read_csv(shop / "daily_kpis.csv", parse_dates=["date"])
    now, before = daily.iloc[-28:], daily.iloc[-56:-28]
    change = now["net_sales"].sum() / before["net_sales"].sum() - 1
    shown = cards(opened(shop))
    assert shown["Net sales"] == (f"£{now['net_sales'].sum():,.0f}", f"{change * 100:+.1f} %")
    assert shown["Orders"] == (f"{now['orders'].sum()}", "0.0 %")
    assert shown["Average order"][0] == f"£{now['gross_sales'].sum() / now['orders'].sum():.2f}"
    cancelled = now["cancellations"].sum()
    assert shown["Cancellation rate"][0] == f"{cancelled / (cancelled + now['orders'].sum()) * 100:.1f} %"


def test_an_address_reproduces_its_view(shop: Path):
    test = opened(shop, query={"period": ["Custom"], "days": ["2023-03-01", "2023-03-07"], "compare": ["off"]})
    assert "**1 Mar \N{EN DASH} 7 Mar 2023**" in words(test)
    assert {delta for _, delta in cards(test).values()} == {""}
    ranked = opened(shop, "products", {"by": ["Units"], "show": ["10"]})
    assert "**The 10 best by units**" in words(ranked)


def test_a_comparison_outside_the_data_says_why_once_and_marks_no_card(shop: Path):
    test = opened(shop, query={"period": ["All"], "compare": ["last year"]})
    assert {delta for _, delta in cards(test).values()} == {""}
    assert {metric.proto.delta_description for metric in test.metric} == {""}
    assert "the data does not hold every day of the year before" in words(test)


def test_an_address_of_one_date_is_that_day(shop: Path):
    for dates in (["2023-03-01"], ["2023-03-01", "2023-03-01"]):
        test = opened(shop, query={"period": ["Custom"], "days": dates})
        assert "**1 Mar 2023** compared with 28 Feb 2023" in words(test)


@pytest.mark.parametrize("preset", ["all", "ALL", "aLL"])
def test_an_address_may_spell_a_preset_and_a_comparison_in_any_case(shop: Path, preset: str):
    test = opened(shop, query={"period": [preset], "compare": ["OFF"]})
    assert not test.exception
    assert "**2 Jan 2023 \N{EN DASH} 24 Feb 2024**" in words(test)
    assert test.query_params["period"] == "All"
    assert test.query_params["compare"] == "off"


def calendar(test: AppTest) -> str:
    return next(element.proto.body for element in test.get("html") if 'class="cal"' in element.proto.body)


@pytest.mark.parametrize(("written", "measure"), [("Orders", "Orders"), ("returns", "Returns"), ("none", "Net sales")])
def test_the_calendar_shades_the_days_by_what_the_address_names(shop: Path, written: str, measure: str):
    test = opened(shop, query={"shade": [written], "period": ["All"]})
    assert not test.exception
    assert f'aria-label="{measure} of each day, 2 Jan 2023' in calendar(test)


def test_the_calendar_of_a_short_period_shows_its_year_and_which_days_are_outside(shop: Path):
    markup = calendar(opened(shop, query={"period": ["7d"]}))
    assert markup.count("data-d=") == 55  # of 2024, to 24 February
    assert markup.count(' out"') + markup.count(" out w") == 55 - 7 + 1  # and the one of the legend


def test_the_best_and_the_worst_days_are_told_with_reasons_and_closed_days_are_counted(tmp_path: Path):
    lines = [
        *[(f"5{n}", "P1", "MUG", 10, f"2024-01-{n:02d} 10:00:00", "2.00", 7, "UK") for n in range(1, 21) if n != 9],
        ("600", "P1", "MUG", 900, "2024-01-15 10:00:00", "2.00", 7, "UK"),
        ("C600", "P1", "MUG", -900, "2024-01-15 12:00:00", "2.00", 7, "UK"),
    ]
    test = opened(snapshot(tmp_path, lines))
    assert "Would be among the best, but for their returns" in words(test)
    assert "**Mon 15 Jan 2024** \N{MIDDLE DOT} £20.00" in words(test)
    assert "Returns of £1,800 cancelled 98.9 % of £1,820 sold that day" in words(test)
    assert "Without 1 day on which nothing was sold." in words(test)


def test_each_page_brings_its_style_for_paper(shop: Path):
    for path, *_ in PAGES:
        assert any("@media print" in element.proto.body for element in opened(shop, path).get("html")), path


ODD = [
    {"shade": ["x"], "length": ["9 months"], "against": [""], "q": ["(((", "b"], "target": ["\x00"]},
    {"shade": ["ORDERS"], "length": ["1 MONTH"], "against": ["LAST YEAR"], "q": ["x" * 5000]},
    {"period": ["nonsense"]},
    {"period": [""]},
    {"period": ["28D"]},
    {"period": ["all"]},
    {"period": ["CUSTOM"], "days": ["2023-03-01"], "compare": ["Last Year"]},
    {"period": ["all", "all"]},
    {"period": ["7d", "90d"]},
    {"period": ["\x00"]},
    {"period": ["\N{PILE OF POO}" * 500]},
    {"period": ["<script>alert(1)</script>"]},
    {"period": ["' OR 1=1 --"]},
    {"period": ["../../etc/passwd"]},
    {"period": ["-1"]},
    {"period": ["NaN"]},
    {"compare": [""]},
    {"compare": ["yesterday"]},
    {"compare": ["off", "previous"]},
    {"period": ["Custom"]},
    {"period": ["Custom"], "days": [""]},
    {"period": ["Custom"], "days": ["", ""]},
    {"period": ["Custom"], "days": ["2023-02-30"]},
    {"period": ["Custom"], "days": ["2023-03-01"]},
    {"period": ["Custom"], "days": ["2023-03-09", "2023-03-01"]},
    {"period": ["Custom"], "days": ["1066-10-14", "1066-10-15"]},
    {"period": ["Custom"], "days": ["0001-01-01", "9999-12-31"]},
    {"period": ["Custom"], "days": ["2023-03-01", "2023-03-02", "2023-03-03"]},
    {"period": ["Custom"], "days": ["today"]},
    {"period": ["Custom"], "days": ["1e9", "2e9"]},
    {"shade": [""]},
    {"shade": ["RETURNS", "Orders"]},
    {"by": [""], "show": [""], "map": [""]},
    {"by": ["price"], "show": ["1000000"], "map": ["x"]},
    {"show": ["ten"]},
    {"show": ["10.0"]},
    {"unknown": ["value"], "PERIOD": ["7d"]},
]


@pytest.mark.parametrize("path", [path for path, *_ in PAGES], ids=NAMES)
def test_whatever_the_address_says_the_page_is_whole(shop: Path, path: str):
    for query in ODD:
        test = opened(shop, path, query)
        assert not test.exception, query
        assert len(test.metric) >= 4, query


def test_a_shop_of_one_day_is_shown_whole(tmp_path: Path):
    store = snapshot(tmp_path, sales(1))
    for path, _, metrics, _ in PAGES:
        test = opened(store, path)
        assert not test.exception
        assert len(test.metric) == metrics
    assert "This shows from the second month of data on." in words(opened(store, "customers"))


def test_a_card_with_nothing_to_draw_says_so_in_a_sentence(tmp_path: Path):
    lines = [(n, "P1", "MUG", 1, f"2024-01-0{n} 10:00:00", "2.00", "", "UK") for n in range(1, 5)]
    store = snapshot(tmp_path, lines)
    overview = opened(store)
    assert [said.value for said in overview.info] == ["No order of these days names its customer."] * 2
    assert len(overview.get("plotly_chart")) == 5
    products = opened(store, "products")
    assert [said.value.partition(":")[0] for said in products.info] == [
        "Nothing came back.",
        "The data does not hold all of these months and of those before them",
    ]
    assert "**The products with the most returns**" in words(products)


def test_a_ranking_is_named_for_as_many_products_as_it_has(tmp_path: Path):
    titles = words(opened(snapshot(tmp_path, sales(2)), "products"))
    assert "**The 8 best by net sales**" in titles
    assert "**The 1 with the most returns**" in titles


@pytest.mark.parametrize("path", [path for path, *_ in PAGES], ids=NAMES)
def test_before_anything_is_published_the_page_says_what_to_do(tmp_path: Path, path: str):
    test = opened(tmp_path, path)
    assert not test.exception
    assert not test.error
    assert "No numbers yet" in test.info[0].value
    assert "fab etl-sync" in test.info[0].value


def test_a_broken_manifest_is_told_in_plain_words(tmp_path: Path):
    (tmp_path / METADATA).write_text("{}")
    test = opened(tmp_path)
    assert not test.exception
    assert "The numbers cannot be read" in test.error[0].value
    assert "To do: run `fab etl` or `fab etl-sync` again." in words(test)


def test_a_store_that_breaks_keeps_its_last_good_numbers_with_a_warning_and_no_error(tmp_path: Path):
    store = snapshot(tmp_path, sales(3))
    shown = cards(opened(store))
    (store / METADATA).write_text("half a ma")
    data.shared(str(store), DashboardSettings().refresh_s).refresh()
    test = opened(store)
    assert cards(test) == shown
    assert not test.error
    assert "These are the last good numbers" in test.warning[0].value


def test_drawing_every_page_changes_no_shared_frame(shop: Path):
    snapshot_shown = data.shared(str(shop), Settings().dashboard.refresh_s).state(wait_s=20).snapshot
    assert snapshot_shown is not None

    def prints() -> list[int]:
        return [int(pd.util.hash_pandas_object(frame).sum()) for frame in snapshot_shown.frames.values()]

    before = prints()
    for path, *_ in PAGES:
        opened(shop, path, {"period": ["All"], "show": ["25"], "map": ["Sales"]})
    assert prints() == before
    assert set(snapshot_shown.frames) <= set(ARTIFACTS)


def test_a_product_in_the_address_has_a_page_of_its_own(shop: Path):
    test = opened(shop, "products", {"sku": ["P1"], "by": ["Units"]})
    assert not test.exception
    assert "SKU `P1`" in words(test)
    assert set(cards(test)) >= {"Net sales", "Return rate", "First sold", "Last sold"}
    assert len(test.get("plotly_chart")) == 1
    test.button[0].click().run()
    assert "**All products**" in words(test)
    assert "sku" not in test.query_params


@pytest.mark.parametrize("sku", ["", "nobody's", "\x00", "%", "p1", "x" * 5000, "`**<b>"])
def test_a_product_that_was_never_sold_is_told_in_a_sentence(shop: Path, sku: str):
    test = opened(shop, "products", {"sku": [sku]})
    assert not test.exception
    assert [said.value for said in test.info] == ["No product of this SKU has been sold in this data."]


def test_a_search_leaves_the_products_that_have_the_words(shop: Path):
    test = opened(shop, "products", {"q": ["PRODUCT 22"]})
    assert list(test.dataframe[-1].value["sku"]) == ["P22"]
    none = opened(shop, "products", {"q": ["nothing like that"]})
    assert "No product's name or SKU has that in it." in [said.value for said in none.info]
