import pytest

from ops.host.preflight import MEGABYTE, Drift, Wish, verdict

SHA = "ab12cd3" * 5 + "00000"
WISH = Wish(sha=SHA, dirty=False, settings_sha256="s", lock_sha256="l", requires_python=">=3.11,<3.14")
NOW_S = 1_800_000_000.0


def a_release(name="20270115t080000.ab12cd3", **changed):
    return {
        "release": name,
        "sha": SHA,
        "dirty": False,
        "settings_sha256": "s",
        "lock_sha256": "l",
        "environment_ready": True,
        "state": "current",
    } | changed


def a_unit(release="20270115t080000.ab12cd3", **changed):
    return {"release": release, "active": "active", "memory_bytes": 200 * MEGABYTE, "state": {"sessions": 1}} | changed


def a_host(**changed):
    return {
        "python": "3.11.2",
        "clock": NOW_S,
        "current": "20270115t080000.ab12cd3",
        "releases": [a_release()],
        "units": [a_unit()],
        "socket": "active",
        "free_bytes": 5000 * MEGABYTE,
        "free_inodes": 1_000_000,
        "memory_available_bytes": 600 * MEGABYTE,
        "port_owner": "systemd",
    } | changed


NONE = Drift()
DIRTY = Wish(sha=SHA, dirty=True, settings_sha256="s", lock_sha256="l", requires_python="")
OTHER_LOCK = Wish(sha=SHA, dirty=False, settings_sha256="s", lock_sha256="another lock", requires_python="")


def judged(host, wish=WISH, drift=NONE, *, force=False):
    return verdict(wish, host, drift, clock_s=NOW_S, force=force)


def test_the_same_commit_with_the_same_settings_that_serves_is_up_to_date():
    assert judged(a_host()).up_to_date


@pytest.mark.parametrize(
    "host",
    [
        a_host(releases=[a_release(sha="0" * 40)]),
        a_host(releases=[a_release(settings_sha256="other")]),
        a_host(releases=[a_release(dirty=True)]),
        a_host(units=[a_unit(active="failed")]),
        a_host(units=[]),
        a_host(socket="failed"),
        a_host(current=None),
    ],
    ids=["other commit", "other settings", "dirty there", "failed", "not running", "socket dead", "nothing yet"],
)
def test_a_host_that_does_not_serve_the_very_same_is_deployed_to(host):
    decided = judged(host)
    assert not decided.up_to_date
    assert decided.refused == ()


def test_a_unit_that_differs_a_dirty_tree_and_force_are_deployed():
    assert not judged(a_host(), drift=Drift(["write a unit"])).up_to_date
    assert not judged(a_host(), DIRTY).up_to_date
    assert not judged(a_host(), force=True).up_to_date


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"free_bytes": 10 * MEGABYTE}, "10 MB of disk are free"),
        ({"free_inodes": 500}, "500 inodes are free"),
        ({"clock": NOW_S - 61}, "the clocks differ by 61 s"),
        ({"clock": NOW_S + 3600}, "the clocks differ by 3600 s"),
        ({"port_owner": "nginx (pid 12)"}, "the port is held by nginx (pid 12)"),
        ({"python": "3.10.12"}, "the host has Python 3.10.12, and the release wants >=3.11,<3.14"),
        ({"python": "3.14.0"}, "the host has Python 3.14.0"),
    ],
)
def test_a_host_that_cannot_take_it_is_refused_with_the_reason(changed, said):
    decided = judged(a_host(releases=[a_release(sha="0" * 40)], **changed))
    assert len(decided.refused) == 1
    assert said in decided.refused[0]


def test_every_reason_is_named_at_once():
    decided = judged(a_host(current=None, free_bytes=0, clock=0, port_owner="x", python="3.9.1"))
    assert len(decided.refused) == 4


def test_a_first_environment_needs_more_disk_than_one_that_is_there():
    host = a_host(free_bytes=500 * MEGABYTE, releases=[a_release(sha="0" * 40)])
    assert judged(host).refused == ()
    assert "900 MB are needed" in judged(host, OTHER_LOCK).refused[0]
    assert judged(a_host(releases=[a_release(lock_sha256="x")], current=None)).installs


def test_an_environment_that_is_half_made_does_not_count():
    assert judged(a_host(current=None, releases=[a_release(environment_ready=False)])).installs


@pytest.mark.parametrize(
    ("available_mb", "serving_mb", "mode"),
    [(600, 200, "overlap"), (230, 200, "overlap"), (229, 200, "hand-off"), (100, 200, "hand-off"), (350, 0, "overlap")],
)
def test_two_releases_run_at_once_only_where_there_is_memory_for_the_second(available_mb, serving_mb, mode):
    unit = a_unit(memory_bytes=serving_mb * MEGABYTE)
    decided = judged(a_host(units=[unit], memory_available_bytes=available_mb * MEGABYTE), force=True)
    assert decided.mode == mode
    assert f"{available_mb} MB are available" in decided.why_mode


def test_where_nothing_serves_there_is_nothing_to_hand_off():
    assert judged(a_host(current=None, units=[], memory_available_bytes=0)).mode == "overlap"


def test_a_socket_that_differs_is_left_to_bootstrap_which_says_that_nobody_is_served_meanwhile():
    decided = judged(a_host(), drift=Drift(socket=True))
    assert "fab bootstrap" in decided.refused[0]
