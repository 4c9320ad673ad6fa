"""The page of the products, over the whole data."""

from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, movers, product_charts, product_views
from dashboard import format as text
from dashboard.data import Snapshot
from dashboard.export import csv
from dashboard.pages import product
from dashboard.pages.cards import any_case, card, chart_card, fact

QUESTION = "Which products carry the shop, and which come back?"
MEASURES: dict[str, product_views.Measure] = {"Net sales": "net_sales", "Gross sales": "gross_sales", "Units": "units"}
NOTES: dict[product_views.Measure, str] = {
    "net_sales": "Sales minus returns of each product.",
    "gross_sales": "Sales of each product before returns.",
    "units": "Pieces sold of each product, before returns.",
}
NUMBERS = (10, 15, 25)
MONEY = ("gross_sales", "returns", "net_sales")
_AMOUNT = partial(st.column_config.NumberColumn, format="accounting")
_WHOLE = partial(st.column_config.NumberColumn, format="localized")
MOVERS_SHOWN = 8
MOVER_MONEY = ("net_sales", "net_sales_before", "change")
MOST_ROWS = 2_000
COLUMNS = {
    "link": st.column_config.LinkColumn("Page", display_text="Open", width=50, help="This product, month by month"),
    "rank": st.column_config.NumberColumn("Rank", width=50),
    "sku": st.column_config.TextColumn("SKU", width=75),
    "description": st.column_config.TextColumn("Product", width=260),
    "abc_class": st.column_config.TextColumn("Class", width=50),
    "net_sales": _AMOUNT("Net sales"),
    "gross_sales": _AMOUNT("Gross sales"),
    "returns": _AMOUNT("Returns"),
    "return_rate": st.column_config.NumberColumn("Returned", format="percent", help="Returns / gross sales"),
    "units": _WHOLE("Units"),
    "orders": _WHOLE("Orders"),
    "customers": _WHOLE("Customers"),
    "last_sold": st.column_config.DateColumn("Last sold", format="D MMM YYYY"),
}


def render(snapshot: Snapshot) -> None:
    """Draw the page; with a product in the address, that product's."""
    manifest = snapshot.manifest
    st.caption(f"**{text.span(manifest.data_from, manifest.data_through)}**, the whole data")
    if snapshot.products.empty:
        st.info("No product has been sold in this data.")
        return
    sku = st.query_params.get("sku")
    if sku is not None:
        product.render(snapshot, sku)
        return
    _facts(product_views.product_facts(snapshot.products))
    _rankings(snapshot)
    _movers(snapshot)
    chart_card(
        "How few products make how much",
        _pareto(manifest.run_id, snapshot),
        key="abc",
        note="A: the products that make the first 80 % of gross sales. B: up to 95 %. C: the rest.",
        file=partial(_abc_csv, snapshot),
    )
    _table(snapshot)


def _rankings(snapshot: Snapshot) -> None:
    by, number = _filters()
    figures = _figures(snapshot.manifest.run_id, by, number, snapshot)
    returned = len(product_views.most_returned(snapshot.products, number))
    with st.grid(2, min_column_width=320, gap="small"):
        chart_card(
            f"The {min(number, len(snapshot.products))} best by {_name(by).lower()}",
            figures["leaders"],
            key="products",
            note=NOTES[by],
            file=partial(_leaders_csv, snapshot, by, number),
        )
        chart_card(
            f"The {returned} with the most returns" if returned else "The products with the most returns",
            figures["returned"],
            key="returned-products",
            note="Returned value, and its share of the product's gross sales.",
            file=partial(_returned_csv, snapshot, number),
            instead="" if returned else "Nothing came back.",
        )


def _movers(snapshot: Snapshot) -> None:
    any_case("length", movers.LENGTHS)
    any_case("against", movers.AGAINST)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        length = st.segmented_control(
            "Movers of the last", movers.LENGTHS, default="3 months", required=True, key="length", bind="query-params"
        )
        against = st.segmented_control(
            "Against",
            movers.AGAINST,
            default="before",
            required=True,
            key="against",
            bind="query-params",
            help="Before: as many months just before. Last year: the same months, a year earlier.",
        )
    compared = _compared(snapshot, length or "3 months", against or "before")
    if compared is None or snapshot.product_months.empty:
        st.info(_why_no_movers(snapshot))
        return
    now, before = compared
    table, figure = _moved(snapshot.manifest.run_id, now, before, snapshot)
    ends = movers.ends(table, MOVERS_SHOWN)
    spans = f"{text.span(now.first, now.end)} against {text.span(before.first, before.end)}"
    chart_card(
        "Who gained, and who lost",
        figure,
        key="movers",
        note=f"Net sales of {spans}; whole months.",
        file=partial(csv, table, MOVER_MONEY),
        instead="" if len(ends) else "No product moved.",
    )


def _compared(
    snapshot: Snapshot, length: movers.Length, against: movers.Against
) -> tuple[movers.Months, movers.Months] | None:
    whole = movers.whole_months(snapshot.manifest.data_from, snapshot.manifest.data_through)
    return movers.compared(whole, length, against)


def _why_no_movers(snapshot: Snapshot) -> str:
    if snapshot.product_months.empty:
        return "Which products gain and lose shows once this release has published: `fab etl-sync`."
    return "The data does not hold all of these months and of those before them: choose fewer."


@st.cache_resource(max_entries=32, show_spinner=False)
def _moved(
    run_id: str,  # noqa: ARG001 - a key
    now: movers.Months,
    before: movers.Months,
    _snapshot: Snapshot,
) -> tuple[pd.DataFrame, go.Figure]:
    table = movers.movers(_snapshot.product_months, _snapshot.products, now, before)
    return table, product_charts.movers(movers.ends(table, MOVERS_SHOWN), _snapshot.manifest.currency)


def _facts(facts: product_views.ProductFacts) -> None:
    with st.grid(4, min_column_width=150, gap="small"):
        fact("Products sold", text.count_compact(facts.sold), "different articles", "Products with at least one sale.")
        fact(
            "Class A",
            text.count_compact(facts.a_products),
            f"{text.percent(facts.a_share_of_products)} of products",
            "The best sellers that make the first 80 % of gross sales.",
        )
        fact(
            "Ten best",
            text.percent(facts.top_ten_share_of_sales),
            "of gross sales",
            "The share of gross sales that the ten best sellers make.",
        )
        fact(
            "Return rate",
            text.percent(facts.return_rate),
            "of gross sales",
            "Value of returned products as a share of gross sales.",
        )


def _filters() -> tuple[product_views.Measure, int]:
    any_case("by", list(MEASURES))
    any_case("show", [str(number) for number in NUMBERS])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by = st.segmented_control(
            "Rank by", list(MEASURES), default="Net sales", required=True, key="by", bind="query-params"
        )
        number = st.segmented_control(
            "Show", NUMBERS, default=15, required=True, key="show", bind="query-params", help="Products in each ranking"
        )
    return MEASURES[by or "Net sales"], number or 15


def _name(by: product_views.Measure) -> str:
    return next(name for name, measure in MEASURES.items() if measure == by)


def _table(snapshot: Snapshot) -> None:
    with card("All products", key="all-products", file=partial(csv, snapshot.products, MONEY)):
        wanted = st.text_input(
            "Search",
            key="q",
            bind="query-params",
            placeholder="Part of a name or SKU",
            max_chars=100,
            label_visibility="collapsed",
        )
        found = product_views.found(_shown(snapshot.manifest.run_id, snapshot), wanted or "")
        if len(found) > MOST_ROWS or wanted:
            shown = f"; the first {MOST_ROWS:,} are shown, the file holds all" if len(found) > MOST_ROWS else ""
            st.caption(f"{text.count(len(found))} of {text.count(len(snapshot.products))} products{shown}.")
        if found.empty:
            st.info("No product's name or SKU has that in it.")
            return
        st.dataframe(found.head(MOST_ROWS), hide_index=True, column_config=COLUMNS, key="all-products-table")


@st.cache_resource(max_entries=2, show_spinner=False)
def _shown(run_id: str, _snapshot: Snapshot) -> pd.DataFrame:  # noqa: ARG001 - a key
    return product_views.product_table(_snapshot.products)


@st.cache_resource(max_entries=64, show_spinner=False)
def _figures(run_id: str, by: product_views.Measure, number: int, _snapshot: Snapshot) -> dict[str, go.Figure]:  # noqa: ARG001 - a key
    """The figures of a run and a selection, shared by all sessions."""
    products, currency = _snapshot.products, _snapshot.manifest.currency
    return {
        "leaders": charts.leaders(product_views.leaders(products, by, number), by, currency),
        "returned": charts.most_returned(product_views.most_returned(products, number), currency),
    }


@st.cache_resource(max_entries=4, show_spinner=False)
def _pareto(run_id: str, _snapshot: Snapshot) -> go.Figure:  # noqa: ARG001 - a key
    return charts.pareto(product_views.pareto(_snapshot.products), product_views.abc(_snapshot.products))


def _leaders_csv(snapshot: Snapshot, by: product_views.Measure, number: int) -> bytes:
    return csv(product_views.leaders(snapshot.products, by, number), MONEY)


def _returned_csv(snapshot: Snapshot, number: int) -> bytes:
    return csv(product_views.most_returned(snapshot.products, number), MONEY)


def _abc_csv(snapshot: Snapshot) -> bytes:
    return csv(product_views.abc(snapshot.products), MONEY)
