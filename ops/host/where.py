"""Which host is meant: the one that `fab -H` names, else the one of the settings or of their Name tag. Pure."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etl.errors import HostError
from ops.cloud.instances import Instance
from ops.settings import HostSettings

CONNECT_S = 10.0
USERS_OWN = ".ssh/known_hosts"
HOST = re.compile(r"(?!-)[A-Za-z0-9_.:%\[\]-]+")  # it becomes a word of the gateway's command line
BY_INSTANCE_ID = ("start-session", "open-tunnel")  # `aws ssm` and `aws ec2-instance-connect` take no addresses
SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Address:
    """A host and how it is reached.

    `keys`: private key files, none for those of the SSH agent and ~/.ssh/id_*. `gateway`: a ProxyCommand, "" for none.
    `known_hosts`: the files that its key is pinned in, at least one. `alias`: another name that it is pinned under.
    """

    host: str
    user: str
    port: int = SSH_PORT
    keys: tuple[Path, ...] = ()
    gateway: str = ""
    known_hosts: tuple[Path, ...] = field(kw_only=True)
    alias: str = ""
    connect_s: float = CONNECT_S
    passphrase: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """USER@HOST, with the port where it is not SSH's."""
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != SSH_PORT else "")

    @property
    def names(self) -> tuple[str, ...]:
        """What the host may be called in known_hosts, the surest name first."""
        bare = self.host.strip("[]")
        by_address = bare if self.port == SSH_PORT else f"[{bare}]:{self.port}"
        return (self.alias, by_address) if self.alias else (by_address,)


def address_of(context: Any, settings: HostSettings, find: Callable[[str], Instance], home: Path) -> Address:
    """The host that a task is for. `context` is what Fabric hands a task: with -H a Connection, else a Context.

    `find` looks an instance up by its Name tag. Raises HostError where no host can be told.
    """
    if hasattr(context, "original_host"):
        return _named(context, settings, home)
    return _of_settings(_connect_kwargs(context), settings, find, home)


def _named(connection: Any, settings: HostSettings, home: Path) -> Address:
    """Of -H and ~/.ssh/config, as `ssh` takes them; the pinned keys are known besides the user's own."""
    kwargs = _connect_kwargs(connection)
    return Address(
        host=_good(connection.host),
        user=connection.user,
        port=connection.port,
        keys=_keys(kwargs, home),
        gateway=_gateway(connection.gateway),
        known_hosts=(settings.known_hosts, home / USERS_OWN),
        alias=connection.ssh_config.get("hostkeyalias", ""),
        connect_s=_connect_s(connection.connect_timeout),
        passphrase=kwargs.get("passphrase"),
    )


def _of_settings(
    kwargs: Mapping[str, Any], settings: HostSettings, find: Callable[[str], Instance], home: Path
) -> Address:
    instance = None if settings.address else find(settings.name)
    return Address(
        host=_reachable(instance, settings) if instance else _good(settings.address),
        user=settings.user,
        port=settings.port,
        keys=_keys(kwargs, home) or ((_path(settings.key, home),) if settings.key else ()),
        gateway=settings.gateway,
        known_hosts=(settings.known_hosts,),
        alias=instance.id if instance else "",
        connect_s=_connect_s(kwargs.get("timeout")),
        passphrase=kwargs.get("passphrase"),
    )


def _reachable(instance: Instance, settings: HostSettings) -> str:
    if settings.gateway:
        by_id = any(word in settings.gateway for word in BY_INSTANCE_ID)
        return instance.id if by_id or not instance.private else instance.private
    if not instance.public:
        raise HostError(
            f"instance {instance.id} ({instance.name}) has no public address",
            expected="an address that this machine can connect to, or a way through",
            to_do="set [host] gateway in settings.toml, for SSM or EC2 Instance Connect",
        )
    return instance.public


def _connect_kwargs(context: Any) -> Mapping[str, Any]:
    """Where `fab` puts -i, -t and --prompt-for-passphrase."""
    return getattr(context, "connect_kwargs", None) or {}


def _keys(kwargs: Mapping[str, Any], home: Path) -> tuple[Path, ...]:
    named = kwargs.get("key_filename") or ()
    return tuple(_path(name, home) for name in ([named] if isinstance(named, str) else named))


def _path(name: str, home: Path) -> Path:
    return home / name[2:] if name.startswith("~/") else Path(name)


def _connect_s(said: object) -> float:
    return float(str(said)) if said else CONNECT_S


def _gateway(gateway: Any) -> str:
    """A ProxyCommand as it is; a ProxyJump, which Fabric makes a Connection of, as `ssh` itself goes about it."""
    if not gateway or isinstance(gateway, str):
        return gateway or ""
    hop = ["-p", str(gateway.port), "-l", gateway.user, "--", _good(gateway.original_host)]
    return shlex.join(["ssh", "-W", "[%h]:%p", *hop])


def _good(host: str) -> str:
    if not HOST.fullmatch(host):
        raise HostError(
            f"{host!r} is no host",
            expected="a name or an address, like shop.example.org or 203.0.113.7",
            to_do="mend [host] address in settings.toml, or -H",
        )
    return host
