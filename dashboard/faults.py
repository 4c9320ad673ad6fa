"""What an exception says to who must mend it: its text, and the file and line of ours that raised it."""

import re
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

_OTHERS: Final = "site-packages"
_WRITTEN_PLACE: Final = re.compile(r'File "([^"]+)", line (\d+)')


@dataclass(frozen=True, slots=True)
class Place:
    """A file, relative to the release where it is one of its own, and a line in it."""

    file: str
    line: int

    def __str__(self) -> str:
        """As it stands at the end of a complaint, where machines look for it."""
        return f"({self.file} line {self.line})"


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception: `text` is its type and message in one line, `trace` the whole traceback."""

    text: str
    place: Place | None
    trace: str

    def __str__(self) -> str:
        """Text and place in one line."""
        return f"{self.text} {self.place}" if self.place else self.text


def fault_of(error: BaseException, home: Path) -> Fault:
    """What to say of an exception; `home` is the release's directory."""
    text = " ".join(text_of(error).split())
    return Fault(text, _place(error, home), "".join(traceback.format_exception(error)))


def text_of(error: BaseException) -> str:
    """Type and message."""
    return f"{type(error).__name__}: {_message(error)}"


def _message(error: BaseException) -> str:
    try:
        return error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception as worse:  # noqa: BLE001 - an exception that cannot even say what it is, is told of all the same
        return f"its message cannot be had: {type(worse).__name__}"


def _place(error: BaseException, home: Path) -> Place | None:
    """The innermost frame of our own code, else the innermost of all; of wrong syntax, where it stands."""
    frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno or 0))
    return innermost(frames, home)


def innermost(frames: Sequence[tuple[str, int]], home: Path) -> Place | None:
    """Of (file, line) from the outermost call in: the last one of the release's own code, else the last."""
    ours = [frame for frame in frames if _is_ours(frame[0], home)]
    chosen = (ours or list(frames))[-1:]
    return next((Place(_shown(file, home), line) for file, line in chosen), None)


def place_written(lines: Sequence[str], home: Path) -> Place | None:
    """The place that a traceback in words tells of."""
    found = [match for line in lines for match in _WRITTEN_PLACE.findall(line)]
    return innermost([(file, int(line)) for file, line in found], home)


def place_of_frame(frame: FrameType | None, home: Path) -> Place | None:
    """Where a thread is just now."""
    frames = []
    while frame is not None:
        frames.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return innermost(frames[::-1], home)


def _is_ours(file: str, home: Path) -> bool:
    return Path(file).is_relative_to(home) and _OTHERS not in file


def _shown(file: str, home: Path) -> str:
    return str(Path(file).relative_to(home)) if Path(file).is_relative_to(home) else file


@dataclass(slots=True)
class Newest:
    """The newest fault of any script run, for who looks right after one."""

    home: Path
    _fault: Fault | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, error: BaseException) -> None:
        """A script raised."""
        fault = fault_of(error, self.home)
        with self._lock:
            self._fault = fault

    def take(self) -> Fault | None:
        """The newest since it was last taken."""
        with self._lock:
            fault, self._fault = self._fault, None
            return fault
