"""Where a run's record is kept when the machine it ran on is gone: on a branch, or on S3."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath

from etl.store import Patience
from etl.store.wire import s3_client
from ops.settings import Settings, UptimeSettings
from ops.uptime.report import Report, as_json
from ops.uptime.scheduled import Done
from ops.uptime.storage.commit import Ours, clone_at, message_of, push
from ops.uptime.storage.git import Git, runner
from ops.uptime.storage.idle import activity, idle_line
from ops.uptime.storage.shelf import Desk, put_up, shelf_at
from ops.whole import write_changed

PATIENCE = Patience(attempts=3, deadline_s=60)


@dataclass(frozen=True, slots=True)
class Clone:
    """The git clone in which samples and report lie."""

    git: Git
    ours: Ours

    @classmethod
    def of(cls, settings: UptimeSettings, environ: Mapping[str, str]) -> "Clone":
        """The clone around the directory of the samples. Raises KpiOpsError where there is none."""
        return cls(*clone_at(settings.directory, settings.report, runner(environ)))

    def warnings(self, now: datetime) -> list[str]:
        """What the report is to warn of: that GitHub will stop the schedule."""
        line = idle_line(activity(self.git), now=now)
        return [line] if line else []

    def pushed(self, done: Done, *, sleep: Callable[[float], None], random: Callable[[], float]) -> str:
        """Commit and push what a run recorded; a line for a person. Raises KpiOpsError."""
        words = message_of(done.verdicts)
        return push(self.git, self.ours, rewrite=done.rewrite, message=words, sleep=sleep, random=random).line


def put_on_s3(settings: Settings, done: Done, *, sleep: Callable[[float], None], random: Callable[[], float]) -> str:
    """Put what a run recorded where [uptime] publish says; a line for a person. Raises KpiOpsError."""
    uptime = settings.uptime
    shelf = shelf_at(uptime.publish, s3_client(), PATIENCE, settings.s3.encryption)
    numbers = uptime.directory / PurePosixPath(uptime.numbers).name
    desk = Desk(uptime.directory, uptime.report, partial(rewrite_with_numbers, done.rewrite, numbers))
    try:
        return put_up(shelf, desk, sleep=sleep, random=random).line(shelf)
    finally:
        numbers.unlink(missing_ok=True)  # it differs after every look: on a branch it would be one more change in each


def rewrite_with_numbers(rewrite: Callable[[], Report], numbers: Path) -> None:
    """Write the report anew, and its numbers as JSON: the dashboard shows them."""
    write_changed(numbers, json.dumps(as_json(rewrite()), separators=(",", ":")) + "\n")
