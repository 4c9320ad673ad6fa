"""Publish a fresh snapshot: compute, compare with what is published, upload what changed."""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etl.contract import Manifest
from etl.errors import ExitCode, KpiOpsError
from etl.store import Base, DirectoryStore, Overtaken, Patience, Published, Run, S3Store, changes, publish, s3_client
from etl.summary import Figures, figures
from ops.compare import figure_lines, file_lines, run_line
from ops.guard import doubts
from ops.settings import PublishSettings, S3Settings

UNVERSIONED = (
    "the bucket keeps no versions: readers rely on hashes, may have to retry in the middle of a sync, "
    "and no run can be restored; `fab provision` makes versioned buckets"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a command has to say, and its exit status; from which run to which what is published has gone."""

    text: str
    status: ExitCode
    origin: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Where and how to publish, and who does it. `progress` is given the bytes to come, and then told of them."""

    store: S3Store
    limits: PublishSettings
    by: str
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]]


def store_of(s3: S3Settings, limits: PublishSettings) -> S3Store:
    """The published store, with a deadline for all that is done there at once. Raises StoreError."""
    patience = Patience(deadline_s=limits.deadline_s)
    return S3Store(s3_client(), s3.bucket, s3.prefix, patience, s3.encryption)


def planned(make: Callable[[Path], Manifest], publisher: Publisher) -> Told:
    """Compare with what is published a snapshot that is computed aside and thrown away."""
    base = publisher.store.published()
    with tempfile.TemporaryDirectory() as aside:
        mine = make(Path(aside))
        found = changes(mine, base.manifest)
        after = figures(mine, DirectoryStore(Path(aside)))
    refusal = _refusal(doubts(mine, base, publisher.limits))
    pending = any(change.change != "unchanged" for change in found)
    lines = [
        f"published now: {_published(base)}",
        *file_lines(found),
        *([] if pending else ["nothing to upload but metadata.json"]),
        "",
        *figure_lines(published_figures(base, publisher.store), after),
        *(["", refusal] if refusal else []),
    ]
    return Told("\n".join(lines), _planned_status(pending=pending, refused=bool(refusal)))


def _planned_status(*, pending: bool, refused: bool) -> ExitCode:
    if refused:
        return ExitCode.CHECK_FAILED
    return ExitCode.CHANGES_PENDING if pending else ExitCode.GOOD


def sync(
    make: Callable[[Path], Manifest],
    out: Path,
    publisher: Publisher,
    *,
    now: Callable[[], datetime],
    force: bool = False,
) -> Told:
    """Write the snapshot to `out`, publish it, and say what was done.

    `force` uploads what is unchanged too, and publishes what looks broken or is older than what is published. Raises
    StoreError.
    """
    store = publisher.store
    base = store.published()  # first: an S3 that cannot be reached is known before the work is done
    mine = make(out)
    refusal = None if force else _refusal(doubts(mine, base, publisher.limits))
    if refusal:
        text = f"{refusal}\nthe snapshot is in {out}; published still: {_published(base)}"
        return Told(text, ExitCode.CHECK_FAILED, _run_id(base), mine.run_id)
    signed = mine.model_copy(update={"published_by": publisher.by})
    coming = sum(c.file.bytes for c in changes(mine, base.manifest) if force or c.change != "unchanged")
    with publisher.progress(coming) as sent_bytes:
        done = publish(store, Run(signed, DirectoryStore(out), force, sent_bytes), base, now=now())
    stays = done.by.run_id if isinstance(done, Overtaken) else mine.run_id
    return Told(_told(done, mine, store), ExitCode.GOOD, _run_id(base), stays)


def _told(done: Published | Overtaken, mine: Manifest, store: S3Store) -> str:
    if isinstance(done, Overtaken):
        return f"run {mine.run_id} is not published: a newer one is, and stays\npublished now: {run_line(done.by)}"
    uploaded = f"{done.uploaded} files uploaded ({done.uploaded_bytes:,} bytes), {done.unchanged} unchanged"
    raced = f"\nan older run was published {done.races} times meanwhile, and replaced" if done.races else ""
    unversioned = "" if done.versioned else f"\n{UNVERSIONED}"
    return f"published run {mine.run_id} to {store.where}: {uploaded}{raced}{unversioned}"


def _run_id(base: Base) -> str:
    return base.manifest.run_id if base.manifest else ""


def _refusal(reasons: list[str]) -> str | None:
    if not reasons:
        return None
    lines = ["refused: this snapshot looks broken beside the published one", *(f"  - {reason}" for reason in reasons)]
    to_do = "  to do:    look at the source; if it is right all the same: `fab etl-sync --force`"
    return "\n".join([*lines, to_do, "            limits: [publish] in settings.toml"])


def _published(base: Base) -> str:
    if base.manifest:
        return run_line(base.manifest)
    return "nothing that this release can read" if base.etag else "nothing"


def published_figures(base: Base, store: S3Store) -> Figures | None:
    """The published figures; None where there are none, or where they cannot be read."""
    try:
        return figures(base.manifest, store) if base.manifest else None
    except KpiOpsError:
        return None
