"""`kpi-host environment ID`: the packages of a release, made once for every release of the same lock and Python."""

import hashlib
import os
import shutil
import sys
import threading
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from ops.onhost import dead_man, files, inventory, lock_file, uv
from ops.onhost.environment_key import accepts, key, same_python
from ops.onhost.install_trouble import NO_SPACE, trouble
from ops.onhost.inventory import READY, Known
from ops.onhost.layout import CACHE, ENVIRONMENTS, RELEASE_LOCK
from ops.onhost.machine import Machine
from ops.onhost.trouble import CouldNot, Unfit

INSTALL_S: Final = 1500.0
TELL_EVERY_S: Final = 0.5
MEGABYTE: Final = 1024 * 1024
LOCK_KEPT: Final = "requirements.txt"  # within an environment: the lock that it holds
# Of an environment, what is made anew: the names of directories are written into these.
OWN: Final = frozenset({"bin", "pyvenv.cfg", READY, LOCK_KEPT})
OOM_SCORE: Final = PurePosixPath("/proc/self/oom_score_adj")


@dataclass(frozen=True, slots=True)
class Source:
    """Where wheels come from: a directory of them and nothing else, an index, or as the host's pip is told."""

    wheels: Path | None
    index: str | None

    def for_pip(self) -> Mapping[str, str]:
        """As variables: an address may hold a password, and command lines are seen by all."""
        if self.wheels:
            return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return {"PIP_INDEX_URL": self.index} if self.index else {}

    def for_uv(self, machine: Machine) -> Mapping[str, str]:
        """The same for uv."""
        if self.wheels:
            return {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(self.wheels), "UV_OFFLINE": "1"}
        told = uv.as_pip_is_told(machine)
        return {**told, "UV_DEFAULT_INDEX": self.index} if self.index else told


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment to be made, the lock that it is to hold, and an older one that it can share files with."""

    environment: Path
    lock: Path
    seed: Path | None


def step(machine: Machine, release: str, source: Source) -> Mapping[str, Any]:
    """Make or find the environment of a release, and link it there. Raises CouldNot; what is half made never counts."""
    known = _known(machine, release)
    lock = machine.tree.release(release) / RELEASE_LOCK.as_posix()
    text = lock.read_bytes()
    name = key(hashlib.sha256(text).hexdigest(), sys.version_info[:2])
    environment = machine.tree.environment(name)
    if (environment / READY).is_file():
        _link(machine, release, name)
        return {"ok": True, "environment": name, "installed": 0, "told": "unchanged: nothing to install"}
    _check(text)
    dead_man.beat(machine)
    began, free = machine.clock(), _free(machine)
    installed = _make(machine, environment, known, lock, source)
    _link(machine, release, name)
    dead_man.beat(machine)
    seconds, megabytes = machine.clock() - began, (free - _free(machine)) / MEGABYTE
    told = f"{installed} packages in {seconds:.1f} s, {max(megabytes, 0):.0f} MB"
    return {"ok": True, "environment": name, "installed": installed, "told": told}


def _check(lock: bytes) -> None:
    """Raise Unfit where the release's lock is none."""
    try:
        flaw = lock_file.flaw(lock.decode().replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        flaw = str(error)
    if flaw:
        raise Unfit(
            f"{RELEASE_LOCK} is no lock: {flaw}",
            expected="every package with its version and the hashes of its files, and nothing else",
            to_do="lock again with `make lock`",
        )


def _known(machine: Machine, release: str) -> Known:
    known = inventory.take(machine.tree).known(release)
    if known is None:
        raise CouldNot(f"there is no release {release}", expected="one that was received", to_do="see `fab releases`")
    here, wanted = sys.version_info[:3], str(known.manifest["requires_python"])
    if not accepts(wanted, here):
        raise CouldNot(
            f"the host has Python {'.'.join(map(str, here))}, and {release} wants {wanted}",
            expected="a host whose python3 the release runs on",
            to_do="deploy a commit for that Python, or to a host with another",
        )
    return known


def _make(machine: Machine, environment: Path, known: Known, lock: Path, source: Source) -> int:
    """Build it where it will be, because venvs cannot be moved; its marker comes last. How many were installed."""
    _step_aside(machine)
    program = uv.installed(machine, machine.tree.release(known.release), source.for_pip())
    files.discard(environment)
    wanted = Wanted(environment, lock, _seed(machine, environment.name, lock))
    try:
        return _filled(machine, program, wanted, source.for_uv(machine))
    except (CouldNot, OSError):
        shutil.rmtree(environment, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(machine.tree.at(CACHE), ignore_errors=True)  # the environment has hard links to all of it


def _filled(machine: Machine, program: Path, wanted: Wanted, env: Mapping[str, str]) -> int:
    venv.EnvBuilder(symlinks=True, with_pip=False).create(wanted.environment)
    if wanted.seed is not None:
        _hard_link(wanted.seed, wanted.environment)
    new = _pins(wanted.lock)
    old = _pins(wanted.seed / LOCK_KEPT) if wanted.seed else {}
    changed = len(lock_file.changed(old, new))
    words = _words(machine, wanted, lock_file.replaced(old, new))
    done = _told(machine, changed, lambda: uv.run(machine, program, words, env, INSTALL_S))
    if done.status:
        full = files.is_full(wanted.environment) or files.is_full(machine.tree.at(CACHE))
        raise trouble("uv", NO_SPACE if full else done.err or done.out)
    _without_scripts(wanted.environment / "bin")
    shutil.copyfile(wanted.lock, wanted.environment / LOCK_KEPT)
    os.sync()
    files.write_json(wanted.environment / READY, {"packages": len(new)})
    return changed


def _words(machine: Machine, wanted: Wanted, again: Sequence[str]) -> list[str]:
    return [
        "pip",
        "sync",
        "--quiet",
        f"--python={wanted.environment / 'bin' / 'python'}",
        "--require-hashes",
        "--no-build",
        "--compile-bytecode",
        "--link-mode=hardlink",
        f"--cache-dir={machine.tree.at(CACHE)}",
        "--system-certs",
        "--color=never",
        *(f"--reinstall-package={name}" for name in again),
        str(wanted.lock),
    ]


def _seed(machine: Machine, name: str, lock: Path) -> Path | None:
    """The newest environment of the same Python, if its lock is near: what they share need not be fetched again."""
    directory = machine.tree.at(ENVIRONMENTS)
    ready = [path.parent for path in directory.glob(f"*/{READY}") if same_python(path.parent.name, name)]
    whole = [path for path in ready if (path / LOCK_KEPT).is_file()]
    newest = max(whole, key=lambda path: (path / READY).stat().st_mtime, default=None)
    if newest is None or not lock_file.is_near(_pins(newest / LOCK_KEPT), _pins(lock)):
        return None
    return newest


def _pins(lock: Path) -> dict[str, lock_file.Pin]:
    return lock_file.pins(lock.read_text())


def _hard_link(seed: Path, environment: Path) -> None:
    """Everything but what names its own directory. Installers replace files, they do not write into them."""
    for entry in seed.iterdir():
        if entry.name in OWN or entry.is_symlink():
            continue
        if entry.is_dir():
            shutil.copytree(entry, environment / entry.name, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
        else:
            os.link(entry, environment / entry.name)


def _without_scripts(programs: Path) -> None:
    """Keep Python alone: a script's first line names the environment that it was made in, and nothing needs one."""
    for path in programs.iterdir():
        if not path.name.startswith("python"):
            path.unlink()


def _told(machine: Machine, of: int, install: Callable[[], Any]) -> Any:
    """Run the installer, and tell how many packages have arrived meanwhile."""
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(install()))
    thread.start()
    told = -1
    while thread.is_alive():
        arrived = min(sum(1 for _ in machine.tree.at(CACHE).glob("archive-v*/*")), of)
        if arrived != told:
            machine.say({"event": "installing", "done": arrived, "of": of})
            told = arrived
        thread.join(TELL_EVERY_S)
    return ended[0]


def _link(machine: Machine, release: str, name: str) -> None:
    target = f"../../{ENVIRONMENTS.name}/{name}"
    link = machine.tree.release(release) / "environment"
    if not link.is_symlink() or str(link.readlink()) != target:
        files.link(link, target)


def _free(machine: Machine) -> int:
    disk = os.statvfs(machine.tree.at(ENVIRONMENTS.parent))
    return disk.f_bavail * disk.f_frsize


def _step_aside(machine: Machine) -> None:
    """Where memory ends, the kernel shall take the install and not the dashboard."""
    score = machine.tree.at(OOM_SCORE)
    if score.exists():
        score.write_text("500")
