"""The pictures beside uptime.md: each target's 90 days and response time, as small SVGs. Pure.

A day keeps its place from one day to the next (the view moves, not the days), and nothing tells when a picture was
made: a run in which nothing happened leaves the file as it was, and a new day changes a few lines of it.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import accumulate, groupby

from ops.badge import text_px
from ops.render import render
from ops.uptime.display.badge import as_badge, as_endpoint
from ops.uptime.display.days import DAYS_SHOWN, NAMES, Cell, Kind, cells, summary
from ops.uptime.display.words import MONTHS, outside
from ops.uptime.report import Report, TargetReport
from ops.uptime.summary import Day

BAR, RESPONSE = "uptime_90d.svg.j2", "uptime_response.svg.j2"
FIRST_PLACE = date(2020, 1, 1)
DAY_PX, BAR_PX, CHART_PX = 5, 32, 100
WIDTH_PX, NAME_PX = 450, 190  # of a picture, and of a name beside other words in it
DRIP_PX = 6  # what was down reaches so far below the line
DOWN_PX = {1: 7, 2: 12, 3: 18, 4: 25}  # of the bar, by depth
KEY_PX = 20  # what stands around a name in the legend
LETTERS = 13 / 11  # how large they are beside those of a badge
A_SECOND_MS = 1000
EMPTY_SCALE_MS = 100


def pictures(numbers: Report) -> dict[str, str]:
    """File name -> text: the badge as SVG and as JSON, NAME-90d.svg and NAME-response.svg for each target."""
    files = file_names(numbers.targets)
    drawn = {"badge.svg": as_badge(numbers), "badge.json": as_endpoint(numbers)}
    for name, target in numbers.targets.items():
        drawn[f"{files[name]}-90d.svg"] = render(BAR, bar=bar(name, target, numbers))
        drawn[f"{files[name]}-response.svg"] = render(RESPONSE, chart=chart(name, target, numbers))
    return drawn


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Name of a target -> what its files are called: apart from each other where case does not count, too."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        number = next(n for n in range(1, len(taken) + 2) if _numbered(safe, n).casefold() not in taken)
        found[name] = _numbered(safe, number)
        taken.add(found[name].casefold())
    return found


def _numbered(name: str, number: int) -> str:
    """`~` stands in no target's name, so no target has this one."""
    return name if number == 1 else f"{name}~{number}"


# --- 90 days ---------------------------------------------------------------------------------------------------------


def bar(name: str, target: TargetReport, numbers: Report) -> dict[str, object]:
    """What the template of the bar shows."""
    of = cells(target.days, today=numbers.now.date(), enough=numbers.rules.enough_coverage)
    return {
        "name": fitted(outside(name), WIDTH_PX),
        "label": f"{outside(name)}, {DAYS_SHOWN} days: {summary(of)}",
        "left": _place(of[0].date),
        "days": [{"title": cell.title, "marks": marks(cell.kind, cell.depth, _place(cell.date))} for cell in of],
        "legend": _legend(of),
    }


def marks(kind: Kind, depth: int, x: int = 0) -> list[dict[str, str]]:
    """The boxes of a day: each kind has a form of its own, so that nobody needs to tell the colours apart."""
    if kind == "partly":
        line_px = BAR_PX - DOWN_PX[depth]
        return [_box("u", x, 0, line_px - 1), _box("d", x, line_px, BAR_PX + DRIP_PX)]
    if kind == "down":
        return [_box("d", x, 0, BAR_PX + DRIP_PX)]
    if kind == "nodata":
        return [{"looks": "n", "path": f"M{x}.5 .5h3v{BAR_PX - 1}h-3z"}]
    if kind == "maintenance":
        return [_box("m", x, BAR_PX // 2, BAR_PX)]
    return [_box("u", x, 0, BAR_PX) if kind == "up" else _box("b", x, BAR_PX - 2, BAR_PX)]


def _box(looks: str, x: int, top: int, bottom: int) -> dict[str, str]:
    return {"looks": looks, "path": f"M{x} {top}h4v{bottom - top}h-4z"}


def _legend(of: Sequence[Cell]) -> list[dict[str, object]]:
    """The kinds that there are, how often, and where each stands in a line."""
    kinds = [kind for kind in NAMES if any(cell.kind == kind for cell in of)]
    widths = [text_px(NAMES[kind]) * LETTERS + KEY_PX for kind in kinds]
    before = accumulate(widths[:-1], initial=0.0)
    return [
        {
            "name": NAMES[kind],
            "count": sum(cell.kind == kind for cell in of),
            "x": round(x),
            "marks": marks(kind, 3 if kind == "partly" else 0),
        }
        for kind, x in zip(kinds, before, strict=True)
    ]


def fitted(text: str, room_px: int) -> str:
    """A text, cut where there is no room for all of it."""
    if text_px(text) * LETTERS <= room_px:
        return text
    return next(cut for n in range(len(text), -1, -1) if text_px(cut := f"{text[:n]}…") * LETTERS <= room_px)


def _place(of: date) -> int:
    return (of - FIRST_PLACE).days * DAY_PX


# --- response time ---------------------------------------------------------------------------------------------------


def chart(name: str, target: TargetReport, numbers: Report) -> dict[str, object]:
    """What the template of the response time shows. Today is left out: it would change with every run."""
    today = numbers.now.date()
    first = today - timedelta(days=DAYS_SHOWN - 1)
    over = [day for day in target.days if first <= day.date < today]
    highest_ms = max((day.latency.p95_ms or 0 for day in over), default=0)
    top_ms = scale(highest_ms)
    return {
        "name": f"{fitted(outside(name), NAME_PX)}: response time",
        "label": f"{outside(name)}, response time of good probes by day: {_range(over)}",
        "left": _place(first),
        "steps": [{"y": CHART_PX - CHART_PX * n // 2, "name": _ms(top_ms * n // 2, top_ms)} for n in (1, 2)],
        "months": _months(first, today),
        "median": line([(day.date, day.latency.p50_ms) for day in over], top_ms),
        "p95": line([(day.date, day.latency.p95_ms) for day in over], top_ms),
    }


def scale(highest_ms: int) -> int:
    """Where the axis ends: 2, 4 or 10 times a power of ten, so that it seldom moves and halves well."""
    ends = (step * 10**power for power in range(1, 12) for step in (2, 4, 10))
    return next(end for end in ends if end >= highest_ms) if highest_ms else EMPTY_SCALE_MS


def _ms(milliseconds: int, top_ms: int) -> str:
    if top_ms < 2 * A_SECOND_MS:
        return f"{milliseconds} ms"
    return f"{milliseconds / A_SECOND_MS:g} s"


def _range(of: Sequence[Day]) -> str:
    medians = sorted(day.latency.p50_ms for day in of if day.latency.p50_ms is not None)
    return f"daily medians of {medians[0]} to {medians[-1]} ms" if medians else "no data"


def _months(first: date, last: date) -> list[dict[str, object]]:
    """The months that begin in the picture, if there is room for their names."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [{"x": _place(day), "name": MONTHS[day.month - 1]} for day in days[3:-5] if day.day == 1]


def line(of: Sequence[tuple[date, int | None]], top_ms: int) -> str:
    """The path through the days that have a value; it stops where one has none. A day alone is a dot."""
    known = [(_place(day) + 2, CHART_PX - round(CHART_PX * ms / top_ms)) for day, ms in of if ms is not None]
    # Days that follow each other lie DAY_PX apart.
    runs = [
        [point for _, point in each] for _, each in groupby(enumerate(known), lambda one: one[1][0] - one[0] * DAY_PX)
    ]
    return " ".join(_run(each) for each in runs)


def _run(points: Sequence[tuple[int, int]]) -> str:
    path = "M" + "L".join(f"{x} {y}" for x, y in points)
    return path if len(points) > 1 else f"{path}h0"
