"""Source layouts: which column of a shop's export is which, and which codes are services. Data, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of export names its columns (canonical name -> header) and its service codes."""

    name: str
    columns: Mapping[str, str]
    service_codes: frozenset[str]


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
)

LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in (ONLINE_RETAIL,)}
