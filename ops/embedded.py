"""An AWS on this machine for the demo and for trials: moto's HTTP server, in memory, gone with the process."""

import logging
import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REGION = "us-east-1"
# Of the parameters that name images moto has none for Ubuntu.
IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@contextmanager
def aws_server() -> Iterator[str]:
    """A running server; gives its address on a free loopback port.

    It warns of each resource that its CloudFormation does not know; ops/stack/trial.py finds that out and tells it.
    """
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    logging.getLogger("moto").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "Tried to parse .* not supported by moto")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def point_aws_at(endpoint: str, environ: MutableMapping[str, str]) -> None:
    """Let everything that asks AWS from this environment ask the embedded server, and nothing else.

    What the person has set for the real AWS (profile, keys, endpoints, files) is taken out, so that nothing of it can
    be reached by mistake.
    """
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    environ.update(_embedded(endpoint))
    # A proxy in the environment must not be asked for addresses of this machine.
    others = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    environ["NO_PROXY"] = environ["no_proxy"] = ",".join(filter(None, [others, "127.0.0.1", "localhost"]))


def _embedded(endpoint: str) -> Mapping[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def version(client: "S3Client", bucket: str) -> bool:
    """Have a bucket keep versions, as the stack's template says; whether it did not."""
    if client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled":
        return False
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return True
