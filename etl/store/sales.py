"""Sales files that lie on S3, brought to this machine's disk."""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from etl.errors import SourceError
from etl.store.wire import Answer, Deadline, NoSuchKey, Patience, Request, asked, bounded, complete

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SCHEME: Final = "s3://"
BLOCK_BYTES: Final = 1 << 20
AT_ONCE: Final = 4
FOR_ALL_OF_IT: Final = Patience(deadline_s=3600)
MOST_FILES: Final = 1000
PATTERN: Final = "*?["
ENDINGS: Final = (".csv", ".csv.gz", ".zip", ".parquet", ".xlsx")


class _NoSuchBucket(Answer):
    @staticmethod
    def says(status: int, code: str) -> bool:  # noqa: ARG004 - the shape of Answer
        """The bucket itself is not there."""
        return code == "NoSuchBucket"


@dataclass(frozen=True, slots=True)
class _Object:
    bucket: str
    key: str

    @property
    def address(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


def fetched(client: "S3Client", address: str, directory: Path, patience: Patience = FOR_ALL_OF_IT) -> list[Path]:
    """The files that an address stands for, in a directory that is empty and ours alone, by their names.

    s3://BUCKET/KEY is one object, s3://BUCKET/PREFIX/ every sales file directly below, s3://BUCKET/sales-*.csv those
    that fit. Raises SourceError where there is none, and a StoreError where S3 does not let us or does not answer.
    """
    deadline = patience.begin()
    objects = _meant(client, address, deadline)
    places = [directory / str(number) / PurePosixPath(each.key).name for number, each in enumerate(objects)]
    for place in places:
        place.parent.mkdir()
    fetching = [_fetching(client, each, place) for each, place in zip(objects, places, strict=True)]
    try:
        bounded(fetching, deadline, threads=AT_ONCE)
    except NoSuchKey as error:
        raise _not_there(address, "is not there") from error
    except _NoSuchBucket as error:
        raise _not_there(address, "names a bucket that is not there") from error
    return places


def _meant(client: "S3Client", address: str, deadline: Deadline) -> list[_Object]:
    parts = urlsplit(address, allow_fragments=False)
    bucket, key = parts.netloc, address[len(SCHEME) + len(parts.netloc) + 1 :]
    if not bucket or not key:
        raise SourceError(
            f"{address} names no object",
            expected="s3://BUCKET/KEY, s3://BUCKET/PREFIX/ or s3://BUCKET/sales-*.csv",
            to_do="mend --source, or source in [etl] of settings.toml",
        )
    if not key.endswith("/") and not any(letter in key for letter in PATTERN):
        return [_Object(bucket, key)]
    start = key[: min((key.index(letter) for letter in PATTERN if letter in key), default=len(key))]
    try:
        keys = list(_listed(client, bucket, start, deadline))
    except _NoSuchBucket as error:
        raise _not_there(address, "names a bucket that is not there") from error
    found = sorted(each for each in keys if _fits(each, key))
    if not found:
        raise _not_there(address, f"stands for no file of sales among {len(keys)} objects")
    if len(found) > MOST_FILES:
        raise SourceError(
            f"{address} stands for {len(found):,} files",
            expected=f"at most {MOST_FILES:,}",
            to_do="name a narrower pattern",
        )
    return [_Object(bucket, each) for each in found]


def _fits(key: str, wanted: str) -> bool:
    """A pattern's stars stop at a slash, as those of a shell do."""
    if wanted.endswith("/"):
        return "/" not in key[len(wanted) :] and key.lower().endswith(ENDINGS)
    return key.count("/") == wanted.count("/") and fnmatch.fnmatchcase(key, wanted)


def _listed(client: "S3Client", bucket: str, prefix: str, deadline: Deadline) -> Iterable[str]:
    after = ""
    while True:
        answer = asked(_listing(client, bucket, prefix, after), deadline)
        yield from answer
        if len(answer) < MOST_FILES:
            return
        after = answer[-1]


def _listing(client: "S3Client", bucket: str, prefix: str, after: str) -> Request[Sequence[str]]:
    doing = f"listing {SCHEME}{bucket}/{prefix}"

    def send() -> Sequence[str]:
        answer = client.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=MOST_FILES)
        return [each["Key"] for each in complete(answer, doing).get("Contents", ())]

    return Request(doing, send, (_NoSuchBucket,))


def _fetching(client: "S3Client", of: _Object, place: Path) -> Request[None]:
    doing = f"reading {of.address}"

    def send() -> None:
        answer = complete(client.get_object(Bucket=of.bucket, Key=of.key, ChecksumMode="ENABLED"), doing)
        with place.open("wb") as file:
            while block := answer["Body"].read(BLOCK_BYTES):  # botocore compares length and checksum at its end
                file.write(block)

    return Request(doing, send, (NoSuchKey, _NoSuchBucket))


def _not_there(address: str, seen: str) -> SourceError:
    return SourceError(
        f"{address} {seen}",
        expected="a file of sales on S3",
        to_do="see what is there: aws s3 ls; then mend --source, or source in [etl] of settings.toml",
    )
