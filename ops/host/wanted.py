"""Everything that a host of ours has, from the settings and what is there already. Pure but for our own files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops.host import agent, front, login
from ops.host.facts import Facts
from ops.host.resources import (
    RELOAD,
    RELOADED,
    Absent,
    Command,
    Directory,
    File,
    Kept,
    Note,
    Package,
    Reaction,
    Resource,
    Tree,
    Unit,
    User,
)
from ops.host.units import units
from ops.onhost import layout
from ops.render import render
from ops.settings import HostSettings, Settings

PACKAGES: Final = ("ca-certificates", "python3-venv", "unattended-upgrades")
CLOCKS: Final = ("chrony", "ntpsec", "openntpd", "systemd-timesyncd")  # the first that is there keeps the time
CLOCK: Final = "systemd-timesyncd"
SWAP_FILE: Final = "/swapfile"
SWAP_UNIT: Final = "swapfile.swap"  # systemd names it after the file
SWAPLESS: Final = frozenset({"overlay", "tmpfs", "btrfs", "zfs", "nfs", "nfs4"})  # no file on these is swapped to
PUBLIC_PORT: Final = "public-port"
ONHOST: Final = Path(__file__).resolve().parent.parent / "onhost"
UPDATES: Final = ("apt-daily.timer", "apt-daily-upgrade.timer")
STEP_LOCK_S: Final = 60
# A file of another size is made anew, and only gets its name when it is whole.
MAKE_SWAP: Final = """
new="$1.new"; rm -f "$new"; trap 'rm -f "$new"' EXIT
fallocate -l "$2" "$new" 2>/dev/null || dd if=/dev/zero of="$new" bs=1M count=$(($2 / 1048576)) status=none
chmod 600 "$new" && mkswap "$new" >/dev/null
systemctl stop "$3" 2>/dev/null || :
mv "$new" "$1"
"""
IS_SWAP: Final = 'test "$(stat -c "%s %a" "$1" 2>/dev/null)" = "$2 600"'


def wanted(settings: Settings, facts: Facts) -> tuple[Resource, ...]:
    """The resources in the order in which they are looked at, and made."""
    return (
        *(Package(name) for name in PACKAGES),
        *_clock(facts),
        *_updates(),
        *_journal(settings.host),
        *_swap(settings.host, facts),
        User(layout.USER),
        *_places(),
        *tool(),
        *_environment(settings.host),
        *front.resources(settings, facts),
        *_dashboard(settings, facts),
        *agent.resources(settings, facts),
        login.door(facts),
    )


def _clock(facts: Facts) -> Iterator[Resource]:
    present = next((name for name in CLOCKS if facts.version(name)), None)
    if present is None:
        yield Package(CLOCK)
    yield Unit(f"{present or CLOCK}.service")


def _updates() -> Iterator[Resource]:
    # Read after the distribution's own 20auto-upgrades and 50unattended-upgrades.
    yield File("/etc/apt/apt.conf.d/60kpi-ops", render("host-apt.conf.j2"))
    yield File("/etc/needrestart/conf.d/60-kpi-ops.conf", render("host-needrestart.conf.j2"))
    yield from (Unit(name) for name in UPDATES)


def _journal(settings: HostSettings) -> Iterator[Resource]:
    text = render("host-journald.conf.j2", journal_mb=settings.journal_mb)
    yield File("/etc/systemd/journald.conf.d/60-kpi-ops.conf", text, then=("journald",))
    restart = ("systemctl", "restart", "systemd-journald.service")
    yield Reaction("journald", "let the journal keep to its limits", (restart,))


def _swap(settings: HostSettings, facts: Facts) -> Iterator[Resource]:
    """A file, not zram: that is missing in the kernels of some clouds, and takes the one CPU when it is needed most."""
    others = {path: size_mb for path, size_mb in facts.swaps.items() if path != SWAP_FILE}
    if not settings.swap_mb:
        yield from _no_swap()
    elif facts.container or facts.root_filesystem in SWAPLESS:
        where = f"a container ({facts.container})" if facts.container else facts.root_filesystem
        yield Note(f"no swap file: {where} cannot have one")
    elif sum(others.values()) >= settings.swap_mb:
        yield Note(f"no swap file: the host swaps to {', '.join(others)} already")
    else:
        yield from _swap_file(settings.swap_mb)


def _no_swap() -> Iterator[Resource]:
    yield Unit(SWAP_UNIT, enabled=False, active=False)
    yield Absent(str(layout.UNITS / SWAP_UNIT), then=(RELOADED,))
    yield Absent(SWAP_FILE)


def _swap_file(swap_mb: int) -> Iterator[Resource]:
    size = str(swap_mb * 1024 * 1024)
    yield Command(
        f"make a swap file of {swap_mb} MB ({SWAP_FILE})",
        ("/bin/sh", "-ec", MAKE_SWAP, "sh", SWAP_FILE, size, SWAP_UNIT),
        unless=("/bin/sh", "-c", IS_SWAP, "sh", SWAP_FILE, size),
        then=("swap",),
    )
    text = render("host-swap.swap.j2", swap_mb=swap_mb, path=SWAP_FILE)
    yield File(str(layout.UNITS / SWAP_UNIT), text, then=(RELOADED,))
    yield RELOAD
    yield Reaction("swap", "swap to it", (("systemctl", "restart", SWAP_UNIT),))
    yield Unit(SWAP_UNIT)
    yield File("/etc/sysctl.d/60-kpi-ops.conf", render("host-sysctl.conf.j2"), then=("sysctl",))
    restart = ("systemctl", "restart", "systemd-sysctl.service")
    yield Reaction("sysctl", "let the kernel swap less", (restart,))


def _places() -> Iterator[Resource]:
    for path in (layout.HOME, layout.RELEASES, layout.ENVIRONMENTS, layout.PACKAGES, layout.WHEELS, layout.RECORD):
        yield Directory(str(path))
    yield Directory(str(layout.CONFIGURATION))


def tool() -> Iterator[File | Tree]:
    """kpi-host: its command last, so that there is none before its files are."""
    package = ONHOST.parent / "__init__.py"
    yield File(str(layout.TOOL / "ops" / "__init__.py"), package.read_text("utf-8"))
    place = layout.TOOL / "ops" / "onhost"
    sources = sorted(ONHOST.glob("*.py"))
    yield Tree(str(place), tuple(File(str(place / path.name), path.read_text("utf-8")) for path in sources), ".py")
    yield File(str(layout.COMMAND), render("host-kpi-host.j2", tool=layout.TOOL), mode=0o755)


def _environment(settings: HostSettings) -> Iterator[Resource]:
    yield variables(settings)
    yield Kept(str(layout.SECRETS))


def variables(settings: HostSettings) -> File:
    """What a release on the host goes by: [host.environment], and what is set here for how it starts and leaves."""
    ours = {"KPI_HOST__DRAIN_MINUTES": f"{settings.drain_minutes:g}", "KPI_HOST__GATE": settings.gate.model_dump_json()}
    pairs = [(name, quoted(value)) for name, value in sorted((ours | settings.environment).items())]
    return File(str(layout.DASHBOARD_ENVIRONMENT), render("host-dashboard.env.j2", variables=pairs))


def quoted(value: str) -> str:
    """A value as systemd reads it back from an EnvironmentFile."""
    escaped = "".join(f"\\{letter}" if letter in '"\\`$' else letter for letter in value)
    return f'"{escaped}"'


def _dashboard(settings: Settings, facts: Facts) -> Iterator[Resource]:
    listens = _is_active(facts)
    for name, text in sorted(units(settings).items()):
        # A port that is open stays as it was until it is opened anew: systemd does not change a socket that listens.
        then = (RELOADED, PUBLIC_PORT) if name == layout.SOCKET_UNIT and listens else (RELOADED,)
        yield File(str(layout.UNITS / name), text, then=then)
    yield RELOAD
    yield _port_anew(facts, now=bool(facts.instances) and not listens)
    yield from _socket(facts)
    yield Unit(layout.DISPATCHER_UNIT, active=None)
    yield Unit(layout.SETTLE_AT_BOOT_UNIT, active=None)


def _socket(facts: Facts) -> Iterator[Resource]:
    """Open only once there is a release: whoever came before would wait for ever, and systemd would try for ever."""
    served = facts.paths.get(str(layout.CURRENT)) is not None
    yield Unit(layout.SOCKET_UNIT, active=True if served else None)
    if not served:
        yield Note("no release yet: the public port opens with the first `fab deploy`")


def _is_active(facts: Facts) -> bool:
    state = facts.units.get(layout.SOCKET_UNIT)
    return state is not None and state.active == "active"


def _port_anew(facts: Facts, *, now: bool) -> Reaction:
    """Releases that live hold the old port: all leave, at once, before it is opened again.

    Socket and releases stop in one go: with one of them left, traffic would start a release, or find no port.
    """
    releases = [name.removeprefix("kpi-dashboard@").removesuffix(".service") for name in facts.instances]
    at_once = tuple(str(layout.RUN / release / "at-once") for release in releases)
    stop = ("systemctl", "stop", layout.SOCKET_UNIT, *facts.instances)
    return Reaction(
        PUBLIC_PORT,
        "open the public port anew: for some seconds nobody is served, and open sessions end",
        (
            *((("touch", *at_once),) if at_once else ()),
            ("flock", "-w", str(STEP_LOCK_S), str(layout.STEP_LOCK), *stop),
            ("systemctl", "start", layout.SOCKET_UNIT),
            *((("systemctl", "start", layout.DISPATCHER_UNIT),) if releases else ()),
        ),
        now=now,
    )
