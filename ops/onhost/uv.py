"""uv on the host: installed once from a release's lock of it, and run so that it dies with the step that runs it."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ops.onhost import files, pip_settings
from ops.onhost.install_trouble import NO_SPACE, trouble
from ops.onhost.inventory import READY
from ops.onhost.layout import UV, UV_LOCK
from ops.onhost.machine import Done, Machine
from ops.onhost.trouble import CouldNot

INSTALL_S: Final = 300.0
# Ends with its parent, and gives way to what serves.
POLITELY: Final = ("setpriv", "--pdeathsig", "KILL", "nice", "-n", "15")


def installed(machine: Machine, release: Path, source: Mapping[str, str]) -> Path:
    """The program. `source`: variables for pip, saying where from. Raises CouldNot."""
    home = machine.tree.at(UV)
    lock = release / UV_LOCK.as_posix()
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
    there = files.read_json(home / READY)
    if there is not None and wanted in {None, there.get("lock_sha256")}:
        return home / "bin" / "uv"
    if wanted is None:
        raise CouldNot(f"the release has no {UV_LOCK}", expected="one that pins uv", to_do="deploy a newer commit")
    aside = files.part(home)
    files.discard(aside)
    _make(machine, aside, lock, source)
    files.write_json(aside / READY, {"lock_sha256": wanted})
    if home.exists():
        files.remove(home)
    aside.rename(home)
    return home / "bin" / "uv"


def _make(machine: Machine, aside: Path, lock: Path, source: Mapping[str, str]) -> None:
    aside.parent.mkdir(parents=True, exist_ok=True)
    made = machine.run([*POLITELY, sys.executable, "-m", "venv", str(aside)], timeout_s=INSTALL_S)
    if made.status:
        full = files.is_full(aside)
        files.discard(aside)
        raise trouble("venv", NO_SPACE if full else made.out + made.err)
    words = ["--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
    pip = [*POLITELY, str(aside / "bin" / "python"), "-m", "pip", "install", *words, "--requirement", str(lock)]
    done = machine.run(pip, timeout_s=INSTALL_S, env={**machine.environ, **source})
    if done.status:
        full = files.is_full(aside)
        files.discard(aside)
        raise trouble("pip", NO_SPACE if full else done.err or done.out)


def as_pip_is_told(machine: Machine) -> Mapping[str, str]:
    """Variables that have uv install from where this host's pip would."""
    pip = [str(machine.tree.at(UV) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "config", "list"]
    return pip_settings.for_uv(machine.run(pip).out)


def run(machine: Machine, program: Path, words: list[str], env: Mapping[str, str], timeout_s: float) -> Done:
    """Run it. No settings of a person's are read, and nothing is downloaded but wheels."""
    quiet = {
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_CONCURRENT_DOWNLOADS": "4",  # memory is small here
        "UV_CONCURRENT_INSTALLS": "2",
    }
    return machine.run([*POLITELY, str(program), *words], timeout_s=timeout_s, env={**machine.environ, **quiet, **env})
