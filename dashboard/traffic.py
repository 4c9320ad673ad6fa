"""How many people and requests this process is serving just now."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Traffic:
    """Counts of the public port; touched by the event loop's thread only. `draining`: no new visitors are taken.

    `parted`: when a page was last left, on the clock of time.monotonic; `sent_away`: sessions that do not
    come back here.
    """

    sessions: int = 0
    requests: int = 0
    draining: bool = False
    parted: float = float("-inf")
    sent_away: set[str] = field(default_factory=set)

    @contextmanager
    def session(self) -> Iterator[None]:
        """While a page is open."""
        self.sessions += 1
        try:
            yield
        finally:
            self.sessions -= 1
            self.parted = time.monotonic()

    @contextmanager
    def request(self) -> Iterator[None]:
        """While a request is answered."""
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1
