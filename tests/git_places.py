"""A remote with a record on it, clones of it, and ways to look: for tests of what is pushed."""

import os
import subprocess
from pathlib import Path, PurePosixPath

from ops.uptime.storage.commit import Ours
from ops.uptime.storage.git import Git, runner

MONTH = "uptime/2026-11.jsonl"
OURS = Ours(PurePosixPath("uptime"), PurePosixPath("uptime.md"))
FIRST_LINES = b'{"t":"first"}\n{"t":"second"}\n'
PERSON = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
}
# No settings of whoever runs the tests.
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(place, *words, environ=ENVIRON):
    """What git prints, asked by a person."""
    done = subprocess.run(
        ["git", "-C", place, *words], env=environ | PERSON, check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.decode().strip()


def make_places(place):
    """`remote.git` with two lines of record, a plan of maintenance and a file of a person; and its `clone`."""
    bare, seed = place / "remote.git", place / "seed"
    git(place, "init", "--quiet", "--bare", "--initial-branch=main", bare)
    git(place, "init", "--quiet", "--initial-branch=main", seed)
    files = {
        MONTH: FIRST_LINES,
        "uptime.md": b"2 lines\n",
        "uptime/maintenance.toml": b"# none\n",
        "README.md": b"hello\n",
    }
    for name, data in files.items():
        write(seed, name, data)
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "Begin")
    git(seed, "push", "--quiet", bare, "main")
    git(place, "clone", "--quiet", "remote.git", "clone")
    git(place / "clone", "remote", "set-url", "origin", "../remote.git")  # so that copies of both belong together
    return place


def clone_of(remote, place, *words):
    """A clone with `main` checked out."""
    git(remote, "clone", "--quiet", *words, remote.as_uri(), place)
    return place


def write(clone, name, data):
    """A file in the working tree."""
    file = clone / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def record(clone, *lines, month=MONTH):
    """Append lines, as `check` does."""
    file = clone / month
    file.parent.mkdir(exist_ok=True)
    with file.open("ab") as end:
        end.write(b"".join(line + b"\n" for line in lines))


def person_pushes(remote, place, files, *words):
    """A commit of a person on the remote's branch."""
    if not place.exists():
        clone_of(remote, place)
    for name, data in files.items():
        write(place, name, data)
    git(place, "add", ".")
    git(place, "commit", "--quiet", "-m", "Work")
    git(place, "push", "--quiet", *words, "origin", "main")


def git_in(clone, run=None):
    """The project's own git in a clone."""
    return Git(clone, run or runner(ENVIRON))


def lines_at(remote, name=MONTH):
    """The lines of a file as they are on the remote."""
    return git(remote, "show", f"main:{name}").encode().split(b"\n")


def reporter(clone):
    """Writes a report and a picture as `rewrite` does: of the lines that are in the working tree, and of the plan."""

    def rewrite():
        lines = b"".join(file.read_bytes() for file in sorted((clone / "uptime").glob("*.jsonl"))).splitlines()
        plan = (clone / "uptime" / "maintenance.toml").read_text()
        write(clone, "uptime.md", f"{len(lines)} lines\n{plan}".encode())
        write(clone, "uptime/badge.svg", f"<svg>{len(lines)}</svg>".encode())

    return rewrite


def names_in(place):
    """Every file below a directory but git's own."""
    return {
        file.relative_to(place).as_posix()
        for file in Path(place).rglob("*")
        if file.is_file() and ".git" not in file.parts
    }
