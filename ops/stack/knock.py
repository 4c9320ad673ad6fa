"""`fab uptime-check --knock`: the door open for as long as the targets are looked at.

A door that cannot be opened stops no check: the other targets are looked at, and what stands behind the door is not
called down, for nobody could have seen it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from etl.errors import StackError
from ops.cloud.door import Ec2, group_named
from ops.settings import Settings
from ops.stack.door import HTTPS_PORT, opened, wanted


@dataclass(frozen=True, slots=True)
class Knock:
    """What a check asks of the door. `warnings`: lines for the report, where the door could not be opened."""

    settings: Settings
    held: Callable[[], bool]
    warnings: tuple[str, ...] = ()

    def kept_out(self, url: str) -> bool:
        """Whether what stands at `url` could not be seen: it is behind the door, and the door is not open.

        To be asked of a target that seems down, while the door should be open.
        """
        return behind(url, self.settings) and not self.held()


def behind(url: str, settings: Settings) -> bool:
    """Whether the door is the way to `url`: our domain by HTTPS, or else the dashboard's port anywhere."""
    parts = urlsplit(url)
    if settings.host.domain:
        return parts.scheme == "https" and parts.hostname == settings.host.domain.lower() and _port(url) == HTTPS_PORT
    return _port(url) == settings.dashboard.port


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    try:
        return parts.port or {"http": 80, "https": HTTPS_PORT}.get(parts.scheme)
    except ValueError:
        return None


@contextmanager
def knocked(
    settings: Settings, *, now: datetime, tag: str, client: Callable[[], Ec2], address: Callable[[], str]
) -> Iterator[Knock]:
    """Open the door for the length of the block. Raises StackError at its end where it cannot be closed, never before.

    `tag` is this run's own; `client` and `address` (our own, as text from outside) may raise StackError.
    """
    with ExitStack() as closing:
        try:
            door = wanted(settings, address(), tag, now)
            group = group_named(settings.stack.security_group, settings.stack.name, client())
            held = closing.enter_context(opened(group, door, now)).held
            warnings: tuple[str, ...] = ()
        except StackError as error:
            held, warnings = _never, (f"the door could not be opened: {error.seen}; {error.to_do}",)
        yield Knock(settings, held, warnings)


def _never() -> bool:
    return False
