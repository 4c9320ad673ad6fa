"""The agreement between who writes a snapshot and who reads one: artifacts, columns, metadata.json.

A leaf: imports nothing of ours but the errors, and neither pandas nor pyarrow.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from etl.errors import ContractError, NewerContract

SCHEMA_VERSION = 1
METADATA = "metadata.json"
QUARANTINE = "quarantine.parquet"
# What a spreadsheet takes for a formula where a cell begins with it; in a CSV an apostrophe stands before it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
MILLS_PER_UNIT = 1000
MAX_METADATA_BYTES = 1_000_000

ColumnType = Literal["string", "int64", "float64", "bool", "date", "timestamp"]
Format = Literal["parquet", "csv"]
FORMATS: tuple[Format, ...] = ("parquet", "csv")

Reason = Literal["malformed", "bad_debt", "stock_adjustment", "non_positive_price", "zero_quantity"]
REASONS: tuple[Reason, ...] = (
    "malformed",
    "bad_debt",
    "stock_adjustment",
    "non_positive_price",
    "zero_quantity",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an artifact. `money`: mills in Parquet, decimal units in CSV (`unit_mills` says mills in both)."""

    name: str
    type: ColumnType
    nullable: bool = False
    money: bool = False


def _money(name: str) -> Column:
    return Column(name, "int64", money=True)


def _count(name: str) -> Column:
    return Column(name, "int64")


def _rate(name: str) -> Column:
    return Column(name, "float64", nullable=True)


def _text(name: str) -> Column:
    return Column(name, "string")


def _day(name: str) -> Column:
    return Column(name, "date")


ARTIFACTS: Mapping[str, tuple[Column, ...]] = {
    # One row per calendar day from first to last. `aov` is gross_sales / orders: mills in Parquet, units in CSV.
    "daily_kpis": (
        _day("date"),
        _money("gross_sales"),
        _money("returns"),
        _money("net_sales"),
        _money("other_charges"),
        _money("total_sales"),
        _count("orders"),
        _count("units"),
        _count("customers"),
        _count("new_customers"),
        _count("returning_customers"),
        _count("cancellations"),
        _rate("cancellation_rate"),
        Column("aov", "float64", nullable=True, money=True),
    ),
    # One row per product sold, best first.
    "top_products": (
        _count("rank"),
        _text("sku"),
        Column("description", "string", nullable=True),
        _money("gross_sales"),
        _money("returns"),
        _money("net_sales"),
        _count("units"),
        _count("orders"),
        _count("customers"),
        _day("first_sold"),
        _day("last_sold"),
        _rate("share"),
        _rate("cumulative_share"),
        _text("abc_class"),
    ),
    # One row per customer with an order.
    "rfm": (
        _text("customer_id"),
        Column("country", "string", nullable=True),
        _day("first_order"),
        _day("last_order"),
        _count("recency_days"),
        _count("frequency"),
        _money("monetary"),
        _count("r_score"),
        _count("f_score"),
        _count("m_score"),
        _text("rfm"),
        _text("segment"),
    ),
    # One row per cohort (month of first order) and month since.
    "cohorts": (
        _day("cohort_month"),
        _count("months_since"),
        _count("customers"),
        _count("active"),
        _rate("retention"),
        _money("net_sales"),
    ),
    # One row per product and month in which it was sold or came back.
    "product_months": (
        _text("sku"),
        _day("month"),
        _money("gross_sales"),
        _money("returns"),
        _money("net_sales"),
        _count("units"),
        _count("orders"),
    ),
    # The first 500 kept lines, for quality assurance.
    "sample_kpis": (
        _text("invoice"),
        _text("sku"),
        Column("description", "string", nullable=True),
        _count("quantity"),
        Column("at", "timestamp"),
        Column("unit_mills", "int64", nullable=True),
        Column("customer_id", "string", nullable=True),
        Column("country", "string", nullable=True),
        _money("amount"),
        _text("kind"),
        Column("service", "bool"),
    ),
}


# A snapshot that an earlier release published has none of these: who reads it does without.
LATER_ARTIFACTS: Final = frozenset({"product_months"})


def columns_of(artifact: str) -> dict[str, str]:
    """Column name -> type name of one artifact, as metadata.json writes it."""
    return {column.name: column.type for column in ARTIFACTS[artifact]}


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        msg = "a time with Z at its end is expected"
        raise ValueError(msg)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        msg = "a time of the years 1 to 9999 in UTC is expected"
        raise ValueError(msg) from error


def _relative(key: str) -> str:
    if key.startswith("/") or ".." in key.split("/") or "\\" in key:
        msg = "a relative key without .. is expected"
        raise ValueError(msg)
    return key


def _written_as(pattern: str) -> BeforeValidator:
    """A text must be ISO 8601: pydantic would read a number of seconds since 1970 too."""

    def check(value: object) -> object:
        if isinstance(value, date) or (isinstance(value, str) and re.fullmatch(pattern, value)):
            return value
        msg = "a date like 2026-11-22 is expected"
        raise ValueError(msg)

    return BeforeValidator(check)


_DAY = r"\d{4}-\d{2}-\d{2}"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Day = Annotated[date, Field(strict=False), _written_as(_DAY)]
Whole = Annotated[int, Field(ge=0, strict=True)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Key = Annotated[Text, AfterValidator(_relative)]
UtcTime = Annotated[
    datetime,
    Field(strict=False),
    _written_as(_DAY + r".*"),
    AfterValidator(_utc),
    PlainSerializer(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"), when_used="json"),
]


class _Part(BaseModel):
    """Frozen, and open to keys that a later minor release may add."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class ArtifactFile(_Part):
    """One stored file: where it is and what its bytes must be. `key` is relative to the directory or bucket."""

    key: Key
    sha256: Sha256
    bytes: Whole
    rows: Whole
    version_id: Text | None = None


class Artifact(_Part):
    """One artifact: its columns (name -> type) and a file for each format."""

    columns: dict[str, str]
    parquet: ArtifactFile
    csv: ArtifactFile

    def file(self, fmt: Format) -> ArtifactFile:
        """The file of one format."""
        return self.parquet if fmt == "parquet" else self.csv

    @property
    def files(self) -> dict[Format, ArtifactFile]:
        """Both files by format."""
        return {fmt: self.file(fmt) for fmt in FORMATS}


class SourceFile(_Part):
    """One input file, by the name it was given (no directories), with the rows it held."""

    name: Text
    sha256: Sha256
    rows: Whole


class Source(_Part):
    """What the snapshot was made from. Overlap: rows of invoices that another input file holds too."""

    layout: Text
    files: tuple[SourceFile, ...]
    overlap_rows: Whole
    duplicate_rows: Whole
    duplicates_dropped: bool


class UnknownCode(_Part):
    """A code whose lines count as products and that may be a service: no digit in it, where nearly all have one."""

    sku: Annotated[str, Field(min_length=1)]
    lines: Whole
    amount_mills: Annotated[int, Field(strict=True)]


class Manifest(_Part):
    """metadata.json. `data_from` and `data_through` are the shop's local dates; `generated_at` is UTC.

    `published_by` and `restored_by` say who put it on S3, and from where; on disk they are not there.
    """

    schema_version: Whole
    run_id: Text
    generated_at: UtcTime
    data_from: Day
    data_through: Day
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    source: Source
    code_version: Text
    quarantine: dict[Reason, Whole]
    rows_in: Whole
    rows_kept: Whole
    artifacts: dict[str, Artifact]
    unknown_codes: tuple[UnknownCode, ...] = ()
    published_by: Text | None = None
    restored_by: Text | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        problems = list(_contradictions(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def files(self) -> list[ArtifactFile]:
        """Every file of every artifact, in the order of metadata.json."""
        return [file for artifact in self.artifacts.values() for file in artifact.files.values()]

    def to_json(self) -> str:
        """The text of metadata.json: stable key order, two spaces, a newline at its end."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = METADATA) -> "Manifest":
        """Parse metadata.json. Raises ContractError for anything that is not exactly a manifest."""
        if len(text) > MAX_METADATA_BYTES:
            raise ContractError(
                f"{where} holds {len(text):,} bytes",
                expected=f"a manifest of at most {MAX_METADATA_BYTES:,} bytes",
                to_do="look at what wrote it, then publish again with `fab etl-sync`",
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _contract_error(text, where, error) from error


def columns_in(text: bytes) -> dict[str, set[str]]:
    """Artifact -> column names as far as any metadata.json names them, also one that is no Manifest of this release."""
    try:
        artifacts = json.loads(text)["artifacts"]
        return {name: set(artifact["columns"]) for name, artifact in artifacts.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _contradictions(manifest: Manifest) -> list[str]:
    """Everything in a well-typed manifest that cannot be true."""
    found = []
    if manifest.schema_version != SCHEMA_VERSION:
        found.append(f"schema_version {manifest.schema_version} where {SCHEMA_VERSION} is read")
    quarantined = sum(manifest.quarantine.values())
    if manifest.rows_in != manifest.rows_kept + quarantined:
        found.append(f"rows_in {manifest.rows_in} is not rows_kept {manifest.rows_kept} + quarantined {quarantined}")
    if manifest.data_from > manifest.data_through:
        found.append(f"data_from {manifest.data_from} is after data_through {manifest.data_through}")
    for name in (name for name in ARTIFACTS if name in manifest.artifacts or name not in LATER_ARTIFACTS):
        artifact = manifest.artifacts.get(name)
        if artifact is None:
            found.append(f"artifact {name} is missing")
        elif artifact.columns != columns_of(name):
            found.append(f"{name} has columns {_columns_text(artifact.columns)}, not {_columns_text(columns_of(name))}")
        elif artifact.parquet.rows != artifact.csv.rows:
            found.append(f"{name} has {artifact.parquet.rows} rows as Parquet and {artifact.csv.rows} as CSV")
    return found


def _columns_text(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def _contract_error(text: str | bytes, where: str, error: ValidationError) -> ContractError:
    version = _schema_version(text)
    if version is not None and version != SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        return (NewerContract if newer else ContractError)(
            f"{where} has schema_version {version}",
            expected=f"schema_version {SCHEMA_VERSION}, the one this release reads",
            to_do="deploy a newer release" if newer else "publish again with this release: `fab etl-sync`",
        )
    problems = "; ".join(_problem(item) for item in error.errors(include_url=False)[:5])
    return ContractError(
        f"{where} is not a manifest: {problems}",
        expected="the JSON that `fab etl` and `fab etl-sync` write",
        to_do="run `fab etl` or `fab etl-sync` again",
    )


def _schema_version(text: str | bytes) -> int | None:
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    match = re.search(r'"schema_version"\s*:\s*(\d{1,9})\b', shown)
    return int(match.group(1)) if match else None


def _problem(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    return f"{place}: {item['msg']}" if place else str(item["msg"])


def run_id(generated_at: datetime, artifacts: Mapping[str, Artifact]) -> str:
    """Name of a run: its UTC second, and six digits that tell two runs of one second with other bytes apart."""
    hashes = "".join(file.sha256 for _, artifact in sorted(artifacts.items()) for file in artifact.files.values())
    return f"{generated_at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(hashes.encode()).hexdigest()[:6]}"
