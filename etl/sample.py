"""A deterministic sample shop in the Online Retail layout: about 200,000 lines over the two years up to a given day.

Made up from here to the end; it looks like a real shop: seasons, weekdays, growth, regulars and one-time guests,
returns, a day on which the checkout was broken, and the mess that every export has.
"""

import csv
import math
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random

from etl.errors import SourceError

HEADER = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
DAYS = 730
ORDERS_A_DAY = 53
LINES_AN_ORDER = 5.3
SEED = 20260101

MONTH_FACTOR = (0.72, 0.78, 0.90, 0.94, 1.00, 0.92, 0.84, 0.86, 1.02, 1.14, 1.62, 1.55)
WEEKDAY_FACTOR = (1.10, 1.12, 1.06, 1.08, 0.98, 0.72, 0.94)
CLOSED = {(12, 25), (12, 26), (1, 1)}
BROKEN_CHECKOUT_DAYS_AGO = 75
RECALL_DAYS_AGO = 190

COUNTRIES = (
    ("United Kingdom", 0.80),
    ("Germany", 0.05),
    ("France", 0.045),
    ("Ireland", 0.04),
    ("Netherlands", 0.025),
    ("Spain", 0.02),
    ("Sweden", 0.02),
)
ADJECTIVES = [
    "Linen",
    "Oak",
    "Copper",
    "Wool",
    "Ceramic",
    "Glass",
    "Cotton",
    "Enamel",
    "Bamboo",
    "Slate",
    "Wicker",
    "Brass",
]
COLOURS = ("natural", "white", "blue", "sage", "rust", "charcoal")
THINGS = (
    ("Mug", 9.5),
    ("Teapot", 32.0),
    ("Plate", 12.0),
    ("Candle", 14.5),
    ("Lantern", 24.0),
    ("Throw", 58.0),
    ("Cushion", 29.0),
    ("Tea towel", 8.5),
    ("Storage jar", 16.0),
    ("Tray", 27.5),
    ("Vase", 34.0),
    ("Picture frame", 19.0),
    ("Door mat", 38.0),
    ("Bread bin", 44.0),
)
FESTIVE = (
    ("Advent calendar", 22.0),
    ("Bauble, set of 6", 15.0),
    ("Door wreath", 36.0),
    ("Paper star", 11.0),
    ("Cracker, box of 8", 18.0),
    ("Stocking", 17.0),
)


@dataclass(frozen=True, slots=True)
class Product:
    """What the shop sells; `weight` is how often, against the others."""

    sku: str
    name: str
    price: float
    weight: float
    festive: bool


@dataclass(slots=True)
class Customer:
    """A known customer; `weight` is how gladly she comes back."""

    number: int
    country: str
    weight: float


@dataclass(slots=True)
class _Shop:
    """The state of the shop while its days go by."""

    random: Random
    products: Sequence[Product]
    customers: list[Customer] = field(default_factory=list)
    reach: list[float] = field(default_factory=list)
    invoice: int = 100_000
    to_be_returned: list[tuple[date, list[list[str]]]] = field(default_factory=list)
    weights: dict[float, list[float]] = field(default_factory=dict)

    def weights_in(self, month: int) -> list[float]:
        """Running sum of the products' weights: festive things sell from October, and best in December."""
        season = {10: 1.0, 11: 1.0, 12: 1.6}.get(month, 0.0)
        if season not in self.weights:
            each = (product.weight * (season if product.festive else 1.0) for product in self.products)
            self.weights[season] = list(accumulate(each))
        return self.weights[season]


def lines(through: date) -> Iterator[list[str]]:
    """The lines of the export in the order of their days, the last of them `through`; the same for the same day."""
    random = Random(SEED)
    shop = _Shop(random, _products(random))
    first = through - timedelta(days=DAYS - 1)
    for number in range(DAYS):
        day = first + timedelta(days=number)
        if (day.month, day.day) not in CLOSED or day in (first, through):
            yield from _day(shop, day, number, (through - day).days)


def write(path: Path, through: date) -> int:
    """Write the sample shop as CSV; returns how many lines it has. Raises SourceError where it cannot."""
    made = list(lines(through))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *made])
    except OSError as error:
        raise SourceError(
            f"cannot write the sample shop to {path}: {error.strerror or error}",
            expected="a file that this user may write, and room on its disk",
            to_do="move away what is in its place, or run it where you may write",
        ) from error
    return len(made)


def _products(random: Random) -> list[Product]:
    names = [
        (f"{adjective} {thing}, {colour}", price, False)
        for adjective in ADJECTIVES
        for thing, price in THINGS
        for colour in COLOURS
    ]
    random.shuffle(names)
    chosen = names[:360] + [
        (f"{adjective} {thing}", price, True) for adjective in ADJECTIVES[:6] for thing, price in FESTIVE
    ]
    return [
        Product(
            sku=f"{20_000 + 7 * place}{random.choice(('', '', '', 'A', 'B'))}",
            name=name,
            price=round(price * random.lognormvariate(0, 0.25), 2) + 0.05,
            weight=random.paretovariate(1.25) * (2.0 if festive else 1.0),
            festive=festive,
        )
        for place, (name, price, festive) in enumerate(chosen)
    ]


def _day(shop: _Shop, day: date, number: int, days_ago: int) -> Iterator[list[str]]:
    rows = [_order(shop, day) for _ in range(_order_count(shop.random, day, number, days_ago))]
    rows += _returns(shop, day, days_ago)
    rows += _bookkeeping(shop, day)
    for row in sorted(rows, key=lambda invoice: invoice[0][4]):
        for line in row:
            yield from _as_exported(shop.random, line)


def _order_count(random: Random, day: date, number: int, days_ago: int) -> int:
    growth = 0.80 + 0.45 * number / DAYS
    wave = MONTH_FACTOR[day.month - 1] * WEEKDAY_FACTOR[day.weekday()] * growth
    wave *= 1.9 if day.month == 11 and day.weekday() == 4 and day.day >= 23 else 1.0
    wave *= 0.12 if days_ago == BROKEN_CHECKOUT_DAYS_AGO else 1.0
    return max(1, round(ORDERS_A_DAY * wave * random.lognormvariate(0, 0.11)))


def _order(shop: _Shop, day: date) -> list[list[str]]:
    random = shop.random
    customer = _customer(shop)
    shop.invoice += 1
    moment = _moment(random, day)
    number, country = (f"{customer.number}.0", customer.country) if customer else ("", _pick(random, COUNTRIES))
    count = 1 + min(24, int(random.expovariate(1 / (LINES_AN_ORDER - 1))))
    basket = _basket(shop, day, count)
    rows = [
        [
            str(shop.invoice),
            product.sku,
            product.name,
            str(_quantity(random, product.price)),
            moment,
            f"{product.price:.2f}",
            number,
            country,
        ]
        for product in basket
    ]
    if country != "United Kingdom":
        rows.append(
            [
                str(shop.invoice),
                "POST",
                "POSTAGE",
                "1",
                moment,
                f"{random.choice((6.95, 9.95, 14.95)):.2f}",
                number,
                country,
            ]
        )
    if random.random() < 0.035:
        due = day + timedelta(days=2 + int(random.expovariate(1 / 9)))
        shop.to_be_returned.append(
            (
                due,
                random.sample(
                    rows[: len(basket)], 1 + int(random.random() * min(3, len(basket))) if len(basket) > 3 else 1
                ),
            )
        )
    return rows


def _customer(shop: _Shop) -> Customer | None:
    random = shop.random
    if random.random() < 0.14:
        return None
    if not shop.customers or random.random() < 0.055 + 0.5 * math.exp(-len(shop.customers) / 500):
        new = Customer(12_000 + len(shop.customers), _pick(random, COUNTRIES), random.paretovariate(1.6))
        shop.customers.append(new)
        shop.reach.append((shop.reach[-1] if shop.reach else 0.0) + new.weight)
        return new
    # Half of the orders come from recent customers: people drift away.
    start = max(0, len(shop.customers) - 900) if random.random() < 0.5 else 0
    low = shop.reach[start - 1] if start else 0.0
    return shop.customers[
        min(bisect(shop.reach, low + random.random() * (shop.reach[-1] - low)), len(shop.customers) - 1)
    ]


def _basket(shop: _Shop, day: date, count: int) -> list[Product]:
    weights = shop.weights_in(day.month)
    chosen = {bisect(weights, shop.random.random() * weights[-1]): None for _ in range(count)}
    return [shop.products[min(place, len(shop.products) - 1)] for place in chosen]


def _quantity(random: Random, price: float) -> int:
    if random.random() < 0.012:
        return random.choice((24, 36, 48, 96))
    return 1 + int(random.expovariate(1.1 if price > 25 else 0.55))


def _returns(shop: _Shop, day: date, days_ago: int) -> list[list[list[str]]]:
    due = [rows for when, rows in shop.to_be_returned if when <= day]
    shop.to_be_returned = [(when, rows) for when, rows in shop.to_be_returned if when > day]
    if days_ago == RECALL_DAYS_AGO:  # everything ordered lately comes back at once
        due += [rows for _, rows in shop.to_be_returned]
        shop.to_be_returned = []
    return [_cancelled(shop, day, rows) for rows in due]


def _cancelled(shop: _Shop, day: date, rows: list[list[str]]) -> list[list[str]]:
    shop.invoice += 1
    moment = _moment(shop.random, day)
    return [[f"C{shop.invoice}", sku, name, f"-{quantity}", moment, *rest] for _, sku, name, quantity, _, *rest in rows]


def _bookkeeping(shop: _Shop, day: date) -> list[list[list[str]]]:
    """Lines that are no sales: stock corrections, samples given away, a bad debt once in a while."""
    random, rows = shop.random, []
    if random.random() < 0.5:
        product = random.choice(shop.products)
        shop.invoice += 1
        rows.append(
            [
                [
                    str(shop.invoice),
                    product.sku,
                    "",
                    str(-random.randint(1, 60)),
                    _moment(random, day),
                    "0.0",
                    "",
                    "United Kingdom",
                ]
            ]
        )
    if random.random() < 0.2:
        product = random.choice(shop.products)
        shop.invoice += 1
        rows.append(
            [[str(shop.invoice), product.sku, product.name, "1", _moment(random, day), "0.00", "", "United Kingdom"]]
        )
    if random.random() < 0.004:
        shop.invoice += 1
        rows.append(
            [
                [
                    f"A{shop.invoice}",
                    "B",
                    "Adjust bad debt",
                    "1",
                    _moment(random, day),
                    f"{-random.randint(50, 900)}.06",
                    "",
                    "United Kingdom",
                ]
            ]
        )
    return rows


def _as_exported(random: Random, line: list[str]) -> list[list[str]]:
    """One line in a few hundred is not as it should be, and now and then one stands there twice."""
    invoice, sku, name, quantity, moment, price, customer, country = line
    chance = random.random()
    if chance < 0.0002:
        quantity = "n/a"
    elif chance < 0.0004:
        moment = ""
    elif chance < 0.0005:
        return [line[:3]]
    elif chance < 0.002:
        sku = f" {sku.lower()}"
    elif chance < 0.004:
        name, customer = f"{name} ", customer.removesuffix(".0")
    shown = [invoice, sku, name, quantity, moment, price, customer, country]
    return [shown, shown] if 0.004 <= chance < 0.007 else [shown]


def _moment(random: Random, day: date) -> str:
    minute = min(1439, max(0, int(random.gauss(14.2, 3.6) * 60)))
    return datetime.combine(day, time(minute // 60, minute % 60)).isoformat(" ")


def _pick(random: Random, shares: Sequence[tuple[str, float]]) -> str:
    place = bisect(list(accumulate(share for _, share in shares)), random.random() * 0.999)
    return shares[min(place, len(shares) - 1)][0]
