"""The last good snapshot: what a failing store may and may not do to it."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import data
from dashboard.data import LastGood, load
from etl import contract
from etl.contract import ARTIFACTS, Artifact, ArtifactFile, Manifest, Source
from etl.errors import ContractError, DamagedArtifact, KpiOpsError, NothingPublished, SettingsError, StoreUnreachable
from etl.store import Current, DirectoryStore, sha256

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
VALUES = {
    "string": "x",
    "int64": 7,
    "float64": 0.5,
    "bool": True,
    "date": date(2011, 12, 9),
    "timestamp": datetime(2011, 12, 9, 12, 50),
}


def table(artifact: str, rows: int) -> pa.Table:
    columns = ARTIFACTS[artifact]
    return pa.table({column.name: pa.array([VALUES[column.type]] * rows, ARROW[column.type]) for column in columns})


def parquet(made: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(made, sink)
    return sink.getvalue()


def artifact_file(key: str, content: bytes, rows: int) -> ArtifactFile:
    return ArtifactFile(key=key, sha256=sha256(content), bytes=len(content), rows=rows)


@dataclass
class Shop:
    """A store in memory: what is published, and what goes wrong when it is asked."""

    rows: int = 3
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[KpiOpsError | Exception] = field(default_factory=list)
    damaged_reads: int = 0
    reads: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    manifest: Manifest | None = None
    where: str = "memory"

    def publish(self, *, rows: int = 3, at: datetime = NOON, **replaced: bytes) -> None:
        artifacts = {}
        for name in ARTIFACTS:
            content = replaced.get(name, parquet(table(name, rows)))
            self.files[f"{name}.parquet"] = content
            stored = artifact_file(f"{name}.parquet", content, rows)
            csv = artifact_file(f"{name}.csv", b"", rows)
            artifacts[name] = Artifact(columns=contract.columns_of(name), parquet=stored, csv=csv)
        self.manifest = Manifest(
            schema_version=contract.SCHEMA_VERSION,
            run_id=f"{at:%Y%m%dT%H%M%SZ}-{rows}",
            generated_at=at,
            data_from=date(2010, 12, 1),
            data_through=date(2011, 12, 9),
            currency="GBP",
            source=Source(layout="x", files=(), overlap_rows=0, duplicate_rows=0, duplicates_dropped=False),
            code_version="test",
            quarantine={},
            rows_in=rows,
            rows_kept=rows,
            artifacts=artifacts,
        )

    def current(self, known_etag: str | None = None) -> Current | None:
        self.asked.append(known_etag)
        if self.faults:
            raise self.faults.pop(0)
        if self.manifest is None:
            raise NothingPublished("there is no metadata.json", expected="one", to_do="publish")
        etag = sha256(self.manifest.to_json().encode())
        return None if etag == known_etag else Current(self.manifest, etag)

    def read(self, file: ArtifactFile) -> bytes:
        self.reads.append(file.key)
        content = self.files[file.key]
        if self.damaged_reads or sha256(content) != file.sha256:
            self.damaged_reads = max(0, self.damaged_reads - 1)
            raise DamagedArtifact(f"{file.key} is damaged", expected="its bytes", to_do="publish again")
        return content


@pytest.fixture
def shop() -> Shop:
    made = Shop()
    made.publish()
    return made


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


def holder(shop: Shop, clock: Callable[[], datetime] | None = None) -> LastGood:
    return LastGood(shop, refresh_s=60, clock=clock or Clock())


def away() -> StoreUnreachable:
    return StoreUnreachable("S3 answered 503", expected="an answer", to_do="wait")


def test_frames_have_whole_mills_and_real_dates(shop: Shop):
    snapshot = load(shop, None)
    assert snapshot.daily["net_sales"].tolist() == [7, 7, 7]
    assert snapshot.daily["net_sales"].dtype == "int64"
    assert pd.api.types.is_datetime64_dtype(snapshot.daily["date"])
    assert [len(frame) for frame in (snapshot.products, snapshot.rfm, snapshot.cohorts)] == [3, 3, 3]
    assert shop.reads == [f"{name}.parquet" for name in data.SHOWN]


def test_an_unchanged_snapshot_costs_one_conditional_question(shop: Shop):
    held = holder(shop)
    first = held.refresh().snapshot
    shop.reads.clear()
    assert held.refresh().snapshot is first
    assert shop.reads == []
    assert shop.asked == [None, first.etag if first else ""]


def test_a_new_run_of_the_same_bytes_is_served_without_reading_them_again(shop: Shop):
    held = holder(shop)
    held.refresh()
    shop.reads.clear()
    shop.publish(at=NOON + timedelta(hours=24))
    snapshot = held.refresh().snapshot
    assert snapshot is not None
    assert snapshot.manifest.generated_at == NOON + timedelta(hours=24)
    assert shop.reads == []


def test_an_away_store_keeps_the_last_good_data_with_reason_and_since_when(shop: Shop):
    clock = Clock()
    held = holder(shop, clock)
    good = held.refresh().snapshot
    shop.faults = [away(), away()]
    clock.now = NOON + timedelta(minutes=1)
    held.refresh()
    clock.now = NOON + timedelta(minutes=2)
    state = held.refresh()
    assert state.snapshot is good
    assert state.problem is not None
    assert (state.problem.reason, state.problem.since) == ("S3 answered 503", NOON + timedelta(minutes=1))


def test_the_problem_is_forgotten_when_the_store_answers_again(shop: Shop):
    held = holder(shop)
    held.refresh()
    shop.faults = [away()]
    assert held.refresh().problem is not None
    assert held.refresh().problem is None


def test_a_file_that_changed_between_manifest_and_read_is_tried_once_more_with_a_new_manifest(shop: Shop):
    shop.damaged_reads = 1
    assert load(shop, None).manifest is shop.manifest
    assert shop.asked == [None, None]


def test_a_file_that_stays_damaged_is_a_problem_not_an_endless_loop(shop: Shop):
    held = holder(shop)
    good = held.refresh().snapshot
    shop.publish(rows=4)
    shop.files["rfm.parquet"] = b"half a fi"
    state = held.refresh()
    assert state.snapshot is good
    assert isinstance(state.problem.error if state.problem else None, DamagedArtifact)
    assert shop.asked[1:] == [good.etag if good else "", None]


def test_nothing_published_is_a_problem_without_a_snapshot():
    state = holder(Shop()).refresh()
    assert state.snapshot is None
    assert isinstance(state.problem.error if state.problem else None, NothingPublished)


def test_a_removed_snapshot_is_still_served(shop: Shop):
    held = holder(shop)
    good = held.refresh().snapshot
    shop.manifest = None
    assert held.refresh().snapshot is good


def test_a_bug_in_reading_is_told_as_a_problem_and_the_thread_lives_on(shop: Shop, caplog: pytest.LogCaptureFixture):
    held = holder(shop)
    shop.faults = [ZeroDivisionError("oh")]
    state = held.refresh()
    assert state.problem is not None
    assert state.problem.reason == "ZeroDivisionError: oh"
    assert "Traceback" in caplog.text
    assert held.refresh().snapshot is not None


def without(name: str, column: str) -> bytes:
    return parquet(table(name, 3).drop_columns([column]))


def with_column(name: str, column: str, values: pa.Array) -> bytes:
    made = table(name, 3)
    return parquet(made.set_column(made.column_names.index(column), column, values))


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"not parquet", "rfm.parquet is not readable Parquet"),
        (without("rfm", "segment"), "rfm.parquet has columns"),
        (with_column("rfm", "monetary", pa.array([1.0, 2.0, 3.0])), "rfm.parquet has monetary as double"),
        (
            with_column("rfm", "segment", pa.array(["a", None, None])),
            "rfm.parquet has 2 rows without segment",
        ),
        (parquet(table("rfm", 2)), "rfm.parquet has 2 rows"),
    ],
    ids=["no parquet", "a column less", "floats for money", "missing values", "rows missing"],
)
def test_a_frame_that_is_not_what_the_contract_says_is_refused(shop: Shop, content: bytes, seen: str):
    shop.publish(rfm=content)
    with pytest.raises(ContractError) as caught:
        load(shop, None)
    assert str(caught.value).startswith(seen)


def test_missing_values_are_fine_where_the_contract_allows_them(shop: Shop):
    shop.publish(rfm=with_column("rfm", "country", pa.array([None, "x", None], pa.large_string())))
    assert load(shop, None).rfm["country"].isna().sum() == 2


def test_the_thread_reads_at_once_looks_again_and_stops_at_once(shop: Shop):
    held = LastGood(shop, refresh_s=0.01, clock=Clock())
    assert held.state().snapshot is None
    held.start()
    assert held.state(wait_s=10).snapshot is not None
    for _ in range(1000):
        if len(shop.asked) > 2:
            break
        Event().wait(0.01)
    held.stop()
    assert len(shop.asked) > 2
    assert not held._thread.is_alive()


def test_waiting_for_the_first_attempt_is_bounded():
    assert LastGood(Shop(), refresh_s=60, clock=Clock()).state(wait_s=0.01) == data.State()


def test_a_process_has_one_holder_for_each_store(tmp_path: Path):
    try:
        held = data.shared(str(tmp_path), 60)
        assert data.shared(str(tmp_path), 60) is held
        assert held.where == DirectoryStore(tmp_path).where
        problem = held.state(wait_s=10).problem
        assert isinstance(problem.error if problem else None, NothingPublished)
        with pytest.raises(SettingsError):
            data.shared("ftp://somewhere", 60)
    finally:
        data.stop_shared()
    assert not held._thread.is_alive()
