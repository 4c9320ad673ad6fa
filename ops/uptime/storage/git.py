"""git, asked for one thing at a time: no shell, no prompt, no pager, no hook, and never longer than it may take."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from etl.errors import KpiOpsError

LONGEST_S = 30.0
NOT_STARTED = 127  # as a shell says
SAID_LENGTH = 400
# Nothing of this machine's taste: hooks that test, line ends that change, paths that are quoted.
_PLAIN = ("-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false")
# Of a repository in which we may have been started, as by a hook.
_ELSEWHERE = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"})
# GitHub's own bot, so that its commits are told from those of people.
BOT_NAME = "github-actions[bot]"
BOT_EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"
BOT: Mapping[str, str] = {
    "GIT_AUTHOR_NAME": BOT_NAME,
    "GIT_AUTHOR_EMAIL": BOT_EMAIL,
    "GIT_COMMITTER_NAME": BOT_NAME,
    "GIT_COMMITTER_EMAIL": BOT_EMAIL,
}
_SILENT: Mapping[str, str] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C",
}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it said; `status` is None where it was given up."""

    status: int | None
    out: bytes
    said: str


Run = Callable[[Sequence[str], bytes], Done]


class GitFailed(KpiOpsError):
    """git did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Git:
    """git in one repository; `run` runs a command line with this on its standard input."""

    repository: Path
    run: Run

    def __call__(self, *words: str, stdin: bytes = b"") -> bytes:
        """What it prints. Raises GitFailed."""
        done = self.asked(*words, stdin=stdin)
        if done.status != 0:
            how = "did not end in time" if done.status is None else f"ended with {done.status}"
            raise GitFailed(
                f"git {words[0]} {how}: {done.said or 'it said nothing'}",
                expected="a repository, and a remote that answers and may be pushed to",
                to_do="mend what git says; the samples stay in the working tree and go with the next push",
            )
        return done.out

    def asked(self, *words: str, stdin: bytes = b"") -> Done:
        """How it ended, whatever that is."""
        return self.run(["git", *_PLAIN, "-C", str(self.repository), *words], stdin)

    def line(self, *words: str) -> str:
        """The one line it prints."""
        return self(*words).decode("utf-8", "replace").strip()


def runner(environ: Mapping[str, str], longest_s: float = LONGEST_S) -> Run:
    """Runs commands for so long at most, in this environment made silent."""
    inherited = {name: value for name, value in environ.items() if name not in _ELSEWHERE}
    silent = {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10", **inherited, **_SILENT, **BOT}

    def run(command: Sequence[str], stdin: bytes) -> Done:
        try:
            return _run(command, stdin, silent, longest_s)
        except OSError as error:
            return Done(NOT_STARTED, b"", f"it cannot be started: {error.strerror}")

    return run


def _run(command: Sequence[str], stdin: bytes, environ: Mapping[str, str], longest_s: float) -> Done:
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - git, with words of our own
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environ,
        start_new_session=True,  # git leaves the network to children, who must end with it
    ) as process:
        try:
            out, said = process.communicate(stdin, timeout=longest_s)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return Done(None, b"", f"given up after {longest_s:g} s")
            raise
    return Done(process.returncode, out, shown(said))


def shown(said: bytes) -> str:
    """What git and the remote say is wrong, without its advice and without what may be a secret in an address."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "!"))] or lines
    return re.sub(r"://[^/@\s]*@", "://", "; ".join(telling))[:SAID_LENGTH]
