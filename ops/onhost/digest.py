"""Digests of a release's files and of this program's, the same on both sides of the connection."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ops.onhost.layout import MANIFEST


def files_sha256(files: Mapping[str, bytes]) -> str:
    """One digest over paths and contents, whatever their order; release.json, which holds it, is left out."""
    return sha256_of({path: hashlib.sha256(content).hexdigest() for path, content in files.items()})


def sha256_of(digests: Mapping[str, str]) -> str:
    """As `files_sha256`, where each file's own SHA-256 is known already."""
    lines = (f"{digests[path]}  {path}\n" for path in sorted(digests) if path != MANIFEST)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def tool_sha256(directory: Path) -> str:
    """The digest of what bootstrap installs below `directory` (a checkout, or layout.TOOL): equal where equal."""
    paths = [directory / "ops" / "__init__.py", *(directory / "ops" / "onhost").glob("*.py")]
    return files_sha256({path.relative_to(directory).as_posix(): path.read_bytes() for path in paths if path.exists()})
