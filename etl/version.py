"""Which code made a snapshot."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def code_version() -> str:
    """Package version and, in a git checkout, the commit: `0.1.0+g1a2b3c4`, `.dirty` where files differ from it."""
    try:
        package = version("kpi-ops")
    except PackageNotFoundError:
        package = "0"
    commit = _git("describe", "--always", "--dirty=.dirty", "--exclude=*", "--abbrev=7")
    return f"{package}+g{commit}" if commit else package


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", PROJECT, *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
