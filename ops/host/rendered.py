"""Every text that is made from a template for a host, with no host to look at: `fab render`. Pure but for templates."""

from collections.abc import Mapping
from pathlib import Path

from ops.host.facts import BLANK
from ops.host.resources import Door, File, Resource
from ops.host.wanted import wanted
from ops.onhost import layout
from ops.settings import Settings
from ops.uptime.storage.units import ENVIRONMENT
from ops.uptime.storage.units import units as uptime_units

AGENT = "cloudwatch-agent.json"
UPTIME = Path("/opt/kpi-ops")  # the checkout of docs/uptime-schedule.md


def rendered(settings: Settings) -> Mapping[str, str]:
    """Absolute paths on a host, and the texts of the files there, the agent's too, but for the tool's source."""
    host = settings.host.model_copy(update={"agent": settings.host.agent.model_copy(update={"install": True})})
    with_agent = settings.model_copy(update={"host": host})
    files = [file for resource in wanted(with_agent, BLANK) for file in _files(resource)]
    texts = {file.path: file.data.decode() for file in files if not file.path.startswith(f"{layout.TOOL}/")}
    return texts | _uptime()


def _files(resource: Resource) -> tuple[File, ...]:
    match resource:
        case File():
            return (resource,)
        case Door(file=file):
            return (file,)
        case _:
            return ()


def _uptime() -> dict[str, str]:
    made = uptime_units(python=UPTIME / ".venv/bin/python", project=UPTIME, environment=ENVIRONMENT)
    return {str(layout.UNITS / name): text for name, text in made.items()}


def place_in(directory: Path, path: str) -> Path:
    """Where `fab render` writes it: what other programs check by name lies at the top, the rest as on the host."""
    wanted = Path(path)
    at_the_top = wanted.parent == Path(str(layout.UNITS)) or wanted.name == AGENT
    return directory / (wanted.name if at_the_top else wanted.relative_to("/"))
