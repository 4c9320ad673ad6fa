"""Ask all sources side by side, each for so long and no longer."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from etl.errors import KpiOpsError
from ops.doctor.check import Bug, Late


@dataclass(frozen=True, slots=True)
class Source:
    """Where something is asked. `ask` raises KpiOpsError; what it has not told after `limit_s` is not waited for."""

    ask: Callable[[], Any]
    limit_s: float


def gather(sources: Mapping[str, Source], clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """What each source told: its answer, its KpiOpsError, Late or Bug.

    Threads of daemons: one that hangs keeps nobody from leaving.
    """
    began_s = clock()
    told: dict[str, Any] = {}
    threads = {
        name: threading.Thread(target=_ask, args=(name, source, told), daemon=True) for name, source in sources.items()
    }
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, began_s + sources[name].limit_s - clock()))
    answered = dict(told)  # who answers from here on is late
    return {name: answered.get(name, Late(source.limit_s)) for name, source in sources.items()}


def _ask(name: str, source: Source, told: dict[str, Any]) -> None:
    try:
        told[name] = source.ask()
    except KpiOpsError as error:
        told[name] = error
    except Exception as error:  # noqa: BLE001 - a doctor who falls over one patient helps none of the others
        told[name] = Bug(f"{type(error).__name__}: {error}")
