"""Runs that were published: listed, and gone back to."""

from collections.abc import Sequence
from typing import Any

from etl.contract import Manifest
from etl.errors import ExitCode, StoreError
from etl.store import Publication, S3Store, lost_files, publications, restore
from etl.summary import figures
from ops.compare import figure_lines, run_line
from ops.sync import Told, published_figures

SEARCHED = (20, 1000)  # publications that are looked through for a run: the last days', then three years of daily ones
COLUMNS = ("run", "published (UTC)", "by", "code", "lines", "newest day", "")


def listed(found: Sequence[Publication]) -> str:
    """The publications as a table, newest first."""
    if not found:
        return "nothing is published"
    rows = [COLUMNS, *(_row(publication) for publication in found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _row(publication: Publication) -> tuple[str, ...]:
    when = f"{publication.published_at:%Y-%m-%d %H:%M}"
    mark = "current" if publication.is_current else ""
    manifest = publication.manifest
    if manifest is None:
        return ("?", when, "?", "?", "?", "?", f"{mark} {publication.problem}".strip())
    restored = f"restored by {manifest.restored_by}" if manifest.restored_by else ""
    return (
        manifest.run_id,
        when,
        manifest.published_by or "?",
        manifest.code_version,
        f"{manifest.rows_kept:,}",
        manifest.data_through.isoformat(),
        " ".join(filter(None, [mark, restored])),
    )


def as_json(found: Sequence[Publication]) -> list[dict[str, Any]]:
    """The publications as plain values, newest first; `problem` stands where one cannot be read."""
    return [_values(publication) for publication in found]


def _values(publication: Publication) -> dict[str, Any]:
    manifest = publication.manifest
    known = {
        "version_id": publication.version_id,
        "published_at": f"{publication.published_at:%Y-%m-%dT%H:%M:%SZ}",
        "current": publication.is_current,
    }
    if manifest is None:
        return known | {"problem": publication.problem}
    return known | {
        "run_id": manifest.run_id,
        "generated_at": f"{manifest.generated_at:%Y-%m-%dT%H:%M:%SZ}",
        "published_by": manifest.published_by,
        "restored_by": manifest.restored_by,
        "code_version": manifest.code_version,
        "rows_in": manifest.rows_in,
        "rows_kept": manifest.rows_kept,
        "data_from": manifest.data_from.isoformat(),
        "data_through": manifest.data_through.isoformat(),
    }


def go_back(store: S3Store, run_id: str, *, by: str, plan: bool = False) -> Told:
    """Make an earlier run the published one, in one write; its files are all looked at before.

    Raises StoreError where there is no such run, its files are gone, or somebody publishes meanwhile.
    """
    base = store.published()
    wanted = _found(store, run_id)
    if base.manifest and base.manifest.run_id == wanted.run_id:
        return Told(f"published already: {run_line(base.manifest)}", ExitCode.GOOD, run_id, run_id)
    _must_be_whole(store, wanted)
    compared = "\n".join(figure_lines(published_figures(base, store), figures(wanted, store)))
    if plan:
        return Told(f"would go back to {run_line(wanted)}\n{compared}", ExitCode.CHANGES_PENDING)
    if not restore(store, wanted.model_copy(update={"restored_by": by}), base):
        raise StoreError(
            f"{store.where}metadata.json was changed by somebody else at this moment",
            expected="what was published when this began",
            to_do="look with `fab snapshots`, then try again",
        )
    after = "readers follow at their next look; the next `fab etl-sync` publishes its own run again"
    before = base.manifest.run_id if base.manifest else ""
    return Told(f"went back to {run_line(wanted)}\n{compared}\n{after}", ExitCode.GOOD, before, run_id)


def _found(store: S3Store, run_id: str) -> Manifest:
    """The manifest of a run, as it was published last."""
    found: Sequence[Publication] = ()
    for limit in SEARCHED:
        found = publications(store, limit)
        for publication in found:
            if publication.manifest and publication.manifest.run_id == run_id:
                return publication.manifest
        if len(found) < limit:
            break
    known = list(dict.fromkeys(each.manifest.run_id for each in found if each.manifest))
    shown = ", ".join(known[:5]) + (", ..." if len(known) > len(known[:5]) else "")
    one_only = " (a bucket without versions keeps the current run alone)" if len(found) == 1 else ""
    raise StoreError(
        f"no run {run_id!r} was published to {store.where}{one_only}",
        expected=f"one of {shown}" if known else "a published run",
        to_do="see them with `fab snapshots --limit 100`",
    )


def _must_be_whole(store: S3Store, wanted: Manifest) -> None:
    if lost := lost_files(store, wanted):
        shown = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")  # noqa: PLR2004 - shown
        raise StoreError(
            f"run {wanted.run_id} is no longer whole: {shown} cannot be read at the version of that run",
            expected="every file of the run, with the bytes it had",
            to_do="choose a later run (`fab snapshots`): the bucket's lifecycle removes old versions; "
            "the published snapshot is still the old one",
        )
