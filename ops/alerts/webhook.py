"""Alerts to a webhook: JSON as Slack takes it, with fields for others. Its address is a secret, never repeated."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import requests

from etl.store.wire import Deadline
from ops.alerts.ledger import ChannelName
from ops.alerts.wire import Answer, Undelivered, Wire, refusal
from ops.alerts.words import Message


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as a channel."""

    name: ClassVar[ChannelName] = "webhook"
    url: str = field(repr=False)
    new_session: Callable[[], requests.Session] = requests.Session

    def send(self, message: Message, *, deadline: Deadline, now: datetime) -> str:
        """Post it. Raises Undelivered.

        Where no answer came nobody knows whether it was taken; it is posted again with the same id, since an alert
        that comes twice does less harm than one that never comes.
        """
        with self.new_session() as session:
            answer = Wire(session, deadline, now, reads_good=False).ask("POST", self.url, json=payload(message))
        if not answer.is_good:
            raise _refused(answer)
        return ""


def payload(message: Message) -> dict[str, object]:
    """What is posted: `text` for Slack and its like, `kpi_ops` for programs."""
    return {"text": _escaped(message.chat), "kpi_ops": dict(message.values)}


def _escaped(text: str) -> str:
    """Slack reads these three as its own: <!channel> would wake everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _refused(answer: Answer) -> Undelivered:
    """Slack says in a word why; anything longer is not repeated."""
    word = answer.body[:60].decode("ascii", "replace").strip()
    why = f" {word}" if re.fullmatch(r"[a-z]+(_[a-z]+){0,4}", word) else ""
    refused = refusal(answer)
    return Undelivered(f"{refused.why}{why}", hopeless=refused.hopeless)
