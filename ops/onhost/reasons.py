"""Why a release was not let in, from its journal and from what systemd says of its unit. Pure."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ops.onhost.journal import Entry
from ops.onhost.layout import RELEASES
from ops.onhost.units import Unit

REFUSED: Final = "REFUSED: "  # how a release begins to say why it does not let itself in
TOLD_REFUSED: Final = "refused: "  # how it begins to say the same to systemd, whose journal it may have flooded
SAID_FOR_IT: Final = "it ended before it was ready"  # by the unit, where the release could not say anything itself
ERROR: Final = 3  # the priority of such lines
WARNING: Final = 4
LONGEST: Final = 40
MEGABYTE: Final = 1024 * 1024
SIGKILL: Final = 9
# What systemd itself could not do for a unit, by the status it then ends with (systemd.exec(5)).
SET_UP: Final = {
    200: "its directory could not be entered",
    203: "its program could not be run",
    214: "its scheduling could not be set",
    216: "its group is unknown",
    217: "its user is unknown",
    226: "its namespaces could not be set up",
    228: "its system call filter could not be set up",
    233: "its runtime directory could not be made",
    238: "its state directory could not be made",
}
_FRAME = re.compile(rf'File "(?:{RELEASES}/[^/"]+/)(?!environment/)([^"]+)", line (\d+)')
_PLACE = re.compile(r"\((\S+) line (\d+)\)")
_PAGE = re.compile(r"\bpage (?:\"([^\"]+)\"|'([^']+)')")
_EXITED = re.compile(r"Main process exited, code=(\w+), status=(\d+)")
_RESULT = re.compile(r"Failed with result '([\w-]+)'")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Lines for a person; and the page, file and line of the code that is wrong, where they are known."""

    lines: tuple[str, ...]
    page: str | None = None
    file: str | None = None
    line: int | None = None

    @property
    def document(self) -> dict[str, Any]:
        """As kpi-host prints it."""
        return {"reason": list(self.lines), "page": self.page, "file": self.file, "line": self.line}


@dataclass(frozen=True, slots=True)
class _Ending:
    result: str
    killed: bool
    status: int


def refusal(run: Sequence[Entry], unit: Unit | None, said_by_systemctl: str) -> Refusal:
    """`run`: the journal of that start alone; `unit` as it was right after it."""
    own = _own_words(run)
    if not own or own[0].startswith(SAID_FOR_IT):
        own = _told(unit) or [*_from_systemd(run, unit), *_last_words(run)] or own or [_first(said_by_systemctl)]
    return Refusal(tuple(own[:LONGEST]), _page(own[0]), *(_crash_place(run) or _place(own)))


def _told(unit: Unit | None) -> list[str]:
    """A refusal that did not reach the journal, which takes only so many lines in so many seconds."""
    told = unit.said if unit else ""
    return [told.removeprefix(TOLD_REFUSED)] if told.startswith(TOLD_REFUSED) else []


def _own_words(run: Sequence[Entry]) -> list[str]:
    """The release's own refusal, and the lines of the same weight that follow it."""
    lines = [line for entry in run if not entry.by_systemd and entry.priority <= ERROR for line in _lines(entry)]
    start = next((at for at, line in enumerate(lines) if line.startswith(REFUSED)), None)
    return [] if start is None else [line.removeprefix(REFUSED) for line in lines[start:]]


def _lines(entry: Entry) -> Iterator[str]:
    """Its lines but for documents, which are for machines."""
    return (line for line in entry.text.splitlines() if line.strip() and not line.startswith('{"'))


def _from_systemd(run: Sequence[Entry], unit: Unit | None) -> Iterator[str]:
    end = _ending(run, unit)
    if unit is not None and unit.load in {"bad-setting", "error", "not-found", "masked"}:
        yield f"systemd cannot use its unit ({unit.load}): {unit.load_error or 'see the lines below'}"
    elif _out_of_memory(run, end):
        limit = f" of {unit.memory_max_bytes // MEGABYTE} MB" if unit and unit.memory_max_bytes else ""
        yield f"out of memory: the kernel ended it; its limit{limit}, or the host's memory, is too small for it"
    elif end.result == "timeout":
        yield f"it was not ready within {unit.start_limit if unit else 'its time'}, and was ended{_where(unit)}"
    elif end.killed:
        yield f"it was ended by signal {end.status}{_where(unit)}"
    elif end.status in SET_UP:
        yield f"{SET_UP[end.status]} (status {end.status})"
    elif end.status:
        last = [line for line in _said_itself(run) if not line.startswith(REFUSED)][-1:]
        yield f"it ended with status {end.status}{_where(unit)}: {last[0] if last else 'it gave no reason'}"


def _where(unit: Unit | None) -> str:
    """The step of its start that it was in, as it told systemd."""
    return f", in {unit.said}" if unit and unit.said else ""


def _ending(run: Sequence[Entry], unit: Unit | None) -> _Ending:
    """How it ended, by the journal of that run; systemd itself may have tried again, and know only of that."""
    told = "\n".join(entry.text for entry in run if entry.by_systemd)
    exited, result = _EXITED.search(told), _RESULT.search(told)
    if unit is not None and not exited and not result:
        return _Ending(unit.result, unit.killed, unit.exit_status)
    code, status = (exited[1], int(exited[2])) if exited else ("exited", 0)
    return _Ending(result[1] if result else "", code != "exited", status)


def _out_of_memory(run: Sequence[Entry], end: _Ending) -> bool:
    """By name where the kernel tells systemd (cgroup v2); else nobody but the kernel kills a release that starts."""
    told = any("OOM killer" in entry.text for entry in run if entry.by_systemd)
    return told or end.result == "oom-kill" or (end.result == "signal" and end.status == SIGKILL)


def _last_words(run: Sequence[Entry]) -> list[str]:
    """The last lines that it wrote itself; where there are none, what systemd complained about."""
    own = [line.removeprefix(REFUSED) for line in _said_itself(run)]
    complaints = [entry.text for entry in run if entry.by_systemd and entry.priority <= WARNING]
    return own[-LONGEST // 2 :] or complaints[: LONGEST // 2]


def _said_itself(run: Sequence[Entry]) -> list[str]:
    return [line for entry in run if not entry.by_systemd for line in _lines(entry)]


def _place(lines: Sequence[str]) -> tuple[str | None, int | None]:
    """As the first line says it; else the innermost line of ours in the last traceback, not one of the environment."""
    found = _PLACE.findall(lines[0]) or [match for text in lines for match in _FRAME.findall(text)]
    return (found[-1][0], int(found[-1][1])) if found else (None, None)


def raised(run: Sequence[Entry]) -> str | None:
    """The newest exception that a release wrote down, with its place; a page shows its visitors none of it."""
    lines = _said_itself(run)
    starts = [at for at, line in enumerate(lines) if line.endswith("Traceback (most recent call last):")]
    trace = lines[starts[-1] + 1 :] if starts else []
    text = next((line for line in trace if not line.startswith(" ")), None)
    if text is None:
        return None
    file, number = _place(trace[: trace.index(text)] or [""])
    return f"{text} ({file} line {number})" if file else text


def _crash_place(run: Sequence[Entry]) -> tuple[str, int] | None:
    """Where the thread was that crashed the process, whose stack Python writes with the innermost call first."""
    lines = _said_itself(run)
    crash = next((at for at, line in enumerate(lines) if line.startswith("Fatal Python error:")), len(lines))
    stack = next((at for at, line in enumerate(lines) if at > crash and line.startswith("Current thread")), len(lines))
    frames = itertools.takewhile(lambda line: line.startswith("  File"), lines[stack + 1 :])
    found = next((match for line in frames for match in _FRAME.findall(line)), None)
    return (found[0], int(found[1])) if found else None


def _page(line: str) -> str | None:
    match = _PAGE.search(line)
    return (match[1] or match[2]) if match else None


def _first(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "it did not start, and nothing says why"
