"""Whether a page is fit to be seen: what is wanted of every page, and the complaint about one that lacks it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dashboard.data import State
from dashboard.faults import Fault, Place, place_written
from dashboard.page import Page, Raised
from etl.errors import KpiOpsError, NewerContract
from ops.settings import GateSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What every page has: at least so many elements of a kind, and these words."""

    min: Mapping[str, int] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    error_boxes: bool = False


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a release. `text`: one line that says it all; `more`: lines for who must mend it.

    `broken`: the code is at fault, whatever the data; `fatal`: moreover no page can be shown at all, so that even the
    release that serves is better started again.
    """

    text: str
    more: str = ""
    broken: bool = False
    fatal: bool = False

    def __str__(self) -> str:
        """All lines."""
        return f"{self.text}\n{self.more}".strip()


def wanted_of(settings: GateSettings) -> Wanted:
    """The settings as they are judged by."""
    return Wanted(min=settings.min, text=settings.text, error_boxes=settings.error_box == "accepted")


def complaint_about(name: str, page: Page, fault: Fault | None, wanted: Wanted, home: Path) -> Complaint | None:
    """The gravest thing wrong with a page that ran to its end; None for a good one.

    `fault`: what its script raised, where that is known: the page itself hides messages from visitors.
    """
    if page.raised:
        return _shows_exception(name, page.raised[0], fault, home)
    if page.errors and not wanted.error_boxes:
        return Complaint(f"page {name!r} shows an error box: {_one_line(page.errors[0])}")
    if page.not_found:
        return Complaint(f"page {name!r} is in the navigation, but the app has no such page")
    if not page.counts:
        return Complaint(f"page {name!r} ran to its end, but drew nothing")
    lacking = "; ".join(_lacking(page, wanted))
    return Complaint(f"page {name!r} lacks what [host.gate] wants of it: {lacking}") if lacking else None


def _shows_exception(name: str, raised: Raised, fault: Fault | None, home: Path) -> Complaint:
    if fault:
        return Complaint(f"page {name!r} raised {fault}", fault.trace, broken=True)
    place = place_written([raised.text, *raised.trace], home)
    said = " ".join(filter(None, (_one_line(raised.text), str(place or ""))))
    return Complaint(f"page {name!r} shows an exception: {said}", "\n".join([raised.text, *raised.trace]), broken=True)


def _lacking(page: Page, wanted: Wanted) -> Iterator[str]:
    for kind, least in wanted.min.items():
        if page.counts.get(kind, 0) < least:
            yield f"{page.counts.get(kind, 0)} {kind} of {least}"
    for words in wanted.text:
        if not any(words.encode() in text for text in page.texts):
            yield f"no text {words!r}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def unfinished(name: str, why: str, place: Place | None) -> Complaint:
    """About a page whose script goes on and on; `place` is where it was."""
    return Complaint(" ".join(filter(None, (f"page {name!r} {why}", str(place or "")))), broken=True, fatal=True)


def died(name: str, fault: Fault) -> Complaint:
    """About a page whose script ended the thread that it ran in, so that its visitor waits for ever."""
    return Complaint(f"page {name!r} never finishes, for it raised {fault}", fault.trace, broken=True, fatal=True)


def readiness_complaint(facts: Mapping[str, object]) -> Complaint | None:
    """About a release all of whose pages ran, and which tells the world on /readyz that it is not ready."""
    if facts["ready"]:
        return None
    why = facts["last_script_error"] or facts["store_problem"] or "it gives no reason"
    return Complaint(f"/readyz says that it is not ready: {_one_line(str(why))}")


def data_complaint(state: State) -> Complaint | None:
    """What is wrong with the data that a release would show: there is none, or it cannot read what is published."""
    if state.problem and (state.snapshot is None or isinstance(state.problem.error, NewerContract)):
        error = state.problem.error
        more = f"expected: {error.expected}\nto do:    {error.to_do}" if isinstance(error, KpiOpsError) else ""
        return Complaint(f"no snapshot can be shown: {_one_line(state.problem.reason)}", more)
    return None if state.snapshot else Complaint("no snapshot can be shown: the store has not answered yet")
