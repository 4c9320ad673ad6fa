"""The pages as a visitor's browser shows them, on a desk and on a phone, by day and by night."""

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
SERVING = re.compile(r"^serving (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
DAYS = 60
PAGES = (("Overview", 7), ("Products", 3), ("Customers", 4), ("Data quality", 1), ("Operations", 0))
FIRST_VISIT_BYTES = 4_000_000
DESK, PHONE = (1360, 900), (390, 844)

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium"),
    pytest.mark.usefixtures("quiet_network"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shop")
    source, out = directory / "sales.csv", directory / "snapshot"
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(DAYS)]
    lines = [
        f"{n},P{n % 9},PRODUCT {n % 9},{1 + n % 4},{day} 10:00:00,1000.00,{n % 13},UK" for n, day in enumerate(days)
    ]
    returned = f"C1,P1,PRODUCT 1,-1,{days[1]} 11:00:00,1000.00,1,UK"
    source.write_text("\n".join([HEADER, *lines, returned]))
    subprocess.run([sys.executable, "-m", "etl", "--source", source, "--out", out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def url(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("log") / "log"
    options = ["--store", str(shop), "--port", "0", "--until-stdin-closes"]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "dashboard.serve", *options], stdin=subprocess.PIPE, stderr=out
        ) as process,
    ):
        while not (found := SERVING.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found.group(1)
        process.communicate(timeout=5)
        assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


class Visit:
    """One visitor's page, and what went wrong while it was open."""

    def __init__(self, browser: Browser, size: tuple[int, int], scheme: str) -> None:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url))

    def foreign(self, url: str) -> list[str]:
        own = (url, url.replace("http", "ws"), "data:", "blob:")
        return sorted(address for address in self.hosts if not address.startswith(own))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_is_whole_fits_its_screen_and_asks_no_other_host(
    browser: Browser, url: str, size: tuple[int, int], scheme: str
):
    visit = Visit(browser, size, scheme)
    page = visit.page
    page.goto(url)
    for name, charts in PAGES:
        if name != "Overview":
            page.get_by_role("link", name=name).click()
        expect(page.locator(".js-plotly-plot").filter(visible=True)).to_have_count(charts, timeout=30_000)
        expect(page.get_by_text("Data through 29 Feb 2024").filter(visible=True).first).to_be_visible()
        assert page.get_by_test_id("stException").count() == 0
        main = page.get_by_test_id("stMain")
        assert main.evaluate("area => area.scrollWidth - area.clientWidth") <= 0
    assert visit.errors == []
    assert visit.foreign(url) == []
    page.context.close()


@pytest.mark.parametrize(("size", "in_a_row"), [(DESK, 4), (PHONE, 2)], ids=["desk", "phone"])
def test_the_cards_are_readable_and_leave_no_orphan(browser: Browser, url: str, size: tuple[int, int], in_a_row: int):
    page = Visit(browser, size, "light").page
    page.goto(url)
    cards = page.get_by_test_id("stMetric")
    expect(cards).to_have_count(8, timeout=30_000)
    values = [page.get_by_test_id("stMetricValue").nth(place) for place in range(8)]
    # 28 days with one order each, of 1 to 4 pieces at 1,000, by 13 customers in turn
    assert [value.inner_text() for value in values] == [
        "£70.0k",
        "£70.0k",
        "£0",
        "28",
        "£2,500",
        "13",
        "0.0 %",
        "0.0 %",
    ]
    for value in values:
        assert value.evaluate("text => text.scrollWidth - text.clientWidth") <= 0
    tops = [box["y"] for place in range(8) if (box := cards.nth(place).bounding_box())]
    assert {tops.count(top) for top in tops} == {in_a_row}
    page.context.close()


def test_the_period_stands_in_one_line_on_a_phone(browser: Browser, url: str):
    page = Visit(browser, PHONE, "light").page
    page.goto(url)
    expect(page.get_by_role("radio", name="Custom")).to_be_visible(timeout=30_000)
    period = page.locator(".st-key-period").get_by_role("radio")
    expect(period).to_have_count(7)
    assert len({box["y"] for choice in period.all() if (box := choice.bounding_box())}) == 1
    page.context.close()


@pytest.mark.parametrize(("size", "months_in_a_row"), [(DESK, 2), (PHONE, 2)], ids=["desk", "phone"])
def test_a_day_of_the_calendar_is_big_enough_to_point_at_and_told_when_it_is(
    browser: Browser, url: str, size: tuple[int, int], months_in_a_row: int
):
    page = Visit(browser, size, "dark").page
    page.goto(url)
    months = page.locator(".cal-m")
    expect(months).to_have_count(2, timeout=30_000)  # January and February
    # Until the style is there, months stand below each other.
    page.wait_for_function(
        "count => { const months = [...document.querySelectorAll('.cal-m')];"
        " const tops = months.map(month => month.getBoundingClientRect().top);"
        " return tops.filter(top => top === tops[0]).length === count }",
        arg=months_in_a_row,
        timeout=15_000,
    )
    day = page.locator(".cal-m i").nth(1)
    box = day.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 10
    day.hover()
    told = day.evaluate("day => getComputedStyle(day, '::after').content")
    assert told == '"Tue 2 Jan: £1,000.00"'
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_has_the_numbers_on_white_and_nothing_to_click(browser: Browser, url: str, scheme: str):
    page = Visit(browser, DESK, scheme).page
    page.goto(url)
    expect(page.locator(".js-plotly-plot")).to_have_count(7, timeout=30_000)
    page.emulate_media(media="print")
    assert page.locator("button:visible, input:visible, a:visible").count() == 0
    assert page.get_by_test_id("stMetric").filter(visible=True).count() == 8
    paper = page.locator(".stApp").evaluate("page => getComputedStyle(page).backgroundColor")
    ink = page.get_by_test_id("stMetricValue").first.evaluate("value => getComputedStyle(value).color")
    assert paper == "rgb(255, 255, 255)"
    assert max(int(part) for part in re.findall(r"\d+", ink)) < 64
    assert page.pdf().startswith(b"%PDF")
    page.context.close()


def test_the_address_follows_the_filters_and_a_copy_of_it_shows_the_same(browser: Browser, url: str):
    page = Visit(browser, DESK, "light").page
    page.goto(url)
    page.get_by_role("radio", name="7d").click()
    expect(page).to_have_url(f"{url}/?period=7d")
    expect(page.get_by_text("23 Feb \N{EN DASH} 29 Feb 2024")).to_be_visible()
    page.get_by_role("link", name="Products").click()
    expect(page.get_by_text("All products")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page).to_have_url(f"{url}/?period=7d")
    copy = Visit(browser, DESK, "light").page
    copy.goto(page.url)
    expect(copy.get_by_text("23 Feb \N{EN DASH} 29 Feb 2024")).to_be_visible(timeout=30_000)
    page.context.close()
    copy.context.close()


def test_the_numbers_of_a_card_come_as_a_file(browser: Browser, url: str):
    page = Visit(browser, DESK, "light").page
    page.goto(f"{url}/?period=7d")
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV").first.click()
    lines = Path(started.value.path()).read_text("utf-8").splitlines()
    assert started.value.suggested_filename == "net-sales.csv"
    assert len(lines) == 8
    assert lines[0].startswith("first,last,days,partial,gross_sales,")
    assert lines[-1].startswith("2024-02-29,2024-02-29,1,False,4000.00,")
    page.context.close()


@pytest.mark.parametrize("path", ["products", "cards"])
def test_a_first_visit_by_a_deep_link_shows_a_page(browser: Browser, shop: Path, path: str):
    options = ["--store", str(shop), "--port", "0", "--until-stdin-closes"]
    with subprocess.Popen(
        [sys.executable, "-m", "dashboard.serve", *options], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        found = SERVING.match(process.stderr.readline())
        assert found
        page = Visit(browser, DESK, "light").page
        page.goto(f"{found.group(1)}/{path}")
        expect(page.get_by_text("Data through 29 Feb 2024").filter(visible=True).first).to_be_visible(timeout=30_000)
        page.context.close()
        process.communicate(timeout=5)


def test_a_first_visit_is_small_on_the_wire(browser: Browser, url: str):
    page = Visit(browser, DESK, "light").page
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    taken: list[float] = []
    network.on("Network.loadingFinished", lambda event: taken.append(event["encodedDataLength"]))
    page.goto(url)
    expect(page.locator(".js-plotly-plot")).to_have_count(7, timeout=30_000)
    page.wait_for_timeout(500)
    assert 1_000_000 < sum(taken) < FIRST_VISIT_BYTES
    page.context.close()


def asked(url: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers (names in lower case) of an answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with closing(connection), connection.getresponse() as response:
        return response.status, {name.lower(): value for name, value in response.getheaders()}


SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_the_server_lets_in_whom_it_should(url: str):
    status, headers = asked(url, "/healthz")
    assert (status, headers["x-content-type-options"]) == (200, "nosniff")
    assert "sha256-" in headers["content-security-policy"]
    assert asked(url, "/", Host="evil.example")[0] == 421
    assert asked(url, "/_stcore/metrics", X_Forwarded_For="198.51.100.7")[0] == 404
    assert asked(url, "/_stcore/stream", **SOCKET, Origin="https://evil.example")[0] == 403
    assert asked(url, "/_stcore/stream", **SOCKET, Origin=url)[0] == 101


AXE = Path(__file__).resolve().parents[1] / ".axe" / "package" / "axe.min.js"
NOT_OURS = ["[data-testid=stMetric] svg"]  # the marks of Streamlit's sparklines have roles, and no names
BAD = {"serious", "critical"}
PATHS = ["", "products", "products?sku=P1", "customers", "quality", "operations"]


def _opened(page: Page, address: str) -> None:
    """Twice where it must be: on a busy machine Chromium gives up a page that it has not loaded, and says nothing."""
    page.goto(address)
    figures = page.get_by_test_id("stMetric").first
    try:
        expect(figures).to_be_visible(timeout=30_000)
    except AssertionError:
        page.reload()
        expect(figures).to_be_visible(timeout=30_000)


@pytest.mark.skipif(not AXE.exists(), reason="there is no axe-core: make axe")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_shuts_out_who_hears_it_or_sees_little_contrast(browser: Browser, url: str, scheme: str):
    context = browser.new_context(
        viewport={"width": DESK[0], "height": DESK[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # for axe-core itself
    )
    found = []
    for path in PATHS:
        page = context.new_page()
        _opened(page, f"{url}/{path}")
        page.wait_for_timeout(1500)
        page.add_script_tag(path=str(AXE))
        report = page.evaluate("hidden => axe.run({exclude: hidden}, {resultTypes: ['violations']})", NOT_OURS)
        bad = (each for each in report["violations"] if each["impact"] in BAD)
        found += [(path, each["id"], node["html"][:80]) for each in bad for node in each["nodes"]]
        page.close()
    context.close()
    assert found == []
