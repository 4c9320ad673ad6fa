"""Whether the pages' script ran through, kept for the readiness route: one record for the whole process."""

import threading
from dataclasses import dataclass, field

from dashboard.faults import text_of


@dataclass(slots=True)
class ScriptHealth:
    """The newest outcome of a script run."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _error: str | None = None

    def failed(self, error: BaseException) -> None:
        """A run raised."""
        with self._lock:
            self._error = text_of(error)

    def passed(self) -> None:
        """A run came to its end."""
        with self._lock:
            self._error = None

    @property
    def last_error(self) -> str | None:
        """Type and message of the newest run's error; None when it was good, or before the first."""
        with self._lock:
            return self._error


SCRIPT = ScriptHealth()
