"""The cgroups of a host: made and limited from outside, handed to its systemd as a tree of its own."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.host.commands import HostTrouble

TOP = Path("/sys/fs/cgroup")
OURS = "kpi-host"
WANTED = ("cpuset", "cpu", "io", "memory", "pids")
NODES = ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "136:*")  # null, zero, full, random, urandom, tty, ptmx, pts
# Any may be made (`m`), these may be used.
DEVICES = ("c *:* m", "b *:* m", *(f"c {node} rwm" for node in NODES))
REMOVED_WITHIN_S = 5


@dataclass(frozen=True)
class Limits:
    """`memory_mb` of memory; `cpus` as in `0` or `0-1,3`."""

    memory_mb: int
    cpus: str


def cgroups(mounts=None):
    """The machine's kind of cgroups: V2 where /sys/fs/cgroup is the one tree of version 2, else V1."""
    lines = (mounts or Path("/proc/self/mountinfo").read_text()).splitlines()
    found = [(fields[4], kind, fields[-1]) for fields in map(str.split, lines) if (kind := _kind(fields))]
    if any(kind == "cgroup2" and where == str(TOP) for where, kind, _ in found):
        return V2(TOP)
    hierarchies = {Path(where): _own_options(options) for where, kind, options in found if kind == "cgroup"}
    return V1(hierarchies, [Path(where) for where, kind, _ in found if kind == "cgroup2"])


def _kind(fields):
    kind = fields[fields.index("-") + 1]
    return kind if kind in ("cgroup", "cgroup2") else None


def _own_options(options):
    """Of the options of a mount those that say which hierarchy it is."""
    kept = [each for each in options.split(",") if each not in ("rw", "ro", "xattr", "clone_children")]
    kept = [each for each in kept if not each.startswith("release_agent=")]
    return ",".join(f"none,{each}" if each.startswith("name=") else each for each in kept)


@dataclass(frozen=True)
class V1:
    """A tree for each controller, with or without a version 2 tree that has none: where systemd keeps its units."""

    hierarchies: dict
    unified: list

    @property
    def mounts(self):
        """For first.sh: DIRECTORY=OPTIONS of each hierarchy; systemd's own is there even where the machine has none."""
        named = {where.name: options for where, options in self.hierarchies.items()}
        named.setdefault("systemd", "none,name=systemd")
        return " ".join(f"{name}={options}" for name, options in named.items())

    def groups(self, name):
        """The groups of a host."""
        return [top / f"{OURS}-{name}" for top in [*self.hierarchies, *self.unified]]

    def make(self, name, limits):
        """Make the groups of a host and set its limits."""
        for group in self.groups(name):
            group.mkdir(exist_ok=True)
            for file, lines in self._settings(group, limits):
                for line in lines:
                    _set(group / file, line)

    def _settings(self, group, limits):
        controllers = self.hierarchies.get(group.parent, "").split(",")
        if "cpuset" in controllers:
            yield "cpuset.mems", [(group.parent / "cpuset.mems").read_text()]
            yield "cpuset.cpus", [limits.cpus]
        if "memory" in controllers:
            yield "memory.limit_in_bytes", [str(limits.memory_mb * 2**20)]
        if "devices" in controllers:
            yield "devices.deny", ["a"]
            yield "devices.allow", DEVICES

    def join(self, name, pid):
        """Put a process into the groups of a host."""
        for group in self.groups(name):
            (group / "cgroup.procs").write_text(str(pid))

    def remove(self, name):
        """Remove the groups of a host, and those that it made in them."""
        for group in self.groups(name):
            _remove(group)

    def remove_common(self):
        """There is nothing that hosts have in common."""


@dataclass(frozen=True)
class V2:
    """One tree. Its rule: a group that hands controllers to its children holds no process itself.

    Hosts lie in one group of ours which hands the controllers on: as long as it does, nobody above, like the
    machine's systemd, can take them away. Devices are a program of the kernel's there and are left as they are.
    """

    top: Path

    mounts = "v2"

    @property
    def common(self):
        """The group of all hosts."""
        return self.top / OURS

    @property
    def leaf(self):
        """Where the processes of a container go that would stand in the way in its topmost group."""
        return self.top / f"{OURS}-machine"

    def groups(self, name):
        """The group of a host."""
        return [self.common / name]

    def make(self, name, limits):
        """Make the group of a host and set its limits, as far as the machine has the controllers."""
        self._hand_on()
        (group,) = self.groups(name)
        group.mkdir(exist_ok=True)
        for file, value in (("memory.max", str(limits.memory_mb * 2**20)), ("cpuset.cpus", limits.cpus)):
            if (group / file).exists():
                _set(group / file, value)

    def _hand_on(self):
        self.common.mkdir(exist_ok=True)
        offered = (self.top / "cgroup.controllers").read_text().split()
        controllers = [each for each in WANTED if each in offered]
        handed = (self.top / "cgroup.subtree_control").read_text().split()
        if not set(controllers) <= set(handed) and (self.top / "cgroup.type").exists():
            self._make_way()
        for group in (self.top, self.common):
            (group / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in controllers))

    def _make_way(self):
        """The topmost group of a container is no root: its processes have to go before it can hand anything on."""
        self.leaf.mkdir(exist_ok=True)
        _move(self.top, self.leaf)

    def join(self, name, pid):
        """Put a process into the group of a host."""
        (group,) = self.groups(name)
        (group / "cgroup.procs").write_text(str(pid))

    def remove(self, name):
        """Remove the group of a host, and those that it made in it."""
        (group,) = self.groups(name)
        _remove(group)

    def remove_common(self):
        """After the last host: the group of all, and what was moved for it."""
        _remove(self.common)
        if self.leaf.is_dir():
            handed = (self.top / "cgroup.subtree_control").read_text().split()
            (self.top / "cgroup.subtree_control").write_text(" ".join(f"-{each}" for each in handed))
            _move(self.leaf, self.top)
            _remove(self.leaf)


def _set(file, value):
    try:
        file.write_text(value)
    except OSError as error:
        raise HostTrouble(f"{file} cannot be {value}: {error.strerror}") from error


def _move(source, target):
    for pid in (source / "cgroup.procs").read_text().split():
        with suppress(OSError):  # it has ended meanwhile, or is a thread of the kernel
            (target / "cgroup.procs").write_text(pid)


def _remove(group):
    """Remove a group and those in it; a process that has just ended may still be counted for a moment."""
    until_s = time.monotonic() + REMOVED_WITHIN_S
    while group.is_dir():
        for directory, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(directory).rmdir()
        if time.monotonic() > until_s:
            break
        time.sleep(0.02)
