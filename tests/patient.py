"""What waiting and asking need in tests of what is told: a clock that sleeping moves on, a session without proxies."""

import time

import requests

from etl.store import Patience


class Time:
    """A clock that sleeping moves on, on top of the real one."""

    def __init__(self):
        self.slept = []

    def sleep(self, wait_s):
        """Remember it, and do not."""
        self.slept.append(wait_s)

    def clock(self):
        """Seconds, with those that were slept."""
        return time.monotonic() + sum(self.slept)

    def patience(self, deadline_s=50.0, attempts=4):
        """Patience by this clock."""
        return Patience(attempts, deadline_s, self.sleep, self.clock)


def direct():
    """A session that asks no proxy for what is on this machine."""
    session = requests.Session()
    session.trust_env = False
    return session
