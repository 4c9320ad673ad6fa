"""Whose key a host shows: known_hosts read and written, and the refusal of any key that is not pinned."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.errors import HostError, HostKeyRefused
from ops.whole import write_whole

REVOKED = "@revoked"
HASHED = "|1|"
KEY_WORDS = 2  # type and base64
COMPARE = (
    "compare it with what the host itself says (on EC2 `aws ec2 get-console-output --latest --output text "
    "--instance-id ...`, or `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` at its console); only if it is the same, "
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A line of known_hosts that is about a host. `key` is "TYPE BASE64"; `place` is FILE:LINE."""

    key: str
    place: str
    revoked: bool = False

    @property
    def kind(self) -> str:
        """The type of key, like ssh-ed25519."""
        return self.key.partition(" ")[0]


def pinned(files: Sequence[Path], names: Sequence[str]) -> list[Pinned]:
    """What is pinned for a host, by the first of its names that anything is pinned for. Files need not exist."""
    texts = [(path, _read(path)) for path in files]
    for name in names:
        found = [line for path, text in texts for line in _about(text, str(path), name)]
        if found:
            return found
    return []


def checked(shown: str, lines: Sequence[Pinned], names: Sequence[str], file: Path) -> None:
    """Let a key pass that is pinned. Raises HostKeyRefused, which tells how to pin it in `file`."""
    same = [line for line in lines if line.key == shown]
    valid = [line for line in lines if not line.revoked]
    pins = f"echo '{','.join(names)} {shown}' >> {file}"
    if any(line.revoked for line in same):
        expected, to_do = f"a key that is not revoked, as this one is ({same[0].place})", "do not connect"
    elif same:
        return
    elif valid:
        expected = " or ".join(f"the pinned {_said(line.key)} ({line.place})" for line in valid)
        to_do = f"somebody may stand between, or the host was made anew; {COMPARE}pin it in the old one's place:"
        to_do = "\n    ".join([to_do, *_forgetting(valid, names), pins])
    else:
        expected, to_do = f"a key that is pinned in {file}", f"{COMPARE}pin it:\n    {pins}"
    raise HostKeyRefused(f"{names[-1]} shows the {_said(shown)}", expected=expected, to_do=to_do)


def _forgetting(lines: Sequence[Pinned], names: Sequence[str]) -> list[str]:
    files = dict.fromkeys(line.place.rpartition(":")[0] for line in lines)
    return [f"ssh-keygen -f {file} -R '{name}'" for file in files for name in names]


def pin(file: Path, names: Sequence[str], key: str) -> bool:
    """Make "TYPE BASE64" the one key of a host; whether the file changed. Raises HostError for what is no key.

    Whoever calls this knows the key from the host itself, not from a connection that nobody has vouched for.
    """
    words = key.split()[:KEY_WORDS]
    if len(words) < KEY_WORDS or not fingerprint(" ".join(words)):
        raise HostError(
            f"{key[:80]!r} is no public key",
            expected="a line like ssh-ed25519 AAAA...",
            to_do="take it from /etc/ssh/ssh_host_ed25519_key.pub of the host",
        )
    text = _read(file)
    others = [line for line in text.splitlines() if not any(_names(line, name) for name in names)]
    wanted = "\n".join([*others, f"{','.join(names)} {' '.join(words)}"]) + "\n"
    if wanted != text:
        write_whole(file, wanted)
    return wanted != text


def fingerprint(key: str) -> str:
    """The fingerprint of "TYPE BASE64" as OpenSSH shows it; empty where that is no key."""
    kind, _, encoded = key.partition(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    if not blob.startswith(len(kind).to_bytes(4) + kind.encode()):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _said(key: str) -> str:
    return f"{key.partition(' ')[0]} key {fingerprint(key)}"


def _about(text: str, path: str, name: str) -> Iterator[Pinned]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        revoked = bool(words) and words[0] == REVOKED
        kind_and_key = words[1 + revoked : 1 + revoked + KEY_WORDS]
        if len(kind_and_key) == KEY_WORDS and _names(line, name):
            yield Pinned(" ".join(kind_and_key), f"{path}:{number}", revoked)


def _names(line: str, name: str) -> bool:
    """Whether a line is about a host; those of certificate authorities are about none."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return False
    if words[0] == REVOKED:
        words = words[1:]
    return bool(words) and any(_is(known, name) for known in words[0].split(","))


def _is(known: str, name: str) -> bool:
    if not known.startswith(HASHED):
        return known.lower() == name.lower()
    try:
        salt, digest = (base64.b64decode(part) for part in known[len(HASHED) :].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.lower().encode(), "sha1"), digest)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HostError(
            f"{path} cannot be read: {error.strerror}",
            expected="the file that the host's key is pinned in",
            to_do="mend its rights, or name another in [host] known_hosts",
        ) from error
