"""A release: its name, what it says of itself, and the archive that is sent. Pure."""

import gzip
import hashlib
import io
import json
import re
import tarfile
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from packaging.specifiers import SpecifierSet

from etl.errors import UnfitCommit
from ops.host.source import Commit, Files
from ops.onhost import layout
from ops.onhost.digest import files_sha256
from ops.settings import HostSettings

LOCK = str(layout.RELEASE_LOCK)
NEEDED = (str(layout.UV_LOCK), str(layout.PROBE))  # by the host, beside what is read here
# How the host is reached and who looks after it: nothing of a release.
_OPERATORS_OWN = {"address", "user", "port", "key", "known_hosts", "gateway", "watch_s", "keep_releases"}
MODES = {False: 0o644, True: 0o755}


@dataclass(frozen=True, slots=True)
class Release:
    """release.json: what a release is made of. `contract` is the newest schema_version that it can read."""

    release: str
    sha: str
    dirty: bool
    ref: str
    made_at: str
    who: str
    lock_sha256: str
    requires_python: str
    settings_sha256: str
    contract: int
    files_sha256: str


@dataclass(frozen=True, slots=True)
class Made:
    """By whom a release is made, when, and with which settings of the host."""

    who: str
    at: datetime
    settings_sha256: str


def release_of(commit: Commit, files: Files, made: Made) -> Release:
    """What release.json will say. Raises UnfitCommit where the commit lacks what a release needs."""
    for path in NEEDED:
        _needed(files, path)
    return Release(
        release=release_id(commit, made.at),
        sha=commit.sha,
        dirty=commit.dirty,
        ref=commit.ref,
        made_at=f"{made.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        who=made.who,
        lock_sha256=_sha256(_needed(files, LOCK)),
        requires_python=requires_python(_needed(files, "pyproject.toml")),
        settings_sha256=made.settings_sha256,
        contract=contract(_needed(files, "etl/contract.py")),
        files_sha256=files_sha256({path: content for path, (content, _) in files.items()}),
    )


def release_id(commit: Commit, at: datetime) -> str:
    """A name that sorts by time and tells the commit: letters, digits and points, as systemd takes them unquoted."""
    mark = ".dirty" if commit.dirty else ""
    return f"{at.astimezone(UTC):%Y%m%dt%H%M%S}.{commit.sha[:7]}{mark}"


def requires_python(pyproject: bytes) -> str:
    """The Pythons that a commit says it runs on, like `>=3.11,<3.14`; empty where it does not say.

    Raises UnfitCommit where nobody can read what it says.
    """
    try:
        said = str(tomllib.loads(pyproject.decode()).get("project", {}).get("requires-python", ""))
        SpecifierSet(said)
    except (ValueError, AttributeError, RecursionError) as error:
        raise UnfitCommit(
            f"pyproject.toml does not say which Python the commit runs on: {error}",
            expected='TOML with requires-python like ">=3.11,<3.14" in [project]',
            to_do="mend and commit it, then deploy",
        ) from error
    return said


def contract(source: bytes) -> int:
    """The newest schema_version of metadata.json that a commit can read, from the text of its etl/contract.py."""
    found = re.search(rb"^SCHEMA_VERSION\b[^=\n]*=\s*(\d{1,9})\b", source, re.MULTILINE)
    return int(found[1]) if found else 0


def settings_sha256(settings: HostSettings, texts: Mapping[str, str]) -> str:
    """A digest of what a deploy of the same commit would place on the host differently: settings and unit texts."""
    said = {"host": settings.model_dump(mode="json", exclude=_OPERATORS_OWN), "texts": dict(texts)}
    return _sha256(json.dumps(said, sort_keys=True).encode())


def packed(release: Release, files: Files) -> bytes:
    """The archive that is sent: the files and release.json, the same bytes for the same release."""
    content: Files = {**files, layout.MANIFEST: (json.dumps(asdict(release), indent=1).encode(), False)}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, (body, may_run) in sorted(content.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(body), MODES[may_run]
            archive.addfile(entry, io.BytesIO(body))
    return gzip.compress(out.getvalue(), mtime=0)


def _needed(files: Files, path: str) -> bytes:
    if path not in files:
        raise UnfitCommit(
            f"the commit has no {path}",
            expected="a commit of this project",
            to_do="name another with --ref",
        )
    return files[path][0]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
