"""The page of the products, over the whole data."""

from functools import partial

import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, product_views
from dashboard import format as text
from dashboard.data import Snapshot
from dashboard.export import csv
from dashboard.pages.cards import card, chart_card, fact

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
COLUMNS = {
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
    """Draw the page."""
    manifest = snapshot.manifest
    st.caption(f"**{text.span(manifest.data_from, manifest.data_through)}**, the whole data")
    if snapshot.products.empty:
        st.info("No product has been sold in this data.")
        return
    _facts(product_views.product_facts(snapshot.products))
    by, number = _filters()
    figures = _figures(manifest.run_id, by, number, snapshot)
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
    chart_card(
        "How few products make how much",
        figures["pareto"],
        key="abc",
        note="A: the products that make the first 80 % of gross sales. B: up to 95 %. C: the rest.",
        file=partial(_abc_csv, snapshot),
    )
    _table(snapshot)


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
        st.dataframe(
            product_views.product_table(snapshot.products),
            hide_index=True,
            column_config=COLUMNS,
            key="all-products-table",
        )


@st.cache_resource(max_entries=64, show_spinner=False)
def _figures(run_id: str, by: product_views.Measure, number: int, _snapshot: Snapshot) -> dict[str, go.Figure]:  # noqa: ARG001 - a key
    """The figures of a run and a selection, shared by all sessions."""
    products, currency = _snapshot.products, _snapshot.manifest.currency
    return {
        "leaders": charts.leaders(product_views.leaders(products, by, number), by, currency),
        "returned": charts.most_returned(product_views.most_returned(products, number), currency),
        "pareto": charts.pareto(product_views.pareto(products), product_views.abc(products)),
    }


def _leaders_csv(snapshot: Snapshot, by: product_views.Measure, number: int) -> bytes:
    return csv(product_views.leaders(snapshot.products, by, number), MONEY)


def _returned_csv(snapshot: Snapshot, number: int) -> bytes:
    return csv(product_views.most_returned(snapshot.products, number), MONEY)


def _abc_csv(snapshot: Snapshot) -> bytes:
    return csv(product_views.abc(snapshot.products), MONEY)
