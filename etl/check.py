"""What is in sales files, before anything is made of them: `python -m etl --check`."""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import ibis
from ibis import _

from etl import clean, contract, kpis
from etl.run import Job, Read, overlap_rows, printable, quarantine, reading, rows_of_files, unknown_codes

EXAMPLES: Final = 3
SHOWN_GAPS: Final = 5
SHOWN_CODES: Final = 10
LONGEST_EXAMPLE: Final = 160
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Gap:
    """Days in a row, both ends among them, without a sale."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that `--check` tells. `files`: name, how it is written, lines. `quarantine`: reason -> lines.

    `examples`: reason -> (file, the line), at most three. `days_sold`: the days with a sale, in their order.
    """

    layout: str
    currency: str
    files: Sequence[tuple[str, str, int]]
    rows_in: int
    rows_kept: int
    quarantine: dict[str, int]
    examples: dict[str, Sequence[tuple[str, str]]]
    duplicate_rows: int
    duplicates_dropped: bool
    overlap_rows: int
    days_sold: Sequence[date]
    unknown_codes: Sequence[contract.UnknownCode]
    notes: Sequence[str] = ()


def check(paths: Sequence[Path], job: Job, step: Callable[[str], None] = lambda _name: None) -> Findings:
    """Read and classify; nothing is written but what does not fit into memory, for as long as it lasts.

    Raises SourceError when a file cannot be used.
    """
    notes: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="kpi-ops-check-") as work,
        reading(paths, job, Path(work), step, notes.append) as read,
    ):
        step("looking at the lines")
        return _findings(read, job, notes)


def _findings(read: Read, job: Job, notes: Sequence[str]) -> Findings:
    taken = read.taken
    return Findings(
        layout=taken.layout.name,
        currency=job.currency,
        files=[
            (printable(text.path.name), _written(text.kind, text.letters, text.delimiter), rows)
            for text, rows in zip(read.inputs, rows_of_files(read), strict=True)
        ],
        rows_in=taken.rows_in,
        rows_kept=taken.kept,
        quarantine={
            reason: taken.rows_by_reason[reason] for reason in contract.REASONS if reason in taken.rows_by_reason
        },
        examples=_examples(read),
        duplicate_rows=taken.duplicate_rows,
        duplicates_dropped=job.drop_duplicates,
        overlap_rows=overlap_rows(read, job),
        days_sold=_days_sold(read),
        unknown_codes=unknown_codes(read) if taken.kept else (),
        notes=notes,
    )


def _written(kind: str, letters: str, delimiter: str) -> str:
    if kind != "csv":
        return kind.upper()
    between = {",": "commas", ";": "semicolons", "\t": "tabs"}.get(delimiter, repr(delimiter))
    return f"CSV, {letters}, {between}"


def _examples(read: Read) -> dict[str, Sequence[tuple[str, str]]]:
    place = ibis.row_number().over(group_by="reason", order_by=["source_file", *clean.LINE_KEY])
    first = quarantine(read).mutate(place=place).filter(_.place < EXAMPLES).order_by(["reason", "place"])
    cells = ("invoice", "sku", "description", "quantity", "at", "unit_mills", "customer_id", "country")
    rows = read.machine.fetch(first.select("reason", "source_file", "seen", *cells))
    found: dict[str, list[tuple[str, str]]] = {}
    for reason, file, seen, *values in rows:
        found.setdefault(reason, []).append((file, seen if seen is not None else _line(values)))
    return {reason: found[reason] for reason in contract.REASONS if reason in found}


def _line(values: Sequence[object]) -> str:
    *before, mills, customer, country = values
    price = None if mills is None else f"{int(str(mills)) / contract.MILLS_PER_UNIT:.3f}"
    return " | ".join("" if value is None else str(value) for value in (*before, price, customer, country))


def _days_sold(read: Read) -> list[date]:
    orders = kpis.orders(read.lines_that_count).filter(_.ordered)
    return [day for (day,) in read.machine.fetch(orders.select("day").distinct().order_by("day"))]


# --- told ------------------------------------------------------------------------------------------------------------


def gaps(days_sold: Sequence[date]) -> list[Gap]:
    """The days between the first and the last sale on which there was none, longest first."""
    found = [Gap(a + DAY, b - DAY) for a, b in itertools.pairwise(days_sold) if b - a > DAY]
    return sorted(found, key=lambda gap: (-gap.days, gap.first))


def told(found: Findings) -> str:
    """As a person reads it."""
    return "\n".join(_lines(found))


def _lines(found: Findings) -> Iterator[str]:
    for name, written, rows in found.files:
        yield f"{name}: {rows:,} lines, layout {found.layout}, {written}"
    yield from (f"note: {note}" for note in found.notes)
    yield f"kept {found.rows_kept:,} of {found.rows_in:,} lines"
    yield from _of_quarantine(found)
    yield from _of_copies(found)
    yield from _of_days(found)
    yield from _of_codes(found)
    yield "nothing was written"


def _of_quarantine(found: Findings) -> Iterator[str]:
    for reason, count in found.quarantine.items():
        yield f"quarantined, {reason}: {count:,}"
        for file, line in found.examples.get(reason, ()):
            short = line if len(line) <= LONGEST_EXAMPLE else f"{line[:LONGEST_EXAMPLE]}..."
            yield (
                f"    {file}: {short!r}" if any(ord(letter) < ord(" ") for letter in short) else f"    {file}: {short}"
            )


def _of_copies(found: Findings) -> Iterator[str]:
    if found.overlap_rows:
        yield f"in several files: {found.overlap_rows:,} lines of invoices that another file has; each counts once"
    read = found.rows_in + (found.duplicate_rows if found.duplicates_dropped else 0)
    if found.duplicate_rows:
        what = "left out" if found.duplicates_dropped else "they count; --drop-duplicates leaves them out"
        yield f"repeated: {found.duplicate_rows:,} lines ({found.duplicate_rows / read:.2%}) equal another one; {what}"


def _of_days(found: Findings) -> Iterator[str]:
    if not found.days_sold:
        return
    first, last = found.days_sold[0], found.days_sold[-1]
    every = (last - first).days + 1
    yield f"sold from {first} through {last}; {every - len(found.days_sold):,} of {every:,} days without a sale"
    longest = [gap for gap in gaps(found.days_sold) if gap.days > 1]
    for gap in longest[:SHOWN_GAPS]:
        yield f"    {gap.days} days: {gap.first} through {gap.last}"
    if len(longest) > SHOWN_GAPS:
        yield f"    and {len(longest) - SHOWN_GAPS} shorter ones"


def _of_codes(found: Findings) -> Iterator[str]:
    if found.unknown_codes:
        yield "codes without a digit, which count as products (postage or fees? name those in [etl] service_codes):"
    for code in found.unknown_codes[:SHOWN_CODES]:
        amount = f"{code.amount_mills / contract.MILLS_PER_UNIT:,.2f}"
        yield f"    {code.sku}: {code.lines:,} lines, {found.currency} {amount}"
    if len(found.unknown_codes) > SHOWN_CODES:
        yield f"    and {len(found.unknown_codes) - SHOWN_CODES} more"
