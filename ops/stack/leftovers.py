"""What the state of a stack allows: to make it, to change it, to clear away what failed, or to keep off. Pure."""

from typing import Final, Literal

State = Literal["absent", "planned", "live", "busy", "failed", "half gone", "stuck"]

ABSENT: Final = frozenset({"", "DELETE_COMPLETE"})
PLANNED: Final = "REVIEW_IN_PROGRESS"  # a change set was made for it, and nothing else
LIVE: Final = frozenset({
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
})  # fmt: skip
FAILED: Final = "ROLLBACK_COMPLETE"  # a creation that failed, and left nothing but its name
HALF_GONE: Final = frozenset({"CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"})


def state(status: str) -> State:
    """What a StackStatus means; "" for a stack that there is none of."""
    if status in ABSENT:
        return "absent"
    if status == PLANNED:
        return "planned"
    if status.endswith("_IN_PROGRESS"):
        return "busy"
    if status in LIVE:
        return "live"
    if status == FAILED:
        return "failed"
    return "half gone" if status in HALF_GONE else "stuck"


def finished(status: str) -> bool:
    """Whether nothing goes on any more; a planned stack has not begun."""
    return not status.endswith("_IN_PROGRESS")


def made(status: str) -> bool:
    """Whether a change set that ended in this state did what it was to do."""
    return status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}
