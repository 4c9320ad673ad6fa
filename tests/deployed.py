"""A host with a release that serves, made once a session by our own commands; each test gets a copy of it."""

import io
import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.host.bootstrap import NewLogin, bootstrap
from ops.host.deploy import Choice, deploy
from ops.host.desk import Bars, Desk
from ops.host.rollback import rollback
from ops.host.source import Checkout
from ops.host.ssh import connected
from ops.host.where import Address
from ops.settings import HostSettings, Settings
from tests.releases import Clone

DATA = "/srv/kpi"


@contextmanager
def no_bar(_what, _total=100):
    """Nothing is drawn."""
    yield lambda _more: None


class Operator:
    """Who deploys from a clone to a host: every command has a connection of its own, as `fab` makes one."""

    def __init__(self, host, clone, **changed):
        self.host = host
        self.clone = clone
        wanted = {"environment": {"KPI_DASHBOARD__STORE": DATA}, "watch_s": 0.1, "drain_minutes": 1} | changed
        self.settings = Settings(host=HostSettings(**wanted))
        self.told = ""

    def address(self):
        """How the host is reached."""
        return Address(
            host=self.host.address,
            user=self.host.user,
            keys=(Path(self.host.key),),
            known_hosts=(Path(self.host.known_hosts),),
        )

    def connection(self):
        """A new connection."""
        return connected(self.address())

    @contextmanager
    def desk(self):
        """A desk with a new connection; what it tells is in `told` after."""
        with self.connection() as remote:
            stream = io.StringIO()
            bars = Bars(no_bar, no_bar)
            try:
                yield Desk(
                    remote, self.settings, "tester", lambda: datetime.now(UTC), time.monotonic, time.sleep, stream, bars
                )
            finally:
                self.told = stream.getvalue()

    def bootstrap(self):
        """Set the host up."""
        with self.desk() as desk:
            way = NewLogin(lambda: connected(self.address()), time.monotonic, time.sleep)
            return bootstrap(desk.remote, self.settings, way=way, who=desk.who, tell=desk.tell, show=desk.tell)

    def deploy(self, ref="HEAD", **choice):
        """Deploy a commit; the exit status."""
        with self.desk() as desk:
            return deploy(desk, Checkout(self.clone.directory), Choice(ref, **choice))

    def rollback(self, to=""):
        """Go back; the exit status."""
        with self.desk() as desk:
            return rollback(desk, to, plan=False, wait_s=0)

    def status(self):
        """What kpi-host says."""
        return json.loads(self.host.run(["kpi-host", "status"], check=True).out.splitlines()[-1])

    def current(self):
        """The release that serves."""
        return self.status()["current"]


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A clone of this checkout."""
    return Clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def deployed_image(make_image, clone, sample_snapshot_dir):
    """An image of a host that was set up and deployed to, for the first time, from an index of packages."""

    def prepare(host):
        operator = Operator(host, clone)
        operator.bootstrap()
        host.upload(sample_snapshot_dir, DATA)
        host.run(["chmod", "-R", "a+rX", DATA], check=True)
        assert operator.deploy() == 0, operator.told

    return make_image("deployed", prepare)


@pytest.fixture
def operator(make_host, deployed_image, clone):
    """At the desk of a host on which a release serves."""
    return Operator(make_host(image=deployed_image), clone)


def until(true, within_s=60, every_s=0.2):
    """Wait for something to be so; whether it came."""
    end = datetime.now(UTC) + timedelta(seconds=within_s)
    while datetime.now(UTC) < end:
        if found := true():
            return found
        time.sleep(every_s)
    return None
