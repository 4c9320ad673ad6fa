"""`kpi-host receive ID`: a release arrives as a tar, is checked, and gets its name last."""

import compileall
import hashlib
import os
import tarfile
import warnings
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from ops.onhost import dead_man, digest, files, record
from ops.onhost.layout import MANIFEST, MAX_BYTES, MAX_FILES, MAX_PATH
from ops.onhost.machine import Machine
from ops.onhost.record import Record
from ops.onhost.trouble import CouldNot

CHUNK_BYTES: Final = 64 * 1024
PROGRAM, FILE, DIRECTORY = 0o755, 0o644, 0o755
OURS: Final = ("dashboard", "etl", "ops")  # what is compiled before it serves: the dashboard may not write here
AGAIN: Final = "deploy again"


def step(machine: Machine, release: str, packed: IO[bytes]) -> Mapping[str, Any]:
    """Unpack, check, compile, keep. Raises CouldNot where the archive is not what release.json says."""
    dead_man.beat(machine)
    target = machine.tree.release(release)
    aside = files.part(target)
    aside.parent.mkdir(parents=True, exist_ok=True)
    files.discard(aside)
    try:
        _make(aside, release, packed)
        if target.exists():
            return _already(release, target, aside)
        size = _size(aside)
        _compile(aside)
        os.sync()
        record.write(machine.tree, release, Record(arrived_at=machine.clock(), bytes=size))
        aside.rename(target)
        files.sync(target.parent)
    finally:
        files.discard(aside)
    return {"ok": True, "release": release, "already": False, "bytes": size}


def _make(aside: Path, release: str, packed: IO[bytes]) -> None:
    aside.mkdir(mode=DIRECTORY)
    try:
        with tarfile.open(fileobj=packed, mode="r|*") as archive:
            digests = _unpacked(archive, aside)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk
        raise CouldNot(
            f"the archive of {release} is damaged or was cut off: {error}", expected="a whole tar", to_do=AGAIN
        ) from error
    while packed.read(CHUNK_BYTES):  # whatever follows the archive: whoever sends it is not cut off
        pass
    _check(aside, release, digests)


def _unpacked(archive: tarfile.TarFile, aside: Path) -> dict[str, str]:
    """Path -> SHA-256 of each file. Nothing but plain files and directories is taken, and nothing beyond `aside`."""
    digests: dict[str, str] = {}
    left = MAX_BYTES
    for member in archive:
        path = _path(member)
        left -= member.size
        if left < 0 or len(digests) >= MAX_FILES:
            raise _bad(f"it holds more than {MAX_BYTES:,} bytes or {MAX_FILES:,} files")
        if member.isdir():
            _directory(aside, path)
            continue
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise _bad(f"{member.name} is no plain file")
        _directory(aside, path.parent)
        digests[str(path)] = _written(aside / path, content, PROGRAM if member.mode & 0o100 else FILE)
    return digests


def _path(member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not path.parts or len(member.name) > MAX_PATH:
        raise _bad(f"{member.name[:MAX_PATH]!r} is no path within a release")
    return path


def _directory(aside: Path, path: PurePosixPath) -> None:
    (aside / path).mkdir(mode=DIRECTORY, parents=True, exist_ok=True)


def _written(path: Path, content: IO[bytes], mode: int) -> str:
    sha256 = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError as error:
        raise _bad(f"{path.name} is in it twice") from error
    with os.fdopen(descriptor, "wb") as file:
        while piece := content.read(CHUNK_BYTES):
            sha256.update(piece)
            file.write(piece)
    return sha256.hexdigest()


def _check(aside: Path, release: str, digests: Mapping[str, str]) -> None:
    manifest = files.read_json(aside / MANIFEST)
    if manifest is None or manifest.get("release") != release:
        raise _bad(f"its {MANIFEST} does not say that it is {release}")
    if manifest.get("files_sha256") != digest.sha256_of(digests):
        raise _bad(f"its files are not those that its {MANIFEST} was made for")


def _already(release: str, target: Path, aside: Path) -> Mapping[str, Any]:
    """The same release arrived before; another one of that name is refused."""
    if files.read_json(target / MANIFEST) != files.read_json(aside / MANIFEST):
        raise CouldNot(
            f"another release is called {release}",
            expected="a name for each release",
            to_do="deploy again: the name has the time in it",
        )
    return {"ok": True, "release": release, "already": True, "bytes": _size(aside)}


def _compile(aside: Path) -> None:
    """Bytecode for what is ours. What does not compile is found by the gate, which can tell where."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in OURS:
            if (aside / name).is_dir():
                compileall.compile_dir(str(aside / name), quiet=2)


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _bad(seen: str) -> CouldNot:
    return CouldNot(f"the archive is refused: {seen}", expected="what `fab deploy` packs", to_do=AGAIN)
