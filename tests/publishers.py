"""Ways to put a directory on S3, each called as a careful person would: ours, `aws s3 sync`, rclone, s5cmd.

And readers who look whether what they read is of one run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-peers" / "bin"
PREFIX = "processed/"
READERS = 4


@dataclass(frozen=True, slots=True)
class Publisher:
    """A program that publishes a directory; `program` is None where this machine does not have it."""

    name: str
    program: str | None
    arguments: Callable[[str, str, str], list[str]]

    def command(self, endpoint, directory, bucket):
        """The whole command line."""
        return [self.program, *self.arguments(endpoint, str(directory), bucket)]


def ours():
    """`etl.store.publish` on a directory that is computed already."""
    return Publisher(
        "kpi-ops",
        sys.executable,
        lambda _endpoint, directory, bucket: ["-m", "tests.bench.ours", "publish", directory, bucket],
    )


def aws():
    """Compares size and time of change."""
    return Publisher(
        "aws s3 sync",
        shutil.which("aws", path=str(PEERS)),
        lambda _endpoint, directory, bucket: ["s3", "sync", "--no-progress", directory, f"s3://{bucket}/{PREFIX}"],
    )


def rclone():
    """Compares checksums: a fresh copy of the same bytes is not uploaded again."""
    return Publisher(
        "rclone",
        shutil.which("rclone"),
        lambda endpoint, directory, bucket: [
            *("sync", "--checksum", "--config", os.devnull, "--s3-provider", "Other", "--s3-env-auth"),
            *("--s3-no-check-bucket", "--s3-region", "us-east-1", "--s3-endpoint", endpoint),
            *(directory, f":s3:{bucket}/{PREFIX}"),
        ],
    )


def s5cmd():
    """Compares size and time of change."""
    return Publisher(
        "s5cmd",
        shutil.which("s5cmd", path=str(PEERS)),
        lambda endpoint, directory, bucket: [
            *("--endpoint-url", endpoint, "sync", f"{directory}/", f"s3://{bucket}/{PREFIX}")
        ],
    )


def environment(endpoint):
    """Of a process that asks this S3 and no other one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_", "S3_"))}
    return clean | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def run_to_its_end(command, endpoint, **more):
    """Run one of them, with more in its environment. Raises where it fails."""
    done = subprocess.run(command, env=environment(endpoint) | more, cwd=ROOT, check=False, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode()}")


# --- torn reads


@dataclass(slots=True)
class Reads:
    """Reads of metadata.json and then of every file that it names; torn: a file is not the one that is named."""

    whole: int = 0
    torn: int = 0

    @property
    def all(self):
        """How many there were."""
        return self.whole + self.torn


@contextmanager
def read_meanwhile(client, bucket):
    """Readers who read all the time; gives the Reads, which are complete afterwards."""
    reads, counting, done = Reads(), threading.Lock(), threading.Event()

    def read():
        while not done.is_set():
            is_whole = read_once(client, bucket)
            with counting:
                reads.whole += is_whole
                reads.torn += not is_whole

    with ThreadPoolExecutor(READERS) as pool:
        reading = [pool.submit(read) for _ in range(READERS)]
        try:
            yield reads
        finally:
            done.set()
        for each in reading:
            each.result()


def read_once(client, bucket):
    """Whether all files are those that metadata.json names: by plain name, and by version where it names one."""
    from etl.contract import METADATA, Manifest
    from etl.store import file_name, sha256

    def get(name, version_id=None):
        version = {"VersionId": version_id} if version_id else {}
        return client.get_object(Bucket=bucket, Key=PREFIX + name, **version)["Body"].read()

    manifest = Manifest.from_json(get(METADATA))
    named = {
        file_name(artifact, fmt): file
        for artifact, both in manifest.artifacts.items()
        for fmt, file in both.files.items()
    }
    return all(sha256(get(name, file.version_id)) == file.sha256 for name, file in named.items())


def publish_before_readers(publisher, endpoint, client, bucket, runs):
    """Publish so many runs, each with all files new, while readers read; gives their reads."""
    from tests.made_runs import ALL_NEW, made_run
    from tests.s3_proxy import make_bucket

    def publish(number):
        with tempfile.TemporaryDirectory() as directory:
            made_run(number * ALL_NEW).write_to(Path(directory))
            run_to_its_end(publisher.command(endpoint, directory, bucket), endpoint)

    make_bucket(client, bucket)
    publish(0)
    with read_meanwhile(client, bucket) as reads:
        for number in range(1, runs + 1):
            publish(number)
    if not read_once(client, bucket):
        raise RuntimeError(f"{publisher.name} ended, and what it published is not whole")
    return reads
