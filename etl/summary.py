"""What a person wants to see of a snapshot at once."""

import csv
import io
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


def headline(manifest: Manifest, reader: SnapshotReader) -> str:
    """Net sales and orders over all days."""
    text = reader.read(manifest.artifacts["daily_kpis"].csv).decode()
    days = list(csv.DictReader(io.StringIO(text)))
    net_sales = sum((Decimal(day["net_sales"]) for day in days), Decimal(0))
    orders = sum(int(day["orders"]) for day in days)
    return f"net sales {manifest.currency} {net_sales:,.2f}, {orders:,} orders"
