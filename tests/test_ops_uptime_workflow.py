"""The scheduled workflow: the very commands of its steps, run as GitHub runs them, in a clean clone with a remote."""

import http.server
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from ops.settings import Settings
from ops.uptime.history import PART_BYTES
from tests.git_places import ENVIRON, clone_of, git, person_pushes

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "uptime.yml"
LOCK = ROOT / "requirements" / "uptime.txt"
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # GitHub's for a step of bash
SETTINGS = """
[dashboard]
store = "nothing-published"
[uptime]
control_urls = []
[uptime.probe]
waits_s = [0]
[[uptime.targets]]
name = "shop"
kind = "http"
url = "{url}"
"""


@pytest.fixture(scope="module")
def workflow():
    # Of YAML's words for true, `on` is a key here.
    return yaml.load(WORKFLOW.read_text(), Loader=yaml.BaseLoader)


@pytest.fixture(scope="module")
def steps(workflow):
    """Those that run a script: install, look, ping."""
    install, look, ping = (step for step in workflow["jobs"]["check"]["steps"] if "run" in step)
    return {"install": install, "look": look, "ping": ping}


# --- a runner


@pytest.fixture(scope="module")
def locked_site(tmp_path_factory):
    """Of all that is installed here only what requirements/uptime.txt names: who needs more is found out."""
    site = tmp_path_factory.mktemp("site")
    for name in re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE):
        for top in {file.parts[0] for file in importlib.metadata.files(name) if file.parts[0] != ".."}:
            place = site / top
            if not place.exists():
                place.symlink_to(importlib.metadata.distribution(name).locate_file(top))
    return site


@pytest.fixture(scope="module")
def environ(locked_site, tmp_path_factory):
    """Of a runner: its own directory, and a python3 before all others. Nothing is downloaded: it is all there."""
    place = tmp_path_factory.mktemp("runner")
    (place / "bin").mkdir()
    (place / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    kept = {
        name: value for name, value in ENVIRON.items() if not name.startswith(("KPI_", "GITHUB_", "PIP_", "PYTHON"))
    }
    return kept | {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(place),
        "PYTHONPATH": str(locked_site),
        "PIP_NO_INDEX": "1",
        "GITHUB_RUN_ID": "1234567",
    }


@pytest.fixture(scope="module")
def installed(steps, environ, project):
    """The first step was run."""
    done = run_step(steps["install"], project / "seed", environ)
    assert done.returncode == 0, done.stderr
    return environ


def run_step(step, clone, environ, **computed):
    """As GitHub does: the script in a file, without input. Expressions are given computed, or are empty."""
    script = Path(environ["RUNNER_TEMP"]) / "script.sh"
    script.write_text(step["run"])
    own = {name: "" if "${{" in value else value for name, value in step.get("env", {}).items()}
    return subprocess.run(
        [*SHELL, script],
        cwd=clone,
        env=environ | own | computed,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """This project as it stands here, committed by a person and pushed to a bare repository."""
    place = tmp_path_factory.mktemp("project")
    seed, bare = place / "seed", place / "remote.git"
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("uptime"):
            (seed / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, seed / name)
    git(place, "init", "--quiet", "--initial-branch=main", seed)
    git(seed, "add", "--all")
    git(seed, "commit", "--quiet", "-m", "Begin")
    git(place, "clone", "--quiet", "--bare", seed, bare)
    return place


@pytest.fixture
def remote(project, tmp_path):
    return shutil.copytree(project / "remote.git", tmp_path / "remote.git")


@pytest.fixture
def clone(remote, tmp_path):
    """What actions/checkout leaves: one branch, not all of its history."""
    return clone_of(remote, tmp_path / "clone", "--depth=2")


class Shop(http.server.ThreadingHTTPServer):
    """A server that answers, and remembers what it was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.address = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def shop():
    server = Shop()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def watch(remote, place, url):
    """A person names the target, and pushes that."""
    person_pushes(remote, place, {"settings.toml": SETTINGS.format(url=url).encode()})


def record_on(remote):
    """The lines of the record on the remote's branch."""
    names = git(remote, "ls-tree", "-r", "--name-only", "main", "uptime/").split()
    months = [name for name in names if re.fullmatch(r"uptime/[0-9]{4}-[0-9]{2}\.jsonl", name)]
    return [line for name in months for line in git(remote, "show", f"main:{name}").splitlines()]


# --- its steps


def test_the_steps_record_what_they_see_with_nothing_installed_but_the_lock(steps, installed, remote, tmp_path, shop):
    watch(remote, tmp_path / "person", shop.address)
    clone = clone_of(remote, tmp_path / "clone", "--depth=2")
    done = run_step(steps["look"], clone, installed)
    assert done.returncode == 0, done.stderr
    (line,) = record_on(remote)
    assert '"target":"shop","verdict":"up"' in line
    assert '"by":"github","run":"1234567"' in line
    assert git(remote, "log", "-1", "--format=%s", "main") == "uptime: shop up"
    changed = git(remote, "diff", "--name-only", "main~", "main").split()
    assert "uptime.md" in changed
    assert all(name == "uptime.md" or name.startswith("uptime/") for name in changed)
    assert git(clone, "status", "--porcelain") == ""


def test_a_target_that_is_down_is_recorded_and_leaves_the_job_green_run_after_run(
    steps, installed, remote, tmp_path, closed_port
):
    watch(remote, tmp_path / "person", f"http://127.0.0.1:{closed_port}/")
    for number in range(2):
        done = run_step(steps["look"], clone_of(remote, tmp_path / f"clone{number}", "--depth=2"), installed)
        assert done.returncode == 0, done.stderr
        assert len(record_on(remote)) == number + 1
    assert '"verdict":"down"' in record_on(remote)[-1]
    assert git(remote, "log", "--format=%s", "main").splitlines()[:2] == ["uptime: shop down"] * 2


def test_a_month_too_large_for_the_slow_reader_is_read_with_the_lock_alone(
    steps, installed, remote, tmp_path, closed_port
):
    watch(remote, tmp_path / "person", f"http://127.0.0.1:{closed_port}/")
    clone = clone_of(remote, tmp_path / "clone", "--depth=2")
    assert run_step(steps["look"], clone, installed).returncode == 0
    (line,) = record_on(remote)
    month = next((clone / "uptime").glob("20*.jsonl"))
    minutes = [timedelta(minutes=2 * number) for number in range(28 * 720)]
    times = [f"{datetime(2020, 1, 1) + minute:%Y-%m-%dT%H:%M:%SZ}" for minute in minutes]
    old = "".join(re.sub(r'"t":"[^"]*"', f'"t":"{time}"', line) + "\n" for time in times)
    person_pushes(remote, tmp_path / "busy", {f"uptime/{month.name}": f"{old}{line}\n".encode()})
    assert len(old) > PART_BYTES
    done = run_step(steps["look"], clone_of(remote, tmp_path / "again", "--depth=2"), installed)
    assert done.returncode == 0, done.stderr
    assert len(record_on(remote)) == len(times) + 2


def test_what_could_not_be_recorded_makes_the_job_red_and_says_why(steps, installed, remote, tmp_path, closed_port):
    watch(remote, tmp_path / "person", f"http://127.0.0.1:{closed_port}/")
    clone = clone_of(remote, tmp_path / "clone", "--depth=2")
    git(clone, "checkout", "--quiet", "--detach")
    done = run_step(steps["look"], clone, installed)
    assert done.returncode == 3
    assert "no branch is checked out" in done.stderr
    assert "Traceback" not in done.stderr
    assert record_on(remote) == []


def test_a_setting_that_is_wrong_makes_the_job_red_and_says_why(steps, installed, remote, tmp_path):
    watch(remote, tmp_path / "person", "no address")
    done = run_step(steps["look"], clone_of(remote, tmp_path / "clone", "--depth=2"), installed)
    assert done.returncode == 4
    assert "uptime.targets" in done.stderr


def test_a_dead_mans_switch_is_told_where_there_is_one(steps, environ, clone, shop):
    assert run_step(steps["ping"], clone, environ).returncode == 0
    assert shop.asked == []
    done = run_step(steps["ping"], clone, environ, PING_URL=f"{shop.address}ping/1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert shop.asked == ["/ping/1"]


def test_a_dead_mans_switch_that_is_dead_itself_is_no_reason_for_red(workflow, steps):
    assert steps["ping"] == workflow["jobs"]["check"]["steps"][-1]
    assert steps["ping"]["continue-on-error"] == "true"


# --- its YAML


def test_actionlint_and_shellcheck_find_nothing_in_it():
    actionlint, shellcheck = tool("actionlint"), tool("shellcheck")
    done = lint(actionlint, shellcheck, WORKFLOW)
    assert done.stdout == ""
    assert done.returncode == 0


def test_they_find_what_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        WORKFLOW.read_text().replace('"$RUNNER_TEMP/venv"\n', "$RUNNER_TEMP/venv\n").replace("hashFiles(", "hashFile(")
    )
    told = lint(tool("actionlint"), tool("shellcheck"), wrong).stdout
    assert "SC2086" in told
    assert "undefined function" in told


def tool(name):
    """A program of the lock's; on a machine for which there is none the tests that need it are left out."""
    found = Path(sys.executable).parent / name
    if not found.exists():
        pytest.skip(f"{name} is not in .venv: `make setup`, where there is one for this machine")
    return str(found)


def lint(actionlint, shellcheck, file):
    return subprocess.run(
        [actionlint, "-no-color", "-shellcheck", shellcheck, "-pyflakes=", file],
        check=False,
        capture_output=True,
        text=True,
    )


def test_it_may_do_no_more_than_commit_tell_of_incidents_and_say_to_aws_who_it_is(workflow):
    assert workflow["permissions"] == {}
    allowed = {"contents": "write", "issues": "write", "id-token": "write"}
    assert workflow["jobs"]["check"]["permissions"] == allowed


# --- the door


@pytest.fixture
def credentials(workflow):
    """The step that takes the probe's role."""
    return next(step for step in workflow["jobs"]["check"]["steps"] if "configure-aws" in step.get("uses", ""))


def test_only_with_the_probes_role_it_runs_in_the_environment_that_the_stack_trusts(workflow):
    trusted = Settings().stack.github.probe_environment
    environment = workflow["jobs"]["check"]["environment"]
    assert environment["name"] == f"${{{{ vars.KPI_PROBE_ROLE_ARN != '' && '{trusted}' || '' }}}}"
    assert environment["deployment"] == "false"  # else two an hour are listed as deployed


def test_the_role_is_taken_before_the_look_where_there_is_one_and_something_to_look_at(workflow, credentials, steps):
    all_steps = workflow["jobs"]["check"]["steps"]
    assert all_steps.index(credentials) < all_steps.index(steps["look"])
    assert credentials["if"] == f"vars.KPI_PROBE_ROLE_ARN != '' && ({steps['look']['if']})"
    assert credentials["with"]["role-to-assume"] == steps["look"]["env"]["PROBE_ROLE"]
    assert "KPI_PROBE_ROLE_ARN" in steps["look"]["env"]["PROBE_ROLE"]


def test_a_role_that_cannot_be_taken_stops_no_look(credentials):
    assert credentials["continue-on-error"] == "true"
    assert int(credentials["with"]["action-timeout-s"]) == 60  # else it tries for minutes


@pytest.mark.parametrize(("role", "words"), [("", []), ("arn:aws:iam::111122223333:role/probe", ["--knock"])])
def test_it_knocks_with_the_probes_role_and_not_without(steps, environ, tmp_path, role, words):
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    done = run_step(steps["look"], tmp_path, environ | {"RUNNER_TEMP": str(tmp_path)}, PROBE_ROLE=role)
    assert done.stdout.splitlines() == ["-m", "ops.uptime", "check", "--push", *words]


# --- when, and with what


def test_it_runs_twice_an_hour_off_the_full_hour_one_at_a_time_and_not_for_ever(workflow):
    assert workflow["on"]["schedule"] == [{"cron": "7,37 * * * *"}]
    assert workflow["concurrency"]["cancel-in-progress"] == "false"
    assert int(workflow["jobs"]["check"]["timeout-minutes"]) == 10


def test_every_action_is_pinned_to_a_commit_with_its_version_beside():
    used = re.findall(r"uses: *(.*)", WORKFLOW.read_text())
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+", action) for action in used)


def test_nothing_from_outside_is_put_into_a_script(steps):
    assert not [step["run"] for step in steps.values() if "${{" in step["run"]]
