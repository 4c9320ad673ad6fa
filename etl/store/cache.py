"""What a reader keeps on this machine: the files of the last whole snapshots, by SHA-256, and their manifests.

It spares downloads, and is what can be shown where a store cannot be read just when a process starts. It is never an
error: what cannot be read or written here is said once in the log and passed over.

A directory of its own for each store, in which every file is named by the SHA-256 of its bytes; one of them is a record
(ETag and manifest) for each snapshot that is kept, and `last` names the records, the newest first.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from etl.contract import MAX_METADATA_BYTES, ArtifactFile, Manifest
from etl.errors import ContractError
from etl.store.reader import Current, SnapshotReader, sha256
from etl.store.s3 import S3Store
from etl.store.whole import Whole

log = logging.getLogger(__name__)

LAST = "last"
NEW = ".new"
LOCK = ".lock"
KEPT_SNAPSHOTS = 2  # the current one, and the one to go back to where that is damaged
LOCK_TRIES = 20
LOCK_WAIT_S = 0.1
_HASH = re.compile(r"[0-9a-f]{64}")
_LONGEST_ETAG = 1_000
_LONGEST_LAST = KEPT_SNAPSHOTS * len(f"{sha256(b'')}\n")


def cache_of(reader: SnapshotReader, directory: str) -> "SnapshotCache | None":
    """The cache of an S3 store below a directory (relative to the working directory); None for others, or for ""."""
    if not directory or not isinstance(reader, S3Store):
        return None
    # The same bucket at another address, as that of `fab demo`, is another store.
    identity = sha256(f"{reader.client.meta.endpoint_url} {reader.where}".encode())
    return SnapshotCache(Path(directory).absolute() / f"{reader.bucket}-{identity[:16]}")


@dataclass(frozen=True, slots=True)
class SnapshotCache:
    """The cache of one store. Several processes may share it."""

    directory: Path
    sleep: Callable[[float], None] = time.sleep
    _said: set[str] = field(default_factory=set)

    def read(self, file: ArtifactFile) -> bytes | None:
        """The bytes of a file, checked by their SHA-256; None where they are not here. What is damaged is dropped."""
        return self._checked(file.sha256, file.bytes)

    def last(self, wanted: Callable[[Manifest], Iterable[ArtifactFile]]) -> Whole | None:
        """The newest snapshot here that has all of its `wanted` files; None where there is none."""
        for name in self._records():
            current = self._record(name)
            if current is None:
                continue
            found = {file.sha256: self.read(file) for file in wanted(current.manifest)}
            files = {digest: data for digest, data in found.items() if data is not None}
            if len(files) == len(found):
                return Whole(current, files)
        return None

    def keep(self, whole: Whole) -> None:
        """Keep a snapshot as the last one, and drop what neither it nor the one before needs.

        Files of it that `whole` does not hold, as they were not read anew, are those of the snapshot before. Killed at
        any point, what was the last snapshot still is, or this one.
        """
        with self._passing_over("writing"):
            for place in (self.directory.parent, self.directory):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone():
                try:
                    self._put(whole)
                finally:  # after a failure too: on a full disk its rest would only grow
                    self._prune()

    def _put(self, whole: Whole) -> None:
        record = f"{whole.current.etag}\n{whole.current.manifest.to_json()}".encode()
        name = sha256(record)
        for key, data in {**whole.files, name: record}.items():
            if not (self.directory / key).exists():
                self._write(key, data)
        before = self._records()
        now = [name, *(other for other in before if other != name)][:KEPT_SNAPSHOTS]
        if now != before:
            self._write(LAST, "".join(f"{line}\n" for line in now).encode())

    def _write(self, name: str, data: bytes) -> None:
        """Under its name there is all of it or nothing. A power cut may take bytes back: their hash shows that."""
        new = self.directory / NEW  # one name is enough for who is alone, and a killed writer leaves one file at most
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        new.replace(self.directory / name)

    def _prune(self) -> None:
        records = {name: self._record(name) for name in self._records()}
        needed = {name for name, current in records.items() if current}
        for current in records.values():
            if current:
                needed |= {file.sha256 for file in current.manifest.files}
        for place in self.directory.iterdir():
            if place.name == NEW or (_HASH.fullmatch(place.name) and place.name not in needed):
                place.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Without another process that keeps or drops files. Raises OSError where one does so for too long."""
        lock = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            for left in reversed(range(LOCK_TRIES)):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not left:
                        raise
                self.sleep(LOCK_WAIT_S)
            yield
        finally:
            os.close(lock)

    def _records(self) -> list[str]:
        """The names of the records of the snapshots that are kept, the newest first."""
        with self._passing_over("reading"), suppress(FileNotFoundError), (self.directory / LAST).open("rb") as stream:
            lines = stream.read(_LONGEST_LAST).decode("ascii", "replace").split("\n")
            return [line for line in lines if _HASH.fullmatch(line)]
        return []

    def _record(self, name: str) -> Current | None:
        """What a record tells; None where it is damaged, or of a release that agreed on something else."""
        etag, _, text = (self._checked(name, MAX_METADATA_BYTES + _LONGEST_ETAG) or b"").partition(b"\n")
        try:
            return Current(Manifest.from_json(text, where=str(self.directory / name)), etag.decode())
        except (ContractError, UnicodeDecodeError):
            return None

    def _checked(self, name: str, most_bytes: int) -> bytes | None:
        place = self.directory / name
        with self._passing_over("reading"), suppress(FileNotFoundError):  # not kept, or just dropped by another process
            with place.open("rb") as stream:
                data = stream.read(most_bytes + 1)
            if sha256(data) == name:
                return data
            log.warning("dropping %s: its bytes are not what they were", place)
            place.unlink(missing_ok=True)
        return None

    @contextmanager
    def _passing_over(self, doing: str) -> Iterator[None]:
        """A fault of the disk is no fault of the snapshot: it is said once, and the store is asked instead."""
        try:
            yield
        except (OSError, ValueError) as error:  # the latter: a path with a null byte
            reason = f"{doing}: {getattr(error, 'strerror', None) or error}"
            if reason not in self._said:
                self._said.add(reason)
                log.warning("the cache %s is passed over, %s", self.directory, reason)
