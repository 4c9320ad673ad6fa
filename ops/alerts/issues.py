"""Alerts as GitHub issues: for each target and kind of incident at most one is open, and none is ever deleted."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

import requests

from etl.store.wire import Deadline
from ops.alerts.decide import Thread
from ops.alerts.github import HEADERS, Issue, Issues, Token, number_in
from ops.alerts.ledger import ChannelName
from ops.alerts.wire import Undelivered, Wire, patiently
from ops.alerts.words import Message
from ops.words import moment

SETTLE_S = 1.0  # before the second look: a list may be older than what another run did a moment ago
CLOCKS_APART = timedelta(minutes=5)  # between GitHub's and ours
END = "<!-- kpi-ops end -->"


@dataclass(frozen=True, slots=True)
class IssuesChannel:
    """The issues of a repository as a channel. `labels`: the first one is what issues are found by."""

    name: ClassVar[ChannelName] = "github"
    api: str
    repository: str
    token: str = field(repr=False)
    labels: Sequence[str] = ()
    assignees: Sequence[str] = ()
    new_session: Callable[[], requests.Session] = requests.Session

    def send(self, message: Message, *, deadline: Deadline, now: datetime) -> str:
        """Do with the issue of this thread as the message says; returns its number as a note. Raises Undelivered."""
        with self.new_session() as session:
            wire = Wire(session, deadline, now, Token(self.token), HEADERS)
            return _Telling(self, Issues(wire, self.api, self.repository), message).told()


@dataclass(frozen=True, slots=True)
class _Telling:
    channel: IssuesChannel
    issues: Issues
    message: Message

    def told(self) -> str:
        if self.message.event in ("opened", "reopened"):
            issue = self._opened()
            return f"#{issue.number}{self._assigned(issue)}"
        if self.message.event == "passed":
            issue = self._opened()
            self.issues.change(issue.number, state="closed", state_reason="completed")
            return f"#{issue.number}"
        return self._refreshed() if self.message.event == "reminder" else self._closed()

    # --- opening

    def _opened(self) -> Issue:
        """The one open issue of this thread, made or opened again where there is none."""
        issue = patiently(lambda: self._at_hand() or self._made(), self._deadline)
        if not issue.is_open or incident_in(issue.body) != self.message.start:
            self._commented(issue)
            self.issues.change(issue.number, state="open", body=self._body(issue))
        self._deadline.patience.sleep(min(SETTLE_S, self._deadline.left_s))
        return self._only([issue, *self._ours()]) or issue

    def _at_hand(self) -> Issue | None:
        """An open issue of ours, else the one that was closed a while ago if this is to open it again."""
        found = self._only(self._ours())
        again = self.message.event == "reopened" and not found
        return self._noted() if again else found

    def _made(self) -> Issue:
        return self.issues.create(self.message.title, block(self.message), self.channel.labels)

    def _assigned(self, issue: Issue) -> str:
        """Add the assignees, and say so where GitHub refuses them: that does not lose the issue."""
        if not self.channel.assignees or issue.is_assigned:
            return ""
        try:
            self.issues.assign(issue.number, self.channel.assignees)
        except Undelivered as error:
            return f", assigned to nobody: {error.why}"
        return ""

    # --- while it lasts, and its end

    def _refreshed(self) -> str:
        """The body brought up to date, without a word. An issue that a person has closed stays as it is."""
        issue = self._only(self._ours())
        if issue is None:
            return self.message.memo
        self.issues.change(issue.number, body=self._body(issue))
        return f"#{issue.number}"

    def _closed(self) -> str:
        issue = self._only(self._ours()) or self._noted()
        if issue is None:
            return "no issue is left"
        self._commented(issue)
        closing = {"state": "closed", "state_reason": "completed"} if issue.is_open else {}
        self.issues.change(issue.number, body=self._body(issue), **closing)
        return f"#{issue.number}"

    # --- finding

    def _ours(self) -> list[Issue]:
        """The open issues of this thread: listed ones as they truly are, and the one that was noted."""
        label = next(iter(self.channel.labels), None)
        listed = {issue.number for issue in self.issues.open_ones(label) if thread_in(issue.body, self._thread)}
        noted = {number} if (number := number_in(self.message.memo)) else set()
        looked_at = [self.issues.one(number) for number in sorted(listed | noted)]
        return [issue for issue in looked_at if issue and issue.is_open and thread_in(issue.body, self._thread)]

    def _noted(self) -> Issue | None:
        """The issue that was noted when this thread was last told of, open or not."""
        number = number_in(self.message.memo)
        issue = self.issues.one(number) if number else None
        return issue if issue and thread_in(issue.body, self._thread) else None

    def _only(self, found: Iterable[Issue]) -> Issue | None:
        """The oldest of these; the newer ones are closed with a word."""
        oldest_first = sorted({issue.number: issue for issue in found}.values(), key=lambda issue: issue.number)
        for twin in oldest_first[1:]:
            oldest = oldest_first[0].number
            self._said(twin, f"twin of {oldest}", f"#{oldest} is about the same and was here before.")
            self.issues.change(twin.number, state="closed", state_reason="not_planned")
        return oldest_first[0] if oldest_first else None

    # --- saying

    def _commented(self, issue: Issue) -> None:
        self._said(issue, self.message.id, self.message.comment)

    def _said(self, issue: Issue, what: str, words: str) -> None:
        """Comment once: a comment whose answer was lost is looked for before it is sent again."""
        mark = f"<!-- kpi-ops told: {what} -->"
        since = self.message.start - CLOCKS_APART

        def attempt() -> None:
            said = self.issues.comments(issue.number, since=since)
            if not any(mark in comment.splitlines() for comment in said):
                self.issues.comment(issue.number, f"{words}\n\n{mark}")

        patiently(attempt, self._deadline)

    def _body(self, issue: Issue) -> str:
        return with_block(issue.body, block(self.message))

    @property
    def _thread(self) -> Thread:
        return self.message.thread

    @property
    def _deadline(self) -> Deadline:
        return self.issues.wire.deadline


# --- what stands in a body -------------------------------------------------------------------------------------------


def block(message: Message) -> str:
    """What is ours in the body of an issue, between two marks that nobody sees; more may stand around it."""
    begin = f"<!-- kpi-ops alert: {message.thread.target}/{message.thread.kind} -->"
    incident = f"<!-- kpi-ops incident: {moment(message.start)} -->"
    return f"{begin}\n{incident}\n\n{message.body}\n\n{END}"


def thread_in(body: str, thread: Thread) -> bool:
    """Whether a body is that of an issue of this thread. A mark is a line of its own: words from a page never are."""
    return f"<!-- kpi-ops alert: {thread.target}/{thread.kind} -->" in body.splitlines()


def incident_in(body: str) -> datetime | None:
    """Of which incident a body tells."""
    match = re.search(r"(?m)^<!-- kpi-ops incident: (\S{20}) -->\r?$", body)
    try:
        return datetime.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def with_block(body: str, ours: str) -> str:
    """A body with our part put in place of the one it has; one from which a person took our marks stays as it is."""
    parts = re.split(r"(?ms)^<!-- kpi-ops alert: .*?^<!-- kpi-ops end -->", body, maxsplit=1)
    return body if len(parts) == 1 else f"{parts[0]}{ours}{parts[1]}"
