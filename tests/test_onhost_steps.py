"""kpi-host's steps on a machine with a systemd of its own making: what serves afterwards, and what is recorded."""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from ops.onhost import (
    confirm_step,
    dead_man,
    inventory,
    look_step,
    looking,
    prune_step,
    record,
    rollback_step,
    settle_step,
    start_step,
    switch_step,
)
from ops.onhost.layout import CURRENT, HISTORY, RUN
from ops.onhost.trouble import CouldNot, Refused
from tests.onhost_systemd import MEMORY, Host

SAYS = b'HTTP/1.1 200 OK\r\n\r\n{"draining": %s}'
HEARS_AFTER_S = 4


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def two(host):
    """`old` was good and serves, `new` has arrived."""
    host.good("older", "old")
    host.serve("old")
    host.release("new")
    return host


def rolled_back(host, to=None, bad=None, reason=None, *, plan=False):
    return rollback_step.step(host.machine, to, reason, bad, plan=plan)


def deployed(host, release):
    start_step.step(host.machine, release, handoff=False)
    switch_step.step(host.machine, release)
    look_step.step(host.machine, release)
    confirm_step.step(host.machine, release)


def history(host):
    return [json.loads(line) for line in host.tree.at(HISTORY).read_text().splitlines()]


def test_a_release_that_is_let_in_serves_beside_the_old_one_until_the_switch(two):
    assert start_step.step(two.machine, "new", handoff=False)["instance"] == "new"
    assert (two.current, two.serving()) == ("old", ["new", "old"])
    assert switch_step.step(two.machine, "new")["draining"] == ["old"]
    assert (two.current, two.serving()) == ("new", ["new"])


def test_a_refused_release_is_ended_marked_bad_and_named_with_its_place(two):
    two.broken = {"new"}
    with pytest.raises(Refused) as refused:
        start_step.step(two.machine, "new", handoff=False)
    said = refused.value.document
    assert (said["page"], said["file"], said["line"]) == ("products", "dashboard/pages/products.py", 12)
    assert (said["serving"], two.serving(), two.units["new"]) == ("old", ["old"], "inactive")
    assert record.read(two.tree, "new").verdict == "bad"
    assert history(two)[-1]["outcome"] == "refused"


def test_a_hand_off_ends_the_old_one_first_and_brings_it_back_when_the_new_one_is_refused(two):
    two.broken = {"new"}
    with pytest.raises(Refused):
        start_step.step(two.machine, "new", handoff=True)
    assert two.serving() == ["old"]
    two.broken = set()
    start_step.step(two.machine, "new", handoff=True)
    assert two.serving() == ["new"]
    assert not list((two.tree.root / "run/systemd/system").glob("*"))


def test_a_release_without_a_whole_environment_is_not_started(host):
    host.release("half", ready=False)
    with pytest.raises(CouldNot, match="environment of half"):
        start_step.step(host.machine, "half", handoff=False)
    with pytest.raises(CouldNot, match="no release nobody"):
        start_step.step(host.machine, "nobody", handoff=False)


def test_what_does_not_run_is_not_switched_to(two):
    with pytest.raises(CouldNot, match="new does not run"):
        switch_step.step(two.machine, "new")
    assert two.current == "old"


def test_a_second_switch_changes_nothing_and_is_not_told_of(two):
    start_step.step(two.machine, "new", handoff=False)
    switch_step.step(two.machine, "new")
    before = history(two)
    assert switch_step.step(two.machine, "new")["ok"]
    assert history(two) == before


def test_each_beat_leaves_one_timer_and_a_confirmed_release_none(two):
    start_step.step(two.machine, "new", handoff=False)
    two.now += 1
    switch_step.step(two.machine, "new")
    assert len(two.timers) == 1
    assert dead_man.due(two.tree) == two.now + dead_man.PATIENCE_S
    confirm_step.step(two.machine, "new")
    assert (two.timers, dead_man.due(two.tree)) == ([], None)


def test_a_look_at_a_release_that_shows_errors_is_refused_with_what_was_seen(two):
    start_step.step(two.machine, "new", handoff=False)
    switch_step.step(two.machine, "new")
    two.ugly = {"new"}
    with pytest.raises(Refused) as refused:
        look_step.step(two.machine, "new")
    assert (refused.value.document["verdict"], refused.value.document["reason"]) == ("down", "body")


def test_a_look_at_a_release_that_does_not_serve_is_refused(two):
    with pytest.raises(Refused, match="old serves, not new"):
        look_step.step(two.machine, "new")


def test_only_the_release_that_serves_is_confirmed(two):
    with pytest.raises(CouldNot, match="old serves, not new"):
        confirm_step.step(two.machine, "new")


def test_a_rollback_goes_to_the_last_good_release_and_again_to_the_one_before(two):
    deployed(two, "new")
    assert rolled_back(two)["release"] == "old"
    assert rolled_back(two)["release"] == "older"
    with pytest.raises(Refused) as refused:
        rolled_back(two)
    assert "new, old" in refused.value.document["to_do"]
    assert rolled_back(two, to="new")["release"] == "new"


def test_a_rollback_while_the_older_one_drains_starts_it_under_a_second_name(two):
    two.sessions = {"old"}
    deployed(two, "new")
    said = rolled_back(two)
    assert said["release"] == "old"
    assert said["instance"] == two.current
    assert said["instance"].startswith("old.1")
    assert two.units["old"] == "deactivating"
    assert inventory.take(two.tree).serving == "old"


def test_a_release_marked_bad_is_never_gone_back_to(two):
    deployed(two, "new")
    record.judge(two.tree, "old", "bad", two.now, "it lied")
    with pytest.raises(Refused, match="old is marked bad: it lied"):
        rolled_back(two, to="old")
    assert rolled_back(two)["release"] == "older"


def test_the_release_that_is_left_is_marked_bad_on_request_with_the_reason(two):
    deployed(two, "new")
    assert rolled_back(two, bad="new", reason="two bad looks")["release"] == "old"
    assert record.read(two.tree, "new").reason == "two bad looks"
    assert history(two)[-1]["reason"] == "two bad looks"


def test_a_rollback_that_is_refused_by_one_release_tries_the_one_before(two):
    deployed(two, "new")
    two.broken = {"old"}
    assert rolled_back(two)["release"] == "older"
    assert record.read(two.tree, "old").verdict == "good"


def test_a_rollback_that_nothing_is_left_for_tells_why_and_what_serves(two):
    deployed(two, "new")
    two.broken = {"old", "older"}
    with pytest.raises(Refused) as refused:
        rolled_back(two)
    assert refused.value.document["serving"] == "new"
    assert refused.value.document["reason"][0] == "old does not run any more:"
    assert two.serving() == ["new"]


def test_a_planned_rollback_asks_and_writes_nothing(two):
    deployed(two, "new")
    before = sorted(two.tree.root.rglob("*"))
    assert rolled_back(two, plan=True) == {"ok": True, "release": "old", "from": "new"}
    assert sorted(two.tree.root.rglob("*")) == before
    assert two.serving() == ["new"]


def test_a_rollback_without_memory_for_two_lets_the_current_release_leave_first(two):
    deployed(two, "new")
    (two.tree.root / "proc/meminfo").write_text(MEMORY.replace("900000", "50000"))
    asked = two.asked["systemctl daemon-reload"]
    assert rolled_back(two)["release"] == "old"
    assert two.asked["systemctl daemon-reload"] == asked + 1
    assert two.serving() == ["old"]


def test_settling_a_host_that_is_well_changes_nothing(two):
    assert settle_step.step(two.machine, None) == {"ok": True, "serving": "old", "did": []}
    assert not two.tree.at(HISTORY).exists()


def test_a_timer_that_was_replaced_does_nothing(two):
    start_step.step(two.machine, "new", handoff=False)
    assert "nothing" in settle_step.step(two.machine, "kpi-settle-1")["did"][0]
    assert two.serving() == ["new", "old"]


def test_a_candidate_that_was_left_is_drained(two):
    start_step.step(two.machine, "new", handoff=False)
    assert settle_step.step(two.machine, two.timers[-1])["serving"] == "old"
    assert (two.serving(), two.timers) == (["old"], [])


def test_a_candidate_that_still_starts_is_ended(two):
    two.units["new"] = "activating"
    assert settle_step.step(two.machine, None)["did"] == ["ended new, which was starting"]
    assert two.units["new"] == "inactive"


def test_a_release_that_serves_unconfirmed_and_well_is_good_from_then_on(two):
    start_step.step(two.machine, "new", handoff=False)
    switch_step.step(two.machine, "new")
    assert settle_step.step(two.machine, None)["serving"] == "new"
    assert record.read(two.tree, "new").verdict == "good"


def test_a_release_that_serves_unconfirmed_and_badly_is_left_and_marked(two):
    start_step.step(two.machine, "new", handoff=False)
    switch_step.step(two.machine, "new")
    two.ugly = {"new"}
    assert settle_step.step(two.machine, None)["serving"] == "old"
    assert (two.current, two.serving()) == ("old", ["old"])
    assert record.read(two.tree, "new").verdict == "bad"


def test_when_every_release_looks_bad_no_good_one_is_blamed(two):
    two.ugly = {"old", "older"}
    settle_step.step(two.machine, None)
    assert {record.read(two.tree, name).verdict for name in ("old", "older")} == {"good"}
    assert len(two.serving()) == 1


def test_a_current_link_to_nowhere_is_given_to_what_serves_or_to_the_last_good_one(two):
    two.tree.at(CURRENT).unlink()
    assert settle_step.step(two.machine, None)["serving"] == "old"
    two.units.clear()
    two.tree.at(CURRENT).unlink()
    two.tree.at(CURRENT).symlink_to("releases/gone")
    assert settle_step.step(two.machine, None)["serving"] == "old"


def test_the_candidate_of_a_first_deploy_is_kept_when_there_is_nothing_else(host):
    host.release("first")
    start_step.step(host.machine, "first", handoff=False)
    assert settle_step.step(host.machine, None)["serving"] == "first"
    assert (host.current, record.read(host.tree, "first").verdict) == ("first", "good")


def test_a_host_without_any_release_says_so(host):
    with pytest.raises(Refused, match="no release on this host runs well"):
        settle_step.step(host.machine, None)


def test_a_socket_that_was_ended_by_hand_comes_back_with_the_current_release(two):
    two.socket = "inactive"
    assert settle_step.step(two.machine, None)["serving"] == "old"
    assert (two.socket, two.serving()) == ("active", ["old"])


def test_a_current_release_that_does_not_start_gives_way_to_the_last_good_one(two):
    two.units["old"] = "failed"
    two.broken = {"old"}
    assert settle_step.step(two.machine, None)["serving"] == "older"
    assert record.read(two.tree, "old").verdict == "good"


def test_the_way_back_is_to_what_served_before_also_where_a_rollback_made_it_serve(two):
    deployed(two, "new")
    assert rolled_back(two, to="old")["release"] == "old"
    two.release("newest")
    start_step.step(two.machine, "newest", handoff=False)
    switch_step.step(two.machine, "newest")
    assert rolled_back(two, bad="newest")["release"] == "old"


def test_a_release_that_ends_and_comes_back_looks_bad_though_callers_are_answered(two):
    start_step.step(two.machine, "new", handoff=False)
    switch_step.step(two.machine, "new")
    two.restarts = {"new": 2}
    with pytest.raises(Refused) as refused:
        look_step.step(two.machine, "new")
    assert refused.value.document["reason"].startswith("it ended by itself, and systemd had to start it again (2 x)")


@contextmanager
def answering(host, instance, answer=None):
    """Takes what is asked on a private socket, and says what it is told to: nothing at all by default."""
    place = host.tree.at(RUN) / instance
    place.mkdir(parents=True)
    done = threading.Event()

    def say():
        while not done.is_set():
            with suppress(TimeoutError), server.accept()[0] as caller:
                caller.recv(1 << 16)
                caller.sendall(answer())

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place / "http.sock"))
        server.listen()
        server.settimeout(0.05)
        saying = threading.Thread(target=say) if answer else None
        if saying:
            saying.start()
        try:
            yield
        finally:
            done.set()
            if saying:
                saying.join()


def test_a_release_that_answers_nobody_looks_bad_at_once_and_is_ended_by_the_rollback(two, monkeypatch):
    monkeypatch.setattr(looking, "DEAF_S", 0.1)
    monkeypatch.setattr(rollback_step, "DEAF_S", 0.1)
    start_step.step(two.machine, "new", handoff=False)
    switch_step.step(two.machine, "new")
    two.sessions = {"new"}
    with answering(two, "new"):
        with pytest.raises(Refused) as refused:
            look_step.step(two.machine, "new")
        rolled_back(two, bad="new")
    assert "answers nobody" in refused.value.document["reason"]
    assert two.units["new"] == "inactive"


@pytest.mark.parametrize(("draining", "left"), [(b"true", "deactivating"), (b"false", "inactive")])
def test_who_was_told_to_leave_and_goes_on_taking_callers_is_ended(two, draining, left):
    start_step.step(two.machine, "new", handoff=False)
    two.sessions = {"old"}
    switch_step.step(two.machine, "new")
    with answering(two, "old", lambda: SAYS % draining):
        prune_step.step(two.machine, 5)
    assert two.units["old"] == left


def test_who_has_not_heard_yet_that_it_is_to_leave_is_given_time(two):
    start_step.step(two.machine, "new", handoff=False)
    two.sessions = {"old"}
    switch_step.step(two.machine, "new")
    began, sleep = two.now, two.machine.sleep
    heard = threading.Event()

    def hears(seconds):
        sleep(seconds)
        if two.now - began > HEARS_AFTER_S:
            heard.set()

    with answering(two, "old", lambda: SAYS % (b"true" if heard.is_set() else b"false")):
        prune_step.step(replace(two.machine, sleep=hears), 5)
    assert two.units["old"] == "deactivating"
    assert HEARS_AFTER_S < two.now - began < prune_step.BEGINS_TO_LEAVE_WITHIN_S
