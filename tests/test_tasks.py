"""What a person types: every command, its help, its exit status, its one message for a mistake."""

import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tasks import ns

ROOT = Path(__file__).resolve().parent.parent
FAB = str(Path(sys.executable).with_name("fab"))
GOOD = ("536365", "85123A", "LANTERN", 6, "2010-12-01 08:26:00", 2.55, 17850, "UK")


@pytest.fixture
def workplace(tmp_path):
    """A directory to run `fab` in, with the project's tasks and nothing else."""
    (tmp_path / "fabfile.py").write_text("from tasks import ns\n")
    (tmp_path / "settings.toml").write_text((ROOT / "settings.toml").read_text())
    return tmp_path


@pytest.fixture
def fab(workplace, s3_endpoint):
    """A function that runs `fab` to its end, AWS being the embedded server."""

    def run(*words, **more):
        return subprocess.run(
            [FAB, *map(str, words)],
            cwd=workplace,
            env=environment(s3_endpoint) | more,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    return run


def environment(endpoint):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KPI_"))}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    return clean | keys | {"AWS_ENDPOINT_URL": endpoint, "NO_COLOR": "1"}


def test_every_task_says_what_it_does_and_has_help_on_every_flag():
    for name, task in ns.tasks.items():
        first = task.__doc__.splitlines()[0]
        assert first.endswith("."), name
        assert len(first) <= 72, name
        flags = set(inspect.signature(task.body).parameters) - {"_c", "c"}
        assert flags == set(task.help), name


def test_the_readme_has_a_line_for_every_task_and_no_other():
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"\bfab ([a-z][a-z-]+)", readme))
    assert named == set(ns.task_names)


def test_fab_finds_the_tasks_from_the_root_of_the_project():
    done = subprocess.run([FAB, "--list"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in ns.task_names)


def test_etl_writes_a_snapshot_and_says_so_on_stderr(fab, shop, workplace):
    done = fab("etl", "--source", shop(GOOD), "--out", "here")
    assert (done.returncode, done.stdout) == (0, "")
    assert "kept 1 of 1 lines" in done.stderr
    assert "net sales GBP 15.30, 1 orders" in done.stderr
    assert (workplace / "here" / "daily_kpis.csv").exists()


def test_python_m_etl_is_the_same(shop, tmp_path):
    command = [sys.executable, "-m", "etl", "--source", shop(GOOD), "--out", tmp_path / "here"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "here" / "metadata.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["etl"], "no sales file is named"),
        (["etl", "--source", "nowhere.csv"], "nowhere.csv is not there"),
        (["etl", "--source", "settings.toml"], "is of a kind that is not read"),
        (["etl", "--source", "SHOP", "--out", "settings.toml/x"], "cannot write to settings.toml/x"),
        (["etl", "--source", "SHOP", "--layout", "shopware"], "there is no layout 'shopware'"),
        (["demo", "--once", "--source", "nowhere.csv", "--port", "0"], "nowhere.csv is not there"),
        (["demo", "--once", "--port", "high"], "--port high is no port"),
        (["demo", "--once", "--port", "99999"], "port 99999 on 127.0.0.1 is not to be had"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_status_3(fab, shop, words, said):
    path = str(shop(GOOD))
    done = fab(*[path if word == "SHOP" else word for word in words])
    assert done.returncode == 3
    assert said in done.stderr
    assert "expected:" in done.stderr
    assert "to do:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flag", [["--currency", "pounds"], ["--layout", "x"], ["--no-such-flag"]])
def test_python_m_etl_leaves_with_3_on_a_wrong_flag(flag):
    command = [sys.executable, "-m", "etl", "--source", "x.csv", *flag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_wrong_settings_key_stops_every_task_before_it_does_anything(fab, workplace, shop):
    (workplace / "settings.toml").write_text('[s3]\nbuket = "mine"\n')
    done = fab("etl", "--source", shop(GOOD))
    assert done.returncode == 3
    assert "s3.buket: no such setting; did you mean s3.bucket?" in done.stderr
    assert not (workplace / "data").exists()


def test_a_port_in_use_is_known_before_any_work_is_done(fab, workplace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = fab("demo", "--once", "--port", taken.getsockname()[1])
    assert done.returncode == 3
    assert "is not to be had: Address already in use" in done.stderr
    assert not (workplace / ".demo").exists()


def test_etl_sync_publishes_and_the_second_time_uploads_only_metadata_json(fab, shop, new_bucket):
    bucket = {"KPI_S3__BUCKET": new_bucket().bucket}
    path = shop(GOOD)
    planned = fab("etl-sync", "--source", path, "--plan", **bucket)
    assert planned.returncode == 2
    assert planned.stdout.count("new ") == 12
    first = fab("etl-sync", "--source", path, **bucket)
    assert (first.returncode, "12 files uploaded" in first.stdout) == (0, True), first.stderr
    second = fab("etl-sync", "--source", path, **bucket)
    assert (second.returncode, "0 files uploaded (0 bytes), 12 unchanged" in second.stdout) == (0, True)
    nothing = fab("etl-sync", "--source", path, "--plan", **bucket)
    assert (nothing.returncode, "nothing to upload but metadata.json" in nothing.stdout) == (0, True)


def test_published_runs_are_listed_and_gone_back_to(fab, shop, new_bucket):
    bucket = {"KPI_S3__BUCKET": new_bucket().bucket}
    later = ("536366", *GOOD[1:4], "2010-12-02 08:26:00", *GOOD[5:])
    for lines in ([GOOD], [GOOD, later]):
        assert fab("etl-sync", "--source", shop(*lines), **bucket).returncode == 0
    newest, oldest = json.loads(fab("snapshots", "--json", **bucket).stdout)
    assert (newest["current"], newest["data_through"], oldest["current"]) == (True, "2010-12-02", False)
    assert "@" in newest["published_by"]
    planned = fab("snapshot-restore", "--run", oldest["run_id"], "--plan", **bucket)
    assert (planned.returncode, "would go back to" in planned.stdout) == (2, True), planned.stderr
    done = fab("snapshot-restore", "--run", oldest["run_id"], **bucket)
    assert (done.returncode, "went back to" in done.stdout) == (0, True), done.stderr
    table = fab("snapshots", "--limit", "2", **bucket).stdout.splitlines()
    assert len(table) == 3
    assert table[1].startswith(oldest["run_id"])
    assert "current restored by" in table[1]


def test_what_looks_broken_is_refused_with_status_1_and_a_wrong_run_or_count_with_3(fab, shop, new_bucket):
    bucket = {"KPI_S3__BUCKET": new_bucket().bucket}
    later = ("536366", *GOOD[1:4], "2010-12-02 08:26:00", *GOOD[5:])
    fab("etl-sync", "--source", shop(GOOD, later), **bucket)
    refused = fab("etl-sync", "--source", shop(GOOD), **bucket)
    assert (refused.returncode, "the newest day would move back" in refused.stdout) == (1, True)
    for words in (("snapshot-restore", "--run", "nonsense"), ("snapshots", "--limit", "0")):
        done = fab(*words, **bucket)
        assert (done.returncode, done.stderr.count("error:")) == (3, 1)
        assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_gets_no_traceback(workplace, s3_endpoint, new_bucket):
    environ = environment(s3_endpoint) | {"KPI_S3__BUCKET": new_bucket().bucket}
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [FAB, "freshness"],
            cwd=workplace,
            env=environ,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_what_is_in_the_way_of_the_demo_is_named(fab, workplace):
    for name in ("sample.csv", "provision.log", "serve.log"):
        (workplace / ".demo" / name).mkdir(parents=True)
        done = fab("demo", "--once", "--port", "0")
        assert done.returncode == 3
        assert f"cannot write {'the sample shop to ' if name == 'sample.csv' else ''}.demo/{name}" in done.stderr
        assert "Traceback" not in done.stderr
        (workplace / ".demo" / name).rmdir()


def test_planning_changes_nothing(fab, shop, new_bucket, workplace):
    store = new_bucket()
    fab("etl-sync", "--source", shop(GOOD), "--plan", KPI_S3__BUCKET=store.bucket)
    assert store.published().etag is None
    assert not (workplace / "data").exists()


def test_an_s3_that_is_not_there_is_known_before_the_work_and_leaves_the_local_snapshot(
    fab, shop, closed_port, workplace
):
    done = fab("etl-sync", "--source", shop(GOOD), AWS_ENDPOINT_URL=f"http://127.0.0.1:{closed_port}")
    assert done.returncode == 3
    assert "reading s3://project02-kpi-ecommerce/processed/metadata.json" in done.stderr
    assert [path.name for path in (workplace / "data").iterdir()] == ["audit"]
    (line,) = (workplace / "data" / "audit").iterdir()  # what was tried is noted, and waits for the bucket
    assert json.loads(line.read_text())["outcome"] == "failed"


def test_uptime_report_prints_json_and_nothing_else(fab, workplace):
    (workplace / "uptime").mkdir()
    done = fab("uptime-report", "--at", "2026-11-22T12:00:00Z", "--json")
    assert done.returncode == 0
    assert done.stdout.startswith("{")


def test_uptime_check_of_a_page_that_is_not_there_records_it_and_exits_with_1(fab, workplace, closed_port):
    (workplace / "settings.toml").write_text(
        f'[uptime]\ncontrol_urls = []\n[[uptime.targets]]\nname = "gone"\nurl = "http://127.0.0.1:{closed_port}"\n'
    )
    done = fab("uptime-check")
    assert done.returncode == 1
    assert "gone: down" in done.stdout
    assert "down" in (workplace / "uptime.md").read_text()


# --- the demo --------------------------------------------------------------------------------------------------------


def test_the_demo_tells_seven_stages_and_leaves_a_report_that_says_up(fab, workplace, closed_port):
    persons = {"AWS_PROFILE": "not-there", "AWS_ENDPOINT_URL_EC2": f"http://127.0.0.1:{closed_port}"}
    done = fab("demo", "--once", "--port", "0", AWS_ENDPOINT_URL=f"http://127.0.0.1:{closed_port}", **persons)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stderr.splitlines() if line.startswith("[")] == ["ok"] * 7
    last = done.stdout.splitlines()[-9:]
    assert [line.split()[0] for line in last] == [
        *("stage", "sample", "etl", "provision", "publish", "serve", "probe", "report", "total"),
    ]
    report = (workplace / ".demo" / "uptime.md").read_text()
    assert "Everything is up" in report
    assert "Freshness: `fresh: " in report
    (provisioned,) = [line for line in done.stderr.splitlines() if " provision " in line]
    assert "moto left out 11 Alarm, 1 EIPAssociation, 6 MetricFilter, 1 BucketPolicy, 1 TopicPolicy" in provisioned
    assert "and the bucket's versioning, set since" in provisioned
    log = (workplace / ".demo" / "provision.log").read_text()
    (of,) = re.findall(r" of the stack's (\d+) resources", provisioned)
    assert f"{of} to add" in log


def test_a_demo_on_ones_own_sales_shows_them(fab, sample_csv):
    done = fab("demo", "--once", "--source", sample_csv, "--port", "0")
    assert done.returncode == 0, done.stderr
    assert "net sales GBP" in done.stderr
    assert "sample.csv was given" in done.stderr


@pytest.fixture
def running_demo(workplace, s3_endpoint):
    """`fab demo` in a process group of its own, up to the line with its URL."""
    process = subprocess.Popen(
        [FAB, "demo", "--port", "0"],
        cwd=workplace,
        env=environment(s3_endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    url = None
    for line in process.stdout:
        if match := re.search(r"The dashboard is at (http://\S+)", line):
            url = match.group(1)
            break
    assert url, "the demo ended without a URL"
    yield process, url
    process.kill()
    process.wait()
    process.stdout.close()


def children(pid):
    """Processes started by a process, in any session."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in (line.split() for line in listed.splitlines()) if int(parent) == pid]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone_within(pids, seconds):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_everything_that_the_demo_started(running_demo, number):
    process, url = running_demo
    assert urllib.request.urlopen(f"{url}/readyz").status == 200
    started = children(process.pid)
    assert started
    process.send_signal(number)
    assert process.wait(30) == 0
    assert gone_within(started, 5)


def test_a_demo_that_is_killed_leaves_no_dashboard_behind(running_demo):
    process, _ = running_demo
    started = children(process.pid)
    process.kill()
    process.wait()
    assert gone_within(started, 15)


def test_a_dashboard_that_dies_ends_the_demo_with_its_last_lines(running_demo):
    process, _ = running_demo
    (server,) = children(process.pid)
    os.kill(server, signal.SIGKILL)
    said = process.stdout.read()
    assert process.wait(30) == 3
    assert "the dashboard ended with status -9" in said
