"""The scheduled check as a service and a timer of systemd, for who has no GitHub. Pure."""

from pathlib import Path

from ops.render import render

NAME = "kpi-ops-uptime"
MINUTES = "07,37"
ENVIRONMENT = Path("/etc/kpi-ops/uptime.env")


def units(*, python: Path, project: Path, environment: Path) -> dict[str, str]:
    """The texts of both units, by file name.

    `python`: with requirements/uptime.txt installed; `project`: where the checkout with its settings.toml lies;
    `environment`: a file of NAME=VALUE lines, which need not be there.
    """
    service = render(f"{NAME}.service.j2", python=python, project=project, environment=environment)
    return {f"{NAME}.service": service, f"{NAME}.timer": render(f"{NAME}.timer.j2", project=project, minutes=MINUTES)}
