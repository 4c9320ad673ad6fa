"""What systemd is to a release's process: a listening socket, a directory, a place for notifications, and an end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_S = 60
AS_SYSTEMD = """
import os, sys
number, *command = sys.argv[1:]
os.dup2(int(number), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(command[0], command)
"""


def release_home(directory, change=None):
    """A copy of this checkout's code as a release lies on a host, changed by a function of its directory."""
    for part in ("dashboard", "etl", "ops"):
        shutil.copytree(ROOT / part, directory / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "settings.toml", directory)
    if change:
        change(directory)
    return directory


class Port:
    """The public socket, which outlives every release."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)  # noqa: FBT003 - the signature is Python's
        self.number = self.socket.getsockname()[1]

    def get(self, path):
        """(status, release) of an answer to whoever takes the call."""
        connection = HTTPConnection("127.0.0.1", self.number, timeout=20)
        with closing(connection):
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.getheader("x-release")


class Unit:
    """One start of one release."""

    def __init__(self, process, run, notified, log):
        self.process, self.run, self._notified, self._log = process, run, notified, log
        self.told = []

    @property
    def journal(self):
        """What it has written so far."""
        return self._log.read_text()

    def wait_for(self, assignment):
        """Wait for a notification; False where the process ends before."""
        for _ in range(int(READY_WITHIN_S / 0.05)):
            while self._pending():
                pass
            if any(assignment in told for told in self.told):
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        raise AssertionError(f"neither {assignment} nor an end: {self.told}\n{self.journal}")

    def _pending(self):
        try:
            self.told += self._notified.recv(4096).decode().splitlines()
        except BlockingIOError:
            return False
        return True

    def state(self):
        """GET /state."""
        connection = HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.run / "http.sock"))
        with closing(connection):
            connection.request("GET", "/state")
            return json.loads(connection.getresponse().read())

    def stop(self):
        """As `systemctl stop`: a signal, without waiting."""
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def started(base, name, home, port, store, *, current="", python=sys.executable, blocking=False, **variables):
    """A release's process as its unit starts it, below a short directory `base` that all of them share."""
    run, link = base / name, base / f"{name}.current"
    run.mkdir()
    (run / "tried").touch()
    link.symlink_to(current or base)
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(base / f"{name}.notify"))
    notified.setblocking(False)  # noqa: FBT003 - the signature is Python's
    port.socket.setblocking(blocking)
    environment = {
        **os.environ,
        "KPI_RELEASE": name,
        "KPI_CURRENT": str(link),
        "KPI_DASHBOARD__STORE": str(store),
        "RUNTIME_DIRECTORY": str(run),
        "NOTIFY_SOCKET": str(base / f"{name}.notify"),
        "LISTEN_FDS": "1",
        "HOME": str(run),
        **variables,
    }
    number = port.socket.fileno()
    command = [python, "-c", AS_SYSTEMD, str(number), python, "-m", "dashboard.serve"]
    log = base / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=out, stderr=out, pass_fds=[number])
    try:
        yield Unit(process, run, notified, log)
    finally:
        process.kill()
        process.wait()
        notified.close()
