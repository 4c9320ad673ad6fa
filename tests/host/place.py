"""Where the builder keeps roots, images and running hosts, and what it needs of the machine."""

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.host.commands import HostTrouble, run, tried

PACKAGES = "mmdebstrap nftables iproute2 openssh-client util-linux e2fsprogs lxcfs"
PROGRAMS = ("mmdebstrap", "nft", "ip", "ssh", "ssh-keygen", "unshare", "nsenter", "setpriv", "mkfs.ext4")
MACHINE = Path("/run/kpi-host")  # what there is one of on a machine: addresses, forwarding
NAME = r"[a-z0-9][a-z0-9-]{0,9}"
OVERLAY = "overlayfs"


def control(name):
    """The socket of the one SSH connection to a host; a socket's path has to be short."""
    return MACHINE / f"{name}.ssh"


@dataclass(frozen=True)
class Place:
    """`cache`: what may be kept for the next time. `state`: hosts, and images of one session."""

    cache: Path
    state: Path

    @classmethod
    def of(cls, environ):
        """The places that KPI_HOST_CACHE and KPI_HOST_STATE name, or the machine's own for such things."""
        return cls(
            Path(environ.get("KPI_HOST_CACHE", "/var/cache/kpi-host")),
            Path(environ.get("KPI_HOST_STATE", "/var/tmp/kpi-host")),
        )

    def root(self, suite):
        """The built root of a distribution."""
        return self.cache / suite

    def host(self, name):
        """Everything of one host. Raises HostTrouble for a name that cannot be one."""
        if not re.fullmatch(NAME, name):
            raise HostTrouble(f"{name!r} is no name of a host: at most 10 of a-z, 0-9 and -")
        return self.state / "hosts" / name

    def image(self, name):
        """A snapshot of a host."""
        return self.state / "images" / name

    def hosts(self):
        """The names of the hosts there are, running or not."""
        return sorted(path.name for path in (self.state / "hosts").glob("*"))

    def images(self):
        """The names of the images there are."""
        return sorted(path.name for path in (self.state / "images").glob("*"))


def claim(place, name):
    """Make the directory of a host. Names are of the machine, whichever KPI_HOST_STATE their host is in."""
    home, note = place.host(name), MACHINE / f"{name}.home"
    with held("place"):
        _not_elsewhere(note, name, home)
        if home.exists():
            raise HostTrouble(f"there is a host {name} already")
        home.mkdir()
        note.write_text(str(home))


def disclaim(place, name):
    """Let others have the name. Raises HostTrouble where it is a host's in another place, which is not ours to end."""
    note = MACHINE / f"{name}.home"
    _not_elsewhere(note, name, place.host(name))
    note.unlink(missing_ok=True)


def _not_elsewhere(note, name, home):
    noted = Path(note.read_text()) if note.exists() else home
    if noted != home and noted.exists():
        raise HostTrouble(f"the host {name} is in {noted.parents[1]}: KPI_HOST_STATE names another place")


def ready(place):
    """Make the directories, on a file system that an overlay can write to.

    In a container the directories themselves lie on an overlay, which cannot be the upper layer of another.
    """
    place.state.mkdir(parents=True, exist_ok=True)
    with held("place"):
        if run("stat", "-f", "-c", "%T", str(place.state)).strip() == OVERLAY:
            _mount_below(place.state)
        for part in ("hosts", "images"):
            (place.state / part).mkdir(exist_ok=True)


def _mount_below(state):
    image = state.with_name(f"{state.name}.disk")
    make_disk(image, 32 * 1024)
    if not tried("mount", "-o", "loop", str(image), str(state)):
        image.unlink()
        run("mount", "-t", "tmpfs", "-o", "mode=755", "kpi-host", str(state))


def make_disk(image, size_mb):
    """A file with an empty file system; only what is written takes room."""
    with image.open("wb") as file:
        file.truncate(size_mb * 2**20)
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(image))


def clear(place):
    """Take away the directories of the state once nothing is in them."""
    if place.hosts() or place.images():
        return
    with held("place"):
        if place.state.is_mount():
            run("umount", str(place.state))
        place.state.with_name(f"{place.state.name}.disk").unlink(missing_ok=True)
        shutil.rmtree(place.state, ignore_errors=True)


@contextmanager
def held(what):
    """Alone on this machine with what there is one of: `network`, `place`, or the root of a suite."""
    MACHINE.mkdir(exist_ok=True)
    with (MACHINE / f"{what}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def why_not():
    """Why no host can be booted on this machine, or None."""
    if os.geteuid() != 0:
        return "hosts are booted in namespaces of their own, which needs root"
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        return f"{', '.join(missing)} not found: apt-get install --no-install-recommends {PACKAGES}"
    if not tried("unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "true"):
        return "this machine does not let root make namespaces (a container without --privileged?)"
    return None
