"""The pictures beside uptime.md: right, readable without colours and in both modes, changed by nothing but news."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

import pytest

from ops.badge import MARGIN_PX, badge, text_px
from ops.uptime.display.pictures import file_names, fitted, line, pictures, scale
from ops.uptime.display.words import MONTHS
from ops.uptime.latency import Percentiles
from ops.uptime.rules import Rules
from ops.uptime.summary import Day
from tests.made_reports import NOTHING, NOW, TODAY, days, nothing_known, realistic, report, same, seen, target

DAY_S = 24 * 3600
SVG = "{http://www.w3.org/2000/svg}"


def drawn(name="90d", **changes):
    return pictures(report({"dashboard": target(**changes)}))[f"dashboard-{name}.svg"]


def root_of(svg):
    return ET.fromstring(svg)


def texts(svg):
    return [text.text for text in root_of(svg).iter(f"{SVG}text")]


def day_groups(svg):
    """The group of each day: its title, and the class and path of its boxes."""
    groups = [group for group in root_of(svg).iter(f"{SVG}g") if group.find(f"{SVG}title") is not None]
    return [
        (group.find(f"{SVG}title").text, [(box.get("class"), box.get("d")) for box in group.findall(f"{SVG}path")])
        for group in groups
    ]


def test_each_target_has_two_pictures_and_all_have_a_badge():
    names = {
        f"{name}-{what}.svg" for name in ("api.shop", "dashboard", "www.shop-front") for what in ("90d", "response")
    }
    assert set(pictures(realistic())) == {"badge.svg", "badge.json", *names}
    assert set(pictures(report({}))) == {"badge.svg", "badge.json"}


def test_the_pictures_can_be_read_out_and_ask_no_other_host():
    for name, svg in pictures(realistic()).items():
        if name.endswith(".svg"):
            root = root_of(svg)
            assert root.get("role") == "img"
            assert root.get("aria-label") == root.find(f"{SVG}title").text
            assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]
            assert not re.search(r"url\(|@import|<script|href", svg.replace("url(#round)", ""))


def test_the_same_report_makes_the_same_pictures():
    assert pictures(realistic()) == pictures(realistic())


# --- 90 days ---------------------------------------------------------------------------------------------------------


def test_the_bar_has_a_box_for_each_day_in_its_order():
    found = day_groups(drawn())
    places = [int(re.match(r"M(\d+)", boxes[0][1])[1]) for _, boxes in found]
    assert len(found) == 90
    assert {after - before for before, after in pairwise(places)} == {5}
    left, _, width, _ = map(int, root_of(drawn()).get("viewBox").split())
    assert (places[0] - left, places[-1] + 4 - left) == (10, width - 11)


@pytest.mark.parametrize(
    ("window", "title"),
    [
        (seen(DAY_S), "uptime 100.000 %, coverage 100.0 %"),
        (seen(80_000, 0, 6_400), "uptime 100.000 %, coverage 92.5 %"),
        (seen(DAY_S - 3600, 0, 0, 3600), "uptime 100.000 %, coverage 100.0 %, maintenance 1 h"),
        (seen(DAY_S - 3600, 3600), "partly down, uptime 95.833 %, coverage 100.0 %"),
        (seen(0, DAY_S), "down, uptime 0.000 %, coverage 100.0 %"),
        (seen(600, 600, DAY_S - 1200), "partly down, insufficient data, coverage 1.3 %"),
        (seen(0, 0, DAY_S), "no data"),
        (seen(600, 0, DAY_S - 600), "insufficient data, coverage 0.6 %"),
        (seen(0, 0, 3600, DAY_S - 3600), "maintenance 23 h"),
        (seen(0, 0, 0, DAY_S), "maintenance 24 h"),
        (seen(1800, 0, 1800, DAY_S - 3600), "uptime 100.000 %, coverage 50.0 %, maintenance 23 h"),
        (seen(), "not yet seen"),
    ],
)
def test_a_day_says_its_date_its_uptime_and_its_coverage(window, title):
    assert day_groups(drawn(days=days(window)))[-2][0] == f"21 Nov 2026: {title}"


@pytest.mark.parametrize(
    ("window", "looks", "top_px", "bottom_px"),
    [
        (seen(DAY_S), ["u"], 0, 32),
        (seen(DAY_S - 1, 1), ["u", "d"], 0, 38),
        (seen(0, DAY_S), ["d"], 0, 38),
        (seen(0, 0, DAY_S), ["n"], 0.5, 31.5),
        (seen(0, 0, 0, DAY_S), ["m"], 16, 32),
        (seen(), ["b"], 30, 32),
    ],
)
def test_each_kind_of_day_has_a_form_of_its_own(window, looks, top_px, bottom_px):
    boxes = day_groups(drawn(days=days(window)))[0][1]
    edges = [re.fullmatch(r"M[\d.]+ ([\d.]+)h\dv([\d.]+)h-\dz", path).groups() for _, path in boxes]
    assert [kind for kind, _ in boxes] == looks
    assert float(edges[0][0]) == top_px
    assert float(edges[-1][0]) + float(edges[-1][1]) == bottom_px


def test_what_was_up_and_what_was_down_are_apart():
    up, down = day_groups(drawn(days=days(seen(50, 50))))[0][1]
    assert (up, down) == (("u", "M12140 0h4v6h-4z"), ("d", "M12140 7h4v31h-4z"))


def test_a_day_without_data_is_hollow():
    assert re.search(r"\.n\{fill:none;stroke:", drawn())


def test_the_more_of_a_day_was_down_the_more_of_it_hangs_down():
    def down_px(down_s):
        path = day_groups(drawn(days=days(seen(1000 - down_s, down_s))))[0][1][-1][1]
        return int(re.search(r"v(\d+)h", path)[1])

    depths = [down_px(down_s) for down_s in (1, 9, 10, 99, 100, 499, 500, 999, 1000)]
    assert depths == [13, 13, 18, 18, 24, 24, 31, 31, 38]


def test_the_legend_names_the_kinds_that_there_are():
    assert texts(drawn())[-1:] == ["up"]
    assert texts(drawn(days=days(count=3)))[-2:] == ["up", "not yet seen"]


def test_the_legend_has_room_for_every_kind():
    windows = [seen(9), seen(9, 1), seen(0, 9), seen(0, 0, 9), seen(0, 0, 0, 9)]
    some = [replace(one, window=window) for one, window in zip(days(count=5), windows, strict=True)]
    legend = [group for group in root_of(drawn(days=some)).iter(f"{SVG}g") if " 98)" in group.get("transform", "")]
    left = float(root_of(drawn(days=some)).get("viewBox").split()[0]) + 10
    names = [group.find(f"{SVG}text").text for group in legend]
    ends = [float(re.match(r"translate\((\S+)", group.get("transform"))[1]) - left + 10 for group in legend]
    assert names == ["up", "partly down", "down", "no data", "maintenance", "not yet seen"]
    assert ends[-1] + text_px(names[-1]) * 13 / 11 < 460


# --- when they change ------------------------------------------------------------------------------------------------


def test_a_run_in_which_nothing_happened_changes_no_picture():
    """The same day, half an hour later: more of today was seen, and every figure moved a little."""
    morning, noon = seen(40_000, 0, 500), seen(41_800, 0, 501)
    before = report({"a": target(days=[*days()[:-1], Day(TODAY, morning, Percentiles(270, 900))])})
    later = report(
        {"a": target(days=[*days()[:-1], Day(TODAY, noon, Percentiles(290, 4000))], windows=same(noon))},
        now=NOW + timedelta(minutes=30),
        samples=12_346,
        digest="ffffffffffff",
    )
    assert pictures(before) == pictures(later)


def test_a_new_day_changes_a_few_lines():
    tomorrow = Day(TODAY + timedelta(days=1), seen(600), Percentiles(270, 900))
    before = pictures(report({"a": target()}))
    later = pictures(report({"a": target(days=[*days()[1:], tomorrow])}, now=NOW + timedelta(days=1)))
    for name, allowed in (("a-90d.svg", 8), ("a-response.svg", 12)):
        old, new = set(before[name].splitlines()), set(later[name].splitlines())
        assert old != new
        assert len(new - old) <= allowed


def test_an_outage_today_changes_the_bar():
    def today(window):
        return drawn(days=[*days()[:-1], Day(TODAY, window, NOTHING)])

    assert len({today(seen(1000)), today(seen(991, 9)), today(seen(900, 100)), today(seen(0, 1000))}) == 4
    assert today(seen(993, 7)) == today(seen(991, 9))
    assert day_groups(today(seen(900, 100)))[-1][0] == "22 Nov 2026: partly down so far"


# --- response time ---------------------------------------------------------------------------------------------------


def paths(svg):
    return {path.get("class"): path.get("d") for path in root_of(svg).iter(f"{SVG}path")}


@pytest.mark.parametrize(
    ("highest_ms", "end_ms"),
    [(0, 100), (1, 20), (20, 20), (21, 40), (41, 100), (101, 200), (999, 1000), (1001, 2000), (90_000, 100_000)],
)
def test_the_axis_ends_at_a_round_figure_above_all(highest_ms, end_ms):
    assert scale(highest_ms) == end_ms


@pytest.mark.parametrize(
    ("p95_ms", "labels"),
    [(150, ["100 ms", "200 ms"]), (1500, ["1 s", "2 s"]), (900, ["500 ms", "1000 ms"]), (30_000, ["20 s", "40 s"])],
)
def test_the_axis_has_units(p95_ms, labels):
    found = texts(drawn("response", days=days(p50=100, p95=p95_ms)))
    assert found[-2:] == labels
    assert "0" in found
    assert {"Sep", "Oct", "Nov"} <= set(found)


@pytest.mark.parametrize(
    ("day", "months"),
    [(5, ["Sep", "Oct"]), (6, ["Sep", "Oct", "Nov"]), (26, ["Sep", "Oct", "Nov"]), (27, ["Oct", "Nov"])],
)
def test_a_month_is_named_where_there_is_room_for_it(day, months):
    numbers = report({"a": nothing_known()}, now=NOW.replace(day=day))
    assert [text for text in texts(pictures(numbers)["a-response.svg"]) if text in MONTHS] == months


def test_a_value_stands_where_it_belongs():
    first = TODAY - timedelta(days=1)
    assert line([(first, 25), (TODAY, 100)], 100) == line([(first, 25)], 100).removesuffix("h0") + "L12587 0"
    assert line([(TODAY, 0)], 100) == "M12587 100h0"
    assert line([], 100) == ""


def test_the_line_stops_where_there_is_no_data():
    some = [(TODAY + timedelta(days=n), ms) for n, ms in enumerate([10, 20, None, 30, None, None, 40, 50])]
    runs = line(some, 100).split(" M")
    assert [run.count("L") for run in runs] == [1, 0, 1]
    assert [run.endswith("h0") for run in runs] == [False, True, False]


def test_today_is_not_in_the_picture_of_response_times():
    assert [paths(drawn("response", days=days(count=count)))["a"].count("L") for count in (4, 3, 2)] == [2, 1, 0]
    assert paths(drawn("response", days=days(count=1)))["a"] == ""


def test_without_any_response_time_the_picture_says_so():
    svg = pictures(report({"a": nothing_known()}))["a-response.svg"]
    assert root_of(svg).get("aria-label") == "a, response time of good probes by day: no data"


def test_the_range_of_medians_is_read_out():
    some = [*days(p50=300)[:40], *days(p50=200)[40:]]
    assert root_of(drawn("response", days=some)).get("aria-label").endswith(": daily medians of 200 to 300 ms")


# --- names -----------------------------------------------------------------------------------------------------------


def test_files_are_named_after_targets_and_apart_where_case_does_not_count():
    assert file_names(["b", "a.b-c_D"]) == {"a.b-c_D": "a.b-c_D", "b": "b"}
    assert file_names(["Shop", "shop", "SHOP"]) == {"SHOP": "SHOP", "Shop": "Shop~2", "shop": "shop~3"}
    assert file_names(["a/b", "a b", "../x"]) == {"../x": ".._x", "a b": "a_b", "a/b": "a_b~2"}


def test_a_name_is_cut_where_there_is_no_room_for_it():
    assert fitted("shop", 200) == "shop"
    assert fitted("m" * 40, 200) == "m" * 15 + "…"
    found = pictures(report({"W" * 40: target()}))
    assert texts(found["W" * 40 + "-90d.svg"])[0] == "W" * 33 + "…"
    assert texts(found["W" * 40 + "-response.svg"])[0] == "W" * 13 + "…: response time"


def test_no_target_has_the_name_of_another_file():
    names = ["badge", "badge.svg", "index.html", "a", "a-90d", "a-90d.svg", "a-response"]
    assert len(pictures(report({name: target() for name in names}))) == 2 + 2 * len(names)


@pytest.mark.parametrize(
    "name", ['"><script>alert(1)</script>', "&amp;<b>", "\x00\x1b\ud800\u202e", "שלום 😀", "x" * 999]
)
def test_whatever_a_target_is_called_its_pictures_are_well_formed(name):
    found = pictures(report({name: target(), "b": target()}))
    for file, svg in found.items():
        assert re.fullmatch(r"[A-Za-z0-9_.~-]+", file)
        svg.encode()
        if file.endswith(".svg"):
            assert {element.tag.removeprefix(SVG) for element in root_of(svg).iter()} <= {
                "svg", "title", "style", "rect", "text", "g", "path", "clipPath"
            }  # fmt: skip


def test_forty_targets_have_their_pictures():
    assert len(pictures(report({f"shop-{n}": target() for n in range(40)}))) == 82


# --- colours ---------------------------------------------------------------------------------------------------------


def luminance(colour):
    full = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
    channels = [int(full[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def modes(svg):
    """The colours by name, in light and in dark mode."""
    light, dark = re.findall(r":root\{(.*?)\}", svg)
    return [dict(re.findall(r"--(\w+):(#\w+)", each)) for each in (light, dark)]


def test_there_are_colours_for_both_modes():
    assert "@media (prefers-color-scheme:dark){:root{" in drawn()
    light, dark = modes(drawn())
    assert set(light) == set(dark)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_and_graphics_can_be_told_from_what_is_behind_them(mode):
    colours = modes(drawn())[mode]
    for name in ("text", "muted", "link"):
        assert contrast(colours[name], colours["card"]) >= 4.5, name
        assert contrast(colours[name], colours["page"]) >= 4.5, name
    for name in ("up", "down", "degraded", "maintenance", "nodata", "median", "p95"):
        assert contrast(colours[name], colours["card"]) >= 3, name
        assert contrast(colours[name], colours["page"]) >= 3, name


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_up_and_down_differ_in_lightness_for_who_does_not_see_the_colour(mode):
    colours = modes(drawn())[mode]
    assert contrast(colours["up"], colours["down"]) >= 1.5


# --- the badge -------------------------------------------------------------------------------------------------------


def badge_of(**changes):
    return report({name: target(**each) for name, each in changes.items()})


@pytest.mark.parametrize(
    ("numbers", "text", "colour"),
    [
        (report({}), "no data", "lightgrey"),
        (badge_of(a={}), "100.00 % in 30 d", "brightgreen"),
        (badge_of(a={}, b={"windows": {"30d": seen(99_819, 181)}}), "99.81 % in 30 d", "brightgreen"),
        (badge_of(a={"status": "down"}, b={"status": "degraded"}), "down, 100.00 % in 30 d", "red"),
        (badge_of(a={"status": "degraded"}), "degraded, 100.00 % in 30 d", "orange"),
        (badge_of(a={"status": "down", "planned": "disk"}), "maintenance, 100.00 % in 30 d", "blue"),
        (badge_of(a={"status": "unknown"}), "unknown, 100.00 % in 30 d", "lightgrey"),
        (badge_of(a={"status": "no data"}), "no data, 100.00 % in 30 d", "lightgrey"),
        (badge_of(a={"windows": same(seen(49, 0, 51))}), "insufficient data", "lightgrey"),
        (badge_of(a={"windows": same(seen(49, 0, 51)), "status": "down"}), "down, insufficient data", "lightgrey"),
        (badge_of(a={}, b={"windows": same(seen(49, 0, 51))}), "insufficient data", "lightgrey"),
        (badge_of(a={"windows": {}}), "insufficient data", "lightgrey"),
    ],
)
def test_the_badge_says_the_loudest_state_and_the_lowest_uptime_and_is_grey_without_enough_data(numbers, text, colour):
    found = pictures(numbers)
    assert json.loads(found["badge.json"]) == {"schemaVersion": 1, "label": "uptime", "message": text, "color": colour}
    assert texts(found["badge.svg"]) == ["uptime", text]
    assert ("#616161" in found["badge.svg"]) == (colour == "lightgrey")


def test_how_much_coverage_is_enough_is_a_setting():
    numbers = report({"a": target(windows=same(seen(49, 0, 51)))}, rules=Rules(enough_coverage=Fraction(1, 4)))
    assert texts(pictures(numbers)["badge.svg"])[1] == "100.00 % in 30 d"


def test_the_badge_has_no_figure_where_nothing_was_seen_up_or_down():
    numbers = report({"a": target(windows=same(seen(0, 0, 100)))}, rules=Rules(enough_coverage=Fraction(0)))
    assert texts(pictures(numbers)["badge.svg"])[1] == "insufficient data"


def test_white_on_the_badge_can_be_read():
    for state in ("up", "degraded", "down", "unknown", "no data"):
        for colour in re.findall(r"#[0-9a-f]{6}", pictures(badge_of(a={"status": state}))["badge.svg"]):
            assert contrast(colour, "#fff") >= 4.5


@pytest.mark.parametrize(("narrow", "wide"), [("ill", "mmm"), ("...", "%%%"), ("fit", "WWW")])
def test_a_badge_is_as_wide_as_its_letters(narrow, wide):
    assert text_px(narrow) * 2 < text_px(wide)
    root = root_of(badge("a", wide, colour="#444444", title="t"))
    assert int(root.get("width")) == text_px("a") + text_px(wide) + 2 * MARGIN_PX
    assert [text.get("textLength") for text in root.iter(f"{SVG}text")] == [str(text_px("a")), str(text_px(wide))]


def test_letters_that_have_no_known_width_have_room():
    assert text_px("שלום") == 44
