from datetime import UTC, datetime

import pytest

from ops.host.releases import as_json, as_text, releases
from tests.made_host import CLOCK_S, CURRENT, OLDER, made_host, made_release, made_unit

NOW = datetime.fromtimestamp(CLOCK_S, UTC)


def listed(*made, units=()):
    return releases(made_host(releases=list(made), units=list(units)))


def lines(*made, units=()):
    return as_text(listed(*made, units=units), NOW).splitlines()


def test_the_newest_is_first_and_each_has_what_became_of_it():
    bad = made_release(
        "20261124t090000.0bad000", state="bad", reason="RuntimeError: no\n  at line 3", ref="topic", bytes=0
    )
    assert lines(made_release(OLDER), made_release(), bad, units=[made_unit()]) == [
        "release                  commit   ref    age          by           size    state",
        "20261125t080000.ab12cd3  ab12cd3  main   1 h 35 min   jane@laptop  1.5 MB  serves, 3 sessions",
        "20261124t090000.0bad000  0bad000  topic  25 h 35 min  jane@laptop  0.0 MB  bad: RuntimeError: no",
        "20261124t080000.99fe001  99fe001  main   25 h 35 min  jane@laptop  1.5 MB  good",
    ]


@pytest.mark.parametrize(
    ("changed", "units", "told"),
    [
        ({"state": "draining"}, [made_unit(OLDER, state={"sessions": 1})], "drains, 1 session"),
        ({"state": "draining"}, [made_unit(OLDER), made_unit(OLDER, alias="again")], "drains, 6 sessions"),
        ({"state": "draining"}, [made_unit(OLDER, state=None)], "drains"),
        ({"state": "candidate"}, [], "starts"),
        ({"state": "arrived"}, [], "arrived"),
        ({"state": "arrived", "dirty": True}, [], "arrived (not committed)"),
        ({"state": "bad"}, [], "bad"),
    ],
)
def test_a_state_is_told_in_words(changed, units, told):
    assert lines(made_release(OLDER, **changed), units=units)[1].endswith(f"MB  {told}")


def test_a_release_whose_manifest_is_damaged_is_listed_all_the_same():
    damaged = made_release(OLDER, sha="", ref="", made_at="", who="")
    assert lines(damaged)[1] == "20261124t080000.99fe001  ?       ?    ?    ?   1.5 MB  good"


def test_without_releases_it_says_so():
    assert lines() == ["no release is on the host"]


def test_words_of_the_host_stay_on_their_line():
    assert len(lines(made_release(who="\x1b[2J\nroot", ref="a\nb", state="bad", reason="\x1b[2J"))) == 2


def test_the_json_has_whole_values():
    (document,) = as_json(listed(made_release(), units=[made_unit()]))
    assert (document["release"], document["sessions"], document["state"]) == (CURRENT, 3, "current")
    assert document["sha"] == "ab12cd3" + "0" * 33
