"""The page of who keeps it running: clocks, uptime as seen from outside, incidents, published files, this server."""

import platform
from datetime import UTC, datetime
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.runtime import Runtime

from dashboard import format as text
from dashboard import operations_views, quality_charts
from dashboard.export import csv
from dashboard.operations_views import Server
from dashboard.pages.around import Around
from dashboard.pages.cards import card, chart_card, fact
from dashboard.process import PROCESS
from dashboard.selfcheck import memory_bytes
from dashboard.uptime_holder import UptimeHolder, UptimeState, shared_uptime
from dashboard.uptime_record import Record, Target
from ops.freshness import Freshness, judge

QUESTION = "Do the numbers arrive, and can everybody see them?"
LOOK_AGAIN_S, LOOK_FOR_THE_RECORD_S = 60, 3
_TEXT = st.column_config.TextColumn
_WHOLE = partial(st.column_config.NumberColumn, format="localized")
WINDOW_COLUMNS = {
    "window": _TEXT("Window", width="small"),
    "uptime": _TEXT("Uptime", help="Up / (up + down) of what was seen; cut, never rounded up."),
    "between": _TEXT("Between", help="What the true figure lies between, by what can have happened between two looks."),
    "coverage": _TEXT("Coverage", help="How much of the window somebody saw, maintenance left out.", width="small"),
    "down": _TEXT("Seen down", width="small"),
}
INCIDENT_COLUMNS = {
    "target": _TEXT("Target"),
    "began": _TEXT("Began"),
    "ended": _TEXT("Ended"),
    "lasted": _TEXT("Lasted"),
    "reason": _TEXT("Reason"),
    "detail": _TEXT("Detail"),
    "release": _TEXT("Release"),
}
FILE_COLUMNS = {
    "file": _TEXT("File"),
    "rows": _WHOLE("Rows"),
    "bytes": _WHOLE("Bytes"),
    "sha256": _TEXT("SHA-256"),
    "version_id": _TEXT("Version on S3"),
}


def render(around: Around) -> None:
    """Draw the page. All of it is of this minute: an idle page looks again by itself."""
    settings = around.settings
    holder = shared_uptime(settings.uptime_address, settings.uptime.numbers)
    waiting = holder.state().reading
    st.fragment(_drawn, run_every=LOOK_FOR_THE_RECORD_S if waiting else LOOK_AGAIN_S)(around, holder, waiting=waiting)


def _drawn(around: Around, holder: UptimeHolder, *, waiting: bool) -> None:
    state = holder.state()
    if waiting and not state.reading:
        st.rerun()  # all of the page: only that can make it look again less often
    settings, now = around.settings, _utc_now()
    fresh = judge(around.snapshot.manifest, now, settings.freshness)
    server = _server(around)
    _answer(fresh, state.record, server, around, now)
    _facts(fresh, state.record, server, around)
    _uptime(state, holder.where, around, now)
    with st.grid(2, min_column_width=320, gap="small"):
        _clocks(fresh, around)
        _of_server(server, now)
    _files(around)


def _answer(fresh: Freshness, record: Record | None, server: Server, around: Around, now: datetime) -> None:
    with st.container(horizontal=True, gap="small"):
        for part in operations_views.answer(fresh, record, server, now, around.settings.uptime.cadence):
            st.badge(part.words, color=part.tone)


def _facts(fresh: Freshness, record: Record | None, server: Server, around: Around) -> None:
    limits, host = around.settings.freshness, around.settings.host
    name = operations_views.first_target(list(record.targets), None) if record else None
    target = record.targets[name] if record and name else None
    enough = around.settings.uptime.rules.enough_coverage
    window, uptime = operations_views.headline(target, enough) if target else ("30d", None)
    with st.grid(6, min_column_width=150, gap="small"):
        fact(
            "Calculated",
            operations_views.short_age(fresh.generated.age),
            f"ago, {operations_views.VERDICT_WORDS[fresh.generated.verdict]}",
            "When the job ran that made these numbers (generated_at). "
            f"Late after {limits.generated_warn_h:g} h, too old after {limits.generated_error_h:g} h.",
        )
        fact(
            "Newest day",
            operations_views.short_age(fresh.data.age),
            f"old, {operations_views.VERDICT_WORDS[fresh.data.verdict]}",
            "The end of the last day with a line (data_through), in UTC. Closed days do not count. "
            f"Late after {limits.data_warn_h:g} h, too old after {limits.data_error_h:g} h.",
        )
        fact(
            f"Uptime {window}",
            operations_views.cut(uptime, 2),
            f"of {name}" if target else "no record",
            "Up / (up + down) of what the scheduled check saw from outside; cut, never rounded up.",
        )
        fact(
            "Response",
            text.NOT_AVAILABLE if target is None or target.total.p50_ms is None else f"{target.total.p50_ms:,} ms",
            "median of 30 days" if target else "no record",
            "How long a whole look at the page took, from the name being looked up to the page being calculated.",
        )
        fact(
            "Memory",
            operations_views.memory(server.memory_bytes),
            "of this server",
            "Resident set of this process (RSS). On the host the system slows a release down above "
            f"{host.memory_high_mb} MB, and starts it again at {host.memory_max_mb} MB.",
        )
        fact("Sessions", text.count(server.sessions), "open here", "Pages that are open on this server, this one too.")


# --- uptime -----------------------------------------------------------------------------------------------------------


def _uptime(state: UptimeState, where: str, around: Around, now: datetime) -> None:
    uptime = around.settings.uptime
    line, look = operations_views.record_line(state, where, now, uptime.cadence)
    st.header("As seen from outside", anchor=False)
    if look:
        st.warning(line, icon=":material/visibility_off:")
    else:
        st.caption(line)
    if state.record is None or not state.record.targets:
        return
    name, target = _chosen(state.record)
    table = operations_views.windows(target, uptime.rules.enough_coverage)
    took = operations_views.response(target)
    figures = _figures(where, state.record.now, name, table, took)
    with st.grid(2, min_column_width=320, gap="small"):
        chart_card(
            f"Uptime of {name}",
            figures["uptime"],
            key="uptime",
            note="The bar is what the true figure lies between, the mark what was seen.",
            file=partial(csv, table),
            instead="" if table["lowest"].notna().any() else "Nothing was seen of this target yet.",
        )
        chart_card(
            f"Response time of {name}",
            figures["response"],
            key="response",
            note="Good looks of the last 30 days, by phase and altogether.",
            file=partial(csv, took),
            instead="" if len(took) else "There was no good look yet.",
        )
    with card(
        f"Windows of {name}",
        key="windows",
        note=f"Status: {target.status}" + (f" since {text.moment(target.since)}." if target.since else "."),
        file=partial(csv, table),
    ):
        told = operations_views.windows_told(table)
        st.dataframe(told, hide_index=True, column_config=WINDOW_COLUMNS, key="windows-table")
    _incidents(state.record)


@st.cache_resource(max_entries=16, show_spinner=False)
def _figures(
    where: str,  # noqa: ARG001 - a key, as the next two
    now: datetime,  # noqa: ARG001
    name: str,  # noqa: ARG001
    _windows: pd.DataFrame,
    _took: pd.DataFrame,
) -> dict[str, go.Figure]:
    """The figures of a record and a target, shared by all sessions."""
    return {"uptime": quality_charts.uptime(_windows), "response": quality_charts.response(_took)}


def _chosen(record: Record) -> tuple[str, Target]:
    names = list(record.targets)
    first = operations_views.first_target(names, None) or names[0]
    if len(names) == 1:
        return first, record.targets[first]
    picked = st.selectbox("Target", names, index=names.index(first), key="target", bind="query-params", width=260)
    name = operations_views.first_target(names, picked) or first
    return name, record.targets[name]


def _incidents(record: Record) -> None:
    table = operations_views.incidents(record)
    with card("Incidents", key="incidents", note="Of all targets, in the last 90 days.", file=partial(csv, table)):
        if table.empty:
            st.info("There was none.")
        else:
            st.dataframe(table, hide_index=True, column_config=INCIDENT_COLUMNS, key="incidents-table")


# --- here -------------------------------------------------------------------------------------------------------------


def _clocks(fresh: Freshness, around: Around) -> None:
    table = operations_views.clocks(fresh, around.settings.freshness)
    with card(
        "Two clocks",
        key="clocks",
        note="Did the job run, and did the data move? Closed days do not count. Limits: [freshness] in settings.toml.",
        file=partial(csv, table),
    ):
        st.table(operations_views.clocks_told(table).map(text.unmarked), border="horizontal")


def _of_server(server: Server, now: datetime) -> None:
    table: pd.DataFrame = operations_views.server(server, now)
    with card("This server", key="server", file=partial(csv, table)):
        st.table(table.set_index("fact").map(text.unmarked), border="horizontal", hide_header=True)


def _files(around: Around) -> None:
    manifest = around.snapshot.manifest
    table = operations_views.files(manifest)
    by = f", published by {text.unmarked(manifest.published_by)}" if manifest.published_by else ""
    made = f"code {text.unmarked(manifest.code_version)}, calculated {text.moment(manifest.generated_at)}"
    with card(
        "The published files",
        key="files",
        note=f"Run `{manifest.run_id}`, {made}{by}.",
        file=partial(csv, table),
    ):
        st.dataframe(table, hide_index=True, column_config=FILE_COLUMNS, key="files-table", height="content")


def _server(around: Around) -> Server:
    return Server(
        release=PROCESS.release,
        began=PROCESS.began,
        memory_bytes=memory_bytes(),
        sessions=_open_sessions(),
        python=platform.python_version(),
        streamlit=st.__version__,
        store=around.holder.where,
        errors=PROCESS.errors,
        last_error=PROCESS.last_error,
    )


def _open_sessions() -> int | None:
    """None where no server is: AppTest puts something else in the runtime's place."""
    if not Runtime.exists():
        return None
    manager = getattr(Runtime.instance(), "_session_mgr", None)  # nothing public counts them
    counted = manager.num_active_sessions() if manager else None
    return counted if isinstance(counted, int) else None


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the page runs by itself every minute: nobody is above it to pass a clock
