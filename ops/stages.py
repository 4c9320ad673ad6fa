"""Stages of a story told line by line, each with its time, and the table at its end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Stage:
    """One stage: what it is called, what came of it, how long it took. `good` is None while it has not ended."""

    name: str
    told: str = ""
    good: bool | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Story:
    """Stages in their order; `clock` gives seconds and only ever grows."""

    stream: TextIO
    clock: Callable[[], float]
    count: int
    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time one stage and tell its line. It is good unless it raises or says otherwise."""
        stage = Stage(name)
        self.stages.append(stage)
        began = self.clock()
        try:
            yield stage
            stage.good = stage.good is not False
        except BaseException:
            stage.good = False
            raise
        finally:
            stage.seconds = self.clock() - began
            mark = "ok  " if stage.good else "FAIL"
            line = f"[{len(self.stages)}/{self.count}] {mark} {name:<11} {stage.seconds:5.1f} s  {stage.told}"
            print(line.rstrip(), file=self.stream, flush=True)

    @property
    def good(self) -> bool:
        """Whether every stage was told, and was right."""
        return len(self.stages) == self.count and all(stage.good for stage in self.stages)

    def table(self) -> str:
        """The stages with their times, a line each, and their sum."""
        lines = [
            f"{stage.name:<10} {'ok' if stage.good else 'FAILED':<8} {stage.seconds:7.1f} s" for stage in self.stages
        ]
        total = sum(stage.seconds for stage in self.stages)
        return "\n".join([f"{'stage':<10} {'result':<8} {'time':>9}", *lines, f"{'total':<10} {'':<8} {total:7.1f} s"])
