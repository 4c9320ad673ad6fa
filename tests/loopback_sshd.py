"""A real sshd of this user's own on a loopback port, with a sudo that tests write themselves."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from ops.host.where import Address

SUDO = '#!/bin/sh\n[ "$1" = -n ] && [ "$2" = -- ] || exit 64\nshift 2\nexec "$@"\n'
UP_WITHIN_S = 10
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host
PidFile none
AuthorizedKeysFile {home}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
LogLevel VERBOSE
SetEnv PATH={home}/bin:/usr/local/bin:/usr/bin:/bin
"""


def sshd():
    """Where the program is; None where it is not installed."""
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def make_key(path, *, kind="ed25519", passphrase=""):
    """A pair of keys; returns the path of the private one."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", path], check=True, timeout=60
    )
    return path


def public(path):
    """TYPE BASE64 of a pair."""
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


class Sshd:
    """The server, running. `address` reaches it, with its key pinned."""

    def __init__(self, home):
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.key = make_key(home / "key")
        make_key(home / "host")
        shutil.copy(home / "key.pub", home / "authorized")
        (home / "bin").mkdir()
        self.sudo(SUDO)
        self.known_hosts = home / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public(home / 'host')}\n")
        (home / "config").write_text(CONFIG.format(port=self.port, home=home))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd shuts its children in
        with (home / "log").open("wb") as log:
            self.process = subprocess.Popen([sshd(), "-D", "-e", "-f", home / "config"], stderr=log)
        self._wait()

    def _wait(self):
        end = time.monotonic() + UP_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < end, self.log()
                time.sleep(0.02)
            else:
                return

    def sudo(self, script):
        """What the host has for sudo from now on."""
        file = self.home / "bin" / "sudo"
        file.write_text(script)
        file.chmod(0o755)

    def log(self):
        """What the server has to say so far."""
        return (self.home / "log").read_text(errors="replace")

    def address(self, **changed):
        """How it is reached."""
        reached = {
            "host": "127.0.0.1",
            "user": getpass.getuser(),
            "port": self.port,
            "keys": (self.key,),
            "known_hosts": (self.known_hosts,),
        }
        return Address(**(reached | changed))

    def stop(self):
        """End the server; connections that are open go on."""
        self.process.terminate()
        self.process.wait(10)
