"""A deploy, a rollback and the dead man himself, ended at every instant: one release that is well serves afterwards."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from ops.onhost import (
    confirm_step,
    dead_man,
    inventory,
    look_step,
    prune_step,
    record,
    rollback_step,
    settle_step,
    start_step,
    switch_step,
)
from ops.onhost.trouble import CouldNot, Refused
from tests.onhost_systemd import Host


@pytest.fixture
def memory():
    """A directory in memory where there is one: hundreds of deploys wait for the disk hundreds of times."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="kpi", dir=shared if shared.is_dir() else None) as directory:
        yield Path(directory)


def deploy(host, *, handoff=False):
    start_step.step(host.machine, "new", handoff=handoff)
    switch_step.step(host.machine, "new")
    look_step.step(host.machine, "new")
    confirm_step.step(host.machine, "new")


def hand_over(host):
    deploy(host, handoff=True)


def go_back(host):
    rollback_step.step(host.machine, None, None, None, plan=False)


def settle(host):
    settle_step.step(host.machine, None)


def prepared(root):
    host = Host(root)
    host.good("older", "old")
    host.serve("old")
    host.release("new")
    host.sessions = {"old", "new"}
    return host


def touches(root, act):
    """How often the world is touched by a whole run of it, each a place to be killed at."""
    host = prepared(root)
    with host.killing(None):
        act(host)
    return host.touched


def at_rest(host):
    """One instance takes callers, `current` names it, its release was found well, and nothing is left to be done."""
    release = inventory.take(host.tree).serving
    assert host.serving() == [host.current]
    assert record.read(host.tree, release).verdict == "good"
    assert all(dead_man.replaced(host.tree, timer) for timer in host.timers)  # a timer more does nothing
    assert release not in host.ugly | host.broken


@pytest.mark.parametrize("act", [deploy, hand_over, go_back, settle])
@pytest.mark.parametrize("new_is", ["well", "broken", "ugly"])
def test_after_a_kill_at_any_instant_one_release_that_is_well_serves_and_a_later_deploy_succeeds(memory, act, new_is):
    def prepare(name):
        host = prepared(memory / name)
        host.broken = {"new"} if new_is == "broken" else set()
        host.ugly = {"new"} if new_is == "ugly" else set()
        return host

    whole = prepare("whole")
    with whole.killing(None):
        _tried(act, whole)
    places = range(1, whole.touched + 1)
    assert len(places) > 5
    for place in places:
        host = prepare(str(place))
        with host.killing(place):
            _tried(act, host)
        settle(host)
        at_rest(host)
        host.broken, host.ugly = set(), set()
        if inventory.take(host.tree).serving != "new":
            deploy(host)
        at_rest(host)


def test_the_dead_man_killed_at_any_instant_is_done_by_the_next_one(memory):
    def prepare(name):
        host = prepared(memory / name)
        start_step.step(host.machine, "new", handoff=False)
        switch_step.step(host.machine, "new")
        host.ugly = {"new"}
        return host

    whole = prepare("whole")
    with whole.killing(None):
        settle(whole)
    for place in range(1, whole.touched + 1):
        host = prepare(str(place))
        with host.killing(place):
            settle(host)
        for timer in tuple(host.timers):
            settle_step.step(host.machine, timer)
        at_rest(host)


def test_from_the_first_instant_of_a_start_to_the_last_before_it_is_confirmed_there_is_a_timer(memory):
    unguarded = []
    for place in range(1, touches(memory / "whole", deploy) + 1):
        host = prepared(memory / str(place))
        with host.killing(place):
            deploy(host)
        if not host.timers and host.serving() != [host.current]:
            unguarded.append(place)
    assert unguarded == []


def test_a_prune_leaves_nothing_for_the_next_one_and_removes_what_killed_steps_left(memory):
    host = prepared(memory)
    host.good(*"abcdefg")
    host.tree.release(".half.part").mkdir()
    host.tree.environment(".old.gone").mkdir()
    prune_step.step(host.machine, 2)
    again = prune_step.step(host.machine, 2)
    assert (again["releases"], again["environments"], again["leftovers"]) == ((), (), [])
    assert not [path for path in host.tree.root.rglob(".*.*") if path.name.endswith((".part", ".gone"))]


def _tried(act, host):
    with suppress(Refused, CouldNot):
        act(host)
