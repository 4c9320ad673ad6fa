"""What a deploy or a rollback is made with: the connection, the settings, the clock, and where lines are told."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

from ops.audit.change import Draft
from ops.host.remote import Remote
from ops.settings import Settings

Told = AbstractContextManager[Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Bars:
    """How far a long step is: in bytes of so many, or in hundredths. What is told is what has come since."""

    in_bytes: Callable[[str, int], Told]
    in_hundredths: Callable[[str], Told]


@dataclass(frozen=True, slots=True)
class Desk:
    """`clock` gives seconds and only grows. `change` hears what is changed, for the record."""

    remote: Remote
    settings: Settings
    who: str
    now: Callable[[], datetime]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    stream: TextIO
    bars: Bars
    change: Draft = field(default_factory=Draft)

    def tell(self, text: str) -> None:
        """Lines for a person."""
        print(text, file=self.stream, flush=True)
