"""How a page looks on paper: all of it, its numbers and charts, and nothing that is there to be clicked."""

from typing import Final

import streamlit as st

_ON_PAPER: Final = """
<style>
@media print {
  [data-testid="stToolbar"], [data-testid="stHeader"], [data-testid="stPageLink"], [data-testid="stDownloadButton"],
  [data-testid="stButtonGroup"], [data-testid="stTextInput"], [data-testid="stSelectbox"], [data-testid="stButton"],
  [data-testid="stDateInput"], [data-testid="stTooltipIcon"] { display: none !important; }
  html, body, #root, .stApp, [data-testid="stAppViewContainer"], [data-testid="stMain"] {
    position: static !important; overflow: visible !important; height: auto !important; background: none !important;
  }
  [data-testid="stMetric"], [data-testid="stPlotlyChart"], [data-testid="stDataFrame"] { break-inside: avoid; }
}
</style>
"""


def on_paper() -> None:
    """Say it to the browser."""
    st.html(_ON_PAPER)
