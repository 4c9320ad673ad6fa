"""The operator's side of a deploy, against a host that answers from a script: which steps, and what is told."""

import io
import json
import tarfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from etl.errors import ExitCode, HostError, HostUnreachable
from ops.host.deploy import Choice, deploy
from ops.host.desk import Bars, Desk
from ops.host.preflight import MEGABYTE
from ops.host.resources import File, Tree
from ops.host.rollback import rollback
from ops.host.source import Commit
from ops.host.units import units
from ops.host.wanted import tool, variables
from ops.onhost import digest, layout
from ops.settings import HostSettings, Settings
from tests.scripted_remote import ScriptedRemote

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
SHA = "ab12cd34" * 5
NAME = "20261123t101500.ab12cd3"
OLD = "20261120t080000.1111111"
FILES = {
    "dashboard/app.py": (b"", False),
    "etl/contract.py": (b"SCHEMA_VERSION = 1\n", False),
    "pyproject.toml": (b'[project]\nrequires-python = ">=3.11"\n', False),
    "ops/uptime/probe.py": (b"", False),
    "requirements/host.txt": (b"", False),
    "requirements/uv.txt": (b"", False),
}
SETTINGS = Settings(host=HostSettings(watch_s=12))


def files_of(resources):
    """Files, those of trees too."""
    return [file for one in resources for file in (one.files if isinstance(one, Tree) else [one])]


UNITS = tuple(File(str(layout.UNITS / name), text) for name, text in units(SETTINGS).items())
PLACED = (*files_of(tool()), variables(SETTINGS.host), *UNITS)
SAID = {file.path: digest.placed(file.data, file.mode, 0, 0) for file in PLACED}


class Clone:
    """A checkout of one commit."""

    def __init__(self, differing=()):
        self.changed = list(differing)

    def commit(self, ref):
        return Commit(SHA, ref)

    def work_tree(self):
        return Commit(SHA, "the work tree", dirty=True)

    def differing(self):
        return self.changed

    def files(self, _commit):
        return FILES


class Clock:
    def __init__(self):
        self.s = 0.0

    def __call__(self):
        return self.s

    def sleep(self, seconds):
        self.s += seconds


@contextmanager
def no_bar(_what, _total=100):
    yield lambda _more: None


def old_release():
    return {
        "release": OLD,
        "sha": "1" * 40,
        "dirty": False,
        "settings_sha256": "x",
        "lock_sha256": "x",
        "environment_ready": True,
        "who": "ann@desk",
        "made_at": "2026-11-20T08:00:00Z",
    }


def status(**changed):
    return {
        "python": "3.12.3",
        "clock": NOW.timestamp(),
        "current": OLD,
        "previous": None,
        "releases": [old_release()],
        "units": [{"release": OLD, "active": "active", "memory_bytes": 200 * MEGABYTE, "state": {"sessions": 2}}],
        "socket": "active",
        "free_bytes": 5000 * MEGABYTE,
        "free_inodes": 1_000_000,
        "memory_available_bytes": 600 * MEGABYTE,
        "port_owner": "systemd",
        "files": SAID,
        "due": [],
    } | changed


def host(files=PLACED, **answers):
    return ScriptedRemote({"status": (0, [status()])} | answers, files)


def desk_at(remote):
    clock = Clock()
    return Desk(remote, SETTINGS, "me@here", lambda: NOW, clock, clock.sleep, io.StringIO(), Bars(no_bar, no_bar))


def deployed(remote, clone=None, **choice):
    desk = desk_at(remote)
    return deploy(desk, clone or Clone(), Choice(**choice)), desk.stream.getvalue()


def words(remote):
    return [asked.split()[0] for asked in remote.asked]


def test_a_deploy_takes_its_steps_in_order_and_lets_the_lock_go():
    remote = host()
    code, told = deployed(remote)
    assert code == ExitCode.GOOD
    looks = ["look"] * 4  # at 0, 5, 10 and 15 s, for a watch of 12 s
    steps = ["receive", "environment", "start", "switch", *looks, "confirm", "prune", "status", "(lock"]
    assert words(remote) == ["status", "hold", "status", *steps]
    assert f"start {NAME}" in remote.asked
    assert "serving: " in told


def test_what_is_sent_is_the_release_with_its_manifest():
    remote = host()
    deployed(remote)
    with tarfile.open(fileobj=io.BytesIO(remote.received["receive"])) as sent:
        assert sorted(sent.getnames()) == sorted([*FILES, "release.json"])
        manifest = json.load(sent.extractfile("release.json"))
    assert manifest["release"] == NAME
    assert (manifest["sha"], manifest["contract"], manifest["who"]) == (SHA, 1, "me@here")


def test_a_plan_asks_and_changes_nothing():
    remote = host()
    code, told = deployed(remote, plan=True)
    assert code == ExitCode.CHANGES_PENDING
    assert remote.asked == ["status"]
    assert "would serve:  commit ab12cd3 (HEAD)" in told


def serving_it(**changed):
    """A host that serves what is to be deployed, as kpi-host says it."""
    first = host()
    deployed(first)
    with tarfile.open(fileobj=io.BytesIO(first.received["receive"])) as sent:
        manifest = json.load(sent.extractfile("release.json"))
    said = status(
        current=NAME,
        releases=[manifest | {"environment_ready": True}],
        units=[{"release": NAME, "active": "active", "memory_bytes": 1, "state": None}],
    )
    return ScriptedRemote({"status": (0, [said | changed])}, PLACED)


def test_a_host_that_serves_the_very_same_is_asked_once_and_left_alone():
    remote = serving_it()
    code, told = deployed(remote)
    assert (code, remote.asked, remote.questions) == (ExitCode.GOOD, ["status"], 0)
    assert f"already up to date: {NAME}" in told


@pytest.mark.parametrize(
    "changed",
    [
        {"files": {}},
        {"files": SAID | {str(layout.COMMAND): "another"}},
        {"files": {path: word for path, word in SAID.items() if path != str(layout.DASHBOARD_ENVIRONMENT)}},
        {"files": SAID | {str(layout.TOOL / "ops" / "onhost" / "stray.py"): "x"}},
        {"due": ["systemd-reload"]},
        {"due": None},
    ],
)
def test_a_host_on_which_anything_beside_the_release_differs_is_looked_at_closely(changed):
    remote = serving_it(**changed)
    code, told = deployed(remote)
    assert (code, words(remote)) == (ExitCode.GOOD, ["status", "hold", "status", "(lock"])
    assert f"already up to date: {NAME}" in told


def test_a_refused_release_is_told_with_its_reason_place_and_what_still_serves():
    refusal = {
        "ok": False,
        "reason": ["page Products: KeyError: 'revenue'"],
        "file": "dashboard/views.py",
        "line": 12,
        "serving": OLD,
    }
    remote = host(start=(1, [refusal]))
    code, told = deployed(remote)
    assert code == ExitCode.CHECK_FAILED
    assert "switch" not in words(remote)
    assert remote.asked[-1] == "(lock released)"
    assert "KeyError: 'revenue'" in told
    assert "dashboard/views.py, line 12" in told
    assert f"serving still: {OLD}" in told


def test_a_release_that_turns_bad_after_the_switch_is_rolled_back():
    bad = (1, [{"ok": False, "reason": "page Overview: script_exception"}])
    remote = host(look=[(0, [{"ok": True}]), bad, bad, bad], rollback=(0, [{"ok": True, "release": OLD}]))
    code, told = deployed(remote)
    assert code == ExitCode.CHECK_FAILED
    assert f"rollback --bad {NAME} --reason page Overview: script_exception" in remote.asked
    assert "confirm" not in words(remote)
    assert f"rolled back to {OLD}" in told


def test_nobody_looks_where_no_watch_is_wanted():
    remote = host()
    desk = replace(desk_at(remote), settings=Settings(host=HostSettings(watch_s=0)))
    deploy(desk, Clone(), Choice(force=True))
    assert "look" not in words(remote)


def test_bad_looks_between_good_ones_are_noise():
    bad = (1, [{"ok": False, "reason": "timeout"}])
    good = (0, [{"ok": True}])
    remote = host(look=[good, bad, bad, good, bad, good, good, good])
    code, _ = deployed(remote)
    assert code == ExitCode.GOOD


def test_a_host_without_memory_for_two_hands_off():
    remote = host(status=(0, [status(memory_available_bytes=50 * MEGABYTE)]))
    _, told = deployed(remote)
    assert f"start {NAME} --handoff" in remote.asked
    assert "sessions are cut" in told


def test_sessions_are_not_cut_where_nothing_is_known_of_the_memory():
    remote = host(status=(0, [status(memory_available_bytes=-1)]))
    _, told = deployed(remote)
    assert f"start {NAME}" in remote.asked
    assert "sessions are cut" not in told


def test_a_preflight_that_finds_something_changes_nothing():
    remote = host(status=(0, [status(free_bytes=1)]))
    code, told = deployed(remote)
    assert (code, words(remote)) == (ExitCode.CHECK_FAILED, ["status", "hold", "status", "(lock"])
    assert "refused before anything was changed" in told
    assert f"serving still: {OLD}" in told


def test_a_lock_that_is_held_is_told_with_its_holder():
    remote = host()
    remote.holder = {"who": "bob@desk", "commit": "fee1bad", "since": "2026-11-23T10:14:00Z"}
    code, told = deployed(remote)
    assert code == ExitCode.LOCKED
    assert "locked by bob@desk since 2026-11-23T10:14:00Z, deploying fee1bad" in told
    assert words(remote) == ["status", "hold"]


def test_what_differs_on_the_host_is_named_in_the_plan():
    _, told = deployed(host(files=changed("kpi-dashboard@.service")), plan=True)
    assert "kpi-dashboard@.service" in told


def without(name):
    return tuple(file for file in PLACED if not file.path.endswith(name))


def changed(name):
    return (*without(name), File(next(file.path for file in PLACED if file.path.endswith(name)), "as it was"))


def test_a_unit_that_differs_is_placed_before_the_gate_and_stays():
    remote = host(files=changed("kpi-dashboard@.service"))
    code, _ = deployed(remote)
    written = "(write /etc/systemd/system/kpi-dashboard@.service)"
    assert code == ExitCode.GOOD
    assert remote.asked.count(written) == 1
    assert words(remote).index("environment") < remote.asked.index(written) < remote.asked.index(f"start {NAME}")


def test_a_tool_that_differs_is_placed_before_it_is_used():
    remote = host(files=without("onhost/digest.py"))
    deployed(remote)
    written = next(place for place, asked in enumerate(remote.asked) if asked.endswith("digest.py)"))
    assert written < words(remote).index("receive")


@pytest.mark.parametrize("answers", [{"start": (1, [{"ok": False}])}, {"look": (1, [{"ok": False}])}])
def test_units_of_a_release_that_does_not_serve_are_put_back(answers):
    remote = host(files=changed("kpi-dashboard@.service"), **answers)
    code, _ = deployed(remote)
    assert code == ExitCode.CHECK_FAILED
    assert next(file for file in remote.files if file.path.endswith("kpi-dashboard@.service")).data == (b"as it was")


def test_units_are_put_back_also_where_the_host_could_not_go_on():
    remote = host(files=changed("kpi-dashboard@.service"), switch=(3, [{"ok": False, "seen": "it does not run"}]))
    with pytest.raises(HostError, match="it does not run"):
        deployed(remote)
    assert next(file for file in remote.files if file.path.endswith("kpi-dashboard@.service")).data == (b"as it was")


def test_a_socket_that_differs_is_refused_because_nobody_would_be_served_meanwhile():
    remote = host(files=changed("kpi-dashboard.socket"))
    code, told = deployed(remote)
    assert code == ExitCode.CHECK_FAILED
    assert "fab bootstrap" in told


def test_work_that_is_not_committed_is_named_as_left_at_home():
    _, told = deployed(host(), Clone(["dashboard/app.py"]), plan=True)
    assert "not committed, and not deployed: dashboard/app.py" in told


def test_a_dirty_work_tree_is_marked_in_the_name():
    remote = host()
    deployed(remote, dirty=True)
    assert f"start {NAME}.dirty" in remote.asked


def test_a_connection_that_is_cut_is_told_with_what_becomes_of_the_host():
    cut = HostUnreachable("the connection was cut", expected="an answer", to_do="look at the network")
    remote = host(switch=(cut, []))
    with pytest.raises(HostUnreachable, match="settles within a minute"):
        deployed(remote)


def test_ctrl_c_says_what_becomes_of_the_host():
    remote = host(start=(KeyboardInterrupt(), []))
    desk = desk_at(remote)
    with pytest.raises(KeyboardInterrupt):
        deploy(desk, Clone(), Choice())
    assert "settles within a minute" in desk.stream.getvalue()
    assert remote.asked[-1] == "(lock released)"


def test_a_host_that_could_not_is_one_error_with_its_own_words():
    full = {"ok": False, "seen": "no space left in /opt/kpi", "expected": "room", "to_do": "enlarge the disk"}
    with pytest.raises(HostError, match="no space left"):
        deployed(host(receive=(3, [full])))


def test_an_answer_that_is_none_of_kpi_hosts_is_our_bug():
    with pytest.raises(RuntimeError, match="kpi-host status"):
        deployed(host(status=(1, [])))


def test_a_host_that_was_never_set_up_is_told_to_be():
    with pytest.raises(HostError, match="fab bootstrap"):
        deployed(host(status=(127, [])))


def test_a_rollback_is_one_step_under_the_lock():
    remote = host(rollback=(0, [{"ok": True, "release": OLD}]))
    desk = desk_at(remote)
    assert rollback(desk, "", plan=False, wait_s=0) == ExitCode.GOOD
    assert words(remote) == ["hold", "rollback", "status", "(lock"]


def test_a_rollback_that_is_refused_names_the_reason_and_the_way_out():
    said = {"ok": False, "reason": "no good release before it", "to_do": "fab deploy --ref ...", "serving": OLD}
    remote = host(rollback=(1, [said]))
    desk = desk_at(remote)
    assert rollback(desk, OLD, plan=False, wait_s=0) == ExitCode.CHECK_FAILED
    assert f"rollback --to {OLD}" in remote.asked
    told = desk.stream.getvalue()
    assert "no good release before it" in told
    assert "fab deploy --ref ..." in told


def test_a_lock_that_cannot_be_installed_is_a_release_refused():
    refusal = {"ok": False, "reason": ["a package has no wheel for this host (uv: altair==99)"]}
    remote = host(environment=(1, [refusal]))
    code, told = deployed(remote)
    assert code == ExitCode.CHECK_FAILED
    assert "start" not in words(remote)
    assert "altair==99" in told
    assert f"serving still: {OLD}" in told
