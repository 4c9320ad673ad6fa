"""The workflows: every script of theirs is run in a clean clone, and what they may do is as little as they need."""

import json
import re
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from ops.settings import Settings
from tests.aws_stand_in import INSTANCE, OneHost
from tests.deployed import DATA
from tests.git_places import git
from tests.workflow_runner import BIN, ROOT, WORKFLOWS, Runner, clean_clone, scripts, workflow

NAMES = sorted(file.stem for file in WORKFLOWS.glob("*.yml"))
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
WAITS = {"FORCE": "", "PLAN": ""}


def program(name):
    """A program of the lock's; on a machine for which there is none the tests that need it are left out."""
    if not (BIN / name).exists():
        pytest.skip(f"{name} is not in .venv: `make setup`, where there is one for this machine")
    return str(BIN / name)


def output(*words):
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stdout


# --- what others say of them


def test_actionlint_and_shellcheck_find_nothing():
    files = [str(WORKFLOWS / f"{name}.yml") for name in NAMES]
    words = [program("actionlint"), "-no-color", "-shellcheck", program("shellcheck"), "-pyflakes=", *files]
    assert output(*words) == (0, "")


def test_shellcheck_finds_nothing_in_what_ci_runs():
    assert output(program("shellcheck"), str(ROOT / ".ci" / "run")) == (0, "")


def zizmor(place):
    return output(program("zizmor"), "--offline", "--persona", "pedantic", "--no-progress", "--format", "json", place)


def test_zizmor_finds_nothing_even_as_a_pedant():
    status, found = zizmor(str(ROOT / ".github"))
    assert json.loads(found) == []
    assert status == 0


def test_zizmor_would_find_what_is_wrong(tmp_path):
    place = tmp_path / ".github" / "workflows"
    place.mkdir(parents=True)
    text = (WORKFLOWS / "etl.yml").read_text()
    (place / "etl.yml").write_text(
        re.sub(r"@[0-9a-f]{40} # v[0-9.]+", "@v4", text).replace('-- "$SOURCE"', "${{ inputs.source }}")
    )
    _, found = zizmor(str(tmp_path))
    assert {"unpinned-uses", "template-injection"} <= {each["ident"] for each in json.loads(found)}


# --- what they may do


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_no_right_but_those_of_its_jobs_and_ends_some_day(name):
    said = workflow(name)
    assert said["permissions"] == {}
    assert "cancel-in-progress" in said["concurrency"]
    for job in said["jobs"].values():
        assert "permissions" in job
        assert 0 < int(job["timeout-minutes"]) <= 90
    writes = {right for job in said["jobs"].values() for right, how in job["permissions"].items() if how == "write"}
    allowed = {"ci": set(), "etl": {"id-token"}, "deploy": {"id-token"}, "uptime": {"id-token", "contents", "issues"}}
    assert writes == allowed[name]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_pinned_to_a_commit_with_its_version_beside(name):
    used = re.findall(r"uses: *(.*)", (WORKFLOWS / f"{name}.yml").read_text())
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+", action) for action in used)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_from_outside_is_put_into_a_script(name):
    steps = [step for job in workflow(name)["jobs"].values() for step in job["steps"]]
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]


@pytest.mark.parametrize("name", NAMES)
def test_no_key_of_aws_is_kept_in_the_repository(name):
    text = (WORKFLOWS / f"{name}.yml").read_text()
    secrets = set(re.findall(r"secrets\.(\w+)", text))
    assert secrets <= {"UPTIME_WEBHOOK", "UPTIME_PROBE_TOKEN", "UPTIME_PING_URL"}
    assert "aws-access-key-id" not in text


def test_the_environments_are_those_that_the_stack_trusts():
    github = Settings().stack.github
    assert workflow("etl")["jobs"]["publish"]["environment"]["name"] == github.etl_environment
    assert workflow("deploy")["jobs"]["deploy"]["environment"] == github.deploy_environment


def test_dependabot_looks_after_actions_and_locks():
    said = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert {each["package-ecosystem"] for each in said["updates"]} == {"github-actions", "pip"}


# --- their scripts


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Everything as it lies here, committed."""
    return clean_clone(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize(
    ("name", "job", "step"),
    [("ci", "test", "Run what .ci/run runs"), ("ci", "audit", "Ask what is known of every locked version")],
)
def test_ci_calls_what_there_is(project, tmp_path, name, job, step):
    """`make` only says what it would run: the suite is not run within itself."""
    runner = Runner(project, tmp_path / "runner", MAKEFLAGS="n", CI="true")
    runner.program("sudo", '#!/bin/sh\nshift\nexec "$@"\n')
    done = runner.run(scripts(name, job)[step])
    assert done.returncode == 0, done.stderr
    wanted = ["ruff check", "mypy", "-m pytest"] if job == "test" else ["pip-audit"]
    assert [word for word in wanted if word not in done.stdout] == []


def test_the_install_step_of_the_others_is_a_target_of_make(project, tmp_path):
    for name, job in (("etl", "publish"), ("deploy", "deploy")):
        runner = Runner(project, tmp_path / name, MAKEFLAGS="n")
        done = runner.run(scripts(name, job)["Install"])
        assert done.returncode == 0, done.stderr


# --- etl


@pytest.fixture
def bucket(new_bucket):
    return new_bucket()


@pytest.fixture
def etl(project, tmp_path, s3_endpoint, bucket):
    """A runner with the etl role."""
    return Runner(project, tmp_path / "runner", AWS_ENDPOINT_URL=s3_endpoint, KPI_S3__BUCKET=bucket.bucket, **KEYS)


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    from etl.sample import write

    file = tmp_path_factory.mktemp("sales") / "sales.csv"
    write(file, datetime.now(UTC).date() - timedelta(days=1))
    return file


def records(bucket):
    """What was noted in the bucket."""
    listed = bucket.client.list_objects_v2(Bucket=bucket.bucket, Prefix="ops/audit/").get("Contents", [])
    return [
        json.loads(bucket.client.get_object(Bucket=bucket.bucket, Key=each["Key"])["Body"].read()) for each in listed
    ]


def test_sales_in_s3_are_published_judged_and_noted(etl, bucket, sales):
    aws = ROOT / ".venv-peers" / "bin" / "aws"
    if not aws.exists():
        pytest.skip("there is no aws: make peers")
    etl.program("aws", f'#!/bin/sh\nexec {aws} "$@"\n')
    bucket.client.upload_file(str(sales), bucket.bucket, "raw/sales.csv")
    steps = scripts("etl", "publish")
    fetched = etl.run(steps["Fetch the sales"], SOURCE=f"s3://{bucket.bucket}/raw/sales.csv")
    assert fetched.returncode == 0, fetched.stderr
    planned = etl.run(steps["Compute and publish"], **WAITS | {"PLAN": "yes"})
    assert planned.returncode == 0, planned.stderr
    assert bucket.published().manifest is None
    done = etl.run(steps["Compute and publish"], **WAITS)
    assert done.returncode == 0, done.stderr
    manifest = bucket.published().manifest
    assert manifest.published_by == "ann by GitHub Actions, ann/shop run 1234567"
    judged = etl.run(steps["Judge what is published"])
    assert judged.returncode == 0, judged.stdout
    (line,) = records(bucket)
    assert (line["what"], line["outcome"], line["to"], line["from"]) == ("etl-sync", "done", manifest.run_id, "")


def test_sales_at_an_address_are_fetched(etl, sales, tmp_path):
    certificate = self_signed(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: SimpleHTTPRequestHandler(*a, directory=str(sales.parent)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    step = scripts("etl", "publish")["Fetch the sales"]
    etl.environ["CURL_CA_BUNDLE"] = str(certificate)
    done = etl.run(step, SOURCE=f"https://localhost:{server.server_port}/sales.csv?token=a/b")
    missing = etl.run(step, SOURCE=f"https://localhost:{server.server_port}/none.csv")
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr
    assert (etl.temp / "sales" / "sales.csv").read_bytes() == sales.read_bytes()
    assert missing.returncode != 0


def self_signed(place):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = place / "both.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize("source", ["", "http://example.com/a.csv", "file:///etc/passwd", "../settings.toml"])
def test_a_source_of_another_kind_is_refused_with_what_is_expected(etl, source):
    done = etl.run(scripts("etl", "publish")["Fetch the sales"], SOURCE=source)
    assert done.returncode == 1
    assert "https://... or s3://BUCKET/KEY is expected" in done.stdout


def test_sales_that_look_broken_make_the_job_red_unless_it_is_forced(etl, bucket, sales):
    place = etl.temp / "sales"
    place.mkdir()
    step = scripts("etl", "publish")["Compute and publish"]
    (place / "sales.csv").write_bytes(sales.read_bytes())
    assert etl.run(step, **WAITS).returncode == 0
    first = bucket.published().manifest.run_id
    (place / "sales.csv").write_bytes(b"\n".join(sales.read_bytes().splitlines()[:2000]) + b"\n")
    refused = etl.run(step, **WAITS)
    assert refused.returncode == 1
    assert "refused: this snapshot looks broken" in refused.stdout
    assert bucket.published().manifest.run_id == first
    assert etl.run(step, **WAITS | {"FORCE": "yes"}).returncode == 0
    assert [line["outcome"] for line in records(bucket)] == ["done", "refused", "done"]


# --- deploy

RELAY = f"""#!{sys.executable}
import os, socket, sys, threading
there = socket.create_connection((os.environ["HOST_ADDRESS"], 22))
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
threading.Thread(target=up, daemon=True).start()
assert sys.argv[1:5] == ["ssm", "start-session", "--target", "{INSTANCE}"], sys.argv
while data := there.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def cloud(operator):
    server = OneHost(operator.host)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def deploying(project, tmp_path, operator, cloud, s3_endpoint, new_bucket):
    """A runner with the deploy role: its only way to the host is SSM."""
    runner = Runner(
        project,
        tmp_path / "runner",
        AWS_ENDPOINT_URL=s3_endpoint,
        AWS_ENDPOINT_URL_EC2=cloud.address,
        AWS_ENDPOINT_URL_SSM=cloud.address,
        HOST_ADDRESS=operator.host.address,
        HOME=str(tmp_path),
        KPI_S3__BUCKET=new_bucket().bucket,
        KPI_HOST__USER=operator.host.user,
        KPI_HOST__ENVIRONMENT=json.dumps({"KPI_DASHBOARD__STORE": DATA}),
        KPI_HOST__WATCH_S="0.1",
        KPI_HOST__DRAIN_MINUTES="1",
        **KEYS,
    )
    runner.environ.pop("SSH_AUTH_SOCK", None)
    runner.program("aws", RELAY)
    return runner


def test_a_tag_is_deployed_through_ssm_without_a_key_and_undone_where_a_visitor_sees_no_page(
    deploying, operator, cloud, closed_port
):
    steps = scripts("deploy", "deploy")
    host = operator.host
    before = operator.current()
    # Whoever else may log in still can, and a key of an earlier run goes.
    keys = f"/home/{host.user}/.ssh/authorized_keys"
    host.run(f"echo 'restrict,expiry-time=\"20200101000000\" ssh-ed25519 AAAA kpi-ops-short-key' >> {keys}", check=True)
    let_in = deploying.run(steps["Get in for an hour"])
    assert let_in.returncode == 0, let_in.stderr
    assert len(cloud.sent) == 1
    lines = host.run(f"cat {keys}", check=True).out.splitlines()
    assert len([line for line in lines if "kpi-ops-short-key" in line]) == 1
    assert host.run(f"stat -c '%U %a' {keys}").out == f"{host.user} 600\n"

    done = deploying.run(steps["Deploy"])
    assert done.returncode == 0, done.stdout + done.stderr
    after = operator.current()
    assert after != before
    assert git(deploying.clone, "rev-parse", "--short=7", "HEAD")[:7] in after
    page = f"http://{host.address}:{Settings().dashboard.port}/"
    seen = deploying.run(steps["Look at it as a visitor"], PAGE=page)
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert f"serves     {after}" in seen.stdout
    assert "published  cannot tell: " in seen.stdout  # nothing is, in this bucket

    missed = deploying.run(steps["Look at it as a visitor"], PAGE=f"http://127.0.0.1:{closed_port}/")
    assert missed.returncode != 0
    back = deploying.run(steps["Go back"])
    assert back.returncode == 0, back.stdout + back.stderr
    assert operator.current() == before
    told = deploying.run({"run": ".venv/bin/fab history --json"})
    changes = json.loads(told.stdout)["changes"]
    mine = [(c["what"], c["from"], c["to"], c["outcome"]) for c in changes if "run 1234567" in c["who"]]
    assert mine == [("rollback", after, before, "done"), ("deploy", before, after, "done")]


def test_two_ways_of_looking_at_once_are_refused(deploying):
    done = deploying.run({"run": ".venv/bin/fab status --json --watch"})
    assert done.returncode == 3
    assert "--json and --watch were given" in done.stderr


def test_going_back_is_done_only_where_the_visit_failed():
    steps = {step["name"]: step for step in workflow("deploy")["jobs"]["deploy"]["steps"] if "name" in step}
    assert steps["Look at it as a visitor"]["id"] == "visit"
    assert steps["Go back"]["if"] == "failure() && steps.visit.outcome == 'failure'"


def test_a_short_key_lets_in_no_longer_than_it_says(deploying, operator):
    steps = scripts("deploy", "deploy")
    assert deploying.run(steps["Get in for an hour"]).returncode == 0
    look = {"run": ".venv/bin/fab status > /dev/null"}
    assert deploying.run(look).returncode == 0
    keys = f"/home/{operator.host.user}/.ssh/authorized_keys"
    operator.host.run(f'sed -i \'s/expiry-time="[0-9]*"/expiry-time="20260101000000"/\' {keys}', check=True)
    done = deploying.run(look)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_host_whose_ssm_refuses_is_told_in_one_message(deploying, operator):
    operator.host.run("mv /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/away", check=True)
    done = deploying.run(scripts("deploy", "deploy")["Get in for an hour"])
    assert done.returncode == 3
    assert "SSM did not run it" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_let_in_for_a_day(deploying, cloud):
    done = deploying.run({"run": ".venv/bin/fab short-key --minutes 1440"})
    assert done.returncode == 3
    assert "1 to 240" in done.stderr
    assert cloud.sent == []
