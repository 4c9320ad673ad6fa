"""Steps sent to a host, where ops/host/carry.py takes them; what it says of each, as lines for a person."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from etl.errors import HostError, HostUnreachable
from ops.host.facts import program
from ops.host.plan import Action, Step
from ops.host.remote import Done, Remote
from ops.words import plain

CARRY: Final = Path(__file__).with_name("carry.py")
LONGEST_S: Final = 3600.0
TRACEBACK: Final = "Traceback (most recent call last)"
AGAIN: Final = "`fab bootstrap` again, which goes on where this ended"


@dataclass(slots=True)
class Carrier:
    """Takes steps and counts them. `who` is named to whoever finds the host locked; `tell` hears lines.

    `locks`: False where the lock of deploys is held already.
    """

    remote: Remote
    who: str
    tell: Callable[[str], None]
    total: int
    done: int = 0
    locks: bool = True

    def carry(self, steps: Sequence[Step]) -> bool:
        """Take steps under the lock of deploys; False, and told, where somebody else has it. Raises HostError."""
        return self._send(steps, lock=True, hear=lambda event: self._hear(event, steps))

    def attempt(self, step: Step) -> bool:
        """As `carry`, of one step that is not done before `keep` was called."""
        return self._send([step], lock=True, hear=lambda _: None)

    def keep(self, step: Step, actions: Iterable[Action], seconds: float) -> None:
        """The end of an attempt that went well."""
        self.after(actions)
        self._hear({"event": "done", "step": 0, "seconds": seconds}, [step])

    def after(self, actions: Iterable[Action]) -> None:
        """Do what belongs to a step that was taken already."""
        self._send([Step("what belongs to the last step", tuple(actions))], lock=False, hear=lambda _: None)

    def put_back(self, actions: Iterable[Action]) -> None:
        """As `after`, where the host does it by itself if it cannot be told."""
        try:
            self.after(actions)
        except HostError:
            self.tell("the host puts back by itself how one logs in, within a minute")

    def _send(self, steps: Sequence[Step], *, lock: bool, hear: Callable[[dict[str, Any]], None]) -> bool:
        holder = {"who": self.who, "commit": "bootstrap"} if lock and self.locks else None
        stdin = program(CARRY.read_text("utf-8"), {"lock": holder, "steps": [_as_sent(step) for step in steps]})
        said: list[dict[str, Any]] = []

        def line(text: str) -> None:
            said.append(json.loads(text))
            if "step" in said[-1]:
                hear(said[-1])

        try:
            ended = self.remote.run(["python3", "-I", "-"], stdin=stdin, on_line=line, timeout_s=LONGEST_S)
        except HostUnreachable as error:
            raise self._cut_off(error) from error
        last = said[-1] if said else {}
        if last.get("event") == "locked":
            self.tell(_locked(last["holder"]))
            return False
        if ended.status != 0:
            raise self._stopped(steps, last, ended)
        return True

    def _hear(self, event: dict[str, Any], steps: Sequence[Step]) -> None:
        mark = {"done": "ok", "failed": "FAIL", "waiting": "wait"}[event["event"]]
        what = plain(event["text"]) if event["event"] == "waiting" else steps[event["step"]].summary
        seconds = f"{event['seconds']:6.1f} s" if "seconds" in event else " " * 8
        self.tell(f"[{self.done + 1:>2}/{self.total}] {mark:<4} {seconds}  {what}")
        self.done += event["event"] == "done"

    def _stopped(self, steps: Sequence[Step], last: dict[str, Any], ended: Done) -> Exception:
        if last.get("event") == "failed":
            what = f"{steps[last['step']].summary}: {_lines(last['text'])}"
        elif TRACEBACK in ended.err:
            return RuntimeError(f"carrying out steps on the host failed:\n{ended.err}")  # our own program: a bug
        else:
            what = f"the program that takes the steps on the host was ended from outside (exit status {ended.status})"
        return HostError(
            what, expected="that every step can be taken", to_do=f"{self._state()}; mend that, then {AGAIN}"
        )

    def _state(self) -> str:
        return f"{self.done} of {self.total} steps were taken and none after them; what serves is as it was"

    def _cut_off(self, error: HostUnreachable) -> HostUnreachable:
        return HostUnreachable(
            error.seen,
            expected=error.expected,
            to_do=f"{self.done} of {self.total} steps were taken, and the host ends the one at hand; then {AGAIN}",
        )


def _as_sent(step: Step) -> dict[str, Any]:
    return {"due": list(step.due), "actions": list(step.actions), "undo": list(step.undo)}


def _lines(text: str) -> str:
    """What a command said, indented below the first line."""
    return "\n    ".join(map(plain, text.splitlines()))


def _locked(holder: dict[str, Any] | None) -> str:
    who, what, since = (plain(str((holder or {}).get(key, "?"))) for key in ("who", "commit", "since"))
    return (
        f"locked by {who} since {since} ({what}); nothing more was changed\n  to do:    wait for its end, then {AGAIN}"
    )
