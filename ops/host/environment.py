"""The packages of a release on the host: from an index there, or from wheels that are sent along."""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.errors import HostError
from ops.host.desk import Desk
from ops.host.sending import CHUNK_BYTES
from ops.host.tool import Answer, ask
from ops.onhost import layout

INSTALL_S = 1800  # the first time, on a machine that has spent its CPU credits


def install(desk: Desk, release: str, wheels: Path | None) -> Answer:
    """Make or find the environment of a release; not good where its lock cannot be installed. Raises HostError."""
    words = _from_wheels(desk, wheels) if wheels else _from_index(desk)
    with desk.bars.in_hundredths("installing") as more:
        return ask(desk.remote, "environment", release, *words, on_event=Percent(more).heard, timeout_s=INSTALL_S)


@dataclass(slots=True)
class Percent:
    """Turns `done` of `of` into hundredths for a bar."""

    more: Callable[[int], None]
    shown: int = 0

    def heard(self, event: dict[str, Any]) -> None:
        """One event of kpi-host."""
        if event.get("of"):
            percent = 100 * int(event["done"]) // int(event["of"])
            self.more(percent - self.shown)
            self.shown = percent


def _from_index(desk: Desk) -> list[str]:
    index = desk.settings.host.package_index
    return ["--index", index] if index else []


def _from_wheels(desk: Desk, directory: Path) -> list[str]:
    wheels = sorted(directory.glob("*.whl"))
    if not wheels:
        raise HostError(
            f"{directory} holds no wheels",
            expected="the .whl files of requirements/host.txt and requirements/uv.txt for the host's Python",
            to_do="docs/deploy.md has the command that fetches them where there is a network",
        )
    there = _there(desk)
    missing = [wheel for wheel in wheels if there.get(wheel.name) != wheel.stat().st_size]
    with desk.bars.in_bytes("uploading", sum(wheel.stat().st_size for wheel in missing)) as sent:
        done = desk.remote.run(
            ["tar", "--extract", "--file=-", f"--directory={layout.WHEELS}", "--no-same-owner"],
            stdin=packed(missing, sent),
        )
    if done.status:
        raise HostError(
            f"the wheels could not be sent: {done.err.strip()[-300:]}",
            expected=f"room for them in {layout.WHEELS}",
            to_do="fab status",
        )
    return ["--wheels", str(layout.WHEELS)]


def _there(desk: Desk) -> dict[str, int]:
    """The wheels that were sent before: name -> bytes."""
    listed = desk.remote.run(["find", str(layout.WHEELS), "-name", "*.whl", "-printf", "%f %s\\n"]).out
    return {name: int(size) for name, _, size in (line.rpartition(" ") for line in listed.splitlines())}


def packed(paths: Sequence[Path], sent: Callable[[int], None]) -> Iterator[bytes]:
    """A tar of files, piece by piece and never whole in memory; `sent` is told the bytes of each that were taken."""
    for path in paths:
        entry = tarfile.TarInfo(path.name)
        entry.size = path.stat().st_size
        yield entry.tobuf()
        with path.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece
                sent(len(piece))
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
