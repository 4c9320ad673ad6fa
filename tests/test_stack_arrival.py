"""The key of a new instance, learned from its console."""

import base64
from contextlib import contextmanager
from pathlib import Path

import pytest

from etl.errors import HostError, HostKeyRefused, HostUnreachable
from ops.host import host_key
from ops.settings import HostSettings, Settings, StackSettings
from ops.stack.arrival import (
    ASKED_EVERY_S,
    REACHED_EVERY_S,
    REACHED_WITHIN_S,
    TOLD_WITHIN_S,
    Waiting,
    host_keys,
    no_way_in,
    pin_from_console,
    wait_until_reached,
)


def key(kind="ssh-ed25519", body=b"k" * 32):
    blob = len(kind).to_bytes(4) + kind.encode() + body
    return f"{kind} {base64.b64encode(blob).decode()}"


def console(*keys):
    lines = "\r\n".join(f"{each} root@ip-10-20-0-7" for each in keys)
    return (
        f"[   12.3] boot\r\n-----BEGIN SSH HOST KEY KEYS-----\r\n{lines}\r\n-----END SSH HOST KEY KEYS-----\r\nlogin:"
    )


class Ec2:
    """A console that shows nothing at first."""

    def __init__(self, *outputs):
        self.outputs, self.asked = list(outputs), []

    def get_console_output(self, **fields):
        self.asked.append(fields["InstanceId"])
        return {"Output": self.outputs.pop(0) if len(self.outputs) > 1 else self.outputs[0]}


@pytest.fixture
def waiting():
    return clocked()[0]


def clocked():
    now_s, told = [0.0], []

    def sleep(seconds):
        now_s[0] += seconds

    return Waiting(lambda: now_s[0], sleep, told.append), now_s


def test_the_keys_are_read_from_the_console_and_ed25519_comes_first():
    text = console(key("ssh-rsa"), key("ecdsa-sha2-nistp256"), key())
    assert host_keys(text) == (key(), key("ecdsa-sha2-nistp256"), key("ssh-rsa"))


def test_the_newest_keys_count_where_an_instance_was_made_anew_from_an_image():
    assert host_keys(console(key(body=b"o" * 32)) + console(key())) == (key(),)


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519 AAAA", console(), console("ssh-ed25519 AAAA root@x"), console(key()).partition("-----END")[0]],
)
def test_what_is_no_whole_list_of_keys_is_none(text):
    assert host_keys(text) == ()


def test_a_key_is_waited_for_and_pinned_under_the_instances_id(tmp_path: Path):
    waiting, now_s = clocked()
    known_hosts = tmp_path / "known_hosts"
    ec2 = Ec2("", console()[:20], console(key()))
    assert pin_from_console("i-1", known_hosts, ec2, waiting) == host_key.fingerprint(key())
    assert (ec2.asked, now_s) == (["i-1"] * 3, [2 * ASKED_EVERY_S])
    (line,) = host_key.pinned([known_hosts], ["i-1"])
    assert line.key == key()


def test_an_output_that_is_still_encoded_is_decoded(tmp_path: Path, waiting):
    ec2 = Ec2(base64.b64encode(console(key()).encode()).decode())
    assert pin_from_console("i-1", tmp_path / "known_hosts", ec2, waiting) == host_key.fingerprint(key())


def test_a_console_that_tells_nothing_is_one_error_with_the_way_out(tmp_path: Path):
    waiting, now_s = clocked()
    with pytest.raises(HostError) as caught:
        pin_from_console("i-1", tmp_path / "known_hosts", Ec2("boot\n"), waiting)
    assert "shows no SSH key after 10 minutes" in str(caught.value)
    assert "get-console-output" in caught.value.to_do
    assert now_s[0] <= TOLD_WITHIN_S + 2 * ASKED_EVERY_S
    assert not (tmp_path / "known_hosts").exists()


def connecting(*fates):
    """A way to connect, which fails so often, and how often it was tried."""
    tried, fates = [], list(fates)

    @contextmanager
    def connect():
        tried.append(1)
        fate = fates.pop(0) if fates else None
        if fate:
            raise fate
        yield object()

    return connect, tried


def gone(kind=HostUnreachable):
    return kind("no answer", expected="one", to_do="wait")


def test_a_host_that_boots_is_tried_until_it_lets_us_in():
    waiting, now_s = clocked()
    connect, tried = connecting(gone(), gone())
    wait_until_reached(connect, waiting)
    assert (len(tried), now_s) == (3, [2 * REACHED_EVERY_S])


def test_a_host_that_never_lets_us_in_is_given_up():
    waiting, now_s = clocked()
    connect, _ = connecting(*(gone() for _ in range(1000)))
    with pytest.raises(HostUnreachable):
        wait_until_reached(connect, waiting)
    assert now_s[0] <= REACHED_WITHIN_S + 2 * REACHED_EVERY_S


def test_a_host_that_shows_another_key_is_not_tried_again(waiting):
    connect, tried = connecting(gone(HostKeyRefused))
    with pytest.raises(HostKeyRefused):
        wait_until_reached(connect, waiting)
    assert len(tried) == 1


def test_where_nobody_may_reach_port_22_the_ways_in_are_told():
    assert "Session Manager" in no_way_in(Settings())
    assert no_way_in(Settings(stack=StackSettings(admin_networks=("203.0.113.7/32",)))) == ""
    assert no_way_in(Settings(host=HostSettings(gateway="aws ssm start-session --target %h"))) == ""
