"""What the operator types first: `fab status` and `fab doctor`, whole processes, with everything there to be asked.

A host with a release that serves (real systemd and SSH, in namespaces of this machine), the stack standing in the
embedded AWS, the same snapshot published there and shown on the page, a month of looks at the page, and a GitHub that
knows the schedule. AWS and GitHub answer from this machine, on the same CPUs: first without delay, then with every
answer of AWS later, as a network would have it.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from ops.embedded import aws_server, point_aws_at
from ops.rehearse.variants import packed, variants
from ops.settings import Settings
from ops.stack import outputs
from ops.uptime.probe import Result
from ops.uptime.record import Sample
from tests.bench.measure import run
from tests.github_stand_in import REPOSITORY, TOKEN, GitHub
from tests.host import life
from tests.host.machine import Host
from tests.host.place import Place, why_not
from tests.moto_stack import standing_stack

ROOT = Path(__file__).resolve().parents[2]
FAB = str(Path(sys.executable).with_name("fab"))
RUNS = 5
GOALS_S = {"status": 3, "doctor": 5}
FAR_S = 0.05
ENDS = (0, 1)  # all is well; something is not, which is told below the table
UNTOLD = "cannot tell"
PORT = 8501
SNAPSHOT = "/srv/snapshot"
CADENCE = timedelta(minutes=30)
LOOKS = 30 * 48
CREDITS = 144.0


@dataclass(frozen=True)
class Desk:
    """Where the operator sits: a checkout, and the environment that leads to host, AWS and GitHub."""

    directory: Path
    environ: dict
    far: str

    def fab(self, *words, ends=(0,)):
        """Run a command to its end; what it printed."""
        done = subprocess.run(
            [FAB, *words], cwd=self.directory, env=self.environ, capture_output=True, text=True, check=False
        )
        if done.returncode not in ends:
            sys.exit(f"fab {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done.stdout

    def measured(self, word, *, far):
        """A whole process, start-up included; and how many of its lines say that it could not tell."""
        environ = self.environ | ({"AWS_ENDPOINT_URL": self.far} if far else {})
        printed = self.directory.parent / "printed"
        found = run([FAB, word], self.directory, environ=environ, ends=ENDS, out=printed)
        return found, sum(UNTOLD in line for line in printed.read_text().splitlines())


class Schedule(GitHub):
    """A GitHub whose workflow ran a moment ago."""

    def _doors(self):
        place = "GET actions/workflows/uptime.yml"
        ran = {"created_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "conclusion": "success", "status": "completed"}
        return {
            place: lambda _: (200, {"state": "active"}, {}),
            f"{place}/runs": lambda _: (200, {"workflow_runs": [ran]}, {}),
        }


def operator(directory):
    """The table. Needs a machine that can boot hosts."""
    reason = why_not()
    if reason:
        sys.exit(f"no hosts can be booted here: {reason}")
    with _desk(directory) as desk:
        found = json.loads(desk.fab("doctor", "--json", ends=ENDS))["checks"]
        desk.fab("status", ends=ENDS)
        runs = {(word, far): [] for far in (False, True) for word in GOALS_S}
        for _ in range(RUNS):
            for (word, far), each in runs.items():
                each.append(desk.measured(word, far=far))
    print(
        f"## What the operator types first\n\nWhole processes, {RUNS} of each in turn; doctor: {len(found)} checks.\n"
    )
    print(table(runs), end="\n\n")
    for check in found:
        if check["state"] != "ok":
            print(f"doctor, {check['state']}: {check['group']}/{check['check']}: {check['seen']}")


def table(runs):
    """Markdown, a line for each command near to AWS and far from it."""
    lines = [
        "| | wall s, median | worst | CPU s | exit status | could not be told, at most | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for (word, far), each in runs.items():
        walls = [one.wall_s for one, _ in each]
        cpu_s = statistics.median(one.cpu_s for one, _ in each)
        ended = ", ".join(map(str, sorted({one.status for one, _ in each})))
        untold = max(count for _, count in each)
        name = f"`fab {word}`" + (f", every answer of AWS {FAR_S * 1000:.0f} ms later" if far else "")
        lines.append(
            f"| {name} | {statistics.median(walls):.2f} | {max(walls):.2f} | {cpu_s:.2f} | {ended} | {untold} | "
            f"{GOALS_S[word]} |"
        )
    return "\n".join(lines)


# --- what there is to look at ----------------------------------------------------------------------------------------


@contextmanager
def _desk(directory):
    """A desk with everything set up; the host is taken down at the end."""
    (directory / "copy").mkdir()
    copy = variants(ROOT, os.environ.get("KPI_BENCH_REF", "HEAD"), directory / "copy", dict(os.environ))
    place = Place.of(os.environ)
    life.sweep(place)
    github = Schedule()
    host = Host(place, life.up(place, "operator", owned=True))
    try:
        wanted = _wanted(host)
        with _account(wanted) as account, aws_server() as endpoint, _far_aws() as far:
            _tell_credits(account)
            _keep_outputs(account, copy.directory)
            desk = Desk(copy.directory, _environ(wanted, endpoint, account.region, github.api), far)
            _set_up(desk, host)
            yield desk
    finally:
        host.down()
        github.stop()


def _wanted(host):
    """What the operator has set, by the names of the environment."""
    target = {"name": "dashboard", "url": f"http://{host.address}:{PORT}", "min": {"metric": 5}}
    return {
        "KPI_HOST__ADDRESS": host.address,
        "KPI_HOST__USER": host.user,
        "KPI_HOST__KEY": host.key,
        "KPI_HOST__KNOWN_HOSTS": host.known_hosts,
        "KPI_HOST__WATCH_S": "0",
        "KPI_HOST__ENVIRONMENT": json.dumps({"KPI_DASHBOARD__STORE": SNAPSHOT}),
        "KPI_UPTIME__TARGETS": json.dumps([target]),
        "KPI_ALERTS__REPOSITORY": REPOSITORY,
        "KPI_STACK__ALARM_EMAIL": "ops@shop.example",
        "KPI_STACK__ADMIN_NETWORKS": '["203.0.113.7/32"]',
    }


@contextmanager
def _account(wanted):
    """The stack of these settings, standing in this process's moto, whose server shows it to others."""
    stack = {
        "alarm_email": wanted["KPI_STACK__ALARM_EMAIL"],
        "admin_networks": json.loads(wanted["KPI_STACK__ADMIN_NETWORKS"]),
    }
    with standing_stack(Settings(stack=stack), _without_tls) as account:
        yield account


@contextmanager
def _far_aws():
    """The same account behind a server that takes its time, as a network does."""
    app = DomainDispatcherApplication(create_backend_app)

    def answer(environ, start_response):
        time.sleep(FAR_S)
        return app(environ, start_response)

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def _without_tls(resources):
    """The bucket's policy refuses who comes without TLS, which moto's server has none of."""
    for name in [name for name, said in resources.items() if said["Type"] == "AWS::S3::BucketPolicy"]:
        del resources[name]


def _environ(wanted, endpoint, region, github):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KPI_")}
    point_aws_at(endpoint, environ)
    ours = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "GITHUB_API_URL": github, "GITHUB_TOKEN": TOKEN}
    return environ | ours | wanted


def _tell_credits(account):
    """The figure that CloudWatch has of a burstable instance."""
    datum = {
        "MetricName": "CPUCreditBalance",
        "Dimensions": [{"Name": "InstanceId", "Value": account.ids["Instance"]}],
        "Timestamp": datetime.now(UTC) - timedelta(minutes=5),
        "Value": CREDITS,
    }
    account.clients.cloudwatch.put_metric_data(Namespace="AWS/EC2", MetricData=[datum])


def _keep_outputs(account, directory):
    """As `fab provision` leaves them: by them the other commands know that there is a stack."""
    name = account.settings.stack.name
    said = account.clients.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    told = outputs.Outputs(name, said["StackId"], "", account.region, outputs.values(said))
    (directory / "data").mkdir(exist_ok=True)
    outputs.keep(told, directory / "data" / "stack.json", datetime.now(UTC))


def _set_up(desk, host):
    """Sales of yesterday published and on the host, a release that shows them, and a record of looks at it."""
    from etl.sample import write

    write(desk.directory / "sample.csv", datetime.now(UTC).date() - timedelta(days=1))
    desk.fab("etl-sync", "--source", "sample.csv", "--out", "data/processed")
    snapshot = packed(desk.directory / "data" / "processed")
    host.run(f"mkdir {SNAPSHOT} && tar -C {SNAPSHOT} -xf - && chmod -R a+rX {SNAPSHOT}", snapshot, check=True)
    desk.fab("bootstrap")
    desk.fab("deploy")
    _look_for_a_month(desk.directory / "uptime")
    desk.fab("uptime-check")


def _look_for_a_month(directory):
    directory.mkdir(exist_ok=True)
    now = datetime.now(UTC).replace(microsecond=0)
    result = Result("up", None, None, None, {"dns": 1, "tcp": 9, "ttfb": 14, "body": 1, "ws": 11, "script": 230})
    for number in range(LOOKS, 0, -1):
        sample = Sample(at=now - number * CADENCE, target="dashboard", by="github", run=None, result=result)
        with (directory / f"{sample.at:%Y-%m}.jsonl").open("ab") as file:
            file.write(sample.to_line())
