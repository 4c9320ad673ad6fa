"""Go back to a release that was good: one step on the host, without registry or git."""

from etl.errors import ExitCode
from ops.host import told
from ops.host.desk import Desk
from ops.host.tool import ask, hold_lock
from ops.stages import Story


def rollback(desk: Desk, to: str, *, plan: bool, wait_s: float) -> ExitCode:
    """Make the host serve an earlier release again: the last good one, or the one named.

    Refused (CHECK_FAILED) where there is none, it was bad, or it cannot read what is published. Raises HostError.
    """
    if plan:
        return _planned(desk, to)
    held = hold_lock(desk.remote, desk.who, f"a rollback{f' to {to}' if to else ''}", wait_s)
    if isinstance(held, dict):
        desk.tell(told.locked(held))
        return ExitCode.LOCKED
    try:
        return _back(desk, to)
    finally:
        held.release()


def _planned(desk: Desk, to: str) -> ExitCode:
    answer = ask(desk.remote, "rollback", "--plan", *_named(to))
    desk.tell(told.would_go_back(answer.said, good=answer.good))
    return ExitCode.CHANGES_PENDING if answer.good else ExitCode.CHECK_FAILED


def _back(desk: Desk, to: str) -> ExitCode:
    story = Story(desk.stream, desk.clock, 1)
    with story.stage("rollback") as stage:
        answer = ask(desk.remote, "rollback", *_named(to))
        stage.good = answer.good
        stage.told = str(answer.said.get("release") or "refused")
    desk.change.origin = str(answer.said.get("from") or answer.said.get("serving") or "")
    desk.change.to = str(answer.said.get("release") or to)
    if not answer.good:
        desk.change.reason = told.not_back(answer.said)
        desk.tell(desk.change.reason)
        return ExitCode.CHECK_FAILED
    desk.tell(told.served(ask(desk.remote, "status").said, desk.settings.host.drain_minutes))
    return ExitCode.GOOD


def _named(to: str) -> list[str]:
    return ["--to", to] if to else []
