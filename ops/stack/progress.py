"""Lines that come while something goes on, how much of it is done, and on a terminal a bar below them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from ops.words import plain

WIDTH = 30
CLEAR = "\r\x1b[K"


@dataclass(slots=True)
class Progress:
    """`total` steps are expected; more or fewer only make the bar end early or late."""

    stream: TextIO
    total: int
    done: int = 0

    def line(self, text: str) -> None:
        """One line for a person, [DONE/TOTAL] first."""
        numbered = f"[{self.done}/{self.total}] {plain(text)}"
        if self.stream.isatty():
            print(f"{CLEAR}{numbered}\n{self._bar()}", end="", file=self.stream, flush=True)
        else:
            print(numbered, file=self.stream, flush=True)

    def clear(self) -> None:
        """Take the bar away."""
        if self.stream.isatty():
            print(CLEAR, end="", file=self.stream, flush=True)

    def _bar(self) -> str:
        filled = WIDTH * min(self.done, self.total) // max(self.total, 1)
        return f"{'#' * filled}{'.' * (WIDTH - filled)} {self.done}/{self.total}"


@contextmanager
def progress(stream: TextIO, total: int) -> Iterator[Progress]:
    """A progress whose bar is gone whatever happens."""
    shown = Progress(stream, total)
    try:
        yield shown
    finally:
        shown.clear()
