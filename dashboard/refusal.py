"""How a release that must not serve ends: its reason goes to the journal, and systemd learns whether to try again.

It ends at once and by force, for a script that hangs would keep an orderly exit from ever coming. Little is imported
here: it has to work where nothing else can be imported.
"""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from dashboard.faults import fault_of
from dashboard.instance import Instance
from dashboard.systemd import Priority, journal, notify

CANDIDATE_REFUSED: Final = 78  # the unit does not start it again
CURRENT_IN_TROUBLE: Final = 75  # the unit starts it again: there is nothing better to serve
LONGEST_STATUS: Final = 200
LONGEST_LINE: Final = 1000  # of a message of megabytes the journal would make hundreds of entries


def refuse(instance: Instance, reason: str) -> NoReturn:
    """End this process for a reason whose first line says it all."""
    first, *more = map(_short, reason.strip().splitlines() or ["no reason is known"])
    journal(Priority.ERROR, "\n".join([f"REFUSED: {first}", *more]))
    notify(instance.notify_socket, f"STATUS=refused: {first}")
    sys.stderr.flush()
    os._exit(CURRENT_IN_TROUBLE if instance.is_current() else CANDIDATE_REFUSED)


def _short(line: str) -> str:
    """A line whose beginning and end are kept: the place of a fault stands at the end."""
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


def reason_of(error: BaseException, home: Path) -> str:
    """A reason made of an exception: in its own words where it is a message for people, else with its traceback."""
    from etl.errors import KpiOpsError  # if this is what cannot be imported, its traceback is the reason

    if isinstance(error, KpiOpsError):
        return str(error)
    fault = fault_of(error, home)
    return f"it cannot start: {fault}\n{fault.trace}"
