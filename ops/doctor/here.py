"""The machine that one works at and its settings: what is asked of the file system, and how it is judged."""

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops.doctor.check import Case, Check, Group, Saw, fail, ok, unknown, warn
from ops.doctor.git import git
from ops.host import host_key
from ops.settings import Settings

LOCK = Path("requirements/dev.txt")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)([^\n\\]*)", re.MULTILINE)
OLDEST_PYTHON = (3, 11)
LOW_DISK, LOWEST_DISK = 2_000_000_000, 300_000_000
OTHERS = 0o077
LOOPBACK = ("127.", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class Machine:
    """What is here. `missing`: packages of the lock that are not installed as it says, like "boto3 1.1, not 1.2".

    `commit` is "" outside a repository; `changed`: tracked files that are not as committed; `key_mode` of the private
    key that the settings name, None where they name none, -1 where it is not there. `pins`: keys of the host that are
    known. `ways`: programs that [host] gateway needs, and whether they are there.
    """

    python: tuple[int, ...]
    pinned: int
    missing: tuple[str, ...]
    commit: str
    changed: tuple[str, ...]
    free_bytes: int
    key_mode: int | None
    pins: int
    ways: Mapping[str, bool]


def look_here(settings: Settings, home: Path) -> Machine:
    """Ask Python, git and the file system."""
    pinned, missing = _packages()
    status = git("status", "--porcelain", "--untracked-files=no")
    return Machine(
        python=sys.version_info[:3],
        pinned=pinned,
        missing=missing,
        commit=git("rev-parse", "--short", "HEAD").strip(),
        changed=tuple(line[3:] for line in status.splitlines()),
        free_bytes=shutil.disk_usage(".").free,
        key_mode=_key_mode(settings.host.key, home),
        pins=len(host_key.pinned([settings.host.known_hosts], [settings.host.address])) if settings.host.address else 0,
        ways={name: bool(shutil.which(name)) for name in _programs(settings.host.gateway)},
    )


def _packages() -> tuple[int, tuple[str, ...]]:
    if not LOCK.exists():
        return 0, ()
    there = {_name(each.name): each.version for each in metadata.distributions() if each.name}
    pins = [found for found in _PIN.finditer(LOCK.read_text("utf-8")) if not found[3].strip().startswith(";")]
    wrong = (f"{pin[1]} {there.get(_name(pin[1]), 'is missing')}, not {pin[2]}" for pin in pins)
    return len(pins), tuple(line for line, pin in zip(wrong, pins, strict=True) if there.get(_name(pin[1])) != pin[2])


def _name(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _key_mode(key: str, home: Path) -> int | None:
    if not key:
        return None
    path = home / key[2:] if key.startswith("~/") else Path(key)
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return -1


def _programs(gateway: str) -> tuple[str, ...]:
    words = gateway.split()
    return (words[0], *(("session-manager-plugin",) if "start-session" in words else ())) if words else ()


# --- judged ----------------------------------------------------------------------------------------------------------


def _python(here: Machine, _: Case) -> Saw:
    version = ".".join(map(str, here.python))
    if here.python >= OLDEST_PYTHON:
        return ok(version)
    return fail(version, "3.11 or newer", "install it, then `make setup`")


def _lock(here: Machine, _: Case) -> Saw:
    if not here.pinned:
        return unknown(f"there is no {LOCK} here", "run it from the checkout of the project")
    if not here.missing:
        return ok(f"{here.pinned} packages as the lock says")
    shown = "; ".join(here.missing[:3]) + (f" and {len(here.missing) - 3} more" if len(here.missing) > 3 else "")  # noqa: PLR2004 - as shown
    return warn(shown, "the versions of the lock, which the tests ran with", "make setup")


def _commit(here: Machine, _: Case) -> Saw:
    if here.commit:
        return ok(here.commit)
    return fail(
        "this is no git repository with a commit", "one: a release is made of a commit", "git clone, or git commit"
    )


def _tree(here: Machine, _: Case) -> Saw:
    if not here.changed:
        return ok("as committed")
    shown = ", ".join(here.changed[:3]) + (" ..." if len(here.changed) > 3 else "")  # noqa: PLR2004 - as shown
    return warn(
        f"{len(here.changed)} changed: {shown}", "what `fab deploy` would ship", "git commit, or `fab deploy --dirty`"
    )


def _disk(here: Machine, _: Case) -> Saw:
    seen = f"{here.free_bytes / 1e9:,.1f} GB free"
    if here.free_bytes >= LOW_DISK:
        return ok(seen)
    judge = fail if here.free_bytes < LOWEST_DISK else warn
    return judge(seen, f"{LOW_DISK / 1e9:g} GB or more", "make room: snapshots, wheels and caches are written here")


def _key(here: Machine, case: Case) -> Saw:
    key = case.settings.host.key
    if here.key_mode is None:
        return ok("none is named: those of the SSH agent and of ~/.ssh are tried")
    if here.key_mode < 0:
        return fail(f"{key} is not there", "the private key of [host] key", "mend [host] key in settings.toml")
    if here.key_mode & OTHERS:
        return fail(f"{key} can be read by others (mode {here.key_mode:04o})", "0600", f"chmod 600 {key}")
    return ok(key)


def _pin(here: Machine, case: Case) -> Saw:
    host = case.settings.host
    if not host.address:
        return ok("the instance is looked up by its name, and its key by its id")
    if here.pins:
        return ok(f"{host.address} is pinned in {host.known_hosts}")
    return fail(
        f"no key of {host.address} is pinned in {host.known_hosts}",
        "the key that the host shows, compared once by a person",
        "`fab status` says how",
    )


def _gateway(here: Machine, _: Case) -> Saw:
    lacking = [name for name, there in here.ways.items() if not there]
    if not lacking:
        return ok(", ".join(here.ways) or "none is needed")
    return fail(f"{', '.join(lacking)} cannot be found", "the programs of [host] gateway", "install them, or mend PATH")


MACHINE = Group(
    "this machine",
    (
        Check("python", "machine", _python),
        Check("packages", "machine", _lock),
        Check("commit", "machine", _commit),
        Check("work tree", "machine", _tree),
        Check("disk", "machine", _disk),
        Check("private key", "machine", _key),
        Check("host's key", "machine", _pin),
        Check("gateway", "machine", _gateway),
    ),
)


def _read(_: Any, case: Case) -> Saw:
    return ok(f"host {case.settings.host.address or case.settings.host.name}, store {case.settings.store_address}")


def _account_named(_: Any, case: Case) -> Saw:
    if case.settings.stack.expected_account_id:
        return ok(case.settings.stack.expected_account_id)
    return warn(
        "[stack] expected_account_id is empty",
        "the account that is meant, so that no other profile changes another one",
        "set it in settings.toml",
    )


def _way_in(_: Any, case: Case) -> Saw:
    stack, host = case.settings.stack, case.settings.host
    if stack.admin_networks or stack.ssm or host.address:
        return ok("SSM" if stack.ssm else ", ".join(stack.admin_networks) or host.address)
    return warn(
        "nobody can reach the host's SSH", "[stack] admin_networks, or ssm = true", "set one, then `fab provision`"
    )


def _seen_by_all(_: Any, case: Case) -> Saw:
    stack, sign_in = case.settings.stack, case.settings.sign_in
    if not stack.open_to_the_world:
        return ok("nobody" if not stack.viewer_networks else ", ".join(stack.viewer_networks))
    if sign_in.on:
        return ok("everybody, after sign-in")
    return warn("everybody: [stack] open_to_the_world", "known networks, or [sign_in]", "docs/sign-in.md")


def _tls(_: Any, case: Case) -> Saw:
    stack, host = case.settings.stack, case.settings.host
    if host.domain:
        return ok(f"https://{host.domain}")
    if not (stack.open_to_the_world or stack.viewer_networks):
        return ok("not needed while nobody is let in")
    return warn("the page is served by plain http", "TLS", "set [host] domain, then `fab bootstrap` (docs/host.md)")


def _told_of(_: Any, case: Case) -> Saw:
    alerts, stack = case.settings.alerts, case.settings.stack
    ways = [
        name
        for name, on in (
            ("GitHub issues", alerts.github),
            ("a webhook", alerts.webhook),
            ("SNS", alerts.sns_topic),
            (f"mail to {stack.alarm_email}", stack.alarm_email),
        )
        if on
    ]
    if ways:
        return ok(", ".join(ways))
    return warn("nobody is told when it is down", "[alerts] or [stack] alarm_email", "set one in settings.toml")


def _targets(_: Any, case: Case) -> Saw:
    targets = case.settings.uptime.targets
    away = [one.name for one in targets if one.url and not (urlsplit(one.url).hostname or "").startswith(LOOPBACK)]
    if away:
        return ok(", ".join(away))
    return warn(
        "every target of [[uptime.targets]] is this machine" if targets else "there is no target",
        "the page as its visitors reach it",
        "set its url in settings.toml",
    )


def _front_door(_: Any, case: Case) -> Saw:
    sign_in, host = case.settings.sign_in, case.settings.host
    if not sign_in.on:
        return ok("off")
    public = urlsplit(sign_in.public_url).hostname or ""
    if host.domain and public != host.domain.lower():
        return fail(
            f"people are sent back to {public}, while the page is {host.domain}",
            "[sign_in] public_url with the name of [host] domain",
            "mend settings.toml, and the address at the provider",
        )
    return ok(f"{sign_in.issuer}, for {', '.join(sign_in.mail_domains)}")


SETTINGS = Group(
    "settings",
    (
        Check("settings.toml", "settings", _read),
        Check("account", "settings", _account_named),
        Check("way in", "settings", _way_in),
        Check("who may look", "settings", _seen_by_all),
        Check("TLS", "settings", _tls),
        Check("who is told", "settings", _told_of),
        Check("uptime targets", "settings", _targets),
        Check("sign-in", "settings", _front_door),
    ),
)
