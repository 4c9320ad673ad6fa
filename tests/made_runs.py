"""Small runs made from a number: files of random bytes, most of them the same in the next run, and their manifest.

python -m tests.made_runs DIRECTORY NUMBER      writes one as a plain directory
"""

import random
import sys
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from etl.contract import (
    ARTIFACTS,
    FORMATS,
    METADATA,
    Artifact,
    ArtifactFile,
    Manifest,
    Source,
    SourceFile,
    columns_of,
    run_id,
)
from etl.store import Run, file_name, sha256

FIRST = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
NAMES = [(artifact, fmt) for artifact in ARTIFACTS for fmt in FORMATS]
PERIODS = (1, 1, 2, 2, 3, 4, 5, 7, 10, 20, 25, 50)  # a file is a new one in every so many runs
ALL_NEW = 100  # so many runs later no file is the same


class MadeRun:
    """Run number so and so: the later number is the newer run. A SnapshotReader as far as publishing asks of one."""

    def __init__(self, number):
        self.number = number
        self.files = {file_name(*name): _data(place, number) for place, name in enumerate(NAMES)}
        self.by_sha256 = {sha256(data): data for data in self.files.values()}
        artifacts = {artifact: _artifact(artifact, self.files) for artifact in ARTIFACTS}
        made_at = FIRST + timedelta(seconds=number)
        self.manifest = Manifest(
            schema_version=1,
            run_id=run_id(made_at, artifacts),
            generated_at=made_at,
            data_from=date(2026, 1, 1),
            data_through=date(2026, 11, 21),
            currency="GBP",
            source=Source(
                layout="made-up",
                files=(SourceFile(name="made.csv", sha256=sha256(b""), rows=number),),
                overlap_rows=0,
                duplicate_rows=0,
                duplicates_dropped=False,
            ),
            code_version="test",
            quarantine={},
            rows_in=number,
            rows_kept=number,
            artifacts=artifacts,
        )

    def read(self, file):
        return self.by_sha256[file.sha256]

    @property
    def run(self):
        """As `publish` takes it."""
        return Run(self.manifest, self)

    def write_to(self, directory):
        """The files and metadata.json under their plain names, as any tool may upload them."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (directory / name).write_bytes(data)
        (directory / METADATA).write_text(self.manifest.to_json())


@cache
def made_run(number):
    return MadeRun(number)


def number_of(manifest):
    """Which run a manifest is of."""
    return manifest.rows_in


def files_of(manifest):
    """What a reader wants: all files."""
    return manifest.files


def _data(place, number):
    dice = random.Random(f"{place} {number // PERIODS[place]}")
    return dice.randbytes(dice.randint(200, 900))


def _artifact(artifact, files):
    def described(fmt):
        data = files[file_name(artifact, fmt)]
        return ArtifactFile(key=file_name(artifact, fmt), sha256=sha256(data), bytes=len(data), rows=1)

    return Artifact(columns=columns_of(artifact), parquet=described("parquet"), csv=described("csv"))


if __name__ == "__main__":
    made_run(int(sys.argv[2])).write_to(Path(sys.argv[1]))
