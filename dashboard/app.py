"""The entry script that Streamlit runs for every visitor and every click: head, navigation, one page."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from dashboard import format as text
from dashboard.data import FIRST_LOAD_WAIT_S, LastGood, Problem, Snapshot, shared
from dashboard.health import SCRIPT
from dashboard.page_run import logged
from dashboard.pages import customers, operations, overview, products, quality
from dashboard.pages.around import Around
from dashboard.pages.printing import on_paper
from dashboard.pages.sign_in import admitted, may_see, sign_out, signed_in
from dashboard.status import status
from etl.errors import KpiOpsError, NothingPublished
from ops.settings import Settings, load

LOOK_AGAIN_S = 60
LOOK_FOR_THE_FIRST_S = 3


@dataclass(frozen=True, slots=True)
class Page:
    """A page, the question it answers, and its place in the address: the one without a path comes first.

    `reads`: the artifacts whose rows it shows.
    """

    title: str
    path: str
    icon: str
    question: str
    render: Callable[[Around], None]
    reads: tuple[str, ...]


def _of_numbers(render: Callable[[Snapshot], None]) -> Callable[[Around], None]:
    """A page that shows the snapshot and needs nothing else."""
    return lambda around: render(around.snapshot)


PAGES = (
    Page(
        "Overview",
        "",
        ":material/monitoring:",
        overview.QUESTION,
        _of_numbers(overview.render),
        reads=("daily_kpis",),
    ),
    Page(
        "Products",
        "products",
        ":material/inventory_2:",
        products.QUESTION,
        _of_numbers(products.render),
        reads=("top_products", "product_months"),
    ),
    Page(
        "Customers",
        "customers",
        ":material/group:",
        customers.QUESTION,
        customers.render,
        reads=("rfm", "cohorts"),
    ),
    Page(
        "Data quality",
        "quality",
        ":material/fact_check:",
        quality.QUESTION,
        quality.render,
        reads=("daily_kpis", "sample_kpis"),
    ),
    Page(
        "Operations",
        "operations",
        ":material/monitor_heart:",
        operations.QUESTION,
        operations.render,
        reads=(),
    ),
)


def main(settings: Settings) -> None:
    """Draw the page that the address names."""
    st.set_page_config(page_title=settings.dashboard.title, page_icon="\N{BAR CHART}", layout="wide")
    if not admitted(settings.sign_in, settings.dashboard.title, _utc_now()):
        st.navigation([_page(page, None) for page in PAGES], position="hidden")  # their links stay good
        return
    holder = shared(settings.store_address, settings.dashboard.refresh_s, settings.dashboard.cache)
    state = holder.state(FIRST_LOAD_WAIT_S)
    around = Around(state.snapshot, settings, holder) if state.snapshot else None
    shown = {_page(page, around): page for page in PAGES}
    opened = st.navigation(list(shown), position="hidden")
    on_paper(dark=st.context.theme.type == "dark")
    _links(list(shown), signed_in=signed_in(settings.sign_in))
    if state.snapshot is None:
        _without_data(settings, holder, state.problem)
        return
    st.title(shown[opened].question, anchor=False)
    _head(settings, holder, state.snapshot.manifest.run_id)
    page = shown[opened]
    rows = sum(len(state.snapshot.frames[name]) for name in page.reads)
    with logged(page.path or "overview", rows, state.snapshot.manifest.run_id):
        opened.run()


def _links(pages: Sequence[st.Page], *, signed_in: bool) -> None:
    """The navigation, one tap away on every screen: Streamlit's own becomes a drawer that covers a phone's page."""
    with st.container(horizontal=True, gap="xsmall"):
        for page in pages:
            st.page_link(page, icon=page.icon)
        if signed_in:
            sign_out()


def _page(page: Page, around: Around | None) -> st.Page:
    """Its place in the navigation; without a snapshot it is named there but never run."""
    body = partial(page.render, around) if around else _nothing
    return st.Page(body, title=page.title, url_path=page.path, default=not page.path, icon=page.icon)


def _nothing() -> None:
    """The body of a page that has no data."""


@st.fragment(run_every=LOOK_AGAIN_S)
def _head(settings: Settings, holder: LastGood, run_id: str) -> None:
    """What an idle page shows stays true: this part runs every minute, and draws all anew when there is a new run.

    And where the sign-in has ended meanwhile.
    """
    state = holder.state()
    snapshot = state.snapshot
    now = _utc_now()
    if snapshot is None or snapshot.manifest.run_id != run_id or not may_see(settings.sign_in, now):
        st.rerun()
    told = status(snapshot.manifest, state.problem, now, settings.freshness)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(told.badge, color=told.tone, icon=":material/event_available:")
        st.caption(
            f"{settings.dashboard.title} \N{MIDDLE DOT} {told.detail}", width="content", help=_provenance(snapshot)
        )
    if told.warning:
        st.warning(told.warning, icon=":material/history:")


def _provenance(snapshot: Snapshot) -> str:
    manifest = snapshot.manifest
    return (
        f"Run {manifest.run_id}, calculated {text.moment(manifest.generated_at)} from {text.count(manifest.rows_in)} "
        f"lines, of which {text.count(manifest.rows_kept)} count. "
        f"Days from {text.span(manifest.data_from, manifest.data_through)}."
    )


def _without_data(settings: Settings, holder: LastGood, problem: Problem | None) -> None:
    st.title(settings.dashboard.title)
    if problem is None:
        st.info(f"Reading the newest snapshot from {holder.where}. This page will show it when it has arrived.")
    elif isinstance(problem.error, NothingPublished):
        st.info(
            f"**No numbers yet.** Nothing has been published to `{holder.where}`.\n\n"
            "Publish the first snapshot with `fab etl-sync`; this page will show it by itself.",
            icon=":material/upload:",
        )
    else:
        st.error(f"**The numbers cannot be read.** {problem.reason}.", icon=":material/cloud_off:")
        if isinstance(problem.error, KpiOpsError):
            st.markdown(f"Expected: {problem.error.expected}.\n\nTo do: {problem.error.to_do}.")
    _watch(holder)
    st.stop()


@st.fragment(run_every=LOOK_FOR_THE_FIRST_S)
def _watch(holder: LastGood) -> None:
    if holder.state().snapshot is not None:
        st.rerun()


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a run of the script, or the head by itself every minute: nobody is above to pass a clock


@st.cache_resource
def _settings() -> Settings:
    return load()


@st.cache_resource
def _freeze() -> None:
    """Take all that the first run imported out of sight of the collection that follows every run: 4 x less CPU."""
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main(_settings())
    _freeze()
    SCRIPT.passed()
