"""Which release this process is, and where its files lie, as its systemd unit says. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RELEASE_VARIABLE: Final = "KPI_RELEASE"
CURRENT_VARIABLE: Final = "KPI_CURRENT"  # set by the unit, and by nobody else
PUBLIC_FD: Final = 3  # as systemd passes the first socket


@dataclass(frozen=True, slots=True)
class Instance:
    """`home`: the release's own directory; `current`: the link that names the one that serves; `run`: RUN/ID.

    `watchdog_s`: how often systemd wants to hear that all is well, None where it does not ask.
    """

    release: str
    home: Path
    run: Path
    current: Path
    notify_socket: str | None
    watchdog_s: float | None
    sockets: int
    sockets_for: int | None

    @property
    def private_socket(self) -> Path:
        """Where this process answers before, and beside, the public port."""
        return self.run / "http.sock"

    @property
    def tried(self) -> Path:
        """Made by the unit before each start, removed once serving: what is left says where a start failed."""
        return self.run / "tried"

    @property
    def at_once(self) -> Path:
        """Made by who cannot wait for sessions to end: memory is too short for two releases."""
        return self.run / "at-once"

    def is_current(self) -> bool:
        """Whether this is the release that serves, not one that is tried; an alias of it is it."""
        try:
            return self.current.samefile(self.home)
        except OSError:
            return False


def is_release(environ: Mapping[str, str]) -> bool:
    """Whether it was a release's unit that started this process."""
    return CURRENT_VARIABLE in environ


def instance_of(environ: Mapping[str, str], home: Path) -> Instance:
    """The instance that the unit's variables describe."""
    watchdog_us = int(environ.get("WATCHDOG_USEC", "0"))
    sockets_for = environ.get("LISTEN_PID", "")
    return Instance(
        release=_release(environ.get(RELEASE_VARIABLE, "dev"), home),
        home=home,
        run=Path(environ.get("RUNTIME_DIRECTORY", "/nonexistent")),
        current=Path(environ[CURRENT_VARIABLE]),
        notify_socket=environ.get("NOTIFY_SOCKET"),
        watchdog_s=watchdog_us / 1e6 if watchdog_us else None,
        sockets=int(environ.get("LISTEN_FDS", "0")),
        sockets_for=int(sockets_for) if sockets_for.isdecimal() else None,
    )


def _release(instance: str, home: Path) -> str:
    """The release that an instance runs: an alias, which a rollback makes, is called RELEASE.NUMBER."""
    return home.name if instance.startswith(f"{home.name}.") else instance
