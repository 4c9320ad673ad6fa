"""What was read of a live account: boto3's answers by question, and what AWS would not tell. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class CannotTell(Exception):
    """A rule cannot be judged: AWS did not tell what it needs, or what it would judge is not there."""


@dataclass(frozen=True, slots=True)
class Account:
    """`answers`: question -> what boto3 gave, None where AWS says that there is no such thing; `refusals`: -> why."""

    account: str
    region: str
    partition: str = "aws"
    answers: Mapping[str, Any] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)

    def of(self, question: str) -> Any:
        """The answer. Raises CannotTell where it was refused, or could not be asked for want of another's answer."""
        if question in self.answers:
            return self.answers[question]
        raise CannotTell(self.refusals.get(question, f"{question}: there was nothing to ask about"))

    def found(self, question: str) -> Any:
        """The answer about something that must be there. Raises CannotTell also where it is not."""
        answer = self.of(question)
        if answer is None:
            raise CannotTell(f"{question}: it is not there")
        return answer
