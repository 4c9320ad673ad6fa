"""What `systemctl show` says of the dashboard's units, parsed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.onhost.layout import PORT, SOCKET_UNIT
from ops.onhost.names import instance_of

PROPERTIES = (
    "Id",
    "LoadState",
    "LoadError",
    "StatusText",
    "NRestarts",
    "ActiveState",
    "SubState",
    "Result",
    "Job",
    "MainPID",
    "ExecMainCode",
    "ExecMainStatus",
    "MemoryCurrent",
    "MemoryMax",
    "TimeoutStartUSec",
    "Listen",
)
AUTO_RESTART = "auto-restart"


@dataclass(frozen=True, slots=True)
class Unit:
    """One instance. `memory_max_bytes` and `memory_bytes` are None where systemd does not know.

    `said`: the last that the release told systemd of itself; `restarts`: how often systemd itself started it again.
    """

    instance: str
    load: str
    active: str
    sub: str
    result: str
    job: bool
    pid: int
    exit_status: int
    killed: bool
    memory_bytes: int | None
    memory_max_bytes: int | None
    start_limit: str
    load_error: str = ""
    said: str = ""
    restarts: int = 0

    @property
    def serves(self) -> bool:
        """Whether it passed its gate, and takes callers."""
        return self.active == "active"

    @property
    def starts(self) -> bool:
        """Whether it is on the way to serving, or will be once its turn comes."""
        return (self.active == "activating" and self.sub != AUTO_RESTART) or (self.job and not self.leaves)

    @property
    def leaves(self) -> bool:
        """Whether it takes no more callers, and waits for its sessions to end."""
        return self.active == "deactivating"

    @property
    def lives(self) -> bool:
        """Whether anything of it runs, or is about to."""
        return self.active not in {"inactive", "failed"} or self.job


@dataclass(frozen=True, slots=True)
class Units:
    """All of them: the instances that systemd has loaded, the state of the socket, and where it listens."""

    instances: Sequence[Unit]
    socket: str
    listens: tuple[str, ...]

    def of(self, instance: str) -> Unit | None:
        """The unit of a release or alias, where it is loaded."""
        return next((unit for unit in self.instances if unit.instance == instance), None)

    def living(self) -> frozenset[str]:
        """The names of those that run."""
        return frozenset(unit.instance for unit in self.instances if unit.lives)

    @property
    def port(self) -> int:
        """The public port, by the socket unit."""
        numbers = [where.rpartition(":")[2] for where in self.listens]
        return next((int(number) for number in numbers if number.isdecimal()), PORT)


def parse(shown: str) -> Units:
    """Blocks of NAME=VALUE lines with an empty line between, as `systemctl show UNIT...` prints them."""
    blocks = [_block(text) for text in shown.strip().split("\n\n") if text.strip()]
    units = [_unit(instance, block) for block in blocks if (instance := instance_of(block.get("Id", "")))]
    socket = next((block for block in blocks if block.get("Id") == SOCKET_UNIT), {})
    listens = tuple(line.partition(" ")[0] for line in socket.get("Listen", "").splitlines() if line)
    return Units(units, socket.get("ActiveState", "unknown"), listens)


def _block(text: str) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        values[name] = f"{values[name]}\n{value}" if name in values else value
    return values


def _unit(instance: str, block: Mapping[str, str]) -> Unit:
    return Unit(
        instance=instance,
        load=block.get("LoadState", ""),
        active=block.get("ActiveState", ""),
        sub=block.get("SubState", ""),
        result=block.get("Result", ""),
        job=block.get("Job", "") not in {"", "0"},
        pid=_number(block.get("MainPID")) or 0,
        exit_status=_number(block.get("ExecMainStatus")) or 0,
        killed=block.get("ExecMainCode") in {"2", "3"},  # CLD_KILLED, CLD_DUMPED
        memory_bytes=_number(block.get("MemoryCurrent")),
        memory_max_bytes=_number(block.get("MemoryMax")),
        start_limit=block.get("TimeoutStartUSec", ""),
        load_error=block.get("LoadError", ""),
        said=block.get("StatusText", ""),
        restarts=_number(block.get("NRestarts")) or 0,
    )


def _number(text: str | None) -> int | None:
    """A count of systemd; its "[not set]", "infinity" and 2**64-1 are None."""
    value = int(text) if text and text.isdecimal() else None
    return None if value is None or value >= 2**63 else value
