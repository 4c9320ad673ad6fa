"""Exports of orders (Shopify, WooCommerce) -> sales lines: refunds and cancellations stand in columns there. Pure.

The price of a piece is what was paid for it: the order's subtotal, which its discounts have lowered, spread over its
lines by their list prices. Shipping is a line of its own, tax is none. An order that was cancelled or refunded whole
is followed by its cancellation, line by line; money given back of another order is one line, of no product.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import groupby
from typing import Final

SHIPPING: Final = "SHIPPING"
REFUND: Final = "REFUND"
SERVICES: Final = frozenset({SHIPPING, REFUND})
MILL: Final = Decimal("0.001")
# Local time stays, and how far it is from UTC goes: the shop's own days are meant.
OFFSET: Final = re.compile(r"\s*(?:[+-][0-9]{2}:?[0-9]{2}|Z|UTC)$")
CUSTOMER_LETTERS: Final = 16
Row = Mapping[str, str]
Line = tuple[str, str, str, str, str, str, str, str]  # as CANONICAL of the layouts, in its order
CANCELLATION: Final = "C"  # what the invoice of a cancellation begins with


@dataclass(frozen=True, slots=True)
class Orders:
    """How one kind of export names its columns; "" where it has none. `needed`: a header that has them all is of it.

    `subtotal`: of an order, its discounts taken off; where `discount` is named, they are not taken off yet.
    `kept`: pieces that did not come back. `undone`: states of an order of which nothing was sold in the end.
    """

    name: str
    order: str
    at: str
    quantity: str
    price: str
    title: str
    sku: str
    status: str
    subtotal: str
    shipping: str
    refunded: str
    mail: str
    countries: Sequence[str]
    undone: frozenset[str]
    discount: str = ""
    kept: str = ""
    cancelled_at: str = ""
    currency: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that no other export has together."""
        return (self.order, self.status, self.at, self.kept or self.quantity, self.title, self.price)


SHOPIFY: Final = Orders(
    name="shopify",
    order="Name",
    at="Created at",
    quantity="Lineitem quantity",
    price="Lineitem price",
    title="Lineitem name",
    sku="Lineitem sku",
    status="Financial Status",
    subtotal="Subtotal",
    shipping="Shipping",
    refunded="Refunded Amount",
    mail="Email",
    countries=("Billing Country", "Shipping Country"),
    undone=frozenset({"refunded", "voided"}),
    cancelled_at="Cancelled at",
    currency="Currency",
)

WOOCOMMERCE: Final = Orders(
    name="woocommerce",
    order="Order Number",
    at="Order Date",
    quantity="Quantity",
    kept="Quantity (- Refund)",
    price="Item Cost",
    title="Item Name",
    sku="SKU",
    status="Order Status",
    subtotal="Order Subtotal Amount",
    discount="Cart Discount Amount",
    shipping="Order Shipping Amount",
    refunded="Order Refund Amount",
    mail="Email (Billing)",
    countries=("Country Code (Billing)", "Country Code (Shipping)"),
    undone=frozenset({"refunded", "cancelled", "failed"}),
)

EXPORTS: Final[Mapping[str, Orders]] = {export.name: export for export in (SHOPIFY, WOOCOMMERCE)}


def export_of(header: Sequence[str]) -> Orders | None:
    """The export that a header is of; None where it is of none."""
    there = {name.strip() for name in header}
    return next((export for export in EXPORTS.values() if there.issuperset(export.needed)), None)


def lines(rows: Iterable[Row], export: Orders) -> Iterator[Line]:
    """Sales lines of the rows of an export, whose orders stand together. What is no number goes on as it stands."""
    for order, together in groupby(rows, key=lambda row: row.get(export.order, "").strip()):
        yield from _order(order, list(together), export)


def currencies(rows: Iterable[Row], export: Orders) -> Iterator[str]:
    """The currency of each row that names one."""
    return (row[export.currency] for row in rows if export.currency and row.get(export.currency))


def _order(order: str, rows: Sequence[Row], export: Orders) -> Iterator[Line]:
    sold = [row for row in rows if row.get(export.title) or row.get(export.quantity) or row.get(export.kept)]
    invoice = order if order.startswith("#") or not order else f"#{order}"  # C and A at its head would mean something
    at = _local(_first(rows, export.at))
    who = (_customer(_first(rows, export.mail)), next(filter(None, (_first(rows, c) for c in export.countries)), ""))
    shares = _paid(rows, sold, export)
    made = [_line(row, price, export) for row, price in zip(sold, shares, strict=True)]
    shipping = _number(_first(rows, export.shipping))
    if shipping:
        made.append((SHIPPING, "Shipping", "1", _told(shipping)))
    for sku, title, quantity, price in made:
        yield (invoice, sku, title, quantity, at, price, *who)
    for sku, title, quantity, price in _back(rows, made, sold, export):
        when = _local(_first(rows, export.cancelled_at)) or at
        yield (f"{CANCELLATION}{invoice}", sku, title, quantity, when, price, *who)


def _line(row: Row, price: str, export: Orders) -> tuple[str, str, str, str]:
    title = row.get(export.title, "").strip()
    quantity = (row.get(export.quantity) or row.get(export.kept) or "").strip()
    return (row.get(export.sku, "").strip() or title, title, quantity, price)


def _paid(rows: Sequence[Row], sold: Sequence[Row], export: Orders) -> list[str]:
    """What was paid for a piece of each line, as it is written; the list price where the order tells no subtotal."""
    listed = [row.get(export.price, "").strip() for row in sold]
    prices = [_number(price) for price in listed]
    counts = [_number(row.get(export.quantity) or row.get(export.kept) or "") for row in sold]
    total = sum(((price or 0) * (count or 0) for price, count in zip(prices, counts, strict=True)), Decimal(0))
    subtotal = _number(_first(rows, export.subtotal))
    if subtotal is None or not total or None in prices or None in counts:
        return listed
    paid = subtotal - (_number(_first(rows, export.discount)) or 0)
    return [_told(price * paid / total) for price in prices if price is not None]


def _back(
    rows: Sequence[Row], made: Sequence[tuple[str, str, str, str]], sold: Sequence[Row], export: Orders
) -> Iterator[tuple[str, str, str, str]]:
    """What was taken back: all of it, the pieces that the export counts, or an amount of money."""
    state = _first(rows, export.status).strip().casefold()
    if state in export.undone or _first(rows, export.cancelled_at):
        yield from ((sku, title, _negative(quantity), price) for sku, title, quantity, price in made)
        return
    if export.kept and any(row.get(export.quantity) for row in sold):
        for row, (sku, title, quantity, price) in zip(sold, made, strict=False):
            came_back = (_number(quantity) or 0) - (_number(row.get(export.kept, "")) or 0)
            if came_back > 0:
                yield (sku, title, str(-came_back), price)
        return
    amount = _number(_first(rows, export.refunded))
    if amount and not export.kept:
        yield (REFUND, "Refund", "-1", _told(amount))


def _first(rows: Sequence[Row], column: str) -> str:
    """What an order says in its first row that says it: others repeat it, or leave it empty."""
    return next((row[column].strip() for row in rows if column and row.get(column, "").strip()), "")


def _local(time: str) -> str:
    return OFFSET.sub("", time)


def _negative(quantity: str) -> str:
    return quantity.removeprefix("-") if quantity.startswith("-") else f"-{quantity}"


def _customer(mail: str) -> str:
    """Told apart, and not named: an address does not go into what is published."""
    return hashlib.sha256(mail.strip().casefold().encode()).hexdigest()[:CUSTOMER_LETTERS] if mail else ""


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _told(amount: Decimal) -> str:
    return f"{amount.quantize(MILL, ROUND_HALF_UP):f}"
