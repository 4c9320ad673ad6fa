"""Snapshots on disk and on S3: write, publish, read, verify. The only door to S3 for artifacts."""

from pathlib import Path
from urllib.parse import urlsplit

from etl.errors import SettingsError
from etl.store.cache import SnapshotCache, cache_of
from etl.store.changes import FileChange, changes
from etl.store.directory import DirectoryStore
from etl.store.history import Publication, lost_files, publications, restore
from etl.store.publish import Overtaken, Published, Run, publish
from etl.store.reader import Current, Held, SnapshotReader, file_name, sha256
from etl.store.s3 import Base, S3Store
from etl.store.sales import SCHEME, fetched
from etl.store.whole import Whole, nothing_at_hand, whole
from etl.store.wire import Patience, s3_client

__all__ = [
    "SCHEME",
    "Base",
    "Current",
    "DirectoryStore",
    "FileChange",
    "Held",
    "Overtaken",
    "Patience",
    "Publication",
    "Published",
    "Run",
    "S3Store",
    "SnapshotCache",
    "SnapshotReader",
    "Whole",
    "cache_of",
    "changes",
    "fetched",
    "file_name",
    "lost_files",
    "nothing_at_hand",
    "open_reader",
    "publications",
    "publish",
    "restore",
    "s3_client",
    "sha256",
    "whole",
]


def open_reader(address: str) -> SnapshotReader:
    """A reader for a directory or an s3://bucket/prefix/ address."""
    if "://" not in address:
        return DirectoryStore(Path(address))
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.netloc:
        raise SettingsError(
            f"the store {address!r} has an unknown form",
            expected="a directory or s3://BUCKET/PREFIX/",
            to_do="mend [dashboard] store in settings.toml, or KPI_DASHBOARD__STORE",
        )
    prefix = parts.path.strip("/")
    return S3Store(s3_client(), parts.netloc, f"{prefix}/" if prefix else "")
