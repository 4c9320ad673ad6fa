"""Publish a fresh snapshot: compute, compare with what is published, upload what changed."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etl.contract import Manifest
from etl.store import DirectoryStore, Overtaken, Run, S3Store, changes, file_name, publish, s3_client
from ops.settings import S3Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """What publishing would do, a line per file."""

    lines: list[str]
    pending: bool


def planned(make: Callable[[Path], Manifest], s3: S3Settings) -> Plan:
    """Compare with what is published a snapshot that is computed aside and thrown away."""
    store = _store(s3)
    base = store.published()
    with tempfile.TemporaryDirectory() as aside:
        found = changes(make(Path(aside)), base.manifest)
    lines = [
        f"{change.change:<9}  {file_name(change.artifact, change.format):<22} {change.file.bytes:>12,} bytes"
        for change in found
    ]
    pending = any(change.change != "unchanged" for change in found)
    published = (
        f"published now: run {base.manifest.run_id}" if base.manifest else "published now: nothing that is whole"
    )
    return Plan([published, *lines, *([] if pending else ["nothing to upload but metadata.json"])], pending)


def sync(make: Callable[[Path], Manifest], out: Path, s3: S3Settings, *, now: datetime, force: bool = False) -> str:
    """Write the snapshot to `out`, publish it, and say what was done; `force` uploads what is unchanged too.

    Raises StoreError, and LostRace where somebody else was faster.
    """
    store = _store(s3)
    base = store.published()  # first: an S3 that cannot be reached is known before the work is done
    manifest = make(out)
    done = publish(store, Run(manifest, DirectoryStore(out), force), base, now=now)
    if isinstance(done, Overtaken):
        return f"run {done.by.run_id} is newer"
    uploaded = f"{done.uploaded} files uploaded ({done.uploaded_bytes:,} bytes), {done.unchanged} unchanged"
    unversioned = "" if done.versioned else "\nthe bucket keeps no versions: a reader in the middle may have to retry"
    return f"published run {manifest.run_id} to {store.where}: {uploaded}{unversioned}"


def _store(s3: S3Settings) -> S3Store:
    return S3Store(s3_client(), s3.bucket, s3.prefix)
