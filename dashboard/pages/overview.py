"""The page of the whole shop over time."""

from dataclasses import dataclass
from datetime import date
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, day_charts, day_views, views
from dashboard import format as text
from dashboard.customer_views import customers_in
from dashboard.data import Snapshot
from dashboard.export import csv
from dashboard.pages.cards import any_case, card, chart, chart_card, kpi_row
from dashboard.periods import (
    COMPARISONS,
    DEFAULT_COMPARISON,
    DEFAULT_PRESET,
    PRESETS,
    Comparison,
    Period,
    chosen,
    compared,
)

QUESTION = "How is the shop doing?"
BEFORE_NAMES: dict[Comparison, str] = {"previous": "Period before", "last year": "Year before", "off": ""}
GRAIN_WORDS = {"day": "daily", "week": "weekly", "month": "monthly"}
SHADES: dict[str, day_views.Shade] = {"Net sales": "net_sales", "Orders": "orders", "Returns": "returns"}
DAY_SHOWN = ("net_sales", "returns")
DAY_COLUMNS = {
    "date": st.column_config.TextColumn("Day"),
    "net_sales": st.column_config.TextColumn("Net sales", help="Product sales minus returns."),
    "returns": st.column_config.TextColumn("Returns", help="Value of the products that came back that day."),
    "orders": st.column_config.NumberColumn("Orders", format="localized"),
    "reason": st.column_config.TextColumn("What sets it apart", width="large"),
}
MONEY = ("gross_sales", "returns", "net_sales", "average_order")


@dataclass(frozen=True, slots=True)
class Selection:
    """What the filters say: the days shown, and the days they are compared with."""

    period: Period
    comparison: Comparison
    before: Period | None


def render(snapshot: Snapshot) -> None:
    """Draw the page."""
    data = Period(snapshot.manifest.data_from, snapshot.manifest.data_through)
    selection = _filters(data)
    if selection is None:
        st.info(f"There are no days of data in this range. The data runs from {text.span(data.first, data.last)}.")
        return
    st.caption(_explained(selection))
    different = customers_in(snapshot.rfm, selection.period, data)
    kpis = views.kpis(snapshot.daily, selection.period, selection.before, different)
    kpi_row(kpis, snapshot.manifest.currency, compared=selection.before is not None)
    _charts(snapshot, selection)


def _filters(data: Period) -> Selection | None:
    any_case("period", PRESETS)
    any_case("compare", COMPARISONS)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        preset = st.segmented_control(
            "Period", PRESETS, default=DEFAULT_PRESET, required=True, key="period", bind="query-params", wrap=True
        )
        comparison = st.segmented_control(
            "Compare with",
            COMPARISONS,
            default=DEFAULT_COMPARISON,
            required=True,
            key="compare",
            bind="query-params",
            help="Previous: as many days, just before. Last year: 364 days earlier, so that Mondays meet Mondays.",
        )
        custom = _custom_days(data) if preset == "Custom" else ()
    # An empty value in a hand-made address clears a widget: that means its default.
    period = chosen(preset or DEFAULT_PRESET, data, custom)
    kind = comparison or DEFAULT_COMPARISON
    return Selection(period, kind, compared(kind, period, data)) if period else None


def _custom_days(data: Period) -> tuple[date, ...]:
    return st.date_input(
        "From, to", value=[], min_value=data.first, max_value=data.last, key="days", bind="query-params", width=260
    )


def _explained(selection: Selection) -> str:
    shown = f"**{text.span(selection.period.first, selection.period.last)}**"
    if selection.comparison == "off":
        return shown
    if selection.before is None:
        missing = BEFORE_NAMES[selection.comparison].lower()
        return f"{shown} \N{MIDDLE DOT} not compared: the data does not hold every day of the {missing}"
    return f"{shown} compared with {text.span(selection.before.first, selection.before.last)}"


def _charts(snapshot: Snapshot, selection: Selection) -> None:
    figures = _figures(snapshot.manifest.run_id, selection, snapshot)
    grain = selection.period.grain
    words = GRAIN_WORDS[grain]
    file = partial(_series_csv, snapshot, selection.period)
    chart_card(
        f"Net sales, {words}",
        figures["net_sales"],
        key="net-sales",
        note="Product sales minus returns." + _part_note(selection.period),
        file=file,
    )
    with st.grid(2, min_column_width=320, gap="small"):
        chart_card(
            f"Orders, {words}",
            figures["orders"],
            key="orders",
            note="Invoices with at least one product sold.",
            file=file,
        )
        chart_card(
            f"New and returning customers, {words}",
            figures["customers"],
            key="customers",
            note="Each customer counts once for every day with an order.",
            file=file,
            instead="" if _has_customers(snapshot, selection.period) else "No order of these days names its customer.",
        )
        chart_card(
            f"Returns, {words}",
            figures["returns"],
            key="returns",
            note="Value of the products that came back.",
            file=file,
        )
        chart_card(
            "The average day of the week",
            figures["weekdays"],
            key="weekdays",
            note="Net sales of the average Monday, Tuesday, and so on.",
            file=partial(_weekday_csv, snapshot, selection.period),
        )
    chart_card(
        "Months of the year",
        figures["months"],
        key="months",
        note="Net sales of each month of all the data; pale: a month of which not every day is there.",
        file=partial(_months_csv, snapshot),
    )
    _calendar(snapshot, selection.period)
    with st.grid(2, min_column_width=320, gap="small"):
        best, worst = _named_days(snapshot.manifest.run_id, selection.period, snapshot)
        _days(best, "Best days", "Highest gross sales; a return that took it back is named.", snapshot)
        _days(worst, "Worst days", "Lowest net sales of the days with an order or a return.", snapshot)


def _calendar(snapshot: Snapshot, period: Period) -> None:
    any_case("shade", list(SHADES))
    data = Period(snapshot.manifest.data_from, snapshot.manifest.data_through)
    shown = day_views.calendar_days(period, data)
    with card(
        "Day by day",
        key="calendar",
        note=f"{text.span(shown.first, shown.last)}, a week in each column; days without anything are empty.",
        file=partial(_calendar_csv, snapshot, shown),
    ):
        picked = st.segmented_control(
            "Shade",
            list(SHADES),
            default="Net sales",
            required=True,
            key="shade",
            bind="query-params",
            label_visibility="collapsed",
        )
        by = SHADES[picked or "Net sales"]
        figure = _calendar_figure(snapshot.manifest.run_id, shown, by, snapshot, dark=st.context.theme.type == "dark")
        chart(figure, key="calendar", alt=f"{picked or 'Net sales'} of each day, a week in each column")


def _days(table: pd.DataFrame, title: str, note: str, snapshot: Snapshot) -> None:
    key = title.lower().replace(" ", "-")
    with card(title, key=key, note=note, file=partial(csv, table, day_views.DAY_MONEY)):
        if table.empty:
            st.info("Nothing was sold in these days.")
            return
        shown = table.assign(
            date=[f"{day:%a} {text.day(day)}" for day in table["date"]],
            **{name: [text.money(mills, snapshot.manifest.currency) for mills in table[name]] for name in DAY_SHOWN},
        )
        st.dataframe(shown, hide_index=True, column_config=DAY_COLUMNS, column_order=list(DAY_COLUMNS), key=f"{key}-t")


@st.cache_resource(max_entries=64, show_spinner=False)
def _calendar_figure(
    run_id: str,  # noqa: ARG001 - a key
    shown: Period,
    by: day_views.Shade,
    _snapshot: Snapshot,
    *,
    dark: bool,
) -> go.Figure:
    table = day_views.calendar(_snapshot.daily, shown, by)
    return day_charts.calendar(table, by, _snapshot.manifest.currency, dark=dark)


@st.cache_resource(max_entries=64, show_spinner=False)
def _named_days(run_id: str, period: Period, _snapshot: Snapshot) -> tuple[pd.DataFrame, pd.DataFrame]:  # noqa: ARG001 - a key
    return day_views.best_days(_snapshot.daily, period), day_views.worst_days(_snapshot.daily, period)


def _has_customers(snapshot: Snapshot, period: Period) -> bool:
    return views.totals(snapshot.daily, period).customer_days > 0


def _part_note(period: Period) -> str:
    if not period.cuts_buckets:
        return ""
    return f" Hollow points and pale bars hold only part of a {period.grain}."


@st.cache_resource(max_entries=64, show_spinner=False)
def _figures(run_id: str, selection: Selection, _snapshot: Snapshot) -> dict[str, go.Figure]:  # noqa: ARG001 - a key
    """The figures of a run and a selection, shared by all sessions."""
    period, before, named = selection.period, selection.before, BEFORE_NAMES[selection.comparison]
    currency, daily, grain = _snapshot.manifest.currency, _snapshot.daily, period.grain
    points = views.series(daily, period)
    earlier = views.series(daily, before, like=period) if before else None
    return {
        "net_sales": charts.net_sales(points, earlier, named, grain, currency),
        "orders": charts.orders(points, earlier, named, grain),
        "customers": charts.customers(points, grain),
        "returns": charts.returns(points, grain, currency),
        "months": day_charts.months_of_the_year(day_views.months_of_the_year(daily), currency),
        "weekdays": charts.weekdays(views.weekdays(daily, period), currency),
    }


def _series_csv(snapshot: Snapshot, period: Period) -> bytes:
    return csv(views.series(snapshot.daily, period), MONEY)


def _weekday_csv(snapshot: Snapshot, period: Period) -> bytes:
    return csv(views.weekdays(snapshot.daily, period), ("net_sales",))


def _months_csv(snapshot: Snapshot) -> bytes:
    return csv(day_views.months_of_the_year(snapshot.daily), ("net_sales",))


def _calendar_csv(snapshot: Snapshot, shown: Period) -> bytes:
    return csv(views.within(snapshot.daily, shown)[["date", *SHADES.values()]], ("net_sales", "returns"))
