"""Made-up looks at a made-up truth: a schedule that is late and drops runs, a network that fails the prober. Pure.

How GitHub's schedule is modelled, by what people have measured:

- of 12 runs an hour, 2 to 4 came (actions/runner#877); a cron of 5 minutes ran about hourly (upptime/upptime#224);
- a cron of 20 minutes landed about every 60, and moving it off the full hour did not help (molecule-core#2726);
- of 6 hourly slots one run came (pithead#1418); a cron of 10 minutes landed every 3.5 to 4.6 h (notiongit-template#29);
- a weekly cron came 189 to 761 minutes late, 8 times of 8 (netcanon#419).

So "github" keeps a third to three quarters of the slots (the fewer the shorter the cadence), each some minutes late and
now and then an hour, and has a spell of 3.5 to 4.6 h without any run every four days. "github on good days" drops one
slot in twenty and is 2 to 20 minutes late.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log
from random import Random

from ops.uptime.probe import WAITS_S
from tests.bench.outages import BEGIN_S, DAY, DAYS, END_S, HOUR, MINUTE, Span, Spans, Truth, between, moments

ATTEMPTS_S = tuple(int(after_s) for after_s in accumulate(WAITS_S))  # attempts of a run, after its start
LONGEST_HICCUP_S = 15  # over before the last attempt; what lasts longer is seen at the control addresses too
SPELL_S = (MINUTE, HOUR)  # how long the prober's own network is out


@dataclass(frozen=True, slots=True)
class Look:
    """One run: when it began, how many attempts failed before one was good (all: none was), was the network out.

    `offline`: at the first attempt and after the last one.
    """

    at_s: int
    failed: int
    offline: tuple[bool, bool]

    @property
    def decided_s(self) -> int:
        """When the attempt began that decided."""
        return self.at_s + ATTEMPTS_S[self.attempts - 1]

    @property
    def attempts(self) -> int:
        """How many were made."""
        return min(self.failed + 1, len(ATTEMPTS_S))

    @property
    def all_failed(self) -> bool:
        """Down, as far as the prober can see."""
        return self.failed == len(ATTEMPTS_S)


# --- when ------------------------------------------------------------------------------------------------------------


def on_time(random: Random, cadence_s: int) -> list[int]:
    """Every slot to the second, at some offset."""
    return list(range(BEGIN_S + random.randrange(cadence_s), END_S, cadence_s))


def host_timer(random: Random, cadence_s: int) -> list[int]:
    """A systemd timer: each within its minute, few missing, and a reboot now and then."""
    slots = [at for at in on_time(random, cadence_s) if random.random() > 0.001]
    reboots = [(at, at + between(random, MINUTE, HOUR)) for at in moments(random, 3)]
    return _apart(at + random.randrange(MINUTE) for at in _outside(slots, reboots))


def good_days(random: Random, cadence_s: int) -> list[int]:
    """GitHub's schedule where it does well."""
    slots = [at for at in on_time(random, cadence_s) if random.random() > 0.05]
    return _apart(at + between(random, 2 * MINUTE, 20 * MINUTE) for at in slots)


def github(random: Random, cadence_s: int) -> list[int]:
    """GitHub's schedule as people measure it: see the head of this file."""
    slots = [at for at in on_time(random, cadence_s) if random.random() < _kept(cadence_s)]
    spells = [(at, at + random.randint(int(3.5 * HOUR), int(4.6 * HOUR))) for at in moments(random, DAYS / 4)]
    late = (at + between(random, 2 * MINUTE, random.choice([10 * MINUTE, 30 * MINUTE, HOUR])) for at in slots)
    return _apart(_outside(late, spells))


def _kept(cadence_s: int) -> float:
    """The share of the slots that GitHub serves: 3 of 12 at 5 minutes, 1 of 3 at 20, more the rarer they are."""
    return {5 * MINUTE: 0.25, 10 * MINUTE: 0.28, 20 * MINUTE: 0.33, 30 * MINUTE: 0.5, HOUR: 0.75}[cadence_s]


SCHEDULES: Mapping[str, Callable[[Random, int], list[int]]] = {
    "on time": on_time,
    "host timer": host_timer,
    "github on good days": good_days,
    "github": github,
}


def _outside(times: Iterable[int], spells: Iterable[Span]) -> list[int]:
    out = Spans(spells)
    return [at for at in times if at not in out]


def _apart(times: Iterable[int]) -> list[int]:
    """Runs wait for each other."""
    found: list[int] = []
    for at in sorted(times):
        if at < END_S:
            found.append(max(at, found[-1] + MINUTE) if found else at)
    return [at for at in found if at < END_S]


# --- what ------------------------------------------------------------------------------------------------------------


def looks(random: Random, truth: Truth, times_s: Sequence[int], fault_rate: float) -> list[Look]:
    """What the runs see. `fault_rate`: the share of runs with a hiccup of seconds, and again with no network at all."""
    network_out = Spans(_network_out(random, fault_rate))
    return [_look(truth, network_out, at, _hiccup_s(random, fault_rate)) for at in times_s]


def _network_out(random: Random, fault_rate: float) -> list[Span]:
    """Spells in which the prober reaches nothing, together such a share of the time."""
    shortest, longest = SPELL_S
    expected = fault_rate * DAYS * DAY / ((longest - shortest) / log(longest / shortest))
    return [(at, at + between(random, shortest, longest)) for at in moments(random, expected)]


def _hiccup_s(random: Random, fault_rate: float) -> int:
    """How long after its start this run's requests are lost: mostly not at all."""
    return between(random, 1, LONGEST_HICCUP_S) if random.random() < fault_rate else 0


def _look(truth: Truth, network_out: Spans, at_s: int, hiccup_s: int) -> Look:
    failed = 0
    for after_s in ATTEMPTS_S:
        if after_s >= hiccup_s and at_s + after_s not in network_out and at_s + after_s not in truth.outages:
            break
        failed += 1
    return Look(at_s, failed, (at_s in network_out, at_s + ATTEMPTS_S[-1] in network_out))
