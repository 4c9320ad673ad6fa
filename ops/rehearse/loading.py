"""The load as a process of its own, so that what it waits for is not ours to disturb: begin, renew, end."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.rehearse.load import Load, Target, loaded

ROOT = Path(__file__).resolve().parents[2]
END_WITHIN_S = 60


@dataclass(slots=True)
class Loading:
    """A load that is under way."""

    process: "subprocess.Popen[str]"
    result: Load | None = None

    def all_open(self) -> None:
        """Wait until every session has shown its page. Raises RuntimeError where one does not in time."""
        said = self.process.stdout.readline() if self.process.stdout else ""
        if not (said and json.loads(said)["open"]):
            raise RuntimeError(f"not every session of the load has shown its page: {said.strip() or 'it ended'}")

    def renew(self) -> None:
        """Close every session and wait until as many others are open."""
        if self.process.stdin:
            self.process.stdin.write("renew\n")
            self.process.stdin.flush()
        self.all_open()

    def end(self) -> Load:
        """End the load; what it met with. Asked again, the same."""
        if self.result is None:
            out, _ = self.process.communicate(timeout=END_WITHIN_S)
            self.result = loaded(out.splitlines()[-1])
        return self.result


@contextmanager
def loading(target: Target) -> Iterator[Loading]:
    """A load, once every session has shown its page; it ends with the block at the latest."""
    command = [sys.executable, "-m", "ops.rehearse.load", target.address, "--port", str(target.port)]
    amounts = ["--rate", str(target.rate_per_s), "--sessions", str(target.sessions)]
    amounts += ["--open-within", str(target.open_within_s)]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [*command, *amounts], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            running = Loading(process)
            running.all_open()
            yield running
            running.end()
        finally:
            process.kill()
