"""What a deploy would do on a host as it is: nothing, not now and why, or which steps. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

MEGABYTE = 1024 * 1024
ENVIRONMENT_BYTES = 900 * MEGABYTE  # of a first one: packages, their bytecode, and the wheels they came from
RELEASE_BYTES = 50 * MEGABYTE
ENVIRONMENT_FILES = 40_000  # some 25,000, and what is made of them on the way
RELEASE_FILES = 2_000
MEMORY_OF_A_RELEASE = 260 * MEGABYTE  # where none runs that could be looked at
ROOM = 1.15  # above what the running release takes
CLOCK = timedelta(seconds=60)
SYSTEMD = "systemd"

Mode = Literal["overlap", "hand-off"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to serve: a commit with these settings, and what it needs."""

    sha: str
    dirty: bool
    settings_sha256: str
    lock_sha256: str
    requires_python: str


@dataclass(frozen=True, slots=True)
class Drift:
    """What beside the release differs on the host. `socket`: the port's own unit, which no deploy changes."""

    differing: Sequence[str] = ()
    socket: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done. `refused`: nothing can be, and why; `up_to_date`: nothing needs to be."""

    refused: tuple[str, ...] = ()
    up_to_date: bool = False
    mode: Mode = "overlap"
    why_mode: str = ""
    installs: bool = False


def verdict(wish: Wish, host: Mapping[str, Any], drift: Drift, *, clock_s: float, force: bool) -> Verdict:
    """Decide from what `kpi-host status` says. `clock_s`: the time here, since 1970."""
    serves_it = not wish.dirty and serves(wish.sha, wish.settings_sha256, host)
    if not force and serves_it and not drift.differing and not drift.socket:
        return Verdict(up_to_date=True)
    installs = not any(
        known["lock_sha256"] == wish.lock_sha256 and known["environment_ready"] for known in host["releases"]
    )
    refused = (*_reasons(wish, host, installs=installs, clock_s=clock_s), *_of_the_port(host, drift))
    mode, why = _mode(host)
    return Verdict(refused=refused, mode=mode, why_mode=why, installs=installs)


def serves(sha: str, settings_sha256: str, host: Mapping[str, Any]) -> bool:
    """Whether the very same commit and settings serve, and are well."""
    current = _release(host, host["current"])
    unit = serving_unit(host)
    if current is None or unit is None or current["dirty"]:
        return False
    same = (current["sha"], current["settings_sha256"]) == (sha, settings_sha256)
    return same and unit["active"] == "active" and host["socket"] == "active"


def serving_unit(host: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The unit of the current release."""
    return next((unit for unit in host["units"] if unit["release"] == host["current"] and _alive(unit)), None)


def _alive(unit: Mapping[str, Any]) -> bool:
    return unit["active"] in {"active", "activating", "reloading"}


def _release(host: Mapping[str, Any], release: str | None) -> Mapping[str, Any] | None:
    return next((known for known in host["releases"] if known["release"] == release), None)


def _reasons(wish: Wish, host: Mapping[str, Any], *, installs: bool, clock_s: float) -> Iterator[str]:
    bytes_, files = (ENVIRONMENT_BYTES, ENVIRONMENT_FILES) if installs else (RELEASE_BYTES, RELEASE_FILES)
    yield from _disk(host, bytes_, files)
    skew = timedelta(seconds=abs(host["clock"] - clock_s))
    if skew > CLOCK:
        seconds = skew.total_seconds()
        yield f"the clocks differ by {seconds:.0f} s, at most {CLOCK.seconds} s is expected: see `timedatectl` there"
    if wish.requires_python and Version(host["python"]) not in SpecifierSet(wish.requires_python):
        yield f"the host has Python {host['python']}, and the release wants {wish.requires_python}"


def _of_the_port(host: Mapping[str, Any], drift: Drift) -> Iterator[str]:
    if host["port_owner"] not in {None, SYSTEMD}:
        yield f"the port is held by {host['port_owner']}, not by kpi-dashboard.socket: stop it there"
    if drift.socket:
        yield "kpi-dashboard.socket is not as the settings say: `fab bootstrap` opens the port anew; sessions end"


def _disk(host: Mapping[str, Any], needed_bytes: int, needed_files: int) -> Iterator[str]:
    if host["free_bytes"] < needed_bytes:
        free, needed = host["free_bytes"] // MEGABYTE, needed_bytes // MEGABYTE
        yield f"{free} MB of disk are free in /opt/kpi, {needed} MB are needed: see `fab releases`, or enlarge the disk"
    if 0 <= host["free_inodes"] < needed_files:
        yield f"{host['free_inodes']:,} inodes are free in /opt/kpi, {needed_files:,} are needed: see `df -i` there"


def _mode(host: Mapping[str, Any]) -> tuple[Mode, str]:
    """Two releases at once where there is memory for the second; else the old one goes first."""
    unit = serving_unit(host)
    if unit is None:
        return "overlap", "nothing serves yet"
    needed = ROOM * (unit["memory_bytes"] or MEMORY_OF_A_RELEASE)
    available = host["memory_available_bytes"]
    if available < 0:
        return "overlap", "nothing is known of the memory there"
    said = f"{available // MEGABYTE} MB are available, a second release takes about {needed / MEGABYTE:.0f} MB"
    return ("overlap" if available >= needed else "hand-off"), said
