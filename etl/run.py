"""One run of the ETL: sales files in, the files and the manifest of a snapshot out."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from etl import clean, contract, engine, files, kpis, memory, sources
from etl.dialect import NOTHING_SAID, Said
from etl.errors import SourceError
from etl.layouts import Layout

QUARANTINE_COLUMNS = (*clean.LINE_KEY, "reason", "source_file")


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is asked to do with its input files, when (UTC) and by which code.

    `layout`: None where the files' headers tell; `said`: how times are to be read.
    """

    layout: Layout | None
    currency: str
    now: datetime
    code_version: str
    drop_duplicates: bool = False
    said: Said = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Taken:
    """Every line, checked; and how many rows went which way (`rows_by_reason`: None is the key of those kept)."""

    layout: Layout
    checked: ir.Table
    rows_by_file: dict[Any, int]
    rows_by_reason: dict[Any, int]
    duplicate_rows: int

    @property
    def kept(self) -> int:
        """How many lines count."""
        return int(self.rows_by_reason.get(None, 0))

    @property
    def rows_in(self) -> int:
        """How many lines either count or are in quarantine."""
        return int(sum(self.rows_by_reason.values()))


@dataclass(frozen=True, slots=True)
class Read:
    """The lines of some files, on the engine that has them."""

    machine: engine.Engine
    inputs: Sequence[sources.SourceText]
    taken: Taken

    @property
    def lines_that_count(self) -> ir.Table:
        """Those that are not in quarantine."""
        return self.taken.checked.filter(_.reason.isnull())


@dataclass(frozen=True, slots=True)
class Tables:
    """What the artifacts are made of: lines that count, and what kpis.orders and kpis.product_sums make of them."""

    kept: ir.Table
    orders: ir.Table
    product_sums: ir.Table


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
    with reading(paths, job, directory, step, tell) as read:
        if not read.taken.kept:
            raise nothing_kept(read)
        computed = _compute(read, directory, step)
        step("collecting the quarantine")
        files.write_parquet(read.machine, quarantine(read), directory / contract.QUARANTINE)
        codes = unknown_codes(read)
    return _manifest(job, read, computed, codes)


@contextmanager
def reading(
    paths: Sequence[Path],
    job: Job,
    directory: Path,
    step: Callable[[str], None] = lambda _name: None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Iterator[Read]:
    """The lines of the files, read and classified, as long as the block lasts; what does not fit goes to `directory`.

    Raises SourceError when a file cannot be used.
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
        size_bytes = sum(sources.text_bytes(text) for text in inputs)
        machine = engine.connect(Path(work), size_bytes, job.said.time_zone, memory.available_bytes())
        try:
            yield Read(machine, inputs, _take(machine, inputs, job, step))
        finally:
            machine.close()


def _take(machine: engine.Engine, inputs: Sequence[sources.SourceText], job: Job, step: Callable[[str], None]) -> Taken:
    step("reading")
    layout = job.layout or sources.layout_of(inputs)
    every_line = sources.read(machine, inputs, layout, partial(clean.checked, layout=layout), job.said)
    lines = machine.keep("own_lines", clean.without_overlap(every_line)) if len(inputs) > 1 else every_line
    step("counting duplicates")
    ((duplicate_rows,),) = machine.fetch(clean.duplicates(lines))
    if job.drop_duplicates:
        lines = machine.keep("distinct_lines", clean.without_duplicates(lines))
    by_reason = _counts(machine, lines, "reason")
    by_file = (
        _counts(machine, every_line, "file") if len(inputs) > 1 else {0: _rows_read(by_reason, job, duplicate_rows)}
    )
    return Taken(layout, lines, by_file, by_reason, duplicate_rows)


def _rows_read(rows_by_reason: dict[Any, int], job: Job, duplicate_rows: int) -> int:
    """How many rows a single file had."""
    return sum(rows_by_reason.values()) + (duplicate_rows if job.drop_duplicates else 0)


def _compute(read: Read, directory: Path, step: Callable[[str], None]) -> _Computed:
    machine, kept = read.machine, read.lines_that_count
    orders = machine.keep("orders", kpis.orders(kept))
    ((first_day, last_day),) = machine.fetch(orders.agg(first=orders.day.min(), last=orders.day.max()))
    sums = machine.keep("product_sums", kpis.product_sums(kept, orders))
    artifacts = {}
    for name, expr in _expressions(Tables(kept, orders, sums), first_day, last_day).items():
        step(f"computing {name}")
        artifacts[name] = files.write_artifact(machine, name, expr, directory)
    return _Computed(artifacts, first_day, last_day)


def _manifest(job: Job, read: Read, computed: _Computed, codes: Sequence[contract.UnknownCode]) -> contract.Manifest:
    taken = read.taken
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
                contract.SourceFile(name=printable(text.path.name), sha256=text.sha256, rows=rows)
                for text, rows in zip(read.inputs, rows_of_files(read), strict=True)
            ),
            overlap_rows=overlap_rows(read, job),
            duplicate_rows=taken.duplicate_rows,
            duplicates_dropped=job.drop_duplicates,
        ),
        code_version=job.code_version,
        quarantine={
            reason: taken.rows_by_reason[reason] for reason in contract.REASONS if reason in taken.rows_by_reason
        },
        rows_in=taken.rows_in,
        rows_kept=taken.kept,
        artifacts=computed.artifacts,
        unknown_codes=tuple(codes),
    )


def rows_of_files(read: Read) -> list[int]:
    """How many lines each file has, in the order of the inputs."""
    return [read.taken.rows_by_file.get(place, 0) for place in range(len(read.inputs))]


def overlap_rows(read: Read, job: Job) -> int:
    """How many lines were left out because another file has their invoice."""
    dropped = read.taken.duplicate_rows if job.drop_duplicates else 0
    return sum(read.taken.rows_by_file.values()) - dropped - read.taken.rows_in


def unknown_codes(read: Read) -> list[contract.UnknownCode]:
    """Codes of lines that count as products and may be services, most lines first."""
    found = read.machine.fetch(kpis.unknown_codes(read.lines_that_count))
    return [contract.UnknownCode(sku=sku, lines=lines, amount_mills=amount) for sku, lines, amount in found]


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


def _expressions(tables: Tables, first_day: date, last_day: date) -> dict[str, ir.Table]:
    kept, orders, sums = tables.kept, tables.orders, tables.product_sums
    last = ibis.date(last_day)
    month_count = (last_day.year - first_day.year) * 12 + last_day.month - first_day.month + 1
    return {
        "daily_kpis": kpis.daily_kpis(orders, _calendar(first_day, last_day)),
        "top_products": kpis.top_products(kept, sums),
        "rfm": kpis.rfm(orders, kept, last),
        "cohorts": kpis.cohorts(orders, last, _count_up("months_since", month_count)),
        "product_months": kpis.product_months(sums),
        "sample_kpis": kpis.sample_kpis(kept),
    }


def _calendar(first_day: date, last_day: date) -> ir.Table:
    """Every day from first to last, in the column `date`."""
    days = _count_up("days", (last_day - first_day).days + 1)
    return days.select(date=(ibis.date(first_day) + days.days.as_interval("D")).cast("date"))


def _count_up(name: str, count: int) -> ir.Table:
    return ibis.range(0, count).unnest().name(name).as_table()


def printable(name: str) -> str:
    """A file name as text: one that is not UTF-8 comes from the system with halves of characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _counts(machine: engine.Engine, lines: ir.Table, column: str) -> dict[Any, int]:
    return dict(machine.fetch(lines.group_by(column).agg(lines=lines.count())))


def quarantine(read: Read) -> ir.Table:
    """Quarantined lines with their reason, the file they came from and, where malformed, what stood there."""
    checked = read.taken.checked
    named = ((checked.file == place, printable(text.path.name)) for place, text in enumerate(read.inputs))
    held = checked.filter(checked.reason.notnull()).mutate(source_file=ibis.cases(*named)).select(*QUARANTINE_COLUMNS)
    return held.order_by(["source_file", "reason", *clean.LINE_KEY])


def nothing_kept(read: Read) -> SourceError:
    """What is to be said where no line counts."""
    names = ", ".join(str(text.path) for text in read.inputs)
    if not read.taken.rows_by_reason:
        return SourceError(
            f"{names} has a header and no line",
            expected="at least one line of sales",
            to_do="name another file with --source, or export it again",
        )
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in read.taken.rows_by_reason.items())
    ((example,),) = read.machine.fetch(read.taken.checked.select("seen").limit(1))
    return SourceError(
        f"{names}: every line is quarantined ({reasons})" + (f"; one of them: {example}" if example else ""),
        expected="lines with invoice, sku, a date like 2026-11-22 08:26:00, a whole quantity and a price above 0",
        to_do="look at the lines and mend the export, or choose another layout with --layout",
    )
