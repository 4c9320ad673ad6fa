"""Frames -> Plotly figures. One colour for one thing on every page; text, grid and background are the theme's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard import format as text
from dashboard.chart_shapes import (
    HEIGHT_PX,
    NO_ZOOM,
    ROW_PX,
    blank,
    cell_texts,
    plain,
    product_name,
    rgb,
    scale_of,
    shades,
    shortened,
    units,
)
from dashboard.customer_views import SCORES, Retention
from dashboard.periods import Grain
from dashboard.ticks import ticks
from etl.contract import MILLS_PER_UNIT

SALES: Final = "#3b82f6"
CUSTOMERS: Final = "#14958a"
NEW_CUSTOMERS: Final = "#d97706"
ORDERS: Final = "#8b5cf6"
RETURNS: Final = "#e0526a"
UNITS: Final = "#0ea5e9"
BEFORE: Final = "#8a94a6"
ABC_COLOURS: Final = {"A": "#3b82f6", "B": "#8b5cf6", "C": "#8a94a6"}

MEASURE_COLOURS: Final = {"net_sales": SALES, "gross_sales": SALES, "units": UNITS}
CONFIG: Final = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}  # for whoever shows a figure


_SEGMENT_PX: Final = 42
_MAP_PX: Final = 400
_MOST_TIME_MARKS: Final = 8
_HALF_A_DAY: Final = np.timedelta64(12, "h")
_LONE_BAR_MS: Final = 8 * 60 * 60 * 1000
COHORT_MONTHS: Final = 12


def net_sales(points: pd.DataFrame, before: pd.DataFrame | None, named: str, grain: Grain, currency: str) -> go.Figure:
    """Net sales of a period's buckets, those of the comparison (`named` so) dashed."""
    shape = _Line("net_sales", "Net sales", named, SALES, currency)
    figure = _compared(points, before, shape, grain)
    return figure.update_layout(height=HEIGHT_PX + 30)


def orders(points: pd.DataFrame, before: pd.DataFrame | None, named: str, grain: Grain) -> go.Figure:
    """Orders of a period's buckets, those of the comparison (`named` so) dashed."""
    return _compared(points, before, _Line("orders", "Orders", named, ORDERS), grain)


@dataclass(frozen=True, slots=True)
class _Line:
    column: str
    name: str
    name_before: str
    colour: str
    currency: str | None = None


def _compared(points: pd.DataFrame, before: pd.DataFrame | None, shape: _Line, grain: Grain) -> go.Figure:
    figure = blank()
    currency, column = shape.currency, shape.column
    if before is not None:
        dashed = {"color": BEFORE, "width": 1.75, "dash": "dash"}
        labels = _labels(before, before[column], None, currency)
        alone = {"mode": "markers", "marker": _marks(points, BEFORE)} if len(points) == 1 else {}  # no line to see
        values = _plotted(before[column], currency)
        figure.add_trace(_line(points, values, shape.name_before, labels, line=dashed, **alone))
    figure.add_trace(
        _line(
            points,
            _plotted(points[column], currency),
            shape.name,
            _labels(points, points[column], grain, currency),
            line={"color": shape.colour, "width": 2.5},
            marker=_marks(points, shape.colour),
            mode="lines+markers",
            cliponaxis=False,
            fill="tozeroy",
            fillcolor=_faint(shape.colour),
        )
    )
    figure.update_layout(legend={"traceorder": "reversed"})
    heights = [*points[column], *(() if before is None else before[column])]
    return _over_time(figure, _TimeAxes(points, grain, heights, currency), legend=before is not None)


def _line(points: pd.DataFrame, values: Any, name: str, labels: Any, **look: Any) -> go.Scatter:
    hover = f"%{{customdata[0]}}<br>{name}: <b>%{{customdata[1]}}</b><extra></extra>"
    looks = {"mode": "lines", **look}
    return go.Scatter(x=_middles(points), y=values, name=name, customdata=labels, hovertemplate=hover, **looks)


def customers(points: pd.DataFrame, grain: Grain) -> go.Figure:
    """New on top of returning customers; each is counted once a day."""
    figure = blank()
    figure.add_trace(_bars(points, ("returning_customers", "Returning", CUSTOMERS), grain))
    figure.add_trace(_bars(points, ("new_customers", "New", NEW_CUSTOMERS), grain))
    heights = points["returning_customers"] + points["new_customers"]
    return _over_time(figure, _TimeAxes(points, grain, heights), legend=True).update_layout(barmode="stack")


def new_share(points: pd.DataFrame, before: pd.DataFrame | None, named: str, grain: Grain) -> go.Figure:
    """The share of new among the customers of each bucket, that of the comparison (`named` so) dashed."""
    figure = blank()
    looks = {"connectgaps": True, "cliponaxis": False}  # on a closed day there is no share
    if before is not None:
        alone = {"mode": "markers", "marker": _marks(points, BEFORE)} if len(points) == 1 else {}
        dashed = {"color": BEFORE, "width": 1.75, "dash": "dash"}
        figure.add_trace(
            _line(points, before["new_share"].to_numpy(), named, _shares(before, None), line=dashed, **looks, **alone)
        )
    figure.add_trace(
        _line(
            points,
            points["new_share"].to_numpy(),
            "New",
            _shares(points, grain),
            line={"color": NEW_CUSTOMERS, "width": 2.5},
            marker=_marks(points, NEW_CUSTOMERS),
            mode="lines+markers",
            **looks,
        )
    )
    figure.update_layout(showlegend=before is not None, hovermode="closest", legend={"traceorder": "reversed"})
    figure.update_xaxes(showgrid=False, **_time_marks(points, grain), **NO_ZOOM)
    return figure.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=6, **NO_ZOOM)


def _shares(points: pd.DataFrame, grain: Grain | None) -> Any:
    days = _labels(points, points["new_customers"], grain, None)[:, 0]
    return np.column_stack([days, [text.percent(None if pd.isna(share) else share) for share in points["new_share"]]])


def returns(points: pd.DataFrame, grain: Grain, currency: str) -> go.Figure:
    """Returned value in each bucket."""
    figure = blank()
    figure.add_trace(_bars(points, ("returns", "Returns", RETURNS), grain, currency))
    return _over_time(figure, _TimeAxes(points, grain, points["returns"], currency), legend=False)


def weekdays(profile: pd.DataFrame, currency: str) -> go.Figure:
    """Net sales of the average day of each weekday."""
    amounts = profile["net_sales"]
    shown = [text.money(None if pd.isna(mills) else mills, currency) for mills in amounts]
    figure = blank()
    figure.add_trace(
        go.Bar(
            x=profile["weekday"],
            y=units(amounts),
            marker={"color": SALES},
            text=[label if days else "" for label, days in zip(shown, profile["days"], strict=True)],
            textposition="outside",
            cliponaxis=False,
            customdata=np.column_stack([shown, profile["days"]]),
            hovertemplate="%{x}: <b>%{customdata[0]}</b> a day<br>%{customdata[1]} such days<extra></extra>",
        )
    )
    return figure.update_xaxes(type="category", **NO_ZOOM).update_yaxes(visible=False, **NO_ZOOM)


# --- products ---------------------------------------------------------------------------------------------------------


def leaders(products: pd.DataFrame, by: str, currency: str) -> go.Figure:
    """Horizontal bars of one measure, best on top, each with its number."""
    money = by != "units"
    labels = [text.money(value, currency) if money else text.count(value) for value in products[by]]
    return _ranking(products, by, labels, MEASURE_COLOURS[by], money=money)


def most_returned(products: pd.DataFrame, currency: str) -> go.Figure:
    """Horizontal bars of returned value, with its share of the product's gross sales."""
    labels = [
        f"{text.money(value, currency)} ({text.percent(None if pd.isna(rate) else rate)})"
        for value, rate in zip(products["returns"], products["return_rate"], strict=True)
    ]
    return _ranking(products, "returns", labels, RETURNS, money=True)


def _ranking(products: pd.DataFrame, column: str, labels: Sequence[str], colour: str, *, money: bool) -> go.Figure:
    names = [product_name(sku, name) for sku, name in zip(products["sku"], products["description"], strict=True)]
    values = units(products[column]) if money else products[column].to_numpy()
    figure = blank(height=ROW_PX * len(products) + 24)
    figure.add_trace(
        go.Bar(
            x=values,
            y=products["sku"],
            orientation="h",
            marker={"color": colour},
            text=labels,
            textposition="auto",
            insidetextfont={"color": "#ffffff"},
            constraintext="none",
            customdata=np.column_stack(
                [[plain(name) for name in names], labels, [plain(sku) for sku in products["sku"]]]
            ),
            hovertemplate="%{customdata[0]}<br><b>%{customdata[1]}</b><extra>%{customdata[2]}</extra>",
        )
    )
    figure.update_yaxes(
        type="category",
        autorange="reversed",
        tickmode="array",
        tickvals=products["sku"],
        ticktext=[plain(shortened(name)) for name in names],
        showgrid=False,
        ticklabelstandoff=4,
        **NO_ZOOM,
    )
    return figure.update_xaxes(visible=False, **NO_ZOOM)


def pareto(curve: pd.DataFrame, classes: pd.DataFrame) -> go.Figure:
    """The share of sales that the best products make, with a band for each class."""
    figure = blank(height=HEIGHT_PX + 30)
    edges = np.concatenate([[0.0], classes["share_of_products"].cumsum().to_numpy()])
    for place, (name, products) in enumerate(zip(classes["abc_class"], classes["products"], strict=True)):
        figure.add_vrect(
            x0=edges[place],
            x1=edges[place + 1],
            fillcolor=ABC_COLOURS.get(name, BEFORE),
            opacity=0.12,
            line_width=0,
            layer="below",
            annotation={"text": f"<b>{name}</b> {text.count(products)}", "showarrow": False},
            annotation_position="bottom right",
        )
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([[0.0], curve["share_of_products"]]),
            y=np.concatenate([[0.0], curve["cumulative_share"]]),
            mode="lines",
            line={"color": SALES, "width": 2.5},
            hovertemplate="The best %{x:.1%} of products<br>make <b>%{y:.1%}</b> of gross sales<extra></extra>",
        )
    )
    figure.update_xaxes(
        title="share of products, best first", tickformat=".0%", range=[0, 1], showgrid=False, **NO_ZOOM
    ).update_layout(margin={"r": 28})
    return figure.update_yaxes(title="share of gross sales", tickformat=".0%", range=[0, 1.02], **NO_ZOOM)


# --- customers --------------------------------------------------------------------------------------------------------


def segments(table: pd.DataFrame, currency: str) -> go.Figure:
    """For each segment its share of customers and its share of sales, side by side."""
    amounts = [text.money(value, currency) for value in table["monetary"]]
    figure = blank(height=_SEGMENT_PX * len(table) + 60)
    figure.add_trace(_share_bar(table, "share_of_sales", "of sales", SALES, amounts))
    figure.add_trace(
        _share_bar(table, "share_of_customers", "of customers", CUSTOMERS, [text.count(n) for n in table["customers"]])
    )
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.08, showlegend=True)
    figure.update_layout(legend={"traceorder": "reversed"})
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticklabelstandoff=4, **NO_ZOOM)
    return figure.update_xaxes(visible=False, range=[min(0.0, _least(table)), _most(table) * 1.25], **NO_ZOOM)


def _share_bar(table: pd.DataFrame, column: str, name: str, colour: str, absolute: Sequence[str]) -> go.Bar:
    shares = [text.percent(None if pd.isna(share) else share) for share in table[column]]
    return go.Bar(
        x=table[column],
        y=table["segment"],
        name=name,
        orientation="h",
        marker={"color": colour},
        text=shares,
        textposition="outside",
        constraintext="none",
        cliponaxis=False,
        customdata=np.column_stack([shares, absolute]) if len(table) else None,
        hovertemplate=f"%{{y}}: <b>%{{customdata[0]}}</b> {name} (%{{customdata[1]}})<extra></extra>",
    )


def _least(table: pd.DataFrame) -> float:
    return float(np.nanmin([0.0, *table["share_of_sales"]]))


def _most(table: pd.DataFrame) -> float:
    return float(np.nanmax([0.01, *table["share_of_sales"], *table["share_of_customers"]]))


def rfm_map(grid: pd.DataFrame, by: Literal["customers", "monetary"], currency: str, *, dark: bool) -> go.Figure:
    """Recency score up, frequency score to the right; each cell with its number of customers or their money."""
    table = grid.pivot_table(index="r_score", columns="f_score", values=["customers", "monetary"], aggfunc="sum")
    people, mills = table["customers"].to_numpy(), table["monetary"].to_numpy()
    amounts = [[text.money(value, currency) for value in row] for row in mills]
    numbers = [[text.count(value) for value in row] for row in people]
    heights = people if by == "customers" else mills / MILLS_PER_UNIT
    scale = scale_of(dark=dark)
    figure = blank(height=_MAP_PX)
    figure.add_trace(
        go.Heatmap(
            z=heights,
            x=SCORES,
            y=SCORES,
            **shades(heights, scale),
            customdata=np.dstack([numbers, amounts]),
            hovertemplate="recency %{y}, frequency %{x}<br><b>%{customdata[0]}</b> customers, "
            "<b>%{customdata[1]}</b><extra></extra>",
            xgap=3,
            ygap=3,
            showscale=False,
        )
    )
    figure.add_trace(cell_texts(heights, numbers if by == "customers" else amounts, SCORES, SCORES, scale))
    edges = (-0.5, len(SCORES) - 0.5)
    figure.update_xaxes(
        title="frequency: seldom \N{RIGHTWARDS ARROW} often", type="category", range=edges, showgrid=False, **NO_ZOOM
    )
    return figure.update_yaxes(
        title="recency: long ago \N{RIGHTWARDS ARROW} just now",
        type="category",
        range=edges,
        showgrid=False,
        **NO_ZOOM,
    )


def cohorts(retention: Retention, *, dark: bool) -> go.Figure:
    """The retention triangle; months that have not begun stay empty, the one that is not over gives lower bounds.

    It is COHORT_MONTHS wide at most: more columns than that cannot be read on a phone.
    """
    rates = retention.rates.iloc[:, :COHORT_MONTHS]
    shares, since_names, scale = rates.to_numpy(), [str(since) for since in rates.columns], scale_of(dark=dark)
    months = pd.DatetimeIndex(rates.index)
    names = [
        f"{text.month(month)} \N{MIDDLE DOT} {text.count(size)}"
        for month, size in zip(months, retention.sizes, strict=True)
    ]
    figure = blank(height=max(170, ROW_PX * len(rates) + 70))
    figure.add_trace(
        go.Heatmap(
            z=shares,
            x=since_names,
            y=names,
            **shades(shares, scale),
            hovertemplate="%{y} customers<br>month %{x}: <b>%{z:.1%}</b> ordered<extra></extra>",
            hoverongaps=False,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    cells = [
        [_cell(rate, running=retention.is_running(month, since)) for since, rate in enumerate(row, start=1)]
        for month, row in zip(months, shares, strict=True)
    ]
    figure.add_trace(cell_texts(shares, cells, since_names, names, scale))
    figure.update_xaxes(
        title="months since the first order",
        type="category",
        range=(-0.5, len(since_names) - 0.5),
        side="top",
        showgrid=False,
        **NO_ZOOM,
    )
    return figure.update_yaxes(
        type="category", range=(len(names) - 0.5, -0.5), showgrid=False, ticklabelstandoff=4, **NO_ZOOM
    )


def _cell(rate: float, *, running: bool) -> str:
    if np.isnan(rate):
        return ""
    return ("\N{GREATER-THAN OR EQUAL TO}" if running else "") + f"{rate * 100:.0f}"


# --- common shapes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _TimeAxes:
    """What the axes of a chart over time are made for: its buckets, and all the heights drawn over them."""

    points: pd.DataFrame
    grain: Grain
    heights: "Sequence[int] | pd.Series[int]"
    currency: str | None = None


def _over_time(figure: go.Figure, axes: _TimeAxes, *, legend: bool) -> go.Figure:
    figure.update_layout(showlegend=legend, hovermode="closest")
    figure.update_xaxes(showgrid=False, **_time_marks(axes.points, axes.grain), **NO_ZOOM)
    return figure.update_yaxes(**_height_marks(axes.heights, axes.currency), **NO_ZOOM)


def _time_marks(points: pd.DataFrame, grain: Grain) -> dict[str, Any]:
    """Marks in time; those of daily numbers are whole days, however few there are."""
    if grain != "day":  # the year below: in one line with it the marks of a phone would stand aslant
        return {"nticks": _MOST_TIME_MARKS, "tickformat": "%b\n%Y" if grain == "month" else "%-d %b\n%Y"}
    if len(points) > _MOST_TIME_MARKS:  # Plotly's own marks are then a day or more apart, and fewer on a phone
        return {"nticks": _MOST_TIME_MARKS, "tickformat": "%-d %b\n%Y"}
    marks = _middles(points)
    return {
        "tickmode": "array",
        "tickvals": marks,
        "ticktext": _day_labels(points["first"]),
        "range": [marks[0] - _HALF_A_DAY, marks[-1] + _HALF_A_DAY],
    }


def _day_labels(days: "pd.Series[pd.Timestamp]") -> list[str]:
    """A day and its month, and below them the year where it changes."""
    labels, year_before = [], ""
    for day in days:
        of_month, year = text.day(day).rsplit(maxsplit=1)
        labels.append(of_month if year == year_before else f"{of_month}<br>{year}")
        year_before = year
    return labels


def _height_marks(heights: "Sequence[int] | pd.Series[int]", currency: str | None) -> dict[str, Any]:
    """Marks in the words of the cards: Plotly's own would say 800m for 80 pence, and 6G for 6 billion."""
    marks = ticks(heights, currency)
    unit = MILLS_PER_UNIT if currency else 1
    return {
        "tickmode": "array",
        "tickvals": [value / unit for value in marks.places],
        "ticktext": marks.labels,
        **({"rangemode": "tozero"} if marks.top is None else {"range": [0, marks.top / unit]}),
    }


def _bars(points: pd.DataFrame, shape: tuple[str, str, str], grain: Grain, currency: str | None = None) -> go.Bar:
    column, name, colour = shape
    return go.Bar(
        x=_middles(points),
        y=_plotted(points[column], currency),
        width=_LONE_BAR_MS if len(points) == 1 else None,  # one bar has no neighbour to tell Plotly its width
        name=name,
        marker=_fills(points, colour),
        customdata=_labels(points, points[column], grain, currency),
        hovertemplate=f"%{{customdata[0]}}<br>{name}: <b>%{{customdata[1]}}</b><extra></extra>",
    )


def _middles(points: pd.DataFrame) -> Any:
    """Where a bucket stands on the time axis: in its middle, so that a bar covers its days."""
    return (points["first"] + (points["last"] - points["first"]) / 2).to_numpy()


def _labels(points: pd.DataFrame, values: "pd.Series[int]", grain: Grain | None, currency: str | None) -> Any:
    """For each bucket its days and its exact value, for the hover."""
    days = [
        text.span(first.date(), last.date()) + (f" (part of a {grain})" if partial and grain else "")
        for first, last, partial in zip(points["first"], points["last"], points["partial"], strict=True)
    ]
    numbers = [text.money_exact(value, currency) if currency else text.count(value) for value in values]
    return np.column_stack([days, numbers])


def _marks(points: pd.DataFrame, colour: str) -> dict[str, Any]:
    """No marker on a whole bucket, a hollow one on a part; a dot where a single point makes no line."""
    alone = len(points) == 1
    return {
        "color": colour,
        "symbol": ["circle-open" if partial else "circle" for partial in points["partial"]],
        "size": [9 if partial or alone else 0 for partial in points["partial"]],
        "line": {"width": 2, "color": colour},
    }


def _fills(points: pd.DataFrame, colour: str) -> dict[str, Any]:
    """A bucket that is only part of its week or month is drawn pale."""
    return {"color": colour, "opacity": [0.45 if partial else 1.0 for partial in points["partial"]]}


def _faint(colour: str) -> str:
    red, green, blue = rgb(colour)
    return f"rgba({red},{green},{blue},0.10)"


def _plotted(values: "pd.Series[int]", currency: str | None) -> Any:
    return units(values) if currency else values.to_numpy()
