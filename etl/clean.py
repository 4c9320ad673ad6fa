"""Canonical lines -> kept lines and quarantined lines, one reason each; kinds of line."""

import ibis
import ibis.expr.types as ir

from etl.contract import REASONS
from etl.layouts import Layout

# A line above this many mills (ten billion units) is a typing error. Nine hundred thousand such fit into int64.
MAX_LINE_MILLS = 10_000_000_000_000

LINE_KEY = ("invoice", "sku", "description", "quantity", "at", "unit_mills", "customer_id", "country", "seen")
LINE_MILLS = "line_mills"  # what a line comes to, in an export that has it in place of the price of one piece
SHORT_KEY = ("invoice", "sku", "quantity")


def without_overlap(lines: ir.Table) -> ir.Table:
    """Lines of several files, each invoice taken from one: where its copy has most lines, else the first such file.

    Lines without an invoice number stay: they go to quarantine.
    """
    copies = lines.filter(lines.invoice.notnull()).group_by("invoice", "file").agg(copy_lines=ibis._.count())
    best = copies.mutate(
        place=ibis.row_number().over(group_by="invoice", order_by=[ibis.desc("copy_lines"), "file"])
    ).filter(ibis._.place == 0)
    taken = lines.semi_join(best, ["invoice", "file"])
    return taken.union(lines.filter(lines.invoice.isnull()))


def without_duplicates(lines: ir.Table) -> ir.Table:
    """Of lines equal in every column only one."""
    return lines.distinct(on=LINE_KEY, keep="first")


def duplicates(lines: ir.Table) -> ir.Table:
    """One row, `duplicate_rows`: how many lines repeat another one exactly.

    Only lines that share three short columns with another are compared in all: two thirds of the work, and a fraction
    of the memory.
    """
    shared = lines.group_by(SHORT_KEY).agg(copies=lines.count()).filter(ibis._.copies > 1)
    alike = lines.semi_join(shared, [lines[name].identical_to(shared[name]) for name in SHORT_KEY])
    repeated = alike.group_by(LINE_KEY).agg(copies=alike.count()).filter(ibis._.copies > 1)
    return repeated.agg(duplicate_rows=(ibis._.copies - 1).sum().coalesce(0))


def checked(lines: ir.Table, layout: Layout) -> ir.Table:
    """Canonical lines with `reason` (null: kept), `amount` (int64 mills), `kind` (sale, cancellation) and `service`."""
    negative = lines.quantity < 0
    cancelled = lines.invoice.startswith(layout.cancellation) | negative if layout.cancellation else negative
    return lines.mutate(
        reason=_reason(lines, layout),
        amount=ibis.ifelse(_size(lines) <= MAX_LINE_MILLS, _amount(lines), None),
        kind=ibis.ifelse(cancelled, "cancellation", "sale"),
        service=lines.sku.isin(sorted(layout.service_codes)),
    ).drop([name for name in (LINE_MILLS,) if name in lines.columns])


def _reason(lines: ir.Table, layout: Layout) -> ir.StringValue:
    """The first reason of the contract that fits; null where none does."""
    tests = {
        "malformed": ~_readable(lines),
        "bad_debt": lines.invoice.startswith(layout.bad_debt) if layout.bad_debt else ibis.literal(False),  # noqa: FBT003 - the signature is Ibis'
        "stock_adjustment": lines.description.isnull() & (lines.unit_mills == 0),
        "non_positive_price": lines.unit_mills <= 0,
        "zero_quantity": lines.quantity == 0,
    }
    return ibis.cases(*((tests[reason], reason) for reason in REASONS))


def _readable(lines: ir.Table) -> ir.BooleanValue:
    needed = (lines.invoice, lines.sku, lines.at, lines.quantity, lines.unit_mills)
    return ibis.and_(*(column.notnull() for column in needed), _size(lines) <= MAX_LINE_MILLS)


def _size(lines: ir.Table) -> ir.FloatingValue:
    """The amount of a line in mills, without its sign, in a type that nothing overflows."""
    if LINE_MILLS in lines.columns:
        return lines[LINE_MILLS].cast("float64").abs()
    return (lines.quantity.cast("float64") * lines.unit_mills.cast("float64")).abs()


def _amount(lines: ir.Table) -> ir.IntegerValue:
    return lines[LINE_MILLS] if LINE_MILLS in lines.columns else lines.quantity * lines.unit_mills
