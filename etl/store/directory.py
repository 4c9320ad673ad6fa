"""A snapshot in a directory: staged aside, adopted at once."""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from etl.contract import METADATA, QUARANTINE, ArtifactFile, Manifest
from etl.errors import DamagedArtifact, KpiOpsError, StoreError
from etl.store.changes import with_keys
from etl.store.reader import Current, Held, nothing_published, sha256, verified

RUNS = ".runs"
STAGING = ".staging-"
TEMPORARY = re.compile(r"\.(.+)\.[0-9]+")


@dataclass(frozen=True, slots=True)
class DirectoryStore:
    """A snapshot in a directory.

    The files of each run lie in `.runs/RUN_ID/`, where the manifest points; the plain names beside metadata.json are
    hard links to them, for people and spreadsheets. Only the current and the previous run are kept.
    """

    path: Path

    @property
    def where(self) -> str:
        """The directory."""
        return str(self.path)

    def current(self, known_etag: str | None = None) -> Current | None:
        """See SnapshotReader. Raises NothingPublished, ContractError or StoreError."""
        place = self.path / METADATA
        try:
            text = place.read_bytes()
        except FileNotFoundError as error:
            raise nothing_published(str(place)) from error
        except OSError as error:
            raise _cannot_read(place, error) from error
        etag = sha256(text)
        return None if etag == known_etag else Current(Manifest.from_json(text, where=str(place)), etag)

    def read(self, file: ArtifactFile) -> bytes:
        """See SnapshotReader. Raises DamagedArtifact or StoreError."""
        place = self.path / file.key
        try:
            return verified(place.read_bytes(), file, str(place))
        except FileNotFoundError as error:
            raise DamagedArtifact(
                f"{place} is missing", expected="the file named in metadata.json", to_do="run `fab etl` again"
            ) from error
        except OSError as error:
            raise _cannot_read(place, error) from error

    def held(self, file: ArtifactFile, *, newest: bool = False) -> Held | None:  # noqa: ARG002 - a directory keeps one
        """See SnapshotReader. Raises StoreError."""
        place = self.path / file.key
        try:
            data = place.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _cannot_read(place, error) from error
        return Held(len(data), sha256(data))

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty directory of our own to write the files of a snapshot into; what is not adopted is removed.

        Raises StoreError when it cannot be made or written to. Its lock tells a living writer from a killed one's rest.
        """
        with _writing(self.path):
            runs = self.path / RUNS
            runs.mkdir(parents=True, exist_ok=True)
            directory = runs / f"{STAGING}{os.getpid()}-{secrets.token_hex(4)}"
            directory.mkdir()  # readable for whom the umask allows: the dashboard may be another user
            lock = os.open(directory, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield directory
            finally:
                os.close(lock)
                shutil.rmtree(directory, ignore_errors=True)

    def adopt(self, manifest: Manifest, directory: Path) -> Manifest:
        """Make a staged directory the current snapshot; returns the manifest as written, its keys below `.runs/`.

        Interrupted at any point, the previous snapshot or the new one is whole. Raises StoreError.
        """
        runs = self.path / RUNS
        run = runs / manifest.run_id
        placed = with_keys(manifest, f"{RUNS}/{manifest.run_id}/")
        with _writing(self.path), (runs / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            previous = _run_of(self.path / METADATA)
            _to_disk(directory)
            if previous != manifest.run_id:
                shutil.rmtree(run, ignore_errors=True)
                directory.rename(run)
            else:  # the same artifacts in the same second; a run is not named for what is in quarantine
                for file in directory.glob(QUARANTINE):
                    file.replace(run / file.name)
            try:
                _replace(self.path / METADATA, placed.to_json().encode())
            except BaseException:
                if previous != manifest.run_id:
                    shutil.rmtree(run, ignore_errors=True)
                raise
            # From here on the new snapshot is the current one.
            _prune(runs, keep={manifest.run_id, previous})
            _sweep(self.path, {METADATA, *(file.name for file in run.iterdir())})
            self._name_plainly(run)
        return placed

    def _name_plainly(self, run: Path) -> None:
        """Put the files of a run under their plain names, for people. Raises StoreError where a name is taken."""
        for file in run.iterdir():
            try:
                _link(file, self.path / file.name)
            except OSError as error:
                raise StoreError(
                    f"{self.path / file.name} cannot be replaced: {error.strerror or error}",
                    expected="a file, or nothing, of that name",
                    to_do=f"move it away; the new snapshot is the current one all the same, its files are in {run}",
                ) from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write to {path}: {error.strerror or error}",
            expected="a directory that this user may write to, with room on its disk",
            to_do="choose another one with --out, or mend its rights; the previous snapshot is untouched",
        ) from error


def _to_disk(directory: Path) -> None:
    """Make sure that the manifest never names a file that a power cut takes back."""
    for place in (*directory.iterdir(), directory):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}")


def _replace(target: Path, data: bytes) -> None:
    temporary = _temporary(target)
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    temporary = _temporary(target)
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _run_of(metadata: Path) -> str | None:
    with suppress(OSError, KpiOpsError):
        return Manifest.from_json(metadata.read_bytes()).run_id
    return None


def _prune(runs: Path, keep: set[str | None]) -> None:
    """Remove older runs, and what killed writers left."""
    for directory in runs.iterdir():
        is_ours_to_remove = not _in_use(directory) if directory.name.startswith(STAGING) else directory.is_dir()
        if is_ours_to_remove and directory.name not in keep:
            shutil.rmtree(directory, ignore_errors=True)


def _sweep(path: Path, names: set[str]) -> None:
    """Remove what writers that were killed have left of `_temporary`; a living one would hold the lock that we hold."""
    for file in path.iterdir():
        found = TEMPORARY.fullmatch(file.name)
        if found and found[1] in names:
            with suppress(OSError):
                file.unlink()


def _in_use(directory: Path) -> bool:
    """Whether a living writer holds the lock of a staging directory."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _cannot_read(place: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot read {place}: {error.strerror or error}",
        expected="a file that this user may read",
        to_do="mend its rights, or name another directory",
    )
