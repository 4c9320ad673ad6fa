"""A small document that lies beside a snapshot, or below a prefix of its own: read by its name, if it changed.

No manifest names it, so its bytes are not checked against a hash; whoever reads it judges what it says.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from etl.errors import ContractError, NothingPublished, StoreError
from etl.store.reader import sha256
from etl.store.wire import NoSuchKey, NotModified, Patience, Request, asked, complete, s3_client, unexpected

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MAX_BYTES = 1_000_000
PATIENCE = Patience(attempts=2, deadline_s=20)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read, and the tag that tells whether a later one differs."""

    data: bytes
    etag: str


class DocumentReader(Protocol):
    """One document of a store."""

    @property
    def where(self) -> str:
        """Its whole address."""
        ...

    def read(self, known_etag: str | None = None) -> Document | None:
        """The document; None when it is still the one with `known_etag`. Raises StoreError or ContractError."""
        ...


@dataclass(frozen=True, slots=True)
class FileDocument:
    """A document in a directory."""

    path: Path

    @property
    def where(self) -> str:
        """See DocumentReader."""
        return str(self.path)

    def read(self, known_etag: str | None = None) -> Document | None:
        """See DocumentReader."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise _nothing_there(self.where) from error
        except OSError as error:
            raise StoreError(
                f"cannot read {self.where}: {error.strerror or error}",
                expected="a file that this user may read",
                to_do="mend its rights",
            ) from error
        etag = sha256(data)
        return None if etag == known_etag else _of_its_size(Document(data, etag), self.where)


@dataclass(frozen=True, slots=True)
class S3Document:
    """An object of a bucket."""

    client: "S3Client"
    bucket: str
    key: str
    patience: Patience = PATIENCE

    @property
    def where(self) -> str:
        """See DocumentReader."""
        return f"s3://{self.bucket}/{self.key}"

    def read(self, known_etag: str | None = None) -> Document | None:
        """See DocumentReader."""
        doing = f"reading {self.where}"
        condition: dict[str, Any] = {"IfNoneMatch": known_etag} if known_etag else {}

        def send() -> Document:
            answer = complete(self.client.get_object(Bucket=self.bucket, Key=self.key, **condition), doing)
            if not answer.get("ETag"):
                raise unexpected(f"{doing}: S3 answered without an ETag")
            return Document(answer["Body"].read(MAX_BYTES + 1), answer["ETag"])

        try:
            return _of_its_size(
                asked(Request(doing, send, (NoSuchKey, NotModified)), self.patience.begin()), self.where
            )
        except NotModified:
            return None
        except NoSuchKey as error:
            raise _nothing_there(self.where) from error


def open_document(address: str, name: str) -> DocumentReader:
    """A reader for a document of that name in a directory or below an s3://BUCKET/PREFIX/ address."""
    if "://" not in address:
        return FileDocument(Path(address) / name)
    parts = urlsplit(address)
    prefix = parts.path.strip("/")
    return S3Document(s3_client(), parts.netloc, f"{prefix}/{name}" if prefix else name)


def _of_its_size(document: Document, where: str) -> Document:
    if len(document.data) > MAX_BYTES:
        raise ContractError(
            f"{where} holds more than {MAX_BYTES:,} bytes",
            expected=f"a document of at most {MAX_BYTES:,} bytes",
            to_do="look at what wrote it",
        )
    return document


def _nothing_there(place: str) -> NothingPublished:
    return NothingPublished(f"there is no {place}", expected="a published document", to_do="publish one")
