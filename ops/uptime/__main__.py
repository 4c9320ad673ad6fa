"""python -m ops.uptime probe | check | report: the door where the clock and the environment are read.

Imports stand in the functions that need them: `probe --url` works without anything installed.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from etl.errors import KpiOpsError, SettingsError
from ops.uptime import probe
from ops.uptime.probe import EXIT_SETTINGS_WRONG, Parser, Target, WrongSetting

if TYPE_CHECKING:
    from ops.settings import Settings


FIRST_YEAR = 1970


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 up, 1 down, 2 degraded, 3 unknown, 4 settings wrong."""
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - a door
    try:
        arguments = _parser().parse_args(argv)
        if arguments.command == "probe":
            return probe.run(arguments, _first_target, now=now)
        return _check(now) if arguments.command == "check" else _report(arguments)
    except (WrongSetting, KpiOpsError) as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_SETTINGS_WRONG


def _parser() -> Parser:
    parser = Parser(
        prog="python -m ops.uptime", description="0 up, 1 down, 2 degraded, 3 unknown, 4 settings or arguments wrong."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="probe | check | report")
    probe.add_arguments(commands.add_parser("probe", help="look at one page now"))
    commands.add_parser("check", help="look at every target, record it, rewrite the report")
    report = commands.add_parser("report", help="print the report on recorded samples; writes nothing")
    report.add_argument("--samples", type=Path, required=True, metavar="DIR", help="the directory of YYYY-MM.jsonl")
    report.add_argument("--now", type=_moment, required=True, metavar="ISO", help="2026-11-22T12:00:00Z")
    report.add_argument("--cadence", type=_cadence, default=timedelta(minutes=30), metavar="30m", help="of the checks")
    report.add_argument("--json", action="store_true", help="print the numbers as JSON")
    return parser


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        utc = moment.astimezone(UTC) if moment.utcoffset() is not None else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None or utc.year < FIRST_YEAR:
        raise WrongSetting(
            f"--now {text!r} is no moment",
            expected="a date and time with Z or an offset at its end",
            to_do="write it like --now 2026-11-22T12:00:00Z",
        )
    return utc


def _cadence(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smh])", text)
    if match is None:
        raise WrongSetting(
            f"--cadence {text!r} is no length of time",
            expected="a whole number with s, m or h",
            to_do="write it like --cadence 30m",
        )
    return int(match[1]) * {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}[match[2]]


def _targets(settings: "Settings") -> list[Target]:
    from ops.uptime.check import target_of

    if not settings.uptime.targets:
        raise SettingsError(
            "no target is named", expected="a page to be read", to_do="add [[uptime.targets]] to settings.toml"
        )
    return [target_of(target, settings.uptime.by) for target in settings.uptime.targets]


def _first_target() -> Target:
    from ops import settings

    return _targets(settings.load())[0]


def _check(now: datetime) -> int:
    import requests

    from ops import settings as door
    from ops.uptime import control
    from ops.uptime.check import check, exit_code, freshness_line

    settings = door.load()
    uptime = settings.uptime
    with requests.Session() as session:
        samples = check(
            _targets(settings),
            now=now,
            run=os.environ.get("GITHUB_RUN_ID"),  # noqa: TID251 - a door
            cadence=uptime.cadence,
            probe=lambda target, timeout_s: probe.probe(target.url, target.wanted, timeout_s),
            # who names no control addresses takes every failure for the target's
            control=lambda: not uptime.control_urls or control.any_answers(session, uptime.control_urls),
            sleep=time.sleep,
            directory=uptime.directory,
            report_path=uptime.report,
            freshness=freshness_line(settings.store_address, now=now, limits=settings.freshness),
        )
    for sample in samples:
        result = sample.result
        why = ": ".join(filter(None, (result.stage, result.reason, result.detail)))
        sys.stdout.write(f"{sample.target}: {sample.verdict}{f' ({why})' if why else ''}\n")
    return exit_code(samples)


def _report(arguments: argparse.Namespace) -> int:
    from ops.uptime import maintenance, record
    from ops.uptime.report import as_json, as_markdown, report

    numbers = report(
        record.read(arguments.samples),
        now=arguments.now,
        cadence=arguments.cadence,
        maintenance=maintenance.read(arguments.samples),
    )
    sys.stdout.write(json.dumps(as_json(numbers), indent=2) + "\n" if arguments.json else as_markdown(numbers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
