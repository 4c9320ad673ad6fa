"""One JSON line in the log for each run of a page's script: which, how long, over how many rows, and what it raised."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from dashboard.systemd import Priority, journal

EVENT: Final = "page_run"


def line_of(page: str, seconds: float, rows: int, run_id: str, error: BaseException | None) -> str:
    """The line. Nothing of who asks, or for what: the address holds what a person chose, so it is not in it."""
    facts: dict[str, Any] = {
        "event": EVENT,
        "page": page,
        "ms": math.ceil(seconds * 1000),
        "rows": rows,
        "run_id": run_id,
        "error": type(error).__name__ if error else None,
    }
    return json.dumps(facts)


@contextmanager
def logged(
    page: str,
    rows: int,
    run_id: str,
    *,
    clock_s: Callable[[], float] = time.perf_counter,
    tell: Callable[[Priority, str], None] = journal,
) -> Iterator[None]:
    """Log a run that ends or raises; one that Streamlit leaves to begin anew is none."""
    began_s = clock_s()
    try:
        yield
    except Exception as error:
        tell(Priority.WARNING, line_of(page, clock_s() - began_s, rows, run_id, error))
        raise
    tell(Priority.INFO, line_of(page, clock_s() - began_s, rows, run_id, None))
