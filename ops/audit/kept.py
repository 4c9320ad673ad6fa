"""Where lines are kept: an object each below ops/audit/ of the bucket; on this disk until they are there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from etl.errors import KpiOpsError
from etl.store.wire import Deadline, Patience, Request, asked, bounded
from ops.audit.change import AUDIT_PREFIX, Change, as_line, key, parsed
from ops.whole import replace_whole

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PATIENCE: Final = Patience(attempts=2, deadline_s=10.0)  # a record that is late is no reason to wait for it
THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Book:
    """The bucket that lines are put in, and the directory that holds those which are not there yet."""

    client: Callable[[], "S3Client"]
    bucket: str
    unsent: Path
    patience: Patience = PATIENCE

    def keep(self, change: Change, tell: Callable[[str], None]) -> None:
        """Keep a line, with all that earlier commands could not send. What goes wrong is told, and stops nothing."""
        try:
            replace_whole(self.unsent / key(change).replace("/", "-"), as_line(change).encode())
        except OSError as error:
            tell(f"note: the record of this is not kept: {self.unsent}: {error.strerror or error}")
            return
        try:
            self._send_all()
        except KpiOpsError as error:
            tell(f"note: the record of this waits in {self.unsent} until the bucket can be written: {error.seen}")

    def _send_all(self) -> None:
        deadline = self.patience.begin()
        client = self.client()
        for file in sorted(self.unsent.glob("*.json")):
            change = parsed(file.read_text("utf-8", "replace"))
            if change is not None:
                asked(self._put(client, change), deadline)
            file.unlink(missing_ok=True)

    def _put(self, client: "S3Client", change: Change) -> Request[Any]:
        name = AUDIT_PREFIX + key(change)
        body = as_line(change).encode()
        return Request(
            f"write s3://{self.bucket}/{name}",
            lambda: client.put_object(Bucket=self.bucket, Key=name, Body=body, ContentType="application/json"),
        )

    def newest(self, count: int, now: datetime) -> list[Change]:
        """The newest lines of this year and the last, the newest first; those that wait here too. Raises StoreError.

        Asked for by the month, and then by the year: a quiet shop would have two dozen months asked for in vain.
        """
        deadline = self.patience.begin()
        client = self.client()
        keys: set[str] = set()
        for period in (f"{now:%Y/%m}", f"{now:%Y}", f"{now.year - 1:04d}"):
            keys.update(self._keys(client, period, deadline))
            if len(keys) >= count:
                break
        newest = sorted(keys, reverse=True)[:count]
        texts = bounded([self._get(client, name) for name in newest], deadline, threads=THREADS) if newest else []
        found = {parsed(text) for text in texts} | {parsed(text) for text in self._waiting()}
        return sorted(filter(None, found), key=lambda change: change.at, reverse=True)[:count]

    def _waiting(self) -> Iterator[str]:
        yield from (file.read_text("utf-8", "replace") for file in self.unsent.glob("*.json"))

    def _keys(self, client: "S3Client", period: str, deadline: Deadline) -> list[str]:
        prefix = f"{AUDIT_PREFIX}{period}/"

        def send() -> list[str]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return [str(each["Key"]) for page in pages for each in page.get("Contents", ())]

        return asked(Request(f"list s3://{self.bucket}/{prefix}", send), deadline)

    def _get(self, client: "S3Client", name: str) -> Request[str]:
        def send() -> str:
            return client.get_object(Bucket=self.bucket, Key=name)["Body"].read().decode("utf-8", "replace")

        return Request(f"read s3://{self.bucket}/{name}", send, absent=str)
