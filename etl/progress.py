"""What a person sees while a run goes on: a bar on a terminal, nothing in a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

STEPS = 10  # what `etl.run.run` announces; one more or less only makes the bar end early or late


@contextmanager
def bar(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """A function to be told each step's name; it draws on `stream` if that is a terminal."""
    if not stream.isatty():
        yield lambda _name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task("starting", total=STEPS)

        def step(name: str) -> None:
            progress.update(task, description=name, advance=1)

        yield step


@contextmanager
def byte_bar(stream: TextIO, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to be told how many more bytes have gone; it draws on `stream` if that is a terminal."""
    if not stream.isatty():
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description:<28}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def percent_bar(stream: TextIO, what: str) -> Iterator[Callable[[int], None]]:
    """A function to be told how many more hundredths are done; it draws on `stream` if that is a terminal."""
    if not stream.isatty():
        yield lambda _hundredths: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<28}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task(what, total=100)
        yield lambda hundredths: progress.advance(task, hundredths)
