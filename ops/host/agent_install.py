"""Stand-alone: sent to a host's `python3 -`, it installs the CloudWatch agent, if its package is signed as it must be.

Standard library, gpgv and apt-get only, and nothing of ours. The addresses may be those of a mirror. Nothing is
installed, and one line says why, unless the signature beside the package is good and made by the key of that
fingerprint. The key is in a keyring that is thrown away; it is trusted with nothing else.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

LONGEST_PACKAGE = 1 << 29
LONGEST_TEXT = 1 << 20
FETCH_S = 60
WAIT_FOR_OTHERS = ("-o", "DPkg::Lock::Timeout=120")
INSTALL = ("apt-get", "-y", "-q", "--no-install-recommends", "--allow-downgrades", *WAIT_FOR_OTHERS, "install")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
NOT_GOOD = {
    "EXPKEYSIG": "by a key that has expired",
    "REVKEYSIG": "by a key that was revoked",
    "EXPSIG": "for a time that is over",
}


class Refused(Exception):
    """The package is not installed; the text says why."""


def main(url: str, key_url: str, fingerprint: str) -> None:
    """Install; leaves with 1 where that is refused or fails."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            install(signed(Path(directory), url, key_url, fingerprint))
    except Refused as error:
        sys.stdout.write(f"the CloudWatch agent was not installed: {error}\n")
        sys.exit(1)


def install(package: Path) -> None:
    """Have apt install a package that lies here; raises Refused where it cannot."""
    package.parent.chmod(0o755)  # apt reads it as a user of its own
    done = subprocess.run([*INSTALL, str(package)], check=False, env=ENVIRONMENT)  # noqa: S603 - words of our own
    if done.returncode:
        raise Refused(f"apt-get ended with {done.returncode}")


def signed(directory: Path, url: str, key_url: str, fingerprint: str) -> Path:
    """The package, fetched and found to be signed by the key; raises Refused."""
    package, signature, keyring = directory / "agent.deb", directory / "agent.deb.sig", directory / "key.gpg"
    keyring.write_bytes(binary(fetched(key_url, LONGEST_TEXT), key_url))
    signature.write_bytes(binary(fetched(f"{url}.sig", LONGEST_TEXT), f"{url}.sig"))
    package.write_bytes(fetched(url, LONGEST_PACKAGE))
    words = ["gpgv", "--quiet", "--status-fd", "1", "--keyring", str(keyring), str(signature), str(package)]
    done = subprocess.run(words, check=False, capture_output=True, env=ENVIRONMENT)  # noqa: S603 - words of our own
    wrong = objection(done.returncode, done.stdout.decode("utf-8", "replace"), fingerprint)
    if wrong:
        raise Refused(f"{url} {wrong}")
    return package


def objection(status: int, said: str, fingerprint: str) -> str:
    """What speaks against a package in gpgv's exit status and status lines; nothing: it is signed as it must be."""
    words = [line.split()[1:] for line in said.splitlines() if line.startswith("[GNUPG:] ")]
    seen = {line[0]: line[1:] for line in words if line}
    if "BADSIG" in seen:
        return "is not what was signed: it, or its signature, was altered"
    if "NO_PUBKEY" in seen:
        return f"is signed by another key, {seen['NO_PUBKEY'][0]}, not by {fingerprint}"
    for word, how in NOT_GOOD.items():
        if word in seen:
            return f"is signed {how}"
    made_by = seen.get("VALIDSIG", [])
    if not made_by or "GOODSIG" not in seen or status:
        return "has no signature that can be read"
    # The last word is the key that the one which signed belongs to; that is what vendors publish.
    return "" if fingerprint in {made_by[0], made_by[-1]} else f"is signed by {made_by[-1]}, not by {fingerprint}"


def fetched(url: str, longest: int) -> bytes:
    """What lies at an address; raises Refused where it cannot be had, or is larger than it should be."""
    try:
        with urllib.request.urlopen(url, timeout=FETCH_S) as answer:  # noqa: S310 - settings take http and https only
            content: bytes = answer.read(longest + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise Refused(f"{url} was answered with {error.code} {error.reason}") from error
    except (OSError, ValueError) as error:
        raise Refused(f"{url} cannot be fetched: {getattr(error, 'reason', None) or error}") from error
    if len(content) > longest:
        raise Refused(f"{url} is larger than {longest >> 20} MB")
    return content


def binary(content: bytes, url: str) -> bytes:
    """A key or a signature as gpgv reads it, from that or from the form with -----BEGIN PGP ...-----."""
    if not content.lstrip().startswith(b"-----BEGIN PGP"):
        return content
    try:
        return base64.b64decode("".join(armoured(content.decode("ascii", "replace"))), validate=True)
    except binascii.Error as error:
        raise Refused(f"{url} is no key or signature") from error


def armoured(text: str) -> Iterator[str]:
    """The lines of base64: after the empty one that ends the head, before the checksum and the last line."""
    lines = iter([line.strip() for line in text.strip().splitlines()])
    for line in lines:
        if not line:
            break
    yield from takewhile(lambda line: not line.startswith(("=", "-----")), lines)
