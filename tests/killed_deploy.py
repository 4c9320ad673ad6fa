"""A deploy that ends like a pulled plug: `python -m tests.killed_deploy HOST CLONE WORD TIMES MOMENT`.

HOST is JSON of address, user, key and known_hosts. At the TIMES-th call of kpi-host WORD it kills itself: `before` the
call is made, or `amid` it.
"""

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

from tests.deployed import Operator

AMID_S = 0.25


class Doomed:
    """A connection that knows when its end has come."""

    def __init__(self, remote, word, times, moment):
        self.remote, self.word, self.left, self.moment = remote, word, times, moment

    def run(self, argv, **options):
        self._meet(argv)
        return self.remote.run(argv, **options)

    def hold(self, argv):
        self._meet(argv)
        return self.remote.hold(argv)

    def _meet(self, argv):
        self.left -= self.word in argv[:2]
        if not self.left:
            self.left = -1
            threading.Timer(AMID_S if self.moment == "amid" else 0, _end).start()
            if self.moment == "before":
                threading.Event().wait()


def _end():
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(Operator):
    """Whose connections are doomed."""

    def __init__(self, host, clone, end):
        super().__init__(host, clone)
        self.end = end

    @contextmanager
    def connection(self):
        with super().connection() as remote:
            yield Doomed(remote, *self.end)


if __name__ == "__main__":
    host, directory, word, times, moment = sys.argv[1:]
    clone = SimpleNamespace(directory=directory)
    Dying(SimpleNamespace(**json.loads(host)), clone, (word, int(times), moment)).deploy()
    sys.exit("it lived")
