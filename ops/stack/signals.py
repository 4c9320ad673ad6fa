"""What is made is unmade before the process goes, also where SIGINT, SIGTERM or SIGHUP tells it to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ORDERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_SHELL_S = 128  # what a shell adds to a signal's number


@contextmanager
def unmade(make: Callable[[], None], unmake: Callable[[], None]) -> Iterator[None]:
    """Call `make`, run the block, and call `unmake` whatever happens; it must be good to be called twice.

    An order to stop waits while something is being made or unmade. Within the block it is unmade at once, not when
    the block's threads have ended: who sends SIGINT often sends SIGKILL seconds later. Then the order is raised, as
    KeyboardInterrupt or SystemExit; what `unmake` raises goes before it.
    """
    orders = _Orders(unmake)
    with _handled(orders.taken):
        try:
            make()
        except BaseException:
            orders.raised()
            raise
        try:
            try:
                orders.obey()
                yield
            finally:
                orders.wait()
        finally:  # of its own: an order that came within the line above was raised there
            unmake()
            orders.raised()
    orders.raised()


class _Orders:
    """Orders to stop: noted, or obeyed."""

    def __init__(self, unmake: Callable[[], None]) -> None:
        self._unmake = unmake
        self._obeying = False
        self._noted: int | None = None

    def taken(self, number: int, _frame: FrameType | None) -> None:
        """The handler."""
        self._noted = self._noted or number
        if self._obeying:
            self._stopped()

    def obey(self) -> None:
        self._obeying = True
        if self._noted:
            self._stopped()

    def wait(self) -> None:
        self._obeying = False

    def raised(self) -> None:
        """Raise what was noted and nobody has raised."""
        noted, self._noted = self._noted, None
        if noted == signal.SIGINT:
            raise KeyboardInterrupt
        if noted:
            raise SystemExit(_SHELL_S + noted)

    def _stopped(self) -> None:
        self._obeying = False
        self._unmake()
        self.raised()


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Signals come to the main thread alone; those that are ignored, as after nohup, stay so."""
    before = {number: signal.getsignal(number) for number in ORDERS if _ours(number)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, then in before.items():
            signal.signal(number, then)


def _ours(number: int) -> bool:
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and signal.getsignal(number) not in (signal.SIG_IGN, None)
