"""What must be done so that a host has what it should: resources beside facts give steps in their order. Pure."""

import base64
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from etl.errors import HostError
from ops.host.facts import Facts, Found, UnitState
from ops.host.resources import (
    Absent,
    Command,
    Directory,
    Door,
    File,
    Kept,
    Link,
    Note,
    Package,
    Reaction,
    Resource,
    Tree,
    Unit,
    User,
)

NOLOGIN: Final = "/usr/sbin/nologin"
NO_HOME: Final = "/nonexistent"
APT: Final = (
    "apt-get",
    "-y",
    "--no-install-recommends",
    "-o",
    "DPkg::Lock::Timeout=120",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
)
INSTALL_S: Final = 1800.0
DOOR: Final = "door"  # what is due while a change of the login was not proven

Action = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `actions` are as ops/host/carry.py does them; `due`: the reactions that it makes necessary.

    `undo` is done where one of the actions fails.
    """

    summary: str
    actions: tuple[Action, ...]
    diff: str = ""
    due: tuple[str, ...] = ()
    door: Door | None = None
    undo: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps that are necessary, and what a person should know besides."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> str:
        """How many changes, in words."""
        return "1 change" if len(self.steps) == 1 else f"{len(self.steps)} changes"

    @property
    def text(self) -> str:
        """As a person reads it: notes, diffs and steps, and how many."""
        notes = [f"note: {note}" for note in self.notes]
        if not self.steps:
            return "\n".join([*notes, "nothing to do: the host is as it should be"])
        steps = [line for number, step in enumerate(self.steps, 1) for line in _shown(number, step)]
        return "\n".join([*notes, *steps, f"{self.count} to make"])


def _shown(number: int, step: Step) -> Iterator[str]:
    yield f"{number:>3}. {step.summary}"
    yield from (f"     {line}" for line in step.diff.splitlines())


def compare(resources: Iterable[Resource], facts: Facts) -> Plan:
    """Compare. Raises HostError where something else lies in the place of a file or a directory."""
    listed = tuple(resources)
    due = set(facts.due)
    steps: list[Step] = []
    for resource in listed:
        for step in _steps(resource, listed, facts, due):
            steps.append(step)
            due.update(step.due)
    return Plan(tuple(steps), tuple(note.text for note in listed if isinstance(note, Note)) + _idle(listed, facts))


def _steps(resource: Resource, listed: tuple[Resource, ...], facts: Facts, due: set[str]) -> Iterator[Step]:  # noqa: C901, PLR0912 - one line for each kind
    match resource:
        case Package():
            yield from _packages(resource, listed, facts)
        case User():
            yield from _user(resource, facts)
        case Directory():
            yield from _directory(resource, facts)
        case File():
            yield from _file(resource, facts)
        case Tree():
            yield from _tree(resource, facts)
        case Kept():
            yield from _kept(resource, facts)
        case Link():
            yield from _link(resource, facts)
        case Absent():
            yield from _absent(resource, facts)
        case Command():
            yield from _command(resource, facts)
        case Unit():
            yield from _unit(resource, facts.units[resource.name])
        case Reaction():
            yield from _reaction(resource, facts, due)
        case Door():
            yield from _door(resource, facts)
        case Note():
            pass


def run(*argv: str, stdin: bytes = b"", timeout_s: float = 600, must: bool = True) -> Action:
    """The action that runs a command; with `must` it has to end with 0."""
    return {
        "do": "run",
        "argv": list(argv),
        "stdin": base64.b64encode(stdin).decode(),
        "timeout_s": timeout_s,
        "must": must,
    }


def write(*files: File, only: dict[str, str] | None = None) -> Action:
    """The action that puts files in place at once; `only`: the directory and suffix of which no others are left."""
    return {"do": "write", "files": [_as_sent(file) for file in files], "only": only}


def remove(path: str) -> Action:
    """The action that removes a file."""
    return {"do": "remove", "path": path}


def settled(reaction: str) -> Action:
    """The action that crosses out what was due."""
    return {"do": "settled", "name": reaction}


# --- packages and users


def _packages(first: Package, listed: tuple[Resource, ...], facts: Facts) -> Iterator[Step]:
    wanted = [resource.name for resource in listed if isinstance(resource, Package)]
    missing = sorted({name for name in wanted if facts.version(name) is None})
    if missing and wanted[0] == first.name:
        wait: Action = {"do": "wait"}
        yield Step(
            f"install {', '.join(missing)}",
            (
                wait,
                run("dpkg", "--configure", "-a", "--force-confdef", "--force-confold", timeout_s=INSTALL_S),
                run("apt-get", "update", "-q", timeout_s=INSTALL_S),
                wait,
                run(*APT, "install", *missing, timeout_s=INSTALL_S),
            ),
        )


def _user(user: User, facts: Facts) -> Iterator[Step]:
    found = facts.users.get(user.name)
    if found is None:
        group = ("--gid", user.name) if user.name in facts.groups else ("--user-group",)
        words = ("--system", *group, "--no-create-home", "--home-dir", NO_HOME, "--shell", NOLOGIN, user.name)
        yield Step(f"add the user {user.name}, who cannot log in", (run("useradd", *words),))
    elif (found.shell, found.home) != (NOLOGIN, NO_HOME):
        words = ("--shell", NOLOGIN, "--home", NO_HOME, user.name)
        yield Step(f"take shell and home from the user {user.name}", (run("usermod", *words),))
    for group_name in user.groups:
        if user.name not in facts.groups.get(group_name, ()):
            add = run("usermod", "--append", "--groups", group_name, user.name)
            yield Step(f"add the user {user.name} to the group {group_name}", (add,))


# --- what lies in the file system


def _directory(wanted: Directory, facts: Facts) -> Iterator[Step]:
    found = _seen(facts, wanted.path, "directory")
    action: Action = {"do": "directory", "path": wanted.path, **_rights(wanted)}
    if found is None:
        yield Step(f"make {wanted.path}/ ({_rights_text(wanted)})", (action,))
    elif _rights_of(found) != _rights(wanted):
        yield Step(f"give {wanted.path}/ its rights", (action,), _rights_diff(found, wanted))


def _file(wanted: File, facts: Facts) -> Iterator[Step]:
    found = _seen(facts, wanted.path, "file")
    if _differs(found, wanted):
        verb = "write" if found is None else "change"
        summary = f"{verb} {wanted.path} ({_rights_text(wanted)})"
        yield Step(summary, (write(wanted),), _diff(found, wanted), wanted.then)


def _tree(tree: Tree, facts: Facts) -> Iterator[Step]:
    seen = {file.path: _seen(facts, file.path, "file") for file in tree.files}
    changed = [file for file in tree.files if _differs(seen[file.path], file)]
    directory = facts.paths[tree.path]
    known = {file.path for file in tree.files}
    found = [f"{tree.path}/{name}" for name in (directory.names if directory else ()) if name.endswith(tree.suffix)]
    strays = [path for path in found if path not in known]
    if changed or strays:
        only = {"directory": tree.path, "suffix": tree.suffix}
        told = [*map(_in_short, changed)] if directory is None else [_diff(seen[file.path], file) for file in changed]
        text = "\n".join([*told, *(f"remove {path}" for path in strays)])
        count = f"{len(changed)} of {len(tree.files)} files"
        yield Step(f"change {tree.path}/ ({count})", (write(*tree.files, only=only),), text)


def _in_short(file: File) -> str:
    return f"{file.path} (new, {len(file.data.splitlines())} lines)"


def _kept(wanted: Kept, facts: Facts) -> Iterator[Step]:
    found = _seen(facts, wanted.path, "file")
    action: Action = {"do": "keep", "path": wanted.path, **_rights(wanted)}
    if found is None:
        yield Step(f"make {wanted.path}, empty ({_rights_text(wanted)})", (action,))
    elif found.kind == "file" and _rights_of(found) != _rights(wanted):  # a link is as good: a person made it
        yield Step(f"give {wanted.path} its rights", (action,), _rights_diff(found, wanted))


def _link(wanted: Link, facts: Facts) -> Iterator[Step]:
    found = facts.paths[wanted.path]
    if found is None or found.target != wanted.target:
        action: Action = {"do": "link", "path": wanted.path, "target": wanted.target}
        yield Step(f"link {wanted.path} to {wanted.target}", (action,), due=wanted.then)


def _absent(wanted: Absent, facts: Facts) -> Iterator[Step]:
    if facts.paths[wanted.path] is not None:
        yield Step(f"remove {wanted.path}", (remove(wanted.path),), due=wanted.then)


def _seen(facts: Facts, path: str, kind: str) -> Found | None:
    """What lies there, where it is of the kind; a link in the place of a file is written over."""
    found = facts.paths[path]
    if found is None or found.kind == kind or (kind == "file" and found.kind == "link"):
        return found
    raise HostError(
        f"{path} on the host is of the kind: {found.kind}",
        expected=f"a {kind}, or nothing",
        to_do="see what it is, move it away, then `fab bootstrap` again; nothing was changed",
    )


def _differs(found: Found | None, wanted: File) -> bool:
    return found is None or found.content != wanted.data or _rights_of(found) != _rights(wanted)


def _as_sent(file: File) -> dict[str, Any]:
    content = base64.b64encode(file.data).decode()
    return {"path": file.path, "content": content, "check": list(file.check), **_rights(file)}


def _rights(wanted: File | Directory | Kept) -> dict[str, Any]:
    return {"mode": wanted.mode, "owner": wanted.owner, "group": wanted.group}


def _rights_of(found: Found) -> dict[str, Any]:
    return {"mode": found.mode, "owner": found.owner, "group": found.group}


def _rights_text(thing: File | Directory | Kept | Found) -> str:
    return f"{thing.mode:04o} {thing.owner}:{thing.group}"


def _rights_diff(found: Found, wanted: File | Directory | Kept) -> str:
    return f"-{_rights_text(found)}\n+{_rights_text(wanted)}"


def _diff(found: Found | None, wanted: File) -> str:
    """A unified diff of content, and a line each for rights before and after."""
    before, after = _text(found.content if found else b""), _text(wanted.data)
    if before is None or after is None:
        return f"content differs: {found.size if found else 0} and {len(wanted.data)} bytes, not text"
    names = (wanted.path if found else "/dev/null", wanted.path)
    lines = list(difflib.unified_diff(before, after, *names, lineterm=""))
    rights = [_rights_diff(found, wanted)] if found and _rights_of(found) != _rights(wanted) else []
    return "\n".join([*rights, *lines])


def _text(content: bytes | None) -> list[str] | None:
    """Lines without their ends; None: it is not text."""
    try:
        return (content or b"").decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return None


# --- commands and units


def _command(wanted: Command, facts: Facts) -> Iterator[Step]:
    if facts.tests[wanted.unless] != 0:
        action = run(*wanted.argv, stdin=wanted.stdin, timeout_s=wanted.timeout_s)
        yield Step(wanted.summary, (action,), due=wanted.then)


def _reaction(wanted: Reaction, facts: Facts, due: set[str]) -> Iterator[Step]:
    if wanted.now or wanted.name in due:
        due.discard(wanted.name)
        left = " (left over from an interrupted run)" if wanted.name in facts.due else ""
        yield Step(wanted.summary + left, (*(run(*argv) for argv in wanted.commands), settled(wanted.name)))


def _unit(wanted: Unit, found: UnitState) -> Iterator[Step]:
    enabled = found.enabled in {"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"}
    if wanted.enabled and not enabled:
        yield Step(f"let {wanted.name} start at boot", (run("systemctl", "enable", "--quiet", wanted.name),))
    elif wanted.enabled is False and found.enabled == "enabled":
        yield Step(f"let {wanted.name} not start at boot", (run("systemctl", "disable", "--quiet", wanted.name),))
    if wanted.active and not _runs(found) and not found.conditions_fail:
        yield Step(f"start {wanted.name}", (run("systemctl", "start", wanted.name),))
    elif wanted.active is False and _runs(found):
        yield Step(f"stop {wanted.name}", (run("systemctl", "stop", wanted.name),))


def _runs(found: UnitState) -> bool:
    return found.active in {"active", "activating", "reloading"}


def _idle(listed: tuple[Resource, ...], facts: Facts) -> tuple[str, ...]:
    """Units that should run, and whose own conditions forbid it on this host."""
    units = [resource.name for resource in listed if isinstance(resource, Unit) and resource.active]
    idle = [name for name in units if facts.units[name].conditions_fail and not _runs(facts.units[name])]
    return tuple(f"{name} does not run here: its own conditions do not hold (systemctl status {name})" for name in idle)


# --- the door


def _door(door: Door, facts: Facts) -> Iterator[Step]:
    found = _seen(facts, door.file.path, "file")
    if _differs(found, door.file) or DOOR in facts.due:
        left = " (not proven by an interrupted run)" if DOOR in facts.due else ""
        yield Step(
            f"change {door.file.path} ({_rights_text(door.file)}), proven by a new login{left}",
            (write(door.file),),
            _diff(found, door.file),
            (DOOR,),
            door,
        )
