"""Stand-alone: sent to a host's `python3 -`, it carries out the steps of a plan, and says of each how it ended.

Standard library only, and nothing of ours. The order, and the lines that are printed, one JSON document each:

    {"lock": null | {"who": ..., "commit": ...}, "steps": [{"due": [NAME], "actions": [{"do": ...}], "undo": [...]}]}
    {"event": "locked", "holder": {...}} or {"event": "waiting", "step": 0, "text": ...}
    {"event": "done", "step": 0, "seconds": 0.1} or {"event": "failed", "step": 0, "seconds": 0.1, "text": ...}

Whatever is listed in a step's `due` is noted on the host before the step, and crossed out by the action `settled`: what
was interrupted in between is known to the next run. After a restart of the host nothing is due: all was started anew.
"""

from __future__ import annotations

import base64
import fcntl
import grp
import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

LOCK = Path("/run/kpi-ops/deploy.lock")
HOLDER = Path("/run/kpi-ops/deploy.json")
STEP_LOCK = Path("/run/kpi-ops/step.lock")
AFTER = Path("/run/kpi-ops/after")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_MODE": "l",
}
PACKAGE_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")
LONGEST_WAIT_S = 900
CLOUD_INIT = Path("/run/cloud-init")
BOOT_FINISHED = Path("/var/lib/cloud/instance/boot-finished")
NEW = ".kpi-new"
LOCKED, FAILED = 75, 1
SAID_LINES = 20


class Failed(Exception):
    """A step could not be done; the text says why."""


def main(order: dict[str, Any]) -> None:
    """Carry out the steps in their order; leaves with 0, 1 (one failed), 75 (locked)."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+") as lock:
        if order["lock"] and not locked(lock, order["lock"]):
            say(event="locked", holder=holder())
            sys.exit(LOCKED)
        for number, step in enumerate(order["steps"]):
            if not carried_out(number, step):
                sys.exit(FAILED)


def say(**what: Any) -> None:
    """One line for whoever listens; where nobody does any more, this is the end."""
    try:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(FAILED)


def locked(lock: TextIO, who: dict[str, Any]) -> bool:
    """Take the lock of deploys, as kpi-host does, and say who has it; the kernel frees it when this process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    HOLDER.write_text(json.dumps({**who, "since": since, "pid": os.getpid()}), "utf-8")
    return True


def holder() -> Any:
    """Who holds the lock, as they say."""
    try:
        return json.loads(HOLDER.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def carried_out(number: int, step: dict[str, Any]) -> bool:
    """Whether one step was done; what was begun is undone where the step says how."""
    began = time.monotonic()
    try:
        note(step["due"])
        for action in step["actions"]:
            act(action, lambda text: say(event="waiting", step=number, text=text))
    except (Failed, OSError) as error:
        for action in step["undo"]:
            act(action, lambda _: None)
        say(event="failed", step=number, seconds=time.monotonic() - began, text=str(error))
        return False
    say(event="done", step=number, seconds=time.monotonic() - began)
    return True


def note(due: list[str]) -> None:
    """Write down what must follow, before anything is changed."""
    if due:
        AFTER.mkdir(parents=True, exist_ok=True)
    for name in due:
        (AFTER / name).touch()


def act(action: dict[str, Any], tell: Callable[[str], None]) -> None:
    """Do one thing; raises Failed or OSError."""
    what = dict(action)
    kind = what.pop("do")
    if kind == "wait":
        wait_for_packages(tell)
    else:
        ACTIONS[kind](**what)


# --- files


def write(files: list[dict[str, Any]], only: dict[str, str] | None) -> None:
    """Put files in place, all of them after all of them were written and found good; and remove others of the kind."""
    with exclusive() if only else nothing():
        for file in files:
            candidate(file)
        for file in files:
            beside(file["path"]).replace(file["path"])
        for stray in strays(files, only):
            stray.unlink()
        for parent in {Path(file["path"]).parent for file in files}:
            sync(parent)


def beside(path: str) -> Path:
    """Where a file is written before it is put in place: nobody reads files of such names."""
    return Path(path).parent / f".{Path(path).name}{NEW}"


def candidate(file: dict[str, Any]) -> None:
    """Write one file beside its place, on the disk for good, and have it checked."""
    new = beside(file["path"])
    new.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(base64.b64decode(file["content"]))
        stream.flush()
        own(new, file)
        os.fsync(stream.fileno())
    try:
        if file["check"]:
            run([str(new) if word == "{}" else word for word in file["check"]])
    except Failed:
        new.unlink()
        raise


def own(path: Path, wanted: dict[str, Any]) -> None:
    """Give a file to its owner, with its mode."""
    try:
        user, group = pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
    except KeyError as error:
        raise Failed(f"there is no user {wanted['owner']} or no group {wanted['group']}") from error
    os.chown(path, user, group)
    path.chmod(wanted["mode"])


def strays(files: list[dict[str, Any]], only: dict[str, str] | None) -> Iterator[Path]:
    """Files of the kind that are not among these."""
    if only:
        wanted = {file["path"] for file in files}
        kind = Path(only["directory"]).glob(f"*{only['suffix']}")
        yield from [path for path in kind if str(path) not in wanted]


def sync(directory: Path) -> None:
    """Let the disk have the names of a directory."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def exclusive() -> Iterator[None]:
    """While no step of kpi-host runs."""
    with STEP_LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def nothing() -> Iterator[None]:
    """As it is."""
    yield


def directory(path: str, **wanted: Any) -> None:
    """Make a directory, or give it its owner and mode."""
    Path(path).mkdir(parents=True, exist_ok=True)
    own(Path(path), wanted)


def keep(path: str, **wanted: Any) -> None:
    """Make an empty file where there is none; what is in it is nobody's business."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    own(Path(path), wanted)


def link(path: str, target: str) -> None:
    """Point a link somewhere, in one move."""
    new = beside(path)
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    Path(path).unlink(missing_ok=True)


def settled(name: str) -> None:
    """Cross out what was due."""
    remove(str(AFTER / name))


# --- commands


def run(argv: list[str], stdin: str = "", timeout_s: float = 600, *, must: bool = True) -> None:
    """Run a command; raises Failed with the end of what it said."""
    words = " ".join(argv[:4])
    try:
        done = subprocess.run(  # noqa: S603 - the plan's own words, as a list
            argv,
            check=False,
            input=base64.b64decode(stdin),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            env=ENVIRONMENT,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{words} did not end within {timeout_s:g} s\n{end(error.output or b'')}") from error
    if done.returncode != 0 and must:
        raise Failed(f"{words} ended with {done.returncode}\n{end(done.stdout)}")


def end(said: bytes) -> str:
    """The last lines of what a command said."""
    return "\n".join(said.decode("utf-8", "replace").strip().splitlines()[-SAID_LINES:])


def wait_for_packages(tell: Callable[[str], None]) -> None:
    """Until nobody else installs packages: a new host does so by itself in its first minutes."""
    limit = time.monotonic() + LONGEST_WAIT_S
    told = ""
    while busy := installing():
        if time.monotonic() > limit:
            raise Failed(f"{busy} did not end within {LONGEST_WAIT_S} s")
        if busy != told:
            tell(busy)
            told = busy
        time.sleep(0.5)


def installing() -> str:
    """Who installs packages just now; nothing: nobody."""
    if CLOUD_INIT.is_dir() and not BOOT_FINISHED.exists() and cloud_init_runs():
        return "cloud-init, which sets the host up for the first time"
    return next((f"{who}, which holds {path}" for path in PACKAGE_LOCKS if (who := lock_owner(path))), "")


def cloud_init_runs() -> bool:
    """Whether the host is still being set up."""
    done = subprocess.run(["/usr/bin/cloud-init", "status"], check=False, capture_output=True, env=ENVIRONMENT)
    return b"running" in done.stdout


def lock_owner(path: str) -> str:
    """Which process has a lock on a file, like "apt-get (pid 812)"; nothing: none has."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return ""
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for row in Path("/proc/locks").read_text("utf-8").splitlines():
        fields = row.replace("->", "").split()
        if fields[5] == wanted:
            return f"{process(fields[4])} (pid {fields[4]})"
    return ""


def process(pid: str) -> str:
    """What a process is called."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
    except OSError:
        return "a process"


ACTIONS: dict[str, Callable[..., None]] = {
    "write": write,
    "directory": directory,
    "keep": keep,
    "link": link,
    "remove": remove,
    "run": run,
    "settled": settled,
}
