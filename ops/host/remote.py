"""What the operator's side needs of a connection, whatever carries it. Commands are lists of arguments."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

BY_A_SIGNAL = -1


@dataclass(frozen=True, slots=True)
class Done:
    """How a command on the host ended: its exit status, BY_A_SIGNAL where it was killed, and what it wrote.

    Of `err` only the end is kept, and of `out` where somebody heard its lines.
    """

    status: int
    out: str
    err: str


class Held(Protocol):
    """A command that runs on until it is let go, like the one that holds the deploy lock."""

    def release(self) -> Done:
        """End its standard input, wait for its end, and tell how it ended; a lost connection is an end, too."""


class Remote(Protocol):
    """A host that commands can be run on."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        on_line: Callable[[str], None] | None = None,
        timeout_s: float = 600,
    ) -> Done:
        """Run a command as root; a status other than 0 is an answer, not an error.

        `on_line` hears each line of standard output as it comes. Raises HostUnreachable when the connection fails,
        HostError when the command is not done in time, or prints without end and nobody hears it.
        """

    def hold(self, argv: Sequence[str]) -> tuple[str, Held | Done]:
        """Start a command, read the first line that it prints, and leave it running.

        How it ended, where it ended without one. Whether a command that printed a line goes on holding is for that
        line to say: where it does not, `release` tells how it ended.
        """
