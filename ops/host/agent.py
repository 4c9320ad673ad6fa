"""The CloudWatch agent on a host: its package, its configuration, its limits, and the files that it reads. Pure."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops import monitoring
from ops.host.agent_config import (
    COPIES,
    LOGS,
    READS,
    RUNS_AS,
    Copy,
    Version,
    configuration,
    copies,
    text_of,
    version_of,
)
from ops.host.agent_lint import problems
from ops.host.facts import Facts
from ops.host.resources import (
    RELOAD,
    RELOADED,
    Absent,
    Command,
    Directory,
    File,
    Package,
    Reaction,
    Resource,
    Unit,
    User,
)
from ops.onhost import layout
from ops.render import render
from ops.settings import AgentSettings, Settings

PACKAGE: Final = "amazon-cloudwatch-agent"
UNIT: Final = f"{PACKAGE}.service"
CONTROL: Final = f"/opt/aws/{PACKAGE}/bin/{PACKAGE}-ctl"
CONFIGURATION: Final = str(layout.CONFIGURATION / "cloudwatch-agent.json")
LIMITS: Final = str(layout.UNITS / f"{UNIT}.d" / "60-kpi-ops.conf")
LOG_ROTATION: Final = "/etc/logrotate.d/kpi-ops"
CONFIGURED: Final = "agent"
INSTALL: Final = Path(__file__).with_name("agent_install.py")
INSTALL_S: Final = 900
# Whichever version is there will do, unless the address names one.
IS_INSTALLED: Final = """
found=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null)
case "$found" in "installed $2"*) ;; *) exit 1 ;; esac
"""


def resources(settings: Settings, facts: Facts) -> tuple[Resource, ...]:
    """All that the agent needs; where it is not wanted, nothing of it runs. Raises RuntimeError for a bug of ours."""
    agent = settings.host.agent
    version = version_of(asked) if (asked := asked_version(agent.url)) else installed_version(facts)
    if not agent.install:
        return (Unit(UNIT, enabled=False, active=False), *_without(COPIES))
    return (*_package(agent), *_copied(version), *_configured(agent, version))


def asked_version(url: str) -> str:
    """The version that the package's address names, like 1.300071.0b1234; empty where it is the latest."""
    found = re.search(r"/(\d+\.\d+\.[0-9a-z]+)/[^/]*$", url)
    return found[1] if found else ""


def installed_version(facts: Facts) -> Version | None:
    """None: none is, so the newest will be."""
    found = facts.version(PACKAGE)
    return version_of(found) if found else None


def checked(agent: AgentSettings, version: Version | None) -> str:
    """The configuration's text. Raises RuntimeError where it is not what the agent, our role and our units expect."""
    configured = configuration(agent, version)
    wrong = problems(configured, version, {copy.path for copy in copies(version)})
    if wrong:
        raise RuntimeError("\n".join(wrong))
    return text_of(configured)


def _package(agent: AgentSettings) -> Iterator[Resource]:
    yield Package("gpgv")
    yield Package("logrotate")
    # Before the package, which would make the user otherwise: it needs these groups to read logs.
    yield User(RUNS_AS, groups=READS)
    yield Command(
        f"install the CloudWatch agent, signed by {agent.fingerprint}",
        ("/usr/bin/python3", "-I", "-"),
        unless=("/bin/sh", "-c", IS_INSTALLED, "sh", PACKAGE, asked_version(agent.url)),
        stdin=_installer(agent),
        timeout_s=INSTALL_S,
        then=(CONFIGURED,),
    )


def _installer(agent: AgentSettings) -> bytes:
    words = ", ".join(map(repr, (agent.url, agent.key_url, agent.fingerprint)))
    return f"{INSTALL.read_text('utf-8')}\n\nmain({words})\n".encode()


def _copied(version: Version | None) -> Iterator[Resource]:
    wanted = copies(version)
    yield Directory(LOGS, mode=0o750, group="adm")
    yield File(LOG_ROTATION, render("host-logrotate.j2", logs=LOGS))
    yield from _without(copy for copy in COPIES if copy not in wanted)
    for copy in wanted:
        yield File(str(layout.UNITS / copy.unit), log_unit(copy), then=(RELOADED, copy.unit))
    yield RELOAD
    for copy in wanted:
        yield Reaction(copy.unit, f"copy {copy.name} anew", (("systemctl", "restart", copy.unit),))
        yield Unit(copy.unit)


def _without(unwanted: Iterator[Copy] | tuple[Copy, ...]) -> Iterator[Resource]:
    for copy in unwanted:
        yield Unit(copy.unit, enabled=False, active=False)
        yield Absent(str(layout.UNITS / copy.unit), then=(RELOADED,))
    yield RELOAD


def _configured(agent: AgentSettings, version: Version | None) -> Iterator[Resource]:
    limits = render("host-agent.conf.j2", memory_max_mb=agent.memory_max_mb)
    yield File(LIMITS, limits, then=(RELOADED, CONFIGURED))
    yield File(CONFIGURATION, checked(agent, version), then=(CONFIGURED,))
    yield RELOAD
    take = (CONTROL, "-a", "fetch-config", "-m", "ec2", "-c", f"file:{CONFIGURATION}", "-s")
    # journalctl, which the agent runs, follows nothing of an identifier that the journal has never heard of.
    heard_of = ("logger", "-t", monitoring.IDENTIFIER, "the CloudWatch agent reads this from here on")
    runs = ("systemctl", "is-active", UNIT)
    yield Reaction(CONFIGURED, "give the CloudWatch agent its configuration", (heard_of, take, runs))
    yield Unit(UNIT)


def log_unit(copy: Copy) -> str:
    """The unit that copies a part of the journal to a file."""
    return render("host-log.service.j2", copy=copy, words=" ".join(map(_quoted, copy.words)))


def _quoted(word: str) -> str:
    """A word as systemd reads it back from ExecStart=."""
    if re.fullmatch(r"[\w=.:/-]+", word):
        return word
    escaped = word.replace("\\", r"\\").replace('"', r"\"").replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
