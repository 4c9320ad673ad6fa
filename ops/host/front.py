"""The TLS front of a host with a domain: Caddy of the distribution, its configuration and its limits. Pure.

A change of the configuration ends open websockets (Caddy 2.6 has no way to keep them; 1001, going away). A browser
is back within a second and names its session, which the release that has it takes up; see dashboard/relay.py.
"""

from collections.abc import Iterator
from typing import Final

from ops.host.facts import Facts
from ops.host.resources import RELOAD, RELOADED, Command, File, Package, Reaction, Resource, Unit
from ops.render import render
from ops.settings import Settings

PACKAGE: Final = "caddy"
UNIT: Final = "caddy.service"
CONFIGURATION: Final = "/etc/caddy/Caddyfile"
LIMITS: Final = f"/etc/systemd/system/{UNIT}.d/60-kpi-ops.conf"
CONTROLS: Final = "/run/caddy/admin.sock"
RESTARTED: Final = "caddy-restart"
CONFIGURED: Final = "caddy-reload"
# Not `caddy validate`: that would make a certificate authority for whoever runs it.
READS_IT: Final = ("caddy", "adapt", "--config", "{}", "--adapter", "caddyfile")
NO_FRONT: Final = f"systemctl disable --quiet --now {UNIT}; rm -f {LIMITS}; systemctl daemon-reload"


def resources(settings: Settings, facts: Facts) -> tuple[Resource, ...]:  # noqa: ARG001 - as all parts of a host
    """Caddy before the dashboard; without a domain none that we have set up before."""
    return tuple(_front(settings)) if settings.host.domain else (_no_front(),)


def caddyfile(settings: Settings) -> str:
    """Caddy's configuration."""
    return render(
        "host-Caddyfile.j2",
        domain=settings.host.domain,
        internal_tls=settings.host.internal_tls,
        port=settings.dashboard.port,
        controls=CONTROLS,
    )


def _front(settings: Settings) -> Iterator[Resource]:
    yield Package(PACKAGE)
    yield File(CONFIGURATION, caddyfile(settings), check=READS_IT, then=(CONFIGURED,))
    # A restart, for what systemd gives the process is given at its start: its limits, and the place of its controls.
    yield File(LIMITS, render("host-caddy.conf.j2", configuration=CONFIGURATION), then=(RELOADED, RESTARTED))
    yield RELOAD
    yield Reaction(RESTARTED, "start Caddy anew, with its limits", (("systemctl", "restart", UNIT),))
    yield Reaction(CONFIGURED, "tell Caddy of its configuration", (("systemctl", "reload-or-restart", UNIT),))
    yield Unit(UNIT)


def _no_front() -> Command:
    """Only one that we have set up: our limits lie there."""
    summary = "stop Caddy: there is no [host] domain any more"
    return Command(summary, ("/bin/sh", "-c", NO_FRONT), unless=("test", "!", "-e", LIMITS))
