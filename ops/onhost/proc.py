"""Files of /proc, parsed: memory, who listens on a port, who holds a lock. Pure."""

from collections.abc import Iterable

LISTEN = "0A"
INODE = 9  # the column of /proc/net/tcp
WORDS = 8  # of a line of /proc/locks; one that waits has "->" in its second place
KIB = 1024


def memory_bytes(meminfo: str) -> dict[str, int]:
    """Name -> bytes, of /proc/meminfo."""
    pairs = (line.partition(":") for line in meminfo.splitlines())
    return {name: int(value.split()[0]) * KIB for name, _, value in pairs if value.split()[:1]}


def listening(table: str, port: int) -> list[str]:
    """The inodes of sockets that listen on a port, of /proc/net/tcp or tcp6."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [row[INODE] for row in rows if len(row) > INODE and row[3] == LISTEN and _port(row[1]) == port]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def holder(locks: str, inode: int) -> int | None:
    """The process that holds a flock on the file with that inode, of /proc/locks; None where nobody does."""
    return next(iter(_holders(locks.splitlines(), inode)), None)


def _holders(lines: Iterable[str], inode: int) -> Iterable[int]:
    for line in lines:
        words = line.split()
        if len(words) == WORDS and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            yield int(words[4])
