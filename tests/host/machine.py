"""A host as a test holds it: commands as root, files, reboots, a network that can be cut."""

import shlex
import subprocess
from typing import NamedTuple

from tests.host import life, network
from tests.host.commands import HostTrouble
from tests.host.place import control

CONNECT_WITHIN_S = 10


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str


class Host:
    """A booted host. `run` goes over one SSH connection; `inside` needs none and works while the network is cut."""

    def __init__(self, place, record):
        self.place = place
        self.record = record

    name = property(lambda self: self.record.name)
    address = property(lambda self: self.record.address)
    gateway = property(lambda self: self.record.gateway)
    user = property(lambda self: self.record.user)
    key = property(lambda self: self.record.key)
    known_hosts = property(lambda self: self.record.known_hosts)
    image = property(lambda self: self.record.image)

    def __repr__(self):
        return f"<host {self.name} at {self.address}>"

    def ssh(self):
        """The command that reaches this host, as a list of arguments; the command on the host comes after it."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": CONNECT_WITHIN_S,
            "ControlMaster": "auto",
            "ControlPath": control(self.name),
            "ControlPersist": "yes",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.known_hosts,
        }
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "/dev/null", *given, "-i", self.key, f"{self.user}@{self.address}"]

    def run(self, command, stdin=None, *, check=False, timeout_s=120):
        """Run a line of shell, or a list of arguments, as root. `check`: a status other than 0 raises HostTrouble."""
        line = command if isinstance(command, str) else shlex.join(map(str, command))
        return self._done([*self.ssh(), f"sudo -n -- sh -c {shlex.quote(line)}"], line, stdin, check, timeout_s)

    def inside(self, command, stdin=None, *, check=False, timeout_s=120):
        """The same without SSH, from this machine into the host's namespaces; not within the host's limits."""
        line = command if isinstance(command, str) else shlex.join(map(str, command))
        init = life.init_of(self.place, self.name)
        into = [
            "nsenter",
            "--target",
            str(init.pid),
            "--all",
            "env",
            "-i",
            "-C",
            "/",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        return self._done([*into, "sh", "-c", line], line, stdin, check, timeout_s)

    def _done(self, argv, line, stdin, check, timeout_s):
        given = stdin.encode() if isinstance(stdin, str) else stdin or b""
        try:
            done = subprocess.run(argv, input=given, capture_output=True, check=False, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise HostTrouble(f"{self.name}: no end within {timeout_s} s: {line}") from error
        ended = Ended(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        if check and ended.status:
            raise HostTrouble(f"{self.name}: {line} ended with {ended.status}:\n{ended.out}{ended.err}")
        return ended

    def put(self, path, data, mode=0o644):
        """Write a file as root; the directory has to be there."""
        self.run(["install", "-m", f"{mode:o}", "/dev/stdin", path], data, check=True)

    def get(self, path):
        """The bytes of a file, which root may read."""
        done = subprocess.run(
            [*self.ssh(), f"sudo -n -- cat -- {shlex.quote(str(path))}"], capture_output=True, check=False, timeout=120
        )
        if done.returncode:
            raise HostTrouble(f"{self.name}: {path} cannot be read: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def upload(self, directory, path, *, leave_out=()):
        """Copy a directory of this machine to a new one of the host, owned by root."""
        without = [f"--exclude={pattern}" for pattern in leave_out]
        packed = subprocess.run(
            ["tar", "-C", str(directory), "--owner=0", "--group=0", *without, "-cf", "-", "."],
            capture_output=True,
            check=True,
        )
        self.run(
            f"mkdir -p {shlex.quote(str(path))} && tar -C {shlex.quote(str(path))} -xf -", packed.stdout, check=True
        )

    def reboot(self, *, hard=False):
        """Turn off and on; `hard`: as a fallen plug does. Returns when the host takes connections."""
        life.reboot(self.place, self.name, hard=hard)

    def snapshot(self, image):
        """Make an image of this host, which goes on from there."""
        self.record = life.snapshot(self.place, self.name, image)

    def cut(self, port=None):
        """Drop all packets from and to the host, or those of one TCP port, like 22; neither end is told."""
        network.cut(self.name, port)

    def mend(self):
        """Let them through again."""
        network.mend(self.name)

    def bytes_both_ways(self):
        """Bytes on the link so far: (to the host, from the host)."""
        return network.bytes_both_ways(self.name)

    def down(self):
        """Take it away with all that is its own."""
        life.down(self.place, self.name)
