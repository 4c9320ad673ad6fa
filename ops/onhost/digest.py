"""Digests of a release's files and of this program's, the same on both sides of the connection."""

import hashlib
from collections.abc import Mapping

from ops.onhost.layout import MANIFEST


def files_sha256(files: Mapping[str, bytes]) -> str:
    """One digest over paths and contents, whatever their order; release.json, which holds it, is left out."""
    return sha256_of({path: hashlib.sha256(content).hexdigest() for path, content in files.items()})


def sha256_of(digests: Mapping[str, str]) -> str:
    """As `files_sha256`, where each file's own SHA-256 is known already."""
    lines = (f"{digests[path]}  {path}\n" for path in sorted(digests) if path != MANIFEST)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def placed(content: bytes, mode: int, user: int, group: int) -> str:
    """A file as it lies on the host, in one word: equal where content, rights and owners are."""
    return f"{hashlib.sha256(content).hexdigest()}:{mode:04o}:{user}:{group}"
