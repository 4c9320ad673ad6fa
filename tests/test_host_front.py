"""The TLS front: what Caddy is told, and that no visitor's page loses its state when it is told something else."""

import contextlib
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from ops.host import front
from ops.host.facts import BLANK
from ops.host.resources import Command, File, Package, Reaction, Unit
from ops.settings import Settings
from tests.dashboard_on_host import Dashboard, counting, eventually, prepare
from tests.part_of_host import brought
from tests.visitor import ANSWER_WITHIN_S, Visitor

DOMAIN = "kpi.example.org"
FRONT = {"domain": DOMAIN, "internal_tls": True}
AUTHORITY = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"


def parts(**host):
    return front.resources(Settings(host=host), BLANK)


def of_kind(kind, **host):
    return [part for part in parts(**host) if isinstance(part, kind)]


# --- what is decided


def test_without_a_domain_there_is_no_front_and_one_of_before_is_taken_away():
    (only,) = parts()
    assert isinstance(only, Command)
    assert only.unless == ("test", "!", "-e", front.LIMITS)


def test_with_a_domain_caddy_answers_for_it_and_asks_the_dashboard_behind_it():
    assert [part.name for part in of_kind(Package, domain=DOMAIN)] == ["caddy"]
    assert [(part.name, part.active) for part in of_kind(Unit, domain=DOMAIN)] == [("caddy.service", True)]
    lines = [line.strip() for line in front.caddyfile(Settings(host={"domain": DOMAIN})).splitlines()]
    assert f"{DOMAIN} {{" in lines
    assert "reverse_proxy 127.0.0.1:8501 {" in lines


def test_another_port_of_the_dashboard_is_asked_there():
    settings = Settings(host={"domain": DOMAIN}, dashboard={"port": 9000})
    assert "reverse_proxy 127.0.0.1:9000 {" in front.caddyfile(settings)


def test_browsers_are_told_to_stay_with_tls_only_where_the_world_knows_the_certificate():
    public, internal = (front.caddyfile(Settings(host={"domain": DOMAIN, "internal_tls": own})) for own in (0, 1))
    assert ("Strict-Transport-Security" in public, "local_certs" in public) == (True, False)
    assert ("Strict-Transport-Security" in internal, "local_certs" in internal) == (False, True)


def test_a_new_configuration_is_a_reload_and_only_new_limits_are_a_restart():
    files = {part.path: part.then for part in of_kind(File, domain=DOMAIN)}
    commands = {part.name: part.commands for part in of_kind(Reaction, domain=DOMAIN)}
    assert files[front.CONFIGURATION] == (front.CONFIGURED,)
    assert front.RESTARTED in files[front.LIMITS]
    assert commands[front.CONFIGURED] == (("systemctl", "reload-or-restart", front.UNIT),)
    assert commands[front.RESTARTED] == (("systemctl", "restart", front.UNIT),)


def test_limits_do_not_depend_on_the_domain():
    one, other = (
        next(part for part in of_kind(File, domain=name) if part.path == front.LIMITS) for name in ("a.org", "b.org")
    )
    assert one == other
    assert replace(one, content="") != one


# --- on a host


class Guest(Visitor):
    """A visitor who comes through the front, and comes back as a browser does when the connection is lost."""

    def __init__(self, address, context):
        self.where, self.context = (address, 443), context
        self.elements, self.pages, self.session = [], {}, ""
        self._open = contextlib.ExitStack()

    def __enter__(self):
        """Open the connection; with a session, by its name."""
        opening = connect(
            f"wss://{DOMAIN}/_stcore/stream",
            sock=socket.create_connection(self.where, timeout=ANSWER_WITHIN_S),
            ssl=self.context,
            server_hostname=DOMAIN,
            subprotocols=["streamlit", "-", self.session] if self.session else ["streamlit"],
            max_size=None,
            proxy=None,
            open_timeout=ANSWER_WITHIN_S,
        )
        self.socket = self._open.enter_context(opening)
        return self

    def _next(self):
        message = super()._next()
        if message.WhichOneof("type") == "new_session":
            self.session = message.new_session.initialize.session_id
        return message

    def come_back(self):
        """Find the connection lost, and come again. With which code: Caddy may say so in the midst of a message."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.socket.recv(timeout=ANSWER_WITHIN_S)
        self.leave()
        self.__enter__()

    def click(self):
        """Have the page run that counts; the count, and whether the session is the one it was."""
        before = self.session
        self.run("products")
        return self.count(), self.session == before


@pytest.fixture(scope="module")
def ready_image(make_image, deployed_image):
    return make_image("an environment for the dashboard", prepare, image=deployed_image)


@pytest.fixture
def made(make_host, ready_image, tmp_path):
    """A host with a front, and a release behind it."""
    dashboard = Dashboard(make_host(image=ready_image), **FRONT)
    dashboard.release("r1", tmp_path, counting("r1"))
    dashboard.serve("r1")
    brought(dashboard.host, front.resources, Settings(host=FRONT))
    return dashboard


@pytest.fixture
def trusted(made, tmp_path):
    """A context that trusts the front's own authority, and nobody else."""
    authority = tmp_path / "root.crt"
    authority.write_text(eventually(lambda: made.host.run(["cat", AUTHORITY]).out))
    return ssl.create_default_context(cafile=authority)


def process(host):
    return host.run(f"systemctl show -P MainPID {front.UNIT}", check=True).out


def change_by_hand(host):
    """Another configuration, of which Caddy is told."""
    change = f"sed -i 's/Referrer-Policy same-origin/Referrer-Policy no-referrer/' {front.CONFIGURATION}"
    host.run(f"{change} && systemctl reload {front.UNIT}", check=True)


def clicks(guests):
    """What each finds when it clicks."""
    return {guest.click() for guest in guests}


def come_back(guests):
    for guest in guests:
        guest.come_back()


@pytest.fixture
def guests(made, trusted):
    """Three people with a page open."""
    with contextlib.ExitStack() as all_open:
        coming = [all_open.enter_context(Guest(made.host.address, trusted)) for _ in range(3)]
        for guest in coming:
            guest.run()
            guest.run("products")
        yield coming


@pytest.mark.timeout(600)
def test_pages_keep_their_state_over_every_change_of_the_front_also_while_their_release_leaves(made, guests, tmp_path):
    host, settings = made.host, Settings(host=FRONT)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host.address, 8501), timeout=ANSWER_WITHIN_S)
    first = process(host)

    # Nothing is new: no connection ends, whoever asks for it.
    assert brought(host, front.resources, settings) == []
    host.run(f"systemctl reload {front.UNIT}", check=True)
    assert clicks(guests) == {(2, True)}

    # Something is: connections end, sessions do not.
    change_by_hand(host)
    come_back(guests)
    assert clicks(guests) == {(3, True)}
    assert brought(host, front.resources, settings) != []
    come_back(guests)
    assert clicks(guests) == {(4, True)}
    assert process(host) == first

    # Another release has taken over meanwhile: who comes back comes to it, and stays with the one that leaves.
    made.release("r2", tmp_path, counting("r2"))
    made.serve("r2")
    made.leave("r1")
    eventually(lambda: (made.state("r1") or {}).get("draining"))
    change_by_hand(host)
    come_back(guests)
    assert clicks(guests) == {(5, True)}
    assert made.state("r1")["sessions"] == 3
    host.run(f"systemctl restart {front.UNIT}", check=True)
    come_back(guests)
    assert clicks(guests) == {(6, True)}

    for guest in guests:
        guest.leave()
    eventually(lambda: made.shown("r1", "ActiveState")["ActiveState"] == "inactive")
    assert "0 sessions are cut" in made.journal("r1")


@pytest.mark.timeout(600)
def test_caddy_is_confined_and_its_controls_are_its_own(made):
    host = made.host
    exposure = host.run(f"systemd-analyze security --no-pager {front.UNIT}").out.splitlines()[-1]
    assert float(exposure.rpartition(": ")[2].split()[0]) <= 2
    assert host.run("curl -s -m 5 http://127.0.0.1:2019/config/").status == 7  # nobody listens
    take = f"curl -s --unix-socket {front.CONTROLS} http://localhost/config/"
    assert host.run(f"runuser -u kpi-dashboard -- {take}").status != 0
    assert host.run(f"runuser -u caddy -- {take}").status == 0
    plain = urllib.request.Request(f"http://{host.address}/x", headers={"Host": DOMAIN})
    with pytest.raises(urllib.error.HTTPError) as moved:
        urllib.request.build_opener(NoRedirect).open(plain)
    moved.value.close()
    assert (moved.value.code, moved.value.headers["Location"]) == (308, f"https://{DOMAIN}/x")
    brought(host, front.resources, Settings())
    assert host.run(f"systemctl is-active {front.UNIT}").status != 0
    assert brought(host, front.resources, Settings()) == []


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Does not follow."""

    def redirect_request(self, *_):
        return None
