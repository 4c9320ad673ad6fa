"""Fixtures of tests that need a host. `make_host(...)` boots one; all are taken down after the test."""

import itertools
import os

import pytest

from tests.host import life
from tests.host.distribution import build, own_suite
from tests.host.machine import Host
from tests.host.place import Place, held, why_not

_NUMBERS = itertools.count(1)


def _name():
    """A name of this process's own, so that sessions beside each other do not meet."""
    return f"t{os.getpid() % 100_000}-{next(_NUMBERS)}"


@pytest.fixture(scope="session")
def host_place():
    """Where hosts are kept; skips where none can be booted. Hosts of sessions that have died are taken away first."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    place = Place.of(os.environ)
    life.sweep(place)
    return place


@pytest.fixture
def quiet_network():
    """No host comes or goes meanwhile: Chromium drops what it loads whenever this machine gains or loses an address."""
    if why_not():
        yield
    else:
        with held("network"):
            yield


@pytest.fixture(scope="session")
def host_root(host_place):
    """The root of this machine's own distribution, built once and kept."""
    return build(host_place, own_suite())


def _factory(place):
    made = []

    def make(**wanted):
        """`image`, `suite`, `memory_mb`, `cpus`, `disk_mb`, `reachable_ports`: see tests.host.life.up."""
        host = Host(place, life.up(place, _name(), owned=True, **wanted))
        made.append(host)
        return host

    return make, made


@pytest.fixture
def make_host(host_place):
    """A function that boots a host for this test."""
    make, made = _factory(host_place)
    yield make
    for host in reversed(made):
        host.down()


@pytest.fixture(scope="session")
def make_session_host(host_place):
    """A function that boots a host for the whole session: to prepare an image, or to share."""
    make, made = _factory(host_place)
    yield make
    for host in reversed(made):
        host.down()


@pytest.fixture
def host(make_host):
    """A blank host."""
    return make_host()


@pytest.fixture(scope="session")
def make_image(host_place, make_session_host):
    """A function that gives the name of an image which `prepare(host)` is run for, once a session for each `title`."""
    made = {}

    def make(title, prepare, **wanted):
        if title not in made:
            host = make_session_host(**wanted)
            prepare(host)
            image = f"{_name()}"
            host.snapshot(image)
            host.down()
            made[title] = image
        return made[title]

    yield make
    for image in reversed(made.values()):  # one may have been made on top of another
        life.forget(host_place, image)
