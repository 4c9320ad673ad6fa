import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from etl.errors import HostError, HostKeyRefused, HostUnreachable
from ops.host.line import gateway_argv
from ops.host.logs import Wanted, journalctl
from ops.host.output import END_BYTES
from ops.host.remote import BY_A_SIGNAL
from ops.host.ssh import Bounds, connected
from ops.host.where import Address
from tests.frozen_relay import Relay
from tests.loopback_sshd import SUDO, Sshd, make_key, public, sshd

QUICK = Bounds(keepalive_s=0.2, silence_s=1.0)
MEGABYTE = 1024 * 1024
ODD = [
    "",
    " ",
    "'",
    '"',
    "'\"'\"'",
    "a b\tc",
    "line\nbreak\n",
    "$(touch /tmp/never)",
    "`id`",
    "$HOME ${PATH} $$",
    "; reboot",
    "&& false || true & | > /dev/null < /dev/zero",
    "-n",
    "--",
    "--version",
    "-e\\n",
    "\\",
    "\\\\n",
    "*?[a-z]{1,2}~",
    "!!",
    "#no comment",
    "%s %n %%",
    "FOO=bar",
    "Größe 東京 🚢 \u202e\u0301",
    "\x01\x1b[31m\x7f\r",
    "x" * 50_000,
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not sshd():
        pytest.skip("there is no sshd here (apt-get install openssh-server)")
    running = Sshd(tmp_path_factory.mktemp("sshd"))
    yield running
    running.stop()


@pytest.fixture
def remote(server):
    with connected(server.address()) as connection:
        yield connection


@pytest.fixture
def relay(server):
    carrying = Relay(server.port)
    yield carrying
    carrying.close()


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A user without an agent and without keys."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def through(server, relay, **changed):
    """The server's address by way of the relay."""
    return server.address(port=relay.port, known_hosts=(_pinned_as(server, relay.port),), **changed)


def _pinned_as(server, port):
    file = server.home / f"known_{port}"
    file.write_text(f"[127.0.0.1]:{port} {public(server.home / 'host')}\n")
    return file


# --- commands --------------------------------------------------------------------------------------------------------


def test_a_command_ends_with_its_status_and_what_it_wrote(remote):
    done = remote.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.status, done.out, done.err) == (7, "out\n", "err\n")


def test_a_thousand_odd_words_arrive_as_they_are(remote):
    letters = "ab \t\n'\"\\$`;&|<>(){}[]*?!#~%=-ä→🚢\x01\x1b"
    chance = random.Random(6)
    words = ODD + ["".join(chance.choices(letters, k=chance.randint(0, 12))) for _ in range(1000 - len(ODD))]
    assert remote.run(["printf", "%s\\0", *words]).out.split("\0")[:-1] == words


def test_bytes_that_are_no_text_arrive_as_they_are(remote):
    file_name = os.fsdecode(b"caf\xe9")
    done = remote.run(["sh", "-c", 'printf %s "$1" | od -An -tx1', "sh", file_name])
    assert done.out.split() == ["63", "61", "66", "e9"]


def test_a_command_that_is_killed_has_no_status_of_its_own(remote):
    assert remote.run(["sh", "-c", "kill -9 $$"]).status == BY_A_SIGNAL


def test_lines_are_heard_while_the_command_runs(remote, tmp_path):
    heard = []

    def hear(line):
        heard.append(line)
        (tmp_path / "go").touch()  # the command waits for it, and would wait for ever

    script = 'echo first; until [ -e "$1" ]; do sleep 0.01; done; printf "second\\nno end"'
    done = remote.run(["sh", "-c", script, "sh", str(tmp_path / "go")], on_line=hear)
    assert heard == ["first", "second", "no end"]
    assert done.status == 0


def test_an_error_of_whoever_listens_ends_the_command_and_the_connection_goes_on(remote):
    def fail(_line):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        remote.run(["sh", "-c", "echo first; cat"], on_line=fail)
    assert remote.run(["echo", "still there"]).out == "still there\n"


def test_200_megabytes_of_input_are_not_kept_in_memory(remote):
    count, chunk, drawn, sent = 3200, os.urandom(65536), 0, hashlib.sha256()
    drawn_at_first_line = []

    def chunks():
        nonlocal drawn
        for _ in range(count):
            drawn += len(chunk)
            sent.update(chunk)
            yield chunk

    slow = ["sh", "-c", "sleep 0.5; echo now; sha256sum"]
    done = remote.run(slow, stdin=chunks(), on_line=lambda _line: drawn_at_first_line.append(drawn))
    assert done.out.split() == ["now", sent.hexdigest(), "-"]
    assert drawn == 200 * MEGABYTE
    assert drawn_at_first_line[0] < 16 * MEGABYTE  # no more was drawn than the host took


def test_input_and_both_outputs_flow_at_once(remote):
    size, heard = 20 * MEGABYTE, 0

    def hear(line):
        nonlocal heard
        heard += len(line) + 1

    line = b"0123456789abcde\n"
    done = remote.run(["tee", "/dev/stderr"], stdin=[line * 65536] * 20, on_line=hear)
    assert heard == size
    assert done.err.encode() == line * (END_BYTES // len(line))  # only the end is kept


def test_input_that_nobody_reads_is_no_trouble(remote):
    done = remote.run(["sh", "-c", "echo refused; exit 3"], stdin=(b"x" * 65536 for _ in range(500)))
    assert (done.status, done.out) == (3, "refused\n")


def test_an_error_while_the_input_is_made_is_raised_and_the_command_hears_its_end(remote):
    def chunks():
        yield b"some"
        raise OSError("the disk is bad")

    with pytest.raises(OSError, match="the disk is bad"):
        remote.run(["cat"], stdin=chunks())
    assert remote.run(["echo", "still there"]).out == "still there\n"


def test_a_command_that_prints_without_end_is_stopped(remote):
    with pytest.raises(HostError, match="`yes` prints without end"):
        remote.run(["yes"])


def test_a_line_without_end_is_heard_in_pieces(remote):
    lengths = []
    remote.run(["head", "-c", str(5 * MEGABYTE), "/dev/zero"], on_line=lambda line: lengths.append(len(line)))
    assert sum(lengths) == 5 * MEGABYTE
    assert max(lengths) < 2 * MEGABYTE


def test_a_command_that_takes_too_long_is_given_up(remote):
    with pytest.raises(HostError, match="`sleep 60` is not done") as error:
        remote.run(["sleep", "60"], timeout_s=0.3)
    assert not isinstance(error.value, HostUnreachable)
    assert remote.run(["echo", "still there"]).out == "still there\n"


def test_a_command_that_closes_its_output_and_goes_on_is_waited_for(remote):
    assert remote.run(["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 5"]).status == 5


# --- sudo and login --------------------------------------------------------------------------------------------------


@pytest.fixture
def with_sudo(server):
    """A function that changes what the host has for sudo."""
    yield server.sudo
    server.sudo(SUDO)


def test_every_command_goes_through_sudo_that_asks_nothing(with_sudo, remote):
    with_sudo('#!/bin/sh\nprintf "%s " "$@"\n')
    assert remote.run(["kpi-host", "status"]).out == "-n -- kpi-host status "


NO_SUDO = {
    "a password is wanted": "#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n",
    "in another language": "#!/bin/sh\necho 'sudo: Ein Passwort ist notwendig' >&2; exit 1\n",
    "there is none": "#!/bin/sh\necho 'bash: line 1: sudo: command not found' >&2; exit 127\n",
    "the image of EC2": '#!/bin/sh\necho \'Please login as the user "ubuntu" rather than "root".\'; exit 142\n',
}


@pytest.mark.parametrize("script", NO_SUDO.values(), ids=NO_SUDO)
def test_a_host_where_root_cannot_be_had_says_so_with_the_way_out(script, with_sudo, remote):
    with_sudo(script)
    with pytest.raises(HostError, match="may not become root without a password") as error:
        remote.run(["kpi-host", "status"])
    assert "NOPASSWD" in str(error.value)


def test_a_command_is_not_held_where_root_cannot_be_had(with_sudo, remote):
    with_sudo(NO_SUDO["a password is wanted"])
    with pytest.raises(HostError, match="may not become root without a password"):
        remote.hold(["kpi-host", "hold"])


def test_a_command_of_its_own_accord_may_end_with_1_and_speak_of_sudo(remote):
    done = remote.run(["sh", "-c", "echo 'sudo: is what I speak of' >&2; exit 1"])
    assert done.status == 1


def test_a_command_that_is_not_there_ends_with_127_as_without_sudo(with_sudo, remote):
    with_sudo('#!/bin/sh\nshift 2\n[ $1 = true ] && exit 0\necho "sudo: $1: command not found" >&2; exit 1\n')
    assert remote.run(["kpi-host", "status"]).status == 127


# --- held commands ---------------------------------------------------------------------------------------------------


def test_a_held_command_runs_beside_others_until_it_is_let_go(remote, tmp_path):
    first, held = remote.hold(["sh", "-c", 'echo \'{"held": true}\'; cat; touch "$1"', "sh", str(tmp_path / "let-go")])
    assert first == '{"held": true}'
    assert remote.run(["echo", "beside"]).out == "beside\n"
    assert not (tmp_path / "let-go").exists()
    assert held.release().status == 0
    assert (tmp_path / "let-go").exists()


def test_a_command_that_does_not_hold_tells_how_it_ended(remote):
    first, held = remote.hold(["sh", "-c", "echo '{\"held\": false}'; exit 75"])
    assert first == '{"held": false}'
    assert held.release().status == 75


def test_a_command_that_says_nothing_is_not_held(remote):
    assert remote.hold(["sh", "-c", "echo no >&2; exit 3"])[1].err == "no\n"


def test_letting_go_twice_or_without_a_connection_is_no_trouble(server, relay):
    with connected(through(server, relay), QUICK) as remote:
        _, held = remote.hold(["sh", "-c", "echo held; cat"])
        relay.hang_up()
        assert held.release().status == BY_A_SIGNAL


def test_what_a_killed_client_held_is_let_go(server, tmp_path):
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from ops.host.ssh import connected
        from ops.host.where import Address
        address = Address("127.0.0.1", {server.address().user!r}, {server.port}, (Path({str(server.key)!r}),),
                          known_hosts=(Path({str(server.known_hosts)!r}),))
        with connected(address) as remote:
            first, held = remote.hold(["sh", "-c", 'echo held; cat; touch "$1"', "sh", {str(tmp_path / "let-go")!r}])
            print(first, flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "held\n"
        client.send_signal(signal.SIGKILL)
    assert _within(10, (tmp_path / "let-go").exists)


def _within(limit_s, true):
    end = time.monotonic() + limit_s
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


# --- whose host it is ------------------------------------------------------------------------------------------------


def _refused(address):
    with pytest.raises(HostKeyRefused) as error, connected(address):
        pass
    return error.value


def _fingerprint(path):
    shown = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True)
    return shown.stdout.split()[1]


def test_a_host_that_is_not_pinned_is_refused_and_the_way_to_pin_it_works(server, tmp_path):
    address = server.address(known_hosts=(tmp_path / "known_hosts",))
    before = server.log().count("Accepted publickey")
    error = _refused(address)
    assert _fingerprint(server.home / "host") in error.seen
    assert "console" in error.to_do
    assert server.log().count("Accepted publickey") == before
    subprocess.run(["sh", "-c", error.to_do.splitlines()[-1]], check=True)
    with connected(address) as remote:
        assert remote.run(["echo", "in"]).out == "in\n"


def test_a_host_with_another_key_than_the_pinned_is_refused_with_both(server, tmp_path):
    other = make_key(tmp_path / "other")
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{server.port} {public(other)}\n")
    address = server.address(known_hosts=(known_hosts,))
    error = _refused(address)
    assert _fingerprint(server.home / "host") in error.seen
    assert f"{_fingerprint(other)} ({known_hosts}:1)" in error.expected
    for command in error.to_do.splitlines()[1:]:
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    with connected(address) as remote:
        assert remote.run(["echo", "in"]).out == "in\n"


def test_a_pinned_key_of_another_type_does_not_let_the_host_pass(server, tmp_path):
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{server.port} {public(make_key(tmp_path / 'rsa', kind='rsa'))}\n")
    assert "the pinned ssh-rsa key" in _refused(server.address(known_hosts=(known_hosts,))).expected


def test_a_revoked_key_is_refused_though_it_is_pinned(server, tmp_path):
    known_hosts = tmp_path / "known_hosts"
    line = server.known_hosts.read_text()
    known_hosts.write_text(f"{line}@revoked {line}")
    assert "not revoked" in _refused(server.address(known_hosts=(known_hosts,))).expected


# --- who we are ------------------------------------------------------------------------------------------------------


def _not_let_in(address):
    with pytest.raises(HostError) as error, connected(address):
        pass
    return error.value


def test_a_key_that_the_host_does_not_know_is_named(server, tmp_path):
    other = make_key(tmp_path / "other")
    error = _not_let_in(server.address(keys=(other,)))
    assert "does not let us in" in error.seen
    assert str(other) in error.seen


def test_a_key_that_is_not_there_or_no_key_is_named(server, tmp_path):
    assert "No such file" in _not_let_in(server.address(keys=(tmp_path / "none",))).seen
    (tmp_path / "text").write_text("no key")
    assert "is no private key" in _not_let_in(server.address(keys=(tmp_path / "text",))).seen


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_keys_are_let_in(kind, server, tmp_path):
    key = make_key(tmp_path / kind, kind=kind)
    with (server.home / "authorized").open("a") as authorized:
        authorized.write(key.with_suffix(".pub").read_text())
    with connected(server.address(keys=(key,))) as remote:
        assert remote.run(["true"]).status == 0


@pytest.mark.usefixtures("alone")
def test_without_any_key_the_error_says_so(server):
    assert "no key, for none was found" in _not_let_in(server.address(keys=())).seen


@pytest.mark.usefixtures("alone")
def test_the_users_own_key_is_found_where_ssh_keeps_it(server, tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_bytes(server.key.read_bytes())
    with connected(server.address(keys=())) as remote:
        assert remote.run(["true"]).status == 0


@pytest.fixture
def locked_key(server, tmp_path):
    key = make_key(tmp_path / "locked", passphrase="open sesame")
    with (server.home / "authorized").open("a") as authorized:
        authorized.write((tmp_path / "locked.pub").read_text())
    return key


@pytest.mark.usefixtures("alone")
def test_a_key_with_a_passphrase_needs_it_or_an_agent(server, locked_key):
    error = _not_let_in(server.address(keys=(locked_key,)))
    assert f"{locked_key} has a passphrase" in error.seen
    assert f"ssh-add {locked_key}" in error.to_do
    with connected(server.address(keys=(locked_key,), passphrase="open sesame")) as remote:
        assert remote.run(["true"]).status == 0
    assert "open sesame" not in repr(server.address(passphrase="open sesame"))


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.usefixtures("alone")
def test_a_key_that_an_agent_holds_is_used(named, server, locked_key, tmp_path, monkeypatch):
    place = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as agent:
        assert _within(10, place.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        answer = tmp_path / "answer"
        answer.write_text("#!/bin/sh\necho open sesame\n")
        answer.chmod(0o700)
        asks = {**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
        subprocess.run(["ssh-add", "-q", locked_key], env=asks, check=True, capture_output=True)
        with connected(server.address(keys=(locked_key,) if named else ())) as remote:
            assert remote.run(["true"]).status == 0
        agent.terminate()


# --- a network that fails --------------------------------------------------------------------------------------------


def nobody_at(host, port):
    return Address(host, "nobody", port, known_hosts=(Path("/dev/null"),))


def _unreachable(address):
    with pytest.raises(HostUnreachable) as error, connected(address):
        pass
    return error.value.seen


def test_a_port_where_nobody_listens_is_unreachable(closed_port):
    assert "connection refused" in _unreachable(nobody_at("127.0.0.1", closed_port))


def test_a_name_that_nobody_has_is_unreachable():
    assert "cannot be reached" in _unreachable(nobody_at("no-such-host.invalid", 22))


def test_a_server_that_is_crowded_is_asked_again_with_growing_waits():
    waited = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        crowded = nobody_at("127.0.0.1", door.getsockname()[1])

        def turn_away():
            with contextlib.suppress(OSError):
                while True:
                    door.accept()[0].close()

        threading.Thread(target=turn_away, daemon=True).start()
        with pytest.raises(HostUnreachable, match="no SSH server answers"), connected(crowded, sleep=waited.append):
            pass
    assert len(waited) == 6
    assert max(waited) > 5 * min(waited)


def test_a_server_that_does_not_speak_ssh_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            wire, _ = listening.accept()
            with wire:
                wire.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert "no SSH server answers" in _unreachable(nobody_at("127.0.0.1", listening.getsockname()[1]))


def test_a_network_that_vanishes_is_noticed_while_a_command_is_silent(server, relay):
    with connected(through(server, relay), QUICK) as remote:
        threading.Timer(0.3, relay.freeze).start()
        with pytest.raises(HostUnreachable, match=r"nothing was heard for 1 s"):
            remote.run(["sleep", "60"])
        with pytest.raises(HostUnreachable):
            remote.run(["true"])


def test_a_network_that_vanishes_is_noticed_in_the_middle_of_an_upload(server, relay):
    def chunks():
        for number in range(10_000):
            if number == 20:
                relay.freeze()
            yield b"x" * 65536

    with connected(through(server, relay), QUICK) as remote, pytest.raises(HostUnreachable):
        remote.run(["cat"], stdin=chunks(), on_line=lambda _line: None)


def test_a_command_that_is_silent_for_long_is_left_alone_while_the_host_is_there(server):
    with connected(server.address(), Bounds(keepalive_s=0.1, silence_s=0.5)) as patient:
        assert patient.run(["sleep", "1.5"]).status == 0


def test_a_connection_that_is_closed_under_a_command_is_unreachable(server, relay):
    with connected(through(server, relay)) as remote:
        threading.Timer(0.3, relay.hang_up).start()
        with pytest.raises(HostUnreachable, match="the connection was lost") as error:
            remote.run(["sleep", "60"])
        assert "fab status" in error.value.to_do


# --- a gateway -------------------------------------------------------------------------------------------------------

RELAY = """
import os, socket, sys, threading
wire = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        wire.sendall(data)
    wire.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := wire.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def gateway(tmp_path):
    program = tmp_path / "gateway.py"
    program.write_text(RELAY)
    return f"{sys.executable} {program} %h %p"


def test_a_gateway_carries_commands_and_large_input(server, gateway):
    with connected(server.address(gateway=gateway)) as remote:
        done = remote.run(["wc", "-c"], stdin=(b"x" * 65536 for _ in range(160)))
        assert done.out.strip() == str(10 * MEGABYTE)


def test_a_gateway_and_its_children_are_gone_when_the_connection_is_closed(server, gateway, tmp_path):
    with connected(server.address(gateway=f"sh -c 'sleep 60 & echo $! > {tmp_path}/child; exec {gateway}'")) as remote:
        assert remote.run(["true"]).status == 0
    child = int((tmp_path / "child").read_text())
    assert _within(10, lambda: not _runs(child))


def _runs(pid):
    """Whether a process does anything; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_gateway_that_fails_says_why(server):
    gateway = "sh -c 'echo TargetNotConnected: i-0abc is not connected >&2; exit 255'"
    assert "TargetNotConnected: i-0abc is not connected" in _unreachable(server.address(gateway=gateway))


@pytest.mark.parametrize("gateway", ["/no/such/program %h", "'no end"])
def test_a_gateway_that_cannot_be_started_is_named(gateway, server):
    assert "the gateway cannot be started" in _unreachable(server.address(gateway=gateway))


def test_a_network_that_vanishes_behind_a_gateway_is_noticed(server, relay, gateway):
    with connected(through(server, relay, gateway=gateway), QUICK) as remote:
        relay.freeze()
        with pytest.raises(HostUnreachable):
            remote.run(["sleep", "60"])


def test_a_gateways_words_are_split_before_they_are_filled():
    address = replace(nobody_at("i-0abc", 2222), gateway="sh -c 'aws --target %h' %p %r 100%% %d %%h")
    assert gateway_argv(address) == ["sh", "-c", "aws --target i-0abc", "2222", "nobody", "100%", "%d", "%h"]
    hostile = replace(address, gateway="nc %h", host="a b;c")
    assert gateway_argv(hostile) == ["nc", "a b;c"]


# --- a whole host ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole_host(make_session_host):
    return make_session_host()


@pytest.fixture
def whole_address(whole_host):
    return Address(
        whole_host.address,
        whole_host.user,
        keys=(Path(whole_host.key),),
        known_hosts=(Path(whole_host.known_hosts),),
    )


def test_commands_run_as_root_on_the_host_and_nowhere_else(whole_address):
    with connected(whole_address) as remote:
        assert remote.run(["id", "-un"]).out == "root\n"
        assert remote.run(["hostname"]).out.strip() != socket.gethostname()


def test_dropped_packets_are_noticed_and_what_was_held_is_let_go_by_release(whole_host, whole_address):
    try:
        with connected(whole_address, QUICK) as remote:
            _, held = remote.hold(["sh", "-c", "echo held; cat"])
            whole_host.cut()
            with pytest.raises(HostUnreachable, match="nothing was heard for 1 s"):
                remote.run(["sleep", "60"])
            assert held.release().status == BY_A_SIGNAL
    finally:
        whole_host.mend()


def test_dropped_packets_are_noticed_in_the_middle_of_an_upload(whole_host, whole_address):
    def chunks():
        for number in range(10_000):
            if number == 50:
                whole_host.cut()
            yield b"x" * 65536

    try:
        with connected(whole_address, QUICK) as remote, pytest.raises(HostUnreachable):
            remote.run(["wc", "-c"], stdin=chunks())
    finally:
        whole_host.mend()


def test_a_journal_that_is_followed_is_no_longer_when_the_connection_is_closed(whole_host, whole_address):
    class Enough(Exception):
        pass

    def first_line(_line):
        raise Enough

    wanted = Wanted(follow=True, lines=1)
    every = [word for word in journalctl(wanted) if not word.startswith("--unit")]
    with connected(whole_address) as remote:
        with pytest.raises(Enough):
            remote.run(every, on_line=first_line)
        assert _within(10, lambda: whole_host.inside("pgrep -c journalctl").out.strip() == "0")


def test_a_user_who_may_not_sudo_is_told_so_by_the_real_sudo(whole_host, whole_address):
    sudoers = "/etc/sudoers.d"
    whole_host.inside(f"mv {sudoers} {sudoers}.away && mkdir {sudoers}", check=True)
    try:
        with connected(whole_address) as remote, pytest.raises(HostError, match="may not become root without"):
            remote.run(["true"])
    finally:
        whole_host.inside(f"rmdir {sudoers} && mv {sudoers}.away {sudoers}", check=True)


def test_a_command_that_the_real_sudo_does_not_find_ends_with_127(whole_address):
    with connected(whole_address) as remote:
        assert remote.run(["/usr/local/sbin/no-such-command", "status"]).status == 127
