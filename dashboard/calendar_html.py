"""A calendar as HTML: a strip for each year, each day as dark as it stands high. Pure.

HTML and not a chart: a screen as narrow as a phone gets the same days laid out as small months, without the server
being told how wide it is.
"""

import html
from itertools import groupby
from typing import Final

from dashboard import format as text
from dashboard.calendar_days import LEVELS, LOSS, NONE, QUIET, Calendar, CalendarDay, Measure
from dashboard.charts import ORDERS, RETURNS, SALES
from dashboard.views import WEEKDAYS

_COLOURS: Final[dict[Measure, str]] = {"Net sales": SALES, "Orders": ORDERS, "Returns": RETURNS}
_PAPER, _NIGHT, _INK, _GLOW = "#ffffff", "#0e131b", "#0b1220", "#ffffff"
# What is mixed into the measure's colour, and how much, from the lowest level to the highest.
_BY_DAY: Final = ((_PAPER, 0.78), (_PAPER, 0.5), (_PAPER, 0.12), (_INK, 0.3), (_INK, 0.62))
_BY_NIGHT: Final = ((_NIGHT, 0.72), (_NIGHT, 0.48), (_NIGHT, 0.1), (_GLOW, 0.38), (_GLOW, 0.72))
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CANCELLED: Final = "record day that returns cancelled"
_NARROW_PX: Final = 620

# On a desk a month is up to six columns of weeks; where the card is narrow it is up to six rows of them.
_STYLE: Final = "".join(
    line.strip()
    for line in f"""
.cal{{container-type:inline-size;font-size:.8rem;line-height:1.35}}
.cal section{{position:relative;margin-bottom:.9rem}}
.cal section>b{{display:block;height:1.5rem}}
.cal-y{{display:grid;grid-template-columns:repeat(12,1fr);gap:.9rem .55rem;align-items:start}}
.cal-m>span{{display:block}}
.cal-m>div{{display:grid;grid-auto-flow:column;grid-template:repeat(7,auto)/repeat(6,1fr);gap:2px}}
.cal i{{aspect-ratio:1;border-radius:2px;box-sizing:border-box;min-width:0}}
{"".join(f".cal .w{day}{{grid-row-start:{day + 1}}}" for day in range(len(WEEKDAYS)))}
.cal .{QUIET}{{border:1px solid rgba(128,140,160,.35)}}
.cal .{NONE}{{background:rgba(128,140,160,.28)}}
.cal .{LOSS}{{background:repeating-linear-gradient(45deg,{RETURNS} 0 2px,transparent 2px 4px)}}
.cal .out{{padding:19%;background-clip:content-box}}
.cal .{QUIET}.out{{opacity:.5}}
.cal .rec{{outline:2px solid currentColor;outline-offset:1px}}
.cal-m i:hover{{outline:2px solid currentColor}}
.cal-m i:hover::after{{content:attr(data-d);position:absolute;top:0;right:0;font-style:normal;font-weight:600}}
.cal-k{{display:flex;flex-wrap:wrap;gap:.25rem .9rem}}
.cal-k span{{display:inline-flex;align-items:center;gap:.35rem}}
.cal-k i{{flex:none;width:.8rem;height:.8rem}}
.cal-k .out{{padding:.16rem}}
@container (max-width:{_NARROW_PX}px){{
.cal-y{{grid-template-columns:repeat(3,1fr);gap:.9rem 1rem}}
.cal-m{{grid-column:auto!important}}
.cal-m>div{{grid-auto-flow:row;grid-template:none/repeat(7,1fr)}}
{"".join(f".cal .w{day}{{grid-row-start:auto;grid-column-start:{day + 1}}}" for day in range(len(WEEKDAYS)))}
}}
@media print{{.cal i{{-webkit-print-color-adjust:exact;print-color-adjust:exact}}}}
""".splitlines()
)


def as_html(calendar: Calendar, currency: str) -> str:
    """The calendar with its own style sheet, the newest year first; a day under the pointer is told beside its year."""
    by_year = groupby(calendar.days, key=lambda day: day.day.year)
    years = [_year(year, list(days), calendar.measure, currency) for year, days in by_year]
    alt = html.escape(_alt(calendar, currency))
    style = _shades(_COLOURS[calendar.measure]) + _STYLE
    return (
        f'<div class="cal"><div role="img" aria-label="{alt}">{"".join(reversed(years))}</div>'
        f'<div class="cal-k">{_legend(calendar, currency)}</div></div><style>{style}</style>'
    )


def _year(year: int, days: list[CalendarDay], measure: Measure, currency: str) -> str:
    by_month = groupby(days, key=lambda day: day.day.month)
    months = "".join(_month(month, list(of_month), measure, currency) for month, of_month in by_month)
    return f'<section><b>{year}</b><div class="cal-y">{months}</div></section>'


def _month(month: int, days: list[CalendarDay], measure: Measure, currency: str) -> str:
    cells = "".join(_cell(day, measure, currency, begins=not place) for place, day in enumerate(days))
    return f'<div class="cal-m" style="grid-column:{month}"><span>{_MONTHS[month - 1]}</span><div>{cells}</div></div>'


def _cell(day: CalendarDay, measure: Measure, currency: str, *, begins: bool) -> str:
    """`begins`: it is the first of its month, which has to be put on its weekday; the others follow it."""
    weekday = day.day.weekday()
    looks = [_level(day.look), *["out"] * (not day.inside), *["rec"] * day.cancelled, *[f"w{weekday}"] * begins]
    name = f"{WEEKDAYS[weekday]} {day.day.day} {_MONTHS[day.day.month - 1]}"
    told = _told(day, measure, currency) + (f", a {_CANCELLED}" if day.cancelled else "")
    return f'<i class="{" ".join(looks)}" data-d="{name}: {html.escape(told)}"></i>'


def _level(look: str) -> str:
    return f"l{look}" if look.isdigit() else look


def _told(day: CalendarDay, measure: Measure, currency: str) -> str:
    if day.look == QUIET:
        return "no sale"
    if measure == "Orders":
        return "1 order" if day.value == 1 else f"{text.count(day.value)} orders"
    return text.money_exact(day.value, currency)


def _alt(calendar: Calendar, currency: str) -> str:
    days, measure = calendar.days, calendar.measure
    if not days:
        return "A calendar without days."
    top, quiet = max(days, key=lambda day: day.value), sum(day.look == QUIET for day in days)
    return (
        f"{measure} of each day, {text.span(days[0].day, days[-1].day)}. "
        f"Highest on {text.day(top.day)}: {_told(top, measure, currency)}. "
        f"Days without a sale: {text.count(quiet)}. Every day is in the CSV."
    )


def _legend(calendar: Calendar, currency: str) -> str:
    """What can be seen of it, and nothing else."""
    looks = {day.look for day in calendar.days}
    entries = [
        *_levels(calendar, currency),
        *[(NONE, "none")] * (NONE in looks),
        *[(LOSS, "below zero")] * (LOSS in looks),
        *[(QUIET, "no sale")] * (QUIET in looks),
        *[("l3 out", "outside the period")] * (not all(day.inside for day in calendar.days)),
        *[(f"l{LEVELS} rec", _CANCELLED)] * any(day.cancelled for day in calendar.days),
    ]
    return "".join(f'<span><i class="{look}"></i>{html.escape(name)}</span>' for look, name in entries)


def _levels(calendar: Calendar, currency: str) -> list[tuple[str, str]]:
    if not any(day.look.isdigit() for day in calendar.days):
        return []
    money = calendar.measure != "Orders"
    names = [text.money(edge, currency) if money else text.count_compact(edge) for edge in calendar.edges]
    told = [f"up to {name}" for name in names] + ["more" if names else calendar.measure.lower()]
    return [(f"l{LEVELS - len(names) + place}", name) for place, name in enumerate(told)]


def _shades(colour: str) -> str:
    """`light-dark` follows the theme of the page, and of paper; a browser that does not know it keeps the day's."""
    rules = []
    for level, (by_day, by_night) in enumerate(zip(_BY_DAY, _BY_NIGHT, strict=True), start=1):
        day, night = _mixed(colour, *by_day), _mixed(colour, *by_night)
        rules.append(f".cal .l{level}{{background:{day};background:light-dark({day},{night})}}")
    return "".join(rules)


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = ((int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(own * (1 - share) + mixed * share):02x}" for own, mixed in pairs)
