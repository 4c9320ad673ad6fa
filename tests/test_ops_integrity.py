"""Every published file, looked at without downloading: what is wrong is told apart, nothing wrong is called whole."""

import base64
import hashlib
import json
import shutil
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from etl.contract import ARTIFACTS, FORMATS, ArtifactFile, Manifest
from etl.errors import StoreDenied, StoreError, StoreUnreachable
from etl.store import DirectoryStore, Held, Patience, Run, S3Store, publish
from ops.checkup import checkup
from ops.integrity import Look, judged
from ops.settings import FreshnessSettings
from ops.verdict import as_json, as_text

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT_ONCE = Patience(attempts=1, deadline_s=20, sleep=lambda _s: None)
METADATA = "processed/metadata.json"
RFM = "processed/rfm.csv"
OURS = "kpi-ops-run"
FILES = len(ARTIFACTS) * len(FORMATS)


def look(store, patience=AT_ONCE, now=NOW):
    return checkup(lambda: store, FreshnessSettings(), now=now, patience=patience)


def files_of(verdict):
    """State by plain name."""
    (found,) = [finding for finding in verdict.findings if finding.check == "files"]
    return {file["name"]: file["state"] for file in found.facts["files"]}


def state_of(verdict, name="rfm.csv"):
    return files_of(verdict)[name]


def not_whole(verdict):
    return {name: state for name, state in files_of(verdict).items() if state != "ok"}


@pytest.fixture
def local(sample_snapshot_dir):
    return DirectoryStore(sample_snapshot_dir)


@pytest.fixture
def published(new_bucket, local):
    """A function: the store of a bucket to which the sample shop was published."""

    def make(*, versioned=True):
        store = new_bucket(versioned=versioned)
        publish(store, Run(local.current().manifest, local), store.published(), now=NOW)
        return store

    return make


def file_of(store, artifact="rfm", fmt="csv"):
    return store.current().manifest.artifacts[artifact].file(fmt)


def checksum(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def put(store, key, body, *, run=None, sha=False, **more):
    """An upload by any tool; `run` puts our mark on it."""
    if sha:
        more |= {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": checksum(body)}
    return store.client.put_object(
        Bucket=store.bucket, Key=key, Body=body, Metadata={OURS: run} if run else {}, **more
    ).get("VersionId")


def edit(store, change):
    """Change metadata.json by hand."""
    document = json.loads(store.client.get_object(Bucket=store.bucket, Key=METADATA)["Body"].read())
    change(document)
    put(store, METADATA, json.dumps(document).encode())


def entry(document, artifact="rfm", fmt="csv"):
    return document["artifacts"][artifact][fmt]


def remove_version(store, file):
    store.client.delete_object(Bucket=store.bucket, Key=file.key, VersionId=file.version_id)


def copy_over(store, key, **more):
    source = {"Bucket": store.bucket, "Key": key}
    store.client.copy_object(Bucket=store.bucket, Key=key, CopySource=source, **more)


# --- a bucket that is whole ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioned", [True, False])
def test_what_was_published_is_whole(published, versioned):
    verdict = look(published(versioned=versioned))
    assert (verdict.words, verdict.exit_code) == (["fresh"], 0)
    assert set(files_of(verdict).values()) == {"ok"}
    assert len(files_of(verdict)) == FILES
    assert f"{FILES} files are whole" in as_text(verdict)


def test_a_snapshot_in_a_directory_is_looked_at_in_the_same_way(local):
    verdict = look(local)
    assert (verdict.words, verdict.exit_code, len(files_of(verdict))) == (["fresh"], 0, FILES)


def test_a_second_run_that_changed_nothing_is_whole_though_its_files_bear_the_mark_of_the_first(published, local):
    store = published()
    later = local.current().manifest.model_copy(update={"run_id": "later", "generated_at": NOW})
    publish(store, Run(later, local), store.published(), now=NOW)
    assert look(store).words == ["fresh"]


def test_nothing_is_downloaded_but_metadata_json(published):
    store = published()
    asked = []
    store.client.meta.events.register(
        "before-send.s3", lambda request, **_: asked.append((request.method, request.url))
    )
    look(store)
    assert [url.endswith("/metadata.json") for method, url in asked if method == "GET"] == [True]
    heads = [url for method, url in asked if method == "HEAD"]
    assert len(asked) == 1 + len(heads)
    assert {url.split("versionId=")[1] for url in heads if "versionId=" in url} == {
        artifact.file(fmt).version_id for artifact in store.current().manifest.artifacts.values() for fmt in FORMATS
    }


# --- damage to files, in a bucket with versions ----------------------------------------------------------------------


def overwritten(store):
    put(store, RFM, b"x")


def overwritten_with_as_many_bytes(store):
    put(store, RFM, bytes(file_of(store).bytes))


def overwritten_with_a_checksum(store):
    put(store, RFM, bytes(file_of(store).bytes), sha=True)


def emptied(store):
    put(store, RFM, b"")


def truncated_under_our_mark(store):
    run = store.current().manifest.run_id
    put(store, RFM, store.read(file_of(store))[:-1], run=run, sha=True)


def marked_as_ours_without_a_checksum(store):
    put(store, RFM, b"x", run="20200101T000000Z-abcdef")


def deleted(store):
    store.client.delete_object(Bucket=store.bucket, Key=RFM)


def version_removed(store):
    remove_version(store, file_of(store))


def version_removed_under_another(store):
    file = file_of(store)
    put(store, RFM, b"x")
    remove_version(store, file)


def every_version_removed_and_the_same_bytes_uploaded_anew(store):
    file = file_of(store)
    data = store.read(file)
    remove_version(store, file)
    put(store, RFM, data, sha=True)


def a_delete_marker_is_named_as_the_version(store):
    marker = store.client.delete_object(Bucket=store.bucket, Key=RFM)["VersionId"]
    edit(store, lambda document: entry(document).update(version_id=marker))


def archived_in_place(store):
    copy_over(store, RFM, StorageClass="GLACIER")
    newest = store.client.head_object(Bucket=store.bucket, Key=RFM)["VersionId"]
    edit(store, lambda document: entry(document).update(version_id=newest))


def plain_name_archived(store):
    copy_over(store, RFM, StorageClass="DEEP_ARCHIVE")


def size_in_metadata_changed(store):
    edit(store, lambda document: entry(document).update(bytes=entry(document)["bytes"] + 1))


def hash_in_metadata_changed(store):
    edit(store, lambda document: entry(document).update(sha256="0" * 64))


def version_in_metadata_is_of_another_file(store):
    edit(store, lambda document: entry(document).update(version_id=entry(document, "rfm", "parquet")["version_id"]))


def version_in_metadata_is_made_up(store):
    edit(store, lambda document: entry(document).update(version_id="3/L4kqtJlcpXroDTDmpUMLUo"))


def an_older_version_is_named(store):
    older = put(store, RFM, b"older", run="20200101T000000Z-abcdef", sha=True)
    edit(store, lambda document: entry(document).update(version_id=older))


def two_files_changed_places(store):
    def change(document):
        csv, parquet = entry(document), entry(document, fmt="parquet")
        document["artifacts"]["rfm"].update(csv=parquet, parquet=csv)

    edit(store, change)


def one_file_named_twice(store):
    def change(document):
        document["artifacts"]["rfm"]["csv"] = entry(document, fmt="parquet")

    edit(store, change)


def one_file_named_for_two_artifacts(store):
    def change(document):
        document["artifacts"]["rfm"].update(
            {fmt: entry(document, "cohorts", fmt) | {"rows": 1} for fmt in FORMATS},
        )

    edit(store, change)


def key_outside_of_the_prefix(store):
    copied = store.client.copy_object(
        Bucket=store.bucket, Key="elsewhere/rfm.csv", CopySource={"Bucket": store.bucket, "Key": RFM}
    )
    edit(store, lambda document: entry(document).update(key="elsewhere/rfm.csv", version_id=copied["VersionId"]))


def key_of_nothing(store):
    edit(store, lambda document: entry(document).update(key="processed/rfm.csv/"))


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        (overwritten, "foreign"),
        (overwritten_with_as_many_bytes, "foreign"),
        (overwritten_with_a_checksum, "foreign"),
        (emptied, "foreign"),
        (truncated_under_our_mark, "torn"),
        (marked_as_ours_without_a_checksum, "foreign"),
        (deleted, "missing"),
        (version_removed, "missing"),
        (version_removed_under_another, "missing"),
        (every_version_removed_and_the_same_bytes_uploaded_anew, "missing"),
        (a_delete_marker_is_named_as_the_version, "missing"),
        (archived_in_place, "unreadable"),
        (plain_name_archived, "unreadable"),
        (size_in_metadata_changed, "torn"),
        (hash_in_metadata_changed, "torn"),
        (version_in_metadata_is_of_another_file, "missing"),
        (version_in_metadata_is_made_up, "missing"),
        (an_older_version_is_named, "torn"),
        (two_files_changed_places, "foreign"),
        (one_file_named_twice, "foreign"),
        (one_file_named_for_two_artifacts, "foreign"),
        (key_outside_of_the_prefix, "foreign"),
        (key_of_nothing, "foreign"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_one_damaged_file_is_an_error_with_a_name(published, damage, state):
    store = published()
    damage(store)
    verdict = look(store)
    assert (verdict.status, verdict.exit_code, state_of(verdict)) == ("error", 1, state)
    assert state in verdict.words
    told = as_text(verdict)
    assert "rfm.csv" in told
    assert "expected:" in told
    assert "to do:" in told
    assert {name.partition(".")[0] for name in not_whole(verdict)} == {"rfm"}


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        (overwritten, "foreign"),
        (overwritten_with_as_many_bytes, "foreign"),
        (overwritten_with_a_checksum, "foreign"),
        (emptied, "foreign"),
        (truncated_under_our_mark, "torn"),
        (marked_as_ours_without_a_checksum, "torn"),
        (deleted, "missing"),
        (plain_name_archived, "unreadable"),
        (size_in_metadata_changed, "torn"),
        (hash_in_metadata_changed, "torn"),
        (one_file_named_twice, "foreign"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_in_a_bucket_without_versions_the_plain_name_is_all_there_is(published, damage, state):
    store = published(versioned=False)
    damage(store)
    verdict = look(store)
    assert (verdict.exit_code, state_of(verdict)) == (1, state)


def test_an_object_over_one_of_ours_is_seen_where_versions_were_suspended(published):
    store = published()
    store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Suspended"})
    put(store, RFM, b"x")
    verdict = look(store)
    assert (verdict.exit_code, "processed/rfm.csv: " in as_text(verdict)) == (1, True)


def test_a_run_published_to_a_bucket_with_versions_suspended_is_whole(published, local):
    store = published()
    store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Suspended"})
    publish(store, Run(local.current().manifest, local, force=True), store.published(), now=NOW)
    assert look(store).words == ["fresh"]
    put(store, RFM, b"x")
    assert state_of(look(store)) == "foreign"


@pytest.mark.parametrize("damage", [overwritten, truncated_under_our_mark, deleted, version_removed, archived_in_place])
def test_what_to_do_mends_it(published, local, damage):
    store = published()
    damage(store)
    assert "`fab etl-sync --force`" in as_text(look(store))
    publish(store, Run(local.current().manifest, local, force=True), store.published(), now=NOW)
    assert look(store).words == ["fresh"]


def test_everything_deleted_but_metadata_json_is_so_many_missing_files(published):
    store = published()
    for artifact in store.current().manifest.artifacts.values():
        for fmt in FORMATS:
            remove_version(store, artifact.file(fmt))
    verdict = look(store)
    assert set(files_of(verdict).values()) == {"missing"}
    assert f"{FILES} of {FILES} files are not what metadata.json says" in as_text(verdict)
    assert f"and {FILES - 3} more" in verdict.line


def test_metadata_json_copied_to_another_prefix_or_bucket_is_not_a_snapshot_there(published, new_bucket):
    store = published()
    text = store.client.get_object(Bucket=store.bucket, Key=METADATA)["Body"].read()
    beside = replace(store, prefix="copy/")
    put(beside, "copy/metadata.json", text)
    assert set(files_of(look(beside)).values()) == {"foreign"}
    for elsewhere in (new_bucket(), new_bucket(versioned=False)):
        for name in files_of(look(store)):
            source = {"Bucket": store.bucket, "Key": f"processed/{name}"}
            elsewhere.client.copy_object(Bucket=elsewhere.bucket, Key=f"processed/{name}", CopySource=source)
        put(elsewhere, METADATA, text)
        assert set(files_of(look(elsewhere)).values()) == {"missing"}


# --- what hurts nobody -----------------------------------------------------------------------------------------------


def test_an_upload_of_another_run_of_ours_is_a_note_and_the_snapshot_is_whole(published):
    store = published()
    put(store, RFM, b"of a publisher that died", run="20261122T110000Z-abcdef", sha=True)
    verdict = look(store)
    assert (verdict.words, verdict.exit_code, not_whole(verdict)) == (["fresh"], 0, {"rfm.csv": "overlaid"})
    assert "note: 1 plain name holds an upload of run 20261122T110000Z-abcdef" in as_text(verdict)


def test_the_same_bytes_by_another_tool_are_the_same_bytes(published):
    for store in (published(), published(versioned=False)):
        put(store, RFM, store.read(file_of(store)), sha=True)
        assert look(store).words == ["fresh"]


def test_other_objects_beside_the_snapshot_are_nobodys_business(published):
    store = published()
    put(store, "processed/notes.txt", b"x")
    put(store, "processed/", b"")
    assert look(store).words == ["fresh"]


def test_a_stamp_that_was_changed_by_hand_is_noted(published):
    store = published()
    edit(store, lambda document: document.update(generated_at="2026-11-22T11:00:00Z"))
    verdict = look(store)
    assert verdict.exit_code == 0
    assert "note: metadata.json names run" in as_text(verdict)
    assert "it was changed by hand" in as_text(verdict)


# --- what cannot be told ---------------------------------------------------------------------------------------------


def answered(status, body=b"", **headers):
    return lambda request: AWSResponse(request.url, status, headers, _Raw(body))


class _Raw(BytesIO):
    def stream(self, **_):
        yield self.read()


def raising(error):
    def answer(request):
        raise error(endpoint_url=request.url, error="x")

    return answer


@pytest.fixture(scope="module")
def good_bucket(s3_endpoint, client_for, sample_snapshot_dir):
    """A store that was published to, for tests that only look."""
    store = S3Store(client_for(s3_endpoint), "looked-at", "processed/")
    local = DirectoryStore(sample_snapshot_dir)
    store.client.create_bucket(Bucket=store.bucket)
    store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    publish(store, Run(local.current().manifest, local), store.published(), now=NOW)
    return store


@pytest.fixture
def failing(good_bucket, client_for, s3_endpoint):
    """A function: that store, where some requests get another answer; it waits for nothing."""

    def make(answer, *, method="HEAD", part="rfm.csv"):
        def spoil(request, **_):
            return answer(request) if request.method == method and part in request.url else None

        client = client_for(s3_endpoint)
        client.meta.events.register("before-send.s3", spoil)
        return replace(good_bucket, client=client, patience=Patience(sleep=lambda _s: None))

    return make


NOT_TOLD = {
    "403": (answered(403), "denied"),
    "401": (answered(401), "denied"),
    "400": (answered(400), "denied"),
    "500": (answered(500), "failing"),
    "503": (answered(503), "failing"),
    "409": (answered(409), "failing"),
    "302": (answered(302), "failing"),
    "read timeout": (raising(ReadTimeoutError), "unreachable"),
    "connect timeout": (raising(ConnectTimeoutError), "unreachable"),
    "no length": (answered(200), "unreachable"),  # as where an answer was cut off among its headers
}


@pytest.mark.parametrize(
    ("why", "part"),
    [
        (why, part)
        for part in ("rfm.csv", "rfm.csv?versionId")
        for why in NOT_TOLD
        if (why, part) != ("400", "rfm.csv?versionId")  # where the plain name is at hand it is told: below
    ],
)
def test_a_file_that_cannot_be_looked_at_is_neither_whole_nor_stale(failing, why, part):
    answer, state = NOT_TOLD[why]
    verdict = look(failing(answer, part=part))
    assert (verdict.words, verdict.status, verdict.exit_code) == (["cannot tell"], "unknown", 3)
    assert state_of(verdict) == state
    assert json.loads(as_json(verdict))["results"][2]["status"] == "runtime error"


@pytest.mark.parametrize("why", NOT_TOLD)
def test_a_metadata_json_that_cannot_be_read_is_no_verdict(failing, why):
    answer, state = NOT_TOLD[why]
    verdict = look(failing(answer, method="GET", part="metadata.json"))
    assert (verdict.words, verdict.exit_code, verdict.run_id) == (["cannot tell"], 3, None)
    assert verdict.findings[0].facts["state"] == state


def test_a_version_that_s3_does_not_know_is_missing_where_the_plain_name_is_not_refused(failing):
    assert state_of(look(failing(answered(400), part="rfm.csv?versionId"))) == "missing"


@pytest.mark.parametrize("header", ["Content-Length", "Last-Modified"])
def test_an_answer_that_makes_no_sense_is_no_verdict_and_no_traceback(failing, header):
    nonsense = answered(200, b"{}", **{"ETag": "x", header: "nonsense"})
    for method, part in (("GET", "metadata.json"), ("HEAD", "rfm.csv")):
        assert look(failing(nonsense, method=method, part=part)).exit_code == 3


def test_404_of_a_file_is_told_apart_from_403(failing):
    assert state_of(look(failing(answered(404)))) == "missing"


def test_what_was_seen_to_be_wrong_outweighs_what_could_not_be_told(failing):
    store = failing(answered(403), part="versionId")
    store.client.meta.events.register(
        "before-send.s3", lambda request, **_: answered(404)(request) if request.url.endswith("rfm.csv") else None
    )
    verdict = look(store)
    assert (verdict.words, verdict.exit_code) == (["missing"], 1)
    assert (state_of(verdict), state_of(verdict, "rfm.parquet")) == ("missing", "denied")


def test_a_bucket_that_is_not_there_may_be_a_wrong_name(good_bucket):
    verdict = look(replace(good_bucket, bucket="no-such-bucket-here"))
    assert (verdict.words, verdict.exit_code) == (["cannot tell"], 3)
    assert "NoSuchBucket" in as_text(verdict)


def test_no_s3_at_all_is_unreachable(closed_port, client_for):
    store = S3Store(
        client_for(f"http://127.0.0.1:{closed_port}"), "bucket", "processed/", Patience(sleep=lambda _s: None)
    )
    verdict = look(store)
    assert (verdict.exit_code, verdict.findings[0].facts["state"]) == (3, "unreachable")


def test_an_aws_that_is_wrongly_configured_is_no_verdict():
    def opened():
        raise StoreError("AWS cannot be asked", expected="a profile", to_do="mend it")

    verdict = checkup(opened, FreshnessSettings(), now=NOW, patience=AT_ONCE)
    assert (verdict.words, verdict.exit_code) == (["cannot tell"], 3)
    assert json.loads(as_json(verdict))["metadata"]["run_id"] is None


# --- metadata.json itself --------------------------------------------------------------------------------------------


def without(key):
    return lambda document: document.pop(key)


def with_(**values):
    return lambda document: document.update(values)


UNUSABLE = {
    "no generated_at": without("generated_at"),
    "no data_through": without("data_through"),
    "null": with_(generated_at=None),
    "empty": with_(generated_at=""),
    "a word": with_(generated_at="yesterday"),
    "naive": with_(generated_at="2026-11-22T06:00:00"),
    "a date": with_(generated_at="2026-11-22"),
    "a number": with_(generated_at=1795327200),
    "no such day": with_(generated_at="2026-02-30T06:00:00Z"),
    "after the last year": with_(generated_at="9999-12-31T23:59:59-23:59"),
    "before the first year": with_(generated_at="0001-01-01T00:00:00+23:59"),
    "a day with a time": with_(data_through="2026-11-21T00:00:00Z"),
    "another order of days": with_(data_through="21.11.2026"),
    "a count of days": with_(data_through=20413),
    "no artifacts": with_(artifacts={}),
    "an older schema": with_(schema_version=0),
    "a schema in words": with_(schema_version="1"),
    "fewer than no rows": with_(rows_kept=-1),
    "a key that leads out": lambda document: entry(document).update(key="../../etc/passwd"),
    "fewer than no bytes": lambda document: entry(document).update(bytes=-1),
    "no hash": lambda document: entry(document).update(sha256="x"),
    "an empty version": lambda document: entry(document).update(version_id=""),
}


@pytest.mark.parametrize("change", UNUSABLE)
def test_a_manifest_with_an_unusable_value_is_unreadable_and_never_passes(local, tmp_path, change):
    document = json.loads((local.path / "metadata.json").read_text())
    UNUSABLE[change](document)
    (tmp_path / "metadata.json").write_text(json.dumps(document))
    verdict = look(DirectoryStore(tmp_path))
    assert (verdict.exit_code, verdict.words) == (1, ["unreadable"])
    assert [finding.status for finding in verdict.findings] == ["error"] * 3


@pytest.mark.parametrize(
    ("text", "word", "exit_code"),
    [
        pytest.param(b"", "unreadable", 1, id="empty"),
        (b"garbage", "unreadable", 1),
        (b"\xff\xfe{\x00}\x00", "unreadable", 1),
        (b"\x1f\x8b\x08\x00\x00", "unreadable", 1),
        (b"<html>", "unreadable", 1),
        pytest.param(b"[" * 5000, "unreadable", 1, id="deep"),
        pytest.param(b" " * 1_100_000, "unreadable", 1, id="large"),
        (b'{"schema_version": 1}', "unreadable", 1),
        (b"{}", "foreign", 1),
        (b"[]", "foreign", 1),
        (b"null", "foreign", 1),
        (b'"fresh"', "foreign", 1),
        (b'{"version": 3, "files": []}', "foreign", 1),
        (b'{"schema_version": 2}', "cannot tell", 3),
    ],
)
def test_a_metadata_json_that_is_no_manifest_is_ours_and_damaged_or_somebody_elses(tmp_path, text, word, exit_code):
    (tmp_path / "metadata.json").write_bytes(text)
    verdict = look(DirectoryStore(tmp_path))
    assert (verdict.words, verdict.exit_code) == ([word], exit_code)


def test_a_metadata_json_in_a_bucket_is_told_apart_in_the_same_way(published):
    store = published()
    text = store.client.get_object(Bucket=store.bucket, Key=METADATA)["Body"].read()
    for damage, word in ((text[: len(text) // 2], "unreadable"), (b"", "unreadable"), (b'{"version": 3}', "foreign")):
        put(store, METADATA, damage)
        assert look(store).words == [word]


def test_a_metadata_json_that_was_deleted_or_never_written_is_missing(published, new_bucket):
    store = published()
    store.client.delete_object(Bucket=store.bucket, Key=METADATA)
    for empty in (store, new_bucket()):
        verdict = look(empty)
        assert (verdict.words, verdict.exit_code) == (["missing"], 1)


def test_an_archived_metadata_json_is_not_to_be_read(published):
    store = published()
    copy_over(store, METADATA, StorageClass="GLACIER")
    assert look(store).exit_code == 3


def test_names_out_of_a_bucket_do_no_harm_on_a_terminal(published):
    store = published()
    edit(store, with_(run_id="\x1b]0;owned\x07\n" + "x" * 900))
    told = as_text(look(store))
    assert "\x1b" not in told
    assert "\x07" not in told
    assert max(map(len, told.splitlines())) <= 400


# --- in a directory --------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(local, tmp_path):
    shutil.copytree(local.path, tmp_path / "copy")
    return DirectoryStore(tmp_path / "copy")


def test_a_flipped_byte_in_a_directory_is_torn(copy):
    place = copy.path / file_of(copy).key
    data = bytearray(place.read_bytes())
    data[-2] ^= 1
    place.write_bytes(data)
    verdict = look(copy)
    assert (state_of(verdict), verdict.exit_code) == ("torn", 1)
    assert "`fab etl`" in as_text(verdict)


def test_a_file_that_is_gone_or_no_file_is_told_apart(copy):
    (copy.path / file_of(copy).key).unlink()
    other = copy.path / file_of(copy, fmt="parquet").key
    other.unlink()
    other.mkdir()
    assert not_whole(look(copy)) == {"rfm.csv": "missing", "rfm.parquet": "unreadable"}


@pytest.mark.parametrize("key", ["no\0name/rfm.csv", "x" * 900 + "/rfm.csv"], ids=["null byte", "too long"])
def test_a_key_that_no_directory_can_hold_is_no_traceback(copy, key):
    place = copy.path / "metadata.json"
    document = json.loads(place.read_text())
    entry(document)["key"] = key
    place.unlink()  # it is a link to the one of the sample
    place.write_text(json.dumps(document))
    assert look(copy).exit_code in (1, 3)


def test_a_directory_that_is_not_there_or_no_directory_holds_no_snapshot(tmp_path):
    (tmp_path / "file").write_text("x")
    assert look(DirectoryStore(tmp_path / "nowhere")).words == ["missing"]
    assert look(DirectoryStore(tmp_path / "file")).exit_code == 1


# --- time ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shelf:
    """A reader of a directory whose looks at files are something else."""

    inner: DirectoryStore
    looking: object

    @property
    def where(self):
        return self.inner.where

    def current(self, known_etag=None):
        return self.inner.current(known_etag)

    def read(self, _file):
        raise AssertionError("nothing is downloaded")

    def held(self, file, *, newest=False):
        return self.looking(self.inner, file, newest)


def test_a_store_that_never_answers_is_unreachable_when_the_deadline_has_passed(local):
    hanging = threading.Event()
    store = Shelf(local, lambda *_: hanging.wait(30))
    began = datetime.now(UTC)
    verdict = look(store, Patience(attempts=1, deadline_s=0.3, sleep=lambda _s: None))
    hanging.set()
    assert datetime.now(UTC) - began < timedelta(seconds=5)
    assert (verdict.exit_code, set(files_of(verdict).values())) == (3, {"unreachable"})


def test_what_was_seen_before_the_deadline_counts(local):
    hanging = threading.Event()

    def looking(inner, file, _newest):
        if file.key.endswith("daily_kpis.parquet"):
            return None
        hanging.wait(30)
        return inner.held(file)

    verdict = look(Shelf(local, looking), Patience(attempts=1, deadline_s=0.5, sleep=lambda _s: None))
    hanging.set()
    assert (verdict.words, verdict.exit_code) == (["missing"], 1)
    assert state_of(verdict, "rfm.csv") == "unreachable"


def test_a_metadata_json_that_never_comes_is_unreachable_too():
    hanging = threading.Event()

    class Silent:
        where = "s3://silent/"

        def current(self, _known_etag=None):
            hanging.wait(30)

    verdict = look(Silent(), Patience(attempts=1, deadline_s=0.3))
    hanging.set()
    assert (verdict.exit_code, verdict.findings[0].facts["state"]) == (3, "unreachable")


def test_a_bucket_in_which_somebody_publishes_at_this_moment_is_looked_at_again(local):
    waited = []
    looks = []

    def looking(inner, file, _newest):
        looks.append(file)
        return inner.held(file) if waited else None

    verdict = look(Shelf(local, looking), replace(AT_ONCE, sleep=waited.append))
    assert (verdict.words, len(waited), len(looks)) == (["fresh"], 1, 2 * FILES)


def test_what_stays_damaged_is_said_after_the_second_look(local):
    waited = []
    verdict = look(Shelf(local, lambda *_: None), replace(AT_ONCE, sleep=waited.append))
    assert (verdict.words, len(waited)) == (["missing"], 1)


def test_a_second_look_that_fails_does_not_take_back_the_first(local):
    waited = []

    def looking(*_):
        if waited:
            raise StoreUnreachable("gone", expected="an answer", to_do="try again")

    verdict = look(Shelf(local, looking), replace(AT_ONCE, sleep=waited.append))
    assert (verdict.words, verdict.exit_code) == (["missing"], 1)


# --- deciding, without a bucket --------------------------------------------------------------------------------------

WHERE = "s3://bucket/processed/"
FILE = ArtifactFile(key="processed/rfm.csv", sha256="a" * 64, bytes=10, rows=1, version_id="v1")
HELD = Held(10, "a" * 64, "v1", "run-1")
DENIED = StoreDenied("S3 answered 403", expected="rights", to_do="ask for them")
REFUSED = StoreDenied("S3 answered 400", expected="rights", to_do="ask for them")


def state(published=HELD, newest=HELD, file=FILE, where=WHERE):
    return judged(Look("rfm.csv", file, published, newest), where).state


@pytest.mark.parametrize(
    ("published", "newest", "expected"),
    [
        (HELD, HELD, "ok"),
        (HELD, Held(10, "a" * 64), "ok"),
        (HELD, Held(11, "b" * 64, "v2", "run-2"), "overlaid"),
        (HELD, Held(11, "b" * 64, "v2", "run-1"), "torn"),
        (HELD, Held(11, None, "v2", "run-2"), "foreign"),
        (HELD, Held(10, None, "v2"), "foreign"),
        (HELD, None, "missing"),
        (HELD, DENIED, "denied"),
        (HELD, replace(HELD, archived=True), "unreadable"),
        (replace(HELD, archived=True), HELD, "unreadable"),
        (replace(HELD, bytes=11), HELD, "torn"),
        (replace(HELD, sha256="b" * 64), HELD, "torn"),
        (replace(HELD, sha256=None), HELD, "unknown"),
        (replace(HELD, sha256=None, bytes=11), HELD, "torn"),
        (replace(HELD, sha256=None, run_id=None), HELD, "foreign"),
        (replace(HELD, run_id=None), HELD, "ok"),
        (None, None, "missing"),
        (None, HELD, "missing"),
        (DENIED, None, "missing"),
        (DENIED, HELD, "denied"),
        (DENIED, Held(1, None), "foreign"),
        (DENIED, Held(11, "b" * 64, "v2", "run-2"), "denied"),
        (None, DENIED, "missing"),
        (REFUSED, HELD, "missing"),
        (REFUSED, REFUSED, "denied"),
        (HELD, REFUSED, "denied"),
    ],
    ids=str,
)
def test_a_file_is_judged_by_its_version_and_by_its_plain_name(published, newest, expected):
    assert state(published, newest) == expected


SHA = st.sampled_from(["a" * 64, "b" * 64, None])
ANY_HELD = st.builds(
    Held, st.integers(0, 11), SHA, st.sampled_from(["v1", "v2", None]), st.sampled_from(["run-1", None])
)


@given(ANY_HELD, ANY_HELD)
def test_only_the_size_and_the_hash_of_the_manifest_are_whole(published, newest):
    def right(held):
        return (held.bytes, held.sha256) == (FILE.bytes, FILE.sha256)

    assert (state(published, newest) == "ok") == (right(published) and right(newest))


def test_on_disk_a_key_may_lie_in_the_directory_of_its_run():
    file = FILE.model_copy(update={"key": ".runs/run-1/rfm.csv", "version_id": None})
    assert state(file=file, where="data/processed") == "ok"
    assert state(file=file.model_copy(update={"key": ".runs/run-1/rfm.parquet"}), where="data/processed") == "foreign"
    assert state(file=file) == "foreign"


def test_a_manifest_of_a_later_minor_release_may_name_more_artifacts(published):
    store = published()

    def change(document):
        more = json.loads(json.dumps(document["artifacts"]["rfm"]))
        for fmt in FORMATS:
            more[fmt]["key"] = f"processed/baskets.{fmt}"
        document["artifacts"]["baskets"] = more

    edit(store, change)
    assert not_whole(look(store)) == {"baskets.parquet": "missing", "baskets.csv": "missing"}
    assert isinstance(store.current().manifest, Manifest)
