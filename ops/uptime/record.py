"""Samples as JSON lines in uptime/YYYY-MM.jsonl: written once, never changed, read in whatever state they are."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from etl.errors import KpiOpsError
from ops.uptime.probe import MAX_DETAIL_BYTES, PHASES, Reason, Result, Stage, Verdict, sample_of

MAX_LINE_BYTES = 400
VERSION = 1
NAME = r"[A-Za-z0-9_.-]{1,40}"
MAX_NUMBER = 2**31 - 1
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
        """Parse one line. Raises ValueError for anything that is no sample.

        Needed are v, t, target, verdict and by; keys of later versions are passed over.
        """
        fields = json.loads(line.decode("utf-8-sig"))
        if not isinstance(fields, dict) or not _is_version(fields.get("v")) or len(line.strip()) > MAX_LINE_BYTES:
            raise ValueError("not a sample of version 1")
        return cls(
            at=moment_of(fields, "t"),
            target=name_of(fields, "target"),
            by=name_of(fields, "by"),
            run=run if isinstance(run := fields.get("run"), str) else None,
            result=_result(fields),
        )


def append(directory: Path, samples: Iterable[Sample]) -> None:
    """Add samples to the files of their UTC months, in one write each. Raises KpiOpsError where that fails."""
    by_file: dict[str, list[bytes]] = {}
    for sample in samples:
        by_file.setdefault(f"{sample.at:%Y-%m}.jsonl", []).append(sample.to_line())
    for name, lines in by_file.items():
        append_lines(directory, name, lines)


def append_lines(directory: Path, name: str, lines: Sequence[bytes]) -> None:
    """Add whole lines to a file of the directory, in one write. Raises KpiOpsError where that fails."""
    if not lines:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _append(directory / name, b"".join(lines))
    except OSError as error:
        raise no_access("write to", directory, error) from error


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
    verdict, attempts = text_of(fields, "verdict"), fields.get("attempts")
    stage, reason = _text_or_none(fields, "stage"), _text_or_none(fields, "reason")
    if verdict not in VERDICTS or not (stage is None or stage in STAGES) or not (reason is None or reason in REASONS):
        raise ValueError("a verdict, stage or reason that is none")
    detail = _text_or_none(fields, "detail")
    if detail and len(detail.encode()) > MAX_DETAIL_BYTES:
        raise ValueError("a detail that is too long")
    attempts = 1 if attempts is None else attempts
    if not _is_whole(attempts, at_least=1):
        raise ValueError("attempts must be a number from 1")
    return Result(verdict, stage, reason, detail, _phases(fields.get("ms")), attempts)  # type: ignore[arg-type]


def _phases(ms: object) -> dict[str, int | None]:
    """Times that can be meant; a look counts without them too."""
    spent = ms if isinstance(ms, dict) else {}
    return {phase: value if _is_whole(value := spent.get(phase), at_least=0) else None for phase in PHASES}


def _is_version(value: object) -> bool:
    return type(value) is int and value == VERSION


def _is_whole(value: object, *, at_least: int) -> bool:
    return type(value) is int and at_least <= value <= MAX_NUMBER


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """A text that is not empty. Raises ValueError."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text")
    value.encode()  # JSON can spell half characters that no file can hold
    return value


def name_of(fields: Mapping[str, Any], key: str) -> str:
    """A name of at most 40 letters. Raises ValueError."""
    name = text_of(fields, key)
    if not re.fullmatch(NAME, name):
        raise ValueError(f"{key} must be a name")
    return name


def _text_or_none(fields: Mapping[str, Any], name: str) -> str | None:
    return None if fields.get(name) in (None, "") else text_of(fields, name)


def moment_of(fields: Mapping[str, Any], key: str) -> datetime:
    """A moment in UTC, to the second. Raises ValueError."""
    text = text_of(fields, key)
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        raise ValueError("t must be UTC to the second")
    return datetime.fromisoformat(text).astimezone(UTC)


def no_access(doing: str, directory: Path, error: OSError) -> KpiOpsError:
    """The error for a directory of samples that cannot be read or written."""
    return KpiOpsError(
        f"cannot {doing} {directory}: {error.strerror or error}",
        expected="the directory of the samples, uptime/YYYY-MM.jsonl",
        to_do="name it with --samples or in settings.toml [uptime] directory, or mend its rights",
    )
