"""What every store offers a reader, whatever lies behind it."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from etl.contract import ArtifactFile, Format, Manifest
from etl.errors import DamagedArtifact, NothingPublished


@dataclass(frozen=True, slots=True)
class Current:
    """The manifest a reader should use now, and the tag that tells whether a later one differs."""

    manifest: Manifest
    etag: str


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds under the key of an artifact file, told without reading it.

    `sha256` is None where the store does not know it, as for an object that another tool uploaded; `run_id` is the run
    that uploaded it, None where it is not ours; `archived`: it is there, but has to be restored before it can be read.
    """

    bytes: int
    sha256: str | None
    version_id: str | None = None
    run_id: str | None = None
    archived: bool = False

    def is_same(self, file: ArtifactFile) -> bool:
        """Whether these are the bytes that the manifest names."""
        return (self.bytes, self.sha256) == (file.bytes, file.sha256)


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

    def held(self, file: ArtifactFile, *, newest: bool = False) -> Held | None:
        """What lies where the manifest points, without reading it; None where nothing does.

        `newest`: what lies under the plain key now, whatever version the manifest names.
        """
        ...


def sha256(data: bytes) -> str:
    """Hex SHA-256 of bytes, as the manifest writes it."""
    return hashlib.sha256(data).hexdigest()


def file_name(artifact: str, fmt: Format) -> str:
    """The plain name of an artifact file, the same on disk and below the S3 prefix."""
    return f"{artifact}.{fmt}"


def verified(data: bytes, file: ArtifactFile, where: str) -> bytes:
    """The same bytes. Raises DamagedArtifact where they are not those of the manifest."""
    if sha256(data) != file.sha256:
        raise DamagedArtifact(
            f"{where} has {len(data):,} bytes with SHA-256 {sha256(data)[:12]}...",
            expected=f"{file.bytes:,} bytes with SHA-256 {file.sha256[:12]}..., as the manifest says",
            to_do="write the snapshot again with `fab etl`, or upload all of it with `fab etl-sync --force`",
        )
    return data


def nothing_published(place: str) -> NothingPublished:
    """The error for a place without a metadata.json."""
    return NothingPublished(
        f"there is no {place}",
        expected="a published snapshot",
        to_do="publish one with `fab etl-sync`, or write one with `fab etl`",
    )
