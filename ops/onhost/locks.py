"""Two locks that the kernel frees when their process ends: of a deploy, and of one step of it."""

import fcntl
import os
import select
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ops.onhost import files, proc
from ops.onhost.layout import LOCK, STEP_LOCK, Tree
from ops.onhost.machine import Machine
from ops.onhost.trouble import Busy

TRY_EVERY_S: Final = 0.1
STEP_WAIT_S: Final = 120.0  # a step of a killed deploy is left to end by itself: the longest is a start that hangs
BELIEVE_S: Final = 2.0  # between taking the lock and telling by whom, on a busy machine
PROC_LOCKS: Final = Path("/proc/locks")


def take(machine: Machine, who: str, commit: str, since: str, *, wait_s: float, gone: Callable[[], bool]) -> int:
    """The descriptor that holds the lock of deploys. Raises Busy with its holder.

    `gone`: whether the one who wants it still waits; asked again and again.
    """
    descriptor = _opened(machine.tree.at(LOCK))
    if not _got(machine, descriptor, wait_s, gone):
        raise Busy(held=False, holder=_holder_soon(machine))
    facts = {"who": who, "commit": commit, "since": since, "pid": os.getpid()}
    files.write_json(_facts(machine.tree), facts)
    return descriptor


def hold(stdin: int) -> None:
    """Wait until standard input ends."""
    while os.read(stdin, 1 << 12):
        pass


def ended(stdin: int) -> bool:
    """Whether standard input has ended, without waiting for it."""
    readable, _, _ = select.select([stdin], [], [], 0)
    return bool(readable) and not os.read(stdin, 1 << 12)


def holder(tree: Tree) -> Mapping[str, Any] | None:
    """Who holds the lock of deploys; None when it is free. `who` is "" while they have not said so yet.

    The lock itself is not touched: to try it, for however short, could turn away somebody who wants it.
    """
    pid = _pid(tree.at(LOCK))
    if pid is None:
        return None
    facts = files.read_json(_facts(tree)) or {}
    told = facts if facts.get("pid") == pid else {}
    return {name: str(told.get(name, "")) for name in ("who", "commit", "since")}


@contextmanager
def step(machine: Machine, wait_s: float = STEP_WAIT_S) -> Iterator[None]:
    """Hold the lock of steps. Raises Busy where another step does not end in time."""
    descriptor = _opened(machine.tree.at(STEP_LOCK))
    try:
        if not _got(machine, descriptor, wait_s, lambda: False):
            raise Busy(
                seen="another step is still at work on the host",
                expected=f"that it ends within {wait_s:g} s",
                to_do="try again; `fab status` says who deploys",
                holder=holder(machine.tree) or {},
            )
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _got(machine: Machine, descriptor: int, wait_s: float, gone: Callable[[], bool]) -> bool:
    waited = 0.0
    while not _locked(descriptor):
        if waited >= wait_s or gone():
            return False
        machine.sleep(TRY_EVERY_S)
        waited += TRY_EVERY_S
    return True


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder_soon(machine: Machine) -> Mapping[str, Any]:
    """The holder, once it has said who it is: it may have taken the lock this very moment."""
    told: Mapping[str, Any] = {}
    for _ in range(int(BELIEVE_S / TRY_EVERY_S)):
        told = holder(machine.tree) or {"who": "", "commit": "", "since": ""}
        if told["who"]:
            break
        machine.sleep(TRY_EVERY_S)
    return told


def _pid(path: Path) -> int | None:
    try:
        return proc.holder(PROC_LOCKS.read_text(), path.stat().st_ino)
    except OSError:
        return None


def _facts(tree: Tree) -> Path:
    return tree.at(LOCK).with_suffix(".json")
