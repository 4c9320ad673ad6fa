"""The host and the service on it: asked over SSH, and judged by what `kpi-host status` and systemd say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops.doctor.check import Case, Check, Group, Saw, fail, ok, unknown, warn
from ops.host import agent, front
from ops.host.placing import compared
from ops.host.preflight import CLOCK, MEGABYTE, RELEASE_FILES, SYSTEMD
from ops.host.remote import Remote
from ops.host.status import LOW_DISK, LOW_MEMORY, serving_problems
from ops.host.tool import ask
from ops.onhost import layout
from ops.settings import Settings
from ops.words import plain

ASK_S = 20
COMFORTABLE_DISK = 1500 * MEGABYTE  # room for a new environment beside the old
LONG_LOCK = timedelta(hours=1)
QUESTIONS = """\
systemctl list-units --state=failed --plain --no-legend --no-pager | cut -d' ' -f1 | sed 's/^/failed /'
test -e /var/run/reboot-required && echo reboot
for unit in {units}; do echo "unit $unit $(systemctl is-active $unit)"; done
"""


@dataclass(frozen=True, slots=True)
class Host:
    """`said`: the document of `kpi-host status`; `differing`: files that are not as the settings say.

    `failed`: units; `reboot`: updates that wait for one; `units`: name -> what systemd says of it.
    """

    said: Mapping[str, Any]
    differing: Sequence[str]
    failed: Sequence[str]
    reboot: bool
    units: Mapping[str, str]


def ask_host(remote: Remote, settings: Settings) -> Host:
    """Three questions over one connection. Raises HostError, HostUnreachable."""
    said = ask(remote, "status", timeout_s=ASK_S).said
    differing = compared(remote, settings).differing
    script = QUESTIONS.format(units=f"{agent.UNIT} {front.UNIT}")
    rows = [line.split() for line in remote.run(["sh", "-c", script], timeout_s=ASK_S).out.splitlines()]
    return Host(
        said=said,
        differing=differing,
        failed=[row[1] for row in rows if row[:1] == ["failed"] and len(row) > 1],
        reboot=["reboot"] in rows,
        units={row[1]: row[2] for row in rows if row[:1] == ["unit"]},
    )


# --- the host --------------------------------------------------------------------------------------------------------


def _reached(host: Host, _: Case) -> Saw:
    return ok(f"kpi-host answers, Python {host.said.get('python', '?')}, {host.said.get('arch', '?')}")


def _placed(host: Host, _: Case) -> Saw:
    if not host.differing:
        return ok("all that we placed there is as the settings say")
    shown = ", ".join(host.differing)
    return fail(
        f"not as the settings say: {shown}",
        "what `fab bootstrap` places",
        "`fab bootstrap --plan` shows it, `fab bootstrap` mends it",
    )


def _disk(host: Host, _: Case) -> Saw:
    free = host.said["free_bytes"]
    if free < 0:
        return unknown("the host cannot tell")
    seen = f"{free / MEGABYTE:,.0f} MB free"
    if free < LOW_DISK:
        return fail(
            seen,
            f"{COMFORTABLE_DISK / MEGABYTE:,.0f} MB or more",
            "journalctl --vacuum-size=100M there; or a larger [stack] disk_gb",
        )
    if free < COMFORTABLE_DISK:
        return warn(
            seen,
            f"{COMFORTABLE_DISK / MEGABYTE:,.0f} MB or more, for the next release",
            "a smaller [host] keep_releases, or a larger [stack] disk_gb",
        )
    return ok(seen)


def _inodes(host: Host, _: Case) -> Saw:
    free = host.said["free_inodes"]
    if 0 <= free < RELEASE_FILES:
        return fail(
            f"{free:,} free", f"{RELEASE_FILES:,} or more", "look for a directory of very many small files there"
        )
    return ok("enough" if free < 0 else f"{free:,} free")


def _memory(host: Host, _: Case) -> Saw:
    available, swap = host.said["memory_available_bytes"], host.said["swap_free_bytes"]
    if available < 0:
        return unknown("the host cannot tell")
    seen = f"{available / MEGABYTE:,.0f} MB available, {max(0, swap) / MEGABYTE:,.0f} MB of swap free"
    if available + max(0, swap) < LOW_MEMORY:
        return fail(
            seen,
            f"{LOW_MEMORY / MEGABYTE:.0f} MB or more with swap",
            "`fab status` shows who takes it; a larger instance_type",
        )
    if available < LOW_MEMORY:
        return warn(seen, f"{LOW_MEMORY / MEGABYTE:.0f} MB or more without swap", "`fab status` shows who takes it")
    return ok(seen)


def _clock(host: Host, case: Case) -> Saw:
    skew = timedelta(seconds=host.said["clock"] - case.now.timestamp())
    seen = f"{abs(skew).total_seconds():.0f} s {'ahead' if skew > timedelta() else 'behind'}"
    return (
        ok(seen)
        if abs(skew) <= CLOCK
        else fail(seen, f"at most {CLOCK.total_seconds():.0f} s", "timedatectl there, and the clock here")
    )


def _units(host: Host, _: Case) -> Saw:
    if not host.failed:
        return ok("none failed")
    shown = ", ".join(host.failed)
    return fail(
        shown,
        "no unit that failed",
        f"systemctl status {host.failed[0]} there; systemctl reset-failed where it is history",
    )


def _reboot(host: Host, _: Case) -> Saw:
    if not host.reboot:
        return ok("not needed")
    return warn(
        "updates wait for a reboot",
        "none",
        "sudo systemctl reboot there, at a quiet hour: the page is back within half a minute",
    )


def _agent(host: Host, case: Case) -> Saw:
    return _as_wanted(host.units.get(agent.UNIT, "?"), agent.UNIT, case.settings.host.agent.install)


def _front(host: Host, case: Case) -> Saw:
    return _as_wanted(host.units.get(front.UNIT, "?"), front.UNIT, bool(case.settings.host.domain))


def _as_wanted(state: str, unit: str, wanted: bool) -> Saw:  # noqa: FBT001 - what it should be
    if wanted == (state == "active"):
        return ok(state if wanted else "not wanted, and not there")
    if wanted:
        return fail(f"{unit} is {state}", "active", "fab bootstrap")
    return warn(f"{unit} is active", "not there: the settings do not want it", "fab bootstrap")


HOST = Group(
    "host",
    (
        Check("reached", "host", _reached),
        Check("set up", "host", _placed),
        Check("disk", "host", _disk),
        Check("inodes", "host", _inodes),
        Check("memory", "host", _memory),
        Check("clock", "host", _clock),
        Check("failed units", "host", _units),
        Check("reboot", "host", _reboot),
        Check("TLS front", "host", _front),
        Check("CloudWatch agent", "host", _agent),
    ),
)


# --- the service -----------------------------------------------------------------------------------------------------


def _serving(host: Host, _: Case) -> Saw:
    wrong = list(serving_problems(host.said))
    if wrong:
        return fail(
            "; ".join(wrong), "a release that serves every page", "fab logs, fab status; `fab rollback` goes back"
        )
    return ok(f"{host.said['current']} serves")


def _socket(host: Host, _: Case) -> Saw:
    if host.said["socket"] != "active":
        return fail(f"{layout.SOCKET_UNIT} is {host.said['socket']}", "active: it holds the port", "fab deploy --force")
    if host.said["port_owner"] not in (None, SYSTEMD):
        return fail(
            f"the port is held by {plain(str(host.said['port_owner']))}",
            layout.SOCKET_UNIT,
            "stop that, then `fab deploy --force`",
        )
    return ok(f"port {host.said.get('port') or '?'}")


def _starts_at_boot(host: Host, _: Case) -> Saw:
    said = host.said
    if said["current"] and not any(
        each["release"] == said["current"] and each["environment_ready"] for each in said["releases"]
    ):
        return fail(f"the environment of {said['current']} is gone", "it, for the next start", "fab deploy --force")
    return ok("its environment is there")


def _way_back(host: Host, _: Case) -> Saw:
    if host.said["previous"]:
        return ok(f"fab rollback, to {host.said['previous']}")
    return warn(
        "no earlier good release is there",
        "one to go back to",
        "nothing now: the next deploy makes this one the way back",
    )


def _last_deploy(host: Host, _: Case) -> Saw:
    last = next(iter(reversed(host.said.get("deploys") or ())), None)
    if last is None:
        return ok("none is written down")
    what, to, outcome, at, who = (plain(str(last.get(key) or "?")) for key in ("what", "to", "outcome", "at", "who"))
    seen = f"{what} {to}, {outcome}, {at}, by {who}"
    if outcome in ("refused", "nothing is well"):
        reason = str(last.get("reason") or "").partition("\n")[0]
        return warn(f"{seen}: {reason}", "that it was done", "mend it and `fab deploy`; what served before serves on")
    return ok(seen)


def _lock(host: Host, case: Case) -> Saw:
    lock = host.said["lock"]
    if not lock:
        return ok("free")
    seen = f"held by {lock.get('who', '?')} since {lock.get('since', '?')}"
    try:
        since = datetime.fromisoformat(str(lock.get("since")))
    except ValueError:
        return warn(seen, "a moment since when", "fab status")
    if case.now - since > LONG_LOCK:
        return warn(seen, "a deploy ends within minutes", "ask who holds it; it is free when that connection ends")
    return ok(f"{seen}: a deploy is on its way")


def _older(host: Host, _: Case) -> Saw:
    leaving = [unit for unit in host.said["units"] if unit["release"] != host.said["current"]]
    if not leaving:
        return ok("one release runs")
    shown = ", ".join(
        f"{unit['release']} with {(unit['state'] or {}).get('sessions', '?')} sessions" for unit in leaving
    )
    return ok(f"still leaving: {shown}")


SERVICE = Group(
    "service",
    (
        Check("serving", "host", _serving),
        Check("port", "host", _socket),
        Check("next start", "host", _starts_at_boot),
        Check("way back", "host", _way_back),
        Check("last deploy", "host", _last_deploy),
        Check("lock", "host", _lock),
        Check("releases", "host", _older),
    ),
)
