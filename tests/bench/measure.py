"""Measure whole processes side by side: CPU, wall and peak memory of each, medians, ratios pair by pair."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """One finished process, its children included."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    status: int = 0


def run(
    command: Sequence[str],
    directory: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    ends: Sequence[int] = (0,),
    out: Path | None = None,
) -> Run:
    """Run a command to its end and account for it. Raises where it fails: a failed run is no measurement.

    `ends`: the exit statuses with which it has done its work. `out`: where what it prints is kept.
    """
    with Path(out or os.devnull).open("wb") as printed:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=directory, env=environ, stdout=printed, stderr=subprocess.PIPE)
        said = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ends:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said.decode()}")
    scale = 2**20 if sys.platform == "darwin" else 2**10
    wall_s = time.perf_counter() - began
    return Run(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / scale, process.returncode)


def in_turn(commands: Sequence[Sequence[str]], runs: int) -> list[list[Run]]:
    """Warm up once, then A B A B ...: the machine's moods fall on both."""
    for command in commands:
        run(command)
    found: list[list[Run]] = [[] for _ in commands]
    for _ in range(runs):
        for place, command in enumerate(commands):
            found[place].append(run(command))
    return found


def table(names: Sequence[str], found: Sequence[Sequence[Run]]) -> str:
    """Markdown: medians of each, and of the ratios of the first to each other one, pair by pair."""
    lines = ["| | CPU s | wall s | peak MiB |", "|---|---|---|---|"]
    figures = ("cpu_s", "wall_s", "peak_mib")
    for name, runs in zip(names, found, strict=True):
        cells = [statistics.median(getattr(each, figure) for each in runs) for figure in figures]
        lines.append(f"| {name} | {cells[0]:.2f} | {cells[1]:.2f} | {cells[2]:.0f} |")
    for name, runs in list(zip(names, found, strict=True))[1:]:
        cells = [
            statistics.median(getattr(a, figure) / getattr(b, figure) for a, b in zip(found[0], runs, strict=True))
            for figure in figures
        ]
        lines.append(f"| **{names[0]} / {name}** | **{cells[0]:.2f}** | **{cells[1]:.2f}** | **{cells[2]:.2f}** |")
    return "\n".join(lines)
