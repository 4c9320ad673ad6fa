"""Many publishers and many readers at once: every read is of one run, and the newest run stays."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from etl.errors import DamagedArtifact
from etl.store import Overtaken, Patience, Published, S3Store, publications, publish, whole
from tests.made_runs import FIRST, files_of, made_run, number_of
from tests.s3_proxy import Proxy, make_bucket, moto_s3, s3_client_of

PUBLISHERS = 8
READERS = 16
LATER = FIRST + timedelta(days=1)


@pytest.fixture(scope="module")
def client():
    """A client of an S3 that does one request at a time; see Proxy."""
    proxy = Proxy(moto_s3())
    yield s3_client_of(proxy.address)
    proxy.stop()


def race(store, runs_each):
    """Everybody at once; gives number of the run -> what came of it, and what each reader saw, in its order."""
    publish(store, made_run(0).run, store.published(), now=LATER)
    done = threading.Event()
    with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(PUBLISHERS) as publishers:
        reading = [readers.submit(read_until, done, store) for _ in range(READERS)]
        last = PUBLISHERS * runs_each
        publishing = [
            publishers.submit(publish_in_turn, store, range(first, last + 1, PUBLISHERS))
            for first in range(1, PUBLISHERS + 1)
        ]
        try:
            came = {number: result for each in publishing for number, result in each.result().items()}
        finally:
            done.set()
        return came, [each.result() for each in reading]


def publish_in_turn(store, numbers):
    return {number: publish(store, made_run(number).run, store.published(), now=LATER) for number in numbers}


def read_until(done, store):
    """Read all the time; gives the numbers of the runs that were seen, None for one that was damaged."""
    seen = []
    while not done.is_set():
        try:
            found = whole(store, files_of, sleep=lambda _seconds: None)
        except DamagedArtifact:
            seen.append(None)
            continue
        seen.append(number_of(found.current.manifest))
        assert found.files == made_run(seen[-1]).by_sha256  # all files are of the run that the manifest names
    return seen


def store_in(client, bucket, *, versioned):
    make_bucket(client, bucket, versioned=versioned)
    return S3Store(client, bucket, "processed/", Patience(deadline_s=200))


def test_of_8_publishers_and_16_readers_nobody_fails_and_the_newest_run_stays(client):
    store = store_in(client, "race", versioned=True)
    came, seen = race(store, runs_each=25)

    assert all(each for each in seen)
    assert all(each == sorted(each) for each in seen)  # nobody saw a run after a newer one; nor damage, which is None
    assert number_of(store.current().manifest) == max(came) == 200
    published = {number for number, result in came.items() if isinstance(result, Published)}
    assert [number_of(each.manifest) for each in publications(store, 300)] == [*sorted(published, reverse=True), 0]
    overtaken = {number: result for number, result in came.items() if isinstance(result, Overtaken)}
    assert published | set(overtaken) == set(range(1, 201))
    assert all(number_of(result.by) > number for number, result in overtaken.items())


def test_without_versions_a_reader_meets_damage_but_no_mixture_and_a_quiet_sync_heals(client):
    store = store_in(client, "race-unversioned", versioned=False)
    came, seen = race(store, runs_each=2)
    assert all(each for each in seen)
    assert number_of(store.current().manifest) == max(came)
    publish(store, made_run(max(came) + 1).run, store.published(), now=LATER)
    assert whole(store, files_of).files == made_run(max(came) + 1).by_sha256
