"""A host over SSH: one connection, its key pinned, commands as lists of arguments, all of them as root."""

import contextlib
import logging
import math
import random
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

from etl.errors import HostError, HostUnreachable
from ops.host import host_key
from ops.host.line import Line, connect, unreachable
from ops.host.output import Output
from ops.host.remote import Done
from ops.host.ssh_command import RELEASE_S, TICK_S, Command, HeldCommand
from ops.host.ssh_keys import private_keys
from ops.host.where import Address
from ops.words import plain

SUDO = ("sudo", "-n", "--")
OPEN_S = 60.0
LOST_S = 0.5  # until a connection that is lost has been told so

SUDO_REFUSES = (1, 127)  # itself, or the shell that finds no sudo: asked once more before it is believed
NO_SUCH_COMMAND = 127
LOGIN_REFUSED = 142  # how EC2's images end whatever root is asked to do, with the name of the right user
# What is quick in Python, and nothing that is weak: GCM does in one pass what CTR and a MAC do in two.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
KEY_EXCHANGES = (
    "curve25519-sha256@libssh.org",
    "mlkem768x25519-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else it prints tracebacks of what is handled here

CROWDED_WAITS_S = (0.25, 0.5, 1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often a host that says nothing is asked whether it is there, and after how long it is given up."""

    keepalive_s: float = 15
    silence_s: float = 44  # three times, with a second to notice it in


class Crowded(HostUnreachable):
    """The server hung up before it said who it is, as sshd does when too many are about to log in (MaxStartups)."""


@contextlib.contextmanager
def connected(
    address: Address, bounds: Bounds | None = None, sleep: Callable[[float], None] = time.sleep
) -> Iterator["SshRemote"]:
    """A connection to a host, closed at the end. A server that is crowded is asked again, for some seconds.

    Raises HostUnreachable, HostKeyRefused, and HostError where the host lets nobody in.
    """
    bounds = bounds or Bounds()
    for wait_s in CROWDED_WAITS_S:
        try:
            line, transport = _opened(address, bounds)
            break
        except Crowded:
            sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - so that those who were sent away do not come at once
    else:
        line, transport = _opened(address, bounds)
    try:
        yield SshRemote(transport, line, address)
    finally:
        _close(transport, line)


def _opened(address: Address, bounds: Bounds) -> tuple[Line, paramiko.Transport]:
    line = connect(address, bounds.silence_s)
    transport = paramiko.Transport(line)
    try:
        _agree(transport, line, address)
        _log_in(transport, line, address)
    except BaseException:
        _close(transport, line)
        raise
    transport.packetizer.set_keepalive(bounds.keepalive_s, lambda: _are_you_there(transport))
    return line, transport


def _close(transport: paramiko.Transport, line: Line) -> None:
    line.close()  # first: it wakes paramiko's thread, which would look for its end only now and then
    transport.close()
    line.end()


def _are_you_there(transport: paramiko.Transport) -> None:
    """Ask for something that every server refuses: the refusal is a sign of life. Paramiko's own asks for no answer."""
    message = paramiko.Message()
    message.add_byte(cMSG_GLOBAL_REQUEST)
    message.add_string("keepalive@openssh.com")
    message.add_boolean(True)  # noqa: FBT003 - "want reply", in the order of the protocol
    transport._send_user_message(message)  # noqa: SLF001 - there is no public way to ask without waiting


def _agree(transport: paramiko.Transport, line: Line, address: Address) -> None:
    """Shake hands, and look whose they are."""
    lines = host_key.pinned(address.known_hosts, address.names)
    options = transport.get_security_options()
    options.ciphers = [name for name in CIPHERS if name in options.ciphers]
    options.kex = [name for name in KEY_EXCHANGES if name in options.kex]
    wanted = {known.kind for known in lines}
    options.key_types = sorted(options.key_types, key=lambda kind: _key_type(kind) not in wanted)
    transport.banner_timeout = transport.handshake_timeout = max(address.connect_s, transport.banner_timeout)
    try:
        transport.start_client()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise HostError(
            f"{address} speaks no SSH that is safe enough: {error}",
            expected="an OpenSSH of this decade",
            to_do="update the host's openssh-server",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        gone = unreachable(address, _with_gateway(line, f"no SSH server answers there ({error})"))
        if line.hung_up and not transport.remote_version and not address.gateway:
            raise Crowded(gone.seen, expected=gone.expected, to_do=gone.to_do) from error
        raise gone from error
    shown = transport.get_remote_server_key()
    host_key.checked(f"{shown.get_name()} {shown.get_base64()}", lines, address.names, address.known_hosts[0])


def _with_gateway(line: Line, why: str) -> str:
    said = line.gateway_said()
    return f"{why}; the gateway says: {said}" if said else why


def _key_type(algorithm: str) -> str:
    """The type of key behind an algorithm of signatures: RSA has three."""
    return "ssh-rsa" if algorithm.startswith("rsa-") else algorithm


def _log_in(transport: paramiko.Transport, line: Line, address: Address) -> None:
    tried: list[str] = []
    with contextlib.ExitStack() as agents:
        try:
            for name, key in private_keys(address, agents):
                tried.append(name)
                with contextlib.suppress(paramiko.AuthenticationException):
                    transport.auth_publickey(address.user, key)
                if transport.is_authenticated():
                    return
        except (paramiko.SSHException, EOFError, OSError) as error:
            why = _with_gateway(line, str(error) or type(error).__name__)
            raise _not_let_in(address, f"{', '.join(tried)}; it hung up ({why})") from error
    raise _not_let_in(address, ", ".join(tried) or "no key, for none was found here")


def _not_let_in(address: Address, tried: str) -> HostError:
    return HostError(
        f"{address} does not let us in with {tried}",
        expected=f"a key that is in ~{address.user}/.ssh/authorized_keys there",
        to_do="name the key in [host] key of settings.toml (or -i), or `ssh-add` it; "
        "is the user right ([host] user, or -H user@host)?",
    )


@dataclass(frozen=True, slots=True)
class SshRemote:
    """A host that is connected to; see ops.host.remote.Remote. Not for several threads at once."""

    transport: paramiko.Transport
    line: Line
    address: Address

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] = b"",
        on_line: Callable[[str], None] | None = None,
        timeout_s: float = 600,
    ) -> Done:
        """See Remote.run."""
        with self._command(argv, Output(on_line), timeout_s) as command:
            command.send([stdin] if isinstance(stdin, bytes) else stdin)
            return self._believed(argv, command.ended())

    def hold(self, argv: Sequence[str]) -> tuple[str, HeldCommand | Done]:
        """See Remote.hold."""
        lines: list[str] = []
        with contextlib.ExitStack() as stack:
            command = stack.enter_context(self._command(argv, Output(lines.append), math.inf))
            while not lines and command.listen():
                pass
            if not lines:
                return "", self._believed(argv, command.ended())
            return lines[0], HeldCommand(command, stack.pop_all())

    @contextlib.contextmanager
    def _command(self, argv: Sequence[str], output: Output, timeout_s: float) -> Iterator[Command]:
        text = shlex.join([*SUDO, *argv])
        try:
            channel = self.transport.open_session(timeout=min(timeout_s, OPEN_S))
            channel.settimeout(TICK_S)
            channel.exec_command(text.encode("utf-8", "surrogateescape"))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(error) or self._no_session(error) from error
        try:
            yield Command(channel, output, shlex.join(argv), time.monotonic() + timeout_s, self._lost)
        finally:
            channel.close()

    def _lost(self, met: Exception | None = None) -> HostUnreachable | None:
        """What to raise where the connection is gone, None where it is not. `met`: what was met on the way here."""
        self.transport.join(LOST_S)  # one that was just lost may not have been told yet
        if self.transport.is_active():
            return None
        error = self.transport.get_exception() or met  # paramiko gives each only once
        cause = getattr(error, "strerror", None) or error or "it was closed"
        why = _with_gateway(self.line, f"the connection was lost ({cause})")
        return unreachable(self.address, why, "look at the network and the host, then: fab status")

    def _no_session(self, error: Exception) -> HostError:
        return HostError(
            f"{self.address} runs no command: {error}",
            expected="an SSH server that allows sessions with commands",
            to_do="look at MaxSessions and ForceCommand in its sshd_config",
        )

    def _believed(self, argv: Sequence[str], done: Done) -> Done:
        """The same, as if there were no sudo. Raises HostError where it is sudo or the login that refused."""
        if done.status == LOGIN_REFUSED and "login as" in done.out:
            raise _not_root(self.address, done.out)
        if done.status not in SUDO_REFUSES or "sudo" not in done.err:
            return done
        if not self._may_sudo():
            raise _not_root(self.address, done.err)
        unknown = done.err.startswith(f"sudo: {argv[0]}: ")
        return replace(done, status=NO_SUCH_COMMAND) if unknown else done

    def _may_sudo(self) -> bool:
        with self._command(["true"], Output(None), RELEASE_S) as command:
            return command.ended().status == 0


def _not_root(address: Address, said: str) -> HostError:
    first = next((plain(line) for line in said.splitlines() if line.strip()), "no reason given")
    return HostError(
        f"{address} may not become root without a password: {first}",
        expected="a user with NOPASSWD in sudoers, like ubuntu on Ubuntu's images and admin on Debian's",
        to_do="name that user ([host] user in settings.toml, or -H user@host), or write on the host, by `visudo`: "
        f"{address.user} ALL=(ALL) NOPASSWD: ALL",
    )
