"""Publishing as a person meets it: what is planned, refused, told, and who was it."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from etl.contract import ARTIFACTS, FORMATS, Manifest, columns_in
from etl.errors import ExitCode
from etl.store import Base, DirectoryStore, Run, publish
from ops.guard import doubts
from ops.settings import PublishSettings
from ops.sync import Publisher, planned, sync
from ops.who import who

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
SALE = ("1", "A", "THING", 1, "2026-03-02", "10", "7", "UK")


@pytest.fixture
def published(sample_snapshot_dir):
    """A manifest as it might be published."""
    return DirectoryStore(sample_snapshot_dir).current().manifest


def with_rows(manifest, name, rows):
    artifact = manifest.artifacts[name]
    files = {fmt: file.model_copy(update={"rows": rows}) for fmt, file in artifact.files.items()}
    return manifest.model_copy(update={"artifacts": manifest.artifacts | {name: artifact.model_copy(update=files)}})


def base_of(manifest):
    return Base(manifest, '"etag"', manifest.to_json().encode())


# --- the guard -------------------------------------------------------------------------------------------------------


def test_the_guard_has_nothing_against_the_same_snapshot_nor_against_the_first(published):
    assert doubts(published, base_of(published), PublishSettings()) == []
    assert doubts(published, Base(), PublishSettings()) == []


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"data_through": datetime(2026, 11, 20, tzinfo=UTC).date()}, "the newest day would move back from 2026-11-21"),
        ({"rows_kept": 1}, "kept lines would fall from"),
        ({"currency": "EUR"}, "the currency would change from GBP to EUR"),
    ],
)
def test_the_guard_says_what_looks_broken(published, update, said):
    (doubt,) = doubts(published.model_copy(update=update), base_of(published), PublishSettings())
    assert doubt.startswith(said)


@pytest.mark.parametrize("name", ["daily_kpis", "top_products", "rfm", "cohorts"])
def test_the_guard_counts_the_rows_of_every_artifact_strictly(published, name):
    before, limits = with_rows(published, name, 1000), PublishSettings(max_rows_down_share=0.2)
    assert doubts(with_rows(published, name, 800), base_of(before), limits) == []
    (doubt,) = doubts(with_rows(published, name, 799), base_of(before), limits)
    assert doubt == f"rows of {name} would fall from 1,000 to 799 (-20%; at most -20%)"


def test_the_guard_lets_the_newest_day_move_back_as_far_as_the_setting_says(published):
    earlier = published.model_copy(update={"data_through": published.data_through - timedelta(days=2)})
    assert doubts(earlier, base_of(published), PublishSettings(max_days_back=2)) == []
    assert doubts(earlier, base_of(published), PublishSettings(max_days_back=1))


def test_the_guard_sees_columns_and_artifacts_gone_also_where_the_published_manifest_cannot_be_used(published):
    more = published.to_json().replace('"abc_class": "string"', '"abc_class": "string", "margin": "int64"', 1)
    more = more.replace('"artifacts": {', '"artifacts": {"returns": {"columns": {"day": "date"}},', 1)
    found = doubts(published, Base(None, '"etag"', more.encode()), PublishSettings())
    assert found == ["the artifact returns would be gone", "top_products would lose margin"]


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"artifacts": 3}', b'{"artifacts": {"a": 1}}', b"\xff", b"[" * 9999]
)
def test_damaged_metadata_names_no_columns_and_is_no_reason_to_refuse(published, text):
    assert columns_in(text) == {}
    assert doubts(published, Base(None, '"etag"', text), PublishSettings()) == []


# --- who -------------------------------------------------------------------------------------------------------------


def test_who_is_a_user_at_a_host_or_a_workflow_run():
    assert who({}, "ann", "laptop") == "ann@laptop"
    actions = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "ann",
        "GITHUB_REPOSITORY": "shop/kpis",
        "GITHUB_RUN_ID": "77",
    }
    assert who(actions, "runner", "fv-az1") == "ann by GitHub Actions, shop/kpis run 77"


# --- plan and sync ---------------------------------------------------------------------------------------------------


@pytest.fixture
def making(shop, snapshot_of):
    """A function of (rows, when) that gives a maker of their snapshot."""

    def of(*rows, when=NOW):
        source = shop(*rows, name=f"{len(rows)}-{when:%H%M%S}.csv")

        def make(directory) -> Manifest:
            return snapshot_of([source], directory, now=when)

        return make

    return of


@pytest.fixture
def publisher(new_bucket):
    """A publisher into a bucket of this test, and the bytes that its progress was told of."""
    told = []

    @contextmanager
    def progress(total):
        told.append(total)
        yield told.append

    made = Publisher(new_bucket(), PublishSettings(), "ann@laptop", progress)
    return made, told


def sale(number, day, price="10", customer="7"):
    return (str(number), "A", "THING", 1, f"2026-03-{day:02}", price, customer, "UK")


def test_a_plan_shows_files_with_bytes_and_rows_and_the_figures_before_and_after(publisher, making, tmp_path):
    publisher, _ = publisher
    sync(making(sale(1, 2), sale(2, 3, "90")), tmp_path / "out", publisher, now=lambda: NOW)
    later = NOW + timedelta(days=1)
    told = planned(making(sale(1, 2), sale(2, 3, "90"), sale(3, 4, "25.5", "8"), when=later), publisher)
    lines = told.text.splitlines()
    assert told.status == ExitCode.CHANGES_PENDING
    assert lines[0].startswith("published now: run 20261122T060000Z-")
    assert lines[0].endswith("made 2026-11-22 06:00 UTC, published by ann@laptop")
    daily = next(line for line in lines if "daily_kpis.csv" in line)
    assert daily.startswith("changed ")
    assert daily.endswith("3 rows (+1)")
    assert next(line for line in lines if line.startswith("net sales")).split()[2:] == [
        "GBP", "100.00", "125.50", "+25.50", "(+25.5%)",
    ]  # fmt: skip
    assert next(line for line in lines if line.startswith("orders")).split() == ["orders", "2", "3", "+1"]
    assert lines[-1].split() == ["newest", "day", "2026-03-03", "2026-03-04", "+1", "day"]


def test_the_first_plan_has_nothing_to_compare_with(publisher, making):
    publisher, _ = publisher
    told = planned(making(sale(1, 2)), publisher)
    assert told.text.splitlines()[0] == "published now: nothing"
    assert sum(line.startswith("new ") for line in told.text.splitlines()) == len(ARTIFACTS) * len(FORMATS)
    assert told.status == ExitCode.CHANGES_PENDING


def test_what_looks_broken_is_refused_by_plan_and_sync_and_published_by_force(publisher, making, tmp_path):
    publisher, _ = publisher
    sync(making(sale(1, 2), sale(2, 9)), tmp_path / "out", publisher, now=lambda: NOW)
    before = publisher.store.current().manifest
    later = NOW + timedelta(days=1)
    broken = making(sale(1, 2), when=later)
    assert planned(broken, publisher).status == ExitCode.CHECK_FAILED
    told = sync(broken, tmp_path / "out", publisher, now=lambda: later)
    assert told.status == ExitCode.CHECK_FAILED
    assert "the newest day would move back from 2026-03-09 to 2026-03-02" in told.text
    assert "etl-sync --force" in told.text
    assert publisher.store.current().manifest == before
    forced = sync(broken, tmp_path / "out", publisher, now=lambda: later, force=True)
    assert forced.status == ExitCode.GOOD
    assert publisher.store.current().manifest.data_through.isoformat() == "2026-03-02"


def test_progress_is_told_of_every_byte_that_was_uploaded(publisher, making, tmp_path):
    publisher, told = publisher
    sync(making(sale(1, 2)), tmp_path / "out", publisher, now=lambda: NOW)
    total, *steps = told
    manifest = publisher.store.current().manifest
    assert total == sum(file.bytes for artifact in manifest.artifacts.values() for file in artifact.files.values())
    assert sum(steps) == total


def test_an_older_run_is_not_published_over_a_newer_one_and_says_whose_that_is(publisher, making, tmp_path):
    publisher, _ = publisher
    sync(making(sale(1, 2), sale(2, 3), when=NOW), tmp_path / "out", publisher, now=lambda: NOW)
    older = making(sale(1, 2), sale(2, 3), when=NOW - timedelta(hours=1))
    told = sync(older, tmp_path / "out", publisher, now=lambda: NOW)
    assert told.status == ExitCode.GOOD
    assert "a newer one is, and stays" in told.text
    assert "made 2026-11-22 06:00 UTC, published by ann@laptop" in told.text
    assert publisher.store.current().manifest.generated_at == NOW


def test_a_run_from_the_future_does_not_stop_those_of_today(publisher, making, tmp_path):
    publisher, _ = publisher
    store = publisher.store
    ahead = NOW + timedelta(days=300)
    make = making(sale(1, 2), when=ahead)
    make(tmp_path / "ahead")
    local = DirectoryStore(tmp_path / "ahead")
    publish(store, Run(local.current().manifest, local), store.published(), now=NOW)
    sync(making(sale(1, 2), when=NOW), tmp_path / "out", publisher, now=lambda: NOW)
    assert store.current().manifest.generated_at == NOW


def test_a_bucket_without_versions_is_said_to_be_one(publisher, making, tmp_path, new_bucket):
    publisher, _ = publisher
    plain = Publisher(new_bucket(versioned=False), publisher.limits, publisher.by, publisher.progress)
    assert "the bucket keeps no versions" in sync(making(sale(1, 2)), tmp_path / "out", plain, now=lambda: NOW).text
    assert "versions" not in sync(making(sale(1, 2)), tmp_path / "out", publisher, now=lambda: NOW).text
