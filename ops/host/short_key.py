"""A way in for a while, without a key that anybody keeps: SSM puts a fresh one on the host, and tells the host's own.

Whoever may run commands on the host by SSM is root there already: this gives no right that was not there.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from etl.errors import HostError
from ops.host import host_key
from ops.settings import HostSettings
from ops.stack.answers import Refused
from ops.stack.desk import Ssm
from ops.words import plain

DOCUMENT: Final = "AWS-RunShellScript"
MARK: Final = "kpi-ops-short-key"
TOLD: Final = "kpi-host-key "  # before the host's own key, in what the script prints
MOST_MINUTES: Final = 240
ASKED_EVERY_S: Final = 1.0
ANSWERED_WITHIN_S: Final = 90.0
RUNNING: Final = frozenset({"Pending", "InProgress", "Delayed"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """How the host's answer is waited for; `clock` gives seconds and only grows."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]


def script(public_key: str, user: str, minutes: int) -> str:
    """For /bin/sh, as root: let `user` in by this key for so long, take away such keys that are over, tell our own.

    The moment is computed on the host: sshd reads it by the clock and the time zone there.
    """
    return f"""set -eu
user={shlex.quote(user)}
home=$(getent passwd "$user" | cut -d: -f6)
group=$(id -gn "$user")
keys=$home/.ssh/authorized_keys
install -d -m 700 -o "$user" -g "$group" "$home/.ssh"
[ -e "$keys" ] || : > "$keys"
until=$(date -d '+{minutes} minutes' +%Y%m%d%H%M%S)
umask 077
awk -v now="$(date +%Y%m%d%H%M%S)" \
'!(/ {MARK}$/ && match($0, /expiry-time="[0-9]+"/) && substr($0, RSTART + 13, 14) < now)' "$keys" > "$keys.new"
printf '%s\\n' "restrict,expiry-time=\\"$until\\" {public_key} {MARK}" >> "$keys.new"
chown "$user:$group" "$keys.new"
mv "$keys.new" "$keys"
sed 's/^/{TOLD}/' /etc/ssh/ssh_host_ed25519_key.pub
"""


def let_in(instance: str, settings: HostSettings, directory: Path, minutes: int, *, ssm: Ssm, waiting: Waiting) -> Path:
    """Make a key below `directory`, let it in, pin the host's own beside it; the private key's file.

    Raises HostError where SSM or the host refuses.
    """
    if not 1 <= minutes <= MOST_MINUTES:
        raise HostError(
            f"--minutes {minutes} is no time for a short key", expected=f"1 to {MOST_MINUTES}", to_do="like 45"
        )
    public, private = _fresh_key(directory)
    printed = _run(script(public, settings.user, minutes), instance, ssm, waiting)
    told = re.findall(rf"^{TOLD}(\S+ \S+)", printed, re.MULTILINE)
    if not told:
        raise HostError(
            f"{instance} does not tell its SSH key: {plain(printed)!r}",
            expected="/etc/ssh/ssh_host_ed25519_key.pub of the host",
            to_do="look at the host: `aws ssm start-session --target INSTANCE`",
        )
    host_key.pin(directory / "known_hosts", (instance,), told[0])
    return private


def _fresh_key(directory: Path) -> tuple[str, Path]:
    """The public half, and the file of the private one, which nobody else can read."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    form, none = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, form, none)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    file = directory / "key"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(text)
    except OSError as error:
        raise HostError(
            f"{file} cannot be written: {error.strerror}", expected="a place for a key", to_do="name another by --out"
        ) from error
    return public.decode(), file


def _run(text: str, instance: str, ssm: Ssm, waiting: Waiting) -> str:
    """What the script printed on the host."""
    parameters = {"commands": [text], "executionTimeout": ["60"]}
    sent = ssm.send_command(InstanceIds=[instance], DocumentName=DOCUMENT, Parameters=parameters, TimeoutSeconds=60)
    command = str(sent["Command"]["CommandId"])
    end_s = waiting.clock() + ANSWERED_WITHIN_S
    said = _said(ssm, command, instance)
    while said.get("Status", "Pending") in RUNNING:
        if waiting.clock() > end_s:
            break
        waiting.sleep(ASKED_EVERY_S)
        said = _said(ssm, command, instance)
    if said.get("Status") != "Success":
        raise HostError(
            f"SSM did not run it on {instance}: {said.get('Status', 'Pending')}"
            f" {plain(str(said.get('StandardErrorContent', '')))}".rstrip(),
            expected="a command that ends well within a minute and a half",
            to_do="see whether the host's SSM agent is online: `aws ssm describe-instance-information`",
        )
    return str(said.get("StandardOutputContent", ""))


def _said(ssm: Ssm, command: str, instance: str) -> Mapping[str, Any]:
    """Of a command that SSM does not know yet, nothing."""
    try:
        return ssm.get_command_invocation(CommandId=command, InstanceId=instance)
    except Refused as error:
        if error.code == "InvocationDoesNotExist":
            return {}
        raise
