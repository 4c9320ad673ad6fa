"""kpi-host, spoken to over a connection: its words in, its JSON lines out."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from etl.errors import ExitCode, HostError
from ops.host.remote import Done, Held, Remote
from ops.onhost import layout

NO_SUCH_COMMAND = (126, 127)


@dataclass(frozen=True, slots=True)
class Answer:
    """The last document that kpi-host printed, and its exit status."""

    status: int
    said: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether it did what it was asked to."""
        return self.status == ExitCode.GOOD


def ask(
    remote: Remote,
    *words: str,
    stdin: bytes | Iterable[bytes] = b"",
    on_event: Callable[[dict[str, Any]], None] | None = None,
    timeout_s: float = 600,
) -> Answer:
    """Run `kpi-host WORDS`; what it could not do is raised as the HostError that it names, a refusal is an answer.

    `on_event` hears each document but the last as it comes.
    """
    heard: list[dict[str, Any]] = []

    def line(text: str) -> None:
        document = _document(text)
        if document is not None:
            if heard and on_event:
                on_event(heard[-1])
            heard.append(document)

    done = remote.run([str(layout.COMMAND), *words], stdin=stdin, on_line=line, timeout_s=timeout_s)
    return _answer(words, done, heard[-1] if heard else None)


def done_or_stop(answer: Answer) -> dict[str, Any]:
    """What was said by a step that a release cannot be refused in: its failure is the host's. Raises HostError."""
    if not answer.good:
        why = answer.said.get("seen") or answer.said.get("reason") or f"status {answer.status}"
        raise HostError(f"the host could not go on: {why}", expected="that every step is done", to_do="fab status")
    return answer.said


def hold_lock(remote: Remote, who: str, commit: str, wait_s: float) -> Held | dict[str, Any]:
    """Take the lock of deploys; or who holds it. It is free again when `release` is called or the connection ends."""
    first, held = remote.hold([str(layout.COMMAND), "hold", "--who", who, "--commit", commit, "--wait", f"{wait_s:g}"])
    document = _document(first)
    if not isinstance(held, Done):
        if (document or {}).get("held"):
            return held
        held = held.release()  # it has said no, and is about to end
    return dict(_answer(("hold",), held, document).said.get("holder") or {})


def _answer(words: Sequence[str], done: Done, document: dict[str, Any] | None) -> Answer:
    if done.status in NO_SUCH_COMMAND and document is None:
        raise HostError(
            f"the host has no {layout.COMMAND}",
            expected="a host that `fab bootstrap` has set up",
            to_do="fab bootstrap",
        )
    if document is None:
        said = (done.err.strip() or done.out.strip() or "nothing")[-2000:]
        msg = f"kpi-host {' '.join(words)} ended with {done.status} and said: {said}"
        raise RuntimeError(msg)  # our own program, and no answer of its own: a bug
    if done.status == ExitCode.COULD_NOT:
        raise HostError(
            str(document.get("seen", "the host could not do it")),
            expected=str(document.get("expected", "that it can")),
            to_do=str(document.get("to_do", "fab status")),
        )
    return Answer(done.status, document)


def _document(line: str) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
