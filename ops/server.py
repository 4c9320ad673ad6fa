"""The dashboard as a process of its own: start it, wait until it is ready, stop it."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

from etl.errors import ServeError

READY_WITHIN_S = 60
STOP_WITHIN_S = 10
LOOK_EVERY_S = 0.1
LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Running:
    """A dashboard that is up, and where."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> NoReturn:
        """Wait for as long as it runs, which it does until somebody stops it. Raises ServeError when it ends."""
        self.process.wait()
        raise _not_serving(f"the dashboard ended with status {self.process.returncode}", self.log)


def free_port(address: str, port: int) -> int:
    """The port to serve on: as asked, a free one for 0. Raises ServeError where it is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except (OSError, OverflowError) as error:
            raise ServeError(
                f"port {port} on {address} is not to be had: {getattr(error, 'strerror', None) or error}",
                expected="a free port",
                to_do="stop what uses it, or choose another with --port (0: any free one)",
            ) from error
        number: int = trial.getsockname()[1]
        return number


@contextmanager
def dashboard(
    store: str, address: str, port: int, log: Path, *, is_ready: Callable[[str], bool], sleep: Callable[[float], None]
) -> Iterator[Running]:
    """A running dashboard over a store; gives it once `is_ready(url)` says so. Its output goes to `log`.

    It is stopped at the end, and stops by itself when this process dies: its stdin is ours to close. Raises ServeError
    where it ends before it is ready, or is not ready in time.
    """
    command = [sys.executable, "-m", "dashboard.serve", "--store", store, "--address", address, "--port", str(port)]
    with _opened(log) as out:
        process = subprocess.Popen(
            [*command, "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we stop the server in our own order
        )
    try:
        url = f"http://{address}:{port}"
        _wait(process, lambda: is_ready(url), log, sleep)
        yield Running(url, process, log)
    finally:
        _stop(process)


def _opened(log: Path) -> TextIO:
    try:
        return log.open("w")
    except OSError as error:
        raise ServeError(
            f"cannot write {log}: {error.strerror or error}",
            expected="a file that this user may write",
            to_do="move away what is in its place, or run it where you may write",
        ) from error


def _wait(
    process: "subprocess.Popen[bytes]", is_ready: Callable[[], bool], log: Path, sleep: Callable[[float], None]
) -> None:
    for _ in range(int(READY_WITHIN_S / LOOK_EVERY_S)):
        if process.poll() is not None:
            raise _not_serving(f"the dashboard ended with status {process.returncode} before it was ready", log)
        if is_ready():
            return
        sleep(LOOK_EVERY_S)
    raise _not_serving(f"the dashboard was not ready within {READY_WITHIN_S} s", log)


def _not_serving(seen: str, log: Path) -> ServeError:
    said = "\n    ".join(log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:])
    return ServeError(
        f"{seen}; its last lines:\n    {said or '(nothing)'}",
        expected="a dashboard that answers on /readyz",
        to_do=f"mend what its lines complain about; all of them are in {log}",
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin:
        process.stdin.close()
