"""kill -9 at every point of publishing: a reader sees the old run or the new one, and the next sync heals."""

import multiprocessing
import os
import signal
import sys
import threading
from datetime import timedelta
from multiprocessing import forkserver
from types import ModuleType

import pytest

from etl.errors import DamagedArtifact
from etl.store import Published, S3Store, lost_files, publications, publish, whole
from tests.made_runs import ALL_NEW, FIRST, files_of, made_run, number_of
from tests.s3_proxy import Proxy, honest, make_bucket, moto_s3, s3_client_of

LATER = FIRST + timedelta(days=1)
OLD, NEW, NEXT = 0, ALL_NEW, ALL_NEW + 1
REQUESTS = 14  # of a publish where every file is a new one: a look, twelve files, metadata.json
LONGEST_S = 60


def publish_from_elsewhere(endpoint, bucket, number):
    """What the process does that is killed."""
    store = S3Store(s3_client_of(endpoint), bucket, "processed/")
    publish(store, made_run(number).run, store.published(), now=LATER)


@pytest.fixture(scope="module")
def processes():
    """Real processes that start at once: they are forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["etl.store", "tests.made_runs", "tests.s3_proxy", "botocore.client", "pytest"])
    with pytest.MonkeyPatch.context() as patch:
        # A page under test leaves its script as __main__, and every process would begin by running that.
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))
        yield context
    forkserver._forkserver._stop()  # else it stays until the last test is over


@pytest.fixture(scope="module")
def proxy():
    proxy = Proxy(moto_s3())
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def client(proxy):
    return s3_client_of(proxy.address)


class Killer:
    """Kills the publisher at its request number `at`, before S3 gets it or when it is done and not yet answered."""

    def __init__(self, at, *, done):
        self.at = at
        self.done = done
        self.process = None
        self._counting = threading.Lock()
        self._arrived = 0

    def __call__(self, _asked):
        with self._counting:
            number = self._arrived
            self._arrived += 1
        return self.kill if number == self.at else honest

    def kill(self, exchange):
        if self.done:
            exchange.forward()
        os.kill(self.process.pid, signal.SIGKILL)
        exchange.reset()


def kill_a_publisher(processes, proxy, store, killer):
    """Publish the new run from a process that is killed, and wait until nothing of it is under way."""
    killer.process = processes.Process(target=publish_from_elsewhere, args=(proxy.address, store.bucket, NEW))
    proxy.spoil = killer
    killer.process.start()
    killer.process.join(LONGEST_S)
    proxy.spoil = lambda _asked: honest
    proxy.settle()
    assert killer.process.exitcode == -signal.SIGKILL


def number_seen(store):
    found = whole(store, files_of, sleep=lambda _seconds: None)
    number = number_of(found.current.manifest)
    assert found.files == made_run(number).by_sha256
    return number


@pytest.fixture
def published(client, request):
    """A function that makes a bucket in which the old run is published, and gives its store."""

    def make(*, versioned=True):
        bucket = f"kill-{abs(hash(request.node.nodeid)) % 10**10}"
        make_bucket(client, bucket, versioned=versioned)
        store = S3Store(client, bucket, "processed/")
        publish(store, made_run(OLD).run, store.published(), now=LATER)
        return store

    return make


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(REQUESTS))
def test_a_publisher_killed_at_any_request_leaves_the_old_run_or_the_new_one_and_the_next_sync_heals(
    processes, proxy, published, at, when
):
    store = published()
    kill_a_publisher(processes, proxy, store, Killer(at, done=when == "after"))
    expected = NEW if (at, when) == (REQUESTS - 1, "after") else OLD
    assert number_seen(store) == expected
    listed = [number_of(each.manifest) for each in publications(store, 10)]
    assert listed == {OLD: [OLD], NEW: [NEW, OLD]}[expected]  # what was uploaded before the end is no publication

    done = publish(store, made_run(NEXT).run, store.published(), now=LATER)
    assert isinstance(done, Published)
    assert store.current().manifest == done.manifest
    assert lost_files(store, done.manifest) == []


@pytest.mark.parametrize("at", [1, 6, REQUESTS - 1])
def test_without_versions_a_reader_sees_one_run_or_damage_and_the_next_sync_heals(processes, proxy, published, at):
    store = published(versioned=False)
    kill_a_publisher(processes, proxy, store, Killer(at, done=True))
    try:
        assert number_seen(store) == (NEW if at == REQUESTS - 1 else OLD)
    except DamagedArtifact:
        assert at < REQUESTS - 1
    publish(store, made_run(NEXT).run, store.published(), now=LATER)
    assert number_seen(store) == NEXT
