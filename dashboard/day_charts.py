"""Charts of single days and of months of the year: frames of day_views -> Plotly figures. Pure."""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard import format as text
from dashboard.chart_shapes import NO_ZOOM, blank, scale_of, shades, units
from dashboard.charts import BEFORE, CUSTOMERS, ORDERS, SALES
from dashboard.day_views import Shade
from dashboard.views import WEEKDAYS
from etl.contract import MILLS_PER_UNIT

_CALENDAR_PX: Final = 190
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_YEARS_SHOWN: Final = 4
_YEAR_COLOURS: Final = (SALES, BEFORE, ORDERS, CUSTOMERS)  # the newest first


def calendar(table: pd.DataFrame, by: Shade, currency: str, *, dark: bool) -> go.Figure:
    """A year of days, weeks to the right; days without anything stay empty. Of day_views.calendar."""
    figure = blank(_CALENDAR_PX)
    if table.empty:
        return figure
    values = table.to_numpy(dtype="float64")
    drawn = values if by == "orders" else values / MILLS_PER_UNIT
    weeks = pd.DatetimeIndex(table.columns)
    days = [[text.day(week + pd.Timedelta(days=row)) for week in weeks] for row in range(len(WEEKDAYS))]
    told = [[_told(value, by, currency) for value in row] for row in values]
    figure.add_trace(
        go.Heatmap(
            z=drawn,
            x=np.arange(len(weeks)),
            y=WEEKDAYS,
            **shades(drawn, scale_of(dark=dark)),
            customdata=np.dstack([days, told]),
            hovertemplate="%{y}, %{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
            hoverongaps=False,
            xgap=1,
            ygap=1,
            showscale=False,
        )
    )
    begins = [place for place, week in enumerate(weeks) if place and week.month != weeks[place - 1].month]
    names = [_MONTHS[weeks[place].month - 1] for place in begins]
    figure.update_xaxes(tickmode="array", tickvals=begins[::2], ticktext=names[::2], showgrid=False, **NO_ZOOM)
    return figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticklabelstandoff=4, **NO_ZOOM)


def _told(value: float, by: Shade, currency: str) -> str:
    if np.isnan(value):
        return "nothing"
    return f"{text.count(value)} orders" if by == "orders" else text.money_exact(value, currency)


def months_of_the_year(table: pd.DataFrame, currency: str) -> go.Figure:
    """Net sales of each calendar month, a bar for each year; pale where a month is not whole."""
    figure = blank()
    years = sorted(table["year"].unique())[-_YEARS_SHOWN:]
    for place, year in enumerate(years):
        rows = table[table["year"] == year]
        figure.add_trace(
            go.Bar(
                x=[_MONTHS[month - 1] for month in rows["month"]],
                y=units(rows["net_sales"]),
                name=str(year),
                marker={
                    "color": _YEAR_COLOURS[len(years) - 1 - place],
                    "opacity": [1.0 if whole else 0.45 for whole in rows["whole"]],
                },
                customdata=[
                    f"{text.money_exact(mills, currency)}{'' if whole else f', {days} days of it'}"
                    for mills, whole, days in zip(rows["net_sales"], rows["whole"], rows["days"], strict=True)
                ],
                hovertemplate=f"%{{x}} {year}<br><b>%{{customdata}}</b><extra></extra>",
            )
        )
    figure.update_layout(barmode="group", showlegend=len(years) > 1)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(_MONTHS), showgrid=False, **NO_ZOOM)
    return figure.update_yaxes(nticks=5, tickprefix=text.symbol(currency), tickformat="~s", **NO_ZOOM)
