"""The page on how far the numbers can be trusted: what was set aside, days without a sale, what was checked, runs."""

from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import format as text
from dashboard import quality_charts, quality_views
from dashboard.data import Snapshot
from dashboard.export import csv
from dashboard.pages.around import Around
from dashboard.pages.cards import card, chart_card, fact
from dashboard.quality_views import Days, Lines
from ops.settings import FreshnessSettings

QUESTION = "Can these numbers be trusted?"
SAMPLE_MONEY = ("amount", "unit_mills")
_WHOLE = partial(st.column_config.NumberColumn, format="localized")
_CHANGE = partial(st.column_config.NumberColumn, format="%+d")
_DATE = partial(st.column_config.DateColumn, format="D MMM YYYY")
CHECK_COLUMNS = {
    "check": st.column_config.TextColumn("What must be so", width="large"),
    "holds": st.column_config.CheckboxColumn("Holds", width="small"),
    "seen": st.column_config.TextColumn("Seen", width="medium"),
}
REASON_COLUMNS = {
    "reason": st.column_config.TextColumn("Reason", width="small"),
    "lines": _WHOLE("Lines", width="small"),
    "share": st.column_config.NumberColumn("Of all", format="percent", width="small"),
    "meaning": st.column_config.TextColumn("When", width="large"),
    "to_do": st.column_config.TextColumn("To do", width="large"),
}
GAP_COLUMNS = {
    "first": _DATE("From"),
    "last": _DATE("To"),
    "open_days": _WHOLE("Open days", help="Days on which the shop is usually open."),
    "usual_orders": _WHOLE("Usual orders", help="The median orders of these weekdays, over days that had any."),
    "other_bookings": _WHOLE("Days with bookings", help="Returns or charges were booked there, but no sale."),
}
CODE_COLUMNS = {
    "sku": st.column_config.TextColumn("Code"),
    "lines": _WHOLE("Lines"),
    "amount": st.column_config.NumberColumn("Amount", format="accounting"),
}
SOURCE_COLUMNS = {
    "file": st.column_config.TextColumn("File"),
    "rows": _WHOLE("Lines"),
    "sha256": st.column_config.TextColumn("SHA-256"),
}
RUN_COLUMNS = {
    "run_id": st.column_config.TextColumn("Run"),
    "generated_at": st.column_config.DatetimeColumn("Calculated (UTC)", format="D MMM YYYY, HH:mm", timezone="UTC"),
    "data_through": _DATE("Data through"),
    "rows_in": _WHOLE("Lines"),
    "rows_in_change": _CHANGE("Change", help="Against the run below."),
    "rows_kept": _WHOLE("Count"),
    "quarantined": _WHOLE("Quarantine"),
    "quarantined_change": _CHANGE("Change in quarantine", help="Against the run below."),
    "duplicates": _WHOLE("Duplicates"),
    "code_version": st.column_config.TextColumn("Code"),
    "published_by": st.column_config.TextColumn("By"),
    "restored_by": st.column_config.TextColumn("Restored by"),
}
SAMPLE_COLUMNS = {
    "invoice": st.column_config.TextColumn("Invoice"),
    "sku": st.column_config.TextColumn("SKU"),
    "description": st.column_config.TextColumn("Product"),
    "quantity": _WHOLE("Quantity"),
    "at": st.column_config.DatetimeColumn("Shop's time", format="D MMM YYYY, HH:mm"),
    "unit_mills": st.column_config.NumberColumn("Price", format="accounting"),
    "customer": st.column_config.CheckboxColumn("Customer known"),
    "country": st.column_config.TextColumn("Country"),
    "amount": st.column_config.NumberColumn("Amount", format="accounting"),
    "kind": st.column_config.TextColumn(
        "Kind", help="Cancellation: the invoice starts with C, or the quantity is < 0."
    ),
    "service": st.column_config.CheckboxColumn("Service", help="Postage, fees and the like: no product."),
}


def render(around: Around) -> None:
    """Draw the page."""
    snapshot, limits = around.snapshot, around.settings.freshness
    manifest = snapshot.manifest
    days, tables, figures = _computed(manifest.run_id, limits, snapshot)
    lines = quality_views.lines_of(manifest)
    _answer(snapshot, tables)
    _facts(lines, days, tables["gaps"], quality_views.known_share(snapshot.frames))
    _quarantine(lines, tables["quarantine"], figures["quarantine"])
    _days(days, tables, figures["days"])
    _codes(snapshot, tables["codes"])
    with st.grid(2, min_column_width=320, gap="small"):
        with card(
            "What was checked",
            key="checks",
            note="Sums that must agree, looked at anew for every run.",
            file=partial(csv, tables["checks"]),
        ):
            st.dataframe(tables["checks"], hide_index=True, column_config=CHECK_COLUMNS, key="checks-table")
        with card(
            "What the numbers were made from",
            key="sources",
            note=_duplicates(lines),
            file=partial(csv, tables["sources"]),
        ):
            st.dataframe(tables["sources"], hide_index=True, column_config=SOURCE_COLUMNS, key="sources-table")
    _runs(around)
    _sample(snapshot, tables["sample"])


def _answer(snapshot: Snapshot, tables: dict[str, pd.DataFrame]) -> None:
    answer = quality_views.answer(snapshot.manifest, tables["checks"], tables["gaps"])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        icon = ":material/check:" if answer.good else ":material/close:"
        st.badge(answer.word, color="green" if answer.good else "red", icon=icon)
        st.markdown(f"{_sentence('; '.join(answer.remarks))}.", width="stretch")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _facts(lines: Lines, days: Days, gaps: pd.DataFrame, known_share: float | None) -> None:
    missing = int(gaps["open_days"].sum())
    with st.grid(5, min_column_width=150, gap="small"):
        fact(
            "Lines that count",
            text.count_compact(lines.kept),
            f"{text.percent(lines.kept_share)} of lines",
            f"Lines that are not in quarantine: {text.count(lines.kept)} of {text.count(lines.read)}.",
        )
        fact(
            "In quarantine",
            text.count_compact(lines.quarantined),
            f"{text.percent(lines.quarantined_share)} of lines",
            "Lines that count nowhere, each for the first reason that fits. They lie in quarantine.parquet beside the "
            f"artifacts on disk. Exactly: {text.count(lines.quarantined)}.",
        )
        fact(
            "Exact duplicates",
            text.count_compact(lines.duplicates),
            "left out" if lines.dropped else "kept and counted",
            "Lines that are equal to another one in every column. They count unless [etl] drop_duplicates is set. "
            f"Exactly: {text.count(lines.duplicates)}.",
        )
        fact(
            "Days without a sale",
            text.count_compact(missing),
            f"of {text.count(days.open_days)} open days",
            "Days without an order on which the shop is usually open. " + quality_views.closed_words(days),
        )
        fact(
            "Customer known",
            text.percent(known_share),
            "of orders",
            "Orders that name their customer; only these are on the page of the customers.",
        )


def _quarantine(lines: Lines, table: pd.DataFrame, figure: go.Figure) -> None:
    nothing = "" if lines.quarantined else "Nothing is in quarantine: every line that was read counts."
    file = partial(csv, table)
    with st.grid(2, min_column_width=320, gap="small"):
        chart_card(
            "What was set aside, by reason",
            figure,
            key="quarantine",
            note="Lines in quarantine; each has the first reason that fits.",
            file=file,
            instead=nothing,
        )
        with card("What the reasons mean", key="reasons", note="In the order in which they are tried.", file=file):
            shown = table[["reason", "meaning", "to_do", "lines", "share"]]
            st.dataframe(shown, hide_index=True, column_config=REASON_COLUMNS, key="reasons-table")


def _days(days: Days, tables: dict[str, pd.DataFrame], figure: go.Figure) -> None:
    gaps = tables["gaps"]
    with st.grid(2, min_column_width=320, gap="small"):
        chart_card(
            "Days of each month",
            figure,
            key="days",
            note=f"With a sale, and without one. {quality_views.closed_words(days)}".rstrip(),
            file=partial(csv, tables["months"]),
        )
        with card(
            "Gaps", key="gaps", note="Days without a sale on which the shop is usually open.", file=partial(csv, gaps)
        ):
            if gaps.empty:
                st.info("There is none: something was sold on every open day.")
            else:
                st.dataframe(gaps, hide_index=True, column_config=GAP_COLUMNS, key="gaps-table")


def _codes(snapshot: Snapshot, table: pd.DataFrame) -> None:
    """Nothing where there is none: most shops have no such code."""
    if table.empty:
        return
    with card(
        "Codes that may be no products",
        key="codes",
        note="They have no digit, as nearly all others have, and count as products. Postage or fees? "
        f"Then name them in [etl] service_codes. Amounts in {snapshot.manifest.currency}.",
        file=partial(csv, table, ("amount",)),
    ):
        shown = quality_views.in_units(table, ("amount",))
        st.dataframe(shown, hide_index=True, column_config=CODE_COLUMNS, key="codes-table")


def _duplicates(lines: Lines) -> str:
    told = f"{text.count(lines.duplicates)} exact duplicates, {'left out' if lines.dropped else 'kept and counted'}."
    overlap = f" {text.count(lines.overlap)} lines of invoices that another file holds too, taken once."
    return told + (overlap if lines.overlap else "")


def _runs(around: Around) -> None:
    """Asks the store nothing: what this server has served since it began."""
    table = quality_views.runs(around.holder.runs() or (around.snapshot.manifest,))
    with card(
        "Runs",
        key="runs",
        note="The runs that this server has shown since it started, newest first. Earlier ones: `fab snapshots`.",
        file=partial(csv, table),
    ):
        st.dataframe(table, hide_index=True, column_config=RUN_COLUMNS, key="runs-table")


def _sample(snapshot: Snapshot, table: pd.DataFrame) -> None:
    title = f"The first {text.count(len(snapshot.sample))} lines that count"
    with card(
        title,
        key="sample",
        note=f"To be compared with the shop's own export; amounts in {snapshot.manifest.currency}.",
        file=partial(_sample_csv, snapshot),
    ):
        st.dataframe(table, hide_index=True, column_config=SAMPLE_COLUMNS, key="sample-table")


def _sample_csv(snapshot: Snapshot) -> bytes:
    return csv(quality_views.sample(snapshot.sample), SAMPLE_MONEY)


@st.cache_resource(max_entries=8, show_spinner=False)
def _computed(
    run_id: str,  # noqa: ARG001 - a key
    limits: FreshnessSettings,
    _snapshot: Snapshot,
) -> tuple[Days, dict[str, pd.DataFrame], dict[str, go.Figure]]:
    """The tables and figures of a run, shared by all sessions."""
    manifest, daily = _snapshot.manifest, _snapshot.daily
    days = quality_views.days(daily, limits)
    reasons, months = quality_views.quarantine(manifest), quality_views.months(days)
    tables = {
        "quarantine": reasons,
        "months": months,
        "gaps": quality_views.gaps(daily, days),
        "checks": quality_views.checks(manifest, _snapshot.frames, days),
        "sources": quality_views.sources(manifest),
        "codes": quality_views.unknown_codes(manifest),
        "sample": quality_views.in_units(quality_views.sample(_snapshot.sample), SAMPLE_MONEY),
    }
    return days, tables, {"quarantine": quality_charts.quarantine(reasons), "days": quality_charts.days(months)}
