"""Charts of the pages on data quality and operations: frames -> Plotly figures, in the looks of `charts`. Pure."""

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard import format as text
from dashboard.chart_shapes import NO_ZOOM, blank
from dashboard.charts import BEFORE, NEW_CUSTOMERS, RETURNS, SALES

GOOD: Final = SALES
GAP: Final = RETURNS
CLOSED: Final = BEFORE
SET_ASIDE: Final = NEW_CUSTOMERS
_ROW_PX: Final = 42
_HEIGHT_PX: Final = 260
_DAY_KINDS: Final = (("sold", "With a sale", GOOD), ("closed", "Closed", CLOSED), ("missing", "Without a sale", GAP))
_PHASE_NAMES: Final = {
    "dns": "Name looked up",
    "tcp": "Connected",
    "tls": "Secured",
    "ttfb": "First byte",
    "body": "Page shell",
    "ws": "Live connection",
    "script": "Page calculated",
    "total": "Altogether",
}


def quarantine(table: pd.DataFrame) -> go.Figure:
    """Lines set aside, by reason; the table is that of quality_views.quarantine."""
    shares = [text.percent(None if pd.isna(share) else share) for share in table["share"]]
    counts = [text.count(number) for number in table["lines"]]
    figure = blank(_ROW_PX * len(table) + 20)
    figure.add_trace(
        go.Bar(
            x=table["lines"].to_numpy(),
            y=[reason.replace("_", " ") for reason in table["reason"]],
            orientation="h",
            marker={"color": SET_ASIDE},
            text=counts,
            textposition="outside",
            constraintext="none",
            cliponaxis=False,
            customdata=np.column_stack([counts, shares, table["meaning"]]),
            hovertemplate="%{customdata[2]}<br><b>%{customdata[0]}</b> lines, %{customdata[1]} of all<extra></extra>",
        )
    )
    most = max(1, int(table["lines"].max()))
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticklabelstandoff=4, **NO_ZOOM)
    return figure.update_xaxes(visible=False, range=[0, most * 1.3], **NO_ZOOM)


def days(months: pd.DataFrame) -> go.Figure:
    """The days of each month, by what they are; the table is that of quality_views.months."""
    figure = blank(_HEIGHT_PX)
    names = [text.month(month) for month in months["month"]]
    for column, name, colour in _DAY_KINDS:
        if column != "sold" and not months[column].any():
            continue
        figure.add_trace(
            go.Bar(
                x=months["month"].to_numpy(),
                y=months[column].to_numpy(),
                name=name,
                marker={"color": colour},
                width=_LONE_MONTH_MS if len(months) == 1 else None,
                customdata=names,
                hovertemplate=f"%{{customdata}}<br>{name}: <b>%{{y}}</b> days<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack", showlegend=True, bargap=0.15)
    if len(months) <= _FEW_MONTHS:
        figure.update_xaxes(tickmode="array", tickvals=months["month"].to_numpy(), ticktext=names)
    else:
        figure.update_xaxes(nticks=8, tickformat="%b<br>%Y")
    figure.update_xaxes(showgrid=False, **NO_ZOOM)
    return figure.update_yaxes(rangemode="tozero", nticks=5, **NO_ZOOM)


_FEW_MONTHS: Final = 4
_LONE_MONTH_MS: Final = 8 * 24 * 60 * 60 * 1000


def uptime(table: pd.DataFrame) -> go.Figure:
    """For each window what uptime lies between, and its figure as a mark; of operations_views.windows.

    A window of which too little was seen has its interval, and no mark.
    """
    figure = blank(_ROW_PX * len(table) + 60)
    known = table[table["lowest"].notna() & table["highest"].notna()]
    low, high = known["lowest"].to_numpy(), known["highest"].to_numpy()
    between = [f"{_cut(first)} to {_cut(last)}" for first, last in zip(low, high, strict=True)]
    figure.add_trace(
        go.Bar(
            x=np.maximum(high - low, _LEAST_WIDTH),
            base=low,
            y=known["window"],
            orientation="h",
            width=0.35,
            name="can be",
            marker={"color": CLOSED, "opacity": 0.55},
            customdata=between,
            hovertemplate="%{y}: between <b>%{customdata}</b><extra></extra>",
        )
    )
    told = known[known["uptime"].notna()]
    figure.add_trace(
        go.Scatter(
            x=told["uptime"],
            y=told["window"],
            mode="markers",
            name="seen",
            marker={"color": GOOD, "size": 12, "symbol": "diamond"},
            cliponaxis=False,
            customdata=[_cut(value) for value in told["uptime"]],
            hovertemplate="%{y}: uptime <b>%{customdata}</b><extra></extra>",
        )
    )
    lowest = float(np.nanmin([*low, 0.99])) if len(low) else 0.0
    figure.update_layout(showlegend=True)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticklabelstandoff=4, **NO_ZOOM)
    margin = (1 - lowest) * 0.05
    return figure.update_xaxes(range=[max(0.0, lowest - margin), 1 + margin], tickformat=".1%", nticks=5, **NO_ZOOM)


_LEAST_WIDTH: Final = 1e-6


def _cut(share: float) -> str:
    """A percentage, cut: 100 % means that nothing is missing."""
    return f"{np.floor(share * 1e5 + 1e-9) / 1e3:.3f} %"


def response(table: pd.DataFrame) -> go.Figure:
    """Median and 95th percentile of each phase of a look; of operations_views.response."""
    figure = blank(_ROW_PX * len(table) + 60)
    names = [_PHASE_NAMES.get(phase, phase) for phase in table["phase"]]
    for column, name, colour in (("p95_ms", "95 of 100 within", CLOSED), ("p50_ms", "Half within", GOOD)):
        figure.add_trace(
            go.Bar(
                x=table[column].to_numpy(),
                y=names,
                orientation="h",
                name=name,
                marker={"color": colour},
                text=[_ms(value) for value in table[column]],
                textposition="outside",
                constraintext="none",
                cliponaxis=False,
                hovertemplate=f"%{{y}}<br>{name} <b>%{{text}}</b><extra></extra>",
            )
        )
    figure.update_layout(barmode="group", bargroupgap=0.08, showlegend=True, legend={"traceorder": "reversed"})
    most = float(np.nanmax([1.0, *table["p95_ms"], *table["p50_ms"]]))
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticklabelstandoff=4, **NO_ZOOM)
    return figure.update_xaxes(visible=False, range=[0, most * 1.3], **NO_ZOOM)


def _ms(value: Any) -> str:
    return "" if pd.isna(value) else f"{int(value):,} ms"
