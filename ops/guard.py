"""Does a snapshot look broken beside the published one? Pure."""

from collections.abc import Iterator, Mapping

from etl.contract import Manifest, columns_in, columns_of
from etl.store import Base
from ops.settings import PublishSettings

COUNTED = ("daily_kpis", "top_products", "rfm", "cohorts")  # sample_kpis has 500 rows whatever comes in


def doubts(mine: Manifest, base: Base, limits: PublishSettings) -> list[str]:
    """Why `mine` should not replace what is published, each in words; empty where nothing speaks against it."""
    published = columns_in(base.text) if base.text else {}
    return [
        *_columns_gone(published, {name: set(columns_of(name)) for name in mine.artifacts}),
        *(_moved_back(mine, base.manifest, limits) if base.manifest else ()),
    ]


def _columns_gone(published: Mapping[str, set[str]], mine: Mapping[str, set[str]]) -> Iterator[str]:
    for name, columns in published.items():
        if name not in mine:
            yield f"the artifact {name} would be gone"
        elif gone := sorted(columns - mine[name]):
            yield f"{name} would lose {', '.join(gone)}"


def _moved_back(mine: Manifest, published: Manifest, limits: PublishSettings) -> Iterator[str]:
    back_days = (published.data_through - mine.data_through).days
    if back_days > limits.max_days_back:
        yield f"the newest day would move back from {published.data_through} to {mine.data_through}"
    if mine.currency != published.currency:
        yield f"the currency would change from {published.currency} to {mine.currency}"
    for what, before, after in _counts(published, mine):
        if before > 0 and (before - after) / before > limits.max_rows_down_share:
            fall, limit = (before - after) / before, limits.max_rows_down_share
            yield f"{what} would fall from {before:,} to {after:,} (-{fall:.0%}; at most -{limit:.0%})"


def _counts(published: Manifest, mine: Manifest) -> Iterator[tuple[str, int, int]]:
    yield "kept lines", published.rows_kept, mine.rows_kept
    for name in COUNTED:
        yield f"rows of {name}", published.artifacts[name].parquet.rows, mine.artifacts[name].parquet.rows
