"""The last good snapshot: what a failing store may and may not do to it."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, Protocol
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import data
from dashboard.data import LastGood, load
from etl import contract
from etl.contract import ARTIFACTS, Artifact, ArtifactFile, Manifest, Source
from etl.errors import ContractError, DamagedArtifact, KpiOpsError, NothingPublished, SettingsError, StoreUnreachable
from etl.store import Current, DirectoryStore, Held, Run, S3Store, SnapshotCache, SnapshotReader, Whole, publish, sha256

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
            self.files[f"{name}.csv"] = b""
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

    def held(self, file: ArtifactFile, *, newest: bool = False) -> Held | None:
        raise NotImplementedError


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


def holder(
    reader: SnapshotReader, clock: Callable[[], datetime] | None = None, cache: SnapshotCache | None = None
) -> LastGood:
    return LastGood(reader, refresh_s=60, clock=clock or Clock(), cache=cache, sleep=no_sleep)


def no_sleep(_: float) -> None:
    pass


@pytest.fixture
def cache(tmp_path: Path) -> SnapshotCache:
    return SnapshotCache(tmp_path / "cache" / "of-this-store")


def away() -> StoreUnreachable:
    return StoreUnreachable("S3 answered 503", expected="an answer", to_do="wait")


def test_frames_have_whole_mills_and_real_dates(shop: Shop):
    snapshot = load(shop, None)
    assert snapshot.daily["net_sales"].tolist() == [7, 7, 7]
    assert snapshot.daily["net_sales"].dtype == "int64"
    assert pd.api.types.is_datetime64_dtype(snapshot.daily["date"])
    assert [len(frame) for frame in (snapshot.products, snapshot.rfm, snapshot.cohorts)] == [3, 3, 3]
    assert shop.reads == [f"{name}.parquet" for name in data.SHOWN]


def test_what_an_earlier_release_did_not_publish_has_no_rows_until_it_is_published_anew(shop: Shop):
    held = holder(shop)
    assert shop.manifest is not None
    fewer = {name: artifact for name, artifact in shop.manifest.artifacts.items() if name != "product_months"}
    shop.manifest = shop.manifest.model_copy(update={"artifacts": fewer})
    earlier = held.refresh().snapshot
    shop.publish(at=NOON + timedelta(hours=24))
    later = held.refresh().snapshot
    assert earlier is not None
    assert later is not None
    assert (len(earlier.product_months), len(later.product_months)) == (0, 3)
    assert [str(kind) for kind in earlier.product_months.dtypes] == [str(kind) for kind in later.product_months.dtypes]


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


def test_a_file_that_changed_between_manifest_and_read_is_tried_again_with_a_new_manifest(shop: Shop):
    for damaged in (1, 2):
        shop.damaged_reads, shop.asked = damaged, []
        assert load(shop, None, sleep=no_sleep).manifest is shop.manifest
        assert shop.asked == [None] * (damaged + 1)


def test_a_file_that_stays_damaged_is_a_problem_not_an_endless_loop(shop: Shop):
    held = holder(shop)
    good = held.refresh().snapshot
    shop.publish(rows=4)
    shop.files["rfm.parquet"] = b"half a fi"
    state = held.refresh()
    assert state.snapshot is good
    assert isinstance(state.problem.error if state.problem else None, DamagedArtifact)
    assert shop.asked[1:] == [good.etag if good else "", None, None]


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


def only_changed(shop: Shop, name: str, at: datetime) -> None:
    """Publish a run in which one artifact alone has other bytes."""
    shop.publish(at=at, **{name: pq_with_other_bytes(name)})


def pq_with_other_bytes(name: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(name, 3), sink, compression="none")
    return sink.getvalue()


def test_of_a_run_with_one_changed_artifact_only_that_one_is_read_and_parsed(shop: Shop):
    held = holder(shop)
    first = held.refresh().snapshot
    shop.reads.clear()
    only_changed(shop, "rfm", NOON + timedelta(hours=24))
    second = held.refresh().snapshot
    assert first is not None
    assert second is not None
    assert shop.reads == ["rfm.parquet"]
    assert {name for name in data.SHOWN if second.frames[name] is first.frames[name]} == set(data.SHOWN) - {"rfm"}


# --- what this machine keeps ------------------------------------------------------------------------------------------


def test_a_process_that_starts_while_the_store_is_away_shows_what_the_one_before_it_kept(
    shop: Shop, cache: SnapshotCache
):
    holder(shop, cache=cache).refresh()
    clock = Clock(NOON + timedelta(hours=3))
    shop.faults = [away(), away()]
    held = holder(shop, clock, cache)
    for minutes in (0, 1):
        clock.now = NOON + timedelta(hours=3, minutes=minutes)
        state = held.refresh()
        assert state.snapshot is not None
        assert state.snapshot.manifest == shop.manifest
        assert state.snapshot.daily["net_sales"].tolist() == [7, 7, 7]
        assert state.problem is not None
        assert (state.problem.reason, state.problem.since) == ("S3 answered 503", NOON + timedelta(hours=3))


@pytest.mark.parametrize(
    "fault",
    [
        NothingPublished("there is no metadata.json", expected="one", to_do="publish"),
        ContractError("metadata.json is no manifest", expected="one", to_do="publish"),
        DamagedArtifact("rfm.parquet is damaged", expected="its bytes", to_do="publish"),
        ZeroDivisionError("a bug"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_whatever_keeps_the_first_look_from_a_snapshot_what_was_kept_is_shown(
    shop: Shop, cache: SnapshotCache, fault: Exception
):
    holder(shop, cache=cache).refresh()
    shop.faults = [fault]
    state = holder(shop, cache=cache).refresh()
    assert state.snapshot is not None
    assert state.problem is not None
    assert state.problem.error is fault


def test_when_the_store_is_back_it_is_asked_whether_it_still_is_what_was_kept(shop: Shop, cache: SnapshotCache):
    kept = holder(shop, cache=cache).refresh().snapshot
    held = holder(shop, cache=cache)
    shop.faults = [away()]
    shown = held.refresh().snapshot
    shop.reads.clear()
    shop.asked.clear()
    assert held.refresh() == data.State(shown)
    assert (shop.asked, shop.reads) == ([kept.etag if kept else ""], [])


def test_what_was_kept_is_there_while_the_first_look_at_a_store_that_does_not_answer_lasts(
    shop: Shop, cache: SnapshotCache
):
    holder(shop, cache=cache).refresh()
    looking, answer = Event(), Event()

    class Slow(Shop):
        def current(self, known_etag: str | None = None) -> Current | None:
            looking.set()
            answer.wait(10)
            return super().current(known_etag)

    held = holder(Slow(faults=[away()]), cache=cache)
    held.start()
    assert looking.wait(10)
    state = held.state()
    answer.set()
    held.stop()
    assert state.snapshot is not None
    assert state.snapshot.manifest == shop.manifest
    assert state.problem is None


def test_a_kept_snapshot_that_is_not_what_this_release_shows_is_passed_over(
    shop: Shop, cache: SnapshotCache, caplog: pytest.LogCaptureFixture
):
    shop.publish(rfm=without("rfm", "segment"))
    assert shop.manifest is not None
    files = {file.sha256: shop.files[file.key] for a in shop.manifest.artifacts.values() for file in a.files.values()}
    cache.keep(Whole(Current(shop.manifest, "etag"), files))
    shop.faults = [away()]
    state = holder(shop, cache=cache).refresh()
    assert state.snapshot is None
    assert state.problem is not None
    assert "what is kept of memory cannot be used: rfm.parquet has columns" in caplog.text
    shop.publish()
    assert holder(shop, cache=cache).refresh().problem is None


def test_a_snapshot_that_cannot_be_shown_is_not_kept(shop: Shop, cache: SnapshotCache):
    good = holder(shop, cache=cache).refresh().snapshot
    shop.publish(rfm=without("rfm", "segment"))
    holder(shop, cache=cache).refresh()
    shop.faults = [away()]
    state = holder(shop, cache=cache).refresh()
    assert good is not None
    assert state.snapshot is not None
    assert state.snapshot.manifest == good.manifest


def test_nothing_is_kept_where_no_cache_is_wanted(shop: Shop):
    shop.faults = [away()]
    assert holder(shop).refresh().snapshot is None


# --- what S3 is asked for ---------------------------------------------------------------------------------------------


class NewBucket(Protocol):
    def __call__(self, *, versioned: bool = True) -> S3Store: ...


def published(store: S3Store, shop: Shop) -> None:
    assert shop.manifest is not None
    publish(store, Run(shop.manifest, shop), store.published(), now=NOON)


def recorded(store: S3Store) -> list[tuple[str, bool, int]]:
    """What is asked of S3 from now on: the method and the key's name, whether on a condition, the status."""
    sent: list[tuple[str, bool]] = []
    asked: list[tuple[str, bool, int]] = []

    def sending(request: Any, **_: object) -> None:
        name = urlsplit(request.url).path.rpartition("/")[2]
        sent.append((f"{request.method} {name}", "If-None-Match" in request.headers))

    def received(response_dict: Any, **_: object) -> None:
        asked.append((*sent[-1], response_dict["status_code"]))

    store.client.meta.events.register("before-send.s3", sending)
    store.client.meta.events.register("response-received.s3", received)
    return asked


def test_a_poll_of_an_unchanged_snapshot_is_one_conditional_request_answered_with_304(
    new_bucket: NewBucket, shop: Shop, cache: SnapshotCache
):
    store = new_bucket()
    published(store, shop)
    held = holder(store, cache=cache)
    held.refresh()
    asked = recorded(store)
    held.refresh()
    held.refresh()
    assert asked == [("GET metadata.json", True, 304)] * 2


def test_of_a_new_run_on_s3_only_what_changed_is_downloaded(new_bucket: NewBucket, shop: Shop, cache: SnapshotCache):
    store = new_bucket()
    published(store, shop)
    held = holder(store, cache=cache)
    held.refresh()
    only_changed(shop, "top_products", NOON + timedelta(hours=24))
    published(store, shop)
    asked = recorded(store)
    assert held.refresh().problem is None
    assert asked == [("GET metadata.json", True, 200), ("GET top_products.parquet", False, 200)]
    asked.clear()
    assert holder(store, cache=cache).refresh().problem is None
    assert [what for what, *_ in asked] == ["GET metadata.json"]


def test_after_a_restart_nothing_but_metadata_json_is_asked_for(
    new_bucket: NewBucket, shop: Shop, cache: SnapshotCache
):
    store = new_bucket()
    published(store, shop)
    first = holder(store, cache=cache).refresh().snapshot
    asked = recorded(store)
    state = holder(store, cache=cache).refresh()
    assert asked == [("GET metadata.json", True, 304)]
    assert (state.snapshot.manifest if state.snapshot else None) == (first.manifest if first else 0)
    shop.publish(at=NOON + timedelta(hours=24))  # calculated again, with the same result
    published(store, shop)
    asked.clear()
    assert holder(store, cache=cache).refresh().problem is None
    assert asked == [("GET metadata.json", True, 200)]


def test_a_cache_that_was_damaged_costs_a_download_and_nothing_else(
    new_bucket: NewBucket, shop: Shop, cache: SnapshotCache
):
    store = new_bucket()
    published(store, shop)
    holder(store, cache=cache).refresh()
    (cache.directory / sha256(shop.files["rfm.parquet"])).write_bytes(b"PAR1 nothing of the kind PAR1")
    asked = recorded(store)
    state = holder(store, cache=cache).refresh()
    assert state.problem is None
    assert [what for what, *_ in asked] == ["GET metadata.json", "GET rfm.parquet"]
    asked.clear()
    holder(store, cache=cache).refresh()
    assert [what for what, *_ in asked] == ["GET metadata.json"]


def test_in_a_bucket_without_versions_somebody_who_publishes_meanwhile_is_waited_for(
    new_bucket: NewBucket, shop: Shop, cache: SnapshotCache
):
    store = new_bucket(versioned=False)
    published(store, shop)
    held = holder(store, cache=cache)
    held.refresh()
    shop.publish(rows=4, at=NOON + timedelta(hours=1))
    published(store, shop)
    newest = Shop()
    newest.publish(rows=5, at=NOON + timedelta(hours=2))
    client = store.client

    def publishing(request: Any, **_: object) -> None:
        if "rfm" in request.url:
            client.meta.events.unregister("before-send.s3.GetObject", publishing)
            published(store, newest)

    client.meta.events.register("before-send.s3.GetObject", publishing)
    state = held.refresh()
    assert state.problem is None
    assert state.snapshot is not None
    assert state.snapshot.manifest.rows_in == 5
    assert {len(frame) for frame in state.snapshot.frames.values()} == {5}
    assert cache.last(lambda manifest: [manifest.artifacts["rfm"].parquet]) is not None


# --- frames -----------------------------------------------------------------------------------------------------------


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


def test_a_process_keeps_what_it_reads_from_s3_where_the_settings_say(
    new_bucket: NewBucket, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = new_bucket()
    published(store, shop)
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.client.meta.endpoint_url)
    monkeypatch.chdir(tmp_path)
    try:
        assert data.shared(store.where, 60, "data/cache").state(wait_s=10).snapshot is not None
        data.stop_shared()
        (place,) = (tmp_path / "data" / "cache").iterdir()
        assert (place / "last").exists()
        assert data.shared(str(tmp_path), 60, "data/other").state(wait_s=10).problem is not None
        assert not (tmp_path / "data" / "other").exists()
    finally:
        data.stop_shared()


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
