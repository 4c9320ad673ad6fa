"""What pages are made of: KPI cards, and cards that hold a chart or a table with its CSV."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import plotly.graph_objects as go
import streamlit as st

from dashboard import charts
from dashboard import format as text
from dashboard.notable_days import NotableDay
from dashboard.views import Kpi

PHONE_CARD_PX = 150
KPIS_IN_A_ROW = 4  # and two on a phone: no row is left with fewer


def kpi_row(kpis: Sequence[Kpi], currency: str, *, compared: bool) -> None:
    """One card for each KPI, with its change (n/a where it has none) when there are days to compare with."""
    with st.grid(KPIS_IN_A_ROW, min_column_width=PHONE_CARD_PX, gap="small"):
        for kpi in kpis:
            _kpi_card(kpi, currency, compared=compared)


def _kpi_card(kpi: Kpi, currency: str, *, compared: bool) -> None:
    flat = kpi.change is None or delta_text(kpi).startswith("0.0")
    st.metric(
        kpi.name,
        value_text(kpi, currency),
        delta=delta_text(kpi) if compared else None,
        delta_color="off" if flat or kpi.rise_is_good is None else "normal" if kpi.rise_is_good else "inverse",
        delta_arrow="off" if flat else "auto",
        delta_description=kpi.change_of if compared and kpi.change_of and kpi.change is not None else None,
        help=f"{kpi.meaning} Exactly: {exact_text(kpi, currency)}.",
        chart_data=kpi.series if len(kpi.series) > 1 else None,
        chart_type="area",
        border=True,
        height="stretch",
    )


def value_text(kpi: Kpi, currency: str) -> str:
    """What stands on the card."""
    if kpi.kind == "money":
        return text.money(kpi.value, currency)
    return text.count_compact(kpi.value) if kpi.kind == "count" else text.percent(kpi.value)


def exact_text(kpi: Kpi, currency: str) -> str:
    """What stands behind it."""
    if kpi.kind == "money":
        return text.money_exact(kpi.value, currency)
    return text.count(kpi.value) if kpi.kind == "count" else text.percent(kpi.value)


def delta_text(kpi: Kpi) -> str:
    """The change, or n/a."""
    return text.points(kpi.change) if kpi.kind == "rate" else text.change(kpi.change)


def fact(label: str, value: str, note: str, meaning: str) -> None:
    """A card with a number and a quiet note instead of a change."""
    st.metric(
        label, value, delta=note, delta_color="off", delta_arrow="off", help=meaning, border=True, height="stretch"
    )


def day_list(days: Sequence[NotableDay], currency: str) -> str:
    """Days with their net sales, and below each its reasons where it has some, as Markdown."""
    return "\n".join(f"{place}. {_day_line(day, currency)}" for place, day in enumerate(days, start=1))


def _day_line(day: NotableDay, currency: str) -> str:
    amount = text.money(day.net_sales_mills, currency)
    line = f"**{day.weekday[:3]} {text.day(day.day)}** \N{MIDDLE DOT} {amount}"
    return _safe(f"{line}  \n   :small[{'. '.join(day.reasons)}]" if day.reasons else line)


def _safe(words: str) -> str:
    """Between two dollars Markdown would see a formula."""
    return words.replace("$", "\\$")


@contextmanager
def card(title: str, *, key: str, file: Callable[[], bytes], note: str = "") -> Iterator[None]:
    """A bordered card with a title, a note, and the numbers of what is drawn inside as `key`.csv."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            st.markdown(f"**{title}**", width="stretch")
            st.download_button(
                "CSV",
                file,
                file_name=f"{key}.csv",
                mime="text/csv; charset=utf-8",
                key=f"{key}-csv",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
                help="The numbers of this card as CSV",
            )
        if note:
            st.caption(note)
        yield


def chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """A figure without tools: nothing to drag, zoom or export by accident."""
    st.plotly_chart(figure, key=f"{key}-chart", config=charts.CONFIG, alt=alt)


def chart_card(
    title: str, figure: go.Figure, *, key: str, file: Callable[[], bytes], note: str = "", instead: str = ""
) -> None:
    """A card with one chart; where there is nothing to draw, with a sentence `instead`."""
    with card(title, key=key, file=file, note=note):
        if instead:
            st.info(instead)
        else:
            chart(figure, key=key, alt=f"{title}. {note}")


def any_case(key: str, options: Sequence[str]) -> None:
    """Let an address spell a widget's option in any case: `?period=all`. To be called before the widget is made.

    An empty value, `?period=`, is as if it were not there: it would clear the widget, and show nothing as chosen.
    Streamlit takes only the exact spelling, and reads the address when a run begins: hence the new run.
    """
    written = st.query_params.get(key)
    if written is None or written in options or key in st.session_state:
        return
    if not written:
        del st.query_params[key]
        st.rerun()
    meant = next((option for option in options if option.casefold() == written.casefold()), None)
    if meant is not None:
        st.query_params[key] = meant
        st.rerun()
