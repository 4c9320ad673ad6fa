"""Publish a snapshot to S3: upload what changed, then metadata.json, on condition that it is still the one we know."""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from etl.contract import METADATA, Format, Manifest
from etl.errors import StoreError, StoreUnreachable
from etl.store.changes import FileChange, changes, is_newer, with_keys
from etl.store.reader import SnapshotReader, sha256
from etl.store.s3 import Base, S3Store
from etl.store.wire import Deadline, NoSuchKey, Patience, PreconditionFailed, Request, asked, bounded

CONTENT_TYPES: Mapping[Format, str] = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv; charset=utf-8"}
THREADS = 4
LAST_LOOK_S = 10.0  # for the question what became of a write whose answer was lost


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did. `races`: how often somebody else published an older run first."""

    manifest: Manifest
    uploaded: int
    uploaded_bytes: int
    unchanged: int
    versioned: bool
    races: int = 0


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A newer run is published already, so this one is not."""

    by: Manifest


@dataclass(frozen=True, slots=True)
class Run:
    """A snapshot to publish: its manifest, and where its files are read.

    `force`: upload every file, and publish even over a newer run. `sent_bytes` is told of bytes as they go, from
    several threads; a negative number where they must be sent again.
    """

    manifest: Manifest
    source: SnapshotReader
    force: bool = False
    sent_bytes: Callable[[int], None] = lambda _count: None


@dataclass(slots=True)
class _Sent:
    """What was uploaded so far: plain name -> VersionId, None in a bucket without versions."""

    versions: dict[str, str | None] = field(default_factory=dict)
    bytes: int = 0


def publish(store: S3Store, run: Run, base: Base, *, now: datetime) -> Published | Overtaken:
    """Make a run the published one in place of `base`. Of two that are published at once the newer one stays.

    Raises StoreError; what is published is then still what was, whole, unless the message says that nobody knows.
    """
    deadline = store.patience.begin()
    sent = _Sent()
    races = 0
    while True:
        if base.manifest and is_newer(base.manifest, run.manifest, now) and not run.force:
            return Overtaken(base.manifest)
        wanted = changes(run.manifest, base.manifest)
        kept = {} if run.force else _kept(store, wanted, deadline)
        left = [change for change in wanted if change.name not in kept]
        _upload(store, run, left, sent, deadline)
        if any(kept.values()) or any(sent.versions.values()):
            _upload(store, run, left, sent, deadline)  # in a bucket with versions, what came back without one
        placed = with_keys(run.manifest, store.prefix, {**sent.versions, **kept})
        found = replace(store, placed, base, deadline)
        if found is None:
            unchanged = len(wanted) - len(sent.versions)
            return Published(placed, len(sent.versions), sent.bytes, unchanged, _is_versioned(placed), races)
        races += found.text != base.text
        base = found


def _is_versioned(placed: Manifest) -> bool:
    return all(file.version_id for file in placed.files)


def _kept(store: S3Store, wanted: Iterable[FileChange], deadline: Deadline) -> dict[str, str | None]:
    """Files that need not be uploaded: plain name -> VersionId.

    A version stays what it was. Without one a publisher that was killed may have written over the object, so that is
    looked at.
    """
    unchanged = {change.name: change for change in wanted if change.change == "unchanged"}
    kept = {name: change.before.version_id for name, change in unchanged.items() if change.before}
    doubtful = {name: unchanged[name].file for name, version in kept.items() if not version}
    placed = [file.model_copy(update={"key": store.prefix + name}) for name, file in doubtful.items()]
    found = bounded([store.looking(file, newest=True) for file in placed], deadline, threads=THREADS)
    for (name, file), held in zip(doubtful.items(), found, strict=True):
        if held is None or not held.is_same(file):
            del kept[name]
    return kept


def _upload(store: S3Store, run: Run, wanted: Iterable[FileChange], sent: _Sent, deadline: Deadline) -> None:
    """Upload files side by side, but those of which a version of ours is there already."""
    left = [change for change in wanted if not sent.versions.get(change.name)]
    requests = [_put(store, run, change) for change in left]
    for change, version in zip(left, bounded(requests, deadline, threads=THREADS), strict=True):
        sent.versions[change.name] = version
        sent.bytes += change.file.bytes


def _put(store: S3Store, run: Run, change: FileChange) -> Request[str | None]:
    def send() -> str | None:
        body = _Counted(run.source.read(change.file), run.sent_bytes)
        try:
            return store.put(change.name, body, change.file.sha256, CONTENT_TYPES[change.format], run.manifest.run_id)
        except BaseException:
            body.forget()
            raise

    return Request(f"uploading {store.where}{change.name}", send)


def replace(store: S3Store, manifest: Manifest, base: Base, deadline: Deadline) -> Base | None:
    """Make metadata.json `manifest` if it is still `base`, in one write; None when done, else what is there instead.

    An answer may be lost on its way, and the write done all the same: then what is published is looked at. Raises
    StoreError.
    """
    text = manifest.to_json().encode()
    condition = {"IfMatch": base.etag} if base.etag else {"IfNoneMatch": "*"}
    tries = 0

    def send() -> None:
        nonlocal tries
        tries += 1
        store.put(
            METADATA,
            text,
            sha256(text),
            "application/json",
            manifest.run_id,
            CacheControl="no-cache",
            **condition,
        )

    doing = f"uploading {store.where}{METADATA}"
    try:
        asked(Request(doing, send, (PreconditionFailed, NoSuchKey)), deadline)
    except (PreconditionFailed, NoSuchKey):  # the latter: there was one, and it was deleted meanwhile
        found = _look(store, f"{doing}: S3 answered that it is no longer what it was")
    except StoreError as error:
        if tries == 1 and not isinstance(error, StoreUnreachable):
            raise  # refused at once
        found = _look(store, error.seen)
        if found.text == base.text:
            raise _not_done(error) from error
    else:
        return None
    return None if found.text == text else found


def _not_done(error: StoreError) -> StoreUnreachable:
    return StoreUnreachable(
        error.seen,
        expected=error.expected,
        to_do="try again; a moment ago the published snapshot was still the old one. Should the write be under way "
        "yet, it is the old one or the new one, whole either way",
    )


def _look(store: S3Store, seen: str) -> Base:
    """What is published after a write of which nobody knows whether it was done. Says so where that cannot be read."""
    known = store.patience
    try:
        return store.base(Patience(known.attempts, LAST_LOOK_S, known.sleep, known.clock).begin())
    except StoreError as unknown:
        raise StoreUnreachable(
            f"{seen}; and then {unknown.seen}",
            expected="an answer that tells whether the new snapshot is published",
            to_do="look with `fab freshness`: it is the old one or the new one, whole either way",
        ) from unknown


class _Counted(io.BytesIO):
    """Bytes that tell how many of them were taken.

    They are read to be signed before they are read to be sent, and again at every other try: going back counts back.
    """

    def __init__(self, data: bytes, taken: Callable[[int], None]) -> None:
        super().__init__(data)
        self._taken = taken
        self._told = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if found:
            self._tell(self.tell())
        return found

    def seek(self, offset: int, whence: int = 0, /) -> int:
        place = super().seek(offset, whence)
        if place < self._told:
            self._tell(place)
        return place

    def forget(self) -> None:
        """None of it arrived."""
        self._tell(0)

    def _tell(self, place: int) -> None:
        self._taken(place - self._told)
        self._told = place
