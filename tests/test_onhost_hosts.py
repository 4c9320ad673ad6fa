"""kpi-host on real systemd hosts, with releases as small as can be: what only a real systemd can show."""

import hashlib
import json
import re
import socket
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from ops.host.units import units
from ops.onhost import layout
from ops.render import render
from ops.settings import Settings
from tests import onhost_stand_in

ROOT = Path(__file__).resolve().parent.parent
LOCK = b"# nothing\n"
RATE_S = 0.025
PORT = 8501


def install(host):
    """What bootstrap leaves that kpi-host needs; an environment, so that no package index is; and release `a`."""
    host.run(f"useradd --system {layout.USER}; mkdir -p {layout.TOOL}/ops/onhost {layout.RECORD}", check=True)
    for path in (ROOT / "ops" / "onhost").glob("*.py"):
        host.put(f"{layout.TOOL}/ops/onhost/{path.name}", path.read_bytes())
    host.put(f"{layout.TOOL}/ops/__init__.py", (ROOT / "ops" / "__init__.py").read_bytes())
    host.put(layout.COMMAND, render("host-kpi-host.j2", tool=layout.TOOL).encode(), 0o755)
    for name, text in units(Settings()).items():
        host.put(f"{layout.UNITS}/{name}", text.encode())
    host.run(f"systemctl daemon-reload; systemctl enable --now {layout.SOCKET_UNIT}", check=True)
    host.run(f"systemctl enable {layout.DISPATCHER_UNIT}", check=True)
    python = host.run("python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'").out.strip()
    environment = f"{layout.ENVIRONMENTS}/{hashlib.sha256(LOCK).hexdigest()[:16]}-py{python}"
    host.run(f"python3 -m venv --without-pip {environment} && touch {environment}/.ready", check=True)
    assert kpi(host, "status")["port_owner"] == "systemd"
    deploy(host, "a")


@pytest.fixture
def host(make_image, make_host):
    """A host that serves release `a` since it was booted."""
    return make_host(image=make_image("kpi-host", install))


def kpi(host, *words, stdin=None, status=0):
    """What kpi-host answers, which has to end with that status."""
    ended = host.run(["kpi-host", *words], stdin)
    assert ended.status == status, f"{words}: {ended}"
    return json.loads(ended.out.splitlines()[-1])


def arrive(host, release, **parts):
    parts.setdefault("lock", LOCK)
    kpi(host, "receive", release, stdin=onhost_stand_in.packed(release, **parts))
    kpi(host, "environment", release)


def deploy(host, release, **parts):
    arrive(host, release, **parts)
    kpi(host, "start", release)
    kpi(host, "switch", release)
    kpi(host, "look", release)
    kpi(host, "confirm", release)


class Load:
    """Callers, a new connection each, as long as it is entered: who answered, and who failed."""

    def __init__(self, host):
        self.host, self.answered, self.failed, self.threads = host, Counter(), [], []
        self.ended = threading.Event()

    def _one(self):
        connection = HTTPConnection(self.host.address, PORT, timeout=60)
        try:
            connection.request("GET", "/")
            self.answered[connection.getresponse().read().split()[0].decode()] += 1
        except (OSError, HTTPException) as error:
            self.failed.append(repr(error))
        finally:
            connection.close()

    def _all(self):
        while not self.ended.wait(RATE_S):
            self.threads.append(threading.Thread(target=self._one))
            self.threads[-1].start()

    def __enter__(self):
        self.thread = threading.Thread(target=self._all)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        for thread in self.threads:
            thread.join()


def session(host):
    """A connection that stays on the release that has it."""
    connection = socket.create_connection((host.address, PORT))
    connection.sendall(b"GET /stay HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.recv(1000)
    return connection


def serving(host):
    """The release that answers, and what status says of it all."""
    said = kpi(host, "status")
    return said["current"], said


def test_deploys_rollbacks_and_a_hand_off_fail_no_caller(host):
    with Load(host) as load:
        with session(host):
            deploy(host, "b")
            assert kpi(host, "rollback")["instance"].startswith("a.")  # a still has somebody on it
            states = {unit["release"]: unit["active"] for unit in serving(host)[1]["units"] if not unit["alias"]}
            assert states["a"] == "deactivating"
        kpi(host, "rollback", "--to", "b")
        arrive(host, "c")
        kpi(host, "start", "c", "--handoff")
        kpi(host, "switch", "c")
        kpi(host, "confirm", "c")
        arrive(host, "d", mode="refused")
        refused = kpi(host, "start", "d", "--handoff", status=1)
        assert (refused["page"], refused["file"], refused["line"]) == ("products", "dashboard/pages/products.py", 12)
    assert load.failed == []
    assert {"b", "c"} <= set(load.answered)
    assert "d" not in load.answered
    assert kpi(host, "prune", "--keep", "1")["releases"] == ["a"]
    assert serving(host)[0] == "c"


def test_a_release_that_cannot_start_is_refused_with_the_reason_and_disturbs_nobody(host):
    host.run("mkdir -p /etc/systemd/system/kpi-dashboard@unit.service.d")
    host.put("/etc/systemd/system/kpi-dashboard@unit.service.d/x.conf", b"[Service]\nExecStart=\nExecStart=/none\n")
    host.run("systemctl daemon-reload", check=True)
    reasons = {}
    with Load(host) as load:
        for release, mode in {"oom": "hungry", "crash": "crash", "import": "silent", "unit": "well"}.items():
            arrive(host, release, mode=mode)
            reasons[release] = kpi(host, "start", release, status=1)["reason"][0]
    assert load.failed == []
    assert set(load.answered) == {"a"}
    assert reasons["oom"].startswith("out of memory: the kernel ended it; its limit of 450 MB")
    assert reasons["crash"] == "it was ended by signal 11"
    assert reasons["import"] == "it ended with status 1: ModuleNotFoundError: No module named 'nosuchmodule'"
    assert reasons["unit"] == "its program could not be run (status 203)"
    assert [unit["release"] for unit in serving(host)[1]["units"]] == ["a"]


def go_off(host):
    """Have the dead man's timer go off now rather than in 45 s, and wait for what it does."""
    timers = re.findall(r"kpi-settle-\d+(?=\.timer)", host.run("systemctl list-units --plain kpi-settle-*.timer").out)
    assert len(timers) == 1, timers
    assert 0 < kpi(host, "status")["settle_at"] - kpi(host, "status")["clock"] <= 45
    host.run(f"systemctl start {timers[0]}.service")
    for _ in range(300):
        if kpi(host, "status")["settle_at"] is None:
            return
        time.sleep(0.1)
    pytest.fail("the dead man did not settle the host")


def drained(host, release):
    """What status says of a release that was left, once it has ended: till then it "drains", whatever was said."""
    for _ in range(300):
        known = next(known for known in kpi(host, "status")["releases"] if known["release"] == release)
        if known["state"] != "draining":
            return known
        time.sleep(0.1)
    pytest.fail(f"{release} drains for more than 30 s")


def test_the_dead_man_goes_back_from_a_release_that_nobody_watches_any_more(host):
    arrive(host, "b", page="broken")
    kpi(host, "start", "b")
    kpi(host, "switch", "b")
    go_off(host)
    assert drained(host, "b")["state"] == "bad"
    current, said = serving(host)
    assert (current, said["good"]) == ("a", ["a"])


def test_a_candidate_whose_step_was_killed_is_ended_and_the_next_deploy_succeeds(host):
    arrive(host, "b", mode="slow 600")
    host.run("kpi-host start b > /dev/null 2>&1 & step=$!; sleep 2; kill -KILL $step; wait", check=False)
    assert {unit["release"] for unit in serving(host)[1]["units"]} == {"a", "b"}
    go_off(host)
    assert [unit["release"] for unit in serving(host)[1]["units"]] == ["a"]
    deploy(host, "c")
    assert serving(host)[0] == "c"


def test_a_deploy_that_a_fallen_plug_ended_is_settled_after_the_boot(host):
    arrive(host, "b", page="broken")
    kpi(host, "start", "b")
    kpi(host, "switch", "b")
    host.reboot(hard=True)
    assert serving(host)[1]["settle_at"] is not None
    assert kpi(host, "settle")["serving"] == "a"
    assert serving(host)[1]["settle_at"] is None


def test_a_socket_that_was_ended_by_hand_is_mended(host):
    host.run(f"systemctl stop {layout.SOCKET_UNIT}", check=True)
    assert serving(host)[1]["socket"] == "inactive"
    kpi(host, "settle")
    with Load(host) as load:
        deploy(host, "b")
    assert load.failed == []


def test_an_environment_made_from_another_shares_its_files_and_leaves_them_alone(make_host, deployed_image):
    host = make_host(image=deployed_image)
    full = (ROOT / "requirements" / "host.txt").read_text()
    entries = {entry.partition("==")[0]: entry for entry in re.split(r"\n(?=\S)", full)}
    locks = {"a": f"{entries['six']}\n", "b": f"{entries['six']}\n{entries['attrs']}\n"}
    uv_lock = (ROOT / "requirements" / "uv.txt").read_bytes()
    digest = f"cd {layout.RELEASES}/a/environment/ && find . -type f -exec sha256sum {{}} + | sort | sha256sum"
    arrive(host, "a", lock=locks["a"].encode(), uv_lock=uv_lock)
    before = host.run(digest, check=True).out
    arrive(host, "b", lock=locks["b"].encode(), uv_lock=uv_lock)
    python = f"{layout.RELEASES}/b/environment/bin/python"
    assert host.run([python, "-c", "import six, attr; print(six.__version__)"], check=True).out
    assert (
        host.run(f"stat -L -c %h {layout.RELEASES}/[ab]/environment/lib/python3.*/site-packages/six.py").out == "2\n2\n"
    )
    assert host.run(digest, check=True).out == before
    changed = re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, locks["b"])
    kpi(host, "receive", "c", stdin=onhost_stand_in.packed("c", lock=changed.encode(), uv_lock=uv_lock))
    assert "not the one that the lock names" in kpi(host, "environment", "c", status=1)["reason"][0]
