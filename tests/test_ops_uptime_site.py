"""The status page: valid, without script or another host, and the same figures as uptime.md."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from ops.uptime.display.markdown import as_markdown
from ops.uptime.display.site import as_html
from ops.uptime.latency import Latency
from ops.uptime.schedule import Schedule
from tests.made_reports import NOTHING, NOW, days, incident, nothing_known, realistic, report, same, seen, target

CHROMIUM = Path("/usr/bin/chromium")
HARMLESS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div", "p", "span"),
    *("h1", "h2", "bdi", "strong", "small", "code", "a", "br", "svg", "g", "path", "text", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary", "dl", "dt", "dd"),
}
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Read(HTMLParser):
    """The elements of a page with their attributes, the text of each, and what was closed wrongly."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.wrong, self.ids = [], [], [], []
        self.feed(html)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "path": [each["tag"] for each in self.open]}
        self.elements.append(element)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if self.open and self.open[-1]["tag"] == tag:
            self.open.pop()
        else:
            self.wrong.append(tag)

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attrs):
        wanted = {"class" if name == "kind" else name: value for name, value in attrs.items()}
        return [e for e in self.elements if e["tag"] == tag and wanted.items() <= e["attrs"].items()]

    def texts(self, tag, **attrs):
        return [" ".join(element["text"].split()) for element in self.all(tag, **attrs)]


def page(targets=None, *, freshness=None, warnings=(), **changes):
    return Read(as_html(report(targets, **changes), freshness=freshness, warnings=warnings))


def only(**changes):
    return page({"dashboard": target(**changes)})


ALL_KINDS = [
    report({}, samples=0, first=None, last=None, digest="", schedule=Schedule(0, 0, None, None, None)),
    report({"dashboard": nothing_known()}),
    report({"dashboard": target(windows={}, days=days(count=1), latency=Latency(NOTHING, {}), seen_by={})}, samples=1),
    report({f"shop-{n}": target(status="down" if n % 7 == 0 else "up") for n in range(40)}),
    realistic(),
]
NAMES = ["no target", "nothing known", "one sample", "forty targets", "realistic"]


@pytest.mark.parametrize("numbers", ALL_KINDS, ids=NAMES)
def test_every_element_is_closed_and_every_name_is_there_once(numbers):
    html = as_html(numbers)
    found = Read(html)
    assert html.startswith("<!DOCTYPE html>\n")
    assert found.wrong == []
    assert len(found.ids) == len(set(found.ids))
    for element in found.elements:
        assert element["attrs"].get("aria-labelledby", found.ids[0]) in found.ids


@pytest.mark.parametrize("numbers", ALL_KINDS, ids=NAMES)
def test_the_page_needs_no_script_and_no_other_file(numbers):
    found = Read(as_html(numbers))
    assert {element["tag"] for element in found.elements} <= HARMLESS
    addresses = [element["attrs"] for element in found.elements if {"src", "href"} & set(element["attrs"])]
    assert addresses == [{"href": "../uptime.md"}]
    assert not re.search(r"url\(|@import", as_html(numbers))
    assert not [name for element in found.elements for name in element["attrs"] if name.startswith("on")]


def test_the_policy_allows_nothing_but_style():
    policy = page().all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["attrs"]["content"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def test_it_can_be_read_out():
    found = Read(as_html(realistic(), freshness="x", warnings=["y"]))
    assert found.all("html")[0]["attrs"]["lang"] == "en"
    assert len(found.all("h1")) == len(found.all("main")) == len(found.all("header")) == 1
    assert {element["attrs"].get("scope") for element in found.all("th")} == {"col", "row"}
    assert all("aria-labelledby" in element["attrs"] for element in found.all("section"))
    for picture in found.all("svg"):
        assert picture["attrs"].get("aria-hidden") == "true" or (
            picture["attrs"]["role"] == "img" and picture["attrs"]["aria-label"]
        )
    signs = [element for element in found.all("span") if element["attrs"].get("class", "").startswith("sign")]
    assert {element["attrs"]["aria-hidden"] for element in signs} == {"true"}


@pytest.mark.parametrize(
    ("state", "sign", "colour"),
    [
        ("up", "✓", "up"),
        ("degraded", "!", "degraded"),
        ("down", "✕", "down"),
        ("unknown", "?", "unknown"),
        ("no data", "-", "nodata"),
    ],
)
def test_a_state_is_told_by_word_and_sign_and_not_by_colour_alone(state, sign, colour):
    found = only(status=state)
    assert [span["text"] for span in found.all("span", kind=f"sign {colour}")] == [sign, sign]
    assert f"{state.capitalize()} since 12:07 UTC on 13 Oct 2026" in found.texts("body")[0]


def test_planned_maintenance_is_shown_with_its_reason():
    found = only(status="down", planned="new disk")
    assert found.texts("h1") == ["mdashboard is under maintenance"]
    assert "Now is maintenance: new disk" in found.texts("p")


def test_the_figures_are_those_of_the_text():
    numbers = realistic()
    text = as_markdown(numbers)
    in_text = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| (24h|7d|30d|90d) ", line)
    ]
    rows = [row for row in Read(as_html(numbers)).texts("tr") if re.match(r"24h|7d|30d|90d", row)]
    assert len(rows) == 12
    assert [row.replace(" ", "") for row in rows] == ["".join(cells).replace(" ", "") for cells in in_text]


def test_milliseconds_by_phase_are_there():
    rows = only().texts("tr")
    assert "dns39182" in rows
    assert "total277912" in rows


def test_an_incident_is_told_in_plain_words():
    found = only(incidents=[incident()])
    assert found.texts("li")[-1].split(". ")[0] == (
        "dashboard: Down between 05:30 and 07:00 UTC on 22 Nov 2026, for 30 min to 1 h 30 min: the page raised "
        "ValueError"
    )
    assert found.texts("code") == [
        "script_done / script_exception",
        "20261121-a1b2c3d",
        "ValueError: no such snapshot",
    ]
    assert found.texts("section", **{"aria-labelledby": "incidents"})[0].endswith("ValueError: no such snapshot")


def test_an_incident_that_goes_on_has_a_sign():
    def signs(**changes):
        item = only(incidents=[incident(**changes)]).texts("li")[-1]
        return item.startswith("✕")

    assert signs(first_good=None)
    assert not signs()


def test_an_incident_of_which_nothing_is_recorded_has_no_empty_line():
    found = only(incidents=[incident(stage=None, reason=None, detail=None, release=None)])
    assert found.texts("code") == []
    assert "" not in found.texts("p")


def test_without_incidents_it_says_so_and_with_many_how_many_more_there_are():
    assert "None." in only().texts("p")
    many = only(incidents=[incident()] * 12)
    assert len(many.all("ol")[0]["text"].split("Down between")) == 11
    assert "2 more are in the record." in many.texts("p")


def test_freshness_and_warnings_are_shown_where_there_are_any():
    found = page(freshness="freshness: late: generated 31 h ago", warnings=["the last commit", "two"])
    assert "Late: generated 31 h ago" in found.texts("p")
    assert "The last commit" in found.texts("p")
    assert {"Warning", "The data"} <= set(found.texts("h2"))
    assert not {"Warning", "The data"} & set(page().texts("h2"))


def test_it_says_how_old_the_figures_are_and_what_that_means():
    said = " ".join(page().texts("header"))
    assert "As of 12:07 UTC on 22 Nov 2026. A look is due every 30 min: if this is much longer ago, nobody" in said


def test_a_vantage_point_that_fell_silent_is_named():
    found = only(seen_by={"github": NOW, "laptop": NOW - timedelta(days=2)})
    assert "laptop has not looked since 12:07 UTC on 20 Nov 2026." in found.texts("p")
    assert "Seen by github, laptop." in found.texts("p")


def test_too_little_data_is_said_in_place_of_a_figure():
    rows = only(windows=same(seen(49, 0, 51))).texts("tr")
    assert sum("insufficient data" in row for row in rows) == 4


def test_the_link_goes_where_the_text_is():
    assert 'href="../../report.md"' in as_html(report(), report_at="../../report.md")


def test_the_same_report_is_the_same_page_of_an_even_size():
    assert as_html(realistic()) == as_html(realistic())
    assert len(as_html(realistic()).encode()) % 128 == 0


HOSTILE = [
    "</title></style></script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</svg></bdi></code><iframe src=//h>",
    "&lt;b&gt;{{ 7 * 7 }}<!-- -->",
    "\u202eabc\u2066 שלום 😀\x00\x1b[31m\ud800",
    "x" * 5000,
]


@pytest.mark.parametrize("words", HOSTILE)
def test_words_from_outside_stay_words_wherever_they_stand(words):
    def numbers(words):
        hostile = target(
            status="down",
            planned=words,
            seen_by={words: NOW, words + "2": NOW - timedelta(days=1)},
            incidents=[incident(detail=words, release=words, stage=words, reason=words)],
        )
        return report({words: hostile, "b": target()}, digest=words)

    hostile = as_html(numbers(words), freshness=words, warnings=[words])
    calm = as_html(numbers("word"), freshness="word", warnings=["word"])
    assert shape(hostile) == shape(calm)
    hostile.encode()


def shape(html):
    found = Read(html)
    assert found.wrong == []
    return [(element["tag"], sorted(element["attrs"]), element["path"]) for element in found.elements]


@pytest.mark.usefixtures("quiet_network")
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium")
def test_a_browser_shows_it_without_a_complaint_a_request_or_a_scroll_bar_on_a_phone(tmp_path):
    seen_by_browser = []
    words = HOSTILE[0] * 3
    hostile = report({"a" * 40: target(incidents=[incident(detail=words)]), **realistic().targets})
    pages = {f"{n}.html": as_html(numbers, freshness=words) for n, numbers in enumerate([*ALL_KINDS, hostile])}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        tab.on("console", lambda message: seen_by_browser.append(message.text))
        tab.on("request", lambda request: seen_by_browser.append(request.url))
        for name, html in pages.items():
            (tmp_path / name).write_text(html, "utf-8")
            tab.goto((tmp_path / name).as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, name
            assert tab.evaluate("document.compatMode") == "CSS1Compat"
        browser.close()
    assert seen_by_browser == [(tmp_path / name).as_uri() for name in pages]
