"""Other tools publish the same runs before the same readers: how many reads are torn, and that none of ours is."""

import pytest

from tests.publishers import aws, ours, publish_before_readers, rclone
from tests.s3_proxy import Proxy, moto_s3, s3_client_of

RUNS = 3


@pytest.fixture(scope="module")
def proxy():
    proxy = Proxy(moto_s3())
    yield proxy
    proxy.stop()


@pytest.fixture
def reads_of(proxy, capsys):
    """A function: a publisher -> the reads while it published. It says them: docs/performance.md has more of them."""

    def read(publisher):
        bucket = publisher.name.replace(" ", "-")
        reads = publish_before_readers(publisher, proxy.address, s3_client_of(proxy.address), bucket, RUNS)
        with capsys.disabled():
            print(f"\n{publisher.name}: {reads.torn} of {reads.all} reads torn while {RUNS} runs were published")
        return reads

    return read


def test_no_read_is_torn_while_we_publish(reads_of):
    reads = reads_of(ours())
    assert reads.whole > RUNS
    assert reads.torn == 0


@pytest.mark.parametrize("publisher", [aws(), rclone()], ids=lambda publisher: publisher.name)
def test_the_same_readers_meet_torn_reads_while_another_tool_publishes(publisher, reads_of):
    if not publisher.program:
        pytest.skip(f"no {publisher.name} on this machine: `make peers` makes aws, `apt-get install rclone` the other")
    assert reads_of(publisher).torn > 0  # else these readers could not tell, and our 0 would say nothing
