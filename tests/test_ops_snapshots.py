"""Published runs: listed from the versions of metadata.json, and gone back to in one write."""

from datetime import UTC, datetime, timedelta

import pytest

from etl.errors import ExitCode, StoreError
from etl.store import DirectoryStore, Run, lost_files, publications, publish, whole
from ops.snapshots import as_json, go_back, listed

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def publishing(shop, snapshot_of, tmp_path):
    """A function that publishes a run with so many sales, made so many days after NOW; returns its manifest."""

    def of(store, sales, days=0):
        rows = [(str(number), "A", "T", 1, f"2026-03-{number:02}", "10", "7", "UK") for number in range(1, sales + 1)]
        directory = tmp_path / f"{sales}-{days}"
        snapshot_of([shop(*rows, name=f"{sales}.csv")], directory, now=NOW + days * DAY)
        local = DirectoryStore(directory)
        mine = local.current().manifest.model_copy(update={"published_by": f"ann{days}@laptop"})
        return publish(store, Run(mine, local), store.published(), now=NOW + days * DAY).manifest

    return of


def files_of(manifest):
    return manifest.files


class Counting:
    """An S3 client that counts what is asked of it."""

    def __init__(self, client):
        self.client = client
        self.asked = []

    def __getattr__(self, name):
        asked = getattr(self.client, name)

        def call(**words):
            self.asked.append(name)
            return asked(**words)

        return call if name.endswith("_object") else asked


def test_every_publication_is_listed_newest_first_with_who_and_what(new_bucket, publishing):
    store = new_bucket()
    runs = [publishing(store, 2), publishing(store, 3, days=1), publishing(store, 5, days=2)]
    found = publications(store, 20)
    assert [each.manifest for each in found] == runs[::-1]
    assert [each.is_current for each in found] == [True, False, False]
    head, newest, *_ = listed(found).splitlines()
    assert head.split() == ["run", "published", "(UTC)", "by", "code", "lines", "newest", "day"]
    cells = newest.split()
    assert (cells[0], cells[3:]) == (runs[2].run_id, ["ann2@laptop", "test", "5", "2026-03-05", "current"])
    assert as_json(found)[0] | {"version_id": "", "published_at": ""} == {
        "version_id": "",
        "published_at": "",
        "current": True,
        "run_id": runs[2].run_id,
        "generated_at": "2026-11-24T06:00:00Z",
        "published_by": "ann2@laptop",
        "restored_by": None,
        "code_version": "test",
        "rows_in": 5,
        "rows_kept": 5,
        "data_from": "2026-03-01",
        "data_through": "2026-03-05",
    }


def test_only_as_many_as_asked_for_are_read(new_bucket, publishing):
    store = new_bucket()
    for days in range(3):
        publishing(store, 2, days=days)
    client = Counting(store.client)
    counted = type(store)(client, store.bucket, store.prefix)
    assert len(publications(counted, 2)) == 2
    assert client.asked == ["get_object", "get_object"]


def test_an_empty_prefix_a_deleted_manifest_and_a_foreign_one_are_told(new_bucket, publishing):
    store = new_bucket()
    assert listed(publications(store, 20)) == "nothing is published"
    publishing(store, 2)
    store.client.put_object(Bucket=store.bucket, Key="processed/metadata.json", Body=b'{"hello": 1}')
    foreign, ours = listed(publications(store, 20)).splitlines()[1:]
    assert foreign.startswith("? ")
    assert "is not a manifest" in foreign
    assert ours.split()[0] != "?"
    store.client.delete_object(Bucket=store.bucket, Key="processed/metadata.json")
    assert [each.is_current for each in publications(store, 20)] == [False, False]


def test_going_back_is_one_write_and_readers_follow(new_bucket, publishing):
    store = new_bucket()
    old, new = publishing(store, 2), publishing(store, 4, days=1)
    reader = whole(store, files_of)
    assert reader.current.manifest.run_id == new.run_id
    client = Counting(store.client)
    told = go_back(type(store)(client, store.bucket, store.prefix), old.run_id, by="bob@desk")
    assert told.status == ExitCode.GOOD
    assert client.asked.count("put_object") == 1
    followed = whole(store, files_of, reader.current.etag)
    assert followed.current.manifest == old.model_copy(update={"restored_by": "bob@desk"})
    assert set(followed.files) == {file.sha256 for file in files_of(old)}
    assert "restored by bob@desk" in listed(publications(store, 20)).splitlines()[1]


def test_going_back_shows_what_it_means_and_planning_it_changes_nothing(new_bucket, publishing):
    store = new_bucket()
    old, new = publishing(store, 2), publishing(store, 4, days=1)
    told = go_back(store, old.run_id, by="bob@desk", plan=True)
    assert told.status == ExitCode.CHANGES_PENDING
    assert told.text.splitlines()[0].startswith(f"would go back to run {old.run_id}, made 2026-11-22 06:00 UTC")
    assert told.text.splitlines()[-2].split() == ["orders", "4", "2", "-2"]
    assert store.current().manifest == new


def test_the_current_run_needs_no_going_back_to(new_bucket, publishing):
    store = new_bucket()
    run = publishing(store, 2)
    before = store.current()
    assert go_back(store, run.run_id, by="bob@desk").status == ExitCode.GOOD
    assert store.current() == before


def test_after_going_back_the_next_newer_run_is_published_as_ever(new_bucket, publishing):
    store = new_bucket()
    old, _ = publishing(store, 2), publishing(store, 4, days=1)
    go_back(store, old.run_id, by="bob@desk")
    next_run = publishing(store, 5, days=2)
    assert store.current().manifest == next_run
    assert lost_files(store, next_run) == []


def test_a_run_whose_versions_are_gone_is_refused_with_the_reason_and_nothing_changes(new_bucket, publishing):
    store = new_bucket()
    old, new = publishing(store, 2), publishing(store, 4, days=1)
    file = old.artifacts["rfm"].csv
    store.client.delete_object(Bucket=store.bucket, Key=file.key, VersionId=file.version_id)
    assert lost_files(store, old) == [file.key]
    with pytest.raises(StoreError, match=rf"no longer whole: {file.key} cannot be read") as caught:
        go_back(store, old.run_id, by="bob@desk")
    assert "lifecycle" in caught.value.to_do
    assert store.current().manifest == new


def test_an_unknown_run_is_refused_with_those_there_are(new_bucket, publishing):
    store = new_bucket()
    run = publishing(store, 2)
    with pytest.raises(StoreError, match="no run '20200101T000000Z-abcdef' was published") as caught:
        go_back(store, "20200101T000000Z-abcdef", by="bob@desk")
    assert caught.value.expected == f"one of {run.run_id}"


def test_a_bucket_without_versions_has_nothing_to_go_back_to_and_says_why(new_bucket, publishing):
    store = new_bucket(versioned=False)
    old, _ = publishing(store, 2), publishing(store, 4, days=1)
    assert len(publications(store, 20)) == 1
    with pytest.raises(StoreError, match="a bucket without versions keeps the current run alone"):
        go_back(store, old.run_id, by="bob@desk")
