"""What a reader keeps on this machine, and how little it asks a store for: never a wrong byte, never an error."""

import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl.errors import DamagedArtifact
from etl.store import (
    Current,
    DirectoryStore,
    Run,
    S3Store,
    SnapshotCache,
    Whole,
    cache_of,
    publish,
    sha256,
    whole,
)

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
SHOWN = ("daily_kpis", "rfm")


@pytest.fixture
def local(sample_snapshot_dir):
    return DirectoryStore(sample_snapshot_dir)


@pytest.fixture
def other(shop, snapshot_of, tmp_path):
    """Another shop's snapshot: its store."""
    snapshot_of([shop(("1", "A", "THING", 1, "2026-03-02", "10", "7", "UK"))], tmp_path / "other")
    return DirectoryStore(tmp_path / "other")


@pytest.fixture
def cache(tmp_path):
    return SnapshotCache(tmp_path / "cache" / "of-this-store")


def wanted(manifest):
    return [manifest.artifacts[name].parquet for name in SHOWN]


def everything(manifest):
    return manifest.files


def no_sleep(_seconds):
    pass


def made_up(local, number):
    """A snapshot that never was: the manifest of a real one, with files of other bytes."""
    current = local.current()
    artifacts = dict(current.manifest.artifacts)
    files = {}
    for name in SHOWN:
        data = f"{name} of run {number}".encode()
        files[sha256(data)] = data
        update = {"sha256": sha256(data), "bytes": len(data)}
        parquet = artifacts[name].parquet.model_copy(update=update)
        artifacts[name] = artifacts[name].model_copy(update={"parquet": parquet})
    manifest = current.manifest.model_copy(update={"run_id": f"run-{number}", "artifacts": artifacts})
    return Whole(Current(manifest, f'"etag-{number}"'), files)


def names(cache):
    """What is in the cache, but for the lock."""
    return {path.name for path in cache.directory.iterdir()} - {".lock"}


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "etl.store.cache"]


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_what_was_kept_is_the_last_whole_snapshot_with_its_etag(cache, local):
    kept = whole(local, wanted)
    cache.keep(kept)
    assert cache.last(wanted) == kept
    assert SnapshotCache(cache.directory).last(wanted) == kept


def test_a_snapshot_of_which_a_wanted_file_is_not_kept_is_not_whole(cache, local):
    cache.keep(whole(local, wanted))
    assert cache.last(everything) is None


def test_an_empty_cache_holds_nothing_and_says_nothing(cache, local, caplog):
    assert cache.last(wanted) is None
    assert cache.read(wanted(local.current().manifest)[0]) is None
    assert warnings(caplog) == []
    assert not cache.directory.exists()


def test_files_are_named_by_their_hash_and_nobody_else_may_read_them(cache, local):
    mask = os.umask(0)
    try:
        cache.keep(whole(local, wanted))
    finally:
        os.umask(mask)
    kept = [path for path in cache.directory.iterdir() if path.name not in {"last", ".lock"}]
    assert len(kept) == len(SHOWN) + 1  # and the record
    assert all(path.name == sha256(path.read_bytes()) for path in kept)
    assert {path.stat().st_mode & 0o777 for path in cache.directory.iterdir()} == {0o600}
    assert [path.stat().st_mode & 0o777 for path in (cache.directory, cache.directory.parent)] == [0o700, 0o700]


def test_only_the_current_and_the_previous_snapshot_are_kept(cache, local):
    for number in range(5):
        cache.keep(made_up(local, number))
    assert cache.last(wanted) == made_up(local, 4)
    files = {*made_up(local, 3).files, *made_up(local, 4).files}
    assert files <= names(cache)
    assert len(names(cache)) == len(files) + 3  # two records, and the names of both


def test_files_that_did_not_change_are_those_of_the_snapshot_before(cache, local):
    before = whole(local, wanted)
    cache.keep(before)
    later = before.current.manifest.model_copy(update={"run_id": "later"})
    cache.keep(Whole(Current(later, "later"), {}))
    assert cache.last(wanted) == Whole(Current(later, "later"), before.files)


def test_going_back_to_an_earlier_run_makes_it_the_last_one(cache, local):
    for number in (1, 2, 1):
        cache.keep(made_up(local, number))
    assert cache.last(wanted) == made_up(local, 1)


def test_what_others_put_beside_it_is_left_alone(cache, local):
    cache.directory.mkdir(parents=True)
    (cache.directory / "notes.txt").write_text("mine")
    for number in range(3):
        cache.keep(made_up(local, number))
    assert (cache.directory / "notes.txt").read_text() == "mine"


def test_each_store_has_a_place_of_its_own_and_a_directory_needs_none(client_for, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here, there = client_for("http://127.0.0.1:1"), client_for("http://127.0.0.1:2")
    stores = [S3Store(here, "bucket", "a/"), S3Store(here, "bucket", "b/"), S3Store(there, "bucket", "a/")]
    places = [cache_of(store, "data/cache").directory for store in stores]
    assert len(set(places)) == 3
    assert {place.parent for place in places} == {tmp_path / "data" / "cache"}
    assert cache_of(S3Store(here, "bucket", "a/"), "data/cache").directory == places[0]
    assert cache_of(stores[0], "") is None
    assert cache_of(DirectoryStore(tmp_path), "data/cache") is None


# --- damage ----------------------------------------------------------------------------------------------------------


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def made_longer(path):
    path.write_bytes(path.read_bytes() + b"\n" * 10_000_000)


@pytest.mark.parametrize("harm", [damage, cut_short, empty, made_longer])
def test_a_damaged_file_is_dropped_never_served_and_kept_again_when_it_was_read_again(cache, local, harm, caplog):
    kept = whole(local, wanted)
    cache.keep(kept)
    file = wanted(kept.current.manifest)[0]
    harm(cache.directory / file.sha256)
    assert cache.read(file) is None
    assert not (cache.directory / file.sha256).exists()
    assert len(warnings(caplog)) == 1
    assert cache.last(wanted) is None
    again = Reads(local)
    found = whole(again, wanted, at_hand=cache.read)
    assert (found, again.reads) == (kept, [file.key])
    cache.keep(found)
    assert cache.last(wanted) == kept


def test_where_the_last_snapshot_is_damaged_the_one_before_is_the_last_good_one(cache, local):
    for number in (1, 2):
        cache.keep(made_up(local, number))
    damage(cache.directory / next(iter(made_up(local, 2).files)))
    assert cache.last(wanted) == made_up(local, 1)


@pytest.mark.parametrize("text", [b"", b"garbage\n", b"\xff" * 200, b"0" * 64 + b"\n", b"../../../etc/passwd\n"])
def test_a_list_of_snapshots_that_is_none_is_an_empty_cache(cache, local, text):
    cache.keep(made_up(local, 1))
    (cache.directory / "last").write_bytes(text)
    assert cache.last(wanted) is None
    cache.keep(made_up(local, 2))
    assert cache.last(wanted) == made_up(local, 2)
    assert len(names(cache)) == len(SHOWN) + 2


@pytest.mark.parametrize(
    "record", [b'etag\n{"schema_version": 2}', b"etag\n", b"", b"\xff\n{}", b"etag\n[" + b"[" * 100_000]
)
def test_a_record_that_this_release_cannot_read_is_passed_over(cache, local, record):
    cache.keep(made_up(local, 1))
    before = (cache.directory / "last").read_text()
    (cache.directory / sha256(record)).write_bytes(record)
    (cache.directory / "last").write_text(f"{sha256(record)}\n{before}")
    assert cache.last(wanted) == made_up(local, 1)
    cache.keep(made_up(local, 2))
    assert cache.last(wanted) == made_up(local, 2)


# --- a disk that does not do what it should ---------------------------------------------------------------------------


@pytest.mark.parametrize("in_the_way", ["cache", "cache/of-this-store"])
def test_a_cache_that_can_be_neither_written_nor_read_is_said_once_for_each_and_passed_over(
    cache, local, tmp_path, in_the_way, caplog
):
    (tmp_path / in_the_way).parent.mkdir(exist_ok=True)
    (tmp_path / in_the_way).write_text("a file")
    for _ in range(3):
        found = whole(local, wanted, at_hand=cache.read)
        cache.keep(found)
        assert cache.last(wanted) is None
    assert found == whole(local, wanted)
    said = warnings(caplog)
    assert len(said) == 2
    assert all(str(cache.directory) in line for line in said)
    assert [line.partition("passed over, ")[2].partition(":")[0] for line in said] == ["reading", "writing"]


def test_a_name_that_no_file_can_have_is_passed_over(tmp_path, local):
    cache = SnapshotCache(tmp_path / "a\0b")
    cache.keep(whole(local, wanted))
    assert cache.last(wanted) is None


def test_a_directory_in_the_place_of_a_file_is_passed_over(cache, local):
    kept = whole(local, wanted)
    file = wanted(kept.current.manifest)[0]
    (cache.directory / file.sha256).mkdir(parents=True)
    assert whole(local, wanted, at_hand=cache.read) == kept
    cache.keep(kept)
    assert cache.last(wanted) is None


def test_a_disk_that_is_full_takes_nothing_of_what_was_kept_and_holds_no_rest(cache, local, caplog):
    cache.keep(made_up(local, 1))
    before = names(cache)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))  # enough for the small files, not for the record
    try:
        cache.keep(made_up(local, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(warnings(caplog)) == 1
    assert names(cache) == before
    assert cache.last(wanted) == made_up(local, 1)
    cache.keep(made_up(local, 2))
    assert cache.last(wanted) == made_up(local, 2)


# --- two releases, one directory --------------------------------------------------------------------------------------


def test_while_another_process_keeps_a_snapshot_ours_waits_and_in_the_end_goes_without(cache, local, caplog):
    cache.keep(made_up(local, 1))
    waited = []
    with (cache.directory / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        SnapshotCache(cache.directory, sleep=waited.append).keep(made_up(local, 2))
        assert cache.last(wanted) == made_up(local, 1)

        def let_go(_seconds):
            fcntl.flock(lock, fcntl.LOCK_UN)

        SnapshotCache(cache.directory, sleep=let_go).keep(made_up(local, 3))
    assert 1 <= sum(waited) <= 5
    assert len(warnings(caplog)) == 1
    assert cache.last(wanted) == made_up(local, 3)


BUSY = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_etl_store_cache import made_up, wanted
from etl.store import DirectoryStore, SnapshotCache

cache, local = SnapshotCache(Path({cache!r})), DirectoryStore(Path({local!r}))
many = [made_up(local, number) for number in range(4)]
cache.keep(many[0])
print("begun", flush=True)
while True:
    for one in many[:: int(sys.argv[1])]:
        cache.keep(one)
        found = cache.last(wanted)
        if found is not None and found not in many:
            sys.exit("not one of ours")
"""


def busy(cache, local, step):
    """A process that keeps one snapshot after the other, until it is killed."""
    script = BUSY.format(tests=str(Path(__file__).parent), cache=str(cache.directory), local=str(local.path))
    return subprocess.Popen([sys.executable, "-c", script, str(step)], stdout=subprocess.PIPE, text=True)


def test_two_processes_share_a_cache_and_killed_at_any_time_leave_a_whole_snapshot(cache, local):
    many = [made_up(local, number) for number in range(4)]
    for round_s in (0.3, 0.5):
        processes = [busy(cache, local, 1), busy(cache, local, -1)]
        for process in processes:
            assert process.stdout.readline() == "begun\n"
        time.sleep(round_s)
        for process in processes:
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.communicate()
        assert cache.last(wanted) in many
    cache.keep(many[0])
    assert cache.last(wanted) == many[0]
    assert len(names(cache)) <= 2 * len(SHOWN) + 3


# --- how little is asked for ------------------------------------------------------------------------------------------


@dataclass
class Reads:
    """A store that counts which files are read, and lets something happen before one of them is."""

    store: DirectoryStore | S3Store
    before: dict[int, Callable[[], object]] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    @property
    def where(self):
        return self.store.where

    def current(self, known_etag=None):
        return self.store.current(known_etag)

    def read(self, file):
        self.before.get(len(self.reads), lambda: None)()
        self.reads.append(file.key)
        return self.store.read(file)

    def held(self, file, *, newest=False):
        return self.store.held(file, newest=newest)


def test_what_is_at_hand_is_not_read_from_the_store(cache, local):
    cache.keep(whole(local, wanted))
    counted = Reads(local)
    assert whole(counted, wanted, at_hand=cache.read) == whole(local, wanted)
    assert counted.reads == []


def test_who_knows_the_published_run_is_told_none_and_reads_nothing(local):
    counted = Reads(local)
    assert whole(counted, wanted, local.current().etag) is None
    assert counted.reads == []


@pytest.mark.parametrize("before_read", [0, 1])
def test_who_reads_a_bucket_without_versions_while_somebody_publishes_reads_the_new_run_whole(
    new_bucket, local, other, before_read
):
    store = new_bucket(versioned=False)
    publish(store, Run(local.current().manifest, local), store.published(), now=NOW)
    newer = other.current().manifest.model_copy(update={"generated_at": NOW, "run_id": "z"})
    mixed = Reads(store, {before_read: lambda: publish(store, Run(newer, other), store.published(), now=NOW)})
    found = whole(mixed, wanted, sleep=no_sleep)
    assert found.current.manifest.run_id == "z"
    assert found.files == {file.sha256: other.read(file) for file in wanted(newer)}
    assert len(mixed.reads) == before_read + 1 + len(SHOWN)


def test_files_that_are_newer_than_their_manifest_are_waited_for_and_good_ones_are_not_read_again(
    new_bucket, local, other
):
    store = new_bucket(versioned=False)
    publish(store, Run(local.current().manifest, local), store.published(), now=NOW)
    newer = other.current().manifest.model_copy(update={"generated_at": NOW, "run_id": "z"})
    rfm = newer.artifacts["rfm"].parquet
    store.put(
        "rfm.parquet", other.read(rfm), rfm.sha256, "application/vnd.apache.parquet", "z"
    )  # metadata.json is last
    waited = []

    def it_is_published_meanwhile(seconds):
        waited.append(seconds)
        publish(store, Run(newer, other), store.published(), now=NOW)

    counted = Reads(store)
    found = whole(counted, wanted, sleep=it_is_published_meanwhile)
    assert found.current.manifest.run_id == "z"
    assert found.files == {file.sha256: other.read(file) for file in wanted(newer)}
    assert waited == [1.0]
    keys = [key.removeprefix("processed/") for key in counted.reads]
    assert keys == ["daily_kpis.parquet", "rfm.parquet", "rfm.parquet", "daily_kpis.parquet", "rfm.parquet"]


def test_a_mixed_bucket_that_nobody_mends_is_damage_after_three_looks(new_bucket, local):
    store = new_bucket(versioned=False)
    publish(store, Run(local.current().manifest, local), store.published(), now=NOW)
    store.client.put_object(Bucket=store.bucket, Key="processed/rfm.parquet", Body=b"something else")
    waited = []
    with pytest.raises(DamagedArtifact, match=r"rfm\.parquet"):
        whole(store, wanted, sleep=waited.append)
    assert waited == [1.0]


# --- start-up and memory ----------------------------------------------------------------------------------------------

WATCHED = ("pandas", "pyarrow", "numpy", "duckdb", "ibis", "streamlit", "plotly", "boto3", "botocore")
TELL = f"""
import sys
from pathlib import Path
print(*(name for name in {WATCHED!r} if name in sys.modules))
print(Path("/proc/self/status").read_text() if sys.platform == "linux" else "")
"""


def told_after(script, environment=None):
    """Which of the watched modules a fresh Python has imported after a script, and its peak memory in MB (on Linux)."""
    done = subprocess.run(
        [sys.executable, "-c", script + TELL], check=True, capture_output=True, text=True, env=environment
    )
    # Not getrusage: its peak is that of the process which started us, where that one was larger.
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)
    return set(done.stdout.splitlines()[0].split()), int(peak.group(1)) / 1024 if peak else 0


def test_importing_the_store_imports_no_frames_no_engine_and_no_aws():
    assert told_after("import etl.store")[0] == set()


def test_reading_a_whole_snapshot_from_s3_into_a_cache_needs_boto3_alone_and_little_memory(
    new_bucket, local, s3_endpoint, tmp_path
):
    store = new_bucket()
    publish(store, Run(local.current().manifest, local), store.published(), now=NOW)
    script = f"""
from etl.store import cache_of, open_reader, whole
reader = open_reader({store.where!r})
cache = cache_of(reader, {str(tmp_path / "cache")!r})
def wanted(manifest):
    return [artifact.parquet for artifact in manifest.artifacts.values()]
found = whole(reader, wanted, at_hand=cache.read)
cache.keep(found)
assert cache.last(wanted) == found and len(found.files) == 6
"""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KPI_"))}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": s3_endpoint}
    imported, peak_mb = told_after(script, clean | keys)
    assert imported == {"boto3", "botocore"}
    assert peak_mb < 100


def test_the_place_of_the_cache_is_never_committed():
    root = Path(__file__).resolve().parent.parent
    assert "/data/" in (root / ".gitignore").read_text().splitlines()
