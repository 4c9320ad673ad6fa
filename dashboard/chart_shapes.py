"""What charts of all pages are drawn with: an empty figure, the scale of heat maps and its texts, names of products."""

import html
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from etl.contract import MILLS_PER_UNIT

Rgb = tuple[int, int, int]
Scale = tuple[Rgb, Rgb, Rgb]

NO_ZOOM: Final = {"fixedrange": True}  # a finger that scrolls the page must not zoom the chart
HEIGHT_PX: Final = 290
ROW_PX: Final = 27
_LABEL_LETTERS: Final = 26
_CELL_TEXT_PX: Final = 11
_NEARLY_BLACK: Final = 0.04045  # below it sRGB is linear


def blank(height: int = HEIGHT_PX) -> go.Figure:
    """A figure without tools and without a background; text and grid are the theme's."""
    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 4, "r": 8, "t": 8, "b": 4},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False, "title": None},
            "bargap": 0.25,
            "dragmode": False,
            "title": "",
        }
    )


def scale_of(*, dark: bool) -> Scale:
    """Its low end is near the page's background, so that what is much stands out by day and by night."""
    low, middle, high = ("#152039", "#2563eb", "#bfdbfe") if dark else ("#e3eefe", "#6ba4fa", "#1e3a9a")
    return rgb(low), rgb(middle), rgb(high)


def shades(values: Any, scale: Scale) -> dict[str, Any]:
    """The colours of a heat map, with ends that are known here: the colour of each cell's text depends on them."""
    low, high = _ends(values)
    return {"zmin": low, "zmax": high, "colorscale": [css(colour) for colour in scale]}


def _ends(values: Any) -> tuple[float, float]:
    low, high = float(np.nanmin([0.0, *values.flat])), float(np.nanmax([0.0, *values.flat]))
    return low, high if high > low else low + 1


def cell_texts(values: Any, texts: Any, columns: Sequence[Any], rows: Sequence[Any], scale: Scale) -> go.Scatter:
    """The texts of a heat map's cells, each black or white by what it stands on: the map's own are grey on mid-blue."""
    low, high = _ends(values)
    cells = [
        (columns[across], rows[down], texts[down][across], _ink(scale, (value - low) / (high - low)))
        for (down, across), value in np.ndenumerate(values)
        if not np.isnan(value)
    ]
    return go.Scatter(
        x=[cell[0] for cell in cells],
        y=[cell[1] for cell in cells],
        text=[cell[2] for cell in cells],
        textfont={"color": [cell[3] for cell in cells], "size": _CELL_TEXT_PX},
        mode="text",
        hoverinfo="skip",
        showlegend=False,
    )


def _ink(scale: Scale, place: float) -> str:
    """Black or white, whichever has the higher contrast with the scale's colour at a place from 0 to 1."""
    places = np.linspace(0, 1, len(scale))
    light = _luminance([float(np.interp(place, places, parts)) for parts in zip(*scale, strict=True)])
    return "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance as WCAG defines it."""
    red, green, blue = (
        part / 12.92 if part <= _NEARLY_BLACK else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def rgb(colour: str) -> Rgb:
    """#rrggbb in numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def css(colour: Rgb) -> str:
    """As a colour scale takes it."""
    return f"rgb{colour}"


def product_name(sku: str, description: Any) -> str:
    """What a product is called, less loudly than in its export."""
    return sku if pd.isna(description) else str(description).strip().capitalize()


def plain(words: str) -> str:
    """Plotly reads tags in texts; the shop's words are to be shown, not obeyed."""
    return html.escape(words, quote=False)


def shortened(name: str) -> str:
    """As long as an axis has room for."""
    return name if len(name) <= _LABEL_LETTERS else f"{name[: _LABEL_LETTERS - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def units(mills: "pd.Series[int] | pd.Series[float]") -> Any:
    """Amounts in units of the currency."""
    return mills.to_numpy() / MILLS_PER_UNIT
