"""An end to a start that hangs, whatever it hangs in: first by our own words, last by force.

A page's own limit is asyncio's, and needs the event loop. Where that is blocked a thread speaks up, which needs
Python's lock; where not even that is to be had, faulthandler's own thread in C ends the process.
"""

import faulthandler
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from dashboard.faults import Place, place_of_frame

SPEAK_UP_S: Final = 3  # after the limit
FORCE_S: Final = 8
SYSTEMD_S: Final = 20
_SCRIPT_THREAD: Final = "ScriptRunner"


@dataclass(slots=True)
class Patience:
    """Waits for one step of the start after the other.

    `hung` is called, in a thread of its own, with the step that took too long; `tell` hears of each step as it begins,
    and how many seconds it may take until systemd itself ends the process.
    """

    hung: Callable[[str], None]
    tell: Callable[[str, float], None]
    _timer: threading.Timer | None = field(default=None)

    def expect(self, step: str, within_s: float) -> None:
        """A step begins; what was waited for before is done."""
        self.done()
        self._timer = threading.Timer(within_s + SPEAK_UP_S, self.hung, [step])
        self._timer.daemon = True
        self._timer.start()
        faulthandler.dump_traceback_later(within_s + FORCE_S, exit=True)
        self.tell(step, within_s + SYSTEMD_S)

    def done(self) -> None:
        """All is done that was waited for."""
        if self._timer:
            self._timer.cancel()
        faulthandler.cancel_dump_traceback_later()


def dump_stacks() -> None:
    """Where every thread is, on stderr: for who must find out why one does not come back."""
    faulthandler.dump_traceback(all_threads=True)


def script_place(home: Path) -> Place | None:
    """Where a page's script is just now: the innermost line of ours."""
    place = place_of_frame(_script_frame(sys._current_frames(), threading.enumerate()), home)  # noqa: SLF001 - the one door to other threads' frames
    return place if place and not Path(place.file).is_absolute() else None


def hear_of_dying_scripts(heard: Callable[[BaseException], None]) -> None:
    """Have `heard` told what ended a script's thread: Streamlit hears of no SystemExit, and its page never finishes."""
    usual = threading.excepthook

    def hook(died: threading.ExceptHookArgs) -> None:
        if died.exc_value and died.thread and died.thread.name.startswith(_SCRIPT_THREAD):
            heard(died.exc_value)
        usual(died)

    threading.excepthook = hook


def _script_frame(frames: Mapping[int, FrameType], threads: list[threading.Thread]) -> FrameType | None:
    ours = [thread for thread in threads if thread.name.startswith(_SCRIPT_THREAD)]
    return next((frames[thread.ident] for thread in reversed(ours) if thread.ident and thread.ident in frames), None)
