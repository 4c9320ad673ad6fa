"""What every artifact must be before its files are written: unique keys, no holes, sums that agree. Pure.

A rule that is broken is our bug and no user's mistake, so whoever finds one raises AssertionError.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from etl.contract import ARTIFACTS

KEYS: Mapping[str, tuple[str, ...]] = {
    "daily_kpis": ("date",),
    "top_products": ("sku",),
    "rfm": ("customer_id",),
    "cohorts": ("cohort_month", "months_since"),
    "product_months": ("sku", "month"),
}
_NET = "net_sales = gross_sales - returns"
AGREE: Mapping[str, tuple[str, ...]] = {
    "daily_kpis": (
        _NET,
        "total_sales = net_sales + other_charges",
        "customers = new_customers + returning_customers",
        "least(gross_sales, orders, units, customers, cancellations) >= 0",
    ),
    "top_products": (_NET, "least(units, orders) > 0", "abc_class IN ('A', 'B', 'C')", "first_sold <= last_sold"),
    "product_months": (_NET, "least(units, orders) >= 0"),
    "rfm": (
        "least(r_score, f_score, m_score) >= 1",
        "greatest(r_score, f_score, m_score) <= 5",
        "frequency > 0",
        "first_order <= last_order",
    ),
    "cohorts": ("active <= customers", "least(months_since, active) >= 0"),
    "sample_kpis": ("kind IN ('sale', 'cancellation')",),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What must be so for each row. `broken`: the SQL condition of rows for which it is not; `columns`: whose they are.

    `key`: the columns that must differ from row to row, where the rule is about those; `broken` is empty then.
    """

    words: str
    columns: tuple[str, ...]
    broken: str = ""
    key: tuple[str, ...] = ()


def rules(artifact: str) -> Iterator[Rule]:
    """Every rule of an artifact."""
    columns = ARTIFACTS[artifact]
    for column in columns:
        if not column.nullable:
            yield Rule("not null", (column.name,), f'"{column.name}" IS NULL')
    if artifact in KEYS:
        yield Rule("unique", KEYS[artifact], key=KEYS[artifact])
    for words in AGREE.get(artifact, ()):
        named = tuple(column.name for column in columns if column.name in _words(words))
        yield Rule(words, named, f"NOT ({words})")


def _words(sql: str) -> set[str]:
    return set(re.findall("[a-z_]+", sql))


def counted(artifact: str) -> str:
    """The statement that says how many rows there are, and in how many each rule is broken."""
    found = ", ".join(
        f"count(*) - count(DISTINCT ({_names(rule.key)}))" if rule.key else f"count(*) FILTER (WHERE {rule.broken})"
        for rule in rules(artifact)
    )
    return f'SELECT count(*), {found} FROM "{artifact}"'


def shown(artifact: str, rule: Rule, most: int = 3) -> str:
    """The statement for the first rows that break a rule."""
    if rule.key:
        names = _names(rule.key)
        return f'SELECT {names}, count(*) FROM "{artifact}" GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT {most}'
    return f'SELECT * FROM "{artifact}" WHERE {rule.broken} ORDER BY ALL LIMIT {most}'


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
