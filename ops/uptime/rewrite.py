"""The report and all that stands beside it, made anew from what is recorded; only what differs is written."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ops.uptime.display.markdown import as_markdown
from ops.uptime.display.pictures import pictures
from ops.uptime.display.site import as_html
from ops.uptime.gather import gather
from ops.uptime.report import Report
from ops.uptime.rules import Rules
from ops.whole import write_changed


@dataclass(frozen=True, slots=True)
class Places:
    """Where samples lie and where the report is written."""

    directory: Path
    report: Path

    @property
    def report_at(self) -> str:
        """The report, as the page beside the samples links to it."""
        return Path(os.path.relpath(self.report, self.directory)).as_posix()

    @property
    def beside(self) -> str:
        """The directory of the samples, as the report links to it."""
        return Path(os.path.relpath(self.directory, self.report.parent)).as_posix()


def rewrite(
    places: Places, *, now: datetime, rules: Rules, freshness: str | None = None, warnings: Sequence[str] = ()
) -> Report:
    """Write the report, its pictures and its page; what is the same is left alone. Raises KpiOpsError."""
    numbers = gather(places.directory, now=now, rules=rules)
    write_changed(places.report, as_markdown(numbers, freshness=freshness, warnings=warnings, beside=places.beside))
    for name, text in pictures(numbers).items():
        write_changed(places.directory / name, text)
    write_changed(
        places.directory / "index.html",
        as_html(numbers, freshness=freshness, warnings=warnings, report_at=places.report_at),
    )
    return numbers
