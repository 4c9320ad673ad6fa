"""The newest numbers on uptime that could be read, looked for in the background: no page ever waits for them."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dashboard.uptime_record import Record, record_of
from etl.errors import KpiOpsError, NothingPublished
from etl.store.beside import DocumentReader, open_document

log = logging.getLogger(__name__)

REFRESH_S: Final = 300.0  # checks come every half hour


@dataclass(frozen=True, slots=True)
class UptimeState:
    """What is known of the record. `record`: the last good one; `problem`: why the newest attempt failed, in one line.

    `absent`: the newest attempt found that none is published. All empty: no attempt has ended yet.
    """

    record: Record | None = None
    problem: str | None = None
    absent: bool = False

    @property
    def reading(self) -> bool:
        """Whether the first attempt has not ended yet."""
        return self.record is None and self.problem is None and not self.absent


class UptimeHolder:
    """Holds the last record that was sound; a thread looks for a newer one every `refresh_s` seconds."""

    def __init__(self, where: str, opened: Callable[[], DocumentReader], *, refresh_s: float = REFRESH_S) -> None:
        """Nothing is read before `start` or `refresh`; `opened` is asked there, for an S3 client takes its time."""
        self.where = where
        self._opened = opened
        self._refresh_s = refresh_s
        self._reader: DocumentReader | None = None
        self._etag: str | None = None
        self._state = UptimeState()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"uptime {where}", daemon=True)

    def state(self) -> UptimeState:
        """What is known now. Reads nothing itself."""
        return self._state

    def start(self) -> None:
        """Begin to read, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end; one that waits for an answer is left to die with the process."""
        self._stopping.set()

    def refresh(self) -> UptimeState:
        """Look once, and keep what was good if looking fails."""
        known = self._state.record
        try:
            self._state = UptimeState(self._newest(known))
        except NothingPublished:
            self._state, self._etag = UptimeState(absent=True), None
        except KpiOpsError as error:
            self._state = UptimeState(known, error.seen)
        except Exception as error:  # a bug must not end the thread in silence
            log.exception("reading %s failed", self.where)
            self._state = UptimeState(known, type(error).__name__)
        return self._state

    def _newest(self, known: Record | None) -> Record:
        self._reader = self._reader or self._opened()
        found = self._reader.read(self._etag if known else None)
        if found is None and known:
            return known
        if found is None:
            raise NothingPublished(f"there is no {self.where}", expected="a document", to_do="publish one")
        record = record_of(found.data, self.where)
        self._etag = found.etag
        return record

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            self._stopping.wait(self._refresh_s)


# --- one for the whole process ---------------------------------------------------------------------------------------

_shared: dict[tuple[str, str], UptimeHolder] = {}
_shared_lock = threading.Lock()


def shared_uptime(address: str, name: str) -> UptimeHolder:
    """The process's holder for the document `name` at an address, started on first use."""
    with _shared_lock:
        if (address, name) not in _shared:
            holder = UptimeHolder(f"{address.rstrip('/')}/{name}", lambda: open_document(address, name))
            holder.start()
            _shared[address, name] = holder
        return _shared[address, name]


def stop_shared_uptime() -> None:
    """Stop and forget every holder."""
    with _shared_lock:
        for holder in _shared.values():
            holder.stop()
        _shared.clear()
