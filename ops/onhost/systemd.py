"""What is asked of systemd, a function each."""

from typing import Final

from ops.onhost import journal
from ops.onhost.journal import Entry
from ops.onhost.layout import SOCKET_UNIT, unit
from ops.onhost.machine import Done, Machine
from ops.onhost.trouble import CouldNot
from ops.onhost.units import PROPERTIES, Units, parse

JOURNAL_LINES: Final = 500
ANSWER_S = 30  # for what systemd does at once; on a machine that swaps even this may take a while


def units(machine: Machine) -> Units:
    """Every instance that is loaded, and the socket. Raises CouldNot where systemd does not answer."""
    names = [SOCKET_UNIT, unit("*")]
    done = machine.run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", *names], timeout_s=ANSWER_S)
    if done.status:
        raise CouldNot(
            f"systemd does not answer: {done.err.strip() or done.status}",
            expected="a host that runs systemd",
            to_do="look at `systemctl status` on the host; reboot it where even that does not answer",
        )
    return parse(done.out)


def written(machine: Machine, instance: str, since: float) -> list[Entry]:
    """The newest of what the journal has of a release since a moment, in its order."""
    machine.run(["journalctl", "--sync"])
    done = machine.run(
        [
            "journalctl",
            "--output=json",
            "--no-pager",
            f"--output-fields={journal.FIELDS}",
            f"--lines={JOURNAL_LINES}",
            "--reverse",  # else --since takes the first lines, and not the last, of who writes much
            f"--since=@{since:.6f}",
            f"--unit={unit(instance)}",
        ]
    )
    return journal.parse(done.out)[::-1]


def start(machine: Machine, instance: str, *, limit_s: float) -> Done:
    """Start a release and wait until it serves or is refused."""
    return machine.run(["systemctl", "start", unit(instance)], timeout_s=limit_s)


def begin(machine: Machine, instance: str) -> Done:
    """Start a release without waiting."""
    return machine.run(["systemctl", "start", "--no-block", unit(instance)], timeout_s=ANSWER_S)


def drain(machine: Machine, *instances: str) -> None:
    """Have releases take no more callers, and leave when their sessions have ended; no waiting."""
    if instances:
        machine.run(["systemctl", "stop", "--no-block", *map(unit, instances)], timeout_s=ANSWER_S)


def kill(machine: Machine, instance: str) -> None:
    """End a release that has no callers at once, and forget how it ended."""
    drain(machine, instance)  # first, so that systemd does not start it again
    machine.run(["systemctl", "kill", "--signal=KILL", unit(instance)], timeout_s=ANSWER_S)
    machine.run(["systemctl", "stop", unit(instance)], timeout_s=ANSWER_S)
    forget(machine, instance)


def forget(machine: Machine, instance: str) -> None:
    """Forget how a release ended."""
    machine.run(["systemctl", "reset-failed", unit(instance)], timeout_s=ANSWER_S)


def reload(machine: Machine) -> None:
    """Have systemd read its units anew."""
    machine.run(["systemctl", "daemon-reload"], timeout_s=ANSWER_S)
