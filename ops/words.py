"""Words and moments as a terminal, a report and a program may have them. Pure."""

from datetime import UTC, datetime

LONGEST_SHOWN = 400


def plain(text: str) -> str:
    """Words from outside, as a terminal may have them: on one line, no control characters, and not endless."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 3]}..."


def moment(at: datetime) -> str:
    """A moment in UTC, to the second, with Z."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
