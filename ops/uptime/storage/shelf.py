"""The record and the report on S3, for who has no git repository: several may publish there, and no line is lost.

A file of the record is written on condition that it is still the one that was read; the report comes last, on condition
that no other was written since. Who is overtaken reads again, unites, writes the report anew and tries again.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from etl.errors import StoreError
from etl.store import Patience
from etl.store.wire import Deadline, PreconditionFailed, Request, asked, complete, unexpected
from ops.uptime.storage.merge import take_over

TRIES = 20
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.2, 2.0
TYPES: Mapping[str, str] = {
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
}
GENERATED = (".html", ".json", ".svg")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A prefix of a bucket; empty, or ending with a slash."""

    client: Any
    bucket: str
    prefix: str
    patience: Patience = field(default_factory=Patience)
    encryption: str = "AES256"

    def place(self, name: str) -> str:
        """The whole address."""
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def listed(self, deadline: Deadline) -> dict[str, str]:
        """The ETag of every object by name. Raises StoreError."""
        doing = f"listing {self.place('')}"

        def send() -> dict[str, str]:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            entries = [entry for page in pages for entry in complete(page, doing).get("Contents", [])]
            return {entry["Key"].removeprefix(self.prefix): entry["ETag"] for entry in entries}

        return asked(Request(doing, send), deadline)

    def read(self, name: str, deadline: Deadline) -> tuple[bytes, str | None]:
        """What an object holds and its ETag; nothing and None where there is none. Raises StoreError."""
        doing = f"reading {self.place(name)}"

        def send() -> tuple[bytes, str | None]:
            answer = complete(
                self.client.get_object(Bucket=self.bucket, Key=self.prefix + name, ChecksumMode="ENABLED"), doing
            )
            data: bytes = answer["Body"].read()
            return data, answer["ETag"]

        nothing: tuple[bytes, str | None] = (b"", None)
        return asked(Request(doing, send, absent=lambda: nothing), deadline)

    def write(self, name: str, data: bytes, deadline: Deadline, **condition: str) -> None:
        """Write an object. Raises PreconditionFailed where the condition does not hold, or StoreError."""
        doing = f"writing {self.place(name)}"

        def send() -> None:
            answer = self.client.put_object(
                Bucket=self.bucket,
                Key=self.prefix + name,
                Body=data,
                ContentType=TYPES[Path(name).suffix],
                CacheControl="no-cache",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(hashlib.sha256(data).digest()).decode(),
                ServerSideEncryption=self.encryption,
                **condition,
            )
            if not complete(answer, doing).get("ETag"):
                raise unexpected(f"{doing}: S3 answered without an ETag")

        asked(Request(doing, send, (PreconditionFailed,)), deadline)


def shelf_at(address: str, client: Any, patience: Patience, encryption: str = "AES256") -> Shelf:
    """The shelf of an s3://BUCKET/PREFIX/ address."""
    parts = urlsplit(address)
    prefix = parts.path.strip("/")
    return Shelf(client, parts.netloc, f"{prefix}/" if prefix else "", patience, encryption)


@dataclass(frozen=True, slots=True)
class Shelved:
    """What came of it: so many lines that were not there before, at which try."""

    lines: int
    tries: int

    def line(self, shelf: Shelf) -> str:
        """As a person is told."""
        again = f", at try {self.tries}" if self.tries > 1 else ""
        return f"published {self.lines} new line{'s' * (self.lines != 1)} to {shelf.place('')}{again}"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the record is kept here; `rewrite` writes report and pictures anew from the files of `directory`."""

    directory: Path
    report: Path
    rewrite: Callable[[], object]


def put_up(
    shelf: Shelf, desk: Desk, *, sleep: Callable[[float], None], random: Callable[[], float], tries: int = TRIES
) -> Shelved:
    """Publish what was recorded here with what others recorded, and the report on both.

    `random` is from [0, 1). Raises StoreError; the lines are then still in the directory, and go with the next time.
    """
    try:
        return _put_up(shelf, desk, sleep, random, tries)
    except StoreError as error:
        to_do = "check network, credentials and the bucket's policy; the samples stay here and go with the next run"
        raise type(error)(error.seen, expected=error.expected, to_do=to_do) from error


def _put_up(
    shelf: Shelf, desk: Desk, sleep: Callable[[float], None], random: Callable[[], float], tries: int
) -> Shelved:
    deadline = shelf.patience.begin()
    most = 0  # lines that S3 lacked: of a try whose answer was lost they are there at the next one
    for number in range(1, tries + 1):
        if number > 1:
            sleep(SHORTEST_WAIT_S + (LONGEST_WAIT_S - SHORTEST_WAIT_S) * random())
        held = shelf.listed(deadline)  # the report's ETag first: what is recorded from now on makes it another one
        try:
            most = max(most, _put_records(shelf, desk.directory, held, deadline))
            desk.rewrite()
            _put_report(shelf, desk, held, deadline)
        except PreconditionFailed:
            continue
        return Shelved(most, number)
    raise StoreError(
        f"publishing to {shelf.place('')}: others were quicker {tries} times",
        expected="a moment without other publishers",
        to_do="",
    )


def _still(etag: str | None) -> dict[str, str]:
    return {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}


def _put_records(shelf: Shelf, directory: Path, held: Mapping[str, str], deadline: Deadline) -> int:
    here = {f"{directory.name}/{file.name}" for file in directory.glob("*.jsonl")}
    there = {name for name in held if _is_record(name, directory.name)}
    return sum(_put_record(shelf, directory, name, held.get(name), deadline) for name in sorted(here | there))


def _is_record(name: str, directory: str) -> bool:
    parent, _, file = name.rpartition("/")
    return parent == directory and file.endswith(".jsonl")


def _put_record(shelf: Shelf, directory: Path, name: str, held: str | None, deadline: Deadline) -> int:
    """Unite one file, here and there; gives how many lines it lacked there."""
    file = directory / name.rpartition("/")[2]
    if file.exists() and held == _etag(file.read_bytes()):
        return 0
    theirs, etag = shelf.read(name, deadline)
    lacking = take_over(file, theirs)
    if lacking:
        shelf.write(name, file.read_bytes(), deadline, **_still(etag))
    return lacking


def _put_report(shelf: Shelf, desk: Desk, held: Mapping[str, str], deadline: Deadline) -> None:
    for name, file in _generated(desk.directory):
        data = file.read_bytes()
        if held.get(name) != _etag(data):
            shelf.write(name, data, deadline)
    name = desk.report.name
    shelf.write(name, desk.report.read_bytes(), deadline, **_still(held.get(name)))


def _generated(directory: Path) -> Iterator[tuple[str, Path]]:
    files = sorted(file for file in directory.iterdir() if file.suffix in GENERATED)
    yield from ((f"{directory.name}/{file.name}", file) for file in files)


def _etag(data: bytes) -> str:
    """As S3 tells it of what was written at once and is not encrypted by a key of one's own; else it never fits."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
