"""A new instance: the key it shows is learned from its console, then it is waited for until it lets us in."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from etl.errors import HostError, HostUnreachable
from ops.host import host_key
from ops.settings import Settings

# cloud-init writes the public keys of a new host to its console between these lines.
KEYS: Final = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
KEY: Final = re.compile(r"\b((?:ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*)")
BEST_FIRST: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
TOLD_WITHIN_S: Final = 600.0  # EC2 shows the console of a new instance some minutes after it has started
ASKED_EVERY_S: Final = 10.0
REACHED_WITHIN_S: Final = 300.0
REACHED_EVERY_S: Final = 5.0
BY_SSM: Final = "aws ssm start-session --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p"


class Console(Protocol):
    """What is needed of an EC2 client."""

    def get_console_output(self, **fields: Any) -> Mapping[str, Any]:
        """InstanceId, Latest -> Output, base64 as boto3 hands it on decoded or not."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a wait is waited: `clock` gives seconds and only grows; `tell` takes a line for a person."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[str], None]


def host_keys(console: str) -> tuple[str, ...]:
    """The public keys, "TYPE BASE64", that a host wrote to its console at its last first boot; the surest first."""
    blocks = KEYS.findall(console)
    found = [key for key in KEY.findall(blocks[-1]) if host_key.fingerprint(key)] if blocks else []
    return tuple(sorted(found, key=_place))


def _place(key: str) -> int:
    kind = key.partition(" ")[0]
    return BEST_FIRST.index(kind) if kind in BEST_FIRST else len(BEST_FIRST)


def pin_from_console(instance: str, known_hosts: Path, ec2: Console, waiting: Waiting) -> str:
    """Wait until a new instance has told its key, and pin it under the instance's id; the key's fingerprint.

    Raises HostError where the console tells none within ten minutes.
    """
    waiting.tell(f"waiting for {instance} to tell its SSH key on its console (some minutes)")
    started_s = waiting.clock()
    while not (keys := host_keys(_console(instance, ec2))):
        if waiting.clock() - started_s > TOLD_WITHIN_S:
            raise HostError(
                f"the console of {instance} shows no SSH key after {TOLD_WITHIN_S / 60:.0f} minutes",
                expected="the keys that cloud-init writes there at the first boot",
                to_do=f"look at `aws ec2 get-console-output --latest --output text --instance-id {instance}`; "
                f"pin the key in {known_hosts} yourself, then `fab bootstrap`",
            )
        waiting.sleep(ASKED_EVERY_S)
    host_key.pin(known_hosts, (instance,), keys[0])
    return host_key.fingerprint(keys[0])


def _console(instance: str, ec2: Console) -> str:
    said = str(ec2.get_console_output(InstanceId=instance).get("Output") or "")
    try:
        return base64.b64decode(said, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return said  # boto3 has decoded it already


# --- reaching it -----------------------------------------------------------------------------------------------------


def no_way_in(settings: Settings) -> str:
    """Why this machine cannot reach the new host by SSH, with the way out; "" where it can."""
    if settings.host.gateway or settings.stack.admin_networks:
        return ""
    return (
        "the stack is as it should be; its host is not set up yet, for there is no way in: port 22 is open to nobody.\n"
        "  Through Session Manager (needs its plugin for the AWS CLI), in settings.toml:\n"
        f"    [host] gateway = '{BY_SSM}'\n"
        '  or by your own address: [stack] admin_networks = ["203.0.113.7/32"]; then `fab provision` again'
    )


def wait_until_reached(connect: Callable[[], AbstractContextManager[object]], waiting: Waiting) -> None:
    """Wait until a new host lets us in. Raises HostUnreachable where it does not within five minutes."""
    started_s = waiting.clock()
    while True:
        try:
            with connect():
                return
        except HostUnreachable:
            if waiting.clock() - started_s > REACHED_WITHIN_S:
                raise
            waiting.sleep(REACHED_EVERY_S)
