"""The record on S3: several publish to one place, and every line is there once, whatever the network does."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from etl.errors import StoreDenied, StoreError, StoreUnreachable
from etl.store import Patience
from ops.uptime.storage.shelf import Desk, Shelf, put_up, shelf_at
from tests.s3_faults import FAULTS, refused
from tests.s3_proxy import Proxy, honest, make_bucket, moto_s3, s3_client_of

PUBLISHERS = 8
MONTH = "2026-11.jsonl"


@pytest.fixture(scope="module")
def proxy():
    proxy = Proxy(moto_s3())
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def client(proxy):
    return s3_client_of(proxy.address, read_timeout_s=0.25)


@pytest.fixture(scope="module")
def patient(proxy):
    """For what is no part of a test: the first request has moto import half of itself."""
    return s3_client_of(proxy.address)


@pytest.fixture
def shelf(client, patient, proxy, request):
    bucket = f"shelf-{abs(hash(request.node.nodeid)) % 10**10}"
    make_bucket(patient, bucket, versioned=False)
    yield shelf_at(f"s3://{bucket}/ours", client, Patience(deadline_s=60, sleep=lambda _seconds: None))
    proxy.spoil = lambda _asked: honest


class Host:
    """A vantage point with a directory of its own."""

    def __init__(self, place):
        self.directory, self.report = place / "uptime", place / "uptime.md"
        self.directory.mkdir(parents=True)
        self.desk = Desk(self.directory, self.report, self.rewrite)
        self.rewritten = 0

    def record(self, *lines, month=MONTH):
        with (self.directory / month).open("ab") as end:
            end.write(b"".join(line + b"\n" for line in lines))

    def lines(self):
        return sorted(line for file in self.directory.glob("*.jsonl") for line in file.read_bytes().splitlines())

    def rewrite(self):
        self.rewritten += 1
        self.report.write_bytes(b"\n".join(self.lines()))
        (self.directory / "badge.svg").write_text(f"<svg>{len(self.lines())}</svg>")
        (self.directory / "index.html").write_bytes(b"<p>" + b"<br>".join(self.lines()))

    def publish(self, shelf, sleep=lambda _seconds: None, **more):
        return put_up(shelf, self.desk, sleep=sleep, random=random.random, **more)


def held(shelf, name):
    return shelf.client.get_object(Bucket=shelf.bucket, Key=shelf.prefix + name)["Body"].read()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "host")


def test_record_report_and_pictures_are_put_up_as_what_they_are(shelf, host):
    host.record(b"one", b"two")
    host.record(b"told", month="alerts.jsonl")
    (host.directory / "maintenance.toml").write_text("# mine")
    done = host.publish(shelf)
    assert (done.lines, done.tries) == (3, 1)
    assert done.line(shelf) == f"published 3 new lines to s3://{shelf.bucket}/ours/"
    listed = shelf.client.list_objects_v2(Bucket=shelf.bucket)["Contents"]
    types = {
        entry["Key"]: shelf.client.head_object(Bucket=shelf.bucket, Key=entry["Key"])["ContentType"] for entry in listed
    }
    assert types == {
        "ours/uptime/2026-11.jsonl": "application/x-ndjson",
        "ours/uptime/alerts.jsonl": "application/x-ndjson",
        "ours/uptime/badge.svg": "image/svg+xml",
        "ours/uptime/index.html": "text/html; charset=utf-8",
        "ours/uptime.md": "text/markdown; charset=utf-8",
    }
    assert held(shelf, "uptime/2026-11.jsonl") == b"one\ntwo\n"


def test_a_second_vantage_point_adds_its_lines_and_reports_on_both(shelf, host, tmp_path):
    other = Host(tmp_path / "other")
    host.record(b"of host")
    host.publish(shelf)
    other.record(b"of other")
    other.record(b"older", month="2026-10.jsonl")
    assert other.publish(shelf).lines == 2
    assert held(shelf, "uptime/2026-11.jsonl") == b"of host\nof other\n"
    assert held(shelf, "uptime.md") == b"of host\nof other\nolder"
    assert host.publish(shelf).lines == 0
    assert host.lines() == other.lines()


def test_what_is_the_same_is_not_sent_again(shelf, host, proxy):
    host.record(b"one")
    host.publish(shelf)
    host.record(b"two", month="2026-12.jsonl")
    asked = []
    proxy.spoil = lambda asking: asked.append((asking.method, asking.name)) or honest
    host.publish(shelf)
    sent = [name for method, name in asked if method == "PUT"]
    assert sent == ["2026-12.jsonl", "badge.svg", "index.html", "uptime.md"]
    assert ("GET", MONTH) not in asked


def test_8_publishers_at_once_lose_no_line_and_write_none_twice(shelf, tmp_path):
    hosts = [Host(tmp_path / str(number)) for number in range(PUBLISHERS)]
    at_once = threading.Barrier(PUBLISHERS)

    def publish(number):
        dice = random.Random(number)
        hosts[number].record(b"line of %d" % number)
        at_once.wait()
        slow = 1 / 10
        return put_up(shelf, hosts[number].desk, sleep=lambda s: time.sleep(s * slow), random=dice.random).tries

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        tries = list(pool.map(publish, range(PUBLISHERS)))
    expected = sorted(b"line of %d" % number for number in range(PUBLISHERS))
    assert sorted(held(shelf, f"uptime/{MONTH}").splitlines()) == expected
    assert held(shelf, "uptime.md").splitlines() == expected  # the last report is of all that was recorded
    assert held(shelf, "uptime/badge.svg") == b"<svg>8</svg>"
    assert max(tries) > 1  # they did meet


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"clock", "dripping"}))
def test_a_request_that_goes_wrong_once_costs_no_line_and_doubles_none(shelf, host, tmp_path, proxy, fault):
    other = Host(tmp_path / "other")
    host.record(b"of host")
    host.publish(shelf)
    other.record(b"of other")
    proxy.begin(lambda asked: FAULTS[fault] if asked.number == 0 else honest)
    other.publish(shelf)
    proxy.begin(lambda _asked: honest)
    assert held(shelf, f"uptime/{MONTH}") == b"of host\nof other\n"
    assert other.lines() == [b"of host", b"of other"]
    assert held(shelf, "uptime.md") == b"of host\nof other"


@pytest.mark.parametrize(
    ("fault", "error"), [(refused(403, "AccessDenied"), StoreDenied), (refused(503, "SlowDown"), StoreUnreachable)]
)
def test_while_s3_refuses_lines_are_kept_and_go_with_the_next_run(shelf, host, proxy, fault, error):
    host.record(b"one")
    proxy.spoil = lambda _asked: fault
    with pytest.raises(error, match="the samples stay here and go with the next run"):
        host.publish(shelf)
    proxy.spoil = lambda _asked: honest
    host.record(b"two")
    assert host.publish(shelf).lines == 2
    assert held(shelf, f"uptime/{MONTH}") == b"one\ntwo\n"


def test_who_is_always_overtaken_gives_up_and_says_so(shelf, host, proxy):
    host.record(b"one")
    proxy.spoil = lambda asked: refused(412, "PreconditionFailed") if asked.method == "PUT" else honest
    slept = []
    with pytest.raises(StoreError, match="others were quicker 4 times"):
        host.publish(shelf, sleep=slept.append, tries=4)
    assert len(slept) == 3
    assert host.lines() == [b"one"]


def test_the_line_that_another_wrote_between_read_and_write_is_taken_along(shelf, host, tmp_path, proxy):
    other = Host(tmp_path / "other")
    host.record(b"of host")
    other.record(b"of other")
    overtaken = []

    def spoil(asked):
        if asked.method == "PUT" and asked.name == MONTH and not overtaken:
            overtaken.append(asked)
            other.publish(shelf)
        return honest

    proxy.spoil = spoil
    assert host.publish(shelf).tries == 2
    assert held(shelf, f"uptime/{MONTH}") == b"of other\nof host\n"
    assert held(shelf, "uptime.md") == b"of host\nof other"


def test_a_line_that_was_torn_here_is_not_put_up(shelf, host):
    host.record(b"one")
    with (host.directory / MONTH).open("ab") as end:
        end.write(b"hal")
    host.publish(shelf)
    assert held(shelf, f"uptime/{MONTH}") == b"one\n"


@pytest.mark.parametrize(
    ("address", "prefix"), [("s3://shop/", ""), ("s3://shop/a/b", "a/b/"), ("s3://shop/a/b/", "a/b/")]
)
def test_an_address_names_bucket_and_prefix(address, prefix):
    found = shelf_at(address, None, Patience())
    assert (found.bucket, found.prefix) == ("shop", prefix)
    assert isinstance(found, Shelf)
    assert found.place("x") == f"s3://shop/{prefix}x"
