"""What a step needs of the machine: files, programs, clock, and where it tells how far it is."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ops.onhost.layout import Tree

TIMED_OUT = 124  # as coreutils' timeout says it
NOT_RUN = 127


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended, and what it wrote."""

    status: int
    out: str
    err: str


class Run(Protocol):
    """Runs a program to its end; a status other than 0 is an answer, not an error."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float = 60, env: Mapping[str, str] | None = None) -> Done:
        """No standard input; TIMED_OUT when it was killed for taking too long, NOT_RUN where it is not there."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`clock` is seconds since 1970; `say` prints a document that is not yet the result; `environ` is handed on."""

    tree: Tree
    run: Run
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    say: Callable[[Mapping[str, Any]], None] = lambda _: None
    environ: Mapping[str, str] = field(default_factory=dict)


def run(argv: Sequence[str], *, timeout_s: float = 60, env: Mapping[str, str] | None = None) -> Done:
    """Run a program of the host, as Run says."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, never a shell
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, env=env
        )
    except subprocess.TimeoutExpired as error:
        return Done(TIMED_OUT, _text(error.stdout), _text(error.stderr))
    except (FileNotFoundError, PermissionError) as error:
        return Done(NOT_RUN, "", str(error))
    return Done(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(written: bytes | str | None) -> str:
    return written.decode("utf-8", "replace") if isinstance(written, bytes) else written or ""
