"""What a deploy has to say: every text of it, from what the host said. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops.host.preflight import Verdict
from ops.host.release import Release
from ops.words import plain

SHOWN_FILES = 3
SHOWN_REASONS = 40
SETTLES = "the host settles within a minute on a release that has proven itself"


def serving(host: Mapping[str, Any]) -> str:
    """The release that serves, as it is named in a line."""
    known = next((release for release in host["releases"] if release["release"] == host["current"]), None)
    if known is None:
        return "nothing"
    return f"{known['release']} (commit {known['sha'][:7]}, by {plain(known['who'])}, made {known['made_at']})"


def left_at_home(differing: Sequence[str]) -> str:
    """That files are not committed, and so not deployed."""
    shown = ", ".join(map(plain, differing[:SHOWN_FILES])) + (", ..." if len(differing) > SHOWN_FILES else "")
    return f"note: not committed, and not deployed: {shown} ({len(differing)} in all; --dirty ships tracked files)"


def refused_before(host: Mapping[str, Any], reasons: Sequence[str]) -> str:
    """A preflight that found something."""
    lines = ["refused before anything was changed:", *(f"  - {plain(reason)}" for reason in reasons)]
    return "\n".join([*lines, f"serving still: {serving(host)}"])


def planned(host: Mapping[str, Any], release: Release, decided: Verdict, differing: Sequence[str]) -> str:
    """What a deploy would do."""
    lines = [
        f"serving now:  {serving(host)}",
        f"would serve:  commit {release.sha[:7]} ({plain(release.ref)}){', not committed' if release.dirty else ''}",
        f"environment:  {'installed anew' if decided.installs else 'unchanged'}",
        f"units:        {', '.join(differing) or 'unchanged'}",
        f"how:          {how(decided)}",
    ]
    return "\n".join(lines)


def how(decided: Verdict) -> str:
    """Beside the old release, or after it."""
    way = "beside the old release" if decided.mode == "overlap" else "after the old release has left: sessions are cut"
    return f"{way} ({decided.why_mode})"


def locked(holder: Mapping[str, Any]) -> str:
    """Who is at work."""
    who, commit, since = (plain(str(holder.get(key) or "?")) for key in ("who", "commit", "since"))
    return (
        f"locked by {who} since {since}, deploying {commit}\n"
        f"  to do:    --wait SECONDS; the lock frees itself when that deploy ends, however it ends"
    )


def refused_by_host(said: Mapping[str, Any]) -> str:
    """Why a release was not let in: the exception, its place, and what serves."""
    reasons = [plain(str(line)) for line in said.get("reason") or ["it gave no reason"]][:SHOWN_REASONS]
    place = [f"  at {plain(str(said['file']))}, line {said.get('line')}"] if said.get("file") else []
    return "\n".join(
        [
            "refused: the new release cannot be used",
            *(f"  {reason}" for reason in reasons),
            *place,
            f"serving still: {said.get('serving') or 'nothing'}",
        ]
    )


def rolled_back(release: str, wrong: str, said: Mapping[str, Any], *, good: bool) -> str:
    """A release that proved itself and was bad all the same."""
    why = plain(str(said.get("reason") or said.get("seen") or "no reason given"))
    came = f"rolled back to {said.get('release')}" if good else f"it could not be rolled back: {why}"
    return f"{release} was bad after the switch: {wrong}\n{came}"


def served(host: Mapping[str, Any], drain_minutes: float) -> str:
    """The end of a deploy or rollback: what serves, who is still on older releases, how to go back."""
    older = [unit for unit in host["units"] if unit["release"] != host["current"]]
    left = sum((unit.get("state") or {}).get("sessions") or 0 for unit in older)
    until = f", for {drain_minutes:g} minutes at most" if left else ""
    back = [f"to go back: fab rollback   (to {host['previous']})"] if host.get("previous") else []
    return "\n".join([f"serving: {serving(host)}", f"sessions left on older releases: {left}{until}", *back])


def would_go_back(said: Mapping[str, Any], *, good: bool) -> str:
    """Where a rollback would go."""
    return f"would go back to {said.get('release')}" if good else not_back(said)


def not_back(said: Mapping[str, Any]) -> str:
    """Why a rollback was refused, what serves, and the way out."""
    reason = said.get("reason") or said.get("seen") or "it gave no reason"
    reasons = reason if isinstance(reason, list) else [reason]
    way_out = [f"  to do:    {plain(str(said['to_do']))}"] if said.get("to_do") else []
    serves = f"serving still: {said.get('serving') or 'what served before'}"
    return "\n".join(["no rollback:", *(f"  {plain(str(line))}" for line in reasons), *way_out, serves])
