"""The numbers of the products, computed from top_products. Money is in mills; frames are never changed."""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal
from urllib.parse import quote

import numpy as np
import pandas as pd

from dashboard.views import divided, ratio
from etl.contract import MILLS_PER_UNIT

Measure = Literal["net_sales", "gross_sales", "units"]

PRODUCT_COLUMNS: Final = (
    "link",
    "rank",
    "sku",
    "description",
    "abc_class",
    "net_sales",
    "gross_sales",
    "returns",
    "return_rate",
    "units",
    "orders",
    "customers",
    "last_sold",
)
_CURVE_POINTS: Final = 300


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """The product cards; shares are of 1, None where nothing was sold."""

    sold: int
    a_products: int
    a_share_of_products: float | None
    top_ten_share_of_sales: float | None
    return_rate: float | None


def product_facts(products: pd.DataFrame) -> ProductFacts:
    """How concentrated sales are, and how much comes back."""
    gross = int(products["gross_sales"].sum())
    in_a = int((products["abc_class"] == "A").sum())
    return ProductFacts(
        sold=len(products),
        a_products=in_a,
        a_share_of_products=ratio(in_a, len(products)),
        top_ten_share_of_sales=ratio(int(products["gross_sales"].nlargest(10).sum()), gross),
        return_rate=ratio(int(products["returns"].sum()), gross),
    )


def leaders(products: pd.DataFrame, by: Measure, number: int) -> pd.DataFrame:
    """The first rows of top_products by a measure, best first; sku decides ties."""
    return products.sort_values([by, "sku"], ascending=[False, True]).head(number)


def most_returned(products: pd.DataFrame, number: int) -> pd.DataFrame:
    """The products with the highest returned value, with return_rate (of their gross sales, NaN where 0)."""
    returned = products[products["returns"] > 0]
    worst = returned.sort_values(["returns", "sku"], ascending=[False, True]).head(number)
    return worst.assign(return_rate=divided(worst["returns"], worst["gross_sales"]))


def product_table(products: pd.DataFrame) -> pd.DataFrame:
    """top_products for the eye: amounts in decimal units, the returned share of gross sales, no cumulative columns.

    `link` leads to the product's page.
    """
    money = {name: products[name] / MILLS_PER_UNIT for name in ("net_sales", "gross_sales", "returns")}
    links = ["products?sku=" + quote(sku, safe="") for sku in products["sku"]]
    shown = products.assign(**money, link=links, return_rate=divided(products["returns"], products["gross_sales"]))
    return shown[list(PRODUCT_COLUMNS)]


def found(table: pd.DataFrame, words: str) -> pd.DataFrame:
    """The rows whose sku or description has all of these words in it, in any case; all rows for none."""
    kept = table
    for word in words.split():
        in_sku = kept["sku"].str.contains(word, case=False, regex=False)
        kept = kept[in_sku | kept["description"].fillna("").str.contains(word, case=False, regex=False)]
    return kept


@dataclass(frozen=True, slots=True)
class Product:
    """One row of top_products. `share`: of all gross sales; rates are of 1, None where they have no meaning."""

    rank: int
    sku: str
    description: str | None
    gross_sales_mills: int
    returns_mills: int
    net_sales_mills: int
    units: int
    orders: int
    customers: int
    first_sold: date
    last_sold: date
    share: float | None
    abc_class: str

    @property
    def return_rate(self) -> float | None:
        """Returns / gross sales."""
        return ratio(self.returns_mills, self.gross_sales_mills)


def product(products: pd.DataFrame, sku: str) -> Product | None:
    """The product of that very sku; None where there is none."""
    rows = products[np.asarray(products["sku"] == sku)]
    if rows.empty:
        return None
    row = rows.iloc[0]
    return Product(
        rank=int(row["rank"]),
        sku=str(row["sku"]),
        description=None if pd.isna(row["description"]) else str(row["description"]),
        gross_sales_mills=int(row["gross_sales"]),
        returns_mills=int(row["returns"]),
        net_sales_mills=int(row["net_sales"]),
        units=int(row["units"]),
        orders=int(row["orders"]),
        customers=int(row["customers"]),
        first_sold=row["first_sold"].date(),
        last_sold=row["last_sold"].date(),
        share=None if pd.isna(row["share"]) else float(row["share"]),
        abc_class=str(row["abc_class"]),
    )


def pareto(products: pd.DataFrame) -> pd.DataFrame:
    """The concentration curve: share_of_products, cumulative_share, abc_class; by rank, at most some 300 points."""
    ranked = products.sort_values("rank")
    last = len(ranked) - 1
    ends = np.flatnonzero(ranked["abc_class"].to_numpy()[1:] != ranked["abc_class"].to_numpy()[:-1])
    spread = np.linspace(0, last, min(len(ranked), _CURVE_POINTS)).round().astype(int)
    kept = np.unique(np.concatenate([spread, ends]))
    points = ranked.iloc[kept]
    return pd.DataFrame(
        {
            "share_of_products": (kept + 1) / max(len(ranked), 1),
            "cumulative_share": points["cumulative_share"].to_numpy(),
            "abc_class": points["abc_class"].to_numpy(),
        }
    )


def abc(products: pd.DataFrame) -> pd.DataFrame:
    """One row for each class that has products: abc_class, products, gross_sales, and their shares of all."""
    grouped = products.groupby("abc_class")["gross_sales"]
    table = pd.DataFrame({"products": grouped.size(), "gross_sales": grouped.sum()})
    return (
        table.assign(
            share_of_products=table["products"] / max(len(products), 1),
            share_of_sales=divided(table["gross_sales"], pd.Series(table["gross_sales"].sum(), index=table.index)),
        )
        .rename_axis("abc_class")
        .reset_index()
    )
