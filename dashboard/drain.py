"""How a release leaves: it takes no new visitors, and stays for those it has until they go, or time is up."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dashboard.traffic import Traffic

GOING_DOWN: Final = Path("/run/nologin")  # systemd makes it when the host shuts down, and sends the same SIGTERM
IDLE_S: Final = 6  # a browser's kept connection is closed after 5 s without a request
RETURN_S: Final = 10  # who lost the connection, but did not leave, is back within a second or two
LOOK_EVERY_S: Final = 0.1
ATTACH_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Left:
    """What is still there. `connections`: all of them, also those that ask for nothing.

    `returning`: somebody who left a moment ago may have lost only the connection.
    """

    sessions: int
    requests: int
    connections: int
    returning: bool = False


def why_leave(left: Left, waited_s: float, empty_s: float, limit_s: float, hurry: str | None) -> str | None:
    """Why it is time to go, None while it is not.

    `empty_s`: for how long there has been neither session nor request; `hurry`: why nobody can be waited for.
    """
    if hurry:
        return hurry
    if not left.connections and not left.returning:
        return "nobody is left"
    if not left.sessions and not left.requests and not left.returning and empty_s >= IDLE_S:
        return "only idle connections are left"
    return f"the limit of {limit_s:g} s has passed" if waited_s >= limit_s else None


def hurry_of(at_once: Path, going_down: Path = GOING_DOWN) -> str | None:
    """Why nobody can be waited for, if so."""
    if at_once.exists():
        return "told not to wait"
    return "the host is going down" if going_down.exists() else None


async def wait_for_the_last(
    traffic: Traffic,
    connections: Callable[[], int],
    hurry: Callable[[], str | None],
    limit_s: float,
    tell: Callable[[int], None],
) -> str:
    """Wait until it is time to go; returns why. `tell` hears of the sessions left whenever their number changes."""
    began = empty_since = time.monotonic()
    told = None
    while True:
        now = time.monotonic()
        left = Left(traffic.sessions, traffic.requests, connections(), returning=now - traffic.parted < RETURN_S)
        if left.sessions or left.requests:
            empty_since = now
        reason = why_leave(left, now - began, now - empty_since, limit_s, hurry())
        if reason:
            return reason
        if left.sessions != told:
            told = left.sessions
            tell(told)
        await asyncio.sleep(LOOK_EVERY_S)
