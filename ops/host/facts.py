"""What is there on a host, as values: asked for by name, answered in one round trip by ops/host/look.py."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from etl.errors import HostError
from ops.host.remote import Done, Remote
from ops.host.resources import (
    Absent,
    Argv,
    Command,
    Directory,
    Door,
    File,
    Kept,
    Link,
    Resource,
    Tree,
    Unit,
)

LOOK: Final = Path(__file__).with_name("look.py")
LOOK_S: Final = 120

Depth = Literal["status", "names", "content"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be looked at. `paths`: how deep; `tests`: commands that only look."""

    paths: Mapping[str, Depth]
    units: frozenset[str]
    tests: frozenset[Argv]
    ports: frozenset[int]
    disk: str

    def beyond(self, asked: "Question") -> "Question | None":
        """What of it was not asked yet; None: everything was."""
        paths = {path: depth for path, depth in self.paths.items() if asked.paths.get(path) != depth}
        more = replace(self, paths=paths, units=self.units - asked.units, tests=self.tests - asked.tests)
        return more if more.paths or more.units or more.tests else None

    def with_more(self, more: "Question") -> "Question":
        """Both."""
        paths = {**self.paths, **more.paths}
        return replace(self, paths=paths, units=self.units | more.units, tests=self.tests | more.tests)


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path. `content` is None where it was not asked for; a link's `target` is as it is written."""

    kind: Literal["file", "directory", "link", "other"]
    mode: int
    owner: str
    group: str
    size: int = 0
    target: str = ""
    content: bytes | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit as systemd sees it; `load` is not-found where there is none."""

    load: str = "not-found"
    active: str = "inactive"
    enabled: str = ""
    conditions_fail: bool = False


@dataclass(frozen=True, slots=True)
class UserFound:
    """A user of the host."""

    home: str
    shell: str
    group: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A host as it is. What was not asked for (see Question) is not in `paths`, `units` and `tests`."""

    distribution: str
    release: str
    name: str
    architecture: str
    python: str
    systemd: int
    booted_by_systemd: bool
    container: str
    login: str
    root_filesystem: str
    free_mb: int
    free_inodes: int
    read_only: bool
    swaps: Mapping[str, int] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, UserFound] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paths: Mapping[str, Found | None] = field(default_factory=dict)
    units: Mapping[str, UnitState] = field(default_factory=dict)
    tests: Mapping[Argv, int] = field(default_factory=dict)
    ports: Mapping[int, str] = field(default_factory=dict)
    instances: tuple[str, ...] = ()
    due: frozenset[str] = frozenset()

    def version(self, package: str) -> str | None:
        """Of an installed package; None: it is not installed."""
        return self.packages.get(package)

    def with_more(self, more: "Facts") -> "Facts":
        """These facts and what was asked for later."""
        return replace(
            more,
            paths={**self.paths, **more.paths},
            units={**self.units, **more.units},
            tests={**self.tests, **more.tests},
        )


# A host that nothing was done to: what is rendered where there is no host to look at.
BLANK: Final = Facts(
    distribution="ubuntu",
    release="24.04",
    name="Ubuntu 24.04 LTS",
    architecture="amd64",
    python="3.12.3",
    systemd=255,
    booted_by_systemd=True,
    container="",
    login="ubuntu",
    root_filesystem="ext4",
    free_mb=6000,
    free_inodes=1_000_000,
    read_only=False,
)


def question(resources: Iterable[Resource], *, ports: Iterable[int], disk: str, there: Iterable[str] = ()) -> Question:
    """What must be known to tell whether these resources are as they should be; `there`: paths to know of besides."""
    paths: dict[str, Depth] = dict.fromkeys(there, "status")
    listed = tuple(resources)
    for resource in listed:
        paths.update(_paths(resource))
    return Question(
        paths,
        units=frozenset(resource.name for resource in listed if isinstance(resource, Unit)),
        tests=frozenset(resource.unless for resource in listed if isinstance(resource, Command)),
        ports=frozenset(ports),
        disk=disk,
    )


def _paths(resource: Resource) -> dict[str, Depth]:
    match resource:
        case File(path=path):
            return {path: "content"}
        case Door(file=file):
            return {file.path: "content"}
        case Tree():
            return {resource.path: "names", **{file.path: "content" for file in resource.files}}
        case Kept(path=path) | Link(path=path) | Directory(path=path) | Absent(path=path):
            return {path: "status"}
        case _:
            return {}


def gather(remote: Remote, asked: Question) -> Facts:
    """Ask a host. Raises HostError where it cannot answer: without Python, or where we may not be root."""
    done = remote.run(["python3", "-I", "-"], stdin=program(LOOK.read_text("utf-8"), _words(asked)), timeout_s=LOOK_S)
    if done.status != 0:
        raise _mute(done)
    return parsed(json.loads(done.out), asked)


def program(source: str, argument: Any) -> bytes:
    """The text of a stand-alone script, and the call of its `main` with a value: what `python3 -` reads."""
    return f"{source}\n\nmain(json.loads({json.dumps(argument)!r}))\n".encode()


def _words(asked: Question) -> dict[str, Any]:
    return {
        "paths": dict(asked.paths),
        "units": sorted(asked.units),
        "tests": sorted(asked.tests),
        "ports": sorted(asked.ports),
        "disk": asked.disk,
    }


def _mute(done: Done) -> HostError:
    said = (done.err.strip() or done.out.strip() or "nothing").splitlines()[-1]
    return HostError(
        f"the host cannot be looked at: {said} (exit status {done.status})",
        expected="python3, and a user who may sudo without a password",
        to_do="choose an image of Ubuntu 24.04 or Debian 12, where both are so; nothing was changed",
    )


def parsed(answer: Mapping[str, Any], asked: Question) -> Facts:
    """The answer of look.py as values."""
    return Facts(
        distribution=answer["distribution"],
        release=answer["release"],
        name=answer["name"],
        architecture=answer["architecture"],
        python=answer["python"],
        systemd=answer["systemd"],
        booted_by_systemd=answer["booted_by_systemd"],
        container=answer["container"],
        login=answer["login"],
        root_filesystem=answer["root_filesystem"],
        free_mb=answer["free_mb"],
        free_inodes=answer["free_inodes"],
        read_only=answer["read_only"],
        swaps=answer["swaps"],
        packages=answer["packages"],
        users={name: UserFound(**user) for name, user in answer["users"].items()},
        groups={name: tuple(members) for name, members in answer["groups"].items()},
        paths={path: _found(found) for path, found in answer["paths"].items()},
        units={name: _unit(unit) for name, unit in answer["units"].items()},
        tests=dict(zip(sorted(asked.tests), answer["tests"], strict=True)),
        ports={int(port): owner for port, owner in answer["ports"].items()},
        instances=tuple(answer["instances"]),
        due=frozenset(answer["due"]),
    )


def _found(found: Mapping[str, Any] | None) -> Found | None:
    if found is None:
        return None
    content = None if found["content"] is None else base64.b64decode(found["content"])
    return Found(**{**found, "content": content, "names": tuple(found["names"])})


def _unit(said: Mapping[str, str]) -> UnitState:
    tried = said.get("ConditionTimestampMonotonic", "0") != "0"
    return UnitState(
        load=said.get("LoadState", "not-found"),
        active=said.get("ActiveState", "inactive"),
        enabled=said.get("UnitFileState", ""),
        conditions_fail=tried and said.get("ConditionResult") == "no",
    )
