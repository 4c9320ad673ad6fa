"""A rule of the posture, and what came of judging it. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ops.posture.account import CannotTell
from ops.posture.case import Case

Told = Iterable[str]
State = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` is PART.WORD, as people and scripts know it; `holds`: what must be so; `fix`: a command or a deed.

    `judge` gives a line for each thing that is not so. In `fix` stand {bucket}, {group}, {instance} and the like, as
    `Case.words` knows them.
    """

    name: str
    holds: str
    fix: str
    judge: Callable[[Case], Told]

    @property
    def part(self) -> str:
        """What of the account it is about, like bucket."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was judged: what was `seen` where it does not hold, or why that cannot be told."""

    rule: str
    state: State
    expected: str
    seen: tuple[str, ...] = ()
    to_do: str = ""


def judged(rules: Iterable[Rule], case: Case) -> list[Finding]:
    """Each rule, in its order."""
    return [_judged(rule, case) for rule in rules]


def _judged(rule: Rule, case: Case) -> Finding:
    try:
        seen = tuple(rule.judge(case))
    except CannotTell as reason:
        return Finding(rule.name, "unknown", rule.holds, (str(reason),))
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # AWS has answered in a form of its own
        return Finding(rule.name, "unknown", rule.holds, (f"an answer is not understood: {error!r}",))
    if not seen:
        return Finding(rule.name, "good", rule.holds)
    return Finding(rule.name, "bad", rule.holds, seen, rule.fix.format_map(_Words(case.words)))


class _Words(dict[str, str]):
    """What is not known is left for the reader to fill in."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__(words)

    def __missing__(self, word: str) -> str:
        return word.upper()
