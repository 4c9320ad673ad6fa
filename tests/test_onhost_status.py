"""What `kpi-host status` says, on a host with nothing, with everything, and with parts that are odd."""

import hashlib
import json
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from ops.onhost import history, private, proc, rollback_step, status_step
from ops.onhost.layout import DASHBOARD_ENVIRONMENT, HISTORY, RECORD, RUN, SECRETS, UNITS, Tree
from ops.onhost.machine import Done, Machine
from ops.onhost.trouble import Refused
from tests.onhost_systemd import Host


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def short_host():
    """A host below a path so short that a socket file fits below it."""
    with tempfile.TemporaryDirectory(prefix="kpi") as directory:
        yield Host(Path(directory))


@pytest.fixture
def says(short_host):
    """A function that has an instance answer on its private socket."""
    listeners = []

    def answer(instance, body, status=b"200 OK"):
        path = short_host.tree.at(RUN) / instance / "http.sock"
        path.parent.mkdir(parents=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 " + status + b"\r\ncontent-type: x\r\n\r\n" + body)

        threading.Thread(target=serve, daemon=True).start()

    yield answer
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_host_that_has_nothing_is_described(tmp_path):
    silent = Machine(Tree(tmp_path), lambda *_, **__: Done(127, "", "no systemctl"), lambda: 5.0, lambda _: None)
    said = status_step.step(silent)
    assert (said["ok"], said["current"], said["previous"], said["releases"], said["units"]) == (
        True,
        None,
        None,
        [],
        [],
    )
    assert (said["socket"], said["memory_available_bytes"], said["lock"]) == ("unknown", -1, None)
    assert said["free_bytes"] > 0


def test_a_host_in_use_is_described(host):
    host.good("a", "b")
    host.serve("b")
    host.units["a"] = "deactivating"
    said = json.loads(json.dumps(status_step.step(host.machine)))
    assert (said["current"], said["previous"], said["good"]) == ("b", "a", ["a", "b"])
    assert [(one["release"], one["state"]) for one in said["releases"]] == [("a", "draining"), ("b", "current")]
    assert [(one["release"], one["active"]) for one in said["units"]] == [("b", "active"), ("a", "deactivating")]
    assert said["units"][0]["memory_bytes"] == 100_000_000
    assert said["memory_available_bytes"] == 900_000 * 1024


def test_a_release_whose_manifest_is_damaged_still_has_every_key(host):
    host.good("a", "b")
    (host.tree.release("a") / "release.json").write_text("{")
    (host.tree.at(RECORD) / "a.json").write_text("[]")
    one, other = status_step.step(host.machine)["releases"]
    assert set(one) == set(other)
    assert (one["release"], one["state"], one["lock_sha256"]) == ("a", "arrived", "")


def test_files_of_ours_are_told_by_digest_and_secrets_are_not(host):
    for place in (UNITS / "kpi-dashboard.socket", UNITS / "kpi-dashboard@.service.d" / "x.conf", UNITS / "ssh.service"):
        host.tree.at(place).parent.mkdir(parents=True, exist_ok=True)
        host.tree.at(place).write_text("x")
    host.tree.at(DASHBOARD_ENVIRONMENT).parent.mkdir(parents=True)
    host.tree.at(DASHBOARD_ENVIRONMENT).write_text("A=1")
    host.tree.at(SECRETS).write_text("B=canary")
    host.tree.at(DASHBOARD_ENVIRONMENT).chmod(0o640)
    files = status_step.step(host.machine)["files"]
    assert list(files) == [
        "/etc/kpi-ops/dashboard.env",
        "/etc/systemd/system/kpi-dashboard.socket",
        "/etc/systemd/system/kpi-dashboard@.service.d/x.conf",
    ]
    word = f"{hashlib.sha256(b'A=1').hexdigest()}:0640:{os.getuid()}:{os.getgid()}"
    assert files["/etc/kpi-ops/dashboard.env"] == word


def test_a_release_that_answers_is_quoted_and_one_that_does_not_is_null(short_host, says):
    short_host.good("a", "b")
    short_host.serve("b")
    short_host.units["a"] = "active"
    says("b", b'{"sessions": 3, "contract": "1.0"}')
    assert [one["state"] for one in status_step.step(short_host.machine)["units"]] == [
        {"sessions": 3, "contract": "1.0"},
        None,
    ]


def test_a_rollback_is_refused_where_the_older_release_cannot_read_what_is_published(short_host, says):
    short_host.good("a", "b")
    short_host.serve("b")
    says("b", b'{"contract": "2.0"}')
    for to in (None, "a"):
        with pytest.raises(
            Refused, match=r"a reads snapshots up to contract 1, and the published one is of 2\.0"
        ) as no:
            rollback_step.step(short_host.machine, to, None, None, plan=False)
        assert "publish a snapshot" in no.value.document["to_do"]
    assert short_host.serving() == ["b"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 503 no\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n[]", b"HTTP/1.1 200 OK\r\n\r\n{", b"garbage"],
)
def test_an_answer_that_is_none_is_null(answer):
    assert private.parse(answer) is None


def test_who_listens_is_found_in_the_tables_of_the_kernel():
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 00000000:2135 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
        "   1: 0100007F:2135 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n"
        "   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n"
    )
    assert proc.listening(table, 8501) == ["4711"]
    assert proc.listening("", 8501) == []


def test_memory_is_told_in_bytes():
    assert proc.memory_bytes("MemAvailable:  12 kB\nHugePages_Total:  0\n\nodd")["MemAvailable"] == 12 * 1024


def test_the_newest_lines_of_the_record_are_told_and_a_torn_one_is_passed_over(tmp_path):
    tree = Tree(tmp_path)
    assert history.newest(tree, 3) == []
    path = tree.at(HISTORY)
    path.parent.mkdir(parents=True)
    lines = [json.dumps({"to": f"r{number}"}) for number in range(5000)]
    path.write_text("\n".join([*lines, '{"to": "r50']))
    assert [line["to"] for line in history.newest(tree, 3)] == ["r4997", "r4998", "r4999"]
