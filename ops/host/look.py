"""Stand-alone: sent to a host's `python3 -`, it answers what is there, as one JSON document. It changes nothing.

Standard library only, and nothing of ours. Python 3.7 is enough to say that the distribution is too old. The question:

    {"paths": {PATH: "content" | "status" | "names"}, "units": [NAME], "tests": [ARGV], "ports": [NUMBER], "disk": PATH}
"""

from __future__ import annotations

import base64
import grp
import json
import os
import platform
import pwd
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST_CONTENT = 1 << 20
LONGEST_S = 60
LISTENING = "0A"  # as /proc/net/tcp writes the state of a socket
UNIT_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "ConditionResult",
    "ConditionTimestampMonotonic",
)
AFTER = Path("/run/kpi-ops/after")  # one empty file for each reaction that is still due
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def main(question: dict[str, Any]) -> None:
    """Answer one question on standard output."""
    sys.stdout.write(json.dumps(answer(question)) + "\n")


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Everything that was asked, and what is always worth knowing."""
    return {
        **system(),
        **room(question["disk"]),
        "packages": packages(),
        "users": users(),
        "groups": {group.gr_name: group.gr_mem for group in grp.getgrall()},
        "paths": {path: look_at(Path(path), wanted) for path, wanted in question["paths"].items()},
        "units": {name: unit(name) for name in question["units"]},
        "instances": instances(),
        "tests": [said(*argv)[0] for argv in question["tests"]],
        "ports": {str(port): owner(port) for port in question["ports"]},
        "due": names_in(AFTER),
    }


def said(*argv: str) -> tuple[int, str]:
    """The exit status of a command, 127 where there is none, and what it wrote."""
    try:
        done = subprocess.run(  # noqa: S603 - the question's own words, as a list
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            env=ENVIRONMENT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout


def rows(path: str) -> list[list[str]]:
    """The words of each line of a small file; nothing where it cannot be read."""
    try:
        return [line.split() for line in Path(path).read_text("utf-8").splitlines()]
    except OSError:
        return []


def system() -> dict[str, Any]:
    """Which distribution this is, and on what it runs."""
    release = os_release()
    version = re.search(r"systemd (\d+)", said("systemctl", "--version")[1])
    container = said("systemd-detect-virt", "--container")[1].strip()
    return {
        "distribution": release.get("ID", ""),
        "release": release.get("VERSION_ID", ""),
        "name": release.get("PRETTY_NAME", ""),
        "architecture": said("dpkg", "--print-architecture")[1].strip(),
        "python": platform.python_version(),
        "systemd": int(version[1]) if version else 0,
        "booted_by_systemd": Path("/run/systemd/system").is_dir(),
        "container": "" if container == "none" else container,
        "root": os.geteuid() == 0,
        "login": os.environ.get("SUDO_USER", "root"),  # noqa: TID251 - a program of its own: this is its door
        "root_filesystem": root_filesystem(),
        "swaps": swaps(),
    }


def os_release() -> dict[str, str]:
    """The words of /etc/os-release."""
    pairs = [" ".join(row).partition("=") for row in rows("/etc/os-release")]
    return {name: value.strip("\"'") for name, _, value in pairs}


def root_filesystem() -> str:
    """The kind of what / lies on: ext4, overlay, ..."""
    return [row[2] for row in rows("/proc/mounts") if row[1] == "/"][-1]


def swaps() -> dict[str, int]:
    """What is swapped to, and its megabytes."""
    return {row[0]: int(row[2]) // 1024 for row in rows("/proc/swaps")[1:]}


def room(disk: str) -> dict[str, Any]:
    """Free megabytes, free inodes (-1: not counted) and whether nothing can be written, where a path is or would be."""
    path = Path(disk)
    while not path.exists():
        path = path.parent
    here = os.statvfs(path)
    return {
        "free_mb": here.f_bavail * here.f_frsize >> 20,
        "free_inodes": here.f_favail if here.f_files else -1,
        "read_only": bool(here.f_flag & os.ST_RDONLY),
    }


def packages() -> dict[str, str]:
    """The installed packages and their versions; what is half installed is not installed."""
    listed = said("dpkg-query", "-W", "-f=${db:Status-Status} ${Package} ${Version}\\n")[1]
    found = [line.split() for line in listed.splitlines()]
    return {row[1]: row[2] for row in found if row[0] == "installed"}


def users() -> dict[str, dict[str, str]]:
    """Users by name."""
    return {
        user.pw_name: {"home": user.pw_dir, "shell": user.pw_shell, "group": group_name(user.pw_gid)}
        for user in pwd.getpwall()
    }


def group_name(number: int) -> str:
    """The name of a group, or its number."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def user_name(number: int) -> str:
    """The name of a user, or its number."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def look_at(path: Path, wanted: str) -> dict[str, Any] | None:
    """What lies at a path; None: nothing. A link is followed only where it leads to a directory."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""  # noqa: PTH115 - as it is written
    if target and path.is_dir():
        found = path.stat()
    return {
        "kind": kind(found.st_mode),
        "mode": stat.S_IMODE(found.st_mode),
        "owner": user_name(found.st_uid),
        "group": group_name(found.st_gid),
        "size": found.st_size,
        "target": target,
        "content": content(path) if wanted == "content" and stat.S_ISREG(found.st_mode) else None,
        "names": names_in(path) if wanted == "names" else [],
    }


def names_in(directory: Path) -> list[str]:
    """What a directory holds; nothing where there is none."""
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def kind(mode: int) -> str:
    """What sort of thing it is, in a word."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


def content(path: Path) -> str:
    """The first megabyte of a file, in base64."""
    with path.open("rb") as file:
        return base64.b64encode(file.read(LONGEST_CONTENT)).decode()


def unit(name: str) -> dict[str, str]:
    """A unit as systemd sees it."""
    text = said("systemctl", "show", f"--property={','.join(UNIT_PROPERTIES)}", name)[1]
    return {key: value for key, _, value in (line.partition("=") for line in text.splitlines())}


def instances() -> list[str]:
    """The releases' units that are alive."""
    states = "--state=active,activating,deactivating,reloading"
    listed = said("systemctl", "list-units", "--plain", "--no-legend", states, "kpi-dashboard@*")[1]
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def owner(port: int) -> str:
    """Which processes listen on a TCP port, like "nginx (pid 812)"; nothing: nobody does."""
    inodes = set(listeners(port))
    return ", ".join(f"{command_of(pid)} (pid {pid})" for pid in holders(inodes)) if inodes else ""


def command_of(pid: int) -> str:
    """What a process is called."""
    return " ".join(word for row in rows(f"/proc/{pid}/comm") for word in row)


def listeners(port: int) -> Iterator[str]:
    """The sockets that listen on a port, as /proc names them."""
    for row in rows("/proc/net/tcp")[1:] + rows("/proc/net/tcp6")[1:]:
        if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port:
            yield f"socket:[{row[9]}]"


def holders(sockets: set[str]) -> list[int]:
    """The processes that have one of these sockets open."""
    processes = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return sorted(int(pid) for pid in processes if sockets & set(open_files(pid)))


def open_files(pid: str) -> Iterator[str]:
    """What a process has open; nothing where it is gone."""
    try:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            yield os.readlink(path)  # noqa: PTH115 - socket:[1] is no path
    except OSError:
        return
