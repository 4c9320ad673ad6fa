"""The page of one product, named in the address: its figures, and its sales month by month."""

from functools import partial

import plotly.graph_objects as go
import streamlit as st

from dashboard import format as text
from dashboard import movers, product_charts, product_views
from dashboard.chart_shapes import product_name
from dashboard.data import Snapshot
from dashboard.export import csv
from dashboard.pages.cards import chart_card, fact

MONEY = ("gross_sales", "returns", "net_sales")


def render(snapshot: Snapshot, sku: str) -> None:
    """Draw the page."""
    st.button("All products", icon=":material/arrow_back:", on_click=_back, type="tertiary")
    found = product_views.product(snapshot.products, sku)
    if found is None:
        st.info("No product of this SKU has been sold in this data.")
        return
    st.header(product_name(found.sku, found.description), anchor=False)
    st.caption(f"SKU `{found.sku.replace('`', ' ')}`")
    _facts(found, snapshot.manifest.currency)
    if snapshot.product_months.empty:
        st.info("Its months show once this release has published: `fab etl-sync`.")
        return
    manifest = snapshot.manifest
    table = movers.months_of(snapshot.product_months, sku, manifest.data_from, manifest.data_through)
    chart_card(
        "Month by month",
        _months(manifest.run_id, sku, snapshot),
        key="product-months",
        note="Gross sales upwards, returns downwards. The first and the last month may not be whole.",
        file=partial(csv, table, MONEY),
    )


def _back() -> None:
    """All that was chosen on the page of all products stays in the address."""
    st.query_params.pop("sku", None)


def _facts(of: product_views.Product, currency: str) -> None:
    exact = partial(text.money_exact, currency=currency)
    with st.grid(4, min_column_width=150, gap="small"):
        fact(
            "Net sales",
            text.money(of.net_sales_mills, currency),
            f"rank {text.count(of.rank)}, class {of.abc_class}",
            f"Sales minus returns: {exact(of.net_sales_mills)}. The rank is by gross sales.",
        )
        fact(
            "Gross sales",
            text.money(of.gross_sales_mills, currency),
            f"{text.percent(of.share)} of all",
            f"Sales before returns: {exact(of.gross_sales_mills)}.",
        )
        fact(
            "Return rate",
            text.percent(of.return_rate),
            f"{text.money(of.returns_mills, currency)} came back",
            f"Returns / gross sales; returned: {exact(of.returns_mills)}.",
        )
        fact("Units", text.count_compact(of.units), "pieces sold", "Pieces sold, before returns.")
        fact("Orders", text.count_compact(of.orders), "with it", "Invoices with a sale of this product.")
        fact("Customers", text.count_compact(of.customers), "known ones", "Distinct known customers who bought it.")
        fact("First sold", text.month(of.first_sold), text.day(of.first_sold), "The day of the first invoice with it.")
        fact("Last sold", text.month(of.last_sold), text.day(of.last_sold), "The day of the newest invoice with it.")


@st.cache_resource(max_entries=64, show_spinner=False)
def _months(run_id: str, sku: str, _snapshot: Snapshot) -> go.Figure:  # noqa: ARG001 - a key
    manifest = _snapshot.manifest
    table = movers.months_of(_snapshot.product_months, sku, manifest.data_from, manifest.data_through)
    return product_charts.months(table, manifest.currency)
