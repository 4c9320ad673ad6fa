"""Read the newest whole snapshot: every file of one run, or nothing."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from etl.contract import ArtifactFile, Manifest
from etl.errors import ContractError, DamagedArtifact
from etl.store.reader import Current, SnapshotReader

TRIES = 3
WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Whole:
    """A published manifest and the bytes of the files that were wanted, by SHA-256; every one of that run."""

    current: Current
    files: Mapping[str, bytes]


def nothing_at_hand(_: ArtifactFile) -> None:
    """For a reader who keeps nothing."""


def whole(
    reader: SnapshotReader,
    wanted: Callable[[Manifest], Iterable[ArtifactFile]],
    known_etag: str | None = None,
    *,
    at_hand: Callable[[ArtifactFile], bytes | None] = nothing_at_hand,
    sleep: Callable[[float], None] = time.sleep,
) -> Whole | None:
    """The published snapshot, its `wanted` files read and checked; None where it is still the one with `known_etag`.

    What `at_hand` has of them (checked, as `SnapshotCache.read` does) is not read from the store. Where files do not
    match their manifest somebody may be publishing (a bucket without versions shows that): it is read anew, and again
    after a second. Raises KpiOpsError.
    """
    current = reader.current(known_etag)
    if current is None:
        if known_etag is not None:
            return None
        raise _nonsense(reader)
    read: dict[str, bytes] = {}  # what one try has read is good for the next: bytes are known by their hash
    for left in reversed(range(TRIES)):
        try:
            return Whole(current, _files(reader, wanted(current.manifest), read, at_hand))
        except DamagedArtifact:
            if not left:
                raise
        if left < TRIES - 1:
            sleep(WAIT_S)
        current = _anew(reader)
    raise AssertionError("the last try returns or raises")


def _files(
    reader: SnapshotReader,
    wanted: Iterable[ArtifactFile],
    read: dict[str, bytes],
    at_hand: Callable[[ArtifactFile], bytes | None],
) -> dict[str, bytes]:
    """The bytes of every wanted file, by SHA-256; what had to be read is added to `read`."""
    files = {}
    for file in wanted:
        data = read.get(file.sha256)
        if data is None:
            data = at_hand(file)
        if data is None:
            data = reader.read(file)
        files[file.sha256] = read[file.sha256] = data
    return files


def _anew(reader: SnapshotReader) -> Current:
    current = reader.current()
    if current is None:
        raise _nonsense(reader)
    return current


def _nonsense(reader: SnapshotReader) -> ContractError:
    return ContractError(
        f"{reader.where} answered an unconditional question with 'not modified'",
        expected="a manifest",
        to_do="look at what stands between here and the store",
    )
