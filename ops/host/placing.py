"""What a deploy brings to the host beside its release, where it differs: kpi-host, variables and units.

The socket is none of it: opening the port anew cuts everybody off, which is `fab bootstrap`'s to do and to say.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.host.carrying import Carrier
from ops.host.desk import Desk
from ops.host.facts import Facts, gather, question
from ops.host.plan import Step, compare
from ops.host.remote import Remote
from ops.host.resources import RELOAD, RELOADED, Absent, File, Resource, Tree
from ops.host.units import units
from ops.host.wanted import tool, variables
from ops.onhost import digest, layout
from ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Placing:
    """What differs on a host. `tool`: steps for kpi-host, which come first; `rest`: for what a release runs in.

    `differing`: the paths of all of it, and of the socket's unit where `socket` is true.
    """

    facts: Facts
    files: tuple[File, ...]
    tool: tuple[Step, ...]
    rest: tuple[Step, ...]
    differing: tuple[str, ...]
    socket: bool


def lies_there(settings: Settings, host: Mapping[str, Any]) -> bool:
    """Whether all of it lies there as it should, by what `kpi-host status` says: a quick yes, or look closer."""
    said = host.get("files", {})
    wanted = {file.path: _in_one_word(file) for file in _files(settings)}
    strays = {path for path in said if path.startswith(f"{layout.TOOL}/")} - set(wanted)
    return host.get("due") == [] and not strays and all(said.get(path) == word for path, word in wanted.items())


def _in_one_word(file: File) -> str:
    """As the host says it of a file of root's."""
    return digest.placed(file.data, file.mode, 0, 0)


def _files(settings: Settings) -> Iterator[File]:
    for resource in tool():
        yield from resource.files if isinstance(resource, Tree) else (resource,)
    yield variables(settings.host)
    yield from (File(str(layout.UNITS / name), text) for name, text in units(settings).items())


def compared(remote: Remote, settings: Settings) -> Placing:
    """Look at the host and compare. Raises HostError."""
    files = (variables(settings.host), *_units(settings))
    socket = File(str(layout.UNITS / layout.SOCKET_UNIT), units(settings)[layout.SOCKET_UNIT])
    wanted: tuple[Resource, ...] = (*tool(), *files, RELOAD, socket)
    facts = gather(remote, question(wanted, ports=(), disk=str(layout.HOME)))
    steps = compare(tool(), facts).steps
    differing = [file.path for file in (*files, socket) if compare([file], facts).steps]
    return Placing(
        facts=facts,
        files=files,
        tool=steps,
        rest=compare((*files, RELOAD), facts).steps,
        differing=(*([str(layout.TOOL)] if steps else []), *differing),
        socket=socket.path in differing,
    )


def _units(settings: Settings) -> Iterator[File]:
    for name, text in sorted(units(settings).items()):
        if name != layout.SOCKET_UNIT:
            yield File(str(layout.UNITS / name), text, then=(RELOADED,))


def place(desk: Desk, steps: tuple[Step, ...]) -> str:
    """Bring what differs; what was done, in a few words. Raises HostError."""
    Carrier(desk.remote, desk.who, lambda _: None, len(steps), locks=False).carry(steps)
    return ", ".join(step.summary for step in steps)


def put_back(desk: Desk, placing: Placing) -> None:
    """Bring back what was there before, because the release for which it was changed does not serve."""
    before = tuple(_before(placing, file) for file in placing.files)
    wanted = (*before, RELOAD)
    facts = gather(desk.remote, question(wanted, ports=(), disk=str(layout.HOME)))
    place(desk, compare(wanted, facts).steps)


def _before(placing: Placing, file: File) -> Resource:
    found = placing.facts.paths[file.path]
    if found is None or found.content is None:
        return Absent(file.path, then=file.then)
    return File(file.path, found.content, found.mode, found.owner, found.group, then=file.then)
