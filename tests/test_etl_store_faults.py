"""S3 on a bad day, by seeds: no read is wrong, no success is false, and what an error says of the bucket is true.

The faults of a seed depend on the seed and the request alone: `KPI_OPS_FAULT_SEEDS=17-17` plays seed 17 again, and
`KPI_OPS_FAULT_SEEDS=0-1999` plays more of them.
"""

import os
import queue
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from moto.s3.models import s3_backends

from etl.contract import METADATA, Manifest
from etl.errors import KpiOpsError
from etl.store import Overtaken, Patience, Published, S3Store, lost_files, publications, publish, restore, sha256, whole
from tests.made_runs import ALL_NEW, FIRST, files_of, made_run, number_of
from tests.s3_faults import schedule
from tests.s3_proxy import Proxy, honest, make_bucket, moto_s3, s3_client_of

FIRST_SEED, LAST_SEED = map(int, os.environ.get("KPI_OPS_FAULT_SEEDS", "0-199").split("-"))
AT_ONCE = 4  # most of the time of a seed is waiting for what was stalled
LONGEST_S = 60
LATER = FIRST + timedelta(days=1)
PREFIX = "processed/"
NOBODY_KNOWS = "the old one or the new one"


class World:
    """A versioned bucket with run 0 in it, and a way to it that can be spoilt."""

    def __init__(self, s3, bucket):
        self.proxy = Proxy(s3)
        patient = s3_client_of(self.proxy.address)
        make_bucket(patient, bucket)
        quiet = S3Store(patient, bucket, PREFIX)
        self.old = publish(quiet, made_run(0).run, quiet.published(), now=LATER).manifest
        self.quiet = quiet
        impatient = s3_client_of(self.proxy.address, read_timeout_s=0.3)
        patience = Patience(attempts=4, deadline_s=2.0, sleep=lambda _seconds: None)
        self.store = S3Store(impatient, bucket, PREFIX, patience)
        self.first = self.proxy.written[0]
        self.objects = {key: list(self._versions(key)) for key in self._keys()}

    def begin(self, seed):
        """As it was in the beginning, set back behind the server's back."""
        for key, versions in self.objects.items():
            self._bucket.keys.setlist(key, list(versions))
        self.proxy.begin(schedule(seed))
        self.proxy.written[:] = [self.first]
        self.rivals = []

    def rival(self, number):
        """Somebody else with a better network publishes a run."""
        spoil, self.proxy.spoil = self.proxy.spoil, lambda _asked: honest
        if isinstance(publish(self.quiet, made_run(number).run, self.quiet.published(), now=LATER), Published):
            self.rivals.append(self.proxy.written[-1])
        self.proxy.spoil = spoil

    def settle(self):
        """Wait for what a failed publish left behind, on either side."""
        for thread in threading.enumerate():
            if self.store.where in thread.name:
                thread.join(LONGEST_S)
        self.proxy.settle()

    def read(self, file):
        """The bytes of one version of a file, without asking the server."""
        return next(each.value for each in self._versions(file.key) if each.version_id == file.version_id)

    @property
    def _bucket(self):
        return s3_backends["123456789012"]["aws"].buckets[self.store.bucket]

    def _keys(self):
        return [file.key for file in files_of(self.old)] + [PREFIX + METADATA]

    def _versions(self, key):
        return self._bucket.keys.getlist(key)


class Seed:
    """What is tried on one bad day, and what came of it."""

    def __init__(self, seed, world):
        world.begin(seed)
        self.world = world
        self.store = world.store
        self.dice = random.Random(f"steps {seed}")
        self.came = Counter()

    def texts(self, began, ended):
        """Every metadata.json that was the published one at a moment between the two."""
        written = self.world.proxy.written
        before = [each.text for each in written if each.at < began][-1:]
        return [*before, *(each.text for each in written if began <= each.at <= ended)]

    def now(self):
        """The metadata.json that is published."""
        return self.world.proxy.written[-1].text

    # --- what is tried

    def write(self, doing, act):
        """`act` gives the manifest that is published now, or None where another one stays."""
        before = len(self.world.proxy.written)
        try:
            manifest = act()
        except KpiOpsError as error:
            self.judge_failure(doing, str(error), before)
            return
        if manifest is None:
            self.came[f"{doing}: another stays"] += 1
            return
        assert self.now() == manifest.to_json().encode(), f"{doing}: a false success"
        self.verify(manifest)
        self.came[f"{doing}: done"] += 1

    def judge_failure(self, doing, said, before):
        """Where an error does not say that nobody knows, what is published is what was, or what the rival published."""
        if NOBODY_KNOWS in said:
            self.came[f"{doing}: nobody knows"] += 1
            return
        others = [self.world.proxy.written[before - 1], *self.world.rivals]
        assert self.now() in [each.text for each in others], f"{doing} did it, and said: {said}"
        self.came[f"{doing}: failed"] += 1

    def verify(self, manifest):
        """Every file is there in the very version that the manifest names."""
        assert all(file.version_id for file in files_of(manifest)), "a version was lost"
        assert {sha256(self.world.read(file)) for file in files_of(manifest)} == set(
            made_run(number_of(manifest)).by_sha256
        )

    def publish(self):
        number = self.dice.choice((1, 2, 10, ALL_NEW))
        rival = self.dice.choice((None, None, 1, 3, 2 * ALL_NEW))

        def act():
            base = self.store.published()
            if rival:
                self.world.rival(rival)
            done = publish(self.store, made_run(number).run, base, now=LATER)
            if isinstance(done, Overtaken):
                assert number_of(done.by) > number
                return None
            return done.manifest

        self.write("publish", act)

    def restore(self):
        manifest = self.world.old.model_copy(update={"restored_by": "somebody"})

        def act():
            return manifest if restore(self.store, manifest, self.store.published()) else None

        self.write("restore", act)

    def read(self):
        """A whole read, and one that asks whether it is still the newest."""
        began = time.monotonic()
        try:
            found = whole(self.store, files_of, sleep=lambda _seconds: None)
        except KpiOpsError:
            self.came["read: failed"] += 1
            return
        self.came["read: done"] += 1
        manifest = found.current.manifest
        assert manifest.to_json().encode() in self.texts(began, time.monotonic())
        assert found.files == made_run(number_of(manifest)).by_sha256
        self.read_again(found)

    def read_again(self, found):
        began = time.monotonic()
        try:
            again = self.store.current(found.current.etag)
        except KpiOpsError:
            self.came["read again: failed"] += 1
            return
        manifest = (again or found.current).manifest
        assert manifest.to_json().encode() in self.texts(began, time.monotonic())
        self.came["read again: done"] += 1

    def look(self):
        """The list of publications, and whether the first one has lost anything."""
        try:
            found = publications(self.store, 10)
            lost = lost_files(self.store, self.world.old)
        except KpiOpsError:
            self.came["look: failed"] += 1
            return
        self.came["look: done"] += 1
        texts = [each.text for each in self.world.proxy.written]
        assert all(each.manifest.to_json().encode() in texts for each in found)
        assert lost == []

    def end(self):
        """When the day is over one of the runs is there, whole."""
        self.world.settle()
        self.verify(Manifest.from_json(self.now()))


def play(seed, worlds):
    """What came of a seed, counted. Any error but the project's own is a failure, with the seed named."""
    world = worlds.get()
    try:
        played = Seed(seed, world)
        for step in (played.publish, played.read, played.dice.choice((played.restore, played.look, played.publish))):
            step()
        played.end()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        world.settle()
        worlds.put(world)
    return played.came


@pytest.fixture(scope="module")
def worlds():
    """A queue of them: a seed has one to itself."""
    free = queue.Queue()
    s3 = moto_s3()
    every = [World(s3, f"world-{number}") for number in range(AT_ONCE)]
    for world in every:
        free.put(world)
    yield free
    for world in every:
        world.proxy.stop()


def test_on_200_bad_days_no_read_is_wrong_no_success_is_false_and_errors_tell_the_truth(worlds):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        playing = [pool.submit(play, seed, worlds) for seed in range(FIRST_SEED, LAST_SEED + 1)]
        errors = [error for each in playing if (error := each.exception(LONGEST_S))]
    if errors:
        raise ExceptionGroup(f"{len(errors)} seeds; the first of them", errors[:2])
    came = sum((each.result() for each in playing), Counter())
    everything = {"publish: done", "publish: failed", "restore: done", "read: done", "read: failed", "look: done"}
    assert everything <= set(came) or FIRST_SEED == LAST_SEED
