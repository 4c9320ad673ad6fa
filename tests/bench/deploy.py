"""The same dashboard deployed by us, by pyinfra and by ansible, on hosts that are alike: times, bytes, what is noticed.

The two others do what their guides teach: the archive of a commit, a venv, `systemctl restart` where something has
changed; each in the faster of the ways that its documentation gives. Ours does not watch for a minute after the switch
here: the others do not either.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.client import HTTPException
from pathlib import Path

from websockets.exceptions import WebSocketException

from ops.rehearse.load import Target
from ops.rehearse.loading import loading
from ops.rehearse.variants import packed, variants
from tests.host import life
from tests.host.machine import Host
from tests.host.place import Place, why_not
from tests.visitor import Visitor

ROOT = Path(__file__).resolve().parents[2]
DEPLOYERS = Path(__file__).with_name("deployers")
PEERS = ROOT / ".venv-peers" / "bin"
RUNS = 3
PORT = 8501
UP_WITHIN_S = 120
AFTERWARDS_S = 3
SNAPSHOT = "/srv/snapshot"
SHIPPED = ("dashboard", "etl", "ops", "templates", "requirements", "settings.toml", "pyproject.toml", "LICENSE")
LOCK = "requirements/host.txt"


@dataclass(frozen=True)
class Deployer:
    """One way to deploy: commands for a host, run in a directory, with variables."""

    name: str
    set_up: object
    deploy: object


@dataclass
class Measured:
    """What was measured of one deployer, a value for each run."""

    set_up_s: float = 0
    first_s: list = field(default_factory=list)
    changed_s: list = field(default_factory=list)
    served_s: list = field(default_factory=list)
    unchanged_s: list = field(default_factory=list)
    first_bytes: list = field(default_factory=list)
    changed_bytes: list = field(default_factory=list)
    unchanged_bytes: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    worst_s: list = field(default_factory=list)
    lost: list = field(default_factory=list)


def deploy(directory):
    """The table. Needs a machine that can boot hosts, and .venv-peers."""
    reason = why_not()
    if reason:
        sys.exit(f"no hosts can be booted here: {reason}")
    (directory / "copy").mkdir()
    copy = variants(ROOT, os.environ.get("KPI_BENCH_REF", "HEAD"), directory / "copy", dict(os.environ))
    snapshot = _snapshot(directory)
    place = Place.of(os.environ)
    life.sweep(place)
    found = {each.name: _measure(each, place, copy, snapshot) for each in (OURS, PYINFRA, ANSIBLE)}
    print(f"## Deploys of the dashboard to a host of one CPU and 1 GiB\n\nMedians of {RUNS}.\n")
    print(table(found), end="\n\n")


def _snapshot(directory):
    """A snapshot of the sample shop, as a tar."""
    from etl.layouts import ONLINE_RETAIL
    from etl.run import Job, run
    from etl.sample import write
    from etl.store import DirectoryStore

    write(directory / "sample.csv", date(2026, 11, 21))
    store = DirectoryStore(directory / "snapshot")
    with store.staging() as staged:
        now = datetime(2026, 11, 22, 6, tzinfo=UTC)
        store.adopt(run([directory / "sample.csv"], Job(ONLINE_RETAIL, "GBP", now, "bench"), staged), staged)
    return packed(directory / "snapshot")


def _measure(deployer, place, copy, snapshot):
    """Set up once; then deploy to RUNS hosts that start from that; the rest on the last of them."""
    found, image = Measured(), f"bench{os.getpid() % 100_000}"
    blank = Host(place, life.up(place, "bench", owned=True))
    try:
        blank.run(f"mkdir {SNAPSHOT} && tar -C {SNAPSHOT} -xf - && chmod -R a+rX {SNAPSHOT}", snapshot, check=True)
        found.set_up_s = _timed(lambda: deployer.set_up(blank, copy))
        blank.snapshot(image)
    finally:
        blank.down()
    try:
        for number in range(RUNS):
            host = Host(place, life.up(place, f"bench-{number}", image=image, owned=True))
            try:
                _first(deployer, host, copy, found)
                if number == RUNS - 1:
                    _further(deployer, host, copy, found)
            finally:
                host.down()
    finally:
        life.forget(place, image)
    return found


def _first(deployer, host, copy, found):
    """A first deploy ends when the page is served."""
    before = sum(host.bytes_both_ways())
    began = time.perf_counter()
    deployer.deploy(host, copy)
    _wait_for(host)
    found.first_s.append(time.perf_counter() - began)
    found.first_bytes.append(sum(host.bytes_both_ways()) - before)


def _further(deployer, host, copy, found):
    """Changed and unchanged in turn while nobody looks, for times and bytes; then changed ones under load."""
    for number in range(RUNS):
        copy.good(time.time_ns())
        began = time.perf_counter()
        _once(deployer, host, copy, found.changed_s, found.changed_bytes)
        _wait_for(host)
        found.served_s.append(time.perf_counter() - began)
        _once(deployer, host, copy, found.unchanged_s, found.unchanged_bytes)
        print(f"{deployer.name}: {number + 1} of {RUNS}", file=sys.stderr)
    for _ in range(RUNS):
        copy.good(time.time_ns())
        with loading(Target(host.address, PORT)) as load:
            deployer.deploy(host, copy)
            _wait_for(host)
            time.sleep(AFTERWARDS_S)
            met = load.end()
        found.failed.append(len(met.failed))
        found.requests.append(met.requests)
        found.worst_s.append(met.worst_s)
        found.lost.append(len(met.lost) + len(met.cut))


def _once(deployer, host, copy, seconds, sent):
    before = host.bytes_both_ways()[0]
    seconds.append(_timed(lambda: deployer.deploy(host, copy)))
    sent.append(host.bytes_both_ways()[0] - before)


def _timed(what):
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def _wait_for(host):
    """Until a visitor's page has run to its end: that a server answers is not yet a page."""
    until_s = time.monotonic() + UP_WITHIN_S
    while not _page_runs(host):
        if time.monotonic() > until_s:
            said = host.run("systemctl list-units 'kpi*' 'dashboard*'; journalctl -n 30 --no-pager").out
            sys.exit(f"{host} does not serve:\n{said}")
        time.sleep(0.1)


def _page_runs(host):
    try:
        with Visitor(host.address, PORT) as visitor:
            return bool(visitor.run())
    except (OSError, HTTPException, WebSocketException):
        return False


def _run(argv, directory, **variables):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KPI_HOST")}
    done = subprocess.run(
        argv,
        cwd=directory,
        env={**environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


# --- ours ------------------------------------------------------------------------------------------------------------


def _fab(host, copy, *argv):
    variables = {
        "KPI_HOST__ADDRESS": host.address,
        "KPI_HOST__USER": host.user,
        "KPI_HOST__KEY": host.key,
        "KPI_HOST__KNOWN_HOSTS": host.known_hosts,
        "KPI_HOST__WATCH_S": "0",
        "KPI_HOST__ENVIRONMENT": f'{{"KPI_DASHBOARD__STORE": "{SNAPSHOT}"}}',
    }
    _run([str(Path(sys.executable).with_name("fab")), *argv], copy.directory, **variables)


OURS = Deployer(
    "kpi-ops",
    lambda host, copy: _fab(host, copy, "bootstrap"),
    lambda host, copy: _fab(host, copy, "deploy"),
)


# --- the two others --------------------------------------------------------------------------------------------------


def _archived(copy):
    """The archive of the newest commit, as both others ship it; and its lock beside it. The same bytes each time."""
    place = copy.directory.parent / "archive"
    place.mkdir(exist_ok=True)
    archive = place / "app.tar.gz"
    _run(["git", "archive", "--format=tar.gz", "-o", str(archive), "HEAD", *SHIPPED], copy.directory)
    shutil.copy(copy.directory / LOCK, place / "requirements.txt")
    return archive, place / "requirements.txt"


def _ssh_options(host):
    return f"-o UserKnownHostsFile={host.known_hosts} -o StrictHostKeyChecking=yes"


def _ansible(host, copy, playbook, *extra):
    inventory = f"{host.address},"
    argv = [str(PEERS / "ansible-playbook"), "-i", inventory, "-u", host.user, "--private-key", host.key, *extra]
    control = copy.directory.parent / "ansible"
    _run(
        [*argv, playbook],
        DEPLOYERS,
        ANSIBLE_CONFIG=str(DEPLOYERS / "ansible.cfg"),
        ANSIBLE_SSH_EXTRA_ARGS=_ssh_options(host),
        ANSIBLE_HOME=str(control),
    )


def _ansible_deploy(host, copy):
    archive, lock = _archived(copy)
    _ansible(host, copy, "ansible_deploy.yml", "-e", f"archive={archive}", "-e", f"lock={lock}")


ANSIBLE = Deployer("ansible-core", lambda host, copy: _ansible(host, copy, "ansible_setup.yml"), _ansible_deploy)


def _pyinfra(host, _copy, script, **data):
    known = [f"ssh_known_hosts_file={host.known_hosts}", "ssh_strict_host_key_checking=yes"]
    given = [part for each in (*known, *(f"{key}={value}" for key, value in data.items())) for part in ("--data", each)]
    argv = [str(PEERS / "pyinfra"), "-y", "--user", host.user, "--key", host.key, *given, host.address, script]
    _run(argv, DEPLOYERS)


def _pyinfra_deploy(host, copy):
    archive, lock = _archived(copy)
    _pyinfra(host, copy, "pyinfra_deploy.py", archive=archive, lock=lock)


PYINFRA = Deployer("pyinfra", lambda host, copy: _pyinfra(host, copy, "pyinfra_setup.py"), _pyinfra_deploy)


def table(found):
    """Markdown, a column for each deployer; and ours against the better of the others, where less is better."""
    names = list(found)
    rows = [
        ("set up a blank host, s (once)", lambda each: each.set_up_s, "{:.1f}"),
        ("first deploy, s", lambda each: statistics.median(each.first_s), "{:.1f}"),
        ("changed deploy, s", lambda each: statistics.median(each.changed_s), "{:.2f}"),
        ("until a visitor's page has run, s", lambda each: statistics.median(each.served_s), "{:.2f}"),
        ("unchanged deploy, s", lambda each: statistics.median(each.unchanged_s), "{:.2f}"),
        ("first deploy, MB both ways", lambda each: statistics.median(each.first_bytes) / 1e6, "{:.1f}"),
        ("changed deploy, kB to the host", lambda each: statistics.median(each.changed_bytes) / 1e3, "{:.0f}"),
        ("unchanged deploy, kB to the host", lambda each: statistics.median(each.unchanged_bytes) / 1e3, "{:.1f}"),
        ("requests while a changed one runs", lambda each: statistics.median(each.requests), "{:.0f}"),
        ("of these failed", lambda each: statistics.median(each.failed), "{:.0f}"),
        ("worst wait, s", lambda each: statistics.median(each.worst_s), "{:.2f}"),
        ("of 6 sessions lost", lambda each: statistics.median(each.lost), "{:.0f}"),
    ]
    lines = [f"| | {' | '.join(names)} | ours / the better |", "|---" * (len(names) + 2) + "|"]
    for title, value, form in rows:
        values = [value(found[name]) for name in names]
        ratio = f"**{values[0] / min(values[1:]):.2f}**" if min(values[1:]) else ""
        lines.append(f"| {title} | {' | '.join(form.format(each) for each in values)} | {ratio} |")
    return "\n".join(lines)
