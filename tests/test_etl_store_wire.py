"""Requests to S3: what is tried again, how long it may take, and what is said in the end."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from etl.contract import ARTIFACTS, FORMATS
from etl.errors import StoreDenied, StoreError, StoreUnreachable
from etl.store import DirectoryStore, Overtaken, Patience, Published, Run, S3Store, publish
from etl.store.wire import NoSuchKey, Request, asked, bounded, complete

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def answered(status, code):
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Anything")


class Failing:
    """Something to send that fails in the given ways, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.tries = 0

    def __call__(self):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def waits():
    return []


@pytest.fixture
def deadline(waits):
    return Patience(attempts=5, deadline_s=30, sleep=waits.append).begin()


@pytest.mark.parametrize(
    "error",
    [
        answered(500, "InternalError"),
        answered(503, "SlowDown"),
        answered(429, "TooManyRequests"),
        answered(400, "RequestTimeout"),
        answered(400, "BadDigest"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ConnectionResetError(104, "reset"),
        TimeoutError("timed out"),
    ],
)
def test_what_may_pass_is_tried_again_after_waits_that_may_grow_and_are_random(error, deadline, waits):
    send = Failing(error, error, error, error)
    assert asked(Request("asking", send), deadline) == "answer"
    assert send.tries == 5
    assert all(0 <= wait <= 0.2 * 2**place for place, wait in enumerate(waits))
    assert len(set(waits)) == 4


def test_what_does_not_pass_is_said_after_so_many_tries_with_what_s3_answered(deadline):
    send = Failing(*[answered(503, "SlowDown")] * 9)
    with pytest.raises(StoreUnreachable, match="uploading x: S3 answered 503 SlowDown") as caught:
        asked(Request("uploading x", send), deadline)
    assert send.tries == 5
    assert "the published snapshot is still the old one" in caught.value.to_do


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (answered(403, "AccessDenied"), StoreDenied, "S3 answered 403 AccessDenied"),
        (answered(403, "RequestTimeTooSkewed"), StoreDenied, "S3 answered 403 RequestTimeTooSkewed"),
        (answered(400, "AuthorizationHeaderMalformed"), StoreDenied, "S3 answered 400"),
        (answered(404, "NoSuchBucket"), StoreError, "S3 answered 404 NoSuchBucket"),
    ],
)
def test_a_refusal_is_not_tried_again(error, kind, said, deadline):
    send = Failing(error)
    with pytest.raises(kind, match=said):
        asked(Request("asking", send), deadline)
    assert send.tries == 1


def test_a_wrong_clock_is_named_as_the_cause(deadline):
    with pytest.raises(StoreDenied) as caught:
        asked(Request("asking", Failing(answered(403, "RequestTimeTooSkewed"))), deadline)
    assert "clock" in caught.value.to_do


def test_an_answer_that_is_looked_for_is_given_at_once(deadline):
    send = Failing(answered(404, "NoSuchKey"))
    with pytest.raises(NoSuchKey):
        asked(Request("asking", send, (NoSuchKey,)), deadline)
    assert asked(Request("asking", Failing(answered(404, "NoSuchKey")), absent=lambda: None), deadline) is None


def test_a_bug_of_ours_is_not_taken_for_a_failure_of_s3(deadline):
    with pytest.raises(KeyError):
        asked(Request("asking", Failing(KeyError("bug"))), deadline)


def test_answers_come_in_the_order_of_the_requests_and_side_by_side(deadline):
    together = threading.Barrier(3, timeout=10)
    requests = [Request(str(n), lambda n=n: together.wait() * 0 + n) for n in range(3)]
    assert bounded(requests, deadline, threads=3) == [0, 1, 2]
    assert bounded([], deadline, threads=3) == []


def test_after_an_error_no_further_request_is_begun(deadline):
    begun = []

    def send(n):
        begun.append(n)
        if n == 1:
            raise answered(403, "AccessDenied")

    with pytest.raises(StoreDenied):
        bounded([Request(str(n), lambda n=n: send(n)) for n in range(9)], deadline, threads=1)
    assert begun == [0, 1]


def test_the_deadline_holds_whatever_a_request_does_and_names_it():
    stuck = threading.Event()
    deadline = Patience(deadline_s=0.2).begin()
    with pytest.raises(StoreUnreachable, match=r"uploading s3://b/k: not done 0\.2 s after all began"):
        asked(Request("uploading s3://b/k", stuck.wait), deadline)
    stuck.set()


def test_what_was_given_up_is_not_sent_again_after_its_wait():
    clock = [0.0]

    def sleep(_seconds):
        clock[0] += 20

    send = Failing(*[answered(503, "SlowDown")] * 4)
    patience = Patience(attempts=5, deadline_s=10, sleep=sleep, clock=lambda: clock[0])
    with pytest.raises(StoreUnreachable, match="not done 10 s after all began"):
        asked(Request("uploading", send), patience.begin())
    assert send.tries == 1


def test_no_wait_is_longer_than_what_is_left_until_the_deadline():
    clock, waits = [0.0], []

    def sleep(seconds):
        waits.append(seconds)
        clock[0] += seconds

    send = Failing(*[answered(503, "SlowDown")] * 99)
    patience = Patience(attempts=99, deadline_s=3, sleep=sleep, clock=lambda: clock[0])
    with pytest.raises(StoreUnreachable):
        asked(Request("uploading", send), patience.begin())
    assert sum(waits) <= 3


def test_an_answer_without_a_length_was_cut_off_and_is_asked_for_again(deadline):
    cut = {"ResponseMetadata": {"HTTPHeaders": {"date": "today", "x-amz-version-id": "6b0e"}}}
    good = {"ResponseMetadata": {"HTTPHeaders": {"x-amz-version-id": "6b0e7cb8", "content-length": "0"}}}
    answers = [cut, good]
    assert asked(Request("asking", lambda: complete(answers.pop(0), "asking")), deadline) is good
    with pytest.raises(StoreUnreachable, match="asking: the answer was cut off"):
        complete(cut, "asking")


@pytest.fixture
def dripping():
    """An S3 that answers at once and then sends a byte now and then, for ever."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(connection):
        with connection:
            connection.recv(65536)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nETag: "x"\r\n\r\n')
            while not ended.wait(0.05):
                connection.sendall(b"x")

    def serve():
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    ended.set()
    listener.close()


def test_a_server_that_drips_does_not_hold_a_reader_beyond_its_deadline(dripping, client_for):
    store = S3Store(client_for(dripping), "bucket", "processed/", Patience(attempts=2, deadline_s=0.5))
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match=r"reading s3://bucket/processed/metadata\.json: not done"):
        store.current()
    assert time.monotonic() - began < 5  # its socket timeout never fires, and the body would take 5,000 s


# --- a write whose answer is lost ------------------------------------------------------------------------------------


class LosingAnswers:
    """An S3 client that loses the answer to writes of metadata.json: done all the same, or not."""

    def __init__(self, client, *, done, then=None):
        self.client = client
        self.done = done
        self.then = then

    def __getattr__(self, name):
        return getattr(self.client, name)

    def put_object(self, **words):
        if not words["Key"].endswith("metadata.json"):
            return self.client.put_object(**words)
        if self.done:
            self.client.put_object(**words)
        raise ConnectionResetError(104, "reset")

    def get_object(self, **words):
        if self.then:
            raise self.then
        return self.client.get_object(**words)


@pytest.fixture
def mine(sample_snapshot_dir):
    local = DirectoryStore(sample_snapshot_dir)
    return Run(local.current().manifest, local)


def losing(store, **how):
    patience = Patience(attempts=3, sleep=lambda _seconds: None)
    return S3Store(LosingAnswers(store.client, **how), store.bucket, store.prefix, patience)


def test_a_write_that_was_done_is_a_success_though_its_answer_was_lost(new_bucket, mine):
    store = new_bucket()
    done = publish(losing(store, done=True), mine, store.published(), now=NOW)
    assert isinstance(done, Published)
    assert store.current().manifest == done.manifest


def test_a_write_that_was_done_and_then_refused_at_its_second_try_is_a_success(new_bucket, mine):
    class Twisting(LosingAnswers):
        """Does it and says 503; then the clock is wrong."""

        tries = 0

        def put_object(self, **words):
            if not words["Key"].endswith("metadata.json"):
                return self.client.put_object(**words)
            self.tries += 1
            if self.tries == 1:
                self.client.put_object(**words)
                raise answered(503, "SlowDown")
            raise answered(403, "RequestTimeTooSkewed")

    store = new_bucket()
    patience = Patience(attempts=3, sleep=lambda _seconds: None)
    twisting = S3Store(Twisting(store.client, done=True), store.bucket, store.prefix, patience)
    done = publish(twisting, mine, store.published(), now=NOW)
    assert store.current().manifest == done.manifest


def test_a_write_that_is_refused_at_once_says_that_the_old_snapshot_is_still_published(new_bucket, mine):
    class Refusing(LosingAnswers):
        def put_object(self, **_words):
            raise answered(403, "AccessDenied")

    store = new_bucket()
    refusing = S3Store(Refusing(store.client, done=False), store.bucket, store.prefix)
    with pytest.raises(StoreDenied, match="403 AccessDenied") as caught:
        publish(refusing, mine, store.published(), now=NOW)
    assert caught.value.to_do.endswith("the published snapshot is still the old one")


def test_a_write_that_was_not_done_is_an_error_and_the_old_snapshot_is_still_published(new_bucket, mine):
    store = new_bucket()
    old = publish(store, mine, store.published(), now=NOW).manifest
    newer = Run(mine.manifest.model_copy(update={"run_id": "z", "generated_at": NOW + timedelta(1)}), mine.source)
    with pytest.raises(StoreUnreachable, match=r"uploading s3://.*/metadata\.json") as caught:
        publish(losing(store, done=False), newer, store.published(), now=NOW + timedelta(1))
    assert "still the old one" in caught.value.to_do
    assert store.current().manifest == old


def test_where_nobody_can_know_the_message_says_so(new_bucket, mine):
    store = new_bucket()
    base = store.published()
    with pytest.raises(StoreUnreachable) as caught:
        publish(losing(store, done=True, then=TimeoutError("timed out")), mine, base, now=NOW)
    assert "old one or the new one" in caught.value.to_do
    assert "and then reading" in caught.value.seen


def test_who_lost_an_answer_and_then_the_race_yields_to_the_newer_run(new_bucket, mine):
    store = new_bucket()
    base = store.published()
    newer = Run(mine.manifest.model_copy(update={"run_id": "z", "generated_at": NOW + timedelta(1)}), mine.source)
    winner = publish(store, newer, base, now=NOW + timedelta(1)).manifest
    assert publish(store, mine, base, now=NOW + timedelta(1)) == Overtaken(winner)


def test_who_is_newer_publishes_on_top_of_the_run_that_was_faster(new_bucket, mine):
    store = new_bucket()
    base = store.published()
    publish(store, mine, base, now=NOW)
    newer = Run(mine.manifest.model_copy(update={"run_id": "z", "generated_at": NOW + timedelta(1)}), mine.source)
    done = publish(store, newer, base, now=NOW + timedelta(1))
    assert (done.races, store.current().manifest) == (1, done.manifest)


# --- a bucket without versions ---------------------------------------------------------------------------------------


def test_without_versions_what_a_killed_publisher_wrote_over_is_uploaded_again(new_bucket, mine):
    store = new_bucket(versioned=False)
    publish(store, mine, store.published(), now=NOW)
    store.client.put_object(Bucket=store.bucket, Key="processed/rfm.csv", Body=b"of a run that died")
    again = Run(mine.manifest.model_copy(update={"run_id": "z", "generated_at": NOW + timedelta(1)}), mine.source)
    done = publish(store, again, store.published(), now=NOW + timedelta(1))
    assert (done.uploaded, done.unchanged) == (1, len(ARTIFACTS) * len(FORMATS) - 1)
    assert store.read(done.manifest.artifacts["rfm"].csv)
