"""What the schedule runs: look, record, tell, write the report, and keep it where others read it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial

import requests

from etl.errors import KpiOpsError
from ops.alerts import run as alerts
from ops.alerts.channels import channels
from ops.settings import Settings
from ops.shown import ask
from ops.uptime import maintenance, releases
from ops.uptime.check import Looking, check, line_of, target_of
from ops.uptime.control import any_answers
from ops.uptime.data import freshness_line, judge
from ops.uptime.probe import Target
from ops.uptime.record import Sample
from ops.uptime.releases import Release, named
from ops.uptime.report import Report
from ops.uptime.rewrite import Places, rewrite
from ops.uptime.rules import rules_of
from ops.uptime.targets import look

ANSWERING = frozenset({"up", "degraded"})


@dataclass(frozen=True, slots=True)
class GitHub:
    """What GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN say, or nothing."""

    api: str = ""
    repository: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class World:
    """What a run of the schedule is given: the moment (UTC), its number, where it runs, how it waits.

    `warnings`: of what is not the targets' fault; they stand in the report. `kept_out`: as in Looking.
    """

    now: datetime
    run: str | None
    github: GitHub
    sleep: Callable[[float], None]
    warnings: Sequence[str] = ()
    kept_out: Callable[[str], bool] = lambda _url: False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a run: its samples, lines for a person, and how the report is written once more."""

    samples: Sequence[Sample]
    lines: Sequence[str]
    rewrite: Callable[[], Report]

    @property
    def verdicts(self) -> dict[str, str]:
        """By target."""
        return {sample.target: sample.verdict for sample in self.samples}


def scheduled(settings: Settings, world: World) -> Done:
    """Look at every target, record it, tell who is to be told, write the report. Raises KpiOpsError, WrongSetting."""
    uptime = settings.uptime
    targets = [target_of(target, uptime.by, settings.sign_in.probe_token) for target in uptime.targets]
    samples, freshness = _looked(targets, settings, world)
    seen = _live(targets, samples, world.now)
    releases.note(uptime.directory, releases.read(uptime.directory), seen)
    untold = channels(settings.alerts, **asdict(world.github)).lines
    again = partial(
        rewrite,
        Places(uptime.directory, uptime.report),
        now=max([world.now, *(sample.at for sample in samples)]),  # what was seen a moment later is known too
        rules=rules_of(uptime),
        freshness=freshness,
        warnings=[*world.warnings, *untold],
    )
    numbers = again()
    return Done(samples, [*map(line_of, samples), *_told(numbers, settings, world.github)], again)


def _looked(targets: Sequence[Target], settings: Settings, world: World) -> tuple[list[Sample], str]:
    """The samples, recorded, and the line on the published data, which is judged meanwhile."""
    uptime = settings.uptime
    with ThreadPoolExecutor(1) as aside, requests.Session() as session:
        session.trust_env = False  # a proxy may have a network that the probe has not
        judged = aside.submit(judge, settings.store_address, now=world.now, limits=settings.freshness)
        looking = Looking(
            look=partial(look, now=world.now, data=judged.result),
            # who names no control addresses takes every failure for the target's
            control=lambda: not uptime.control_urls or any_answers(session, uptime.control_urls),
            sleep=world.sleep,
            limits=uptime.probe,
            kept_out=world.kept_out,
        )
        samples = check(targets, looking, now=world.now, run=world.run, directory=uptime.directory)
        return samples, freshness_line(judged.result)


def _live(targets: Sequence[Target], samples: Sequence[Sample], now: datetime) -> Iterator[Release]:
    """The releases that pages of ours say they are; a page that says nothing, or another's, has none."""
    for target, sample in zip(targets, samples, strict=True):
        if type(target) is Target and sample.verdict in ANSWERING:
            with suppress(KpiOpsError):
                release = ask(target.url).release
                yield from [named(target.name, release, now)] if release else []


def _told(numbers: Report, settings: Settings, github: GitHub) -> Sequence[str]:
    """Tell what is new; lines for a person. Who cannot tell has recorded all the same."""
    uptime = settings.uptime
    try:
        return alerts.run(numbers, uptime, settings.alerts, maintenance.read(uptime.directory), **asdict(github))
    except KpiOpsError as error:
        return (f"nobody was told: {error.seen}",)
