"""A process that outlives the command that started it, known again by its id and the moment of its start."""

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """An id alone may long belong to another process."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid):
        """The process that has the id now."""
        return cls(pid, _stat(pid)[1])

    @property
    def alive(self):
        """Whether it runs; one that nobody has asked about since its end does not."""
        state, started = _stat(self.pid)
        return started == self.started and state not in ("Z", "X", "")

    def send(self, number):
        """Send it a signal, unless it has ended."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def ends_within(self, wait_s):
        """Wait for its end; whether it came in time."""
        if not self.alive:
            return True
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)
            try:
                select.select([handle], [], [], wait_s)
            finally:
                os.close(handle)
        with suppress(ChildProcessError):  # it may be a child of ours, which stays until it is asked about
            os.waitpid(self.pid, os.WNOHANG)
        return not self.alive

    def end(self, number=signal.SIGTERM, within_s=2.0):
        """End it by a signal; by SIGKILL where that does not help."""
        self.send(number)
        if not self.ends_within(within_s):
            self.send(signal.SIGKILL)
            self.ends_within(within_s)


def start(argv, env, log, stdin=os.devnull):
    """Start a process of its own session. `stdin`: a path, or a descriptor. Its output goes to the end of `log`."""
    source = os.open(stdin, os.O_RDONLY) if isinstance(stdin, str) else stdin
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, *pair) for pair in ((source, 0), (out, 1), (out, 2))]
        return Process.of(os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsid=True))
    finally:
        os.close(source)
        os.close(out)


def only_child(process):
    """The id of the one child of a process; None as long as there is none."""
    with suppress(OSError):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(children[0]) if children else None
    return None


def _stat(pid):
    """State and moment of the start; empty where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
