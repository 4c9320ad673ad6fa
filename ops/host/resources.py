"""What a host should have, as values; what is done about a difference is decided in ops/host/plan.py. Pure.

Resources are looked at in the order in which they are listed. A reaction runs when a resource before it that names it
in `then` was changed, and also when an earlier run was interrupted between the change and the reaction.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

Argv: TypeAlias = tuple[str, ...]

CANDIDATE: Final = "{}"  # stands in a `check` for the file that is about to be put in place


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the distribution. All of them are installed in one go, where the first one stands."""

    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A system user of its own group, without a home, who cannot log in; `groups`: what it belongs to besides."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory; a link to one will do."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class File:
    """A file with this content.

    `check` is a command that refuses a bad candidate by a status other than 0; CANDIDATE in it is the file's name.
    """

    path: str
    content: str | bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    check: Argv = ()
    then: tuple[str, ...] = ()

    @property
    def data(self) -> bytes:
        """The content as it lies on the disk."""
        return self.content.encode() if isinstance(self.content, str) else self.content


@dataclass(frozen=True, slots=True)
class Tree:
    """Files of one kind that only go together: all are put in place at once, and no others of the kind lie there.

    `path` is the directory that holds all of them, and `suffix` the end of their names; it is changed only while no
    step of kpi-host runs.
    """

    path: str
    files: tuple[File, ...]
    suffix: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that a person writes: made empty where it is missing, and its content neither read nor changed."""

    path: str
    mode: int = 0o600
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    path: str
    target: str
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Absent:
    """No file there."""

    path: str
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of systemd: started at boot or not, running or not. None: either will do.

    A unit whose conditions do not hold on this host (no time is set in a container) is not asked to run.
    """

    name: str
    enabled: bool | None = True
    active: bool | None = True


@dataclass(frozen=True, slots=True)
class Command:
    """Whatever is no file: `argv` is run, with `stdin`, unless the command `unless`, which only looks, ends with 0."""

    summary: str
    argv: Argv
    unless: Argv
    stdin: bytes = b""
    timeout_s: float = 600
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reaction:
    """Commands, run one after another, that make changes known to what is running; `now`: in any case."""

    name: str
    summary: str
    commands: tuple[Argv, ...]
    now: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should know, and that is nothing to do."""

    text: str


@dataclass(frozen=True, slots=True)
class Door:
    """A file on which the next login depends.

    It is kept only after `proof` ended with 0 and a new connection was made; else what was there before is put back,
    by the host itself where nobody is left to do it. `reload` makes the file count.
    """

    file: File
    proof: Argv
    reload: Argv


Resource: TypeAlias = (
    Package | User | Directory | File | Tree | Kept | Link | Absent | Unit | Command | Reaction | Note | Door
)
# What a changed unit file needs; name RELOADED in `then`, and list RELOAD before the units that are started.
RELOADED: Final = "daemon-reload"
RELOAD: Final = Reaction(RELOADED, "tell systemd of its changed units", (("systemctl", "daemon-reload"),))
