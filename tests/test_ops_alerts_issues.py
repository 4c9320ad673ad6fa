"""Alerts as GitHub issues, against a GitHub that is slow, limited, forgetful and raced for."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
import requests

from etl.store import Patience
from ops.alerts.decide import Thread
from ops.alerts.issues import END, IssuesChannel, block, thread_in, with_block
from ops.alerts.wire import Undelivered
from tests.github_stand_in import (
    REPOSITORY,
    TOKEN,
    GitHub,
    done_after,
    done_and_cut,
    done_and_lost,
    done_but,
    lost,
    refused,
)
from tests.made_incidents import alert, at, incident
from tests.patient import Time, direct

NOW = at(7)
DOWN = incident(6)
ENDED = incident(6, 7)
THREAD = Thread("github", "dashboard", "down")


@pytest.fixture
def github():
    stand_in = GitHub()
    yield stand_in
    stand_in.stop()
    assert stand_in.unexpected == []


def channel(github, **more):
    return IssuesChannel(github.api, REPOSITORY, TOKEN, **{"labels": ("uptime",), "new_session": direct, **more})


def tell(github, message, patience=None, **more):
    deadline = (patience or Time().patience()).begin()
    return channel(github, **more).send(message, deadline=deadline, now=NOW)


# --- the life of an issue


def test_an_incident_becomes_one_issue_with_its_label_its_figures_and_who_shall_care(github):
    note = tell(github, alert("opened", DOWN), assignees=("ann",))
    issue = github.issues[1]
    assert note == "#1"
    assert (issue["title"], issue["labels"], issue["state"]) == ("dashboard is down", ["uptime"], "open")
    assert issue["assignees"] == [{"login": "ann"}]
    assert thread_in(issue["body"], THREAD)
    assert "- first bad sample: 2026-11-22T06:00:00Z" in issue["body"]
    assert github.said(1) == []


def test_its_end_is_commented_its_figures_are_final_and_it_is_closed(github):
    note = tell(github, alert("opened", DOWN))
    assert tell(github, alert("closed", ENDED, memo=note)) == "#1"
    assert github.numbers("closed") == [1]
    assert "- lasted: for 30 min to 1 h 30 min" in github.issues[1]["body"]
    assert [comment.splitlines()[0] for comment in github.said(1)] == [
        "**dashboard is up again: from 2026-11-22T06:00:00Z for 30 min to 1 h 30 min.**"
    ]


def test_one_that_begins_again_soon_is_the_same_issue_opened_again_with_a_comment(github):
    note = tell(github, alert("opened", DOWN))
    note = tell(github, alert("closed", ENDED, memo=note))
    assert tell(github, alert("reopened", incident(12), memo=note)) == "#1"
    assert github.numbers("open") == [1]
    assert "first bad sample: 2026-11-22T12:00:00Z" in github.issues[1]["body"]
    assert [comment.split(" since")[0] for comment in github.said(1)][1:] == ["**dashboard is down again"]


def test_the_same_incident_told_again_after_its_end_is_opened_again_and_closed_again(github):
    note = tell(github, alert("opened", DOWN))
    for nth in (1, 2):
        note = tell(github, alert("closed", ENDED, memo=note, nth=nth))
        note = tell(github, alert("reopened", DOWN, memo=note, nth=nth))
        assert (note, github.numbers("open")) == ("#1", [1])
    assert len(github.said(1)) == 4


def test_one_that_is_to_be_opened_again_and_was_deleted_is_made_anew(github):
    note = tell(github, alert("opened", DOWN))
    github.issues[1] |= {"state": "closed", "body": "deleted"}
    assert tell(github, alert("reopened", incident(12), memo=note)) == "#2"
    assert tell(github, alert("reopened", incident(20), memo="#77")) == "#2"


def test_what_came_and_went_untold_is_an_issue_that_is_closed_at_once(github):
    assert tell(github, alert("passed", ENDED)) == "#1"
    assert github.numbers("closed") == [1]
    assert "dashboard was down and is up again" in github.issues[1]["body"]


def test_while_it_lasts_the_body_is_brought_up_to_date_without_a_comment(github):
    note = tell(github, alert("opened", DOWN))
    tell(github, alert("reminder", incident(6, last_bad=30), memo=note))
    assert "last bad sample: 2026-11-23T06:00:00Z" in github.issues[1]["body"]
    assert github.said(1) == []


def test_an_issue_that_a_person_closed_stays_closed_until_the_incident_ends(github):
    note = tell(github, alert("opened", DOWN))
    github.issues[1] |= {"state": "closed", "state_reason": "not_planned"}
    body = github.issues[1]["body"]
    note = tell(github, alert("reminder", incident(6, last_bad=30), memo=note))
    assert (github.numbers("open"), github.issues[1]["body"]) == ([], body)
    assert tell(github, alert("closed", ENDED, memo=note)) == "#1"
    assert (github.issues[1]["state"], github.issues[1]["state_reason"]) == ("closed", "not_planned")
    assert len(github.said(1)) == 1


def test_an_end_without_an_issue_makes_none(github):
    assert tell(github, alert("closed", ENDED, memo="#5")) == "no issue is left"
    assert github.issues == {}


def test_what_people_wrote_around_our_part_stays(github):
    note = tell(github, alert("opened", DOWN))
    github.issues[1]["body"] = f"Ann looks at it.\r\n{github.issues[1]['body']}\r\nSee the wiki."
    tell(github, alert("closed", ENDED, memo=note))
    body = github.issues[1]["body"]
    assert (body.splitlines()[0], body.splitlines()[-1]) == ("Ann looks at it.", "See the wiki.")
    assert "first good sample after: 2026-11-22T07:00:00Z" in body
    assert body.count(END) == 1


def test_a_body_from_which_our_marks_were_taken_is_left_alone():
    assert with_block("Ann's own words", block(alert("closed", ENDED))) == "Ann's own words"


def test_a_backslash_in_what_is_told_is_one():
    ours = block(alert("closed", incident(6, 7, detail=r"C:\1 \g<0>")))
    assert with_block(block(alert("opened", DOWN)), ours) == ours


# --- finding it


def test_an_open_issue_is_found_wherever_in_the_list_it_stands(github):
    tell(github, alert("opened", DOWN))
    for _ in range(7):
        github.add("another", labels=["uptime"])
    github.page_size = 2
    assert tell(github, alert("opened", DOWN)) == "#1"
    assert len(github.issues) == 8
    assert sum(asked.query.get("page") == "4" for asked in github.asked) >= 1


@pytest.mark.parametrize(
    "other",
    [
        {"target": "dashboard", "kind": "stale"},
        {"target": "dashboard2", "kind": "down"},
        {"target": "dash", "kind": "down"},
    ],
)
def test_issues_of_others_are_not_ours(github, other):
    tell(github, alert("opened", DOWN, **other))
    tell(github, alert("opened", DOWN))
    assert github.numbers("open") == [1, 2]
    tell(github, alert("closed", ENDED))
    assert github.numbers("open") == [1]


def test_a_pull_request_is_no_issue(github):
    github.add(block(alert("opened", DOWN)), labels=["uptime"], pull_request={"url": "x"})
    assert tell(github, alert("opened", DOWN)) == "#2"


def test_words_from_a_page_cannot_pass_for_our_mark(github):
    evil = incident(6, detail="x\n<!-- kpi-ops alert: other/down -->\n")
    tell(github, alert("opened", evil))
    assert tell(github, alert("opened", DOWN, target="other")) == "#2"


def test_an_issue_without_its_label_is_found_by_what_was_noted(github):
    note = tell(github, alert("opened", DOWN))
    github.issues[1]["labels"] = []
    tell(github, alert("reminder", incident(6, last_bad=30), memo=note))
    assert "last bad sample: 2026-11-23T06:00:00Z" in github.issues[1]["body"]
    tell(github, alert("closed", ENDED, memo=note))
    assert tell(github, alert("reopened", incident(12), memo=note)) == "#1"


def test_without_labels_all_open_issues_are_looked_through(github):
    github.add("another")
    tell(github, alert("opened", DOWN), labels=())
    assert tell(github, alert("opened", DOWN), labels=()) == "#2"
    assert github.numbers("open") == [1, 2]


def test_a_list_that_is_older_than_the_closing_opens_nothing_closed(github):
    note = tell(github, alert("opened", DOWN))
    github.stale = 1
    tell(github, alert("closed", ENDED, memo=note))
    github.snapshot[0]["state"] = "open"
    github.stale = 2
    assert tell(github, alert("opened", incident(50))) == "#2"
    assert (github.numbers("closed"), github.numbers("open")) == ([1], [2])


# --- what GitHub refuses


@pytest.mark.parametrize("assignees", [("mallory",), ("mallory", "ann")])
def test_an_assignee_that_github_refuses_does_not_lose_the_issue(github, assignees):
    note = tell(github, alert("opened", DOWN), assignees=assignees)
    refused_all = ", assigned to nobody: assignees of issue 1: answered 422"
    assert note == ("#1" if "ann" in assignees else f"#1{refused_all}")
    assert tell(github, alert("reminder", incident(6, last_bad=30), memo=note)) == "#1"
    assert [person["login"] for person in github.issues[1]["assignees"]] == [a for a in assignees if a == "ann"]


def test_who_cares_for_an_issue_by_now_is_left_to_people(github):
    note = tell(github, alert("opened", DOWN), assignees=("ann",))
    github.issues[1]["assignees"] = [{"login": "bob"}]
    tell(github, alert("reopened", incident(12), memo=note), assignees=("ann",))
    assert github.issues[1]["assignees"] == [{"login": "bob"}]


def test_a_label_that_github_refuses_does_not_lose_the_issue(github):
    note = tell(github, alert("opened", DOWN), labels=("x" * 51,))
    assert note == "#1"
    assert tell(github, alert("closed", ENDED, memo=note), labels=("x" * 51,)) == "#1"


@pytest.mark.parametrize(
    ("status", "said"), [(401, "answered 401"), (403, "answered 403"), (404, "answered 404"), (410, "answered 410"),
                         (301, "answered 301")]
)  # fmt: skip
def test_a_refusal_is_not_asked_for_again_and_ends_all_that_was_to_be_told(github, status, said):
    github.faults = [("GET issues", refused(status, Location="https://elsewhere.example/"))]
    with pytest.raises(Undelivered, match=said) as caught:
        tell(github, alert("opened", DOWN))
    assert caught.value.hopeless
    assert github.whats == ["GET issues"]


def test_a_refused_message_does_not_end_the_others(github):
    github.faults = [("POST issues", refused(422))] * 2
    with pytest.raises(Undelivered, match="a new issue: answered 422") as caught:
        tell(github, alert("opened", DOWN))
    assert not caught.value.hopeless


@pytest.mark.parametrize("answer", [b"<html>maintenance</html>", {"message": "ok"}, [1], [{"number": "x"}], [{}]])
def test_an_answer_that_is_no_list_of_issues_is_a_failure_and_not_an_empty_list(github, answer):
    github.faults = [("GET issues", refused(200, answer))] * 4
    with pytest.raises(Undelivered):
        tell(github, alert("opened", DOWN))
    assert "POST issues" not in github.whats


def test_the_token_goes_to_no_other_host(github):
    github.faults = [("GET issues", refused(200, b"[]", Link='<http://127.0.0.2:1/x>; rel="next"'))]
    with pytest.raises(Undelivered, match="goes on elsewhere"):
        tell(github, alert("opened", DOWN))


def test_a_list_without_end_ends(github):
    endless = refused(200, b"[]", Link=f'<{github.api}/repos/{REPOSITORY}/issues?page=2>; rel="next"')
    github.faults = [("GET issues", endless)] * 60
    with pytest.raises(Undelivered, match="without end"):
        tell(github, alert("opened", DOWN))
    assert len(github.asked) < 60


def test_a_netrc_does_not_take_the_place_of_the_token(github, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert tell(github, alert("opened", DOWN), new_session=requests.Session) == "#1"


# --- limits


@pytest.mark.parametrize(
    ("fault", "least_s"),
    [
        pytest.param(
            refused(403, {"message": "You have exceeded a secondary rate limit"}, Retry_After="7"), 7, id="7s"
        ),
        pytest.param(refused(429, Retry_After="Sun, 22 Nov 2026 07:00:20 GMT"), 19, id="a date"),
        pytest.param(
            refused(403, X_RateLimit_Remaining="0", X_RateLimit_Reset=str(int(NOW.timestamp()) + 30)), 29, id="primary"
        ),
        pytest.param(refused(503, Retry_After="5"), 5, id="busy"),
    ],
)
@pytest.mark.parametrize("what", ["GET issues", "POST issues"])
def test_a_limit_is_waited_for_as_long_as_github_asks(github, fault, least_s, what):
    clock = Time()
    github.faults = [(what, fault)]
    assert tell(github, alert("opened", DOWN), clock.patience()) == "#1"
    assert least_s <= max(clock.slept) <= least_s + 2.5
    assert github.numbers("open") == [1]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refused(403, X_RateLimit_Remaining="0", X_RateLimit_Reset="99999999999"), id="primary"),
        pytest.param(refused(403, {"message": "You have exceeded a secondary rate limit."}), id="a minute, unsaid"),
        pytest.param(refused(429), id="429 without a word"),
        pytest.param(refused(429, Retry_After="3600"), id="an hour"),
        pytest.param(refused(429, Retry_After="soon"), id="no number"),
    ],
)
def test_a_limit_beyond_the_deadline_is_not_waited_for_and_nothing_more_is_asked(github, fault):
    clock = Time()
    github.faults = [("GET issues", fault)]
    with pytest.raises(Undelivered, match="rate limited") as caught:
        tell(github, alert("opened", DOWN), clock.patience())
    assert (caught.value.hopeless, github.whats, clock.slept) == (True, ["GET issues"], [])


def test_a_server_that_hangs_is_left_at_the_deadline(github):
    github.faults = [("GET issues", done_after(5))]
    began = time.monotonic()
    with pytest.raises(Undelivered, match="no answer in time"):
        tell(github, alert("opened", DOWN), Patience(4, 0.5, lambda _: None))
    assert time.monotonic() - began < 4


# --- faults at every request

FAULTS = {
    "502": refused(502),
    "502 after it was done": done_but(502),
    "lost": lost,
    "done and lost": done_and_lost,
    "done and cut off": done_and_cut,
    "secondary limit": refused(403, {"message": "secondary rate limit"}, Retry_After="3"),
    "slow": done_after(0.05),
}


def whole_life(github) -> Sequence[str]:
    note = tell(github, alert("opened", DOWN), assignees=("ann",))
    note = tell(github, alert("closed", ENDED, memo=note))
    note = tell(github, alert("reopened", incident(12), memo=note))
    return tell(github, alert("closed", incident(12, 13), memo=note, nth=1))


def requests_of_a_whole_life():
    github = GitHub()
    whole_life(github)
    github.stop()
    return len(github.asked)


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_at_any_request_leaves_one_issue_and_each_comment_once(fault):
    for place in range(requests_of_a_whole_life()):
        github = GitHub()
        github.faults = [(".*", done_after(0))] * place + [(".*", FAULTS[fault])]
        note = whole_life(github)
        github.stop()
        assert (note, list(github.issues), github.numbers("closed")) == ("#1", [1], [1]), place
        assert [said.split(" since")[0].split(": ")[0] for said in github.said(1)] == [
            "**dashboard is up again",
            "**dashboard is down again",
            "**dashboard is up again",
        ], place
        assert github.issues[1]["assignees"] == [{"login": "ann"}], place


@pytest.mark.parametrize("fault", ["502 after it was done", "done and lost", "502"])
def test_a_run_that_gives_up_anywhere_leaves_what_the_next_one_finishes(fault):
    """Told until it works, as the ledger has it: an attempt that failed is made again by the next run."""
    for place in range(requests_of_a_whole_life()):
        github = GitHub()
        github.faults = [(".*", done_after(0))] * place + [(".*", FAULTS[fault])] * 5
        note = ""
        for message in (alert("opened", DOWN), alert("closed", ENDED)):
            for _ in range(8):
                try:
                    note = tell(github, replace(message, memo=note), Time().patience(attempts=1))
                    break
                except Undelivered:
                    continue
        github.stop()
        assert (list(github.issues), github.numbers("closed"), len(github.said(1))) == ([1], [1], 1), place


# --- races


@pytest.mark.parametrize("runs", [2, 3])
def test_runs_that_find_nothing_and_all_create_end_with_exactly_one_open_issue(github, runs):
    together = threading.Barrier(runs, timeout=20)

    def creating(exchange):
        together.wait()
        status, content, _ = exchange.do()
        exchange.answer(status, content)

    github.faults = [("POST issues", creating)] * runs
    notes = []
    threads = [threading.Thread(target=lambda: notes.append(tell(github, alert("opened", DOWN)))) for _ in range(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert github.numbers("open") == [1]
    assert notes == ["#1"] * runs
    for twin in github.numbers("closed"):
        assert github.said(twin)[0].startswith("#1 is about the same and was here before.")


def test_a_twin_that_no_list_showed_in_time_is_closed_at_the_next_telling(github):
    tell(github, alert("opened", DOWN))
    github.stale, github.snapshot = 9, []
    note = tell(github, alert("opened", DOWN))
    assert github.numbers("open") == [1, 2]
    github.stale = 0
    tell(github, alert("reminder", incident(6, last_bad=30), memo=note))
    assert github.numbers("open") == [1]
    tell(github, alert("closed", ENDED, memo=note))
    assert github.numbers("open") == []


def test_many_runs_at_once_through_a_whole_life_leave_nothing_open(github):
    def life():
        whole_life(github)

    threads = [threading.Thread(target=life) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    note = tell(github, alert("opened", incident(20)))
    assert github.numbers("open") == [int(note[1:])]
