"""Run a command and note what it changed, however it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from etl.errors import ExitCode, KpiOpsError
from ops.audit.change import LONGEST, OUTCOMES, Change, Draft, Outcome
from ops.words import moment


@dataclass(frozen=True, slots=True)
class Notary:
    """Who changes something, the clocks (`clock` gives seconds and only grows), and where a line goes."""

    who: str
    now: Callable[[], datetime]
    clock: Callable[[], float]
    keep: Callable[[Change], None]


def noted(what: str, body: Callable[[Draft], int], notary: Notary) -> int:
    """The exit status of `body`, or its error; a line is kept where it changed something, or tried to."""
    draft, at, began_s = Draft(), moment(notary.now()), notary.clock()

    def note(outcome: Outcome, reason: str = "") -> None:
        seconds = round(notary.clock() - began_s, 2)
        why = (reason or draft.reason)[:LONGEST]
        notary.keep(Change(at, notary.who, what, draft.origin, draft.to, outcome, seconds, why))

    try:
        status = body(draft)
    except KeyboardInterrupt:
        note("interrupted")
        raise
    except KpiOpsError as error:
        note("failed", error.seen)
        raise
    except BaseException as error:
        note("failed", type(error).__name__)
        raise
    if status in OUTCOMES and (draft.changed or status != ExitCode.GOOD):
        note(OUTCOMES[status])
    return status
