"""The page of the customers, over the whole data."""

from functools import partial
from typing import Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, customer_views, product_charts
from dashboard import format as text
from dashboard.data import Snapshot
from dashboard.export import csv
from dashboard.pages.around import Around
from dashboard.pages.cards import any_case, card, chart, chart_card, fact
from etl.contract import MILLS_PER_UNIT

QUESTION = "Who are the customers, and do they come back?"
Colouring = Literal["customers", "monetary"]
AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"
ADVICE_COLUMNS = {
    "segment": st.column_config.TextColumn("Segment", width="small"),
    "customers": st.column_config.NumberColumn("Customers", format="localized", width="small"),
    "share_of_customers": st.column_config.NumberColumn("Of all", format="percent", width="small"),
    "monetary": st.column_config.TextColumn("Net sales", width="small", help="Product sales minus returns."),
    "share_of_sales": st.column_config.NumberColumn("Of sales", format="percent", width="small"),
    "to_do": st.column_config.TextColumn("What to do", width="large"),
}
TOP_COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", width="small"),
    "customer": st.column_config.TextColumn("Customer"),
    "country": st.column_config.TextColumn("Country", help="The one on most of the customer's lines."),
    "segment": st.column_config.TextColumn("Segment"),
    "frequency": st.column_config.NumberColumn("Orders", format="localized"),
    "monetary": st.column_config.NumberColumn("Net sales", format="accounting"),
    "share": st.column_config.NumberColumn("Of all", format="percent"),
    "last_order": st.column_config.DateColumn("Last order", format="D MMM YYYY"),
}
COLOURINGS: dict[str, Colouring] = {"Customers": "customers", "Sales": "monetary"}


def render(around: Around) -> None:
    """Draw the page."""
    snapshot = around.snapshot
    manifest = snapshot.manifest
    st.caption(f"**{text.span(manifest.data_from, manifest.data_through)}**, the whole data; customers who are known")
    if snapshot.rfm.empty:
        st.info("No order in this data names its customer.")
        return
    _facts(customer_views.customer_facts(snapshot.rfm), manifest.currency)
    with st.grid(2, min_column_width=320, gap="small"):
        chart_card(
            "Segments and what they bring",
            _figure("segments", manifest.run_id, snapshot),
            key="segments",
            note="The share of each segment in customers and in sales.",
            file=partial(_segments_csv, snapshot),
        )
        with card(
            "When they last came, and how often",
            key="rfm-map",
            note="Scores from 1 to 5, each about a fifth of the customers; hover for both numbers.",
            file=partial(_map_csv, snapshot),
        ):
            _map(snapshot)
    _cohorts(snapshot)
    _segments(snapshot)
    _gaps(snapshot)
    _top(snapshot, masked=around.settings.dashboard.mask_customers)


def _segments(snapshot: Snapshot) -> None:
    table = _advice(snapshot.manifest.run_id, snapshot)
    with card(
        "What to do about each segment",
        key="advice",
        note="By how recently and how often they ordered; what the scores mean is in docs/snapshot.md.",
        file=partial(csv, table, ("monetary",)),
    ):
        shown = table.assign(monetary=[text.money(mills, snapshot.manifest.currency) for mills in table["monetary"]])
        st.dataframe(
            shown,
            hide_index=True,
            column_config=ADVICE_COLUMNS,
            column_order=list(ADVICE_COLUMNS),
            key="advice-table",
        )


def _gaps(snapshot: Snapshot) -> None:
    title = "How long until the next order?"
    note = "Customers with two orders or more, each by the average of its gaps."
    table, quartiles = _gap_table(snapshot.manifest.run_id, snapshot)
    if quartiles:
        low, middle, high = quartiles
        note += f" Half of them wait {middle} days or less; the middle half {low} to {high}."
    chart_card(
        title,
        _figure("gaps", snapshot.manifest.run_id, snapshot),
        key="gaps",
        note=note,
        file=partial(csv, table),
        instead="" if quartiles else "No customer has ordered twice yet.",
    )


def _top(snapshot: Snapshot, *, masked: bool) -> None:
    best = _ranked(snapshot.manifest.run_id, snapshot, masked=masked)
    note = "By product sales minus returns."
    if len(best) < len(snapshot.rfm):
        note += f" The first {len(best):,} of {len(snapshot.rfm):,}; the file holds all."
    file = partial(_ranked_csv, snapshot, masked=masked)
    with card("The best customers", key="top-customers", note=note, file=file):
        st.dataframe(
            best.assign(monetary=best["monetary"] / MILLS_PER_UNIT),
            hide_index=True,
            column_config=TOP_COLUMNS,
            key="top-customers-table",
        )


@st.cache_resource(max_entries=4, show_spinner=False)
def _ranked(run_id: str, _snapshot: Snapshot, *, masked: bool) -> pd.DataFrame:  # noqa: ARG001 - a key
    return customer_views.ranked(_snapshot.rfm, masked=masked, number=customer_views.TOP_CUSTOMERS)


def _ranked_csv(snapshot: Snapshot, *, masked: bool) -> bytes:
    """All of them, made when somebody asks for it: of many customers it is large."""
    return csv(customer_views.ranked(snapshot.rfm, masked=masked), ("monetary",))


@st.cache_resource(max_entries=4, show_spinner=False)
def _advice(run_id: str, _snapshot: Snapshot) -> pd.DataFrame:  # noqa: ARG001 - a key
    return customer_views.advice(_snapshot.rfm)


@st.cache_resource(max_entries=4, show_spinner=False)
def _gap_table(run_id: str, _snapshot: Snapshot) -> tuple[pd.DataFrame, tuple[int, ...]]:  # noqa: ARG001 - a key
    """The histogram, and its quartiles in days; none where nobody came back."""
    gaps = customer_views.gap_days(_snapshot.rfm)
    shares = (0.25, 0.5, 0.75) if len(gaps) else ()
    return customer_views.gap_histogram(gaps), tuple(round(float(gaps.quantile(share))) for share in shares)


def _map(snapshot: Snapshot) -> None:
    any_case("map", list(COLOURINGS))
    shown = st.segmented_control(
        "Each cell shows",
        list(COLOURINGS),
        default="Customers",
        required=True,
        key="map",
        bind="query-params",
        label_visibility="collapsed",
    )
    figure = _figure(COLOURINGS[shown or "Customers"], snapshot.manifest.run_id, snapshot, dark=_is_dark())
    chart(figure, key="rfm-map", alt="Customers by recency and frequency score")


def _facts(facts: customer_views.CustomerFacts, currency: str) -> None:
    with st.grid(4, min_column_width=150, gap="small"):
        fact("Customers", text.count_compact(facts.customers), "with an order", "Distinct customers with an order.")
        fact(
            "Came back",
            text.percent(facts.repeat_share),
            "of customers",
            "Customers with two orders or more.",
        )
        fact(
            f"Active in {customer_views.RECENT_DAYS} days",
            text.count_compact(facts.recent),
            f"{text.percent(facts.recent_share)} of customers",
            f"Customers with an order in the last {customer_views.RECENT_DAYS} days of the data.",
        )
        fact(
            "Average spend",
            text.money(facts.average_spend_mills, currency),
            "per customer",
            "Product sales minus returns, for each customer.",
        )


def _cohorts(snapshot: Snapshot) -> None:
    title, file = "Do they come back?", partial(csv, snapshot.cohorts, ("net_sales",))
    note = "Of the customers who came first in a month, the percentage that ordered in each month after it."
    retention = customer_views.retention(snapshot.cohorts, snapshot.manifest.data_through)
    if retention.rates.empty:
        with card(title, key="cohorts", file=file, note=note):
            st.info("This shows from the second month of data on.")
        return
    if retention.running:
        note += f" {text.month(retention.running)} is not over: its cells, marked {AT_LEAST}, can still rise."
    if len(retention.rates.columns) > charts.COHORT_MONTHS:
        note += f" Drawn are the first {charts.COHORT_MONTHS} months; the file holds all."
    figure = _figure("cohorts", snapshot.manifest.run_id, snapshot, dark=_is_dark())
    chart_card(title, figure, key="cohorts", note=note, file=file)


def _is_dark() -> bool:
    """Whether this visitor's page is dark; a heat map drawn for the other kind of page is still readable."""
    return st.context.theme.type == "dark"


@st.cache_resource(max_entries=16, show_spinner=False)
def _figure(name: str, run_id: str, _snapshot: Snapshot, *, dark: bool = False) -> go.Figure:
    """A figure of a run, shared by all sessions."""
    currency = _snapshot.manifest.currency
    if name == "segments":
        return charts.segments(customer_views.segments(_snapshot.rfm), currency)
    if name == "gaps":
        return product_charts.gaps(_gap_table(run_id, _snapshot)[0], charts.CUSTOMERS)
    if name == "cohorts":
        return charts.cohorts(customer_views.retention(_snapshot.cohorts, _snapshot.manifest.data_through), dark=dark)
    return charts.rfm_map(
        customer_views.rfm_grid(_snapshot.rfm), "monetary" if name == "monetary" else "customers", currency, dark=dark
    )


def _segments_csv(snapshot: Snapshot) -> bytes:
    return csv(customer_views.segments(snapshot.rfm), ("monetary",))


def _map_csv(snapshot: Snapshot) -> bytes:
    return csv(customer_views.rfm_grid(snapshot.rfm), ("monetary",))
