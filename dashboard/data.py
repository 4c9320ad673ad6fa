"""The last good snapshot, refreshed in the background. What fails here is told, and what was good is kept."""

import io
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from etl.contract import ARTIFACTS, LATER_ARTIFACTS, ArtifactFile, Column, ColumnType, Manifest
from etl.errors import ContractError, KpiOpsError
from etl.store import SnapshotCache, SnapshotReader, Whole, cache_of, nothing_at_hand, open_reader, whole

if TYPE_CHECKING:  # pandas and pyarrow take half a second; the server should listen first
    import pandas as pd

log = logging.getLogger(__name__)

SHOWN: Final = ("daily_kpis", "top_products", "rfm", "cohorts", "product_months", "sample_kpis")
REPEATED: Final[Mapping[str, Sequence[str]]] = {
    "product_months": ("sku",)
}  # a name for each of many rows: as categories
RUNS_REMEMBERED: Final = 50
FIRST_LOAD_WAIT_S: Final = 20.0
_STOP_WAIT_S: Final = 1.0
_ARROW_NAMES: Final[Mapping[ColumnType, tuple[str, ...]]] = {
    "string": ("string", "large_string", "string_view"),
    "int64": ("int64",),
    "float64": ("double",),
    "bool": ("bool",),
    "date": ("date32[day]",),
    "timestamp": ("timestamp[s]", "timestamp[ms]", "timestamp[us]", "timestamp[ns]"),
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One published run: its manifest and the frames that pages show. Shared by all sessions: never change a frame.

    Frames have the columns of `etl.contract`; money is int64 mills, days are datetime64.
    """

    manifest: Manifest
    etag: str
    frames: "Mapping[str, pd.DataFrame]"

    @property
    def daily(self) -> "pd.DataFrame":
        """daily_kpis."""
        return self.frames["daily_kpis"]

    @property
    def products(self) -> "pd.DataFrame":
        """top_products."""
        return self.frames["top_products"]

    @property
    def rfm(self) -> "pd.DataFrame":
        """One row for each customer."""
        return self.frames["rfm"]

    @property
    def cohorts(self) -> "pd.DataFrame":
        """One row for each cohort and month since."""
        return self.frames["cohorts"]

    @property
    def product_months(self) -> "pd.DataFrame":
        """One row for each product and month; none where an earlier release published. `sku` is a category."""
        return self.frames["product_months"]

    @property
    def sample(self) -> "pd.DataFrame":
        """The first kept lines, for quality assurance."""
        return self.frames["sample_kpis"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the newest attempt to read the store failed, and since when attempts fail."""

    error: Exception
    since: datetime

    @property
    def reason(self) -> str:
        """What was seen, in one line."""
        return self.error.seen if isinstance(self.error, KpiOpsError) else f"{type(self.error).__name__}: {self.error}"


@dataclass(frozen=True, slots=True)
class State:
    """What is known of the store. Both None: the first attempt has not ended yet."""

    snapshot: Snapshot | None = None
    problem: Problem | None = None


class LastGood:
    """Holds the last snapshot that was read whole; a thread looks for a newer one every `refresh_s` seconds."""

    def __init__(
        self,
        reader: SnapshotReader,
        *,
        refresh_s: float,
        clock: Callable[[], datetime],
        cache: SnapshotCache | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is read before `start` or `refresh`. `clock` gives aware times; `sleep` waits between two tries."""
        self.where = reader.where
        self._reader = reader
        self._refresh_s = refresh_s
        self._clock = clock
        self._cache = cache
        self._sleep = sleep
        self._state = State()
        self._runs: deque[Manifest] = deque(maxlen=RUNS_REMEMBERED)
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"refresh {self.where}", daemon=True)

    def state(self, wait_s: float = 0) -> State:
        """What is known now; waits up to `wait_s` for the first attempt to end. Reads nothing itself."""
        if wait_s:
            self._tried.wait(wait_s)
        return self._state

    def runs(self) -> Sequence[Manifest]:
        """The runs that were served since this process began, newest first; no more than RUNS_REMEMBERED."""
        return tuple(self._runs)

    def start(self) -> None:
        """Begin to read, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; one that is waiting for an answer of the store is left to die with the process."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WAIT_S)

    def refresh(self) -> State:
        """Look once, and keep what was good if looking fails."""
        if not self._tried.is_set():
            self._serve(self._kept())
        good = self._state.snapshot
        try:
            newer = load(self._reader, good, self._cache, sleep=self._sleep)
        except KpiOpsError as error:
            self._state = State(good, self._problem(error))
        except Exception as error:  # a bug must not end the thread in silence: the page would grow old unsaid
            log.exception("refreshing from %s failed", self.where)
            self._state = State(good, self._problem(error))
        else:
            if newer is not good:
                log.info("serving run=%s from %s", newer.manifest.run_id, self.where)
            self._serve(newer)
        self._tried.set()
        return self._state

    def _serve(self, snapshot: Snapshot | None) -> None:
        if snapshot and (not self._runs or self._runs[0].run_id != snapshot.manifest.run_id):
            self._runs.appendleft(snapshot.manifest)
        self._state = State(snapshot)

    def _kept(self) -> Snapshot | None:
        """What this machine keeps of the store: the last good snapshot until a look has ended well.

        A store that does not answer at all lets the first look take a minute, and nobody has to wait that long.
        """
        try:
            kept = self._cache.last(lambda manifest: _shown(manifest).values()) if self._cache else None
            snapshot = _snapshot(kept, None) if kept else None
        except KpiOpsError as error:
            log.warning("what is kept of %s cannot be used: %s", self.where, error)
        except Exception:  # as in refresh: the store may well be read all the same
            log.exception("reading what is kept of %s failed", self.where)
        else:
            if snapshot:
                log.info("serving run=%s as it was kept of %s", snapshot.manifest.run_id, self.where)
            return snapshot
        return None

    def _problem(self, error: Exception) -> Problem:
        known = self._state.problem
        if known is None or known.reason != Problem(error, known.since).reason:
            log.warning("reading %s: %s", self.where, error)
        return Problem(error, known.since if known else self._clock())

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            self._stopping.wait(self._refresh_s)


# --- reading ----------------------------------------------------------------------------------------------------------


def load(
    reader: SnapshotReader,
    known: Snapshot | None,
    cache: SnapshotCache | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Snapshot:
    """The published snapshot: `known` itself if it still is that one. Raises KpiOpsError.

    What of it is in `known` or in the cache is not downloaded; what was read whole is kept in the cache.
    """

    def wanted(manifest: Manifest) -> list[ArtifactFile]:
        return [file for name, file in _shown(manifest).items() if _unchanged(known, name, file) is None]

    at_hand = cache.read if cache else nothing_at_hand
    newer = whole(reader, wanted, known.etag if known else None, at_hand=at_hand, sleep=sleep)
    if newer is None:
        return cast("Snapshot", known)  # only who sends an ETag can be told that nothing is newer
    snapshot = _snapshot(newer, known)
    if cache:
        cache.keep(newer)
    return snapshot


def _shown(manifest: Manifest) -> dict[str, ArtifactFile]:
    return {name: manifest.artifacts[name].parquet for name in SHOWN if name in manifest.artifacts}


def _unchanged(known: Snapshot | None, name: str, file: ArtifactFile) -> "pd.DataFrame | None":
    """The frame of `known`, where it was made of the same bytes."""
    before = known.manifest.artifacts.get(name) if known else None
    return known.frames[name] if known and before and before.parquet.sha256 == file.sha256 else None


def _snapshot(read: Whole, known: Snapshot | None) -> Snapshot:
    """Every frame, checked; those whose bytes were not read are those of `known`."""
    frames = {name: _without_rows(name) for name in LATER_ARTIFACTS - read.current.manifest.artifacts.keys()}
    for name, file in _shown(read.current.manifest).items():
        same = _unchanged(known, name, file)
        frames[name] = frame(name, read.files[file.sha256], file.rows) if same is None else same
    return Snapshot(read.current.manifest, read.current.etag, frames)


def frame(name: str, parquet: bytes, rows: int) -> "pd.DataFrame":
    """One artifact as a frame. Raises ContractError when it is not what the contract or the manifest says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(parquet)).read(use_threads=False)  # read_table loads 5 MB of pyarrow.dataset
    except (pa.ArrowException, OSError) as error:
        raise _broken(name, f"is not readable Parquet: {error}", "a Parquet file") from error
    _check(name, table, rows)
    return _as_frame(name, table)


def _without_rows(name: str) -> "pd.DataFrame":
    """What stands for an artifact that an earlier release did not publish."""
    import pyarrow as pa

    kinds = {"string": pa.string(), "int64": pa.int64(), "date": pa.date32()}
    return _as_frame(name, pa.table({column.name: pa.array([], kinds[column.type]) for column in ARTIFACTS[name]}))


def _as_frame(name: str, table: Any) -> "pd.DataFrame":
    made: pd.DataFrame = table.to_pandas(date_as_object=False, use_threads=False, categories=REPEATED.get(name, ()))
    return made


def _check(name: str, table: Any, rows: int) -> None:
    columns = ARTIFACTS[name]
    if table.column_names != [column.name for column in columns]:
        raise _broken(name, f"has columns {table.column_names}", f"{[column.name for column in columns]}")
    for column in columns:
        _check_column(name, column, table)
    if table.num_rows != rows:
        raise _broken(name, f"has {table.num_rows:,} rows", f"{rows:,} rows, as the manifest says")


def _check_column(name: str, column: Column, table: Any) -> None:
    values = table.column(column.name)
    if str(values.type) not in _ARROW_NAMES[column.type]:
        raise _broken(name, f"has {column.name} as {values.type}", f"{column.type}")
    if values.null_count and not column.nullable:
        raise _broken(name, f"has {values.null_count:,} rows without {column.name}", f"a {column.name} in every row")


def _broken(name: str, seen: str, expected: str) -> ContractError:
    return ContractError(
        f"{name}.parquet {seen}",
        expected=expected,
        to_do="publish again with the release that this dashboard runs: `fab etl-sync`",
    )


# --- one for the whole process ----------------------------------------------------------------------------------------

_shared: dict[str, LastGood] = {}
_shared_lock = threading.Lock()


def shared(address: str, refresh_s: float, cache: str = "") -> LastGood:
    """The process's holder for a store, started on first use; `cache`: a directory for what it keeps of S3, or "".

    Raises SettingsError for an address of unknown form.
    """
    with _shared_lock:
        if address not in _shared:
            reader = open_reader(address)
            holder = LastGood(reader, refresh_s=refresh_s, clock=_utc_now, cache=cache_of(reader, cache))
            holder.start()
            _shared[address] = holder
        return _shared[address]


def stop_shared() -> None:
    """Stop and forget every holder."""
    with _shared_lock:
        for holder in _shared.values():
            holder.stop()
        _shared.clear()


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the thread of a server is a door: nobody is above it to pass a clock
