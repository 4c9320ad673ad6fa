"""Snapshots on disk and on S3: write, publish, read, verify. The only door to S3 for artifacts.

A manifest (metadata.json) names every artifact file, its SHA-256 and, on S3, its VersionId. It is written last, so a
reader sees the old snapshot or the new one, never half of each.
"""

import base64
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from etl.contract import ARTIFACTS, FORMATS, MAX_METADATA_BYTES, METADATA, Artifact, ArtifactFile, Format, Manifest
from etl.errors import (
    ContractError,
    DamagedArtifact,
    KpiOpsError,
    LostRace,
    NewerContract,
    NothingPublished,
    SettingsError,
    StoreDenied,
    StoreError,
    StoreUnreachable,
)

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONTENT_TYPES: Mapping[Format, str] = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv; charset=utf-8"}
RUNS = ".runs"
STAGING = ".staging-"


@dataclass(frozen=True, slots=True)
class Current:
    """The manifest a reader should use now, and the tag that tells whether a later one differs."""

    manifest: Manifest
    etag: str


class SnapshotReader(Protocol):
    """What the dashboard and the checks need of a store."""

    @property
    def where(self) -> str:
        """The store as a person would name it: a directory or an s3:// address."""
        ...

    def current(self, known_etag: str | None = None) -> Current | None:
        """The published manifest; None when it is still the one with `known_etag`."""
        ...

    def read(self, file: ArtifactFile) -> bytes:
        """The bytes of one artifact file, checked against the manifest's SHA-256."""
        ...


@dataclass(frozen=True, slots=True)
class Base:
    """What is published when a run sets out to replace it: nothing at all (no etag), or something.

    `manifest` is None too where what is there is damaged or of an older contract: it is then replaced as a whole.
    """

    manifest: Manifest | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """What publishing would do to one file: 'new', 'changed' or 'unchanged'."""

    artifact: str
    format: Format
    change: str
    file: ArtifactFile


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did."""

    manifest: Manifest
    uploaded: int
    uploaded_bytes: int
    unchanged: int
    versioned: bool


def sha256(data: bytes) -> str:
    """Hex SHA-256 of bytes, as the manifest writes it."""
    return hashlib.sha256(data).hexdigest()


def file_name(artifact: str, fmt: Format) -> str:
    """The plain name of an artifact file, the same on disk and below the S3 prefix."""
    return f"{artifact}.{fmt}"


def changes(mine: Manifest, published: Manifest | None) -> list[FileChange]:
    """Compare a snapshot with the published one, file by file, by content."""
    found = []
    for name in ARTIFACTS:
        theirs = published.artifacts.get(name) if published else None
        for fmt in FORMATS:
            file = mine.artifacts[name].file(fmt)
            found.append(FileChange(name, fmt, _change(file, theirs.file(fmt) if theirs else None), file))
    return found


def _change(mine: ArtifactFile, theirs: ArtifactFile | None) -> str:
    if theirs is None:
        return "new"
    return "unchanged" if theirs.sha256 == mine.sha256 else "changed"


def _verified(data: bytes, file: ArtifactFile, where: str) -> bytes:
    if sha256(data) != file.sha256:
        raise DamagedArtifact(
            f"{where} has {len(data):,} bytes with SHA-256 {sha256(data)[:12]}...",
            expected=f"{file.bytes:,} bytes with SHA-256 {file.sha256[:12]}..., as the manifest says",
            to_do="write the snapshot again with `fab etl`, or upload all of it with `fab etl-sync --force`",
        )
    return data


# --- on disk ---------------------------------------------------------------------------------------------------------


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
            raise _nothing_published(str(place)) from error
        except OSError as error:
            raise _cannot_read(place, error) from error
        etag = sha256(text)
        return None if etag == known_etag else Current(Manifest.from_json(text, where=str(place)), etag)

    def read(self, file: ArtifactFile) -> bytes:
        """See SnapshotReader. Raises DamagedArtifact or StoreError."""
        place = self.path / file.key
        try:
            return _verified(place.read_bytes(), file, str(place))
        except FileNotFoundError as error:
            raise DamagedArtifact(
                f"{place} is missing", expected="the file named in metadata.json", to_do="run `fab etl` again"
            ) from error
        except OSError as error:
            raise _cannot_read(place, error) from error

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
        placed = _with_keys(manifest, f"{RUNS}/{manifest.run_id}/")
        with _writing(self.path), (runs / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            previous = _run_of(self.path / METADATA)
            _to_disk(directory)
            if previous != manifest.run_id:  # else: the same files in the same second
                shutil.rmtree(run, ignore_errors=True)
                directory.rename(run)
            try:
                _replace(self.path / METADATA, placed.to_json().encode())
            except BaseException:
                if previous != manifest.run_id:
                    shutil.rmtree(run, ignore_errors=True)
                raise
            # From here on the new snapshot is the current one.
            _prune(runs, keep={manifest.run_id, previous})
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


def _with_keys(manifest: Manifest, prefix: str, version_ids: Mapping[str, str | None] | None = None) -> Manifest:
    """The manifest with each key = prefix + plain name, and each version_id as given (None where not)."""
    versions = version_ids or {}

    def placed(name: str, artifact: Artifact) -> Artifact:
        files: dict[str, ArtifactFile] = {}
        for fmt, file in artifact.files.items():
            plain = file_name(name, fmt)
            files[fmt] = file.model_copy(update={"key": prefix + plain, "version_id": versions.get(plain)})
        return artifact.model_copy(update=files)

    return manifest.model_copy(update={"artifacts": {n: placed(n, a) for n, a in manifest.artifacts.items()}})


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


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
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


def _nothing_published(place: str) -> NothingPublished:
    return NothingPublished(
        f"there is no {place}",
        expected="a published snapshot",
        to_do="publish one with `fab etl-sync`, or write one with `fab etl`",
    )


def _cannot_read(place: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot read {place}: {error.strerror or error}",
        expected="a file that this user may read",
        to_do="mend its rights, or name another directory",
    )


# --- on S3 -----------------------------------------------------------------------------------------------------------


def s3_client(*, connect_timeout_s: float = 5, read_timeout_s: float = 20) -> "S3Client":
    """An S3 client with bounded waits; endpoint, region and credentials come from where boto3 always takes them.

    Raises StoreError where what it finds there cannot be used.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    try:
        session = boto3.Session()
        return session.client("s3", region_name=session.region_name or "us-east-1", config=config)
    except (BotoCoreError, ValueError) as error:
        raise StoreError(
            f"AWS cannot be asked with what is configured: {error}",
            expected="a profile, region, endpoint and credentials that boto3 can use",
            to_do="mend AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and the like, or ~/.aws",
        ) from error


@dataclass(frozen=True, slots=True)
class S3Store:
    """A snapshot below a prefix of a bucket. `prefix` is empty or ends with a slash."""

    client: "S3Client"
    bucket: str
    prefix: str

    @property
    def where(self) -> str:
        """The s3:// address."""
        return f"s3://{self.bucket}/{self.prefix}"

    def current(self, known_etag: str | None = None) -> Current | None:
        """See SnapshotReader. Raises NothingPublished, StoreDenied, StoreUnreachable or ContractError."""
        try:
            text, etag = self._manifest(known_etag)
        except _NotModified:
            return None
        return Current(Manifest.from_json(text, where=self.where + METADATA), etag)

    def _manifest(self, known_etag: str | None = None) -> tuple[bytes, str]:
        """The text of metadata.json and its ETag. Raises _NotModified only where `known_etag` is given."""
        place = self.where + METADATA
        condition: dict[str, Any] = {"IfNoneMatch": known_etag} if known_etag else {}
        looked_for = (_NoSuchKey, _NotModified) if known_etag else (_NoSuchKey,)
        try:
            with self._speaking(f"reading {place}", looked_for):
                answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + METADATA, **condition)
                text, etag = answer["Body"].read(MAX_METADATA_BYTES + 1), answer.get("ETag")
        except _NoSuchKey as error:
            raise _nothing_published(place) from error
        if not etag:
            raise _unexpected(f"reading {place}: S3 answered without an ETag")
        return text, etag

    def read(self, file: ArtifactFile) -> bytes:
        """See SnapshotReader. Raises DamagedArtifact, StoreDenied or StoreUnreachable."""
        place = f"s3://{self.bucket}/{file.key}"
        version: dict[str, Any] = {"VersionId": file.version_id} if file.version_id else {}
        try:
            with self._speaking(f"reading {place}", (_NoSuchKey,)):
                answer = self.client.get_object(Bucket=self.bucket, Key=file.key, **version)
                data = answer["Body"].read(file.bytes + 1)  # whatever is sent, no more than is wanted
        except _NoSuchKey as error:
            raise DamagedArtifact(
                f"{place} is missing",
                expected="the object version named in metadata.json",
                to_do="upload every file again with `fab etl-sync --force`",
            ) from error
        return _verified(data, file, place)

    def published(self) -> Base:
        """What a new run would replace. Raises NewerContract where a newer release has published."""
        try:
            text, etag = self._manifest()
        except NothingPublished:
            return Base()
        try:
            return Base(Manifest.from_json(text, where=self.where + METADATA), etag)
        except NewerContract:
            raise
        except ContractError:
            return Base(None, etag)

    def publish(self, manifest: Manifest, source: SnapshotReader, base: Base, *, force: bool = False) -> Published:
        """Upload what changed against `base`, then metadata.json, on condition that it is still `base`.

        `source` is where the files of `manifest` are read; `force` uploads every file. Raises LostRace where another
        run was published meanwhile; the published snapshot is then theirs, whole.
        """
        versions: dict[str, str | None] = {}
        uploaded = uploaded_bytes = 0
        for change in changes(manifest, None if force else base.manifest):
            plain = file_name(change.artifact, change.format)
            if change.change == "unchanged" and base.manifest:
                versions[plain] = base.manifest.artifacts[change.artifact].file(change.format).version_id
                continue
            versions[plain] = self._put_artifact(change, source.read(change.file))
            uploaded += 1
            uploaded_bytes += change.file.bytes
        placed = _with_keys(manifest, self.prefix, versions)
        self._put_manifest(placed, base)
        versioned = all(versions.values())
        return Published(placed, uploaded, uploaded_bytes, len(versions) - uploaded, versioned)

    def _put_artifact(self, change: FileChange, data: bytes) -> str | None:
        key = self.prefix + file_name(change.artifact, change.format)
        with self._speaking(f"uploading s3://{self.bucket}/{key}"):
            answer = self.client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=data,
                ContentType=CONTENT_TYPES[change.format],
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(change.file.sha256)).decode(),
            )
        version = answer.get("VersionId")
        return None if version in (None, "null") else version

    def _put_manifest(self, manifest: Manifest, base: Base) -> None:
        key = self.prefix + METADATA
        text = manifest.to_json().encode()
        condition: dict[str, Any] = {"IfMatch": base.etag} if base.etag else {"IfNoneMatch": "*"}
        try:
            with self._speaking(f"uploading s3://{self.bucket}/{key}", (_PreconditionFailed,)):
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=text,
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(hashlib.sha256(text).digest()).decode(),
                    **condition,
                )
        except _PreconditionFailed as error:
            raise LostRace(
                f"s3://{self.bucket}/{key} was changed by somebody else during this run",
                expected=f"the metadata.json this run started from ({base.etag or 'none'})",
                to_do="run `fab etl-sync` again; what they published is whole and still served",
            ) from error

    @contextmanager
    def _speaking(self, doing: str, looked_for: tuple[type["_Answer"], ...] = ()) -> Iterator[None]:
        """Translate what S3 and the network answer into our errors, once; answers that are looked for are raised."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            raise self._translated(error.response, doing, looked_for) from error
        except (BotoCoreError, OSError, RecursionError) as error:  # the last: a redirect to itself
            if "redential" in type(error).__name__:
                raise _denied(doing, str(error)) from error
            raise StoreUnreachable(
                f"{doing}: {error}",
                expected="an answer from S3",
                to_do="check the network and AWS_ENDPOINT_URL, then try again; what was published before is untouched",
            ) from error

    def _translated(self, response: Any, doing: str, looked_for: tuple[type["_Answer"], ...]) -> Exception:
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = response.get("Error", {}).get("Code", "")
        said = " ".join(dict.fromkeys([str(status), code]))
        for answer in looked_for:
            if answer.says(status, code):
                return answer()
        if code == "NoSuchBucket":
            return StoreError(
                f"{doing}: S3 answered {said}",
                expected=f"the bucket {self.bucket}",
                to_do="name an existing bucket in settings.toml [s3]",
            )
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return _denied(doing, f"S3 answered {said}")
        return _unexpected(f"{doing}: S3 answered {said}")


class _Answer(Exception):
    """Something S3 may say that a caller looks for."""

    @staticmethod
    def says(status: int, code: str) -> bool:
        """Whether S3 says it with this status and code."""
        raise NotImplementedError


class _NotModified(_Answer):
    @staticmethod
    def says(status: int, code: str) -> bool:  # noqa: ARG004 - the shape of _Answer
        return status == HTTPStatus.NOT_MODIFIED


class _PreconditionFailed(_Answer):
    @staticmethod
    def says(status: int, code: str) -> bool:  # noqa: ARG004 - the shape of _Answer
        return status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)


class _NoSuchKey(_Answer):
    @staticmethod
    def says(status: int, code: str) -> bool:
        return status == HTTPStatus.NOT_FOUND and code in ("NoSuchKey", "NoSuchVersion", "404")


def _unexpected(seen: str) -> StoreUnreachable:
    return StoreUnreachable(
        seen, expected="S3 to do as asked", to_do="try again; what was published before is untouched"
    )


def _denied(doing: str, answer: str) -> StoreDenied:
    return StoreDenied(
        f"{doing}: {answer}",
        expected="credentials that may read (and, to publish, write) below this prefix",
        to_do="check AWS_PROFILE or the instance's role, and the bucket's policy; what was published is untouched",
    )


# --- either ----------------------------------------------------------------------------------------------------------


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
