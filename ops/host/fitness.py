"""Whether a host can be set up at all: asked before anything is changed. Pure."""

from collections.abc import Iterator

from etl.errors import HostError
from ops.host.facts import Facts
from ops.onhost import layout
from ops.settings import HostSettings

FIT = {("debian", "12"), ("ubuntu", "24.04")}
OLDEST_PYTHON, TOO_NEW_PYTHON = (3, 11), (3, 14)
PACKAGES_MB = 400
RELEASE_MB = 900  # the first environment: packages, their bytecode, and the wheels they came from
INODES = 40_000
SYSTEMD = "systemd (pid 1)"
FRONT_PORTS = (80, 443)


def refuse_unfit(facts: Facts, settings: HostSettings, port: int) -> None:
    """Raises one HostError that names every reason; nothing was changed."""
    reasons = [*_kind(facts), *_disk(facts, settings), *_ports(facts, settings, port)]
    if reasons:
        raise HostError(
            "\n    ".join(["this host cannot be set up:", *reasons]),
            expected="Ubuntu 24.04 or Debian 12 with systemd, room on the disk, and a port that is free or ours",
            to_do="mend that, or take another host; nothing was changed",
        )


def _kind(facts: Facts) -> Iterator[str]:
    if (facts.distribution, facts.release) not in FIT:
        yield f"it runs {facts.name or facts.distribution or 'an unknown system'}"
    if not facts.booted_by_systemd:
        yield "systemd does not run there"
    version = tuple(int(part) for part in facts.python.split(".")[:2])
    if not OLDEST_PYTHON <= version < TOO_NEW_PYTHON:
        yield f"its python3 is {facts.python}: 3.11, 3.12 or 3.13 is expected"


def _disk(facts: Facts, settings: HostSettings) -> Iterator[str]:
    if facts.read_only:
        yield "its disk can only be read"
    swap_mb = 0 if facts.swaps or facts.container else settings.swap_mb
    needed = PACKAGES_MB + RELEASE_MB + settings.journal_mb + swap_mb
    if layout.USER in facts.users:  # it was set up before: what takes room is there
        return
    if facts.free_mb < needed:
        yield f"{facts.free_mb} MB of disk are free: {needed} are needed, {swap_mb} of them for the swap file"
    if 0 <= facts.free_inodes < INODES:
        yield f"{facts.free_inodes:,} inodes are free: {INODES:,} are needed"


def _ports(facts: Facts, settings: HostSettings, port: int) -> Iterator[str]:
    owner = facts.ports.get(port, "")
    if owner and SYSTEMD not in owner and not facts.instances:
        yield f"port {port} is held by {owner}: stop it there"
    if settings.domain:
        for number in FRONT_PORTS:
            holder = facts.ports.get(number, "")
            if holder and not holder.startswith("caddy "):
                yield f"port {number} is held by {holder}: Caddy needs it"
