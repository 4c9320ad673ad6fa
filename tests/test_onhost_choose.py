"""Which release is gone back to, what each is called, and what may be removed: tables without a host."""

import pytest

from ops.onhost.choose import good, obstacle, ways_back, ways_out
from ops.onhost.inventory import UNKNOWN, Inventory, Known, version
from ops.onhost.keep import doomed
from ops.onhost.record import Record
from ops.onhost.room import fits
from ops.onhost.settle_plan import adoptable, strays
from ops.onhost.states import running, state
from ops.onhost.units import Units, parse


def known(release, verdict="good", *, served_at=None, contract=1, ready=True, environment="k"):
    record = Record(arrived_at=ord(release[0]), served_at=served_at, verdict=verdict)
    return Known(release, {**UNKNOWN, "contract": contract}, record, environment, ready)


def lying(*releases, current=None, aliases=None):
    return Inventory(releases, aliases or {}, current)


def running_units(**states):
    blocks = [
        f"Id=kpi-dashboard@{name.replace('_', '.')}.service\nActiveState={active}\nSubState=x"
        for name, active in states.items()
    ]
    return parse("\n\n".join(blocks))


A, B, C = (known(name, served_at=at) for name, at in (("a", 1), ("b", 2), ("c", 3)))


@pytest.mark.parametrize(
    ("found", "back", "out"),
    [
        (lying(A, B, C, current="c"), ["b", "a"], ["b", "a"]),
        (lying(A, B, C, current="b"), ["a"], ["a", "c"]),
        (lying(A, B, C, current="a"), [], ["c", "b"]),
        (lying(A, B, C), ["c", "b", "a"], ["c", "b", "a"]),
        (lying(A, known("b", "bad", served_at=2), C, current="c"), ["a"], ["a"]),
        (lying(A, known("b", None, served_at=2), C, current="c"), ["a"], ["a"]),
        (lying(A, known("b", served_at=2, ready=False), C, current="c"), ["a"], ["a"]),
        (lying(known("a", served_at=9), B, C, current="a"), ["c", "b"], ["c", "b"]),  # deployed again
        (lying(A, B, C, current="c.5", aliases={"c.5": "c"}), ["b", "a"], ["b", "a"]),
        (lying(), [], []),
    ],
)
def test_the_way_back_is_through_good_releases_in_the_order_of_their_deploys(found, back, out):
    assert (ways_back(found), ways_out(found)) == (back, out)


def test_good_releases_are_listed_newest_last_whatever_is_current():
    assert good(lying(C, A, known("x", "bad"), B, current="a")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("published", "reads", "allowed"),
    [
        (1, 1, True),
        (2, 1, False),
        ("1.10", "1.9", False),
        ("1.9", "1.10", True),
        (None, 1, True),  # nobody serves who could say
        (3, 0, False),
        (3, "", True),  # a release.json that does not say
    ],
)
def test_a_release_that_cannot_read_what_is_published_is_not_gone_back_to(published, reads, allowed):
    found = lying(known("a", served_at=1, contract=reads), B, current="b")
    assert (ways_back(found, published) == ["a"]) is allowed


def test_an_obstacle_names_the_versions_of_both_contracts():
    assert obstacle(known("a", contract=1), 2) == ("a reads snapshots up to contract 1, and the published one is of 2")
    assert version("1.10") > version("1.9") > version(1)


@pytest.mark.parametrize(
    ("release", "called"),
    [("a", "draining"), ("b", "current"), ("c", "candidate"), ("d", "bad"), ("e", "arrived"), ("f", "good")],
)
def test_what_runs_comes_before_what_was_said_of_a_release(release, called):
    found = lying(*(known(name) for name in "abc"), known("d", "bad"), known("e", None), known("f"), current="b")
    units = running_units(a="deactivating", b="active", c="activating", f="inactive")
    assert state(found.known(release), found, units) == called


def test_of_two_instances_of_a_release_the_current_one_is_meant():
    found = lying(A, current="a.9", aliases={"a.9": "a"})
    assert running("a", found, running_units(a="active", a_9="active")) == "a.9"
    assert running("a", found, running_units(a="active", a_9="deactivating")) == "a"
    assert running("a", found, running_units(a="activating")) is None


def test_what_serves_and_should_not_drains_and_what_starts_is_ended():
    found = strays(running_units(a="active", b="active", c="activating", d="deactivating", e="failed"), "a")
    assert (found.drain, found.end) == (["b"], ["c"])


@pytest.mark.parametrize(
    ("releases", "units", "adopted"),
    [
        ([known("a", None)], {"a": "active"}, "a"),
        ([known("a"), known("b", None)], {"a": "active", "b": "active"}, "a"),
        ([known("a", "bad")], {"a": "active"}, None),
        ([known("a")], {"a": "activating"}, None),
        ([], {"a": "active"}, None),
    ],
)
def test_without_a_current_release_the_best_that_serves_is_adopted(releases, units, adopted):
    assert adoptable(lying(*releases), running_units(**units)) == adopted


def test_never_removed_are_what_serves_what_runs_and_where_a_rollback_would_go():
    many = [known(name, served_at=at) for at, name in enumerate("abcdef")]
    gone = doomed(lying(*many, current="c"), {"a"}, [], 1)
    assert gone.releases == ("d", "e")  # f is the newest, c serves, b is its way back, a drains


def test_a_failed_deploy_takes_no_good_releases_place_and_only_the_newest_is_kept():
    releases = [known("x", "bad"), known("y", None), A, B, known("z", "bad", served_at=9)]
    assert doomed(lying(*releases, current="b"), set(), [], 2).releases == ("x", "y")


def test_environments_go_with_their_last_release_and_aliases_with_their_unit():
    releases = [known("a", environment="one"), known("b", served_at=5, environment="two")]
    found = lying(*releases, current="b.1", aliases={"b.1": "b", "a.1": "a", "a.2": "a"})
    gone = doomed(found, {"a.2"}, ["one", "two", "half"], 2)
    assert (gone.environments, gone.aliases) == (("half",), ("a.1",))


@pytest.mark.parametrize(
    ("available", "taken", "fit"), [(120, 100, True), (110, 100, False), (None, 100, True), (1, None, True)]
)
def test_two_releases_run_beside_each_other_where_there_is_memory_for_both(available, taken, fit):
    memory = {} if available is None else {"MemAvailable": available}
    assert fits(memory, taken) is fit


def test_systemd_without_units_is_a_host_without_releases():
    assert parse("") == Units([], "unknown", ())
