"""One Ibis expression per artifact, named like the artifact. Money is int64 mills throughout.

`lines` are kept lines. `orders` has one row per invoice and customer; what can be made from it is.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

SAMPLE_ROWS = 500
SCORES = 5
UNKNOWN_CODES = 20
UNUSUAL_SHARE = 0.05  # of the lines: in a shop that names its products without digits such a code tells nothing

# Least recency score, least frequency score, name in the words of marketing teams; the first that fits.
SEGMENTS = (
    (5, 4, "Champions"),
    (3, 4, "Loyal"),
    (4, 2, "Potential loyalists"),
    (5, 1, "New"),
    (4, 1, "Promising"),
    (3, 3, "Need attention"),
    (3, 1, "About to sleep"),
    (1, 5, "Cannot lose"),
    (1, 3, "At risk"),
    (1, 1, "Hibernating"),
)


def orders(lines: ir.Table) -> ir.Table:
    """invoice, customer_id, day; gross, returns, other (mills); units; ordered, cancelled.

    `day` is the date of the earliest line of the invoice.
    """
    sale, product = _.kind == "sale", ~_.service
    summed = lines.group_by("invoice", "customer_id").agg(
        first_at=_["at"].min(),
        gross=_.amount.sum(where=product & sale).coalesce(0),
        returns=-_.amount.sum(where=product & ~sale).coalesce(0),
        other=_.amount.sum(where=~product).coalesce(0),
        units=_.quantity.sum(where=product & sale).coalesce(0),
        ordered=(product & sale).any(),
        cancelled=(~sale).any(),
    )
    return summed.mutate(day=_.first_at.min().over(group_by="invoice").date()).drop("first_at")


def daily_kpis(orders: ir.Table, calendar: ir.Table) -> ir.Table:
    """One row per day of `calendar` (column `date`), quiet days as zeros, rates null where their divisor is 0."""
    first = orders.filter(_.ordered & _.customer_id.notnull()).group_by("customer_id").agg(first_day=_.day.min())
    known = orders.left_join(first, "customer_id")
    days = known.group_by(date=known.day).agg(
        gross_sales=_.gross.sum(),
        returns=_.returns.sum(),
        other_charges=_.other.sum(),
        orders=_.invoice.nunique(where=_.ordered),
        units=_.units.sum(),
        customers=_.customer_id.nunique(where=_.ordered),
        new_customers=_.customer_id.nunique(where=_.ordered & (_.first_day == _.day)),
        cancellations=_.invoice.nunique(where=_.cancelled),
    )
    counts = [name for name in days.columns if name != "date"]
    filled = calendar.left_join(days, "date").select("date", **{name: _[name].coalesce(0) for name in counts})
    return filled.select(
        "date",
        "gross_sales",
        "returns",
        net_sales=_.gross_sales - _.returns,
        other_charges=_.other_charges,
        total_sales=_.gross_sales - _.returns + _.other_charges,
        orders=_.orders,
        units=_.units,
        customers=_.customers,
        new_customers=_.new_customers,
        returning_customers=_.customers - _.new_customers,
        cancellations=_.cancellations,
        cancellation_rate=_.cancellations / (_.orders + _.cancellations).nullif(0),
        aov=_.gross_sales / _.orders.nullif(0),
    ).order_by("date")


def product_sums(lines: ir.Table, orders: ir.Table) -> ir.Table:
    """One row per product and month of its invoices: sums in mills, and the days of its first and last sale there.

    Grouped by product and invoice first: what is distinct is counted by grouping, which goes to disk where it is more
    than memory holds.
    """
    sale = _.kind == "sale"
    placed = (
        lines.filter(~_.service)
        .group_by("sku", "invoice")
        .agg(
            gross_sales=_.amount.sum(where=sale).coalesce(0),
            returns=-_.amount.sum(where=~sale).coalesce(0),
            units=_.quantity.sum(where=sale).coalesce(0),
            sold=sale.any(),
        )
        .join(orders.select("invoice", "day").distinct(), "invoice")
    )
    return placed.group_by("sku", month=placed.day.truncate("M")).agg(
        gross_sales=_.gross_sales.sum(),
        returns=_.returns.sum(),
        units=_.units.sum(),
        orders=_.sold.cast("int64").sum(),
        first_sold=_.day.min(where=_.sold),
        last_sold=_.day.max(where=_.sold),
    )


def top_products(lines: ir.Table, product_sums: ir.Table) -> ir.Table:
    """One row per product sold, by gross sales, then sku."""
    sold = lines.filter(~_.service & (_.kind == "sale"))
    buyers = sold.filter(_.customer_id.notnull()).select("sku", "customer_id").distinct()
    counted = buyers.group_by("sku").agg(customers=_.count())
    sums = (
        product_sums.group_by("sku")
        .agg(
            gross_sales=_.gross_sales.sum(),
            returns=_.returns.sum(),
            units=_.units.sum(),
            orders=_.orders.sum(),
            first_sold=_.first_sold.min(),
            last_sold=_.last_sold.max(),
        )
        .filter(_.orders > 0)
        .left_join(counted, "sku")
        .drop("sku_right")
        .mutate(customers=_.customers.coalesce(0))
    )
    named = sums.left_join(_most_frequent(sold, "sku", "description"), "sku")
    best_first = [ibis.desc("gross_sales"), "sku"]
    ranked = named.mutate(
        rank=ibis.row_number().over(order_by=best_first) + 1,
        total=_.gross_sales.sum().over(),
        running=_.gross_sales.sum().over(order_by=best_first, rows=(None, 0)),
    )
    before = ranked.running - ranked.gross_sales
    abc = ibis.cases((before * 100 < ranked.total * 80, "A"), (before * 100 < ranked.total * 95, "B"), else_="C")
    return ranked.select(
        "rank",
        "sku",
        "description",
        "gross_sales",
        "returns",
        net_sales=_.gross_sales - _.returns,
        units=_.units,
        orders=_.orders,
        customers=_.customers,
        first_sold=_.first_sold,
        last_sold=_.last_sold,
        share=_.gross_sales / _.total.nullif(0),
        cumulative_share=_.running / _.total.nullif(0),
        abc_class=abc,
    ).order_by("rank")


def product_months(product_sums: ir.Table) -> ir.Table:
    """One row per product and month of its invoices in which it was sold or came back."""
    return product_sums.select(
        "sku",
        "month",
        "gross_sales",
        "returns",
        net_sales=_.gross_sales - _.returns,
        units=_.units,
        orders=_.orders,
    ).order_by("sku", "month")


def rfm(orders: ir.Table, lines: ir.Table, last_day: ir.DateValue) -> ir.Table:
    """One row per customer with an order. Scores 1 to 5, 5 best; customers that tie share a score."""
    known = orders.filter(_.customer_id.notnull())
    customers = (
        known.group_by("customer_id")
        .agg(
            first_order=_.day.min(where=_.ordered),
            last_order=_.day.max(where=_.ordered),
            frequency=_.invoice.nunique(where=_.ordered),
            monetary=_.gross.sum() - _.returns.sum(),
        )
        .filter(_.frequency > 0)
    )
    bought = lines.filter(_.customer_id.notnull() & ~_.service & (_.kind == "sale"))
    placed = customers.left_join(_most_frequent(bought, "customer_id", "country"), "customer_id")
    # Whole days between two dates, as a difference of day numbers: the same on every engine.
    aged = placed.mutate(recency_days=last_day.epoch_days() + 1 - placed.last_order.epoch_days())
    scored = aged.mutate(
        r_score=_score(ibis.desc("recency_days")),
        f_score=_score("frequency"),
        m_score=_score("monetary"),
    )
    digits = [_[name].cast("string") for name in ("r_score", "f_score", "m_score")]
    return scored.select(
        "customer_id",
        "country",
        "first_order",
        "last_order",
        "recency_days",
        "frequency",
        "monetary",
        "r_score",
        "f_score",
        "m_score",
        rfm=digits[0] + digits[1] + digits[2],
        segment=_segment(),
    ).order_by("customer_id")


def cohorts(orders: ir.Table, last_day: ir.DateValue, months: ir.Table) -> ir.Table:
    """One row per month of first order and month since, up to the last month of the data, quiet months as zeros.

    `months` has the column `months_since`: 0, 1, ... at least as far as the data reach.
    """
    known = orders.filter(_.customer_id.notnull())
    first = known.filter(_.ordered).group_by("customer_id").agg(first_day=_.day.min())
    placed = known.join(first, "customer_id").mutate(
        cohort_month=_.first_day.truncate("M"), months_since=_month_number(_.day) - _month_number(_.first_day)
    )
    sizes = first.group_by(cohort_month=_.first_day.truncate("M")).agg(customers=_.count())
    active = placed.group_by("cohort_month", "months_since").agg(
        active=_.customer_id.nunique(where=_.ordered), net_sales=_.gross.sum() - _.returns.sum()
    )
    pairs = sizes.cross_join(months)
    grid = pairs.filter(pairs.months_since <= _month_number(last_day) - _month_number(pairs.cohort_month))
    return (
        grid.left_join(active, ["cohort_month", "months_since"])
        .select(
            "cohort_month",
            "months_since",
            "customers",
            active=_.active.coalesce(0),
            retention=_.active.coalesce(0) / _.customers,
            net_sales=_.net_sales.coalesce(0),
        )
        .order_by("cohort_month", "months_since")
    )


def sample_kpis(lines: ir.Table) -> ir.Table:
    """The first kept lines in a fixed order; the later columns only decide between lines equal in the first five."""
    columns = ["invoice", "sku", "description", "quantity", "at", "unit_mills", "customer_id", "country"]
    order = ["at", "invoice", "sku", "quantity", "unit_mills", "description", "customer_id", "country", "kind"]
    return lines.select(*columns, "amount", "kind", "service").order_by(order).limit(SAMPLE_ROWS)


def unknown_codes(lines: ir.Table) -> ir.Table:
    """sku, lines, amount (mills) of codes without a digit, most lines first, where most products have one in theirs."""
    products = lines.filter(~_.service)
    codes = products.group_by("sku").agg(line_count=_.count(), amount=_.amount.sum())
    plain = ~codes.sku.re_search("[0-9]")
    judged = codes.mutate(plain=plain, share=_.line_count.sum(where=plain).over() / _.line_count.sum().over())
    rare = judged.filter(judged.plain & (judged.share <= UNUSUAL_SHARE))
    return rare.select("sku", "line_count", "amount").order_by(ibis.desc("line_count"), "sku").limit(UNKNOWN_CODES)


def _most_frequent(lines: ir.Table, key: str, value: str) -> ir.Table:
    """One row per key: the value that stands on most lines, of several the first in the alphabet."""
    counted = lines.filter(_[value].notnull()).group_by(key, value).agg(line_count=_.count())
    place = ibis.row_number().over(group_by=key, order_by=[ibis.desc("line_count"), value])
    return counted.mutate(place=place).filter(_.place == 0).select(key, value)


def _score(order_by: ir.Value | str) -> ir.IntegerValue:
    """floor(5 * (rank - 1) / n) + 1 with the competition rank; Ibis ranks from 0."""
    rank = ibis.rank().over(order_by=order_by)
    return (SCORES * rank) // _.count().over() + 1


def _segment() -> ir.StringValue:
    return ibis.cases(*(((_.r_score >= r) & (_.f_score >= f), name) for r, f, name in SEGMENTS))


def _month_number(day: ir.DateValue) -> ir.IntegerValue:
    return day.year() * 12 + day.month()
