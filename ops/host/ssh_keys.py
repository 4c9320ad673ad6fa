"""The private keys that are tried on a host: files that are named, else the SSH agent's and the user's own."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko

from etl.errors import HostError
from ops.host.where import Address

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def private_keys(address: Address, agents: contextlib.ExitStack) -> Iterator[tuple[str, Any]]:
    """Keys to try, with what they are called. Where files are named, no others: a server counts what is tried."""
    if not address.keys:
        yield from _agent_keys(agents)
    for path in address.keys or [Path.home() / ".ssh" / name for name in DEFAULT_KEYS]:
        if address.keys or path.exists():
            yield from _key_of(path, address, agents)


def _agent_keys(agents: contextlib.ExitStack) -> Iterator[tuple[str, Any]]:
    """Of the SSH agent, if one runs; they can be used for as long as `agents` is open."""
    agent = agents.enter_context(contextlib.closing(paramiko.Agent()))
    for key in agent.get_keys():
        yield f"the agent's {key.comment or key.get_name()}", key


def _key_of(path: Path, address: Address, agents: contextlib.ExitStack) -> Iterator[tuple[str, Any]]:
    try:
        passphrase = address.passphrase.encode() if address.passphrase else None
        yield str(path), paramiko.PKey.from_path(path, passphrase)
    except (TypeError, paramiko.PasswordRequiredException):  # it has a passphrase: the agent may hold it open
        if address.keys:
            yield from _held_open(path, agents)
    except (OSError, ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
        if address.keys:
            raise HostError(
                f"{path} is no private key that can be used: {getattr(error, 'strerror', None) or error}",
                expected="a private key of OpenSSH, ed25519, ECDSA or RSA",
                to_do="mend [host] key in settings.toml, or -i",
            ) from error


def _held_open(path: Path, agents: contextlib.ExitStack) -> list[tuple[str, Any]]:
    try:
        public = path.with_name(f"{path.name}.pub").read_text("utf-8").split()[1]
    except (OSError, IndexError):
        public = ""
    found = [(name, key) for name, key in _agent_keys(agents) if public in {"", key.get_base64()}]
    if not found:
        raise HostError(
            f"{path} has a passphrase, and no SSH agent holds it open",
            expected="a key that can be used without asking anybody",
            to_do=f"ssh-add {shlex.quote(str(path))}   (or `fab --prompt-for-passphrase`)",
        )
    return found
