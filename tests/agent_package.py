"""A stand-in for the CloudWatch agent's package: built, signed by a key of the test, and served as the vendor does."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

CONTROL = """Package: amazon-cloudwatch-agent
Version: {version}-1
Architecture: all
Maintainer: a test <test@example.org>
Description: stands in for the CloudWatch agent
"""
# As the vendor's, it checks what it is given, takes it over and starts the service; it notes what it was asked.
CTL = """#!/bin/sh
echo "$@" >> /root/agent-ctl.asked
test ! -e /root/agent-ctl.refuses || {{ echo "Configuration validation second phase failed"; exit 1; }}
python3 -m json.tool "${{6#file:}}" > /opt/aws/amazon-cloudwatch-agent/etc/taken.json || exit 1
systemctl enable --quiet amazon-cloudwatch-agent && systemctl restart amazon-cloudwatch-agent
"""
SERVICE = """[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Key:
    """A key that signs; `home` is its keyring's."""

    home: Path
    fingerprint: str

    @classmethod
    def made(cls, home, *options):
        """A new key; `options` of gpg, like a moment in the past."""
        home.mkdir(mode=0o700)
        words = ["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "test <test@example.org>", "ed25519"]
        _gpg(home, *options, *words, "sign", "1d" if options else "never")
        listed = _gpg(home, "--list-keys", "--with-colons").splitlines()
        return cls(home, next(line.split(":")[9] for line in listed if line.startswith("fpr:")))

    def public(self, *, armoured=True):
        """The public half."""
        return _gpg_bytes(self.home, *(["--armor"] if armoured else []), "--export")

    def sign(self, path, *options):
        """Write PATH.sig."""
        signature = path.with_name(f"{path.name}.sig")
        signature.unlink(missing_ok=True)
        _gpg(self.home, "--batch", *options, "--detach-sign", "--output", signature, path)

    def forget(self):
        """End the agent that gpg started for it."""
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=True)


def _gpg_bytes(home, *words):
    return subprocess.run(["gpg", "--homedir", home, *words], check=True, capture_output=True).stdout


def _gpg(home, *words):
    return _gpg_bytes(home, *words).decode()


def why_not():
    """Why no package can be built and signed here, or None."""
    missing = [program for program in ("dpkg-deb", "gpg", "gpgconf", "gpgv") if not shutil.which(program)]
    return f"{', '.join(missing)} not found: apt-get install gpg gpgv dpkg" if missing else None


def build(directory, version="1.300071.0b1"):
    """The package's path."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        _write(root / "DEBIAN/control", CONTROL.format(version=version))
        _write(root / "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl", CTL.format(), mode=0o755)
        _write(root / "opt/aws/amazon-cloudwatch-agent/etc/common-config.toml", "")
        _write(root / "lib/systemd/system/amazon-cloudwatch-agent.service", SERVICE)
        package = directory / "amazon-cloudwatch-agent.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, package], check=True, capture_output=True)
    return package


def _write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
