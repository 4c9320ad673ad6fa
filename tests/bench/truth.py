"""Reported uptime against the true one, of 1,000 made-up histories: ours, Uptime Kuma's, Gatus' and Upptime's."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import cycle, product
from pathlib import Path
from random import Random

from ops.uptime import bulk, history
from ops.uptime.history import History, Track
from ops.uptime.incidents import Incident
from ops.uptime.maintenance import Maintenance
from ops.uptime.report import TargetReport, report
from ops.uptime.rules import Rules
from ops.uptime.summary import Window
from tests.bench import looks as prober
from tests.bench.looks import SCHEDULES, Look
from tests.bench.outages import DAY, END_S, KINDS, MINUTE, Truth, drawn
from tests.bench.peers import WINDOWS_S, rules

HISTORIES = 1000
HISTORIES_OF_A_CELL = 100
FAULT_RATES = (0.0, 0.002, 0.01, 0.03)
CADENCES_MIN = (5, 10, 30, 60)
WATCHED_BY = (*((name,) for name in SCHEDULES), ("host timer", "github"))
GOAL = 0.5  # of the best of their mean errors
TARGET, OURS = "shop", "kpi-ops"


# --- one history -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What to draw: the kind of history, who looks at it how often, the share of runs with a fault, and a seed."""

    kind: str
    schedules: tuple[str, ...]
    cadence_min: int
    fault_rate: float
    seed: int


@dataclass(frozen=True)
class Case:
    """One history, how it was looked at, and when the report is written."""

    truth: Truth
    looks: Mapping[str, Sequence[Look]]  # by vantage point
    cadence_s: int
    now_s: int

    @cached_property
    def ours(self) -> TargetReport:
        """What we report: the product's own code, from the lines of the samples on."""
        planned = [Maintenance(_moment(start), _moment(end), "planned") for start, end in self.truth.maintenance]
        rules = Rules(cadence=timedelta(seconds=self.cadence_s))
        numbers = report(History(self._tracks), now=_moment(self.now_s), rules=rules, maintenance=planned)
        return numbers.targets[TARGET]

    @cached_property
    def _tracks(self) -> Sequence[Track]:
        lines = [line_of(look, by) for by, looks in self.looks.items() for look in looks]
        return bulk.tracks(b"\n".join(lines), times=False) or history.parsed(lines).tracks


def case(plan: Plan) -> Case:
    """One history, the same for the same plan."""
    random = Random(repr(plan))
    truly, now_s, cadence_s = drawn(random, plan.kind), END_S - random.randrange(DAY), plan.cadence_min * MINUTE
    looks = {
        name.replace(" ", "-"): [
            look
            for look in prober.looks(random, truly, SCHEDULES[name](random, cadence_s), plan.fault_rate)
            if look.decided_s <= now_s
        ]
        for name in plan.schedules
    }
    return Case(truly, looks, cadence_s, now_s)


def line_of(look: Look, by: str) -> bytes:
    """The sample of a look, dated to the attempt that decided."""
    verdict = "up" if not look.all_failed else "unknown" if look.offline[1] else "down"
    stage, reason = {"up": ("null", "null"), "down": ('"tcp"', '"refused"')}.get(verdict, ('"tcp"', '"prober"'))
    return (
        f'{{"v":1,"t":"{_moment(look.decided_s):%Y-%m-%dT%H:%M:%SZ}","target":"{TARGET}","verdict":"{verdict}",'
        f'"stage":{stage},"reason":{reason},"attempts":{look.attempts},"by":"{by}","run":null}}'
    ).encode()


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


# --- what is said of it, and what is true ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """A window of a history: how far each rule's figure is from the truth (None: it gives none), in percentage points.

    `holds`: the truth lies in the interval that we print; `in_worst_to_best`: in [up / W, (W - down) / W] of the JSON.
    """

    window: str
    errors: Mapping[str, float | None]
    width: float
    holds: bool
    in_worst_to_best: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is judged of one history."""

    plan: Plan
    windows: Sequence[Judged]
    incidents: int
    bounds_hold: int


def outcome(plan: Plan) -> Outcome:
    """Draw a history, report it, compare."""
    one = case(plan)
    found = one.ours.incidents
    return Outcome(plan, list(judged(one)), len(found), sum(holds(each, one.truth) for each in found))


def judged(one: Case) -> Iterator[Judged]:
    """The windows of a history, but for those that were all maintenance."""
    theirs = rules(next(iter(one.looks.values())), one.truth.maintenance, one.now_s)
    for name, length_s in WINDOWS_S.items():
        span = (one.now_s - length_s, one.now_s)
        promised_s, window = one.truth.promised_s(*span), one.ours.windows[name]
        if promised_s and window.lowest is not None and window.highest is not None:
            true = 1 - Fraction(one.truth.down_s(*span), promised_s)
            said = {OURS: figure(window), **{who: rule(name) for who, rule in theirs.items()}}
            yield Judged(
                name,
                {who: None if what is None else 100 * abs(float(what - true)) for who, what in said.items()},
                100 * float(window.highest - window.lowest),
                window.lowest <= true <= window.highest,
                (window.worst or 0) <= true <= (window.best or 0),
            )


def figure(window: Window) -> Fraction | None:
    """Ours, where enough was seen for one."""
    return window.uptime if (window.coverage or 0) >= Rules().enough_coverage else None


def holds(incident: Incident, of: Truth) -> bool:
    """Whether the outages that an incident covers began and ended within its bounds."""
    first, last = (of.outages.around(int(at.timestamp())) for at in (incident.start, incident.last_bad))
    if first is None or last is None:
        return False
    began_after_good = incident.last_good is None or incident.last_good.timestamp() < first[0]
    return began_after_good and (incident.first_good is None or last[1] <= incident.first_good.timestamp())


# --- many of them ----------------------------------------------------------------------------------------------------


def usual(number: int) -> Iterator[Plan]:
    """Outages of a minute to two days, flapping, maintenance; 1 % of the runs with a hiccup, 1 % without network."""
    for seed, schedule in zip(range(number), cycle(SCHEDULES), strict=False):
        yield Plan("usual", (schedule,), 30, 0.01, seed)


def hard(number: int) -> Iterator[Plan]:
    """Every kind of history, cadence and schedule, without any fault that would widen the interval, or with many."""
    every = list(product(KINDS, WATCHED_BY, CADENCES_MIN, (0.0, 0.03)))
    for seed in range(number):
        kind, schedules, cadence_min, fault_rate = every[seed % len(every)]
        yield Plan(kind, schedules, cadence_min, fault_rate, seed)


def cells(number: int) -> Iterator[Plan]:
    """So many usual ones of each schedule and fault rate."""
    for schedules, fault_rate, seed in product(WATCHED_BY, FAULT_RATES, range(number)):
        yield Plan("usual", schedules, 30, fault_rate, seed)


def mean_errors(windows: Iterable[Judged]) -> dict[str, float]:
    """By rule, over the windows for which we and they give a figure."""
    both = [each.errors for each in windows if each.errors[OURS] is not None]
    found = {who: [error for errors in both if (error := errors[who]) is not None] for who in (both or [{}])[0]}
    return {who: statistics.fmean(errors) for who, errors in found.items() if errors}


def ratio(errors: Mapping[str, float]) -> tuple[float, str]:
    """Our mean error over the smallest of theirs, and whose that is."""
    best = min((error, who) for who, error in errors.items() if who != OURS)
    return errors[OURS] / best[0], best[1]


# --- as tables -------------------------------------------------------------------------------------------------------


def truth(_directory: Path) -> None:
    """All tables."""
    with ProcessPoolExecutor() as pool:
        seen, stressed, swept = (
            list(pool.map(outcome, plans, chunksize=4))
            for plans in (usual(HISTORIES), hard(HISTORIES), cells(HISTORIES_OF_A_CELL))
        )
    print(f"## Reported against true uptime\n\n{HISTORIES:,} histories of 91 days, a check due every 30 minutes.\n")
    print(error_table(seen), end="\n\n")
    print(sweep_table(swept), end="\n\n")
    print(bounds_table({"usual": seen, "hard": stressed}), end="\n\n")
    print(width_table(swept), end="\n\n")


def error_table(outcomes: Sequence[Outcome]) -> str:
    """Mean absolute errors by window."""
    found = {name: mean_errors(_windows(outcomes, name)) for name in WINDOWS_S}
    who = list(found["24h"])
    lines = [f"| mean error, points | {' | '.join(who)} | ours / best of theirs |", f"|---{'|---' * (len(who) + 1)}|"]
    for name, errors in found.items():
        said = [f"{errors[each]:.3f}" if each in errors else "-" for each in who]
        share, best = ratio(errors)
        lines.append(f"| {name} | {' | '.join(said)} | {share:.2f} ({best}) |")
    return "\n".join(lines)


def sweep_table(outcomes: Sequence[Outcome], name: str = "30d") -> str:
    """Our mean error, and over the best of theirs, by schedule and share of faulty runs."""
    lines = [
        f"| {name}, ours / best of theirs | {' | '.join(f'{rate * 100:g} % faults' for rate in FAULT_RATES)} |",
        f"|---{'|---' * len(FAULT_RATES)}|",
    ]
    for schedule in SCHEDULES:
        cells_of_row = []
        for rate in FAULT_RATES:
            errors = mean_errors(_windows(_of(outcomes, (schedule,), rate), name))
            share, best = ratio(errors)
            said = f"**{share:.2f}**" if share <= GOAL else f"{share:.2f}"
            cells_of_row.append(f"{said} ({errors[OURS]:.3f} / {errors[best]:.3f} {best})")
        lines.append(f"| {schedule} | {' | '.join(cells_of_row)} |")
    return "\n".join(lines)


def bounds_table(outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """How often the truth lies in what we print."""
    lines = [
        "| histories | windows | truth in the interval | in worst to best | incidents | within their bounds |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in outcomes.items():
        windows = [window for each in found for window in each.windows]
        inside, before = sum(each.holds for each in windows), sum(each.in_worst_to_best for each in windows)
        incidents, hold = sum(each.incidents for each in found), sum(each.bounds_hold for each in found)
        lines.append(
            f"| {len(found):,} {name} | {len(windows):,} | {_share(inside, len(windows))} |"
            f" {_share(before, len(windows))} | {incidents:,} | {_share(hold, incidents)} |"
        )
    return "\n".join(lines)


def width_table(outcomes: Sequence[Outcome]) -> str:
    """How wide the interval is, by schedule and window, without faults."""
    lines = [f"| median width, points | {' | '.join(WINDOWS_S)} |", f"|---{'|---' * len(WINDOWS_S)}|"]
    for schedules in WATCHED_BY:
        found = _of(outcomes, schedules, FAULT_RATES[0])
        widths = [statistics.median(each.width for each in _windows(found, name)) for name in WINDOWS_S]
        lines.append(f"| {' and '.join(schedules)} | {' | '.join(f'{width:.2f}' for width in widths)} |")
    return "\n".join(lines)


def _windows(outcomes: Iterable[Outcome], name: str) -> list[Judged]:
    return [window for each in outcomes for window in each.windows if window.window == name]


def _of(outcomes: Iterable[Outcome], schedules: tuple[str, ...], fault_rate: float) -> list[Outcome]:
    return [each for each in outcomes if (each.plan.schedules, each.plan.fault_rate) == (schedules, fault_rate)]


def _share(part: int, whole: int) -> str:
    """A percentage, cut: 100 % means all of them."""
    return f"{part * 10000 // whole / 100:g} %" if whole else "-"
