"""Snapshots on disk and on S3: whole or not at all, verified when read."""

import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from etl.contract import ARTIFACTS, FORMATS, Manifest
from etl.errors import (
    ContractError,
    DamagedArtifact,
    NewerContract,
    NothingPublished,
    SettingsError,
    StoreDenied,
    StoreError,
    StoreUnreachable,
)
from etl.store import Base, DirectoryStore, Overtaken, Run, S3Store, changes, open_reader, publish, s3_client

FILES = len(ARTIFACTS) * len(FORMATS)
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture
def local(sample_snapshot_dir):
    return DirectoryStore(sample_snapshot_dir)


@pytest.fixture
def mine(local):
    return local.current().manifest


@pytest.fixture
def other(shop, snapshot_of, tmp_path):
    """Another shop's snapshot, made a second later: its store."""
    sales = shop(("1", "A", "THING", 1, "2026-03-02", "10", "7", "UK"))
    snapshot_of([sales], tmp_path / "other", now=NOW + timedelta(seconds=1))
    return DirectoryStore(tmp_path / "other")


def files_of(manifest):
    return [artifact.file(fmt) for artifact in manifest.artifacts.values() for fmt in FORMATS]


@pytest.fixture(scope="module")
def many_lines(sample_csv, tmp_path_factory):
    """Enough sales to be in the middle of them for a second and more."""
    path = tmp_path_factory.mktemp("many") / "many.csv"
    header, _, rest = sample_csv.read_text().partition("\n")
    path.write_text(f"{header}\n{rest * 8}")
    return path


# --- on disk ---------------------------------------------------------------------------------------------------------


def test_every_file_of_a_snapshot_on_disk_is_read_and_verified(local, mine):
    assert [len(local.read(file)) for file in files_of(mine)] == [file.bytes for file in files_of(mine)]


def test_the_plain_names_hold_the_same_bytes_for_people(local, mine):
    for name, artifact in mine.artifacts.items():
        assert (local.path / f"{name}.csv").read_bytes() == local.read(artifact.csv)
    assert (local.path / "quarantine.parquet").exists()


def test_a_reader_who_has_the_current_manifest_gets_none(local):
    current = local.current()
    assert local.current(current.etag) is None


def test_a_flipped_byte_and_a_missing_file_are_damage(local, mine, tmp_path):
    copy = DirectoryStore(tmp_path / "copy")
    shutil.copytree(local.path, copy.path)
    flipped, gone = mine.artifacts["rfm"].parquet, mine.artifacts["rfm"].csv
    data = bytearray((copy.path / flipped.key).read_bytes())
    data[100] ^= 1
    (copy.path / flipped.key).write_bytes(data)
    (copy.path / gone.key).unlink()
    for file in (flipped, gone):
        with pytest.raises(DamagedArtifact, match=r"rfm\."):
            copy.read(file)


def test_an_empty_directory_and_a_torn_manifest_are_told_apart(tmp_path):
    store = DirectoryStore(tmp_path)
    with pytest.raises(NothingPublished):
        store.current()
    (tmp_path / "metadata.json").write_text('{"schema_version": 1, ')
    with pytest.raises(ContractError):
        store.current()


def test_a_writer_that_fails_leaves_the_previous_snapshot_and_nothing_else(other):
    before = sorted(path.name for path in other.path.rglob("*"))

    def fail():
        with other.staging() as directory:
            (directory / "half.parquet").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert sorted(path.name for path in other.path.rglob("*")) == before


def test_only_the_current_and_the_previous_run_are_kept(other, snapshot_of, shop, now):
    for hour in (7, 8, 9):
        last = snapshot_of(
            [shop(("1", "A", "T", hour, "2026-03-02", "10", "7", "UK"))], other.path, now=now.replace(hour=hour)
        )
    runs = sorted(path.name for path in (other.path / ".runs").iterdir() if path.is_dir())
    assert len(runs) == 2
    assert runs[-1] == last.run_id


def test_a_second_run_in_the_same_second_with_only_another_quarantine_brings_its_own(shop, snapshot_of, tmp_path):
    good = ("1", "A1", "LAMP", "1", "2026-03-02", "10", "7", "UK")
    for price, reason in (("0", "non_positive_price"), ("x", "malformed")):
        manifest = snapshot_of([shop(good, ("2", "A1", "LAMP", "1", "2026-03-02", price, "7", "UK"))], tmp_path / "out")
        assert manifest.quarantine == {reason: 1}
        for place in (tmp_path / "out", tmp_path / "out" / ".runs" / manifest.run_id):
            assert pq.read_table(place / "quarantine.parquet")["reason"].to_pylist() == [reason]


def test_a_snapshot_can_be_read_by_whoever_the_umask_allows(other):
    run = (other.path / other.current().manifest.artifacts["rfm"].csv.key).parent
    assert run.stat().st_mode & 0o755 == 0o755


def test_a_plain_name_that_is_taken_is_said_and_the_new_snapshot_is_current(other, snapshot_of, shop, now):
    (other.path / "rfm.csv").unlink()
    (other.path / "rfm.csv").mkdir()
    for hour in (7, 8, 9):
        with pytest.raises(StoreError, match=r"rfm\.csv cannot be replaced") as caught:
            snapshot_of(
                [shop(("1", "A", "T", hour, "2026-03-02", "1", "7", "UK"))], other.path, now=now.replace(hour=hour)
            )
        assert "the new snapshot is the current one" in caught.value.to_do
    assert other.current().manifest.generated_at.hour == 9
    assert len([path for path in (other.path / ".runs").iterdir() if path.is_dir()]) == 2
    assert not list(other.path.glob(".rfm*"))


def test_a_manifest_that_cannot_be_replaced_takes_its_run_with_it(other, snapshot_of, shop, now):
    (other.path / "metadata.json").unlink()
    (other.path / "metadata.json").mkdir()
    runs = sorted((other.path / ".runs").iterdir())
    with pytest.raises(StoreError, match="cannot write to"):
        snapshot_of([shop(("1", "A", "T", 2, "2026-03-02", "1", "7", "UK"))], other.path, now=now.replace(hour=7))
    assert sorted((other.path / ".runs").iterdir()) == runs


def test_a_target_that_cannot_be_written_to_is_one_clear_error(tmp_path, snapshot_of, shop):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write to .*file/out") as caught:
        snapshot_of([shop(("1", "A", "T", 1, "2026-03-02", "10", "7", "UK"))], tmp_path / "file" / "out")
    assert "--out" in caught.value.to_do


def test_a_run_killed_in_the_middle_leaves_the_previous_snapshot_and_the_next_run_sweeps_up(other, sample_csv):
    before = other.current().manifest
    command = [sys.executable, "-m", "etl", "--source", str(sample_csv), "--out", str(other.path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: list((other.path / ".runs").glob(".staging-*/*")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert other.current().manifest == before
    assert [len(other.read(file)) for file in files_of(before)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert not list((other.path / ".runs").glob(".staging-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay_s", [0, 0.3, 0.6])
def test_ctrl_c_ends_a_run_with_a_sentence_and_leaves_no_half_snapshot(other, many_lines, number, delay_s):
    before = other.current().manifest
    command = [sys.executable, "-m", "etl", "--source", str(many_lines), "--out", str(other.path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list((other.path / ".runs").glob(".staging-*/*")))
    time.sleep(delay_s)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted; the previous snapshot is untouched\n")
    assert other.current().manifest == before
    assert not list((other.path / ".runs").glob(".staging-*"))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


# --- on S3 -----------------------------------------------------------------------------------------------------------


def test_a_published_snapshot_reads_back_by_version_and_hash(new_bucket, local, mine):
    store = new_bucket()
    done = publish(store, Run(mine, local), store.published(), now=NOW)
    assert (done.uploaded, done.unchanged, done.versioned) == (FILES, 0, True)
    read = store.current().manifest
    assert read == done.manifest
    assert [file.key for file in files_of(read)][:2] == ["processed/daily_kpis.parquet", "processed/daily_kpis.csv"]
    assert all(file.version_id for file in files_of(read))
    assert [store.read(file) for file in files_of(read)] == [local.read(file) for file in files_of(mine)]


def test_s3_itself_holds_checksum_content_type_encryption_and_the_run_it_came_from(new_bucket, local, mine):
    store = new_bucket()
    publish(store, Run(mine, local), store.published(), now=NOW)
    head = store.client.head_object(Bucket=store.bucket, Key="processed/rfm.csv", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"]
    assert head["ContentType"] == "text/csv; charset=utf-8"
    assert head["ServerSideEncryption"] == "AES256"
    assert head["Metadata"] == {"kpi-ops-run": mine.run_id}


def test_another_encryption_is_asked_for_where_the_settings_say_so(new_bucket, local, mine):
    store = replace(new_bucket(), encryption="aws:kms")
    publish(store, Run(mine, local), store.published(), now=NOW)
    for name in ("rfm.csv", "metadata.json"):
        head = store.client.head_object(Bucket=store.bucket, Key=f"processed/{name}")
        assert head["ServerSideEncryption"] == "aws:kms"


def test_an_unchanged_snapshot_moves_metadata_json_and_uploads_nothing_else(new_bucket, local, mine, now):
    store = new_bucket()
    first = publish(store, Run(mine, local), store.published(), now=NOW)
    later = mine.model_copy(update={"generated_at": now.replace(hour=23), "run_id": "later"})
    second = publish(store, Run(later, local), store.published(), now=NOW)
    assert (second.uploaded, second.unchanged) == (0, FILES)
    assert files_of(second.manifest) == files_of(first.manifest)
    assert store.current().manifest.run_id == "later"


def test_a_reader_of_the_old_manifest_still_reads_the_old_bytes(new_bucket, local, mine, other):
    store = new_bucket()
    old = publish(store, Run(mine, local), store.published(), now=NOW).manifest
    publish(store, Run(other.current().manifest, other), store.published(), now=NOW)
    assert store.read(old.artifacts["rfm"].csv) == local.read(mine.artifacts["rfm"].csv)


def test_who_publishes_on_a_manifest_that_has_moved_loses_and_changes_nothing(new_bucket, local, mine, other):
    store = new_bucket()
    publish(store, Run(mine, local), store.published(), now=NOW)
    base = store.published()
    newer = mine.model_copy(update={"run_id": "winner", "generated_at": NOW + timedelta(seconds=1)})
    winner = publish(store, Run(newer, local), base, now=NOW).manifest
    for known in (base, Base()):
        assert publish(store, Run(other.current().manifest, other), known, now=NOW) == Overtaken(winner)
    assert store.current().manifest == winner


def test_a_conditional_read_of_the_same_manifest_is_none(new_bucket, local, mine):
    store = new_bucket()
    publish(store, Run(mine, local), store.published(), now=NOW)
    assert store.current(store.current().etag) is None


def test_a_damaged_manifest_on_s3_is_replaced_and_one_of_a_newer_release_is_not(new_bucket, local, mine):
    store = new_bucket()

    def put(text):
        store.client.put_object(Bucket=store.bucket, Key="processed/metadata.json", Body=text)

    for damage in (b"garbage", b'{"schema_version": 0}', b""):
        put(damage)
        assert publish(store, Run(mine, local), store.published(), now=NOW).uploaded == FILES
        assert store.current().manifest.run_id == mine.run_id
    put(b'{"schema_version": 2}')
    with pytest.raises(NewerContract):
        store.published()


def test_force_uploads_again_what_the_bucket_has_lost(new_bucket, local, mine):
    store = new_bucket()
    lost = publish(store, Run(mine, local), store.published(), now=NOW).manifest.artifacts["rfm"].csv
    store.client.delete_object(Bucket=store.bucket, Key=lost.key, VersionId=lost.version_id)
    with pytest.raises(DamagedArtifact, match="is missing") as caught:
        store.read(lost)
    assert "etl-sync --force" in caught.value.to_do
    mended = publish(store, Run(mine, local, force=True), store.published(), now=NOW)
    assert mended.uploaded == FILES
    assert store.read(mended.manifest.artifacts["rfm"].csv)


def test_without_versioning_a_mixed_read_is_detected_by_its_hash(new_bucket, local, mine, other):
    store = new_bucket(versioned=False)
    done = publish(store, Run(mine, local), store.published(), now=NOW)
    assert not done.versioned
    publish(store, Run(other.current().manifest, other), store.published(), now=NOW)
    with pytest.raises(DamagedArtifact):
        store.read(done.manifest.artifacts["rfm"].csv)


def test_nothing_published_and_no_bucket_are_told_apart(new_bucket):
    store = new_bucket()
    assert store.published() == Base()
    with pytest.raises(NothingPublished):
        store.current()
    with pytest.raises(StoreError, match="NoSuchBucket") as caught:
        S3Store(store.client, "no-such-bucket-here", "processed/").current()
    assert not isinstance(caught.value, NothingPublished)


def test_an_s3_that_is_not_there_is_unreachable(closed_port, client_for):
    store = S3Store(client_for(f"http://127.0.0.1:{closed_port}"), "bucket", "processed/")
    with pytest.raises(StoreUnreachable, match=r"reading s3://bucket/processed/metadata\.json"):
        store.current()


@pytest.fixture
def answering():
    """A function: status -> the address of an S3 that answers everything with it."""
    servers = []

    def serve(status, code):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", StoreDenied),
        (401, "Unauthorized", StoreDenied),
        (500, "InternalError", StoreUnreachable),
        (503, "SlowDown", StoreUnreachable),
        (404, "NoSuchKey", NothingPublished),
        (304, "NotModified", StoreUnreachable),
        (409, "ConditionalRequestConflict", StoreUnreachable),
        (412, "PreconditionFailed", StoreUnreachable),
        (200, "NoEtag", StoreUnreachable),
    ],
)
def test_what_s3_answers_becomes_one_error_of_ours(answering, client_for, status, code, error):
    store = S3Store(client_for(answering(status, code)), "bucket", "processed/")
    with pytest.raises(error) as caught:
        store.current()
    assert caught.value.to_do


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "garbage"),
        ("AWS_PROFILE", "nobody"),
        ("AWS_DEFAULT_REGION", "no region!"),
        ("AWS_ACCESS_KEY_ID", "only-half"),
    ],
)
def test_an_aws_configuration_that_cannot_be_used_is_one_error_of_ours(monkeypatch, tmp_path, name, value):
    for variable in [variable for variable in os.environ if variable.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(name, value)
    with pytest.raises(StoreError):
        S3Store(s3_client(), "bucket", "processed/").current()


def test_no_more_is_read_than_the_manifest_says(new_bucket, local, mine):
    store = new_bucket(versioned=False)
    file = publish(store, Run(mine, local), store.published(), now=NOW).manifest.artifacts["rfm"].csv
    store.client.put_object(Bucket=store.bucket, Key=file.key, Body=bytes(file.bytes * 5))
    with pytest.raises(DamagedArtifact, match=f"has {file.bytes + 1:,} bytes"):
        store.read(file)


def test_missing_credentials_are_a_denial_and_not_a_traceback(tmp_path):
    script = (
        "from etl.store import S3Store, s3_client\n"
        "from etl.errors import StoreDenied\n"
        "try: S3Store(s3_client(), 'bucket', 'p/').current()\n"
        "except StoreDenied as error: print(error)\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    clean |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run([sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=False)
    assert "credentials" in done.stdout
    assert done.stderr == ""


# --- either ----------------------------------------------------------------------------------------------------------


def test_what_an_earlier_release_published_is_published_anew_with_the_artifacts_it_did_not_know(
    new_bucket, local, mine
):
    store = new_bucket()
    known = {name: artifact for name, artifact in mine.artifacts.items() if name != "product_months"}
    earlier = mine.model_copy(update={"artifacts": known})
    publish(store, Run(earlier, local), store.published(), now=NOW)
    later = mine.model_copy(update={"run_id": "z", "generated_at": NOW + timedelta(seconds=1)})
    done = publish(store, Run(later, local), store.published(), now=NOW)
    assert (done.uploaded, done.unchanged) == (2, FILES - 2)
    assert store.read(done.manifest.artifacts["product_months"].csv)


def test_changes_are_told_file_by_file(mine, other):
    told = {(change.artifact, change.format): change.change for change in changes(other.current().manifest, mine)}
    assert set(told.values()) == {"changed"}
    assert {change.change for change in changes(mine, None)} == {"new"}
    assert {change.change for change in changes(mine, mine)} == {"unchanged"}


def test_a_reader_is_opened_by_its_address(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert open_reader(str(tmp_path)) == DirectoryStore(tmp_path)
    assert open_reader("s3://bucket/a/b").where == "s3://bucket/a/b/"
    assert open_reader("s3://bucket").where == "s3://bucket/"
    with pytest.raises(SettingsError, match="ftp"):
        open_reader("ftp://bucket/a")


def test_the_reading_half_needs_neither_pandas_nor_pyarrow_nor_duckdb():
    script = "import sys, etl.store; print(sorted({'pandas', 'pyarrow', 'duckdb', 'ibis', 'boto3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_manifest_placed_on_s3_is_still_a_manifest(new_bucket, local, mine):
    store = new_bucket()
    placed = publish(store, Run(mine, local), store.published(), now=NOW).manifest
    assert Manifest.from_json(placed.to_json()) == placed
