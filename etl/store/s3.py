"""A snapshot below a prefix of a bucket: read, publish, look at what is held, list and restore earlier runs.

metadata.json names every file with its SHA-256 and VersionId and is written last, on condition that it is still the one
this run started from: a reader sees the old snapshot or the new one, and two publishers cannot interleave.
"""

import base64
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from etl.contract import MAX_METADATA_BYTES, METADATA, ArtifactFile, Manifest
from etl.errors import (
    ContractError,
    DamagedArtifact,
    NewerContract,
    NothingPublished,
    StoreDenied,
)
from etl.store.reader import Current, Held, nothing_published, verified
from etl.store.wire import (
    Answer,
    Deadline,
    NoSuchKey,
    NotModified,
    Patience,
    Request,
    asked,
    complete,
    unexpected,
)

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"]

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
VERSION_HEADER = "x-amz-version-id"
RUN_ID_TAG = "kpi-ops-run"  # in the metadata of an object: which run of ours uploaded it


@dataclass(frozen=True, slots=True)
class Base:
    """What is published when a run sets out to replace it: nothing at all (no etag), or something.

    `manifest` is None too where what is there is damaged or of an older contract: it is then replaced as a whole.
    `text` is metadata.json as it stands.
    """

    manifest: Manifest | None = None
    etag: str | None = None
    text: bytes | None = None


class _Hidden(Answer):
    """Not to be read with these credentials; or absent, which S3 does not tell those who may not list the bucket."""

    @staticmethod
    def says(status: int, code: str) -> bool:
        """403, the credentials themselves being good."""
        return status == HTTPStatus.FORBIDDEN and code == "AccessDenied"


@dataclass(frozen=True, slots=True)
class S3Store:
    """A snapshot below a prefix of a bucket. `prefix` is empty or ends with a slash."""

    client: "S3Client"
    bucket: str
    prefix: str
    patience: Patience = field(default_factory=Patience)
    encryption: Encryption = "AES256"

    @property
    def where(self) -> str:
        """The s3:// address."""
        return f"s3://{self.bucket}/{self.prefix}"

    # --- reading

    def current(self, known_etag: str | None = None) -> Current | None:
        """See SnapshotReader. Raises NothingPublished, StoreDenied, StoreUnreachable or ContractError."""
        try:
            text, etag = self.metadata(self.patience.begin(), known_etag)
        except NotModified:
            return None
        return Current(Manifest.from_json(text, where=self.where + METADATA), etag)

    def metadata(self, deadline: Deadline, known_etag: str | None = None) -> tuple[bytes, str]:
        """The text of metadata.json and its ETag. Raises NotModified only where `known_etag` is given."""
        place = self.where + METADATA
        condition: dict[str, Any] = {"IfNoneMatch": known_etag} if known_etag else {}

        def send() -> tuple[bytes, str]:
            answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + METADATA, **condition)
            complete(answer, f"reading {place}")
            text, etag = _body(answer, MAX_METADATA_BYTES), answer.get("ETag")
            if not etag:
                raise unexpected(f"reading {place}: S3 answered without an ETag")
            return text, etag

        looked_for = (NoSuchKey, _Hidden, *([NotModified] if known_etag else []))
        try:
            return asked(Request(f"reading {place}", send, looked_for), deadline)
        except NoSuchKey as error:
            raise nothing_published(place) from error
        except _Hidden as error:
            raise StoreDenied(
                f"reading {place}: S3 answered 403 AccessDenied",
                expected="credentials that may read below this prefix, and something published there",
                to_do="check AWS_PROFILE or the instance's role, and the bucket's policy; where they are right nothing "
                "is published yet: who may not list the bucket is not told what is absent, so try `fab etl-sync`",
            ) from error

    def read(self, file: ArtifactFile) -> bytes:
        """See SnapshotReader. Raises DamagedArtifact, StoreDenied or StoreUnreachable."""
        place = f"s3://{self.bucket}/{file.key}"

        def send() -> bytes:
            answer = self.client.get_object(Bucket=self.bucket, Key=file.key, **_version(file))
            return _body(complete(answer, f"reading {place}"), file.bytes)

        try:
            data = asked(Request(f"reading {place}", send, (NoSuchKey,)), self.patience.begin())
        except NoSuchKey as error:
            raise DamagedArtifact(
                f"{place} is missing",
                expected="the object version named in metadata.json",
                to_do="upload every file again with `fab etl-sync --force`",
            ) from error
        return verified(data, file, place)

    def held(self, file: ArtifactFile, *, newest: bool = False) -> Held | None:
        """See SnapshotReader. Raises StoreDenied, StoreUnreachable or StoreError."""
        return asked(self.looking(file, newest=newest), self.patience.begin())

    def looking(self, file: ArtifactFile, *, newest: bool) -> Request[Held | None]:
        """The request for what is held of a file; the answer is None where nothing is."""
        version = {} if newest else _version(file)

        def send() -> Held:
            answer = self.client.head_object(Bucket=self.bucket, Key=file.key, ChecksumMode="ENABLED", **version)
            complete(answer, f"looking at s3://{self.bucket}/{file.key}")
            return Held(
                bytes=answer["ContentLength"],
                sha256=_hex(answer.get("ChecksumSHA256")),
                version_id=_real_version(answer),
                run_id=answer.get("Metadata", {}).get(RUN_ID_TAG),
                archived=_is_archived(answer),
            )

        return Request(f"looking at s3://{self.bucket}/{file.key}", send, absent=lambda: None)

    # --- what publishing needs

    def published(self) -> Base:
        """What is published now, to be handed to `publish`. Raises NewerContract, StoreDenied or StoreUnreachable."""
        return self.base(self.patience.begin())

    def base(self, deadline: Deadline) -> Base:
        """The same, as part of something that has begun."""
        try:
            text, etag = self.metadata(deadline)
        except NothingPublished:
            return Base()
        try:
            return Base(Manifest.from_json(text, where=self.where + METADATA), etag, text)
        except NewerContract:
            raise
        except ContractError:
            return Base(None, etag, text)

    def put(self, name: str, body: Any, digest: str, content_type: str, run_id: str, **more: Any) -> str | None:
        """One try to write an object of `digest` (hex SHA-256) below the prefix; gives its VersionId, if it has one.

        S3 compares the SHA-256 with what arrives, keeps it, and encrypts what it stores.
        """
        answer = self.client.put_object(
            Bucket=self.bucket,
            Key=self.prefix + name,
            Body=body,
            ContentType=content_type,
            Metadata={RUN_ID_TAG: run_id},
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=base64.b64encode(bytes.fromhex(digest)).decode(),
            ServerSideEncryption=self.encryption,
            **more,
        )
        complete(answer, f"uploading {self.where}{name}")
        if not answer.get("ETag") or _hex(answer.get("ChecksumSHA256")) not in (None, digest):
            raise unexpected(f"uploading {self.where}{name}: S3 holds other bytes than were sent")
        version = _real_version(answer)
        if version and [*answer["ResponseMetadata"]["HTTPHeaders"]][-1] == VERSION_HEADER:
            # A connection that ends among the headers is no error to Python, and may have cut this last one short.
            self._confirm(ArtifactFile(key=self.prefix + name, sha256=digest, bytes=0, rows=0, version_id=version))
        return version

    def _confirm(self, file: ArtifactFile) -> None:
        """Raises Passing where there is no such version."""
        try:
            found = self.held(file)
        except StoreDenied:  # 400, for what cannot be a version
            found = None
        if found is None or found.sha256 != file.sha256:
            raise unexpected(f"uploading s3://{self.bucket}/{file.key}: S3 holds no version {file.version_id}")

    # --- earlier runs

    def listed(self, deadline: Deadline) -> list[Any]:
        """What S3 lists of the versions of metadata.json, newest first, delete markers left out."""
        key = self.prefix + METADATA

        def send() -> list[Any]:
            pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key)
            whole_pages = (complete(page, f"listing {self.where}{METADATA}") for page in pages)
            return [entry for page in whole_pages for entry in page.get("Versions", []) if entry["Key"] == key]

        return asked(Request(f"listing the versions of {self.where}{METADATA}", send), deadline)

    def version(self, version_id: str) -> Request[bytes]:
        """The request for the text of one version of metadata.json."""

        def send() -> bytes:
            answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + METADATA, VersionId=version_id)
            return _body(complete(answer, f"reading a version of {self.where}{METADATA}"), MAX_METADATA_BYTES)

        return Request(f"reading version {version_id} of {self.where}{METADATA}", send)


def _body(answer: Any, most_bytes: int) -> bytes:
    """A body read to its end, where botocore compares its length and checksum with the headers.

    Of more than `most_bytes` only one byte more is read, whatever is sent.
    """
    stream = answer["Body"]
    data: bytes = stream.read(most_bytes + 1)
    if len(data) <= most_bytes:
        stream.read(1)
    return data


def _is_archived(answer: Any) -> bool:
    """Whether an object must be restored before it can be read."""
    away = answer.get("StorageClass") in ARCHIVES or bool(answer.get("ArchiveStatus"))
    return away and 'ongoing-request="false"' not in answer.get("Restore", "")


def _version(file: ArtifactFile) -> dict[str, Any]:
    return {"VersionId": file.version_id} if file.version_id else {}


def _real_version(answer: Any) -> str | None:
    version: str | None = answer.get("VersionId")
    return None if version in (None, "null") else version


def _hex(checksum: str | None) -> str | None:
    """Hex of a SHA-256 as S3 writes it; None for none, or for that of an upload in parts (`...-2`)."""
    if not checksum:
        return None
    try:
        return base64.b64decode(checksum, validate=True).hex()
    except ValueError:
        return None
