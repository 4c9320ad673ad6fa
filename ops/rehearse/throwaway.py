"""A host to throw away, booted on this machine by the builder of the tests, which is part of a checkout only."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etl.errors import HostError

ROOT: Final = Path(__file__).resolve().parents[2]
BUILDER: Final = "tests.host"
CANNOT: Final = 77  # the builder's exit status where a machine cannot boot hosts


@dataclass(frozen=True, slots=True)
class Throwaway:
    """A booted host, and how it is reached."""

    name: str
    address: str
    user: str
    key: str
    known_hosts: str

    def run(self, argv: Sequence[str], stdin: bytes = b"") -> str:
        """Run a command as root; what it printed. Raises HostError where it fails."""
        return _build("shell", self.name, *argv, stdin=stdin)

    def reboot(self) -> None:
        """Turn it off and on again."""
        _build("reboot", self.name)


@contextmanager
def throwaway(name: str) -> Iterator[Throwaway]:
    """A blank host, for as long as the block lasts. Raises HostError where this machine cannot boot one."""
    found = json.loads(_build("up", name).splitlines()[-1])
    try:
        yield Throwaway(name, found["address"], found["user"], found["key"], found["known_hosts"])
    finally:
        _build("down", name)


def _build(*argv: str, stdin: bytes = b"") -> str:
    if not (ROOT / "tests" / "host").is_dir():
        raise HostError(
            f"there is no tests/host in {ROOT}",
            expected="a checkout of the project: the hosts of a rehearsal are booted by the builder of its tests",
            to_do="git clone the project and rehearse there",
        )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", BUILDER, *argv], cwd=ROOT, input=stdin, capture_output=True, check=False
    )
    if done.returncode == CANNOT:
        raise HostError(
            done.stderr.decode(errors="replace").strip(),
            expected="a Linux machine that may boot a host for a rehearsal",
            to_do="rehearse as root on one that may: sudo .venv/bin/fab rehearse",
        )
    if done.returncode:
        raise HostError(
            f"`{shlex.join(argv)}` on the rehearsal's host ended with {done.returncode}: "
            f"{done.stderr.decode(errors='replace').strip()[-2000:]}",
            expected="a host that does what a rehearsal asks of it",
            to_do="look at what it says; the host itself has been taken away",
        )
    return done.stdout.decode(errors="replace")
