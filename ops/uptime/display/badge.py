"""The badge on uptime: what is true now and the uptime of 30 days, as an SVG and as JSON for shields.io. Pure."""

import json
from collections.abc import Mapping
from fractions import Fraction

from ops.badge import badge
from ops.uptime.display.phrases import INSUFFICIENT, is_enough, loudest
from ops.uptime.display.words import percent
from ops.uptime.report import Report

LABEL = "uptime"
WINDOW = "30d"
GREY = "#616161"
COLOURS: Mapping[str, str] = {
    "up": "#2e7d32",
    "degraded": "#8a5a00",
    "down": "#c62828",
    "maintenance": "#3d6bc9",
    "unknown": GREY,
    "no data": GREY,
}
SHIELDS_GREY = "lightgrey"
SHIELDS_COLOURS: Mapping[str, str] = {"up": "brightgreen", "degraded": "orange", "down": "red", "maintenance": "blue"}


def as_badge(numbers: Report) -> str:
    """The badge as an SVG."""
    state, text = _told(numbers)
    return badge(LABEL, text, colour=COLOURS[state], title=f"{LABEL}: {text}")


def as_endpoint(numbers: Report) -> str:
    """The badge as shields.io's endpoint JSON."""
    state, text = _told(numbers)
    colour = SHIELDS_COLOURS.get(state, SHIELDS_GREY)
    return json.dumps({"schemaVersion": 1, "label": LABEL, "message": text, "color": colour}) + "\n"


def _told(numbers: Report) -> tuple[str, str]:
    """The state by which it is coloured, and its text: the loudest state unless all is up, and the lowest uptime.

    Where too little was seen there is no figure and no colour.
    """
    if not numbers.targets:
        return "no data", "no data"
    state, uptime = loudest(numbers), _lowest_uptime(numbers, numbers.rules.enough_coverage)
    figure = INSUFFICIENT if uptime is None else f"{percent(uptime, 2)} in 30 d"
    return "no data" if uptime is None else state, figure if state == "up" else f"{state}, {figure}"


def _lowest_uptime(numbers: Report, enough: Fraction) -> Fraction | None:
    """None where any target was seen too little of."""
    windows = [target.windows.get(WINDOW) for target in numbers.targets.values()]
    known = [window.uptime for window in windows if window is not None and is_enough(window, enough)]
    if len(known) < len(windows):
        return None
    return min((uptime for uptime in known if uptime is not None), default=None)
