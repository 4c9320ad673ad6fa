"""The root of a distribution, built from the machine's own package sources. Debian and Ubuntu."""

import os
import platform
import re
import shutil
from pathlib import Path

from tests.host.commands import HostTrouble, run, tried
from tests.host.place import held

# What an image of the cloud has too, less what a container cannot use. No python3-venv, no pip, no rsync: neither has
# Debian's image, and a bootstrap must not need them.
PACKAGES = (
    "apt,ca-certificates,curl,dbus,gpg,iproute2,iputils-ping,kmod,less,libpam-systemd,openssh-server,procps,python3,"
    "sudo,systemd,systemd-sysv,systemd-timesyncd,udev"
)
UBUNTU = ("jammy", "noble", "plucky", "questing", "resolute")
MASKED = (
    "console-getty.service",
    "getty.target",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "e2scrub_reap.service",
)
CERTIFICATES = "usr/local/share/ca-certificates"


def own_suite():
    """The suite of this machine, like bookworm."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def login(suite):
    """The first user of the suite's EC2 image."""
    return "ubuntu" if suite in UBUNTU else "admin"


def build(place, suite):
    """Build and keep the root of a suite, unless it is there. Returns its directory."""
    root = place.root(suite)
    with held(f"root-{suite}"):
        if not root.is_dir():
            _build(root, suite)
    return root


def _build(root, suite):
    root.parent.mkdir(parents=True, exist_ok=True)
    part = root.with_name(f".{suite}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        sources = _sources(part, suite)
        options = ["--quiet", "--variant=minbase", "--format=directory", "--skip=output/mknod", f"--include={PACKAGES}"]
        apt = ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"']
        if suite in UBUNTU and not sources:
            options.append("--components=main,universe")  # as Ubuntu's images have it
        run("mmdebstrap", *options, *apt, suite, str(part / "root"), *([str(sources)] if sources else []))
        _furnish(part / "root", suite, sources)
        (part / "root").rename(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sources(part, suite):
    """A file of package sources; None where it is mmdebstrap that knows those of a suite."""
    named = os.environ.get("KPI_HOST_SOURCES")
    if named:
        path = Path(named)
        return shutil.copy(path, part / path.name) and part / path.name
    if (suite in UBUNTU) != (own_suite() in UBUNTU):
        return None
    own = _own_sources()
    path = part / own.name
    path.write_text(re.sub(rf"\b{own_suite()}\b", suite, own.read_text()))
    return path


def _own_sources():
    system = platform.freedesktop_os_release()["ID"]
    known = (Path(f"/etc/apt/sources.list.d/{system}.sources"), Path("/etc/apt/sources.list"))
    found = [path for path in known if path.is_file() and path.read_text().strip()]
    if not found:
        raise HostTrouble(f"no package sources in {' or '.join(map(str, known))}; name a file with KPI_HOST_SOURCES")
    return found[0]


def _furnish(root, suite, sources):
    """What the image of a cloud has, and what a boot in namespaces needs."""
    if sources:
        for path in [root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").iterdir()]:
            path.unlink(missing_ok=True)
        shutil.copy(sources, root / "etc/apt/sources.list.d" / f"system{sources.suffix}")
    # The clock of a machine for tests may be set to any day.
    _write(root / "etc/apt/apt.conf.d/99-host", 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n')
    _trust_what_the_machine_trusts(root)
    _user(root, login(suite))
    _write(root / "etc/ssh/sshd_config.d/50-cloud.conf", "PasswordAuthentication no\nPermitRootLogin no\nUseDNS no\n")
    tried("chroot", str(root), "systemctl", "disable", "ssh.socket")  # Ubuntu's: sshd is to be up when the boot is over
    run("chroot", str(root), "systemctl", "enable", "ssh.service")
    run("chroot", str(root), "systemctl", "mask", *MASKED)
    _write(root / "etc/machine-id", "")  # empty, not missing: that would be a first boot, which enables every unit
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()


def _trust_what_the_machine_trusts(root):
    """Certificate authorities of the network that this machine is in, for apt, pip and uv."""
    extra = sorted(Path("/", CERTIFICATES).glob("*.crt"))
    if not extra:
        return
    (root / CERTIFICATES).mkdir(parents=True, exist_ok=True)
    for path in extra:
        shutil.copy(path, root / CERTIFICATES)
    run("chroot", str(root), "update-ca-certificates")
    _write(root / "etc/pip.conf", "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
    _write(root / "etc/uv/uv.toml", "native-tls = true\n")


def _user(root, name):
    tried("chroot", str(root), "userdel", "-r", "ubuntu")
    run("chroot", str(root), "useradd", "-m", "-s", "/bin/bash", "-G", "adm,sudo", name)
    _write(root / "etc/sudoers.d/90-cloud-init-users", f"{name} ALL=(ALL) NOPASSWD:ALL\n", 0o440)


def _write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
