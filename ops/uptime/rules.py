"""How samples become figures and incidents: the numbers that settings may change. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.settings import UptimeSettings


@dataclass(frozen=True, slots=True)
class Rules:
    """By what samples are judged.

    `cadence`: how often a check is due; `hold_cadences`: for how many cadences a sample speaks at most;
    `enough_coverage`: below it no figure is given; `open_after`, `close_after`: bad and good samples in a row that open
    and close an incident; `all_attempts`: a bad sample of so many attempts opens one alone; more than `calm_changes`
    changes within `flapping_within` are one flapping incident.
    """

    cadence: timedelta = timedelta(minutes=30)
    hold_cadences: float = 1.5
    enough_coverage: Fraction = Fraction(1, 2)
    open_after: int = 2
    close_after: int = 2
    all_attempts: int = 3
    calm_changes: int = 4
    flapping_within: timedelta = timedelta(hours=6)

    @property
    def hold(self) -> timedelta:
        """How long a sample speaks where no later one does, in whole seconds."""
        exact = Fraction(str(self.hold_cadences)) * (self.cadence // timedelta(microseconds=1)) / 1_000_000
        return timedelta(seconds=int(exact))


def rules_of(settings: "UptimeSettings") -> Rules:
    """The rules that settings.toml gives."""
    rules = settings.rules
    return Rules(
        cadence=settings.cadence,
        hold_cadences=rules.hold_cadences,
        enough_coverage=Fraction(rules.enough_coverage).limit_denominator(10_000),
        open_after=rules.open_after,
        close_after=rules.close_after,
        all_attempts=len(settings.probe.waits_s),
        calm_changes=rules.calm_changes,
        flapping_within=timedelta(hours=rules.flapping_h),
    )
