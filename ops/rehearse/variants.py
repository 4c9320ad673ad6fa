"""A copy of the project with commits to deploy: good ones that differ, and bad ones of a kind each."""

import io
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etl.errors import HostError

AUTHOR: Final = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false")
# The copy may be made by root of a checkout that is somebody else's.
TRUST: Final = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
NOTE: Final = "dashboard/rehearsal.txt"


@dataclass(frozen=True, slots=True)
class Fault:
    """What makes a release a bad one: text at the end of a file, and words that the refusal must hold."""

    name: str
    file: str
    text: str
    named: str


FAULTS: Final = (
    Fault(
        "an import that fails",
        "dashboard/app.py",
        "\nimport no_such_module_in_this_rehearsal\n",
        "no_such_module_in_this_rehearsal",
    ),
    Fault(
        "an exception on the second page",
        "dashboard/pages/products.py",
        '\n\ndef render(_: object) -> None:\n    raise RuntimeError("the second page of this rehearsal raises")\n',
        "the second page of this rehearsal raises",
    ),
    Fault(
        "a page that hangs",
        "dashboard/app.py",
        "\nimport time\n\ntime.sleep(3600)\n",
        "did not finish",
    ),
)


@dataclass(frozen=True, slots=True)
class Variants:
    """The copy. Every change is a commit on the one good one before it."""

    directory: Path
    environ: Mapping[str, str]

    def good(self, number: int) -> None:
        """Commit another good release: the same pages, another text file beside them."""
        (self.directory / NOTE).write_text(f"release {number} of a rehearsal\n")
        self._commit(f"release {number}")

    @contextmanager
    def bad(self, fault: Fault) -> Iterator[None]:
        """Commit a bad release for as long as the block lasts."""
        with (self.directory / fault.file).open("a") as file:
            file.write(fault.text)
        self._commit(fault.name)
        try:
            yield
        finally:
            _git(self.directory, self.environ, "reset", "--quiet", "--hard", "HEAD~1")

    def _commit(self, message: str) -> None:
        _git(self.directory, self.environ, "add", "--all")
        _git(self.directory, self.environ, *AUTHOR, "commit", "--quiet", "--message", message)


def variants(checkout: Path, ref: str, directory: Path, environ: Mapping[str, str]) -> Variants:
    """Copy a commit of a checkout to a directory, as a repository of its own. Raises HostError where it cannot."""
    trusting = {**environ, **TRUST}
    packed = _git(checkout, trusting, "archive", "--format=tar", ref)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(directory, filter="data")
    copy = Variants(directory, trusting)
    _git(directory, trusting, "init", "--quiet")
    copy.good(0)
    return copy


def _git(directory: Path, environ: Mapping[str, str], *argv: str) -> bytes:
    done = subprocess.run(["git", *argv], cwd=directory, env=environ, capture_output=True, check=False)  # noqa: S603, S607 - words of our own
    if done.returncode:
        raise HostError(
            f"`git {' '.join(argv)}` in {directory} says: {done.stderr.decode(errors='replace').strip()}",
            expected="a git checkout of the project, whose commits can be copied",
            to_do="rehearse in such a checkout, with --ref for another commit than HEAD",
        )
    return done.stdout


def packed(directory: Path) -> bytes:
    """A directory as a tar, of regular files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(directory, arcname=".")
    return out.getvalue()
