"""What is said to systemd: notifications to the service manager, and lines for the journal with their priority.

Standard library only: it has to work where nothing else can be imported.
"""

import socket
import sys
from contextlib import suppress
from enum import IntEnum


class Priority(IntEnum):
    """How urgent a line of the journal is, as syslog counts."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


def journal(priority: Priority, text: str) -> None:
    """Write each line of a text to stderr, with the priority that the journal files it under."""
    with suppress(OSError, ValueError):  # a journal that cannot be written must not end what serves
        sys.stderr.write("".join(f"<{priority:d}>{line}\n" for line in text.splitlines()))
        sys.stderr.flush()


def notify(address: str | None, *assignments: str) -> None:
    """Send assignments like READY=1 to the service manager; to nobody where there is no address ($NOTIFY_SOCKET)."""
    if not address:
        return
    # An address that begins with @ is of Linux' abstract kind.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect(name)
        out.send("\n".join(assignments).encode())
