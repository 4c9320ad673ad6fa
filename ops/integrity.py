"""Is every published file still what metadata.json says? Asked of the store without downloading: HEAD by VersionId.

`look_at` gathers, `judged` and `finding` decide.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from etl.contract import ArtifactFile, Manifest, run_id
from etl.errors import (
    ContractError,
    KpiOpsError,
    NewerContract,
    NothingPublished,
    StoreDenied,
    StoreError,
    StoreUnreachable,
)
from etl.store import Held, SnapshotReader, file_name
from etl.store.wire import Deadline, Request, bounded
from ops.verdict import Finding, Status

State = Literal[
    "ok", "overlaid", "torn", "missing", "foreign", "unreadable", "denied", "failing", "unreachable", "unknown"
]
STATUS: Mapping[State, Status] = {
    "ok": "pass",
    "overlaid": "pass",
    "torn": "error",
    "missing": "error",
    "foreign": "error",
    "unreadable": "error",
    "denied": "unknown",
    "failing": "unknown",
    "unreachable": "unknown",
    "unknown": "unknown",
}
WORST_FIRST: tuple[State, ...] = ("missing", "unreadable", "foreign", "torn")
S3 = "s3://"
THREADS = 8
# Out of boto3 or pathlib: an answer without a length, or with one that is no number; a key with a null byte.
NONSENSE = (LookupError, ValueError)
NAMED = 3  # how many files a line names
# JSON that does not even claim to be a manifest was never ours; anything else that cannot be read may have been.
SOMEBODY_ELSES = ("is not a manifest: schema_version: Field required", "is not a manifest: Input should be an object")

Told = Held | KpiOpsError | None  # None: nothing lies there


@dataclass(frozen=True, slots=True)
class Look:
    """What a store told of one file: where the manifest points, and under its plain key (the same without versions)."""

    name: str
    file: ArtifactFile
    published: Told
    newest: Told


@dataclass(frozen=True, slots=True)
class FileState:
    """How one file is. `by`: the run whose upload lies over it."""

    name: str
    file: ArtifactFile
    state: State
    seen: str = ""
    by: str = ""

    @property
    def status(self) -> Status:
        """What the state means for a reader of the snapshot."""
        return STATUS[self.state]


# --- gather ----------------------------------------------------------------------------------------------------------


def look_at(reader: SnapshotReader, manifest: Manifest, deadline: Deadline) -> list[Look]:
    """Ask for every file of a manifest, side by side; what is not told by the deadline is unreachable."""
    files = [
        (file_name(name, fmt), file)
        for name, artifact in manifest.artifacts.items()
        for fmt, file in artifact.files.items()
    ]
    told: dict[tuple[str, bool], Told] = {}

    def asking(name: str, file: ArtifactFile, *, newest: bool) -> Request[None]:
        def send() -> None:
            told[name, newest] = _told(reader, file, newest=newest)

        return Request(f"looking at {file.key}", send)

    # By its version, which is what the dashboard reads: rights may differ from those on the plain key.
    requests = [asking(name, file, newest=False) for name, file in files]
    requests += [asking(name, file, newest=True) for name, file in files if file.version_id]
    late: KpiOpsError | None = None
    try:
        bounded(requests, deadline, threads=THREADS)
    except StoreUnreachable as error:
        late = error
    return [
        Look(name, file, told.get((name, False), late), told.get((name, bool(file.version_id)), late))
        for name, file in files
    ]


def _told(reader: SnapshotReader, file: ArtifactFile, *, newest: bool) -> Told:
    try:
        return reader.held(file, newest=newest)
    except KpiOpsError as error:
        return error
    except NONSENSE as error:
        return nonsense(f"looking at {file.key}", error)


def nonsense(doing: str, error: Exception) -> StoreError:
    """What is told where `NONSENSE` came out of a store."""
    return StoreError(
        f"{doing}: {type(error).__name__}: {error}",
        expected="an answer as a store gives it, to a name that can be asked for",
        to_do="look at what stands between here and the store, and at metadata.json",
    )


# --- decide ----------------------------------------------------------------------------------------------------------


def judged(look: Look, where: str) -> FileState:
    """The state of one file of the store `where`: what was seen to be wrong, else what cannot be told, else whole."""
    states = [_place(look, where), _published(look, where), _newest(look)]
    by_status = {state.status: state for state in reversed(states) if state.state != "ok"}
    return by_status.get("error") or by_status.get("unknown") or by_status.get("pass") or _state(look, "ok")


def _state(look: Look, state: State, seen: str = "", by: str = "") -> FileState:
    return FileState(look.name, look.file, state, seen, by)


def _place(look: Look, where: str) -> FileState:
    """Whether the manifest points to a file of that name in this store: else it was copied, or changed by hand."""
    if where.startswith(S3):
        in_place = look.file.key == where.removeprefix(S3).partition("/")[2] + look.name
    else:
        in_place = look.file.key.rpartition("/")[2] == look.name  # on disk each run has a directory of its own
    return _state(look, "ok") if in_place else _state(look, "foreign", f"metadata.json names this as {look.name}")


def _published(look: Look, where: str) -> FileState:
    """What lies where the manifest points."""
    held, file = look.published, look.file
    if _is_no_version(look):
        return _state(look, "missing", f"S3 knows no version {file.version_id}, and answers 400")
    if not isinstance(held, Held):
        return _nothing(look, held, f"version {file.version_id} is gone" if file.version_id else "is gone")
    if held.archived:
        return _state(look, "unreadable", "is archived: nobody can read it before it is restored")
    return _state(look, "ok") if held.is_same(file) else _differing(look, held, where)


def _is_no_version(look: Look) -> bool:
    """400 may be about credentials; but not where, a moment later, the same ones are good for the plain key."""
    refused = isinstance(look.published, StoreDenied) and "S3 answered 400" in look.published.seen
    return refused and look.file.version_id is not None and isinstance(look.newest, Held)


def _differing(look: Look, held: Held, where: str) -> FileState:
    named_version = look.file.version_id is not None
    if held.run_id is None and where.startswith(S3) and not (named_version and held.sha256):
        return _state(look, "foreign", f"kpi-ops did not upload what lies there, {_bytes(held)}")
    if held.sha256 is None and held.bytes == look.file.bytes:
        return _state(look, "unknown", "the store keeps no SHA-256 of it; only its size is right")
    expected = f"{look.file.bytes:,} bytes with SHA-256 {look.file.sha256[:12]}..."
    return _state(look, "torn", f"{_bytes(held)}, not {expected}")


def _newest(look: Look) -> FileState:
    """What people and tools find who take the plain key."""
    held = look.newest
    if not look.file.version_id:
        return _state(look, "ok")
    if not isinstance(held, Held):
        return _nothing(look, held, "its plain name was deleted")
    if held.archived:
        return _state(look, "unreadable", "what lies under its plain name is archived")
    return _state(look, "ok") if held.is_same(look.file) else _in_its_place(look, held)


def _in_its_place(look: Look, held: Held) -> FileState:
    if held.run_id is None or held.sha256 is None:
        return _state(look, "foreign", f"kpi-ops did not upload what lies under its plain name, {_bytes(held)}")
    if isinstance(look.published, Held) and look.published.run_id == held.run_id:  # one run uploads one content
        return _state(look, "torn", f"under its plain name lies something else that claims to be of run {held.run_id}")
    return _state(look, "overlaid", by=held.run_id)


def _nothing(look: Look, told: KpiOpsError | None, gone: str) -> FileState:
    return _state(look, "missing", gone) if told is None else _state(look, state_of(told), told.seen)


def _bytes(held: Held) -> str:
    digest = f"with SHA-256 {held.sha256[:12]}..." if held.sha256 else "without a SHA-256"
    return f"{held.bytes:,} {'byte' if held.bytes == 1 else 'bytes'} {digest}"


def state_of(error: KpiOpsError) -> State:
    """What an error of a store says about what was asked for, be it a file or metadata.json."""
    if isinstance(error, NothingPublished):
        return "missing"
    if isinstance(error, NewerContract):
        return "unknown"
    if isinstance(error, ContractError):
        return "foreign" if any(sign in error.seen for sign in SOMEBODY_ELSES) else "unreadable"
    if isinstance(error, StoreDenied) or isinstance(error.__cause__, PermissionError):
        return "denied"
    if isinstance(error, StoreUnreachable):
        return "failing" if "S3 answered" in error.seen else "unreachable"
    return "unreadable" if isinstance(error.__cause__, OSError) else "unknown"


def finding(looks: Iterable[Look], manifest: Manifest, where: str) -> Finding:
    """All files in one finding."""
    states = [judged(look, where) for look in looks]
    errors, unknown = ([state for state in states if state.status == status] for status in ("error", "unknown"))
    wrong = errors or unknown
    seen = f"{len(states)} files are whole"
    if wrong:
        are = "is" if len(wrong) == 1 else "are"
        what = f"{are} not what metadata.json says" if errors else "could not be looked at"
        seen = f"{len(wrong)} of {len(states)} files {what}: {_named(wrong)}"
    word = _worst(errors) if errors else "unknown" if unknown else "whole"
    return Finding(
        "files",
        "error" if errors else "unknown" if unknown else "pass",
        word,
        seen,
        "every file at its version, with the size and SHA-256 that metadata.json names, and nobody else's in its place",
        _to_do(word if errors else wrong[0].state, where) if wrong else "",
        details=[f"{state.state:<12} {state.file.key}: {state.seen}" for state in [*errors, *unknown]],
        notes=[*_overlaid(states), *_changed(manifest)],
        facts={"files": [_facts(state) for state in states]},
    )


def _named(states: Sequence[FileState]) -> str:
    more = f" and {len(states) - NAMED} more" if len(states) > NAMED else ""
    return ", ".join(f"{state.name} {state.state}" for state in states[:NAMED]) + more


def _worst(errors: Iterable[FileState]) -> State:
    found = {state.state for state in errors}
    return next(state for state in WORST_FIRST if state in found)


def _to_do(state: str, where: str) -> str:
    if state == "denied":
        return (
            "check AWS_PROFILE or the role, the bucket's policy and its KMS key: s3:GetObject and s3:GetObjectVersion "
            "are needed; s3:ListBucket too, without which S3 says 403 of a file that is gone"
        )
    if state in ("failing", "unreachable"):
        return "check the network and AWS_ENDPOINT_URL, then look again"
    if state == "unknown":
        return "read the files themselves: the dashboard does, and says on its page what it finds"
    if not where.startswith(S3):
        return "write the snapshot again with `fab etl`"
    first = "find out who else writes below this prefix; then " if state == "foreign" else ""
    return f"{first}upload every file again with `fab etl-sync --force`"


def _overlaid(states: Iterable[FileState]) -> list[str]:
    runs = Counter(state.by for state in states if state.state == "overlaid")
    return [
        f"{count} plain {'name holds' if count == 1 else 'names hold'} an upload of run {run}: somebody is publishing, "
        "stopped in the middle, or went back to an earlier run; the published snapshot is whole"
        for run, count in runs.items()
    ]


def _changed(manifest: Manifest) -> list[str]:
    """The name of a run is made of its time and its hashes: who changes those by hand forgets the name."""
    expected = run_id(manifest.generated_at, manifest.artifacts)
    if manifest.run_id == expected:
        return []
    return [f"metadata.json names run {manifest.run_id}; its time and hashes make {expected}: it was changed by hand"]


def _facts(state: FileState) -> dict[str, object]:
    return {
        "name": state.name,
        "key": state.file.key,
        "version_id": state.file.version_id,
        "state": state.state,
        "seen": state.seen,
    }
