"""Two snapshots side by side, as a person wants to see them before one replaces the other. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from etl.contract import Manifest
from etl.store import FileChange
from etl.summary import Figures


def file_lines(found: Sequence[FileChange]) -> list[str]:
    """A line per file: what would be done, bytes and rows with what is more or fewer."""
    return [
        f"{change.change:<9}  {change.name:<22} {change.file.bytes:>12,} bytes{_more(change, 'bytes'):<14}"
        f" {change.file.rows:>9,} rows{_more(change, 'rows')}".rstrip()
        for change in found
    ]


def _more(change: FileChange, count: str) -> str:
    if change.before is None or change.change == "unchanged":
        return ""
    difference = getattr(change.file, count) - getattr(change.before, count)
    return f" ({difference:+,})" if difference else ""


def figure_lines(before: Figures | None, after: Figures) -> list[str]:
    """A table of net sales, orders and the newest day, before and after; `before` is None where nothing was there."""
    rows = [
        (f"net sales {after.currency}", _money(before), f"{after.net_sales:,.2f}", _sales_change(before, after)),
        ("orders", f"{before.orders:,}" if before else "-", f"{after.orders:,}", _orders_change(before, after)),
        (
            "newest day",
            f"{before.data_through}" if before else "-",
            f"{after.data_through}",
            _days_change(before, after),
        ),
    ]
    head = f"{'':<16}{'published':>18}{'this run':>18}  change"
    return [head, *(f"{name:<16}{was:>18}{now:>18}  {change}".rstrip() for name, was, now, change in rows)]


def _money(figures: Figures | None) -> str:
    return f"{figures.net_sales:,.2f}" if figures else "-"


def _sales_change(before: Figures | None, after: Figures) -> str:
    if before is None:
        return ""
    if before.currency != after.currency:
        return f"in {before.currency} before"
    difference = after.net_sales - before.net_sales
    share = f" ({difference / before.net_sales:+.1%})" if before.net_sales else ""
    return f"{difference:+,.2f}{share}" if difference else "none"


def _orders_change(before: Figures | None, after: Figures) -> str:
    if before is None:
        return ""
    return f"{after.orders - before.orders:+,}" if after.orders != before.orders else "none"


def _days_change(before: Figures | None, after: Figures) -> str:
    if before is None:
        return ""
    days = (after.data_through - before.data_through) // timedelta(days=1)
    return f"{days:+,} day{'s' if abs(days) != 1 else ''}" if days else "none"


def run_line(manifest: Manifest) -> str:
    """A run in one line: its id, when it was made, by whom it was published, and restored."""
    by = f", published by {manifest.published_by}" if manifest.published_by else ""
    restored = f", restored by {manifest.restored_by}" if manifest.restored_by else ""
    return f"run {manifest.run_id}, made {manifest.generated_at:%Y-%m-%d %H:%M} UTC{by}{restored}"
