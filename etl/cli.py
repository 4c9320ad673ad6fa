"""The command line of `python -m etl`, and the two lines that every ETL run ends with."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from etl.contract import Manifest
from etl.errors import ExitCode, KpiOpsError
from etl.layouts import LAYOUTS

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
        type=Path,
        required=True,
        metavar="PATH",
        help="a CSV, CSV.gz, Parquet or XLSX file; may be given several times",
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
        default="online_retail",
        choices=sorted(LAYOUTS),
        help="how the export names its columns (default: %(default)s)",
    )
    made.add_argument(
        "--currency", default="GBP", metavar="CODE", help="three letters, ISO 4217 (default: %(default)s)"
    )
    made.add_argument("--drop-duplicates", action="store_true", help="count lines that are equal in every column once")
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the ETL and write the snapshot; returns the exit code."""
    given = parser().parse_args(arguments)
    try:
        manifest = _run(given)
    except KpiOpsError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.COULD_NOT
    except KeyboardInterrupt:
        print("interrupted; the previous snapshot is untouched", file=sys.stderr)
        return INTERRUPTED
    print(summary(manifest), file=sys.stderr)
    print(f"wrote {given.out}/metadata.json (run {manifest.run_id})", file=sys.stderr)
    return ExitCode.GOOD


def _run(given: argparse.Namespace) -> Manifest:
    from etl.progress import bar
    from etl.run import Job, run
    from etl.sources import layout_named
    from etl.store import DirectoryStore
    from etl.version import code_version

    now = datetime.now(UTC)  # noqa: TID251 - a door: the clock is read here and passed on
    job = Job(layout_named(given.layout), given.currency, now, code_version(), given.drop_duplicates)
    store = DirectoryStore(given.out)
    with store.staging() as directory, bar(sys.stderr) as step:
        return store.adopt(run(given.source, job, directory, step), directory)


def summary(manifest: Manifest) -> str:
    """What a person wants to see at once, in two lines."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in manifest.quarantine.items())
    lines = f"kept {manifest.rows_kept:,} of {manifest.rows_in:,} lines" + (
        f" (quarantined: {reasons})" if reasons else ""
    )
    return f"{lines}\ndata from {manifest.data_from} through {manifest.data_through}"
