"""Charts of products over time: frames of movers -> Plotly figures. Pure."""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard import format as text
from dashboard.chart_shapes import NO_ZOOM, ROW_PX, blank, plain, product_name, shortened, units
from dashboard.charts import RETURNS, SALES

_LONE_MONTH_MS: Final = 8 * 24 * 60 * 60 * 1000


def movers(table: pd.DataFrame, currency: str) -> go.Figure:
    """A bar for each product by what it gained or lost; the table is that of movers.ends."""
    names = [product_name(sku, name) for sku, name in zip(table["sku"], table["description"], strict=True)]
    told = [_signed(change, currency) for change in table["change"]]
    between = [
        f"{text.money(now, currency)}, before {text.money(before, currency)}"
        for now, before in zip(table["net_sales"], table["net_sales_before"], strict=True)
    ]
    figure = blank(ROW_PX * len(table) + 24)
    figure.add_trace(
        go.Bar(
            x=units(table["change"]),
            y=table["sku"],
            orientation="h",
            marker={"color": [SALES if change > 0 else RETURNS for change in table["change"]]},
            text=told,
            textposition="auto",
            insidetextfont={"color": "#ffffff"},
            constraintext="none",
            customdata=np.column_stack([[plain(name) for name in names], told, between]),
            hovertemplate="%{customdata[0]}<br><b>%{customdata[1]}</b>: %{customdata[2]}<extra></extra>",
        )
    )
    figure.update_yaxes(
        type="category",
        autorange="reversed",
        tickmode="array",
        tickvals=table["sku"],
        ticktext=[plain(shortened(name)) for name in names],
        showgrid=False,
        ticklabelstandoff=4,
        **NO_ZOOM,
    )
    return figure.update_xaxes(visible=False, **NO_ZOOM)


def _signed(mills: int, currency: str) -> str:
    return ("+" if mills > 0 else "") + text.money(mills, currency)


def months(table: pd.DataFrame, currency: str) -> go.Figure:
    """One product's gross sales and returns by month; the table is that of movers.months_of."""
    figure = blank()
    labels = [text.month(month) for month in table["month"]]
    for column, name, colour, sign in (("gross_sales", "Gross sales", SALES, 1), ("returns", "Returns", RETURNS, -1)):
        figure.add_trace(
            go.Bar(
                x=table["month"].to_numpy(),
                y=sign * units(table[column]),
                name=name,
                marker={"color": colour},
                width=_LONE_MONTH_MS if len(table) == 1 else None,
                customdata=np.column_stack([labels, [text.money_exact(mills, currency) for mills in table[column]]]),
                hovertemplate=f"%{{customdata[0]}}<br>{name} <b>%{{customdata[1]}}</b><extra></extra>",
            )
        )
    figure.update_layout(barmode="relative", showlegend=True)
    figure.update_xaxes(showgrid=False, nticks=8, tickformat="%b<br>%Y", **NO_ZOOM)
    return figure.update_yaxes(nticks=5, tickprefix=text.symbol(currency), tickformat="~s", **NO_ZOOM)


def gaps(table: pd.DataFrame, colour: str) -> go.Figure:
    """How many customers wait how long between two orders; the table is that of customer_views.gap_histogram."""
    figure = blank()
    figure.add_trace(
        go.Bar(
            x=table["days"],
            y=table["customers"].to_numpy(),
            marker={"color": colour},
            text=[text.count(number) for number in table["customers"]],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x} days: <b>%{y:,}</b> customers<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title="days between two orders, on average", showgrid=False, **NO_ZOOM)
    return figure.update_yaxes(visible=False, range=[0, max(1, int(table["customers"].max())) * 1.15], **NO_ZOOM)
