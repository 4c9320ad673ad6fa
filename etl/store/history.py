"""Runs that were published, from the versions of metadata.json, and going back to one of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from etl.contract import METADATA, Manifest
from etl.errors import ContractError
from etl.store.publish import replace
from etl.store.s3 import Base, S3Store
from etl.store.wire import bounded

THREADS = 8


@dataclass(frozen=True, slots=True)
class Publication:
    """One version of metadata.json. `manifest` is None where it cannot be read as one; `problem` then says why."""

    version_id: str
    published_at: datetime
    is_current: bool
    manifest: Manifest | None
    problem: str = ""


def publications(store: S3Store, limit: int) -> list[Publication]:
    """The newest publications, newest first; in a bucket without versions the current one alone. Raises StoreError."""
    deadline = store.patience.begin()
    found = store.listed(deadline)[:limit]
    texts = bounded([store.version(entry["VersionId"]) for entry in found], deadline, threads=THREADS)
    return [_publication(store, entry, text) for entry, text in zip(found, texts, strict=True)]


def _publication(store: S3Store, entry: Any, text: bytes) -> Publication:
    manifest, problem = None, ""
    try:
        manifest = Manifest.from_json(text, where=store.where + METADATA)
    except ContractError as error:
        problem = error.seen
    return Publication(entry["VersionId"], entry["LastModified"], bool(entry["IsLatest"]), manifest, problem)


def lost_files(store: S3Store, manifest: Manifest) -> list[str]:
    """Keys of a manifest whose published version is gone or is not what it was. Raises StoreError."""
    deadline = store.patience.begin()
    found = bounded([store.looking(file, newest=False) for file in manifest.files], deadline, threads=THREADS)
    looked_at = zip(manifest.files, found, strict=True)
    return [file.key for file, held in looked_at if held is None or not held.is_same(file)]


def restore(store: S3Store, manifest: Manifest, base: Base) -> bool:
    """Make an earlier manifest the published one, in one write; false where somebody published meanwhile."""
    return replace(store, manifest, base, store.patience.begin()) is None
