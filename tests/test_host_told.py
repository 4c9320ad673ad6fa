import pytest

from ops.host import told
from ops.host.preflight import Verdict

RELEASE = {"release": "r1", "sha": "ab12cd34", "who": "ann@desk", "made_at": "2026-11-20T08:00:00Z"}
HOST = {"current": "r1", "previous": "r0", "releases": [RELEASE], "units": []}


def test_what_serves_is_named_with_its_commit_and_maker():
    assert told.serving(HOST) == "r1 (commit ab12cd3, by ann@desk, made 2026-11-20T08:00:00Z)"
    assert told.serving(HOST | {"current": None}) == "nothing"


def test_the_end_of_a_deploy_counts_who_is_left_and_says_how_to_go_back():
    units = [
        {"release": "r1", "state": {"sessions": 9}},
        {"release": "r0", "state": {"sessions": 2}},
        {"release": "r0", "state": None},
    ]
    text = told.served(HOST | {"units": units}, 15)
    assert "sessions left on older releases: 2, for 15 minutes at most" in text
    assert "fab rollback   (to r0)" in text
    assert "older releases: 0" in told.served(HOST | {"previous": None}, 15)


@pytest.mark.parametrize("hostile", ["\x1b[31mred", "two\nlines", "\x07" * 9, "x" * 10_000])
def test_words_of_the_host_cannot_play_with_the_terminal(hostile):
    said = {"reason": [hostile], "file": hostile, "line": 1, "serving": "r1"}
    for text in (told.refused_by_host(said), told.locked({"who": hostile}), told.not_back({"reason": hostile})):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert all(len(line) < 500 for line in text.splitlines())


def test_a_refusal_without_a_reason_says_so():
    assert "it gave no reason" in told.refused_by_host({})
    assert "it gave no reason" in told.not_back({})


def test_a_hand_off_is_told_as_what_it_costs():
    assert "sessions are cut" in told.how(Verdict(mode="hand-off", why_mode="50 MB are available"))
    assert "beside the old release" in told.how(Verdict(mode="overlap", why_mode="x"))
