"""The record on a branch: nobody's line is lost, nobody's stands twice, and a person's work is left alone."""

import random
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest

from ops.uptime.storage.commit import TRIES, Refused, message_of, push
from ops.uptime.storage.git import BOT_NAME, Done, Git, GitFailed, runner, shown
from ops.uptime.storage.idle import Activity, activity, activity_of, idle_line
from ops.uptime.storage.union import missing, united
from tests.git_places import (
    ENVIRON,
    FIRST_LINES,
    MONTH,
    OURS,
    clone_of,
    git,
    git_in,
    lines_at,
    make_places,
    names_in,
    person_pushes,
    record,
    reporter,
    write,
)

PUSHERS = 8
MESSAGE = message_of({"dashboard": "up"})


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    return make_places(tmp_path_factory.mktemp("seeded"))


@pytest.fixture
def remote(seeded, tmp_path):
    return shutil.copytree(seeded / "remote.git", tmp_path / "remote.git", symlinks=True)


@pytest.fixture
def clone(seeded, remote):
    return shutil.copytree(seeded / "clone", remote.with_name("clone"), symlinks=True)


def pushed(clone, run=None, slept=None, **more):
    slept = [] if slept is None else slept
    arguments = {"rewrite": reporter(clone), "message": MESSAGE, "sleep": slept.append, "random": random.random}
    return push(git_in(clone, run), OURS, **(arguments | more))


def everything(clone):
    """What a person would miss: commits, index, files."""
    files = {name: (clone / name).read_bytes() for name in names_in(clone)}
    return git(clone, "rev-parse", "HEAD"), git(clone, "status", "--porcelain"), files


# --- one pusher


def test_a_line_goes_to_the_branch_with_the_report_in_a_commit_of_the_bot(remote, clone):
    record(clone, b"new")
    done = pushed(clone)
    assert (done.lines, done.tries) == (1, 1)
    assert lines_at(remote) == [*FIRST_LINES.split(), b"new"]
    assert git(remote, "show", "main:uptime.md").startswith("3 lines")
    assert git(remote, "show", "main:uptime/badge.svg") == "<svg>3</svg>"
    assert git(remote, "log", "-1", "--format=%an|%cn|%s", "main") == f"{BOT_NAME}|{BOT_NAME}|uptime: dashboard up"
    assert git(clone, "rev-parse", "HEAD") == git(remote, "rev-parse", "main") == done.commit
    assert git(clone, "status", "--porcelain") == ""


def test_only_the_record_and_what_is_made_of_it_goes_along(remote, clone):
    record(clone, b"new")
    record(clone, b"told", month="uptime/alerts.jsonl")
    write(clone, "uptime/notes.txt", b"mine")
    write(clone, "secret.env", b"mine")
    pushed(clone)
    changed = git(remote, "diff", "--name-only", "main~", "main").split()
    assert changed == ["uptime.md", "uptime/2026-11.jsonl", "uptime/alerts.jsonl", "uptime/badge.svg"]
    assert git(clone, "status", "--porcelain").splitlines() == ["?? secret.env", "?? uptime/notes.txt"]


def test_what_is_generated_no_more_leaves_the_branch(remote, clone):
    record(clone, b"new")
    pushed(clone)
    record(clone, b"newer")
    pushed(clone, rewrite=(clone / "uptime" / "badge.svg").unlink)
    assert "badge" not in git(remote, "ls-tree", "-r", "--name-only", "main")


def test_a_directory_whose_name_git_could_take_for_a_pattern_is_that_directory(remote, clone):
    odd = replace(OURS, directory=PurePosixPath("*"))
    record(clone, b"new", month="*/2026-11.jsonl")
    record(clone, b"not mine")
    with pytest.raises(Refused, match=r"other changes: uptime/2026-11\.jsonl"):
        push(git_in(clone), odd, rewrite=list, message=MESSAGE, sleep=time.sleep, random=random.random)
    git(clone, "checkout", "--quiet", "uptime")
    push(git_in(clone), odd, rewrite=list, message=MESSAGE, sleep=time.sleep, random=random.random)
    assert git(remote, "diff", "--name-only", "main~", "main") == "*/2026-11.jsonl"


def test_a_shallow_clone_is_enough(remote, tmp_path):
    for number in range(3):
        person_pushes(remote, tmp_path / "person", {"README.md": str(number).encode()})
    clone = clone_of(remote, tmp_path / "shallow", "--depth=1")
    person_pushes(remote, tmp_path / "person", {"README.md": b"later"})
    record(clone, b"new")
    pushed(clone)
    assert lines_at(remote)[-1] == b"new"
    assert git(remote, "show", "main:README.md") == "later"


def test_the_repository_of_the_hook_we_were_started_from_is_not_taken_for_ours(remote, clone, tmp_path):
    record(clone, b"new")
    elsewhere = {"GIT_DIR": str(tmp_path / "other.git"), "GIT_INDEX_FILE": str(tmp_path / "index")}
    pushed(clone, run=runner(ENVIRON | elsewhere))
    assert lines_at(remote)[-1] == b"new"


def test_where_nothing_was_recorded_nothing_is_pushed(remote, clone):
    with pytest.raises(Refused, match="nothing to push"):
        pushed(clone)
    assert git(remote, "rev-list", "--count", "main") == "1"


# --- many of them


def test_8_pushers_at_once_lose_no_line_and_write_none_twice(remote, tmp_path):
    clones = [clone_of(remote, tmp_path / f"clone{number}") for number in range(PUSHERS)]
    at_once = threading.Barrier(PUSHERS)

    def push_until_it_is_there(number):
        """As its next runs do: who gave up after five tries keeps the line."""
        clone, dice = clones[number], random.Random(number)
        record(clone, b"line of %d" % number)
        at_once.wait()
        while True:
            try:
                return pushed(clone, sleep=lambda wait_s: time.sleep(wait_s / 20), random=dice.random).tries
            except GitFailed as error:
                assert "not pushed in 5 tries" in error.seen  # noqa: PT017 - a pusher may be unlucky, and tries again

    with ThreadPoolExecutor(PUSHERS) as pool:
        tries = list(pool.map(push_until_it_is_there, range(PUSHERS)))
    expected = [*FIRST_LINES.splitlines(), *(b"line of %d" % number for number in range(PUSHERS))]
    assert sorted(lines_at(remote)) == sorted(expected)
    assert lines_at(remote)[:2] == FIRST_LINES.splitlines()
    assert git(remote, "rev-list", "--count", "--min-parents=2", "main") == "0"
    assert git(remote, "show", "main:uptime.md").startswith(f"{len(expected)} lines")
    assert max(tries) > 1  # they did meet


def test_what_others_recorded_meanwhile_stands_before_ours(remote, clone, tmp_path):
    other = clone_of(remote, tmp_path / "other")
    record(clone, b"ours")
    record(other, b"theirs")
    pushed(other)
    assert pushed(clone).lines == 1
    assert lines_at(remote) == [*FIRST_LINES.split(), b"theirs", b"ours"]
    assert (clone / MONTH).read_bytes().split() == lines_at(remote)
    assert git(clone, "status", "--porcelain") == ""


def test_a_month_and_a_picture_that_others_began_meanwhile_are_taken_over(remote, clone, tmp_path):
    other = clone_of(remote, tmp_path / "other")
    for place, line in ((clone, b"ours"), (other, b"theirs")):
        record(place, line, month="uptime/2026-12.jsonl")
        write(place, "uptime/badge.svg", line)
        pushed(other) if place is other else None
    pushed(clone)
    assert lines_at(remote, "uptime/2026-12.jsonl") == [b"theirs", b"ours"]
    assert git(remote, "show", "main:uptime/badge.svg") == "<svg>4</svg>"


def test_work_that_a_person_pushed_meanwhile_stays_and_counts(remote, clone, tmp_path):
    record(clone, b"new")
    work = {"README.md": b"better\n", "uptime/maintenance.toml": b"# a plan\n", "src/new.py": b"1\n"}
    person_pushes(remote, tmp_path / "person", work)
    pushed(clone)
    assert git(remote, "diff", "--name-only", "main~", "main").split() == [
        "uptime.md",
        MONTH,
        "uptime/badge.svg",
    ]
    assert {name: (clone / name).read_bytes() for name in work} == work
    assert "# a plan" in git(remote, "show", "main:uptime.md")  # the report is made with the plan of the remote


def test_history_that_a_person_rewrote_is_followed(remote, clone, tmp_path):
    person = clone_of(remote, tmp_path / "person")
    git(person, "commit", "--quiet", "--amend", "-m", "Begin again")
    git(person, "push", "--quiet", "--force", "origin", "main")
    record(clone, b"new")
    pushed(clone)
    assert lines_at(remote)[-1] == b"new"
    assert git(remote, "log", "--format=%s", "main").splitlines() == ["uptime: dashboard up", "Begin again"]


# --- a remote that has bad days


def refuse_first(remote, times):
    """A hook of the remote that refuses so many pushes."""
    hook = remote / "hooks" / "pre-receive"
    refuse = '{ echo "not now"; exit 1; }'
    hook.write_text(f'#!/bin/sh\necho x >> asked\n[ "$(wc -l < asked)" -gt {times} ] || {refuse}\n')
    hook.chmod(0o755)


def test_a_remote_that_refuses_once_is_asked_again_after_1_to_8_seconds(remote, clone):
    refuse_first(remote, 1)
    record(clone, b"new")
    slept = []
    assert pushed(clone, slept=slept).tries == 2
    assert lines_at(remote)[-1] == b"new"
    assert len(slept) == 1
    assert 1 <= slept[0] <= 8


def test_a_remote_that_always_refuses_is_asked_5_times_and_what_it_says_is_told(remote, clone):
    refuse_first(remote, 99)
    record(clone, b"new")
    slept = []
    with pytest.raises(GitFailed, match=r"not pushed in 5 tries.*remote: not now.*pre-receive hook declined"):
        pushed(clone, slept=slept)
    assert len(slept) == TRIES - 1
    assert (clone / MONTH).read_bytes() == FIRST_LINES + b"new\n"


def test_while_the_remote_is_gone_lines_are_kept_and_the_next_run_brings_them_all(remote, clone):
    away = remote.with_name("away.git")
    remote.rename(away)
    record(clone, b"one")
    with pytest.raises(GitFailed, match=r"does not appear to be a git repository"):
        pushed(clone)
    away.rename(remote)
    record(clone, b"two")
    assert pushed(clone).lines == 2
    assert lines_at(remote)[-2:] == [b"one", b"two"]


def test_an_answer_that_is_lost_is_no_reason_to_write_a_line_twice(remote, clone):
    record(clone, b"new")
    real = runner(ENVIRON)
    lost = []

    def run(command, stdin):
        done = real(command, stdin)
        if "push" in command and not lost:
            lost.append(command)
            return Done(128, b"", "the remote end hung up unexpectedly")
        return done

    assert pushed(clone, run=run).lines == 1
    assert lines_at(remote) == [*FIRST_LINES.split(), b"new"]
    assert git(remote, "rev-list", "--count", "main") == "2"


@pytest.mark.parametrize("command", ["cat-file", "ls-tree", "diff", "ls-files", "write-tree", "update-index"])
def test_a_git_that_fails_in_between_is_never_taken_for_an_empty_record(remote, clone, tmp_path, command):
    other = clone_of(remote, tmp_path / "other")
    record(other, b"theirs")
    pushed(other)
    record(clone, b"ours")
    real = runner(ENVIRON)
    failed = []

    def run(words, stdin):
        if command in words and not failed:
            failed.append(words)
            return Done(128, b"", "fatal: out of memory")
        return real(words, stdin)

    assert pushed(clone, run=run).tries == 2
    assert failed
    assert lines_at(remote) == [*FIRST_LINES.split(), b"theirs", b"ours"]


class Killed(BaseException):
    """As kill -9: nothing of ours runs after it."""


class Killer:
    """git, until the process dies at its call number `at`: before git did it, or after."""

    def __init__(self, at, *, done):
        self.at, self.done, self.calls = at, done, 0
        self._run = runner(ENVIRON)

    def __call__(self, command, stdin):
        self.calls += 1
        if self.calls != self.at:
            return self._run(command, stdin)
        if self.done:
            self._run(command, stdin)
        raise Killed


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_killed_at_any_call_of_git_the_next_run_brings_every_line_once(remote, clone, tmp_path, done):
    person_pushes(remote, tmp_path / "person", {"README.md": b"better\n"})
    at = 0
    while True:
        at += 1
        record(clone, b"%d" % at)
        try:
            pushed(clone, run=Killer(at, done=done))
            break
        except Killed:
            if at % 3 == 0:
                person_pushes(remote, tmp_path / f"person{at}", {"README.md": b"%d\n" % at})
    record(clone, b"last")
    pushed(clone)
    assert at > 10
    assert lines_at(remote) == [*FIRST_LINES.split(), *(b"%d" % number for number in range(1, at + 1)), b"last"]
    assert git(clone, "status", "--porcelain") == ""


def test_a_git_that_hangs_is_given_up_with_all_that_it_started():
    done = runner(ENVIRON, longest_s=0.2)(["sh", "-c", "sleep 60 & sleep 60"], b"")
    assert done.status is None
    assert done.said == "given up after 0.2 s"


def test_a_git_that_is_not_there_is_said_in_one_sentence(clone):
    asked = Git(clone, lambda command, stdin: runner(ENVIRON)(["no-such-git", *command[1:]], stdin))
    with pytest.raises(Refused, match="it cannot be started: No such file or directory"):
        push(asked, OURS, rewrite=reporter(clone), message=MESSAGE, sleep=time.sleep, random=random.random)


def test_a_secret_in_an_address_is_not_repeated():
    said = shown(b"fatal: unable to access 'https://x-access-token:s3cret@host/it.git/': 403\n")
    assert said == "fatal: unable to access 'https://host/it.git/': 403"


# --- a person's work


def changed_file(clone):
    write(clone, "README.md", b"unfinished")


def staged_file(clone):
    write(clone, "new.py", b"unfinished")
    git(clone, "add", "new.py")


def changed_plan(clone):
    write(clone, "uptime/maintenance.toml", b"# unfinished")


def deleted_file(clone):
    (clone / "README.md").unlink()


def own_commit(clone):
    write(clone, "new.py", b"done")
    git(clone, "add", "new.py")
    git(clone, "commit", "--quiet", "-m", "Not pushed yet")


def detached(clone):
    git(clone, "checkout", "--quiet", "--detach")


@pytest.mark.parametrize(
    ("work", "seen"),
    [
        (changed_file, "other changes: README.md"),
        (staged_file, "other changes: new.py"),
        (changed_plan, "other changes: uptime/maintenance.toml"),
        (deleted_file, "other changes: README.md"),
        (own_commit, "commits of its own that origin has not: 1"),
        (detached, "no branch is checked out"),
    ],
)
@pytest.mark.parametrize("moved", [False, True], ids=["quiet", "moved"])
def test_where_a_person_is_at_work_nothing_is_touched(remote, clone, tmp_path, work, seen, moved):
    if moved:
        person_pushes(remote, tmp_path / "person", {"other.md": b"new"})
    work(clone)
    record(clone, b"new")
    before = everything(clone)
    with pytest.raises(Refused, match=seen):
        pushed(clone)
    assert everything(clone) == before
    assert b"new" not in lines_at(remote)


def test_a_file_of_a_person_in_the_way_of_one_of_the_remote_is_not_written_over(remote, clone, tmp_path):
    person_pushes(remote, tmp_path / "person", {"plan.md": b"theirs"})
    write(clone, "plan.md", b"mine")
    record(clone, b"new")
    with pytest.raises(Refused, match=r"plan\.md"):
        pushed(clone)
    assert (clone / "plan.md").read_bytes() == b"mine"
    (clone / "plan.md").unlink()
    pushed(clone)
    assert lines_at(remote)[-1] == b"new"


def test_a_hook_of_this_machine_is_not_run(remote, clone):
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    record(clone, b"new")
    assert pushed(clone).tries == 1
    assert lines_at(remote)[-1] == b"new"


# --- lines


@pytest.mark.parametrize(
    ("theirs", "ours", "both"),
    [
        (b"", b"", b""),
        (b"", b"a\n", b"a\n"),
        (b"a\n", b"", b"a\n"),
        (b"a\n", b"a\nb\n", b"a\nb\n"),
        (b"a\nc\n", b"a\nb\n", b"a\nc\nb\n"),
        (b"a\n", b"b\nb\n", b"a\nb\n"),
        (b"a\na\n", b"a\n", b"a\na\n"),  # what stands is not changed
        (b"a\nto", b"b\n", b"a\nto\nb\n"),  # the last line of theirs is torn
        (b"a\n", b"a\nb\nto", b"a\nb\n"),  # the last one of ours is
        (b"a\n", b"\n\na\n", b"a\n"),
        (b"\xff\n", b"\xfe\n", b"\xff\n\xfe\n"),
    ],
)
def test_lines_of_two_places_become_one_record(theirs, ours, both):
    assert united(theirs, ours) == both
    assert united(both, ours) == both
    assert missing(both, ours) == []


def test_a_line_that_is_still_being_written_is_not_pushed(remote, clone):
    record(clone, b"new")
    with (clone / MONTH).open("ab") as end:
        end.write(b"half")
    pushed(clone)
    assert lines_at(remote) == [*FIRST_LINES.split(), b"new"]


# --- words


def test_the_message_names_targets_while_they_fit_and_counts_them_otherwise():
    assert message_of({"dashboard": "up", "api": "down"}).splitlines() == [
        "uptime: dashboard up, api down",
        "",
        "[skip ci]",
    ]
    many = {f"a-rather-long-name-{number}": "up" if number else "down" for number in range(9)}
    assert message_of(many).splitlines()[0] == "uptime: 1 down, 8 up"


# --- GitHub's patience


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def log_line(author, age):
    return f"{int((NOW - age).timestamp())} {author}"


ANN, BOT = "Ann ann@example.com", "github-actions[bot] 41898282+github-actions[bot]@users.noreply.github.com"


def test_the_last_commit_of_a_person_is_not_the_last_commit(clone):
    record(clone, b"new")
    pushed(clone)
    begun = datetime.fromtimestamp(int(git(clone, "log", "-1", "--format=%ct", "HEAD~")), UTC)
    assert activity(git_in(clone)) == Activity(begun, begun)


@pytest.mark.parametrize(
    ("log", "warns"),
    [
        ([], None),
        ([log_line(BOT, timedelta(0)), log_line(ANN, timedelta(days=45))], None),
        ([log_line(BOT, timedelta(0)), log_line(ANN, timedelta(days=45, seconds=1))], "was 45 days ago"),
        ([log_line(BOT, timedelta(0)), log_line(ANN, timedelta(days=59))], "was 59 days ago"),
        (
            [log_line(BOT, timedelta(0)), log_line("dependabot[bot] a@b", timedelta(days=50))],
            "was more than 50 days ago",
        ),
        ([log_line(BOT, timedelta(days=days)) for days in range(20)], None),  # a shallow clone cannot tell
    ],
)
def test_the_report_warns_once_no_person_has_committed_for_45_days(log, warns):
    line = idle_line(activity_of(log), now=NOW)
    assert line is None if warns is None else warns in line
