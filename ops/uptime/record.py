"""Samples as JSON lines in uptime/YYYY-MM.jsonl: written once, never changed, read in whatever state they are."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from etl.errors import KpiOpsError
from ops.uptime.probe import MAX_DETAIL_BYTES, PHASES, Reason, Result, Stage, Verdict, sample_of

MAX_LINE_BYTES = 400
VERSION = 1
FILE_PATTERN = "[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"

VERDICTS: frozenset[str] = frozenset(get_args(Verdict))
STAGES: frozenset[str] = frozenset(get_args(Stage))
REASONS: frozenset[str] = frozenset(get_args(Reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at one target. `at`: UTC, whole seconds; `by`: who looked; `run`: the scheduled run it belongs to."""

    at: datetime
    target: str
    by: str
    run: str | None
    result: Result

    @property
    def verdict(self) -> Verdict:
        """up, degraded, down or unknown."""
        return self.result.verdict

    @property
    def total_ms(self) -> int:
        """Milliseconds from the first name look-up to the end of the script, over the phases that were reached."""
        return sum(ms for ms in self.result.ms.values() if ms is not None)

    def to_line(self) -> bytes:
        """The sample as one line of at most 400 bytes; where it would be longer, the detail is cut."""
        fields = sample_of(self.result, at=self.at, target=self.target, by=self.by, run=self.run)
        while len(line := _dumped(fields)) > MAX_LINE_BYTES and "detail" in fields:
            over = len(line) - MAX_LINE_BYTES
            fields["detail"] = str(fields["detail"]).encode()[:-over].decode("utf-8", "ignore").rstrip()
            if not fields["detail"]:
                del fields["detail"]
        return line

    @classmethod
    def from_line(cls, line: bytes) -> "Sample":
        """Parse one line. Raises ValueError for anything `to_line` does not write."""
        fields = json.loads(line)
        if not isinstance(fields, dict) or fields.get("v") != VERSION or len(line.strip()) > MAX_LINE_BYTES:
            raise ValueError("not a sample of version 1")
        return cls(
            at=_moment(_text(fields, "t")),
            target=_name(fields, "target"),
            by=_name(fields, "by"),
            run=_text_or_none(fields, "run"),
            result=_result(fields),
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a directory holds: samples in order, each once, and how many lines were torn or no samples."""

    samples: tuple[Sample, ...]
    torn_lines: int


def append(directory: Path, samples: Iterable[Sample]) -> None:
    """Add samples to the files of their UTC months, in one write each. Raises KpiOpsError where that fails."""
    by_file: dict[Path, bytes] = {}
    for sample in samples:
        file = directory / f"{sample.at:%Y-%m}.jsonl"
        by_file[file] = by_file.get(file, b"") + sample.to_line()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file, lines in by_file.items():
            _append(file, lines)
    except OSError as error:
        raise _no_access("write to", directory, error) from error


def read(directory: Path) -> Recorded:
    """All samples of a directory, sorted; torn lines are skipped and counted. Raises KpiOpsError if it is not there."""
    try:
        if not directory.is_dir():
            raise NotADirectoryError(f"there is no directory {directory}")
        lines = [line for file in sorted(directory.glob(FILE_PATTERN)) for line in file.read_bytes().split(b"\n")]
    except OSError as error:
        raise _no_access("read", directory, error) from error
    return parsed(lines)


def parsed(lines: Iterable[bytes]) -> Recorded:
    """Samples of lines in any order: sorted, the same (t, target, by) once, what is no sample counted."""
    found: dict[tuple[datetime, str, str], Sample] = {}
    torn = 0
    for line in sorted(line for line in lines if line.strip()):
        try:
            sample = Sample.from_line(line)
        except (ValueError, RecursionError):
            torn += 1
        else:
            found.setdefault((sample.at, sample.target, sample.by), sample)
    return Recorded(tuple(found[key] for key in sorted(found)), torn)


def _dumped(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _append(file: Path, lines: bytes) -> None:
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        data = b"\n" + lines if torn else lines  # whoever died while writing must not take our first line along
        if os.write(descriptor, data) != len(data):
            raise OSError(None, "the disk took only a part of the line")
    finally:
        os.close(descriptor)


def _result(fields: Mapping[str, Any]) -> Result:
    verdict, attempts = _text(fields, "verdict"), fields.get("attempts")
    stage, reason = _text_or_none(fields, "stage"), _text_or_none(fields, "reason")
    if verdict not in VERDICTS or not (stage is None or stage in STAGES) or not (reason is None or reason in REASONS):
        raise ValueError("a verdict, stage or reason that is none")
    if type(attempts) is not int or attempts < 1:
        raise ValueError("attempts must be a number from 1")
    detail = _text(fields, "detail") if "detail" in fields else None
    if detail and len(detail.encode()) > MAX_DETAIL_BYTES:
        raise ValueError("a detail that is too long")
    return Result(verdict, stage, reason, detail, _phases(fields.get("ms")), attempts)  # type: ignore[arg-type]


def _phases(ms: object) -> dict[str, int | None]:
    if not isinstance(ms, dict) or set(ms) != set(PHASES):
        raise ValueError("ms must name every phase")
    if any(value is not None and (type(value) is not int or value < 0) for value in ms.values()):
        raise ValueError("ms must be whole milliseconds")
    return {phase: ms[phase] for phase in PHASES}


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text")
    value.encode()  # JSON can spell half characters that no file can hold
    return value


def _name(fields: Mapping[str, Any], key: str) -> str:
    name = _text(fields, key)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
        raise ValueError(f"{key} must be a name")
    return name


def _text_or_none(fields: Mapping[str, Any], name: str) -> str | None:
    if name not in fields:
        raise ValueError(f"{name} is missing")
    return None if fields[name] is None else _text(fields, name)


def _moment(text: str) -> datetime:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        raise ValueError("t must be UTC to the second")
    return datetime.fromisoformat(text).astimezone(UTC)


def _no_access(doing: str, directory: Path, error: OSError) -> KpiOpsError:
    return KpiOpsError(
        f"cannot {doing} {directory}: {error.strerror or error}",
        expected="the directory of the samples, uptime/YYYY-MM.jsonl",
        to_do="name it with --samples or in settings.toml [uptime] directory, or mend its rights",
    )
