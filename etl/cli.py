"""The command line of `python -m etl`, and what it shares with `fab etl`."""

import argparse
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TextIO

from etl.contract import Manifest
from etl.errors import ExitCode, KpiOpsError
from etl.layouts import BY_HEADER, LAYOUTS

if TYPE_CHECKING:
    from etl.run import Job

INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """argparse leaves with 2, which for our commands means `changes pending`."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.COULD_NOT, f"error: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The flags of `python -m etl`."""
    made = _Parser(prog="python -m etl", description="Compute the KPI snapshot from an online shop's sales lines.")
    made.add_argument(
        "--source",
        action="append",
        required=True,
        metavar="PATH",
        help="a CSV (also .gz, .zip), Parquet or XLSX file, a directory, or s3://...; may be given several times",
    )
    made.add_argument(
        "--out",
        type=Path,
        default=Path("data/processed"),
        metavar="DIR",
        help="where the snapshot is written (default: %(default)s)",
    )
    made.add_argument(
        "--layout",
        default=BY_HEADER,
        choices=[BY_HEADER, *sorted(LAYOUTS)],
        help="how the export names its columns (default: by its header)",
    )
    made.add_argument(
        "--dates",
        default="auto",
        choices=["auto", "dmy", "mdy"],
        help="which of 1/12/2010 is the day (default: as the file tells; 2010-12-01 is always read)",
    )
    made.add_argument(
        "--time-zone",
        default="",
        metavar="NAME",
        help="the shop's, like Europe/Berlin: times with an offset become its local time (without: malformed)",
    )
    made.add_argument(
        "--currency",
        default="GBP",
        metavar="CODE",
        type=_currency,
        help="three letters, ISO 4217 (default: %(default)s)",
    )
    made.add_argument("--check", action="store_true", help="say what is in the files, and write nothing")
    made.add_argument("--drop-duplicates", action="store_true", help="count lines that are equal in every column once")
    return made


def stop_like_ctrl_c() -> None:
    """Whoever asks us to stop, what was begun is taken back as for Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _currency(text: str) -> str:
    if not re.fullmatch("[A-Z]{3}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no currency; three capital letters are expected, like EUR")
    return text


def main(arguments: Sequence[str]) -> int:
    """Run the ETL and write the snapshot; returns the exit code."""
    given = parser().parse_args(arguments)
    stop_like_ctrl_c()
    now = datetime.now(UTC)  # noqa: TID251 - a door: the clock is read here and passed on
    try:
        if given.check:
            return look(given.source, given, now=now, out=sys.stdout, stream=sys.stderr)
        make_snapshot(given.source, given.out, given, now=now, stream=sys.stderr)
    except KpiOpsError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.COULD_NOT
    except KeyboardInterrupt:
        print("interrupted; the previous snapshot is untouched", file=sys.stderr)
        return INTERRUPTED
    return ExitCode.GOOD


class Choices(Protocol):
    """How to read the files: flags of a command line, or the [etl] settings."""

    @property
    def layout(self) -> str:
        """The name of a layout, or BY_HEADER."""
        ...

    @property
    def dates(self) -> str:
        """auto, dmy or mdy."""
        ...

    @property
    def time_zone(self) -> str:
        """A name of the IANA list, "" where times have no offset."""
        ...

    @property
    def currency(self) -> str:
        """Three letters."""
        ...

    @property
    def drop_duplicates(self) -> bool:
        """Whether equal lines count once."""
        ...


def job_of(choices: Choices, now: datetime) -> "Job":
    """What a run is asked to do, from flags or settings."""
    from etl.dialect import DateOrder, Said
    from etl.layouts import Own, chosen
    from etl.run import Job
    from etl.version import code_version

    own = Own(
        columns=dict(getattr(choices, "columns", ())),
        service_codes=getattr(choices, "service_codes", ()),
        cancellation=getattr(choices, "cancellation", ""),
    )
    dates: DateOrder | None = choices.dates if choices.dates in ("dmy", "mdy") else None  # type: ignore[assignment] # one of the two
    said = Said(dates, choices.time_zone)
    return Job(chosen(choices.layout, own), choices.currency, now, code_version(), choices.drop_duplicates, said)


@contextmanager
def at_hand(sources: Sequence[str | Path], step: Callable[[str], None]) -> Iterator[list[Path]]:
    """The sources on this machine's disk; those on S3 are fetched, and lie here as long as the block lasts."""
    from etl import complete_journey
    from etl.store import SCHEME, fetched, s3_client

    with ExitStack() as stack:
        found: list[Path] = []
        for source in sources:
            if str(source).startswith(SCHEME):
                step(f"fetching {source}")
                directory = stack.enter_context(_directory())
                found += fetched(s3_client(), str(source), Path(directory))
            elif str(source) == complete_journey.NAME and not Path(source).exists():
                step("unpacking The Complete Journey")
                data = complete_journey.data_directory()
                found.append(Path(stack.enter_context(_directory())) / f"{complete_journey.NAME}.parquet")
                complete_journey.write(found[-1], data)
            else:
                found.append(Path(source))
        yield found


def _directory() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="kpi-ops-sales-")


def look(sources: Sequence[str | Path], choices: Choices, *, now: datetime, out: TextIO, stream: TextIO) -> ExitCode:
    """Say on `out` what is in sales files, and write nothing; CHECK_FAILED where no line of them would count."""
    from etl.check import check, told
    from etl.progress import bar

    with bar(stream) as step, at_hand(sources, step) as paths:
        found = check(paths, job_of(choices, now), step)
    print(told(found), file=out)
    return ExitCode.GOOD if found.rows_kept else ExitCode.CHECK_FAILED


def make_snapshot(
    sources: Sequence[str | Path], out: Path, choices: Choices, *, now: datetime, stream: TextIO
) -> Manifest:
    """Sales files -> the current snapshot of a directory, with progress and a summary on `stream`."""
    from etl.progress import bar
    from etl.run import run
    from etl.store import DirectoryStore
    from etl.summary import summary

    job, store = job_of(choices, now), DirectoryStore(out)
    notes: list[str] = []
    with store.staging() as directory, bar(stream) as step, at_hand(sources, step) as paths:
        manifest = store.adopt(run(paths, job, directory, step, notes.append), directory)
    for note in notes:
        print(f"note: {note}", file=stream)
    print(summary(manifest, store), file=stream)
    print(f"wrote {out}/metadata.json (run {manifest.run_id})", file=stream)
    return manifest
