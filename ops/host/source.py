"""What is shipped: the files of a commit that the host needs, as git keeps them."""

import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.errors import HostError, UnfitCommit
from ops.onhost.layout import MAX_BYTES, MAX_FILES, MAX_PATH
from ops.words import plain

PATHS = ("dashboard", "etl", "ops", "templates", "requirements", "settings.toml", "pyproject.toml", "LICENSE")
GIT_S = 60
LINK, SUBMODULE = "120000", "160000"  # as git writes the mode of what is no file

Files = dict[str, tuple[bytes, bool]]  # path -> its bytes, and whether it may be run


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to ship; `dirty` when it is the work tree, which nobody else has."""

    sha: str
    ref: str
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class Checkout:
    """A git checkout on the operator's machine."""

    directory: Path

    def commit(self, ref: str) -> Commit:
        """What a name stands for. Raises HostError where git knows none such."""
        sha = self._asked("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if sha is None:
            raise HostError(
                f"{ref} is no commit of {self.directory}",
                expected="a branch, tag or commit that is in this clone",
                to_do="`git fetch`, or name another with --ref",
            )
        return Commit(sha.decode().strip(), ref)

    def work_tree(self) -> Commit:
        """The work tree as it is, its tracked files; the newest commit itself where nothing differs from it."""
        made = self._told("stash", "create").decode().strip()
        return Commit(made, "the work tree", dirty=True) if made else self.commit("HEAD")

    def differing(self) -> Sequence[str]:
        """Files of the work tree that the newest commit has otherwise or not at all, of those that are shipped."""
        listed = self._told("status", "--porcelain=v1", "-z", "--no-renames", "--", *PATHS).decode(errors="replace")
        return [entry[3:] for entry in listed.split("\0") if entry]

    def files(self, commit: Commit) -> Files:
        """Every file that is shipped. Raises HostError where the commit is none of this project.

        UnfitCommit where a release would not be what is committed, or the host would not take it.
        """
        present = [path for path in PATHS if self._asked("cat-file", "-e", f"{commit.sha}:{path}") is not None]
        if "dashboard" not in present:
            raise HostError(
                f"commit {commit.sha[:7]} ({commit.ref}) has no dashboard/",
                expected="a commit of this project",
                to_do="name another with --ref",
            )
        entries = list(_entries(self._told("ls-tree", "-r", "-z", "-l", commit.sha, "--", *present)))
        _check(entries)
        files = dict(_members(self._told("archive", "--format=tar", commit.sha, "--", *present)))
        left_out = [entry.path for entry in entries if entry.path not in files]
        if left_out:
            raise _unfit(
                f"git leaves {plain(left_out[0])} out of what it packs ({len(left_out)} files)",
                "no export-ignore in .gitattributes for what the host needs",
            )
        return files

    def _told(self, *words: str) -> bytes:
        done = self._git(*words)
        if done.returncode:
            raise _refused(self.directory, done.stderr.decode(errors="replace").strip())
        return done.stdout

    def _asked(self, *words: str) -> bytes | None:
        done = self._git(*words)
        return None if done.returncode else done.stdout

    def _git(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                ["git", "-C", self.directory, *words], capture_output=True, timeout=GIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _refused(self.directory, str(error)) from error


@dataclass(frozen=True, slots=True)
class _Entry:
    """What git keeps at a path; the size is 0 for what is no file."""

    mode: str
    size: int
    path: str


def _entries(listed: bytes) -> Iterator[_Entry]:
    """What `git ls-tree -z -l` prints."""
    for entry in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
        facts, _, path = entry.partition("\t")
        mode, _, _, size = facts.split()
        yield _Entry(mode, int(size) if size.isdecimal() else 0, path)


def _check(entries: Sequence[_Entry]) -> None:
    """Raise UnfitCommit for what would be lost on the way, or not be taken by the host."""
    for entry in entries:
        kind = {LINK: "a symbolic link", SUBMODULE: "a submodule"}.get(entry.mode)
        if kind:
            raise _unfit(f"{plain(entry.path)} is {kind}", "plain files")
        if len(entry.path) > MAX_PATH:
            raise _unfit(f"the path {plain(entry.path[:80])}... is too long", f"paths of {MAX_PATH} letters at most")
    total = sum(entry.size for entry in entries)
    if total > MAX_BYTES or len(entries) >= MAX_FILES:
        largest = max(entries, key=lambda entry: entry.size)
        raise _unfit(
            f"{len(entries):,} files of {total:,} bytes are too much, the largest is {plain(largest.path)}",
            f"fewer than {MAX_FILES:,} files of {MAX_BYTES:,} bytes in all",
        )


def _unfit(seen: str, expected: str) -> UnfitCommit:
    return UnfitCommit(seen, expected=f"{expected} in {', '.join(PATHS)}", to_do="mend and commit it, then deploy")


def _members(packed: bytes) -> Iterator[tuple[str, tuple[bytes, bool]]]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, (content.read(), bool(member.mode & 0o100))


def _refused(directory: Path, why: str) -> HostError:
    return HostError(
        f"git cannot read {directory}: {why or 'no reason given'}",
        expected="a git clone of this project, and git",
        to_do="run it in the clone that you deploy from",
    )
