"""What a page looks like on paper: its numbers and charts, whole and on white, and nothing to click."""

from typing import Final

import streamlit as st

# Charts keep the width they have on the screen, as nothing is drawn anew for paper. So the page has a greatest width,
# and is made smaller by as much as it takes for that to fit across a sheet of A4 or Letter that lies on its side.
_WIDEST_PX: Final = 1520
_SMALLER: Final = 0.72

# By the names that Streamlit gives its elements for tests; one that changes prints a control, and breaks nothing.
_NOT_ON_PAPER: Final = (
    "stHeader",
    "stToolbar",
    "stSidebar",
    "stStatusWidget",
    "stPageLink",
    "stDownloadButton",
    "stButton",
    "stButtonGroup",
    "stRadio",
    "stCheckbox",
    "stDateInput",
    "stTextInput",
    "stSelectbox",
    "stMultiSelect",
    "stTooltipIcon",
    "stElementToolbar",
)

_STYLE: Final = f"""
.stMainBlockContainer {{ max-width: {_WIDEST_PX}px; }}
@page {{ size: landscape; margin: 10mm; }}
@media print {{
  {", ".join(f'[data-testid="{name}"]' for name in _NOT_ON_PAPER)} {{ display: none !important; }}
  html, body, #root, #root > div, .stApp, .stApp > div, .stAppViewContainer, .stMain {{
    position: static !important; display: block !important; height: auto !important; max-height: none !important;
    overflow: visible !important;
  }}
  html, body, .stApp {{ color-scheme: light !important; background: #ffffff !important; }}
  .stMainBlockContainer {{ padding: 0 !important; max-width: none; zoom: {_SMALLER}; }}
  [data-testid="stMetric"], [data-testid="stPlotlyChart"], [data-testid="stDataFrame"], .cal section,
  [data-testid="stVerticalBlock"]:has(> [data-testid="stElementContainer"] [data-testid="stPlotlyChart"]) {{
    break-inside: avoid;
  }}
  h1, h2, h3 {{ break-after: avoid; }}
}}
"""

# A dark page on white paper: dark texts, pale lines, and the pale grounds of the little charts and badges.
_OF_THE_DARK: Final = """
@media print {
  .stApp *:not([data-testid="stMetricDelta"], [data-testid="stMetricDelta"] *) { color: #18212f !important; }
  [data-testid="stMetricDelta"], [data-testid="stDataFrame"] canvas { filter: invert(1) hue-rotate(180deg); }
  .stMarkdownBadge { background: #f1f4f9 !important; }
  [data-testid="stMetricChart"] svg { background: none !important; }
  [data-testid="stMetricChart"] .mark-area path { opacity: 0.15; }
  [data-testid="stMetric"], [data-testid="stVerticalBlock"] { border-color: #dfe5ee !important; }
  .js-plotly-plot :is(.xtick, .ytick, .legend, .g-xtitle, .g-ytitle, .annotation) text { fill: #18212f !important; }
  .js-plotly-plot .bartext-outside { fill: #18212f !important; }
  .js-plotly-plot :is(.gridlayer, .zerolinelayer) path { stroke: #dfe5ee !important; }
}
"""


def on_paper(*, dark: bool) -> None:
    """Send the style sheet for print; to be called once in a run. `dark`: whether the page is, on this screen."""
    st.html(f"<style>{_STYLE}{_OF_THE_DARK if dark else ''}</style>")
