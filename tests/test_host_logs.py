import threading
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from etl.errors import ExitCode, HostError
from ops.host import cloud_logs
from ops.host.logs import Wanted, journalctl, show, since
from ops.host.remote import Done
from ops.host.ssh import connected
from ops.host.where import Address
from ops.monitoring import DASHBOARD


def words(**wanted):
    return journalctl(Wanted(**wanted))


def test_without_wishes_the_last_lines_of_every_unit_of_ours_are_shown():
    assert words() == [
        "journalctl",
        "--no-pager",
        "--quiet",
        "--output=short-iso",
        "--no-hostname",
        "--lines=100",
        "--unit=kpi-dashboard@*.service",
        "--unit=kpi-dashboard.socket",
        "--unit=kpi-dashboard.service",
        "--unit=kpi-settle*",
    ]


def test_a_release_is_shown_with_the_aliases_it_ran_under():
    units = [word for word in words(release="20261123t101500.ab12cd3") if word.startswith("--unit")]
    assert units == [
        "--unit=kpi-dashboard@20261123t101500.ab12cd3.service",
        "--unit=kpi-dashboard@20261123t101500.ab12cd3.[0-9]*.service",
    ]


@pytest.mark.parametrize("release", ["../x", "a b", "*", "-x", "A", "a/b", "a\n"])
def test_what_no_release_is_called_is_refused(release):
    with pytest.raises(HostError, match="is no release"):
        words(release=release)


def test_wishes_are_words_of_their_own():
    wanted = words(since="2h", grep="--help; reboot", lines=7, follow=True)
    assert wanted[5:9] == ["--lines=7", "--since=-2h", "--grep=--help; reboot", "--follow"]


def test_since_a_moment_all_lines_are_shown():
    assert "--lines=all" in words(since="yesterday")


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("2h", "-2h"),
        ("1 h 30 min", "-1 h 30 min"),
        ("90s", "-90s"),
        ("2026-11-23T10:00:00Z", "2026-11-23 10:00:00 UTC"),
        ("2026-11-23T10:00:00+02:00", "2026-11-23 08:00:00 UTC"),
        ("2026-11-23 10:00", "2026-11-23 10:00"),
        ("2026-11-23", "2026-11-23"),
        ("yesterday", "yesterday"),
        ("10 minutes ago", "10 minutes ago"),
    ],
)
def test_moments_are_said_as_older_systemd_knows_them_too(said, asked):
    assert since(said) == asked


class Journal:
    """A host that answers a command with lines."""

    def __init__(self, lines, status=0, err=""):
        self.lines, self.ended = lines, Done(status, "", err)

    def run(self, argv, *, stdin=b"", on_line=None, timeout_s=600):
        self.argv, self.stdin, self.timeout_s = argv, stdin, timeout_s
        for line in self.lines:
            on_line(line)
        return self.ended

    def hold(self, argv):
        raise NotImplementedError


def test_lines_are_told_as_they_come_and_do_nothing_to_the_terminal():
    told = []
    journal = Journal(["one", "\x1b[31mtwo\r"])
    assert show(journal, Wanted(), told.append) == ExitCode.GOOD
    assert told == ["one", " [31mtwo "]


def test_who_follows_is_never_told_that_it_took_too_long():
    journal = Journal([])
    show(journal, Wanted(follow=True), print)
    assert journal.timeout_s == float("inf")


def test_a_search_that_finds_nothing_is_a_failed_check():
    assert show(Journal([], status=1), Wanted(grep="x"), print) == ExitCode.CHECK_FAILED


def test_what_journalctl_does_not_understand_is_told():
    journal = Journal([], status=1, err="Failed to parse timestamp: someday\n")
    with pytest.raises(HostError, match="Failed to parse timestamp: someday"):
        show(journal, Wanted(since="someday", grep="x"), print)
    with pytest.raises(HostError, match="journalctl ended with 127"):
        show(Journal([], status=127), Wanted(), print)


class Enough(Exception):
    pass


UNIT = "[Service]\nExecStart=/bin/echo this is %i\n"


@pytest.fixture(scope="module")
def host(make_session_host):
    """A host with units that are called as ours are."""
    booted = make_session_host()
    booted.put("/etc/systemd/system/kpi-dashboard@.service", UNIT)
    booted.put("/etc/systemd/system/another@.service", UNIT)
    booted.run("systemctl daemon-reload", check=True)
    return booted


@pytest.fixture
def remote(host):
    known_hosts = (Path(host.known_hosts),)
    with connected(Address(host.address, host.user, keys=(Path(host.key),), known_hosts=known_hosts)) as connection:
        yield connection


def test_a_release_that_starts_later_is_followed_and_other_units_are_not(host, remote):
    told = []

    def tell(line):
        told.append(line)
        if "this is one" in line:
            host.run("systemctl start another@two kpi-dashboard@three.service", check=True)
        if "kpi-dashboard@three.service: Deactivated" in line:
            raise Enough

    # Where it starts before anybody follows, its line is among the last ones that are shown first.
    first = threading.Timer(0.5, host.run, ["systemctl start kpi-dashboard@one.service"])
    first.start()
    with pytest.raises(Enough):
        show(remote, Wanted(follow=True), tell)
    first.join()
    text = "\n".join(told)
    assert "this is three" in text
    assert "another@two" not in text


def test_the_lines_of_one_release_are_shown_and_searched(host, remote):
    host.run("systemctl start kpi-dashboard@7.ab.service kpi-dashboard@7.ab.17.service kpi-dashboard@7.abc.service")

    def lines(**wanted):
        told = []
        assert show(remote, Wanted(**wanted), told.append) == ExitCode.GOOD
        return {line.rpartition("this is ")[2] for line in told if "this is" in line}

    assert lines(release="7.ab", since="1h") == {"7.ab", "7.ab.17"}
    assert lines(grep="this is 7.abc") == {"7.abc"}
    assert show(remote, Wanted(grep="nobody said this"), print) == ExitCode.CHECK_FAILED
    with pytest.raises(HostError, match="someday"):
        show(remote, Wanted(since="someday"), print)
    assert lines(since="2020-01-01T00:00:00Z", lines=500) > {"7.abc"}


# --- CloudWatch, while the host is away ------------------------------------------------------------------------------


@pytest.fixture
def cloudwatch(s3_endpoint):
    """A log group with a line an hour, two streams."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    client = boto3.client("logs", endpoint_url=s3_endpoint, **keys)
    client.create_log_group(logGroupName=DASHBOARD)
    for stream in ("i-1", "i-2"):
        client.create_log_stream(logGroupName=DASHBOARD, logStreamName=stream)
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    for hours in range(10, -1, -1):
        event = {"timestamp": now_ms - hours * 3_600_000, "message": f"line {hours} of r{hours % 2}\x1b[2J\n"}
        client.put_log_events(logGroupName=DASHBOARD, logStreamName=f"i-{1 + hours % 2}", logEvents=[event])
    yield client
    client.delete_log_group(logGroupName=DASHBOARD)


def told_by(client, **wanted):
    told = []
    status = cloud_logs.show(client, Wanted(**wanted), datetime.now(UTC), told.append)
    return [line.partition(" ")[2] for line in told], status


def test_the_lines_of_all_streams_come_in_the_order_of_time_without_control_characters(cloudwatch):
    lines, status = told_by(cloudwatch)
    assert lines == [f"line {hours} of r{hours % 2} [2J" for hours in range(10, -1, -1)]
    assert status == 0


@pytest.mark.parametrize(
    ("wanted", "hours"),
    [
        ({"since": "2h 30min"}, [2, 1, 0]),
        ({"since": "1d"}, list(range(10, -1, -1))),
        ({"lines": 2}, [1, 0]),
        ({"grep": "line [34] "}, [4, 3]),
        ({"release": "r1", "since": "4h10m"}, [3, 1]),
    ],
)
def test_what_is_asked_for_is_told(cloudwatch, wanted, hours):
    lines, _ = told_by(cloudwatch, **wanted)
    assert [int(line.split()[1]) for line in lines] == hours


def test_a_word_that_is_nowhere_is_a_failed_check(cloudwatch):
    assert told_by(cloudwatch, grep="nowhere") == ([], 1)


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        ({"since": "yesterday"}, "yesterday"),
        ({"grep": "("}, "no regular expression"),
        ({"follow": True}, "follows nothing"),
        ({"unit": "caddy"}, "no --unit"),
    ],
)
def test_what_cloudwatch_cannot_tell_is_one_clear_error(cloudwatch, wanted, seen):
    with pytest.raises(HostError) as raised:
        told_by(cloudwatch, **wanted)
    assert seen in str(raised.value)


def test_a_unit_is_a_name_and_nothing_else():
    assert journalctl(Wanted(unit="caddy"))[-1] == "--unit=caddy"
    for wrong in ("--output=json", "a b", "*"):
        with pytest.raises(HostError, match="no unit"):
            journalctl(Wanted(unit=wrong))
