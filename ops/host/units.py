"""The dashboard's systemd units: the port, who starts what, a release, and who tells when one fails. Pure."""

from typing import Final

from etl.errors import SettingsError
from ops import monitoring
from ops.onhost import layout
from ops.render import render
from ops.settings import HostSettings, Settings

LIMITS_S: Final = 30  # what starting and stopping may take beside their limits in the settings
_TEMPLATES: Final = (
    layout.SOCKET_UNIT,
    layout.DISPATCHER_UNIT,
    "kpi-dashboard@.service",
    "kpi-dashboard-failed@.service",
    layout.SETTLE_AT_BOOT_UNIT,
)


def units(settings: Settings) -> dict[str, str]:
    """The text of each unit by its file name. Raises SettingsError where the port is none that can be kept."""
    values = {
        "layout": layout,
        "names": monitoring,
        "tried": f"{layout.RUN}/%i/tried",
        "listen": _listen(settings),
        **_limits(settings.host),
    }
    return {name: render(f"{name}.j2", **values) for name in _TEMPLATES}


def _listen(settings: Settings) -> str:
    """With a domain only the TLS front on this machine reaches the port; else everybody, by IPv4 and IPv6."""
    port = settings.dashboard.port
    if not port:
        raise SettingsError(
            "dashboard.port = 0 is any free port",
            expected="a port that people can keep an address with",
            to_do="name one in settings.toml, like 8501",
        )
    return f"127.0.0.1:{port}" if settings.host.domain else f"{port}"


def _limits(host: HostSettings) -> dict[str, str]:
    return {
        "memory_high": _megabytes(host.memory_high_mb),
        "memory_max": _megabytes(host.memory_max_mb),
        # Without it a hog would fill all swap before it ends.
        "memory_swap_max": _megabytes(host.memory_max_mb),
        "watchdog_s": f"{host.watchdog_s:g}",
        "start_s": f"{host.gate.timeout_s + LIMITS_S:g}",
        "stop_s": f"{host.drain_minutes * 60 + LIMITS_S:g}",
    }


def _megabytes(number: int) -> str:
    return f"{number}M" if number else "infinity"
