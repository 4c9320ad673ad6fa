"""What publishing would do, decided from manifests alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from etl.contract import ARTIFACTS, FORMATS, Artifact, ArtifactFile, Format, Manifest
from etl.store.reader import file_name

CLOCK_SKEW = timedelta(minutes=5)

Change = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """What publishing would do to one file; `before` is the published one."""

    artifact: str
    format: Format
    change: Change
    file: ArtifactFile
    before: ArtifactFile | None

    @property
    def name(self) -> str:
        """The plain name of the file."""
        return file_name(self.artifact, self.format)


def changes(mine: Manifest, published: Manifest | None) -> list[FileChange]:
    """Compare a snapshot with the published one, file by file, by content."""
    found = []
    for name in (name for name in ARTIFACTS if name in mine.artifacts):
        theirs = published.artifacts.get(name) if published else None
        for fmt in FORMATS:
            file, before = mine.artifacts[name].file(fmt), theirs.file(fmt) if theirs else None
            found.append(FileChange(name, fmt, _change(file, before), file, before))
    return found


def _change(mine: ArtifactFile, theirs: ArtifactFile | None) -> Change:
    if theirs is None:
        return "new"
    return "unchanged" if theirs.sha256 == mine.sha256 else "changed"


def is_newer(theirs: Manifest, mine: Manifest, now: datetime) -> bool:
    """Whether another run is to be preferred to mine: made later, or in the same second with a later name.

    One that claims to be of the future is not: its clock was wrong, and nobody could publish until then.
    """
    if theirs.generated_at > now + CLOCK_SKEW:
        return False
    return (theirs.generated_at, theirs.run_id) > (mine.generated_at, mine.run_id)


def with_keys(manifest: Manifest, prefix: str, version_ids: Mapping[str, str | None] | None = None) -> Manifest:
    """The manifest with each key = prefix + plain name, and each version_id as given (None where not)."""
    versions = version_ids or {}

    def placed(name: str, artifact: Artifact) -> Artifact:
        files: dict[str, ArtifactFile] = {}
        for fmt, file in artifact.files.items():
            plain = file_name(name, fmt)
            files[fmt] = file.model_copy(update={"key": prefix + plain, "version_id": versions.get(plain)})
        return artifact.model_copy(update=files)

    return manifest.model_copy(update={"artifacts": {n: placed(n, a) for n, a in manifest.artifacts.items()}})
