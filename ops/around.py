"""What `fab status` shows beside the host: data, uptime, changes, drift, credits; each asked for so long only."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from etl.contract import Manifest
from etl.errors import KpiOpsError, NothingPublished
from etl.store import SnapshotReader
from ops.audit.change import Change
from ops.doctor.check import Bug, Late
from ops.doctor.gather import Source, gather
from ops.freshness import judge
from ops.settings import Settings
from ops.uptime.report import Report, TargetReport
from ops.words import moment, plain

T = TypeVar("T")
LIMIT_S: Final = 1.8  # one screen, at once: what takes longer is not known this time
SHOWN_CHANGES: Final = 3
FEW_CREDITS: Final = 10.0  # of CPU: with none left a burstable instance is slow, a t2.micro at a tenth of a CPU
CREDITS_BACK: Final = timedelta(minutes=30)
TOO_OLD: Final = frozenset({"stale", "future"})
OF_THE_HOST: Final = frozenset({"deploy", "rollback"})  # the host tells those itself
DRIFTED: Final = "DRIFTED"
NEVER: Final = "NOT_CHECKED"


@dataclass(frozen=True, slots=True)
class Asked:
    """How each is asked; each may raise KpiOpsError. None: there is nothing to ask.

    `manifest`: what is published; `uptime`: the report on the record here; `changes`: the newest lines of history;
    `drift`: CloudFormation's word on the stack and when it looked; `credits`: of the host's CPU.
    """

    manifest: Callable[[], Manifest] | None
    uptime: Callable[[], Report] | None
    changes: Callable[[], Sequence[Change]] | None
    drift: Callable[[], tuple[str, datetime | None]] | None
    credits: Callable[[], float | None] | None


@dataclass(frozen=True, slots=True)
class Line:
    """Something that one may want to know. `wrong` is to be mended; `values` are its plain facts, for programs."""

    name: str
    told: str
    wrong: str = ""
    values: Any = None


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Made when it is first asked for; whoever asks meanwhile waits, and has the same one."""
    made: list[T] = []
    making = threading.Lock()

    def ask() -> T:
        with making:
            if not made:
                made.append(make())
            return made[0]

    return ask


def published(reader: SnapshotReader) -> Manifest:
    """What is published now. Raises StoreError."""
    current = reader.current()
    if current is None:
        raise NothingPublished("nothing is published", expected="a snapshot", to_do="`fab etl-sync`")
    return current.manifest


def look(asked: Asked, limit_s: float = LIMIT_S) -> Mapping[str, Any]:
    """What each source told, asked side by side."""
    sources = {name: getattr(asked, name) for name in ("manifest", "uptime", "changes", "drift", "credits")}
    return gather({name: Source(ask, limit_s) for name, ask in sources.items() if ask is not None})


def lines(seen: Mapping[str, Any], settings: Settings, now: datetime) -> list[Line]:
    """What was seen, a line each; what could not be asked says why."""
    told: list[Line] = []
    makers: Mapping[str, Callable[[Any], Sequence[Line]]] = {
        "manifest": lambda manifest: _data(manifest, settings, now),
        "uptime": _uptime,
        "changes": _changes,
        "drift": _drift,
        "credits": _credits,
    }
    names = {"manifest": "published", "uptime": "uptime", "changes": "history", "drift": "drift", "credits": "credits"}
    for source, make in makers.items():
        answer = seen.get(source)
        if isinstance(answer, KpiOpsError):
            told.append(Line(names[source], f"cannot tell: {plain(answer.seen)}"))
        elif isinstance(answer, Late | Bug):
            told.append(Line(names[source], f"cannot tell: {_why(answer)}"))
        elif answer is not None:
            told += make(answer)
    return told


def _why(answer: Late | Bug) -> str:
    return f"no answer within {answer.limit_s:g} s" if isinstance(answer, Late) else f"our fault: {plain(answer.words)}"


def _data(manifest: Manifest, settings: Settings, now: datetime) -> Sequence[Line]:
    found = judge(manifest, now, settings.freshness)
    stale = f"what is published is {found.text}: see `fab freshness`" if found.verdict in TOO_OLD else ""
    values = {
        "run_id": manifest.run_id,
        "published_by": manifest.published_by,
        "generated": found.generated.verdict,
        "data": found.data.verdict,
        "data_through": manifest.data_through.isoformat(),
    }
    who = f", by {plain(manifest.published_by)}" if manifest.published_by else ""
    return [Line("published", f"{manifest.run_id}{who}; {found.text}", stale, values)]


def _uptime(report: Report) -> Sequence[Line]:
    return [line for name, target in report.targets.items() for line in _target(name, target)]


def _target(name: str, target: TargetReport) -> Sequence[Line]:
    shares = ", ".join(f"{window}: {_window(target, window)}" for window in ("24h", "30d"))
    since = f" since {moment(target.since)}" if target.since else ""
    values = {"target": name, "status": target.status, "uptime": {w: _values(target, w) for w in ("24h", "30d")}}
    wrong = f"{name} is {target.status}{since}: see uptime.md" if target.status == "down" else ""
    running = [one for one in target.incidents if one.first_good is None]
    found = [Line("uptime", f"{name}: {target.status}{since}; {shares}", wrong, values)]
    for one in running:
        began = moment(one.start)
        why = f": {plain(one.reason)}" if one.reason else ""
        found.append(Line("incident", f"{name}, goes on since {began}{why}", values={"target": name, "start": began}))
    return found


def _window(target: TargetReport, name: str) -> str:
    window = target.windows[name]
    if window.uptime is None:
        return "nobody looked"
    return f"{float(window.uptime):.2%} of the {float(window.coverage or 0):.0%} that was seen"


def _values(target: TargetReport, name: str) -> Mapping[str, float | None]:
    window = target.windows[name]
    return {
        "uptime": None if window.uptime is None else float(window.uptime),
        "coverage": None if window.coverage is None else float(window.coverage),
    }


def _changes(changes: Sequence[Change]) -> Sequence[Line]:
    return [
        Line(
            "history",
            f"{change.at} {plain(change.what)} {plain(change.to or change.origin)}, {plain(change.outcome)}, "
            f"by {plain(change.who)}",
            values=asdict(change),
        )
        for change in [one for one in changes if one.what not in OF_THE_HOST][:SHOWN_CHANGES]
    ]


def _drift(found: tuple[str, datetime | None]) -> Sequence[Line]:
    word, at = found
    when = f", looked at {moment(at)}" if at else ""
    wrong = "the stack is not as it was made: `fab drift` tells what differs" if word == DRIFTED else ""
    told = "nobody has looked: fab drift" if word == NEVER else f"{word.lower().replace('_', ' ')}{when}"
    return [Line("drift", told, wrong, {"status": word, "at": moment(at) if at else None})]


def _credits(left: float) -> Sequence[Line]:
    few = left < FEW_CREDITS
    wrong = f"{left:.0f} CPU credits are left: at 0 the host is slow" if few else ""
    return [Line("credits", f"{left:.0f} of CPU", wrong, left)]


def as_text(found: Sequence[Line]) -> str:
    """What is wrong first, then a line each."""
    wrong = [f"{'wrong':<10} {line.wrong}" for line in found if line.wrong]
    return "\n".join([*wrong, *(f"{line.name:<10} {line.told}" for line in found)])


def as_values(found: Sequence[Line]) -> dict[str, Any]:
    """For the JSON document: `problems`, and the lines by their names."""
    by_name: dict[str, list[Any]] = {}
    for line in found:
        by_name.setdefault(line.name, []).append(line.values if line.values is not None else line.told)
    return {"problems": [line.wrong for line in found if line.wrong], "around": json.loads(json.dumps(by_name))}
