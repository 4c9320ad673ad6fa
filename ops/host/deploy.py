"""Bring a commit to the host: gather what is there, decide, and take the steps, a line each."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.errors import ExitCode, HostError, HostUnreachable, UnfitCommit
from ops.host import told
from ops.host.desk import Desk
from ops.host.environment import install
from ops.host.placing import Placing, compared, lies_there, place, put_back
from ops.host.plan import Step
from ops.host.preflight import Drift, Verdict, Wish, serves, verdict
from ops.host.release import Made, Release, packed, release_of, settings_sha256
from ops.host.sending import chunks
from ops.host.source import Checkout, Commit, Files
from ops.host.tool import ask, done_or_stop, hold_lock
from ops.host.units import units
from ops.host.watch import watched
from ops.stages import Stage, Story

STEPS = ("ship", "environment", "gate", "switch", "watch", "prune")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person asked for. `wheels`: a directory to install from, where the host has no package index."""

    ref: str = "HEAD"
    dirty: bool = False
    plan: bool = False
    force: bool = False
    wait_s: float = 0
    wheels: Path | None = None


@dataclass(frozen=True, slots=True)
class Cargo:
    """A release that is ready to be sent, and what was asked for."""

    release: Release
    files: Files
    choice: Choice


@dataclass(frozen=True, slots=True)
class Found:
    """The host as it is, what beside the release differs there, and what is to be done."""

    host: Mapping[str, Any]
    placing: Placing
    decided: Verdict


def deploy(desk: Desk, checkout: Checkout, choice: Choice) -> ExitCode:
    """Make the host serve a commit. Raises HostError where it could not; a refused release is CHECK_FAILED."""
    with ThreadPoolExecutor(1) as beside:  # the host says how it is while this machine looks at the commit
        asked = beside.submit(ask, desk.remote, "status")
        commit = _commit(desk, checkout, choice)
        made = Made(desk.who, desk.now(), settings_sha256(desk.settings.host, units(desk.settings)))
        host = asked.result().said
    if not choice.force and _serves_already(desk, commit, made, host):
        return _up_to_date(desk, host)
    try:
        files = checkout.files(commit)
        cargo = Cargo(release_of(commit, files, made), files, choice)
    except UnfitCommit as error:
        desk.tell(told.refused_before(host, [f"{error.seen}; expected: {error.expected}; to do: {error.to_do}"]))
        return ExitCode.CHECK_FAILED
    return _plan(desk, cargo, host) if choice.plan else _locked(desk, cargo)


def _commit(desk: Desk, checkout: Checkout, choice: Choice) -> Commit:
    commit = checkout.work_tree() if choice.dirty else checkout.commit(choice.ref)
    _tell_what_stays(desk, checkout, commit)
    return commit


def _serves_already(desk: Desk, commit: Commit, made: Made, host: Mapping[str, Any]) -> bool:
    """The quick way to nothing to do: by one answer of the host. A no only means that more is to be looked at."""
    same = not commit.dirty and serves(commit.sha, made.settings_sha256, host)
    return same and lies_there(desk.settings, host)


def _locked(desk: Desk, cargo: Cargo) -> ExitCode:
    held = hold_lock(desk.remote, desk.who, cargo.release.sha[:7], cargo.choice.wait_s)
    if isinstance(held, dict):
        desk.tell(told.locked(held))
        return ExitCode.LOCKED
    try:
        return _under_lock(desk, cargo)
    finally:
        held.release()


def _tell_what_stays(desk: Desk, checkout: Checkout, commit: Commit) -> None:
    """Whoever deploys beside work that is not committed should know that it stays at home."""
    differing = () if commit.dirty else checkout.differing()
    if differing:
        desk.tell(told.left_at_home(differing))


def _found(desk: Desk, cargo: Cargo, host: Mapping[str, Any]) -> Found:
    placing = compared(desk.remote, desk.settings)
    release = cargo.release
    wish = Wish(release.sha, release.dirty, release.settings_sha256, release.lock_sha256, release.requires_python)
    drift = Drift(placing.differing, socket=placing.socket)
    decided = verdict(wish, host, drift, clock_s=desk.now().timestamp(), force=cargo.choice.force)
    return Found(host, placing, decided)


def _without_a_step(desk: Desk, found: Found) -> ExitCode | None:
    """The exit status where nothing is to be done, or nothing can be."""
    if found.decided.up_to_date:
        return _up_to_date(desk, found.host)
    if found.decided.refused:
        desk.change.reason = "; ".join(found.decided.refused)
        desk.tell(told.refused_before(found.host, found.decided.refused))
        return ExitCode.CHECK_FAILED
    return None


def _up_to_date(desk: Desk, host: Mapping[str, Any]) -> ExitCode:
    desk.change.changed = False
    desk.tell(f"already up to date: {told.serving(host)}")
    return ExitCode.GOOD


def _plan(desk: Desk, cargo: Cargo, host: Mapping[str, Any]) -> ExitCode:
    found = _found(desk, cargo, host)
    at_once = _without_a_step(desk, found)
    if at_once is not None:
        return at_once
    desk.tell(told.planned(found.host, cargo.release, found.decided, found.placing.differing))
    return ExitCode.CHANGES_PENDING


def _under_lock(desk: Desk, cargo: Cargo) -> ExitCode:
    # Asked once more: whoever held the lock before may have changed everything.
    found = _found(desk, cargo, ask(desk.remote, "status").said)
    desk.change.origin, desk.change.to = str(found.host["current"] or ""), cargo.release.release
    at_once = _without_a_step(desk, found)
    if at_once is not None:
        return at_once
    desk.tell(f"{cargo.release.release}, {told.how(found.decided)}")
    with _told_where_it_stands(desk):
        return _steps(desk, cargo, found)


@contextmanager
def _told_where_it_stands(desk: Desk) -> Iterator[None]:
    """However a deploy is stopped, a person hears what becomes of the host."""
    try:
        yield
    except HostUnreachable as error:
        raise HostUnreachable(error.seen, expected=error.expected, to_do=f"{told.SETTLES}; then: fab status") from error
    except KeyboardInterrupt:
        desk.tell(f"interrupted: {told.SETTLES}; see it with: fab status")
        raise


def _steps(desk: Desk, cargo: Cargo, found: Found) -> ExitCode:
    name, placing = cargo.release.release, found.placing
    story = Story(desk.stream, desk.clock, len(STEPS) + bool(placing.tool) + bool(placing.rest))
    _place(desk, story, "kpi-host", placing.tool)  # first: it is what the other steps talk to
    with story.stage("ship") as stage:
        _ship(desk, cargo, stage)
    if not _environment(desk, story, cargo, found):
        return ExitCode.CHECK_FAILED
    _place(desk, story, "units", placing.rest)
    with _units_put_back(desk, placing):
        serves = _gate(desk, story, name, hand_off=found.decided.mode == "hand-off") and _switch(desk, story, name)
    if not serves:
        if placing.rest:
            put_back(desk, placing)
        return ExitCode.CHECK_FAILED
    with story.stage("prune") as stage:
        stage.told = _tidy(desk, name)
    desk.tell(told.served(ask(desk.remote, "status").said, desk.settings.host.drain_minutes))
    return ExitCode.GOOD


@contextmanager
def _units_put_back(desk: Desk, placing: Placing) -> Iterator[None]:
    """Where the host can go no further: what serves would be started again by units that may be at fault."""
    try:
        yield
    except HostUnreachable:
        raise
    except HostError:
        if placing.rest:
            put_back(desk, placing)
        raise


def _environment(desk: Desk, story: Story, cargo: Cargo, found: Found) -> bool:
    with story.stage("environment") as stage:
        answer = install(desk, cargo.release.release, cargo.choice.wheels)
        stage.good = answer.good
        stage.told = str(answer.said.get("told") or "refused")
    if not answer.good:
        _refused(desk, {**answer.said, "serving": found.host["current"]})
    return answer.good


def _place(desk: Desk, story: Story, name: str, steps: tuple[Step, ...]) -> None:
    if steps:
        with story.stage(name) as stage:
            stage.told = place(desk, steps)


def _switch(desk: Desk, story: Story, name: str) -> bool:
    """Let everybody in, and see how it does; whether it stays."""
    with story.stage("switch"):
        done_or_stop(ask(desk.remote, "switch", name))
    return _watch(desk, story, name)


def _ship(desk: Desk, cargo: Cargo, stage: Stage) -> None:
    archive = packed(cargo.release, cargo.files)
    with desk.bars.in_bytes("uploading", len(archive)) as sent:
        done_or_stop(ask(desk.remote, "receive", cargo.release.release, stdin=chunks(archive, sent)))
    stage.told = f"{len(cargo.files)} files, {len(archive) / 1024:.0f} KiB"


def _gate(desk: Desk, story: Story, name: str, *, hand_off: bool) -> bool:
    with story.stage("gate") as stage:
        answer = ask(desk.remote, "start", name, *(["--handoff"] if hand_off else []))
        stage.good = answer.good
        stage.told = "every page ran" if answer.good else "refused"
    if not answer.good:
        _refused(desk, answer.said)
    return answer.good


def _refused(desk: Desk, said: Mapping[str, Any]) -> None:
    text = told.refused_by_host(said)
    desk.change.reason = text
    desk.tell(text)


def _watch(desk: Desk, story: Story, name: str) -> bool:
    with story.stage("watch") as stage:
        wrong = watched(desk, name)
        stage.good, stage.told = (
            not wrong,
            wrong or ("every look was good" if desk.settings.host.watch_s else "not wanted: watch_s is 0"),
        )
    if wrong:
        back = ask(desk.remote, "rollback", "--bad", name, "--reason", wrong)
        desk.change.reason = wrong
        desk.tell(told.rolled_back(name, wrong, back.said, good=back.good))
    return not wrong


def _tidy(desk: Desk, name: str) -> str:
    done_or_stop(ask(desk.remote, "confirm", name))
    pruned = done_or_stop(ask(desk.remote, "prune", "--keep", str(desk.settings.host.keep_releases)))
    return f"{len(pruned.get('releases') or ())} old releases removed"
