"""What a command on the host prints: lines to whoever listens, and as much kept as memory is made for. Pure."""

from collections.abc import Callable

from ops.host.remote import Done

MOST_BYTES = 16 * 1024 * 1024
END_BYTES = 64 * 1024
LINE_BYTES = 1024 * 1024


class Output:
    """Standard output and error of one command."""

    def __init__(self, on_line: Callable[[str], None] | None, most_bytes: int = MOST_BYTES) -> None:
        """`on_line` hears each line, without its end; a line longer than LINE_BYTES in pieces."""
        self.most_bytes = most_bytes
        self._on_line = on_line
        self._out, self._err, self._line = bytearray(), bytearray(), bytearray()

    def out(self, data: bytes) -> bool:
        """Take more of standard output, b"" for its end; False when it is too much and nobody listens."""
        self._out += data
        if not self._on_line:
            return len(self._out) <= self.most_bytes
        del self._out[:-END_BYTES]
        self._line += data
        *whole, rest = self._line.split(b"\n")
        self._line = rest if data and len(rest) <= LINE_BYTES else bytearray()
        for line in [*whole, *([rest] if rest and not self._line else [])]:
            self._on_line(_text(line))
        return True

    def err(self, data: bytes) -> None:
        """Take more of standard error."""
        self._err += data
        del self._err[:-END_BYTES]

    def done(self, status: int) -> Done:
        """All of it."""
        return Done(status, _text(self._out), _text(self._err))


def _text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "replace")
