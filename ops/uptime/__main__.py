"""python -m ops.uptime probe | check | report | units: the door where the clock and the environment are read.

Imports stand in the functions that need them: `probe --url` works without anything installed.
"""

import argparse
import io
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from etl.errors import KpiOpsError, SettingsError, StackError
from ops.uptime import probe
from ops.uptime.probe import EXIT_SETTINGS_WRONG, Parser, Target, WrongSetting

if TYPE_CHECKING:
    from ops.settings import Settings
    from ops.uptime.scheduled import Done, World

FIRST_YEAR, LAST_YEAR = 1970, 9000
EXIT_COULD_NOT = 3
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 up, 1 down, 2 degraded, 3 unknown, 4 settings wrong."""
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - a door
    try:
        arguments = _parser().parse_args(argv)
        if arguments.command == "probe":
            return probe.run(arguments, _first_target, now=now)
        if arguments.command == "check":
            return _check(now, push=arguments.push, publish=arguments.publish, knock=arguments.knock)
        return _units(arguments) if arguments.command == "units" else _report(arguments)
    except (WrongSetting, KpiOpsError) as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_SETTINGS_WRONG


def _parser() -> Parser:
    parser = Parser(
        prog="python -m ops.uptime", description="0 up, 1 down, 2 degraded, 3 unknown, 4 settings or arguments wrong."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="probe | check | report | units")
    probe.add_arguments(commands.add_parser("probe", help="look at one page now"))
    check = commands.add_parser("check", help="look at every target, record it, tell, rewrite the report")
    check.add_argument("--push", action="store_true", help="and push it to the branch; then 0 says that it is recorded")
    check.add_argument("--publish", action="store_true", help="and put it where [uptime] publish says; 0 likewise")
    check.add_argument("--knock", action="store_true", help="open the security group for this address meanwhile")
    units = commands.add_parser("units", help="write the systemd service and timer that run `check --publish`")
    units.add_argument("--out", type=Path, required=True, metavar="DIR", help="/etc/systemd/system")
    report = commands.add_parser("report", help="print the report on recorded samples; writes nothing")
    report.add_argument("--samples", type=Path, required=True, metavar="DIR", help="the directory of YYYY-MM.jsonl")
    report.add_argument("--now", type=_moment, required=True, metavar="ISO", help="2026-11-22T12:00:00Z")
    report.add_argument("--cadence", type=_cadence, metavar="30m", help="of the checks (else as in settings.toml)")
    report.add_argument("--json", action="store_true", help="print the numbers as JSON")
    return parser


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        utc = moment.astimezone(UTC) if moment.utcoffset() is not None else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None or not FIRST_YEAR <= utc.year <= LAST_YEAR:
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


def _first_target() -> Target:
    from ops import settings as door
    from ops.uptime.check import target_of

    settings = door.load()
    uptime = settings.uptime
    page = next((target for target in uptime.targets if target.kind == "page"), None)
    if page is None:
        raise _no_target("page to be read")
    return target_of(page, uptime.by, settings.sign_in.probe_token)


def _no_target(expected: str) -> SettingsError:
    return SettingsError(
        "no target is named", expected=f"a {expected}", to_do="add [[uptime.targets]] to settings.toml"
    )


def _check(now: datetime, *, push: bool, publish: bool, knock: bool) -> int:
    """Look, record, tell, write; then keep it where --push and --publish say."""
    from ops import settings as door
    from ops.uptime.check import exit_code
    from ops.uptime.scheduled import GitHub, World, scheduled
    from ops.uptime.storage.kept import Clone, put_on_s3

    settings = door.load()
    if not settings.uptime.targets:
        raise _no_target("target to look at")
    if publish and not settings.uptime.publish:
        raise SettingsError(
            "[uptime] publish is empty", expected="s3://BUCKET/PREFIX/", to_do="name the place in settings.toml"
        )
    environ = os.environ  # noqa: TID251 - a door
    github = GitHub(*(environ.get(f"GITHUB_{name}", "") for name in ("API_URL", "REPOSITORY", "TOKEN")))
    clone = Clone.of(settings.uptime, environ) if push else None
    world = World(now, environ.get("GITHUB_RUN_ID"), github, time.sleep, clone.warnings(now) if clone else ())
    done, closed = _knocked(settings, world) if knock else (scheduled(settings, world), True)
    _say(done.lines)
    chance = random.SystemRandom().random
    try:
        if publish:
            _say([put_on_s3(settings, done, sleep=time.sleep, random=chance)])
        if clone:
            _say([clone.pushed(done, sleep=time.sleep, random=chance)])
    except KpiOpsError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_COULD_NOT
    if not closed:
        return EXIT_COULD_NOT
    # a job that keeps the record has done its work: what is down is told by the report and by alerts
    return 0 if push or publish else exit_code(done.samples)


def _knocked(settings: "Settings", world: "World") -> tuple["Done", bool]:
    """What came of it, and whether the door is closed again: what was seen is kept all the same."""
    from uuid import uuid4

    from ops.cloud.address import own_address
    from ops.cloud.door import ec2_client
    from ops.stack.knock import knocked
    from ops.uptime.scheduled import scheduled

    done: Done | None = None
    try:
        with knocked(settings, now=world.now, tag=uuid4().hex, client=ec2_client, address=own_address) as knock:
            warnings = [*world.warnings, *knock.warnings]
            done = scheduled(settings, replace(world, warnings=warnings, kept_out=knock.kept_out))
    except StackError as error:
        if done is None:
            raise
        sys.stderr.write(f"error: {error}\n")
        return done, False
    return done, True


def _units(arguments: argparse.Namespace) -> int:
    from ops.uptime.storage.units import ENVIRONMENT, units
    from ops.whole import write_whole

    project = Path(__file__).resolve().parent.parent.parent
    for name, text in units(python=Path(sys.executable), project=project, environment=ENVIRONMENT).items():
        write_whole(arguments.out / name, text)
        _say([f"wrote {arguments.out / name}"])
    return 0


def _say(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _report(arguments: argparse.Namespace) -> int:
    from ops import settings as door
    from ops.uptime.gather import gather, gather_all
    from ops.uptime.report import as_json
    from ops.uptime.rules import rules_of

    rules = rules_of(door.load().uptime)
    rules = replace(rules, cadence=arguments.cadence or rules.cadence)
    if arguments.json:
        text = json.dumps(as_json(gather_all(arguments.samples, now=arguments.now, rules=rules)), indent=2) + "\n"
    else:
        from ops.uptime.display.markdown import as_markdown

        text = as_markdown(gather(arguments.samples, now=arguments.now, rules=rules))
    return _printed(text)


def _printed(text: str) -> int:
    """The same bytes whatever the terminal takes. Raises KpiOpsError where they cannot be written."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        _say([text.removesuffix("\n")])
    except BrokenPipeError:  # who reads has seen enough, as in `report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise KpiOpsError(
            f"the report cannot be printed: {error.strerror or error}", expected="room", to_do="print it elsewhere"
        ) from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
