"""The page of the whole shop over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, overview_charts, views
from dashboard import format as text
from dashboard.calendar_days import MEASURES, MOST_YEARS, Measure, calendar_of, years_shown
from dashboard.calendar_html import as_html
from dashboard.customer_views import customers_in
from dashboard.data import Snapshot
from dashboard.export import csv
from dashboard.notable_days import NotableDays, as_table, notable_days
from dashboard.pages.cards import any_case, card, chart_card, day_list, kpi_row
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
MONEY = ("gross_sales", "returns", "net_sales", "average_order")
# Seven presets fit in one line of a phone when there is less air in each.
_NARROW = """<style>@media (max-width: 480px) {
.st-key-period button { padding-inline: 0.55rem; } }</style>"""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the filters say: the days shown, and the days they are compared with."""

    period: Period
    comparison: Comparison
    before: Period | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a run and a selection come to; shared by all sessions and never changed."""

    kpis: tuple[views.Kpi, ...]
    figures: Mapping[str, go.Figure]
    days: NotableDays
    names_customers: bool
    returns_note: str
    months_note: str


def render(snapshot: Snapshot) -> None:
    """Draw the page."""
    data = Period(snapshot.manifest.data_from, snapshot.manifest.data_through)
    st.html(_NARROW)
    selection = _filters(data)
    if selection is None:
        st.info(f"There are no days of data in this range. The data runs from {text.span(data.first, data.last)}.")
        return
    st.caption(_explained(selection))
    drawn = _drawn(snapshot.manifest.run_id, selection, snapshot)
    kpi_row(drawn.kpis, snapshot.manifest.currency, compared=selection.before is not None)
    _over_time(snapshot, selection, drawn)
    _calendar(snapshot, selection.period, data)
    _days(snapshot, selection.period, drawn.days)
    _patterns(snapshot, selection.period, drawn)


def _filters(data: Period) -> Selection | None:
    any_case("period", PRESETS)
    any_case("compare", COMPARISONS)
    any_case("shade", MEASURES)
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


def _over_time(snapshot: Snapshot, selection: Selection, drawn: Drawn) -> None:
    words = GRAIN_WORDS[selection.period.grain]
    file = partial(_series_csv, snapshot, selection.period)
    nobody = "" if drawn.names_customers else "No order of these days names its customer."
    figures = drawn.figures
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
            f"Returns, {words}",
            figures["returns"],
            key="returns",
            note=drawn.returns_note,
            file=file,
        )
        chart_card(
            f"New and returning customers, {words}",
            figures["customers"],
            key="customers",
            note="Each customer counts once for every day with an order.",
            file=file,
            instead=nobody,
        )
        chart_card(
            f"Share of new customers, {words}",
            figures["new_share"],
            key="new-share",
            note="New, of all customers with an order that day.",
            file=file,
            instead=nobody,
        )


def _part_note(period: Period) -> str:
    if not period.cuts_buckets:
        return ""
    return f" Hollow points and pale bars hold only part of a {period.grain}."


def _calendar(snapshot: Snapshot, period: Period, data: Period) -> None:
    with card("Calendar", key="calendar", file=partial(_calendar_csv, snapshot, period, data)):
        measure = st.segmented_control(
            "Shade the days by",
            MEASURES,
            default=MEASURES[0],
            required=True,
            key="shade",
            bind="query-params",
            label_visibility="collapsed",
        )
        drawn = _calendar_html(snapshot.manifest.run_id, period, measure or MEASURES[0], snapshot)
        st.caption(drawn.note)
        st.html(drawn.html)


@dataclass(frozen=True, slots=True)
class _CalendarDrawn:
    html: str
    note: str


@st.cache_resource(max_entries=64, show_spinner=False)
def _calendar_html(run_id: str, period: Period, measure: Measure, _snapshot: Snapshot) -> _CalendarDrawn:  # noqa: ARG001 - a key
    manifest = _snapshot.manifest
    calendar = calendar_of(_snapshot.daily, period, Period(manifest.data_from, manifest.data_through), measure)
    newest = f" The newest {MOST_YEARS} years of the range." if calendar.left_out else ""
    note = f"{measure} of every day, Mondays first; each shade holds a fifth of the days with any.{newest}"
    return _CalendarDrawn(as_html(calendar, manifest.currency), note)


def _days(snapshot: Snapshot, period: Period, days: NotableDays) -> None:
    file, currency = partial(_days_csv, snapshot, period), snapshot.manifest.currency
    with st.grid(2, min_column_width=320, gap="small"):
        with card(
            "Best days",
            key="best-days",
            file=partial(file, worst=False),
            note="By net sales, with a reason where the data has one.",
        ):
            if days.best:
                st.markdown(day_list(days.best, currency))
            else:
                st.info("Nothing was sold in these days.")
            if days.cancelled:
                st.markdown(
                    f"**Would be among the best, but for their returns**\n\n{day_list(days.cancelled, currency)}"
                )
        with card("Worst days", key="worst-days", file=partial(file, worst=True), note=_quiet_note(days.quiet)):
            if days.worst:
                st.markdown(day_list(days.worst, currency))
            else:
                st.info("There are too few days with sales for a worst one.")


def _quiet_note(quiet: int) -> str:
    if not quiet:
        return "By net sales."
    return f"By net sales. Without {'1 day' if quiet == 1 else f'{text.count(quiet)} days'} on which nothing was sold."


def _patterns(snapshot: Snapshot, period: Period, drawn: Drawn) -> None:
    with st.grid(2, min_column_width=320, gap="small"):
        chart_card(
            "The average day of the week",
            drawn.figures["weekdays"],
            key="weekdays",
            note="Net sales of the average Monday, Tuesday, and so on.",
            file=partial(_weekday_csv, snapshot, period),
        )
        chart_card(
            "The months of the year",
            drawn.figures["months"],
            key="months",
            note=drawn.months_note,
            file=partial(_months_csv, snapshot),
        )


@st.cache_resource(max_entries=64, show_spinner=False)
def _drawn(run_id: str, selection: Selection, _snapshot: Snapshot) -> Drawn:  # noqa: ARG001 - a key
    """What is shown of a run and a selection, calculated once for all sessions."""
    period, before, named = selection.period, selection.before, BEFORE_NAMES[selection.comparison]
    manifest, daily, grain = _snapshot.manifest, _snapshot.daily, period.grain
    currency, data = manifest.currency, Period(manifest.data_from, manifest.data_through)
    points = views.series(daily, period)
    earlier = views.series(daily, before, like=period) if before else None
    months = views.months(daily)
    months = months[months["year"] <= period.last.year]
    return Drawn(
        kpis=views.kpis(daily, period, before, customers_in(_snapshot.rfm, period, data)),
        figures={
            "net_sales": charts.net_sales(points, earlier, named, grain, currency),
            "orders": charts.orders(points, earlier, named, grain),
            "customers": charts.customers(points, grain),
            "new_share": charts.new_share(points, earlier, named, grain),
            "returns": charts.returns(points, grain, currency),
            "weekdays": charts.weekdays(views.weekdays(daily, period), currency),
            "months": overview_charts.months(months, currency),
        },
        days=notable_days(daily, period, data, currency),
        names_customers=views.totals(daily, period).customer_days > 0,
        returns_note=_returns_note(views.totals(daily, period)),
        months_note=_months_note(months),
    )


def _returns_note(totals: views.Totals) -> str:
    rate = views.ratio(totals.returns_mills, totals.gross_sales_mills)
    share = "" if rate is None else f" {text.percent(rate)} of gross sales."
    return f"Value of the products that came back.{share}"


def _months_note(months: pd.DataFrame) -> str:
    years = months["year"].nunique()
    shown = "Net sales of whole years, whatever the period"
    if years > overview_charts.MOST_YEARS:
        shown += f"; the newest {overview_charts.MOST_YEARS} of {years}"
    return f"{shown}. {'Pale or hollow months are not whole.' if months['partial'].any() else ''}".rstrip()


def _series_csv(snapshot: Snapshot, period: Period) -> bytes:
    return csv(views.series(snapshot.daily, period), MONEY)


def _calendar_csv(snapshot: Snapshot, period: Period, data: Period) -> bytes:
    shown = views.within(snapshot.daily, years_shown(period, data))
    return csv(shown[["date", "net_sales", "gross_sales", "returns", "orders"]], MONEY)


def _days_csv(snapshot: Snapshot, period: Period, *, worst: bool) -> bytes:
    manifest = snapshot.manifest
    data = Period(manifest.data_from, manifest.data_through)
    table = as_table(notable_days(snapshot.daily, period, data, manifest.currency))
    return csv(table[(table["list"] == "worst") == worst], MONEY)


def _weekday_csv(snapshot: Snapshot, period: Period) -> bytes:
    return csv(views.weekdays(snapshot.daily, period), ("net_sales",))


def _months_csv(snapshot: Snapshot) -> bytes:
    return csv(views.months(snapshot.daily), ("net_sales",))
