"""The wire to a host: a TCP connection, or the two ends of a gateway's program, that notices when nobody is there."""

import contextlib
import errno
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import IO

from etl.errors import HostUnreachable
from ops.host.where import Address
from ops.words import plain

ENDS_WITHIN_S = 2.0
SHOWN_BYTES = 2000


class Silent(ConnectionError):
    """Nothing was heard for too long."""


class Line:
    """A socket as paramiko wants one. It fails when nothing came for `silence_s`, or nothing could be sent for it.

    Who uses it asks something now and then, so that a host that is there has something to answer.
    """

    def __init__(
        self,
        wire: socket.socket,
        silence_s: float,
        gateway: "Gateway | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wire` is connected; `clock` gives seconds and only grows."""
        self._wire, self._silence_s, self._gateway, self._clock = wire, silence_s, gateway, clock
        self._heard_s = self._sent_s = clock()
        self.hung_up = False  # the other side has

    def recv(self, most: int) -> bytes:
        """What has come. Raises TimeoutError for now, Silent for good."""
        try:
            data = self._wire.recv(most)
        except TimeoutError:
            self._give_up(self._heard_s)
            raise
        except ConnectionResetError:
            self.hung_up = True
            raise
        self.hung_up = not data
        self._heard_s = self._clock()
        return data

    def send(self, data: bytes) -> int:
        """How much of it was taken. Raises TimeoutError for now, Silent for good."""
        try:
            taken = self._wire.send(data)
        except TimeoutError:
            self._give_up(self._sent_s)
            raise
        self._sent_s = self._clock()
        return taken

    def settimeout(self, timeout_s: float | None) -> None:
        """How long one call waits."""
        self._wire.settimeout(timeout_s)

    def close(self) -> None:
        """Close the socket; who waits in `recv` wakes up at once. Paramiko does so by itself where something fails."""
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)
        self._wire.close()

    def end(self) -> None:
        """Close it, and end the gateway's program."""
        self.close()
        if self._gateway:
            self._gateway.close()

    @property
    def _closed(self) -> bool:
        """Paramiko looks for it by this name, while it waits for its own thread."""
        return self._wire.fileno() < 0

    def gateway_said(self) -> str:
        """What the gateway's program complained of."""
        return self._gateway.said() if self._gateway else ""

    def _give_up(self, since_s: float) -> None:
        if self._clock() - since_s > self._silence_s:
            # With a number, or paramiko stumbles over it.
            raise Silent(errno.ETIMEDOUT, f"nothing was heard for {self._silence_s:g} s")


class Gateway:
    """A program whose input and output lead to the host; what it says besides is kept for whoever asks why."""

    def __init__(self, argv: list[str]) -> None:
        """Start it. Raises OSError where there is no such program."""
        with contextlib.ExitStack() as stack:
            ours, theirs = map(stack.enter_context, socket.socketpair())
            complaints: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(  # noqa: S603 - the gateway of the settings, split into words, no shell
                argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=complaints.fileno(),
                start_new_session=True,  # Ctrl-C is for us to handle, and it goes with all its children
            )
            theirs.close()
            stack.pop_all()
        self.wire, self._complaints = ours, complaints

    def said(self) -> str:
        """The end of what it wrote to its standard error."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_WITHIN_S)  # one that fails is about to say why
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - SHOWN_BYTES))
        return plain(self._complaints.read().decode(errors="replace").strip())

    def close(self) -> None:
        """End it and its children."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._complaints.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def connect(address: Address, silence_s: float) -> Line:
    """A line to a host. Raises HostUnreachable."""
    return _through(address, silence_s) if address.gateway else _straight(address, silence_s)


def _straight(address: Address, silence_s: float) -> Line:
    try:
        wire = socket.create_connection((address.host.strip("[]"), address.port), address.connect_s)
    except OSError as error:
        raise unreachable(address, _why(error, address.connect_s)) from error
    # Without this each command waits 40 ms for an acknowledgement that the host delays.
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Line(wire, silence_s)


def _through(address: Address, silence_s: float) -> Line:
    try:
        gateway = Gateway(gateway_argv(address))
    except (OSError, ValueError) as error:
        raise unreachable(address, f"the gateway cannot be started: {error}") from error
    return Line(gateway.wire, silence_s, gateway)


def gateway_argv(address: Address) -> list[str]:
    """The words of a ProxyCommand, %h, %p, %r and %% replaced within each."""
    values = {"h": address.host.strip("[]"), "p": str(address.port), "r": address.user, "%": "%"}
    return [re.sub("%(.)", lambda token: values.get(token[1], token[0]), word) for word in shlex.split(address.gateway)]


def _why(error: OSError, connect_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {connect_s:g} s"
    return (error.strerror or str(error)).lower()


def unreachable(address: Address, why: str, to_do: str = "") -> HostUnreachable:
    """There is no connection to a host, or no longer."""
    return HostUnreachable(
        f"{address} cannot be reached: {why}",
        expected="an SSH server that this machine can connect to",
        to_do=to_do
        or "is it running, does its security group let this machine in, is [host] address or gateway right (or -H)?",
    )
