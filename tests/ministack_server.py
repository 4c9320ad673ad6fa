"""A second emulator of AWS, as a process of its own on a loopback port: CloudFormation with change sets and drift."""

import os
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3

READY_S = 60
PEERS = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin"  # it pins another botocore than we do


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def ministack(directory):
    """A running server with nothing in it; gives its address. `directory`: where it may write."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOCALSTACK_"))}
    environment = kept | {
        "BIND_HOST": "127.0.0.1",  # else it listens to the whole network
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(directory),
        "HOME": str(directory),
    }
    log = directory / "ministack.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [PEERS / "python", "-m", "ministack"], env=environment, cwd=directory, stdout=output, stderr=output
        )
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process, port, log):
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2):
            return
        time.sleep(0.1)
    msg = f"ministack does not answer:\n{log.read_text()}"
    raise AssertionError(msg)


class Session(boto3.Session):
    """A session all of whose clients ask one server for one account, whatever the environment says."""

    def __init__(self, endpoint, account, region="eu-west-1"):
        super().__init__(aws_access_key_id=account, aws_secret_access_key="test", region_name=region)
        self._endpoint = endpoint

    def client(self, service, **fields):
        return super().client(service, endpoint_url=self._endpoint, **fields)
