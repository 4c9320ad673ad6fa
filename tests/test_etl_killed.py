"""kill -9 while a snapshot is made over another one: one of the two is whole, and what is left lying is cleared."""

import hashlib
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from etl.contract import METADATA, Manifest

ROOT = Path(__file__).resolve().parent.parent
KILLS = 20
SEED = 20260101
LINES = 1500
LONGEST_S = 120
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

# For each directory of a place a process of its own, which adopts a staged copy of another run there. It ends itself
# before it touches the disk for the time that the directory is called by, where it is told to; else it says how often
# it did.
ADOPT = """
import os, shutil, signal, sys
from etl.contract import METADATA, Manifest
from etl.store import DirectoryStore
from pathlib import Path

made, place, to_be_killed = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "kill"
TOUCHES = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
last, touched = None, 0

def touch(event, _given):
    global touched
    if last is not None and event in TOUCHES:
        touched += 1
        if touched == last:
            os.kill(os.getpid(), signal.SIGKILL)

def adopt(out):
    global last
    store = DirectoryStore(out)
    with store.staging() as directory:
        for file in (made / ".runs" / manifest.run_id).iterdir():
            shutil.copyfile(file, directory / file.name)
        last = int(out.name) if to_be_killed else 0
        store.adopt(manifest, directory)
        last = None

sys.addaudithook(touch)
manifest = Manifest.from_json((made / METADATA).read_bytes())
for out in sorted(place.iterdir()):
    process = os.fork()
    if not process:
        adopt(out)
        print(touched, flush=True)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert status == (signal.SIGKILL if to_be_killed else 0), (out, status)
"""


@pytest.fixture(scope="module")
def source(sample_csv, tmp_path_factory):
    path = tmp_path_factory.mktemp("sales") / "sales.csv"
    path.write_text("".join(sample_csv.read_text().splitlines(keepends=True)[: LINES + 1]))
    return path


@pytest.fixture(scope="module")
def fewer(source):
    """Half of its lines: two runs over the same ones in the same second would go by one name."""
    path = source.with_name("fewer.csv")
    path.write_text("".join(source.read_text().splitlines(keepends=True)[: LINES // 2]))
    return path


def begin(source, out):
    """A run of the command, under way."""
    command = [sys.executable, "-m", "etl", "--source", str(source), "--out", str(out)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def clean_run(source, out):
    """Run it to its end; returns how long it took."""
    begun = time.perf_counter()
    process = begin(source, out)
    _, said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, said
    return time.perf_counter() - begun


def killed_after(seconds, source, out):
    process = begin(source, out)
    time.sleep(seconds)
    process.kill()  # one that has ended by then is not there to be killed
    process.communicate(timeout=LONGEST_S)


def current(out):
    """The run that metadata.json names, every file of which is what it says."""
    manifest = Manifest.from_json((out / METADATA).read_bytes())
    for file in manifest.files:
        data = (out / file.key).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256), file.key
    return manifest.run_id


def entries(place):
    """Everything below a directory; a run goes by its place in the row of runs, for its name tells the time."""
    runs = sorted(path.name for each in place.rglob(".runs") for path in each.iterdir() if path.name[0] != ".")
    found = (path.relative_to(place).parts for path in place.rglob("*"))
    return sorted("/".join(str(runs.index(part)) if part in runs else part for part in parts) for parts in found)


def test_a_run_killed_at_any_point_leaves_a_whole_snapshot_and_a_clean_run_removes_what_kills_left(
    source, fewer, tmp_path
):
    out = tmp_path / "shop" / "processed"
    clean_run(fewer, out)
    duration = clean_run(source, out)
    of_clean_runs = entries(tmp_path)
    random = Random(SEED)
    for point in range(KILLS):
        killed_after(duration * (point + random.random()) / KILLS, source, out)
        assert current(out)
    clean_run(fewer, out)
    assert current(out)
    assert entries(tmp_path) == of_clean_runs


@pytest.fixture(scope="module")
def snapshots(source, fewer, tmp_path_factory, snapshot_of):
    """A snapshot, the one of more lines that is to take its place, and one of a later day; and the name of each run."""
    place = tmp_path_factory.mktemp("snapshots")
    made = [(fewer, NOON), (source, NOON), (source, NOON + timedelta(days=1))]
    return [
        (place / str(each), snapshot_of([path], place / str(each), now=now).run_id)
        for each, (path, now) in enumerate(made)
    ]


def adopt(made, place, how):
    """See ADOPT; returns how often the disk was touched in each directory."""
    command = [sys.executable, "-c", ADOPT, str(made), str(place), how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.splitlines()]


def test_a_run_killed_at_any_touch_of_the_disk_while_it_is_adopted_leaves_the_old_snapshot_or_the_new_one_whole(
    snapshots, tmp_path
):
    (old, old_run), (new, new_run), (later, later_run) = snapshots
    never, killed = tmp_path / "never", tmp_path / "killed"
    shutil.copytree(old, never / "0")
    (touches,) = adopt(new, never, "clean")
    adopt(later, never, "clean")
    for last in range(1, touches + 1):
        shutil.copytree(old, killed / f"{last:03}")
    assert adopt(new, killed, "kill") == []
    seen = [current(out) for out in sorted(killed.iterdir())]
    assert seen == sorted(seen, key=[old_run, new_run].index)  # from one touch on it is the new one
    assert set(seen) == {old_run, new_run}

    assert len(adopt(later, killed, "clean")) == touches
    for out in killed.iterdir():
        assert current(out) == later_run
        assert entries(out) == entries(never / "0"), f"killed at touch {out.name}"


def test_what_writers_killed_long_ago_left_beside_the_snapshot_goes_and_what_people_put_there_stays(source, tmp_path):
    out = tmp_path / "processed"
    clean_run(source, out)
    left = [".metadata.json.4711", ".daily_kpis.csv.4712", ".quarantine.parquet.4713", ".rfm.parquet.1"]
    theirs = [".notes.1", "metadata.json.old", ".metadata.json.swp", "notes.txt", ".daily_kpis.csv.bak"]
    for name in left + theirs:
        (out / name).write_text("something")
    clean_run(source, out)
    there = {path.name for path in out.iterdir()}
    assert not there & set(left)
    assert there >= set(theirs)
