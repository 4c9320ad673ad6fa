"""Bytes on their way to the host, in pieces that a progress bar hears of."""

from collections.abc import Callable, Iterator

CHUNK_BYTES = 64 * 1024


def chunks(content: bytes, sent: Callable[[int], None]) -> Iterator[bytes]:
    """The content piece by piece; `sent` is told the length of each that was taken."""
    for start in range(0, len(content), CHUNK_BYTES):
        piece = content[start : start + CHUNK_BYTES]
        yield piece
        sent(len(piece))
