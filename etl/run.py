"""One run of the ETL: sales files in, the files and the manifest of a snapshot out."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from etl import clean, contract, engine, files, kpis, sources
from etl.dialect import DateOrder
from etl.errors import SourceError
from etl.layouts import Layout

QUARANTINE_COLUMNS = (*clean.LINE_KEY, "reason", "source_file")


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is asked to do with its input files, when (UTC) and by which code.

    `layout`: None where the files' headers tell; `dates`: None where the dates do.
    """

    layout: Layout | None
    currency: str
    now: datetime
    code_version: str
    drop_duplicates: bool = False
    dates: DateOrder | None = None


@dataclass(frozen=True, slots=True)
class _Taken:
    """The lines that count, checked; and how many rows went which way."""

    layout: Layout
    checked: ir.Table
    rows_by_file: dict[Any, int]
    rows_by_reason: dict[Any, int]
    duplicate_rows: int


@dataclass(frozen=True, slots=True)
class _Computed:
    """Every artifact, its files written, and the days they span."""

    artifacts: dict[str, contract.Artifact]
    first_day: date
    last_day: date


def run(
    paths: Sequence[Path],
    job: Job,
    directory: Path,
    step: Callable[[str], None] = lambda _name: None,
    tell: Callable[[str], None] = lambda _line: None,
) -> contract.Manifest:
    """Read the files and write every artifact, and quarantine.parquet, into a directory that is empty and ours alone.

    Returns the manifest, its keys plain file names; it is for the caller to write it. `step` is told the name of each
    step as it begins, `tell` what a person should know of a file.
    Raises SourceError when a file cannot be used or no line of it can be kept.
    """
    with tempfile.TemporaryDirectory(dir=directory, prefix=".work-") as work:
        step("looking at the files")
        inputs = [
            sources.inspect(path, Path(work), layout=job.layout, currency=job.currency)
            for path in _distinct(_expanded(paths))
        ]
        for text in inputs:
            if text.letters == sources.LAST_RESORT:
                tell(f"{text.path} is neither UTF-8 nor UTF-16: it was read as Windows-1252")
            if text.left_out:
                tell(f"{text.path}: sheets with other columns were left out: {', '.join(text.left_out)}")
        machine = engine.connect(Path(work), sum(text.plain.stat().st_size for text in inputs))
        try:
            taken = _take(machine, inputs, job, step)
            computed = _compute(machine, taken, directory, step)
            step("collecting the quarantine")
            files.write_parquet(machine, _quarantine(taken.checked, inputs), directory / contract.QUARANTINE)
        finally:
            machine.close()
    return _manifest(job, inputs, taken, computed)


def _take(
    machine: engine.Engine, inputs: Sequence[sources.SourceText], job: Job, step: Callable[[str], None]
) -> _Taken:
    step("reading")
    layout = job.layout or sources.layout_of(inputs)
    every_line = sources.read(machine, inputs, layout, partial(clean.checked, layout=layout), job.dates)
    lines = machine.keep("own_lines", clean.without_overlap(every_line)) if len(inputs) > 1 else every_line
    step("counting duplicates")
    ((duplicate_rows,),) = machine.fetch(clean.duplicates(lines))
    if job.drop_duplicates:
        lines = machine.keep("distinct_lines", clean.without_duplicates(lines))
    by_reason = _counts(machine, lines, "reason")
    by_file = _counts(machine, every_line, "file") if len(inputs) > 1 else {0: _read(by_reason, job, duplicate_rows)}
    taken = _Taken(layout, lines, by_file, by_reason, duplicate_rows)
    if None not in taken.rows_by_reason:
        raise _nothing_kept(machine, inputs, taken)
    return taken


def _read(rows_by_reason: dict[Any, int], job: Job, duplicate_rows: int) -> int:
    """How many rows a single file had."""
    return sum(rows_by_reason.values()) + (duplicate_rows if job.drop_duplicates else 0)


def _compute(machine: engine.Engine, taken: _Taken, directory: Path, step: Callable[[str], None]) -> _Computed:
    kept = taken.checked.filter(_.reason.isnull())
    orders = machine.keep("orders", kpis.orders(kept))
    ((first_day, last_day),) = machine.fetch(orders.agg(first=orders.day.min(), last=orders.day.max()))
    artifacts = {}
    for name, expr in _expressions(kept, orders, first_day, last_day).items():
        step(f"computing {name}")
        artifacts[name] = files.write_artifact(machine, name, expr, directory)
    return _Computed(artifacts, first_day, last_day)


def _manifest(job: Job, inputs: Sequence[sources.SourceText], taken: _Taken, computed: _Computed) -> contract.Manifest:
    rows_in = sum(taken.rows_by_reason.values())
    dropped = taken.duplicate_rows if job.drop_duplicates else 0
    return contract.Manifest(
        schema_version=contract.SCHEMA_VERSION,
        run_id=contract.run_id(job.now, computed.artifacts),
        generated_at=job.now.replace(microsecond=0),
        data_from=computed.first_day,
        data_through=computed.last_day,
        currency=job.currency,
        source=contract.Source(
            layout=taken.layout.name,
            files=tuple(
                contract.SourceFile(
                    name=_printable(text.path.name), sha256=text.sha256, rows=taken.rows_by_file.get(place, 0)
                )
                for place, text in enumerate(inputs)
            ),
            overlap_rows=sum(taken.rows_by_file.values()) - dropped - rows_in,
            duplicate_rows=taken.duplicate_rows,
            duplicates_dropped=job.drop_duplicates,
        ),
        code_version=job.code_version,
        quarantine={
            reason: taken.rows_by_reason[reason] for reason in contract.REASONS if reason in taken.rows_by_reason
        },
        rows_in=rows_in,
        rows_kept=taken.rows_by_reason[None],
        artifacts=computed.artifacts,
    )


def _expanded(paths: Sequence[Path]) -> list[Path]:
    """The files of sales in a directory that was named, by name, in its place."""
    found: list[Path] = []
    for path in (each for named in paths for each in _matching(named)):
        inside = sorted(each for each in path.iterdir() if sources.is_kind(each)) if path.is_dir() else []
        found += inside or [path]
    return found


def _matching(path: Path) -> list[Path]:
    """The files that a pattern stands for, by name; the path itself where it is there, or nothing fits."""
    if path.exists() or not any(letter in str(path) for letter in "*?["):
        return [path]
    base = Path(path.anchor or ".")
    return sorted(base.glob(str(path.relative_to(path.anchor)))) or [path]


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """The paths in their order, each once: a file named twice would overlap with itself."""
    return list({os.path.realpath(path): path for path in reversed(paths)}.values())[::-1]


def _expressions(kept: ir.Table, orders: ir.Table, first_day: date, last_day: date) -> dict[str, ir.Table]:
    last = ibis.date(last_day)
    month_count = (last_day.year - first_day.year) * 12 + last_day.month - first_day.month + 1
    return {
        "daily_kpis": kpis.daily_kpis(orders, _calendar(first_day, last_day)),
        "top_products": kpis.top_products(kept, orders),
        "rfm": kpis.rfm(orders, kept, last),
        "cohorts": kpis.cohorts(orders, last, _count_up("months_since", month_count)),
        "product_months": kpis.product_months(kept, orders),
        "sample_kpis": kpis.sample_kpis(kept),
    }


def _calendar(first_day: date, last_day: date) -> ir.Table:
    """Every day from first to last, in the column `date`."""
    days = _count_up("days", (last_day - first_day).days + 1)
    return days.select(date=(ibis.date(first_day) + days.days.as_interval("D")).cast("date"))


def _count_up(name: str, count: int) -> ir.Table:
    return ibis.range(0, count).unnest().name(name).as_table()


def _printable(name: str) -> str:
    """A file name as text: one that is not UTF-8 comes from the system with halves of characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _counts(machine: engine.Engine, lines: ir.Table, column: str) -> dict[Any, int]:
    return dict(machine.fetch(lines.group_by(column).agg(lines=lines.count())))


def _quarantine(checked: ir.Table, inputs: Sequence[sources.SourceText]) -> ir.Table:
    """Quarantined lines with their reason, the file they came from and, where malformed, what stood there."""
    names = ibis.cases(*((checked.file == place, _printable(text.path.name)) for place, text in enumerate(inputs)))
    held = checked.filter(checked.reason.notnull()).mutate(source_file=names).select(*QUARANTINE_COLUMNS)
    return held.order_by(["source_file", "reason", *clean.LINE_KEY])


def _nothing_kept(machine: engine.Engine, inputs: Sequence[sources.SourceText], taken: _Taken) -> SourceError:
    names = ", ".join(str(text.path) for text in inputs)
    if not taken.rows_by_reason:
        return SourceError(
            f"{names} has a header and no line",
            expected="at least one line of sales",
            to_do="name another file with --source, or export it again",
        )
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in taken.rows_by_reason.items())
    ((example,),) = machine.fetch(taken.checked.select("seen").limit(1))
    return SourceError(
        f"{names}: every line is quarantined ({reasons})" + (f"; one of them: {example}" if example else ""),
        expected="lines with invoice, sku, a date like 2026-11-22 08:26:00, a whole quantity and a price above 0",
        to_do="look at the lines and mend the export, or choose another layout with --layout",
    )
