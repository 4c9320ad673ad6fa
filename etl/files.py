"""Artifact expressions -> the files of a snapshot: Parquet with money in mills, CSV with money in decimal units."""

import hashlib
from pathlib import Path

import ibis.expr.types as ir

from etl import rules
from etl.contract import (
    ARTIFACTS,
    FORMATS,
    FORMULA_STARTS,
    MILLS_PER_UNIT,
    Artifact,
    ArtifactFile,
    Column,
    Format,
    columns_of,
)
from etl.engine import Engine
from etl.store import file_name

SQL_TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
APOSTROPHE = "chr(39)"
OPTIONS = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER"}


def write_artifact(engine: Engine, artifact: str, expr: ir.Table, directory: Path) -> Artifact:
    """Compute an artifact once and write both files; the same rows give the same bytes.

    A column that is missing, or a rule of etl/rules.py that a row breaks, is our bug, and raises as one.
    """
    columns = ARTIFACTS[artifact]
    engine.keep(artifact, expr)
    rows = _sound_rows(engine, artifact)
    for fmt in FORMATS:
        shown = ", ".join(_selected(column, fmt) for column in columns)
        engine.copy(f'SELECT {shown} FROM "{artifact}"', directory / file_name(artifact, fmt), OPTIONS[fmt])
    written = {fmt: _described(directory / file_name(artifact, fmt), rows) for fmt in FORMATS}
    return Artifact(columns=columns_of(artifact), parquet=written["parquet"], csv=written["csv"])


def write_parquet(engine: Engine, expr: ir.Table, path: Path) -> None:
    """Write the rows of an expression as Parquet."""
    engine.copy(engine.query(expr), path, OPTIONS["parquet"])


def _sound_rows(engine: Engine, artifact: str) -> int:
    """How many rows the artifact has, no rule broken by any of them."""
    ((rows, *broken),) = engine.rows(rules.counted(artifact))
    for rule, count in zip(rules.rules(artifact), broken, strict=True):
        if count:
            found = "\n".join(f"    {row}" for row in engine.rows(rules.shown(artifact, rule)))
            columns = ", ".join(rule.columns)
            raise AssertionError(
                f"{artifact} is not written: {count:,} rows break the rule {rule.words!r} of {columns}:\n{found}"
            )
    return int(rows)


def _described(path: Path, rows: int) -> ArtifactFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ArtifactFile(key=path.name, sha256=digest, bytes=path.stat().st_size, rows=rows)


def _selected(column: Column, fmt: Format) -> str:
    value = f'CAST("{column.name}" AS {SQL_TYPES[column.type]})'
    if column.money and fmt == "csv":
        exact = f"CAST({value} AS DECIMAL(19, 0)) * CAST(0.001 AS DECIMAL(4, 3))"
        value = exact if column.type == "int64" else f"{value} / {MILLS_PER_UNIT}"
    if column.type == "string" and fmt == "csv":
        starts = ", ".join(f"chr({ord(start)})" for start in FORMULA_STARTS)
        value = f"CASE WHEN left({value}, 1) IN ({starts}) THEN {APOSTROPHE} || {value} ELSE {value} END"
    return f'{value} AS "{column.name}"'
