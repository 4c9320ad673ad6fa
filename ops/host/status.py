"""`fab status`: what serves and how it is, what is wrong first. From what `kpi-host status` says. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from etl.errors import ExitCode
from ops.around import Line
from ops.host.preflight import CLOCK, MEGABYTE, RELEASE_FILES, SYSTEMD, serving_unit
from ops.host.releases import COMMIT, age, releases, sessions
from ops.uptime.display.words import length
from ops.words import moment, plain

LOW_DISK = 300 * MEGABYTE
LOW_MEMORY = 100 * MEGABYTE  # with free swap: what is left when even that is used up
STARTED = frozenset({"switch", "rollback", "settle"})  # steps that change what serves
ON_ITS_WAY = frozenset({"activating", "reloading"})
SHOWN_DEPLOYS = 5


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a host. Moments as kpi-host writes them; None or -1 where something is not known.

    `older_sessions`: release -> sessions on it that is not the current one. `lock`: who deploys, None for nobody.
    """

    address: str
    at: str
    problems: Sequence[str]
    release: str | None
    sha: str
    ref: str
    since: str
    by: str
    previous: str | None
    sessions: int | None
    older_sessions: Mapping[str, int]
    page_ms: float | None
    run_id: str | None
    data_age_s: float | None
    memory_bytes: int | None
    memory_available_bytes: int
    swap_free_bytes: int
    free_bytes: int
    lock: Mapping[str, str] | None
    settles_at: str | None
    differing: Sequence[str]
    deploys: Sequence[Mapping[str, Any]]

    @property
    def exit_code(self) -> ExitCode:
        """0 well, 1 something is wrong."""
        return ExitCode.CHECK_FAILED if self.problems else ExitCode.GOOD


def status(host: Mapping[str, Any], address: str, differing: Sequence[str], now: datetime) -> Status:
    """What `host`, a document of `kpi-host status`, comes to. `differing`: units that are not as the settings say."""
    current = next((known for known in releases(host) if known.release == host["current"]), None)
    unit = serving_unit(host) or {}
    page = unit.get("state") or {}
    deploys = list(host.get("deploys") or ())
    began: Mapping[str, Any] = next((line for line in reversed(deploys) if _made_it_serve(line, host["current"])), {})
    return Status(
        address=address,
        at=moment(now),
        problems=tuple(problems_of(host, differing, now)),
        release=current.release if current else None,
        sha=current.sha if current else "",
        ref=current.ref if current else "",
        since=str(began.get("at") or (current.made_at if current else "")),
        by=str(began.get("who") or (current.who if current else "")),
        previous=host["previous"],
        sessions=page.get("sessions"),
        older_sessions=_older(host),
        page_ms=page.get("page_ms"),
        run_id=page.get("run_id"),
        data_age_s=page.get("data_age_s"),
        memory_bytes=unit.get("memory_bytes"),
        memory_available_bytes=host["memory_available_bytes"],
        swap_free_bytes=host["swap_free_bytes"],
        free_bytes=host["free_bytes"],
        lock=host["lock"],
        settles_at=_moment(host["settle_at"]),
        differing=tuple(differing),
        deploys=tuple(deploys[-SHOWN_DEPLOYS:]),
    )


def _made_it_serve(line: Mapping[str, Any], current: str | None) -> bool:
    return line.get("to") == current and line.get("what") in STARTED and line.get("from") != current


def _older(host: Mapping[str, Any]) -> dict[str, int]:
    running = {unit["release"] for unit in host["units"]} - {host["current"]}
    return {release: sessions(release, host["units"]) or 0 for release in sorted(running)}


def _moment(epoch_s: float | None) -> str | None:
    return None if epoch_s is None else moment(datetime.fromtimestamp(epoch_s, UTC))


# --- what is wrong ---------------------------------------------------------------------------------------------------


def problems_of(host: Mapping[str, Any], differing: Sequence[str], now: datetime) -> Iterator[str]:
    """All that is wrong with a host, the page first."""
    yield from serving_problems(host)
    if host["socket"] != "active":
        yield f"kpi-dashboard.socket, which holds the port, is {host['socket']}: `fab deploy --force` mends it"
    if host["port_owner"] not in {None, SYSTEMD}:
        yield f"the port is held by {plain(str(host['port_owner']))}, not by kpi-dashboard.socket"
    yield from _room(host)
    skew = abs(timedelta(seconds=host["clock"] - now.timestamp()))
    if skew > CLOCK:
        yield f"the clocks here and there differ by {length(skew)}: see timedatectl there"
    yield from (f"{path} is not as the settings say: `fab deploy` or `fab bootstrap` mends it" for path in differing)


def serving_problems(host: Mapping[str, Any]) -> Iterator[str]:
    """Why nobody, or not everybody, sees the page as it should be."""
    if host["current"] is None:
        yield "no release serves: `fab deploy` brings the first"
        return
    unit = serving_unit(host)
    if unit is None:
        yield f"{host['current']}, which should serve, does not run: fab logs --release {host['current']}"
    elif unit["active"] in ON_ITS_WAY:
        yield f"{host['current']} is not serving yet: it is {unit['active']}"
    elif unit["state"] is None:
        yield f"{host['current']} runs, and does not answer: fab logs --release {host['current']}"
    else:
        yield from _page(unit["state"])


def _page(page: Mapping[str, Any]) -> Iterator[str]:
    said = dict.fromkeys(plain(str(page[key])) for key in ("problem", "last_script_error") if page.get(key))
    yield from (f"the page is wrong: {problem}" for problem in said)
    if not said and not page.get("ready"):
        yield "the page is not ready, and does not say why"


def _room(host: Mapping[str, Any]) -> Iterator[str]:
    if 0 <= host["free_bytes"] < LOW_DISK:
        yield f"the disk is nearly full: {_mb(host['free_bytes'])} are free"
    if 0 <= host["free_inodes"] < RELEASE_FILES:
        yield f"the disk has {host['free_inodes']:,} inodes left: less than one environment takes"
    left = host["memory_available_bytes"] + max(0, host["swap_free_bytes"])
    if host["memory_available_bytes"] >= 0 and left < LOW_MEMORY:
        yield f"memory is nearly used up: {_mb(left)} are left, swap included"


# --- as text and as JSON ---------------------------------------------------------------------------------------------


def as_text(status: Status, now: datetime, beside: Sequence[Line] = ()) -> str:
    """A headline, what is wrong, and a line for each thing that one may want to know; `beside`: of what is around."""
    problems = [*status.problems, *(line.wrong for line in beside if line.wrong)]
    count = len(problems)
    word = "well" if not count else "1 thing is wrong" if count == 1 else f"{count} things are wrong"
    headline = f"{word}: {status.address}, at {status.at}"
    wrong = [f"{'wrong':<10} {problem}" for problem in problems]
    lines = [*_lines(status, now), *((line.name, line.told) for line in beside)]
    return "\n".join([headline, *wrong, *(f"{name:<10} {told}" for name, told in lines)])


def _lines(status: Status, now: datetime) -> Iterator[tuple[str, str]]:
    yield "serves", _release(status, now)
    yield "sessions", _sessions(status)
    yield "page", "not known" if status.page_ms is None else f"runs in {status.page_ms:,.0f} ms"
    yield "data", _data(status)
    yield "memory", _memory(status)
    yield "disk", f"{_mb(status.free_bytes)} free"
    yield "lock", _lock(status)
    if status.settles_at:
        yield "settles", f"at {status.settles_at}, unless a deploy goes on: then on a release that has proven itself"
    if status.previous:
        yield "way back", f"fab rollback   (to {status.previous})"
    for line in reversed(status.deploys):
        yield "deploys", _deploy(line)


def _release(status: Status, now: datetime) -> str:
    if not status.release:
        return "nothing"
    commit = f"commit {status.sha[:COMMIT]}, {plain(status.ref)}"
    return f"{status.release} ({commit}) for {age(status.since, now)}, since {status.since}, by {plain(status.by)}"


def _sessions(status: Status) -> str:
    left = [f"{count} left on {release}" for release, count in status.older_sessions.items()]
    return "; ".join(["not known" if status.sessions is None else str(status.sessions), *left])


def _data(status: Status) -> str:
    if status.run_id is None or status.data_age_s is None:
        return "none is shown"
    return f"run {plain(status.run_id)}, made {length(timedelta(seconds=max(0, status.data_age_s)))} ago"


def _memory(status: Status) -> str:
    own = f"{_mb(status.memory_bytes)} by the release, " if status.memory_bytes is not None else ""
    return f"{own}{_mb(status.memory_available_bytes)} available, {_mb(status.swap_free_bytes)} of swap free"


def _lock(status: Status) -> str:
    if status.lock is None:
        return "free"
    who, commit, since = (plain(str(status.lock.get(key) or "?")) for key in ("who", "commit", "since"))
    return f"held by {who} since {since}, deploying {commit}"


def _deploy(line: Mapping[str, Any]) -> str:
    at, what, to, outcome, who = (plain(str(line.get(key) or "?")) for key in ("at", "what", "to", "outcome", "who"))
    reason = f": {plain(str(line['reason']).partition(chr(10))[0])}" if line.get("reason") else ""
    return f"{at} {what} {to}, {outcome}, by {who}{reason}"


def _mb(count: int | None) -> str:
    return "an unknown amount" if count is None or count < 0 else f"{count / MEGABYTE:,.0f} MB"


def as_json(status: Status) -> str:
    """One document."""
    return json.dumps({"exit_code": int(status.exit_code)} | asdict(status), indent=2, allow_nan=False)
