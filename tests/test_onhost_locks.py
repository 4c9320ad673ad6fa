"""The locks of kpi-host, held by real processes: one winner, who it is, and free when its process ends."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ops.onhost import locks, proc
from ops.onhost.layout import LOCK, Tree
from ops.onhost.machine import Machine, run
from ops.onhost.trouble import Busy

ROOT = Path(__file__).resolve().parent.parent
HOLD = """
import sys, time
from pathlib import Path
from ops.onhost import locks
from ops.onhost.layout import Tree
from ops.onhost.machine import Machine, run
from ops.onhost.trouble import Busy
machine = Machine(Tree(Path(sys.argv[1])), run, time.time, time.sleep)
try:
    locks.take(machine, sys.argv[2], "c0ffee1", "now", wait_s=float(sys.argv[3]), gone=lambda: locks.ended(0))
except Busy as busy:
    import json
    print(json.dumps(busy.document), flush=True)
    sys.exit(75)
print("held", flush=True)
locks.hold(0)
"""


@pytest.fixture
def machine(tmp_path):
    return Machine(Tree(tmp_path), run, time.time, time.sleep)


@pytest.fixture
def hold(tmp_path):
    """A function that starts a process which wants the lock of deploys."""
    started = []

    def start(who, wait_s=0):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path), who, str(wait_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_of_many_at_once_one_wins_and_all_others_are_told_by_whom(hold):
    said = [process.stdout.readline() for process in [hold(f"w{number}") for number in range(12)]]
    winners = [number for number, line in enumerate(said) if line == "held\n"]
    assert len(winners) == 1
    told = [json.loads(line) for line in said if line != "held\n"]
    assert {document["holder"]["who"] for document in told} == {f"w{winners[0]}"}
    assert told[0] == {
        "ok": False,
        "held": False,
        "holder": {"who": f"w{winners[0]}", "commit": "c0ffee1", "since": "now"},
    }


def test_the_lock_is_free_when_its_holder_is_killed_and_the_one_who_waits_gets_it(hold, machine):
    first = hold("first")
    assert first.stdout.readline() == "held\n"
    waiting = hold("second", wait_s=60)
    first.kill()
    assert waiting.stdout.readline() == "held\n"
    assert locks.holder(machine.tree)["who"] == "second"


def test_the_lock_is_free_when_standard_input_ends_and_nobody_is_believed_to_hold_it(hold, machine):
    process = hold("first")
    assert process.stdout.readline() == "held\n"
    process.stdin.close()
    assert process.wait() == 0
    assert locks.holder(machine.tree) is None
    assert machine.tree.at(LOCK).with_suffix(".json").exists()


def test_who_waits_and_is_left_stops_waiting(hold):
    first = hold("first")
    assert first.stdout.readline() == "held\n"
    waiting = hold("second", wait_s=600)
    waiting.stdin.close()
    assert waiting.wait() == 75


def test_a_holder_that_has_not_said_who_it_is_is_not_taken_for_the_one_before(machine):
    path = machine.tree.at(LOCK)
    path.parent.mkdir(parents=True)
    path.with_suffix(".json").write_text(json.dumps({"who": "before", "commit": "x", "since": "y", "pid": 1}))
    descriptor = locks.take(machine, "me", "c", "s", wait_s=0, gone=lambda: False)
    path.with_suffix(".json").write_text(json.dumps({"who": "before", "commit": "x", "since": "y", "pid": 1}))
    assert locks.holder(machine.tree) == {"who": "", "commit": "", "since": ""}
    os.close(descriptor)


def test_a_step_waits_for_the_one_before_and_gives_up_in_the_end(machine):
    with locks.step(machine):
        with pytest.raises(Busy, match="another step is still at work"), locks.step(machine, wait_s=0.2):
            pass
        entered = threading.Event()

        def second():
            with locks.step(machine, wait_s=60):
                entered.set()

        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.is_set()
    thread.join()
    assert entered.is_set()


def test_locks_of_proc_are_read_by_inode():
    text = (
        "1: POSIX  ADVISORY  WRITE 10 00:1a:7 0 EOF\n"
        "2: FLOCK  ADVISORY  WRITE 11 00:1a:77 0 EOF\n"
        "2: -> FLOCK  ADVISORY  WRITE 12 00:1a:77 0 EOF\n"
    )
    assert proc.holder(text, 77) == 11
    assert proc.holder(text, 7) is None
    assert proc.holder("", 7) is None
