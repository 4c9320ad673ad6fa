"""Source layouts: which column of a shop's export is which, and which codes are services; how a header tells. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from etl.errors import SettingsError, SourceError
from etl.orders import CANCELLATION, EXPORTS, SERVICES

BY_HEADER: Final = "auto"
CUSTOM: Final = "custom"
NEEDED: Final = ("invoice", "sku", "quantity", "at", "price")
CANONICAL: Final = ("invoice", "sku", "description", "quantity", "at", "price", "customer_id", "country")
AMOUNT: Final = "amount"  # of the whole line, in an export that has it in place of the price of one piece


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of export names its columns (canonical name -> header) and its service codes.

    `cancellation` and `bad_debt`: what such an invoice begins with, in capitals; "" where none is told so. `more`:
    columns that it may have, and may do without.
    """

    name: str
    columns: Mapping[str, str]
    service_codes: frozenset[str]
    cancellation: str = ""
    bad_debt: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


ONLINE_RETAIL = Layout(
    name="online_retail",
    columns={
        "invoice": "InvoiceNo",
        "sku": "StockCode",
        "description": "Description",
        "quantity": "Quantity",
        "at": "InvoiceDate",
        "price": "UnitPrice",
        "customer_id": "CustomerID",
        "country": "Country",
    },
    service_codes=frozenset(
        [
            "POST",
            "DOT",
            "M",
            "D",
            "S",
            "B",
            "C2",
            "C3",
            "CRUK",
            "PADS",
            "AMAZONFEE",
            "ADJUST",
            "ADJUST2",
            "SP1002",
            "TEST001",
            "TEST002",
            "GIFT",
        ]
    )
    | {"BANK CHARGES"},
    cancellation="C",
    bad_debt="A",
)

ONLINE_RETAIL_II = replace(
    ONLINE_RETAIL,
    name="online_retail_ii",
    columns={**ONLINE_RETAIL.columns, "invoice": "Invoice", "price": "Price", "customer_id": "Customer ID"},
)

# Turned into lines of canonical columns before they are read.
OF_ORDERS: Mapping[str, Layout] = {
    name: Layout(name, {name: name for name in CANONICAL}, SERVICES, cancellation=CANCELLATION) for name in EXPORTS
}
COMPLETE_JOURNEY = Layout(
    name="complete_journey",
    columns={
        "invoice": "basket_id",
        "sku": "product_id",
        "quantity": "quantity",
        "at": "transaction_timestamp",
        AMOUNT: "sales_value",
        "customer_id": "household_id",
    },
    service_codes=frozenset(),
    more={"description": "product_type"},
)
OF_LINES: Mapping[str, Layout] = {layout.name: layout for layout in (ONLINE_RETAIL, ONLINE_RETAIL_II, COMPLETE_JOURNEY)}
LAYOUTS: Mapping[str, Layout] = {**OF_LINES, **OF_ORDERS}

# What exports call their columns, plainly spelt: for the mapping that is proposed, and for nothing else.
USUAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "invoice": ("invoiceno", "invoice", "invoicenumber", "orderid", "ordernumber", "orderno", "order", "receipt"),
    "sku": ("stockcode", "sku", "productcode", "itemcode", "articleno", "article", "productid", "itemid"),
    "description": ("description", "productname", "itemname", "product", "item", "title", "name"),
    "quantity": ("quantity", "qty", "units", "amount", "count"),
    "at": ("invoicedate", "orderdate", "date", "createdat", "datetime", "timestamp", "time"),
    "price": ("unitprice", "price", "itemprice", "itemcost", "priceperunit", "lineitemprice"),
    AMOUNT: ("linetotal", "totalprice", "lineamount", "salesvalue", "total", "revenue", "sales"),
    "customer_id": ("customerid", "customer", "clientid", "client", "customernumber", "email"),
    "country": ("country", "billingcountry", "shippingcountry", "region", "market"),
}


@dataclass(frozen=True, slots=True)
class Own:
    """What a shop says of an export of its own. `columns`: canonical name -> header, "" for none."""

    columns: Mapping[str, str] = field(default_factory=dict)
    service_codes: Iterable[str] = ()
    cancellation: str = ""


def chosen(name: str, own: Own) -> Layout | None:
    """The layout that settings and flags name; None where each file's header is to tell. Raises Source-, SettingsError.

    Where the shop has named a column of its own, that wins over BY_HEADER.
    """
    if name == CUSTOM or (name == BY_HEADER and any(own.columns.values())):
        return _custom(own)
    if name == BY_HEADER:
        return None
    if name not in LAYOUTS:
        raise SourceError(
            f"there is no layout {name!r}",
            expected=f"one of: {', '.join([BY_HEADER, *LAYOUTS, CUSTOM])}",
            to_do="mend --layout, or layout in [etl] of settings.toml",
        )
    return LAYOUTS[name]


def _custom(own: Own) -> Layout:
    columns = own.columns
    by_line = bool(columns.get(AMOUNT)) and not columns.get("price")
    lacking = [name for name in NEEDED if not columns.get(name) and not (by_line and name == "price")]
    strays = [name for name in columns if name not in (*CANONICAL, AMOUNT)]
    if lacking or strays:
        wrong = [f"lacks {', '.join(lacking)}"] * bool(lacking) + [f"has {', '.join(strays)}"] * bool(strays)
        raise SettingsError(
            f"[etl.columns] {' and '.join(wrong)}",
            expected=f"{', '.join(NEEDED)} (or {AMOUNT}), and of {', '.join(CANONICAL)} what else the export has",
            to_do="mend [etl.columns] in settings.toml: canonical name = the header in the file",
        )
    named = {name: header for name, header in columns.items() if header and (by_line or name != AMOUNT)}
    codes = frozenset(code.strip().upper() for code in own.service_codes)
    return Layout(CUSTOM, named, codes, cancellation=own.cancellation.strip().upper())


def recognised(header: Sequence[str]) -> Layout | None:
    """The layout all of whose columns a header has; None where there is none."""
    there = {plain(name) for name in header}
    return next((one for one in OF_LINES.values() if all(plain(name) in there for name in one.columns.values())), None)


def plain(name: str) -> str:
    """A column's name without what exports spell differently: case, blanks and underscores."""
    return name.strip().casefold().replace(" ", "").replace("_", "")


def nearest(header: Sequence[str]) -> tuple[Layout, list[str]]:
    """The layout of which a header lacks the smallest share of columns, and those."""
    there = {plain(name) for name in header}
    lacking = {
        layout.name: [name for name in layout.columns.values() if plain(name) not in there]
        for layout in OF_LINES.values()
    }
    best = min(OF_LINES.values(), key=lambda layout: len(lacking[layout.name]) / len(layout.columns))
    return best, lacking[best.name]


def proposed(header: Sequence[str]) -> str:
    """A mapping to be pasted into settings.toml; what no column is called like is left empty."""
    named = {plain(name): name for name in reversed(header)}
    found = {
        canonical: next((named[name] for name in names if name in named), "")
        for canonical, names in USUAL_NAMES.items()
    }
    if found["price"] or not found[AMOUNT]:
        del found[AMOUNT]
    lines = []
    for canonical, name in found.items():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'{canonical} = "{quoted}"')
    return "\n".join(["[etl.columns]", *lines])
