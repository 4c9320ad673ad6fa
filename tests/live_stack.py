"""The stack in a real account, from nothing to nothing, under throw-away names: `KPI_OPS_LIVE=ACCOUNT make test-live`.

It costs some cents and takes about ten minutes, so `make test` does not collect it: its name begins with no test_.
Whatever happens, the stack is destroyed at the end and its bucket removed with all versions.
"""

import os
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from ops.monitoring import LOG_GROUPS

ROOT = Path(__file__).resolve().parent.parent
VARIABLE = "KPI_OPS_LIVE"
TYPE = "KPI_STACK__INSTANCE_TYPE"  # the one setting that is taken over: newer regions have no t2.micro
PREFIX = "kpi-ops-live"
BUSY = "another operation is running"
TRIES, WAIT_S = 40, 30  # who interrupts a creation leaves it going on in AWS: what is destroyed waits for its end
STEPS = (  # what `fab` is told, its exit status, and what it says
    (("provision", "--plan"), 2, "change set"),
    (("provision", "--yes"), 0, "PublicAddress"),
    (("provision", "--yes"), 0, "no changes"),
    (("drift",), 0, ""),
    (("verify", "--json"), 0, ""),
)


class NotHere(Exception):
    """Nothing is made: the account or the region is not one that was meant."""


def account_meant(environ, caller):
    """The account's id, where the variable names the very one that the credentials are of. Raises NotHere."""
    meant = environ.get(VARIABLE, "")
    if not meant:
        raise NotHere(f"{VARIABLE} must name the id of the account in which a stack may be made; it is not set")
    account = caller()
    if meant != account:
        raise NotHere(f"{VARIABLE} names {meant}, and the credentials are of account {account}")
    return account


def alone(logs):
    """Log groups have fixed names: two stacks cannot be in one region. Raises NotHere."""
    for group in LOG_GROUPS:
        told = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if group in {said["logGroupName"] for said in told}:
            raise NotHere(f"there is a log group {group} in this region, so another stack: take AWS_DEFAULT_REGION=...")


def throw_away(account, suffix):
    """Settings under whose names nothing else is."""
    name = f"{PREFIX}-{suffix}"
    return {
        "KPI_HOST__NAME": name,
        "KPI_S3__BUCKET": f"{PREFIX}-{account}-{suffix}",
        "KPI_STACK__ENVIRONMENT": "live-test",
        "KPI_STACK__EXPECTED_ACCOUNT_ID": account,
        "KPI_STACK__NAME": name,
        "KPI_STACK__PROJECT": name,
        "KPI_STACK__ROLE": name,
        "KPI_STACK__SECURITY_GROUP": name,
    }


def environment(environ, settings):
    """Credentials and region as they are; of the person's own settings nothing but the instance's type."""
    kept = {name: value for name, value in environ.items() if not name.startswith("KPI_") or name == TYPE}
    return kept | settings | {"PYTHONPATH": str(ROOT)}


class Fab:
    """`fab`, in a directory of its own: neither settings.toml nor data/ of the person is seen."""

    def __init__(self, directory, environ):
        self.directory, self.environ = directory, environ

    def __call__(self, *words):
        """(exit status, all it said); it is shown too as it is said."""
        line = [sys.executable, "-m", "fabric", "--search-root", ROOT, *words]
        print(f"\n$ fab {' '.join(words)}", flush=True)
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        said = []
        with subprocess.Popen(line, cwd=self.directory, env=self.environ, **pipes) as running:
            for text in running.stdout:
                said.append(text)
                print(text, end="", flush=True)
        return running.returncode, "".join(said)


def remove_bucket(s3, bucket):
    """A bucket with every version of what is in it; nothing where there is none."""
    try:
        pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return
        raise
    for page in pages:
        for said in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=bucket, Key=said["Key"], VersionId=said["VersionId"])
    s3.delete_bucket(Bucket=bucket)


def destroyed(fab, name, sleep):
    """Whether the stack is gone."""
    for _ in range(TRIES):
        exited, said = fab("destroy", "--name", name)
        if exited == 0 or BUSY not in said:
            return exited == 0
        sleep(WAIT_S)
    return False


@contextmanager
def undone(fab, settings, s3, sleep=time.sleep):
    """Whatever becomes of the block: the stack goes, and then its bucket. What stays is named."""
    name, bucket = settings["KPI_STACK__NAME"], settings["KPI_S3__BUCKET"]
    try:
        yield
    finally:
        left = []
        if not destroyed(fab, name, sleep):
            left.append(f"the stack {name}")
        try:
            remove_bucket(s3, bucket)
        except ClientError as error:
            left.append(f"the bucket {bucket} ({error})")
        if left:
            pytest.fail(f"STILL THERE, and costing money: {' and '.join(left)}; remove it by hand", pytrace=False)


def go(fab, steps=STEPS):
    """One step after the other, until one is not as it should be."""
    for words, status, says in steps:
        exited, said = fab(*words)
        assert (words, exited) == (words, status), said
        assert says in said


@pytest.fixture(scope="module")
def fab(tmp_path_factory):
    """`fab` with throw-away names, in an account that was meant; all is undone at the end."""
    session = boto3.Session()
    try:
        account = account_meant(os.environ, lambda: session.client("sts").get_caller_identity()["Account"])
        alone(session.client("logs"))
    except NotHere as error:
        pytest.fail(f"{error}\nnothing was made", pytrace=False)
    settings = throw_away(account, secrets.token_hex(3))
    running = Fab(tmp_path_factory.mktemp("live"), environment(os.environ, settings))
    with undone(running, settings, session.client("s3")):
        yield running


@pytest.mark.timeout(7200)
def test_a_stack_is_planned_made_left_alone_looked_at_and_judged(fab):
    go(fab)
