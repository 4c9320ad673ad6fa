import json
from datetime import UTC, datetime

import pytest

from etl.errors import ExitCode
from ops.host.status import as_json, as_text, status
from tests.made_host import CLOCK_S, CURRENT, MEGABYTE, OLDER, made_host, made_release, made_unit

NOW = datetime.fromtimestamp(CLOCK_S, UTC)
WHERE = "ubuntu@shop.example.org"


def judged(differing=(), **changed):
    return status(made_host(**changed), WHERE, differing, NOW)


def test_a_host_that_is_well_is_shown_line_by_line():
    seen = judged()
    assert seen.exit_code == ExitCode.GOOD
    assert as_text(seen, NOW).splitlines() == [
        f"well: {WHERE}, at 2026-11-25T09:35:00Z",
        f"serves     {CURRENT} (commit ab12cd3, main) for 1 h 35 min, since 2026-11-25T08:00:00Z, by jane@laptop",
        "sessions   3",
        "page       runs in 412 ms",
        "data       run 20261125T043000Z-1a2b3c, made 5 h ago",
        "memory     210 MB by the release, 430 MB available, 1,000 MB of swap free",
        "disk       5,000 MB free",
        "lock       free",
        f"way back   fab rollback   (to {OLDER})",
    ]


WRONG = {
    "no release": ({"current": None, "units": []}, "no release serves"),
    "it does not run": ({"units": []}, f"{CURRENT}, which should serve, does not run"),
    "it failed": ({"units": [made_unit(active="failed")]}, "does not run"),
    "it starts": ({"units": [made_unit(active="activating", state=None)]}, "is not serving yet: it is activating"),
    "it is silent": ({"units": [made_unit(state=None)]}, "runs, and does not answer"),
    "the page is wrong": (
        {"units": [made_unit(state={"problem": "KeyError: 'revenue'"})]},
        "the page is wrong: KeyError: 'revenue'",
    ),
    "a script raised": (
        {"units": [made_unit(state={"last_script_error": "ZeroDivisionError", "ready": False})]},
        "the page is wrong: ZeroDivisionError",
    ),
    "it is not ready": ({"units": [made_unit(state={"ready": False})]}, "the page is not ready"),
    "the socket is dead": ({"socket": "failed"}, "kpi-dashboard.socket, which holds the port, is failed"),
    "a stranger has the port": ({"port_owner": "nginx (pid 7)"}, "the port is held by nginx (pid 7)"),
    "the disk": ({"free_bytes": 299 * MEGABYTE}, "the disk is nearly full: 299 MB are free"),
    "inodes": ({"free_inodes": 1_999}, "1,999 inodes left"),
    "memory": (
        {"memory_available_bytes": 60 * MEGABYTE, "swap_free_bytes": 39 * MEGABYTE},
        "memory is nearly used up: 99 MB are left",
    ),
    "the clock": ({"clock": CLOCK_S - 61}, "the clocks here and there differ by 1 min 1 s"),
}


@pytest.mark.parametrize(("changed", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_comes_first_and_is_a_failed_check(changed, told):
    seen = judged(**changed)
    assert seen.exit_code == ExitCode.CHECK_FAILED
    assert len(seen.problems) == 1
    headline, first = as_text(seen, NOW).splitlines()[:2]
    assert headline.startswith("1 thing is wrong: ")
    assert first.startswith("wrong      ")
    assert told in first


@pytest.mark.parametrize(
    "changed",
    [
        {"free_bytes": 300 * MEGABYTE},
        {"free_inodes": -1},
        {"memory_available_bytes": -1, "swap_free_bytes": -1},
        {"memory_available_bytes": 60 * MEGABYTE, "swap_free_bytes": 40 * MEGABYTE},
        {"memory_available_bytes": 100 * MEGABYTE, "swap_free_bytes": -1},
        {"port_owner": None},
        {"clock": CLOCK_S + 60},
        {"units": [made_unit(), made_unit(OLDER)]},
        {"previous": None},
    ],
)
def test_the_edge_of_what_is_wrong_is_not_wrong(changed):
    assert judged(**changed).problems == ()


def test_a_unit_that_is_not_as_the_settings_say_is_wrong():
    seen = judged(differing=["/etc/systemd/system/kpi-dashboard.socket"])
    assert "kpi-dashboard.socket is not as the settings say" in seen.problems[0]
    assert seen.exit_code == ExitCode.CHECK_FAILED


def test_several_problems_are_counted():
    assert as_text(judged(socket="failed", free_bytes=0), NOW).startswith("2 things are wrong: ")


def test_sessions_on_older_releases_are_shown_with_theirs():
    again = made_unit(OLDER, state={"sessions": 1}, alias=f"{OLDER}.17")
    text = as_text(judged(units=[made_unit(), made_unit(OLDER, state={"sessions": 2}), again]), NOW)
    assert f"sessions   3; 3 left on {OLDER}" in text


def deploys():
    return [
        {"at": "2026-11-25T08:01:00Z", "who": "jane@laptop", "what": "switch", "from": OLDER, "to": CURRENT},
        {"at": "2026-11-25T08:02:00Z", "who": "jane@laptop", "what": "confirm", "from": CURRENT, "to": CURRENT},
        {
            "at": "2026-11-25T09:00:00Z",
            "who": "joe@desk",
            "what": "rollback",
            "from": CURRENT,
            "to": OLDER,
            "reason": "slow\nvery",
        },
        {"at": "2026-11-25T09:20:00Z", "who": "jim@tower", "what": "switch", "from": OLDER, "to": CURRENT},
        {"at": "2026-11-25T09:21:00Z", "who": "jim@tower", "what": "confirm", "from": CURRENT, "to": CURRENT},
        {
            "at": "2026-11-25T09:30:00Z",
            "who": "joe@desk",
            "what": "start",
            "from": CURRENT,
            "to": "x",
            "outcome": "refused",
        },
    ]


def test_it_serves_since_it_was_switched_to_and_by_whoever_did_it():
    seen = judged(deploys=deploys())
    assert (seen.since, seen.by) == ("2026-11-25T09:20:00Z", "jim@tower")
    assert "for 15 min, since 2026-11-25T09:20:00Z, by jim@tower" in as_text(seen, NOW)


def test_the_last_deploys_are_shown_newest_first():
    lines = [line for line in as_text(judged(deploys=deploys()), NOW).splitlines() if line.startswith("deploys")]
    assert len(lines) == 5
    assert lines[0] == "deploys    2026-11-25T09:30:00Z start x, refused, by joe@desk"
    assert lines[3] == f"deploys    2026-11-25T09:00:00Z rollback {OLDER}, ?, by joe@desk: slow"


def test_who_deploys_and_when_the_host_settles_are_shown():
    lock = {"who": "jane@laptop", "commit": "ab12cd3", "since": "2026-11-25T09:34:00Z"}
    text = as_text(judged(lock=lock, settle_at=CLOCK_S + 60), NOW)
    assert "lock       held by jane@laptop since 2026-11-25T09:34:00Z, deploying ab12cd3" in text
    assert "settles    at 2026-11-25T09:36:00Z" in text


def test_what_is_not_known_is_said_to_be():
    unit = made_unit(state={"page_ms": None, "run_id": None, "data_age_s": None}, memory_bytes=None)
    text = as_text(judged(units=[unit], memory_available_bytes=-1, swap_free_bytes=-1, free_bytes=-1), NOW)
    assert "page       not known" in text
    assert "data       none is shown" in text
    assert "memory     an unknown amount available" in text
    assert "disk       an unknown amount free" in text


def test_words_of_the_host_stay_on_their_line_and_do_nothing_to_the_terminal():
    nasty = "\x1b[2Jred\nwell: all"
    seen = judged(
        releases=[made_release(ref=nasty, who=nasty)],
        units=[made_unit(state={"problem": nasty, "run_id": nasty})],
        lock={"who": nasty, "commit": nasty, "since": nasty},
        deploys=[{"at": nasty, "what": nasty, "who": nasty, "to": nasty, "reason": nasty}],
        port_owner=nasty,
    )
    lines = as_text(seen, NOW).splitlines()
    assert not any("\x1b" in line for line in lines)
    assert [line for line in lines if line.startswith("well")] == []


def test_the_json_is_one_document_with_all_of_it():
    document = json.loads(as_json(judged(socket="failed", deploys=deploys(), units=[made_unit(), made_unit(OLDER)])))
    assert document["exit_code"] == 1
    assert document["problems"] == [
        "kpi-dashboard.socket, which holds the port, is failed: `fab deploy --force` mends it"
    ]
    assert (document["release"], document["previous"], document["by"]) == (CURRENT, OLDER, "jim@tower")
    assert document["older_sessions"] == {OLDER: 3}
    assert len(document["deploys"]) == 5
