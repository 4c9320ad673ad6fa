"""What the record costs: 60 days of commits, two a hour, packed by git as it packs; scaled to a year."""

import random
import re
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest

from ops.uptime.probe import PHASES, Result
from ops.uptime.record import Sample
from ops.uptime.rewrite import Places, rewrite
from ops.uptime.rules import Rules
from ops.uptime.storage.commit import message_of
from ops.uptime.storage.git import BOT_EMAIL, BOT_NAME
from tests.git_places import ENVIRON, git

MOST_MIB_A_YEAR = 12
RUNS_A_DAY = 48
DAYS = 60
REPORTED_DAYS = 2  # of the last ones the report is written and committed too: it then has its full size
FIRST_DAY = datetime(2026, 9, 1, tzinfo=UTC)
BAD_DAYS = 9  # every so many days it is down for two hours, the last time on the day before the last


def made_sample(number, dice):
    """As a runner writes it: 200 to 240 bytes, late by up to a quarter of an hour."""
    at = FIRST_DAY + timedelta(minutes=30 * number + 7, seconds=dice.randint(0, 900))
    ms = dict(zip(PHASES, (dice.randint(low, high) for low, high in MS), strict=True))
    day, run = divmod(number, RUNS_A_DAY)
    if (DAYS - day) % BAD_DAYS == REPORTED_DAYS and 20 <= run < 24:
        result = Result("down", "script_done", "script_exception", "FileNotFoundError: daily_kpis.parquet", ms, 3)
    else:
        result = Result("up", None, None, None, ms, 1)
    return Sample(at=at, target="dashboard", by="github", run=str(16_000_000_000 + number * 5_501_777), result=result)


MS = ((1, 9), (5, 20), (0, 30), (8, 60), (0, 3), (4, 30), (150, 900))


def reports(samples, place):
    """What `rewrite` leaves after each of the last runs: number of the run -> name -> bytes."""
    (place / "uptime").mkdir()
    found = {}
    for number, sample in enumerate(samples):
        with (place / "uptime" / f"{sample.at:%Y-%m}.jsonl").open("ab") as end:
            end.write(sample.to_line())
        if number >= len(samples) - REPORTED_DAYS * RUNS_A_DAY:
            age = f"freshness: fresh: the job ran {number % RUNS_A_DAY / 2 + 0.3:.1f} h ago"
            places = Places(place / "uptime", place / "uptime.md")
            rewrite(places, now=sample.at + timedelta(seconds=20), rules=Rules(), freshness=age)
            found[number] = {
                file.relative_to(place).as_posix(): file.read_bytes()
                for file in place.rglob("*")
                if file.is_file() and file.suffix != ".jsonl"
            }
    return found


def versions(samples, reported):
    """Name -> number of the run -> bytes, where they changed."""
    found, whole = {}, {}
    for number, sample in enumerate(samples):
        month = f"uptime/{sample.at:%Y-%m}.jsonl"
        whole[month] = whole.get(month, b"") + sample.to_line()
        found.setdefault(month, {})[number] = len(whole[month])
    for month, data in whole.items():
        found[month] = {number: memoryview(data)[:end] for number, end in found[month].items()}
    for number, files in reported.items():
        for name, data in files.items():
            of_file = found.setdefault(name, {})
            if not of_file or data != of_file[max(of_file)]:
                of_file[number] = data
    return found


def imported(samples, files):
    """The input of git fast-import: files one after another, each with its versions, and then a commit for each run."""
    marks = {}
    for name, by_run in files.items():
        for number, data in by_run.items():
            marks[number, name] = len(marks) + 1
            yield b"blob\nmark :%d\ndata %d\n%b\n" % (len(marks), len(data), data)
    message = message_of({"dashboard": "up"}).encode()
    for number, sample in enumerate(samples):
        who = f"{BOT_NAME} <{BOT_EMAIL}> {int(sample.at.timestamp()) + 30} +0000"
        yield b"commit refs/heads/main\ncommitter %b\ndata %d\n%b\n" % (who.encode(), len(message), message)
        for name in files:
            if (number, name) in marks:
                yield b"M 100644 :%d %b\n" % (marks[number, name], name.encode())


def packed(samples, files, place):
    """A repository with these commits, packed from nothing: as git packs what small pushes leave, one by one."""
    git(place.parent, "init", "--quiet", "--bare", "--initial-branch=main", place)
    command = ["git", "-C", place, "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=ENVIRON) as importing:
        for part in imported(samples, files):
            importing.stdin.write(part)
    assert importing.returncode == 0
    git(place, "repack", "-a", "-d", "-f", "-q")
    return place


def bytes_by_artifact(repository):
    """Bytes in the pack of commits, of trees, and of every kind of file."""
    names = dict(
        line.split(" ", 1) for line in git(repository, "rev-list", "--objects", "--all").splitlines() if " " in line
    )
    asked = "--batch-check=%(objectname) %(objecttype) %(objectsize:disk)"
    found = Counter()
    for line in git(repository, "cat-file", "--batch-all-objects", asked).splitlines():
        sha, kind, size = line.split()
        found[artifact(names[sha]) if kind == "blob" else f"{kind}s"] += int(size)
    return found


def artifact(name):
    """samples for a month of them, else the file without the name of a target."""
    path = PurePosixPath(name)
    return "samples" if path.suffix == ".jsonl" else re.sub(r"^dashboard-", "", path.name)


def mib_a_year(sizes):
    """Scaled up: the record by all runs, the report by those in which it was written."""
    of_all = {"commits", "trees", "samples"}
    runs = {name: DAYS if name in of_all else REPORTED_DAYS for name in sizes}
    return {name: size * 365 / runs[name] / 2**20 for name, size in sizes.items()}


@pytest.mark.timeout(120)
def test_the_repository_grows_by_at_most_12_mib_a_year(tmp_path):
    dice = random.Random(7)
    samples = [made_sample(number, dice) for number in range(DAYS * RUNS_A_DAY)]
    files = versions(samples, reports(samples, tmp_path))
    repository = packed(samples, files, tmp_path / "repository.git")
    assert git(repository, "rev-list", "--count", "main") == "2880"
    sizes = bytes_by_artifact(repository)
    (pack,) = (repository / "objects" / "pack").glob("*.pack")
    assert abs(sum(sizes.values()) - pack.stat().st_size) < 100  # nothing is left out but the pack's own head
    year = mib_a_year(sizes)
    assert {"samples", "uptime.md", "index.html", "90d.svg"} <= set(year)
    assert sum(year.values()) <= MOST_MIB_A_YEAR, {name: round(mib, 2) for name, mib in year.items()}
    assert sum(year.values()) > MOST_MIB_A_YEAR / 10  # it was really measured
