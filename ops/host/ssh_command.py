"""A command that runs on a host: its input sent, what it prints heard meanwhile, in bounded time and memory."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import paramiko

from etl.errors import HostError, HostUnreachable
from ops.host.output import Output
from ops.host.remote import BY_A_SIGNAL, Done
from ops.words import plain

CHUNK_BYTES = 32 * 1024
TICK_S = 0.1  # how long a call into paramiko waits at most before time and silence are looked at
RELEASE_S = 10.0
SHOWN = 120


@dataclass(slots=True)
class Command:
    """A command that runs. `lost` gives the error to raise where the connection is gone."""

    channel: Any
    output: Output
    shown: str
    end_s: float
    lost: Callable[[], HostUnreachable | None]
    closed: bool = False

    def send(self, chunks: Iterable[bytes]) -> None:
        """Give it its input, and hear meanwhile what it prints; what it leaves unread is not missed."""
        try:
            for chunk in chunks:
                self._send(memoryview(chunk))
        finally:
            self._no_more_input()

    def _send(self, rest: memoryview) -> None:
        while rest and not self.channel.closed:
            self._in_time()
            try:
                rest = rest[self.channel.send(bytes(rest[:CHUNK_BYTES])) :]
            except TimeoutError:
                pass  # the other side takes no more for now
            except (EOFError, OSError, paramiko.SSHException):
                return  # it has ended, or the connection has: `ended` will tell
            self._hear_what_is_there()

    def _no_more_input(self) -> None:
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
            self.channel.shutdown_write()

    def listen(self) -> bool:
        """Wait a moment for what it prints; False once it prints no more."""
        self._in_time()
        with contextlib.suppress(TimeoutError):
            data = self.channel.recv(CHUNK_BYTES)
            self._heard(data)
            self.closed = not data
        self._hear_errors()
        return not self.closed

    def ended(self) -> Done:
        """Wait for its end. Raises HostUnreachable, HostError when it takes too long or prints without end."""
        self._no_more_input()
        while self.listen():
            pass
        while not self.channel.exit_status_ready():
            self._in_time()
            self.channel.status_event.wait(TICK_S)
        status = self.channel.recv_exit_status()
        if status == BY_A_SIGNAL and (error := self.lost()):
            raise error
        return self.output.done(status)

    def _hear_what_is_there(self) -> None:
        while self.channel.recv_ready():
            self._heard(self.channel.recv(CHUNK_BYTES))
        self._hear_errors()

    def _heard(self, data: bytes) -> None:
        if not self.output.out(data):
            raise HostError(
                f"`{plain(self.shown)[:SHOWN]}` prints without end",
                expected=f"at most {self.output.most_bytes:,} bytes",
                to_do="look on the host what it does: fab logs",
            )

    def _hear_errors(self) -> None:
        while self.channel.recv_stderr_ready():
            self.output.err(self.channel.recv_stderr(CHUNK_BYTES))

    def _in_time(self) -> None:
        if time.monotonic() > self.end_s:
            raise HostError(
                f"`{plain(self.shown)[:SHOWN]}` is not done, and its time is over",
                expected="that the host is done sooner",
                to_do="it may still go on there; look with: fab status",
            )


@dataclass(frozen=True, slots=True)
class HeldCommand:
    """See ops.host.remote.Held."""

    command: Command
    stack: contextlib.ExitStack

    def release(self) -> Done:
        """See Held.release."""
        self.command.end_s = time.monotonic() + RELEASE_S
        with self.stack:
            try:
                return self.command.ended()
            except HostError:  # it let go, or will: the host ends what nobody is connected to
                return self.command.output.done(BY_A_SIGNAL)
