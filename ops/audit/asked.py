"""Bucket and host asked side by side for what was changed; one that does not answer is named."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from etl.errors import ExitCode, KpiOpsError
from ops.audit.change import Change
from ops.audit.timeline import of_host, timeline

LOOKED_THROUGH: Final = 500  # lines, where only one kind of change is wanted


@dataclass(frozen=True, slots=True)
class Sources:
    """`bucket`: count -> its newest lines, None where nothing is kept there; `host`: the lines of `kpi-host status`."""

    bucket: Callable[[int], list[Change]] | None
    host: Callable[[], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Answered:
    """`changes`: the newest first. `not_asked`: a line for each source that did not answer."""

    changes: Sequence[Change]
    not_asked: Sequence[str]
    exit_code: ExitCode


def asked(sources: Sources, count: int, what: str = "") -> Answered:
    """The newest changes, of one kind where `what` names it. COULD_NOT where no source answered."""
    wanted = max(count, LOOKED_THROUGH) if what else count
    bucket_of = sources.bucket
    with ThreadPoolExecutor(2) as beside:
        waiting: dict[str, Future[list[Change]]] = {"the host": beside.submit(lambda: of_host(sources.host()))}
        if bucket_of is not None:
            waiting["the bucket"] = beside.submit(lambda: bucket_of(wanted))
    found: dict[str, list[Change]] = {}
    not_asked = []
    for source, future in waiting.items():
        try:
            found[source] = future.result()
        except KpiOpsError as error:
            not_asked.append(f"{source}: {error.seen}")
    changes = timeline(found.get("the bucket", []), found.get("the host", []), wanted)
    kept = [change for change in changes if not what or change.what == what][:count]
    return Answered(kept, not_asked, ExitCode.GOOD if found else ExitCode.COULD_NOT)
