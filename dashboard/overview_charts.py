"""Charts that only the Overview has: frames -> Plotly figures, in the looks of `charts`. Pure."""

from typing import Final

import pandas as pd
import plotly.graph_objects as go

from dashboard import format as text
from dashboard.chart_shapes import HEIGHT_PX, NO_ZOOM, blank, units
from dashboard.charts import BEFORE, SALES
from dashboard.ticks import ticks
from etl.contract import MILLS_PER_UNIT

MOST_YEARS: Final = 3  # more lines than that are told apart by nobody
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EARLIER: Final = (("dash", "circle"), ("dot", "diamond"))  # the year before, and the one before that


def months(table: pd.DataFrame, currency: str) -> go.Figure:
    """Net sales of each calendar month: bars for the last year of the table, lines for up to two years before it."""
    years = sorted(set(table["year"]), reverse=True)[:MOST_YEARS]
    figure = blank(HEIGHT_PX)
    for place, year in enumerate(years):
        rows = table[table["year"] == year]
        shape = {
            "x": [_MONTHS[month - 1] for month in rows["month"]],
            "y": units(rows["net_sales"]),
            "name": str(year),
            "customdata": [_told(row, currency) for row in rows.itertuples()],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        partial = list(rows["partial"])
        if place == 0:
            fills = {"color": SALES, "opacity": [0.45 if part else 1.0 for part in partial]}
            figure.add_trace(go.Bar(**shape, marker=fills))
        else:
            dash, symbol = _EARLIER[place - 1]
            marks = {"symbol": [f"{symbol}-open" if part else symbol for part in partial], "size": 7, "color": BEFORE}
            line = {"color": BEFORE, "width": 1.75, "dash": dash}
            figure.add_trace(go.Scatter(**shape, mode="lines+markers", marker=marks, line=line, cliponaxis=False))
    figure.update_layout(showlegend=len(years) > 1, hovermode="closest")
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=_MONTHS, range=(-0.5, 11.5), **NO_ZOOM)
    heights = ticks(table.loc[table["year"].isin(years), "net_sales"], currency)
    return figure.update_yaxes(
        tickmode="array",
        tickvals=[place / MILLS_PER_UNIT for place in heights.places],
        ticktext=heights.labels,
        **({"rangemode": "tozero"} if heights.top is None else {"range": [0, heights.top / MILLS_PER_UNIT]}),
        **NO_ZOOM,
    )


def _told(row: object, currency: str) -> str:
    year, month, days, partial, mills = (
        getattr(row, name) for name in ("year", "month", "days", "partial", "net_sales")
    )
    part = f" ({text.count(days)} days of it)" if partial else ""
    return f"{_MONTHS[month - 1]} {year}{part}<br>Net sales: <b>{text.money_exact(mills, currency)}</b>"
