"""Fixtures that several files share, and the rule that CI leaves nothing out."""

import os
import socket
from datetime import UTC, date, datetime
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from etl.layouts import ONLINE_RETAIL
from etl.run import Job, run
from etl.sample import write
from etl.store import DirectoryStore, S3Store

SAMPLE_THROUGH = date(2026, 11, 21)
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def pytest_sessionfinish(session, exitstatus):
    """With CI=true leaving anything out is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    left_out = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") == "true" and left_out and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"CI=true: {len(left_out)} tests were left out, and none may be", red=True)


# Files side by side end soonest when the longest begin first.
LONGEST_FIRST = (
    "test_host_deploys",
    "test_host_bad_releases",
    "test_workflows",
    "test_tasks",
    "test_host_serve",
    "test_dashboard_browser",
    "test_posture",
    "test_dashboard_release",
    "test_host_bootstrap",
    "test_host_agent_install",
    "test_etl_sources",
    "test_etl_store_faults",
    "test_dashboard_odd_addresses",
)


def pytest_collection_modifyitems(items):
    """The rest stays in its order."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def now():
    return NOW


@pytest.fixture(scope="session")
def real_sales():
    """UCI Online Retail, where the environment says that it lies; its golden figures lie beside it."""
    place = os.environ.get("KPI_OPS_ONLINE_RETAIL")
    if not place:
        pytest.skip(
            "KPI_OPS_ONLINE_RETAIL does not name online_retail.csv.gz (UCI data set 352; not in this repository)"
        )
    return Path(place)


def make_snapshot(sources, out, **wanted):
    """Run the ETL into a directory; returns the manifest as written."""
    store = DirectoryStore(out)
    job = Job(ONLINE_RETAIL, "GBP", wanted.pop("now", NOW), "test", **wanted)
    with store.staging() as directory:
        return store.adopt(run(sources, job, directory), directory)


@pytest.fixture(scope="session")
def snapshot_of():
    return make_snapshot


@pytest.fixture(scope="session")
def sample_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "sample.csv"
    write(path, SAMPLE_THROUGH)
    return path


@pytest.fixture(scope="session")
def sample_snapshot_dir(sample_csv, tmp_path_factory):
    """A directory with the snapshot of the sample shop. Read it; do not write to it."""
    out = tmp_path_factory.mktemp("snapshot")
    make_snapshot([sample_csv], out)
    return out


def s3_client_for(endpoint):
    """An S3 client for a server on this machine that tries once and does not wait long."""
    quick = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=quick,
    )


@pytest.fixture(scope="session")
def client_for():
    return s3_client_for


@pytest.fixture(scope="session")
def s3_endpoint():
    """moto's real HTTP server on a free loopback port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def new_bucket(s3_endpoint, request):
    """A function that makes a bucket of this test's own, versioned unless told otherwise, and returns its store."""
    made = []

    def make(*, versioned=True):
        client = s3_client_for(s3_endpoint)
        name = f"test-{abs(hash(request.node.nodeid)) % 10**10}-{len(made)}"
        made.append(name)
        client.create_bucket(Bucket=name)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return S3Store(client, name, "processed/")

    return make


@pytest.fixture
def closed_port():
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def shop(tmp_path):
    """A function that writes lines of (invoice, sku, description, quantity, at, price, customer, country) as CSV."""

    def write_shop(*rows, name="shop.csv"):
        path = tmp_path / name
        header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
        return path

    return write_shop
