"""The life of a host: up, reboot, snapshot, down. Each step can be repeated; `down` copes with whatever there is."""

import json
import os
import shutil
import signal
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.host import cgroups, network
from tests.host.commands import HostTrouble, run, tried
from tests.host.distribution import build, login, own_suite
from tests.host.place import claim, clear, control, disclaim, held, make_disk, ready
from tests.host.process import Process, only_child, start

FIRST = Path(__file__).with_name("first.sh")
UP_WITHIN_S = 60
OFF_WITHIN_S = 20
POWER_OFF = signal.SIGRTMIN + 4  # what systemd as the first process takes for `systemctl poweroff`
CONSOLE_LINES = 20


@dataclass(frozen=True)
class Record:
    """A host as it was asked for and where it is. Kept as STATE/hosts/NAME/host.json."""

    name: str
    suite: str
    image: str | None
    lower: tuple[str, ...]
    memory_mb: int
    cpus: str
    disk_mb: int | None
    owner: Process | None
    address: str = ""
    gateway: str = ""
    user: str = ""
    key: str = ""
    known_hosts: str = ""


@dataclass(frozen=True)
class Files:
    """What lies in the directory of a host."""

    home: Path

    @property
    def record(self):
        return self.home / "host.json"

    @property
    def identity(self):
        """The layer with what tells this host from others: name, keys, id of the machine."""
        return self.home / "identity"

    @property
    def disk(self):
        """Holds the host's own layer."""
        return self.home / "disk"

    @property
    def disk_image(self):
        return self.home / "disk.img"

    @property
    def upper(self):
        return self.disk / "upper"

    @property
    def root(self):
        return self.home / "root"

    @property
    def key(self):
        return self.home / "key"

    @property
    def known_hosts(self):
        return self.home / "known_hosts"

    @property
    def console(self):
        return self.home / "console.log"

    @property
    def init(self):
        return self.home / "init.json"

    @property
    def parent(self):
        return self.home / "parent.json"

    @property
    def lxcfs(self):
        return self.home / "lxcfs"

    @property
    def lxcfs_process(self):
        return self.home / "lxcfs.json"


def up(
    place,
    name,
    *,
    suite=None,
    image=None,
    memory_mb=1024,
    cpus=None,
    disk_mb=None,
    reachable_ports=(),
    owned=False,
):
    """Boot a host and wait until it takes connections; builds the root where it is missing. Returns its Record.

    `image`: a snapshot to start from, else a blank host of the suite. `disk_mb`: a disk of that size, else all the
    room there is. `owned`: the host goes when this process does, at the latest with the next `sweep`.
    """
    ready(place)
    suite, lower = _layers(place, suite, image)
    files = Files(place.host(name))
    claim(place, name)
    owner = Process.of(os.getpid()) if owned else None
    try:
        record = Record(name, suite, image, lower, memory_mb, cpus or _quiet_cpu(place), disk_mb, owner)
        record = _prepare(files, record, reachable_ports)
        _boot(files, record)
    except BaseException:
        down(place, name)
        raise
    return record


def _quiet_cpu(place):
    """The CPU that the fewest hosts are on."""
    taken = [record.cpus for record in _records(place)]
    return min(map(str, sorted(os.sched_getaffinity(0))), key=taken.count)


def _layers(place, suite, image):
    """(suite, directories below topmost first) of an image, or of a blank host."""
    if image is None:
        suite = suite or own_suite()
        return suite, (str(build(place, suite)),)
    kept = place.image(image) / "image.json"
    if not kept.is_file():
        raise HostTrouble(f"there is no image {image}; there are: {', '.join(place.images()) or 'none'}")
    found = json.loads(kept.read_text())
    return found["suite"], (str(place.image(image) / "upper"), *found["lower"])


def _prepare(files, record, reachable_ports):
    files.disk.mkdir()
    files.root.mkdir()
    if record.disk_mb:
        make_disk(files.disk_image, record.disk_mb)
    _save(files.record, record)  # from here on `sweep` knows whose it is
    address, gateway = network.make(record.name, reachable_ports)
    user = login(record.suite)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(files.key))
    _identify(files, record, user, address)
    made = replace(
        record, address=address, gateway=gateway, user=user, key=str(files.key), known_hosts=str(files.known_hosts)
    )
    _save(files.record, made)
    _meminfo(files)
    return made


def _identify(files, record, user, address):
    """What a cloud gives a machine when it starts it first."""
    etc, base = files.identity / "etc", Path(record.lower[-1])
    home = files.identity / "home" / user
    (etc / "ssh").mkdir(parents=True)
    (home / ".ssh").mkdir(parents=True)
    key = etc / "ssh/ssh_host_ed25519_key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{record.name}", "-f", str(key))
    public = key.with_suffix(".pub").read_text().split()
    files.known_hosts.write_text(f"{address} {' '.join(public[:2])}\n")
    (etc / "hostname").write_text(f"{record.name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {record.name}\n")
    (etc / "resolv.conf").write_text(_name_servers())
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    (home / ".ssh/authorized_keys").write_text(files.key.with_suffix(".pub").read_text())
    (home / ".ssh/authorized_keys").chmod(0o600)
    # An upper directory lends the merged one its owner and mode.
    for path in (etc, etc / "ssh", home.parent, home):
        shutil.copystat(base / path.relative_to(files.identity), path)
    (home / ".ssh").chmod(0o700)
    owner = (base / "home" / user).stat()
    for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
        os.chown(path, owner.st_uid, owner.st_gid)


def _name_servers():
    """This machine's, but not those that listen on its own loopback: the ones behind them."""
    for path in map(Path, ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")):
        text = path.read_text() if path.is_file() else ""
        if any(line.split()[1:] and not line.split()[1].startswith("127.") for line in _server_lines(text)):
            return text
    return ""


def _server_lines(text):
    return [line for line in text.splitlines() if line.startswith("nameserver")]


def _meminfo(files):
    """lxcfs, where the machine has it: then `free` in the host tells of the host's own memory."""
    if not shutil.which("lxcfs"):
        return
    files.lxcfs.mkdir()
    argv = ["lxcfs", "-f", "-p", str(files.home / "lxcfs.pid"), str(files.lxcfs)]
    _save(files.lxcfs_process, start(argv, dict(os.environ), files.home / "lxcfs.log"))
    _until((files.lxcfs / "proc/meminfo").exists, 5)


def _boot(files, record):
    groups = cgroups.cgroups()
    groups.make(record.name, cgroups.Limits(record.memory_mb, record.cpus))
    meminfo = files.lxcfs / "proc/meminfo"
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOST_NAME": record.name,
        "HOST_ROOT": str(files.root),
        "HOST_LOWER": ":".join([str(files.identity), *record.lower]),
        "HOST_DISK": str(files.disk),
        "HOST_DISK_IMAGE": str(files.disk_image) if record.disk_mb else "",
        "HOST_CGROUPS": groups.mounts,
        "HOST_MEMINFO": str(meminfo) if meminfo.exists() else "",
    }
    net = f"--net=/run/netns/{network.namespace(record.name)}"
    spaces = ("unshare", "--fork", "--mount", "--pid", "--uts", "--ipc")
    told, tell = os.pipe()
    with os.fdopen(tell, "w") as line:
        parent = start(["nsenter", net, *spaces, "/bin/sh", str(FIRST)], env, files.console, told)
        _save(files.parent, parent)
        pid = _until(lambda: only_child(parent), 5)
        if not pid:
            raise _did_not_come_up(files, record)
        _save(files.init, Process.of(pid))
        groups.join(record.name, pid)
        line.write("you are in\n")
    if not _until(lambda: _takes_connections(record.address) or not parent.alive, UP_WITHIN_S) or not parent.alive:
        raise _did_not_come_up(files, record)


def _did_not_come_up(files, record):
    said = files.console.read_text(errors="replace").splitlines()[-CONSOLE_LINES:]
    return HostTrouble("\n    ".join([f"the host {record.name} did not come up:", *said]))


def _takes_connections(address):
    with suppress(OSError), socket.create_connection((address, 22), timeout=1) as peer:
        return peer.recv(4) == b"SSH-"
    return False


def _until(what, within_s):
    """What is asked for again and again until it is true; its last answer."""
    end_s = time.monotonic() + within_s
    while not (answer := what()) and time.monotonic() < end_s:
        time.sleep(0.02)
    return answer


def record_of(place, name):
    """The Record of a host that is there. Raises HostTrouble where there is none."""
    path = Files(place.host(name)).record
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise HostTrouble(f"there is no host {name}; there are: {', '.join(place.hosts()) or 'none'}") from error
    owner = Process(**found["owner"]) if found["owner"] else None
    return Record(**{**found, "owner": owner, "lower": tuple(found["lower"])})


def _records(place):
    """Of every host but those that are only being made, or taken away, by somebody else at this moment."""
    for name in place.hosts():
        with suppress(HostTrouble):
            yield record_of(place, name)


def init_of(place, name):
    """The first process of a host, as this machine sees it; None before its first boot."""
    return _process(Files(place.host(name)).init)


def stop(place, name, *, hard=False):
    """Turn a host off: as its power button does, or `hard`, as a fallen plug does."""
    files = Files(place.host(name))
    _hang_up(name)
    init, parent = _process(files.init), _process(files.parent)
    if init:
        init.end(signal.SIGKILL if hard else POWER_OFF, OFF_WITHIN_S)
    if parent:
        parent.end(signal.SIGKILL if not init else 0, 5)
    cgroups.cgroups().remove(name)


def _hang_up(name):
    if control(name).exists():
        tried("ssh", "-F", "/dev/null", "-o", f"ControlPath={control(name)}", "-O", "exit", name)
        control(name).unlink(missing_ok=True)


def reboot(place, name, *, hard=False):
    """Turn a host off and on again; its disk is kept."""
    stop(place, name, hard=hard)
    _boot(Files(place.host(name)), record_of(place, name))


def snapshot(place, name, image):
    """Make an image of a host: what it has written becomes a layer for others; it goes on from there itself."""
    record, files, kept = record_of(place, name), Files(place.host(name)), place.image(image)
    if record.disk_mb:
        raise HostTrouble(f"{name} has a disk of its own; an image is made of a host without disk_mb")
    stop(place, name)
    shutil.rmtree(files.upper / "var/log/journal", ignore_errors=True)  # of a machine-id that nobody will have
    part = kept.with_name(f".{image}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    files.upper.rename(part / "upper")
    (part / "image.json").write_text(json.dumps({"suite": record.suite, "lower": record.lower}))
    shutil.rmtree(kept, ignore_errors=True)
    part.rename(kept)
    shutil.rmtree(files.disk / "work")
    record = replace(record, image=image, lower=(str(kept / "upper"), *record.lower))
    _save(files.record, record)
    _boot(files, record)
    return record


def forget(place, image):
    """Remove an image that no host lies on."""
    kept = place.image(image)
    users = [record.name for record in _records(place) if str(kept / "upper") in record.lower]
    if users:
        raise HostTrouble(f"the image {image} is below {', '.join(users)}")
    shutil.rmtree(kept, ignore_errors=True)
    clear(place)


def down(place, name):
    """Turn a host off and take away all there is of it; nothing happens where there is none."""
    files = Files(place.host(name))
    disclaim(place, name)
    stop(place, name, hard=True)
    network.remove(name)
    lxcfs = _process(files.lxcfs_process)
    if lxcfs:
        lxcfs.end()
    # Not asked for first: where lxcfs was killed, its mount answers every question with an error.
    tried("umount", "-l", str(files.lxcfs))
    tried("rm", "-rf", "--one-file-system", str(files.home))
    with held("network"):
        if not network.any_left():
            cgroups.cgroups().remove_common()
    if files.home.parent.is_dir():
        clear(place)


def sweep(place):
    """Take down the hosts whose owner has ended without doing so. Returns their names."""
    left = [record.name for record in _records(place) if record.owner and not record.owner.alive]
    for name in left:
        down(place, name)
    return left


def _save(path, value):
    """Whole or not at all: others may read it at any moment."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(asdict(value)))
    part.rename(path)


def _process(path):
    try:
        return Process(**json.loads(path.read_text()))
    except OSError:
        return None
