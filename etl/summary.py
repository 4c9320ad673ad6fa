"""What a person wants to see of a snapshot at once."""

import csv
import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from etl.contract import Manifest
from etl.store import SnapshotReader


def summary(manifest: Manifest, reader: SnapshotReader) -> str:
    """Lines kept and quarantined, the days, net sales and orders: three lines, from the artifacts themselves."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in manifest.quarantine.items())
    kept = f"kept {manifest.rows_kept:,} of {manifest.rows_in:,} lines"
    return "\n".join(
        [
            f"{kept} (quarantined: {reasons})" if reasons else kept,
            f"data from {manifest.data_from} through {manifest.data_through}",
            headline(manifest, reader),
        ]
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """What a person knows a shop by, over all days: net sales in units of the currency, orders, the newest day."""

    currency: str
    net_sales: Decimal
    orders: int
    data_through: date


def figures(manifest: Manifest, reader: SnapshotReader) -> Figures:
    """The figures of a snapshot, from its daily_kpis.csv. Raises KpiOpsError where that cannot be read."""
    text = reader.read(manifest.artifacts["daily_kpis"].csv).decode()
    days = list(csv.DictReader(io.StringIO(text)))
    net_sales = sum((Decimal(day["net_sales"]) for day in days), Decimal(0))
    orders = sum(int(day["orders"]) for day in days)
    return Figures(manifest.currency, net_sales, orders, manifest.data_through)


def headline(manifest: Manifest, reader: SnapshotReader) -> str:
    """Net sales and orders over all days."""
    found = figures(manifest, reader)
    return f"net sales {found.currency} {found.net_sales:,.2f}, {found.orders:,} orders"
