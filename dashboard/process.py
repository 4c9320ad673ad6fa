"""What this process knows of itself for its own pages: its release, its start, what its scripts raised last."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from dashboard.faults import fault_of


@dataclass(frozen=True, slots=True)
class ScriptError:
    """An exception of a page's script, by its type and our line of code: its message may tell of somebody's data."""

    at: datetime
    kind: str
    place: str


@dataclass(slots=True)
class Process:
    """One record for the whole process. Without a server (a test, `streamlit run`) it has not begun."""

    release: str = "dev"
    began: datetime | None = None
    errors: int = 0
    last_error: ScriptError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, release: str, now: datetime) -> None:
        """A server starts to serve that release."""
        with self._lock:
            self.release, self.began = release, now

    def failed(self, error: BaseException, home: Path, now: datetime) -> None:
        """A page's script raised; `home` is the release's directory."""
        place = fault_of(error, home).place
        ours = place if place and not Path(place.file).is_absolute() else None
        with self._lock:
            self.errors += 1
            self.last_error = ScriptError(now, type(error).__name__, f"{ours.file} line {ours.line}" if ours else "")


PROCESS: Final = Process()
