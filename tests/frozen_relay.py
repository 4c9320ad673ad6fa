"""A TCP relay on loopback that can go silent as a network that vanishes does, or hang up."""

import selectors
import socket
import threading
from contextlib import suppress

CHUNK = 65536


class Relay:
    """Carries every connection to a port of this machine, until `freeze` or `hang_up`."""

    def __init__(self, port):
        self._to = port
        self._frozen = threading.Event()
        self._done = threading.Event()
        self._open = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self):
        """Carry nothing any more, and say nothing of it."""
        self._frozen.set()

    def hang_up(self):
        """Close every connection."""
        for wire in self._open:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def close(self):
        """End it all."""
        self._done.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.hang_up()
        for wire in self._open:
            wire.close()

    def _accept(self):
        with suppress(OSError):
            while not self._done.is_set():
                ours, _ = self._listening.accept()
                theirs = socket.create_connection(("127.0.0.1", self._to))
                self._open += [ours, theirs]
                threading.Thread(target=self._carry, args=(ours, theirs), daemon=True).start()

    def _carry(self, ours, theirs):
        other = {ours: theirs, theirs: ours}
        with suppress(OSError, ValueError), selectors.DefaultSelector() as ready:
            for wire in other:
                ready.register(wire, selectors.EVENT_READ)
            while not self._done.is_set():
                for key, _ in ready.select(0.05):
                    self._step(key.fileobj, other[key.fileobj])

    def _step(self, wire, other):
        if self._frozen.is_set():
            self._done.wait(0.05)
            return
        data = wire.recv(CHUNK)
        if not data:
            other.shutdown(socket.SHUT_WR)
            raise OSError
        other.sendall(data)
