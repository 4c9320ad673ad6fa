"""Who is let in to the page: by tables, and by a browser at a real server with a real provider."""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard.sign_in import Door, bearer, secrets_toml, shows_key, standing
from dashboard.way_back import LONGEST, WayBack, is_way, way_kept, way_of
from etl.errors import SettingsError
from ops.settings import SignInSettings
from ops.uptime.probe import Wanted, probe
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COOKIE_SECRET = "signs-the-cookies-of-this-test-run"
TOKEN = "what-the-probe-shows-in-these-tests"
RULES = SignInSettings(
    issuer="https://id.example",
    client_id=CLIENT_ID,
    public_url="https://shop.example",
    mail_domains=("example.com", "Example.ORG"),
    client_secret=CLIENT_SECRET,
    cookie_secret=COOKIE_SECRET,
    probe_token=TOKEN,
)
ANN = {"is_logged_in": True, "iat": NOW.timestamp() - 60, "email": "ann@example.com", "email_verified": True}
CHROMIUM = Path("/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium")
LINES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,A,TEAPOT,2,2024-02-28 10:00:00,3.50,100,UK
2,B,CUP,1,2024-02-29 11:00:00,1.25,101,UK
"""
PATIENCE_MS = 20_000


@pytest.mark.parametrize("mail", ["ann@example.com", "ann@EXAMPLE.com", "ann@example.org"])
def test_who_has_a_verified_address_of_a_named_domain_is_let_in(mail: str) -> None:
    assert standing({**ANN, "email": mail}, RULES, NOW).door is Door.OPEN


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "ann@example.com.evil.net"},
        {"email": "ann@evil-example.com"},
        {"email": "ann@sub.example.com"},
        {"email": "ann@example.com@evil.net"},
        {"email": "ann@evil.net@example.com"},
        {"email": "example.com"},
        {"email": ""},
        {"email": None},
        {"email": ["ann@example.com"]},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "false"},
        {"email_verified": 1},
        {"iat": None},
        {"iat": "yesterday"},
        {"iat": True},
    ],
)
def test_whoever_else_has_signed_in_is_kept_out_and_told_why(claims: dict[str, Any]) -> None:
    found = standing({**ANN, **claims}, RULES, NOW)
    assert found.door is Door.CLOSED
    assert found.words


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {**ANN, "is_logged_in": False},
        {**ANN, "is_logged_in": "yes"},
        {**ANN, "iat": (NOW - timedelta(hours=24)).timestamp()},
        {**ANN, "iat": (NOW + timedelta(hours=1)).timestamp()},
        {**ANN, "iat": float("nan")},
        {**ANN, "iat": 1e300},
    ],
)
def test_who_has_not_signed_in_or_did_so_too_long_ago_is_asked_to(claims: dict[str, Any]) -> None:
    assert standing(claims, RULES, NOW).door is Door.SIGN_IN


def test_a_provider_that_does_not_speak_of_verification_is_trusted_only_where_the_settings_say_so() -> None:
    trusting = RULES.model_copy(update={"unsaid_is_verified": True})
    unsaid = {name: value for name, value in ANN.items() if name != "email_verified"}
    assert standing(unsaid, trusting, NOW).door is Door.OPEN
    assert standing({**ANN, "email_verified": False}, trusting, NOW).door is Door.CLOSED


@pytest.mark.parametrize(
    ("header", "keys", "known"),
    [
        (bearer(TOKEN), ["other", TOKEN], True),
        (bearer(TOKEN), ["other"], False),
        (bearer(""), ["", ""], False),
        (None, [""], False),
        (TOKEN, [TOKEN], False),
        (f"Basic {TOKEN}", [TOKEN], False),
        (bearer(TOKEN + "x"), [TOKEN], False),
        (bearer("\N{KEY}"), [TOKEN], False),
    ],
)
def test_a_key_is_known_only_whole_and_as_bearer(header: str | None, keys: list[str], known: bool) -> None:  # noqa: FBT001 - a table
    assert shows_key(header, *keys) is known


def test_streamlit_is_told_the_provider_and_the_address_to_come_back_to() -> None:
    told = tomllib.loads(secrets_toml(RULES))["auth"]
    assert told == {
        "redirect_uri": "https://shop.example/oauth2callback",
        "cookie_secret": COOKIE_SECRET,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "server_metadata_url": "https://id.example/.well-known/openid-configuration",
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"client_secret": ""}, "KPI_SIGN_IN__CLIENT_SECRET is missing"),
        ({"cookie_secret": ""}, "KPI_SIGN_IN__COOKIE_SECRET is missing"),
        ({"cookie_secret": "short"}, "KPI_SIGN_IN__COOKIE_SECRET has 5 characters"),
        ({"probe_token": "guessed"}, "KPI_SIGN_IN__PROBE_TOKEN has 7 characters"),
    ],
)
def test_a_secret_that_is_missing_or_can_be_guessed_is_told_without_being_repeated(
    changed: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        secrets_toml(RULES.model_copy(update=changed))
    assert said in str(caught.value)
    assert CLIENT_SECRET not in str(caught.value)
    assert not [value for value in changed.values() if value and value in str(caught.value)]


@pytest.mark.parametrize(
    ("referer", "way"),
    [
        ("https://shop.example/products?period=90d&q=tea%20pot", "/products?period=90d&q=tea%20pot"),
        ("https://shop.example/", "/"),
        ("https://shop.example//evil.net/", ""),
        ("https://shop.example/\\evil.net", ""),
        ("https://evil.net/products", ""),
        ("https://shop.example:99999/", ""),
        ("https://[::1/", ""),
        ("https://shop.example/" + "a" * LONGEST, ""),
        ("", ""),
    ],
)
def test_only_a_page_of_this_server_is_come_back_to(referer: str, way: str) -> None:
    assert way_of(referer, "shop.example") == way


@pytest.mark.parametrize(
    "way", ["//evil.net", "/\\evil.net", "https://evil.net", "", "/a\r\nSet-Cookie: b", "/a b", "/é"]
)
def test_a_way_that_leads_elsewhere_is_none(way: str) -> None:
    assert not is_way(way)


@pytest.mark.parametrize(
    ("cookies", "way"),
    [
        ("a=b; kpi_way_back=%2Fproducts%3Fperiod%3D90d; c=d", "/products?period=90d"),
        ("kpi_way_back=%2F%2Fevil.net", ""),
        ("kpi_way_back=", ""),
        ("", ""),
        ("\x00;;=;kpi_way_back", ""),
    ],
)
def test_of_the_kept_way_only_one_that_stays_here_is_taken(cookies: str, way: str) -> None:
    assert way_kept(cookies) == way


@pytest.mark.anyio
@pytest.mark.parametrize("secure", [True, False])
async def test_cookies_keep_off_plain_connections_where_the_page_is_reached_by_https(secure: bool) -> None:  # noqa: FBT001 - a table
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 302, "headers": [(b"Set-Cookie", b"a=b; Path=/")]})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/oauth2callback", "headers": []}
    await WayBack(app, secure=secure)(scope, None, send)  # type: ignore[arg-type]
    cookies = [value for name, value in sent[0]["headers"] if name.lower() == b"set-cookie"]
    assert len(cookies) == 2
    assert [b"; Secure" in cookie for cookie in cookies] == [secure, secure]


# --- a real server, a real provider, a real browser ------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shop")
    source, out = directory / "sales.csv", directory / "snapshot"
    source.write_text(LINES)
    subprocess.run([sys.executable, "-m", "etl", "--source", source, "--out", out], check=True, capture_output=True)
    return out


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment(provider: Provider, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "KPI_SIGN_IN__ISSUER": provider.issuer,
        "KPI_SIGN_IN__CLIENT_ID": CLIENT_ID,
        "KPI_SIGN_IN__PUBLIC_URL": f"http://127.0.0.1:{port}",
        "KPI_SIGN_IN__MAIL_DOMAINS": '["example.com"]',
        "KPI_SIGN_IN__CLIENT_SECRET": CLIENT_SECRET,
        "KPI_SIGN_IN__COOKIE_SECRET": COOKIE_SECRET,
        "KPI_SIGN_IN__PROBE_TOKEN": TOKEN,
    }


@contextmanager
def server(shop: Path, log: Path, environ: dict[str, str], port: int) -> Iterator[str]:
    options = ["--store", str(shop), "--port", str(port), "--until-stdin-closes"]
    command = [sys.executable, "-m", "dashboard.serve", *options]
    with log.open("ab") as out, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=out, env=environ) as process:
        try:
            while not re.search(rf"^serving (http://127\.0\.0\.1:{port})$", log.read_text(), re.MULTILINE):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
            process.communicate(timeout=10)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as made:
        yield made


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture(scope="module")
def url(shop: Path, log: Path, provider: Provider) -> Iterator[str]:
    port = free_port()
    with server(shop, log, environment(provider, port), port) as served:
        yield served
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, provider: Provider, quiet_network: None) -> Iterator[Page]:  # noqa: ARG001 - held meanwhile
    provider.person = {"sub": "1", "email": "ann@example.com", "email_verified": True}
    provider.signed_in_s = None
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    context.close()
    assert provider.wrong == []


def asks_to_sign_in(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("Net sales")).to_have_count(0)
    expect(page.get_by_text("TEAPOT")).to_have_count(0)


def shows_numbers(page: Page) -> None:
    expect(page.get_by_text("Data through", exact=False).first).to_be_visible(timeout=PATIENCE_MS)


@needs_chromium
def test_a_link_is_come_back_to_after_sign_in_and_closed_again_after_sign_out(
    page: Page, url: str, provider: Provider, log: Path
) -> None:
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
    page.goto(f"{url}/products?period=all")
    asks_to_sign_in(page)
    page.get_by_role("button", name="Sign in").click()
    shows_numbers(page)
    expect(page.get_by_text("TEAPOT").first).to_be_visible(timeout=PATIENCE_MS)
    assert urlsplit(page.url).path == "/products"
    assert "period=all" in page.url
    left = provider.signed_out
    page.get_by_role("button", name="Sign out").click()
    asks_to_sign_in(page)
    assert provider.signed_out == left + 1
    assert problems == []
    assert "ann@" not in log.read_text()


@needs_chromium
def test_a_stranger_is_told_why_the_page_stays_closed_and_can_leave(page: Page, url: str, provider: Provider) -> None:
    provider.person = {"sub": "2", "email": "eve_*b*@evil.net", "email_verified": True}
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("eve_*b*@evil.net may not see this page", exact=False)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("Net sales")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    asks_to_sign_in(page)


@needs_chromium
def test_who_says_no_to_the_provider_is_asked_again(page: Page, url: str, provider: Provider) -> None:
    provider.person = None
    page.goto(f"{url}/customers")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/customers")
    asks_to_sign_in(page)


@needs_chromium
def test_who_signed_in_too_long_ago_signs_in_again(page: Page, url: str, provider: Provider) -> None:
    provider.signed_in_s = time.time() - 25 * 3600
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Your sign-in has ended", exact=False)).to_be_visible(timeout=PATIENCE_MS)
    provider.signed_in_s = None
    page.get_by_role("button", name="Sign in").click()
    shows_numbers(page)


@needs_chromium
def test_a_changed_cookie_is_no_sign_in(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    shows_numbers(page)
    kept = {cookie["name"]: cookie for cookie in page.context.cookies()}
    value = kept["_streamlit_user"]["value"]
    middle = len(value) // 3
    forged = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    page.context.add_cookies([{"name": "_streamlit_user", "value": forged, "url": url}])
    page.goto(url)
    asks_to_sign_in(page)


@pytest.mark.usefixtures("quiet_network")
@needs_chromium
def test_who_began_to_sign_in_at_one_release_ends_it_at_the_next(
    browser: Browser, shop: Path, tmp_path: Path, provider: Provider
) -> None:
    provider.person = {"sub": "1", "email": "ann@example.com", "email_verified": True}
    port, log = free_port(), tmp_path / "log"
    context = browser.new_context()
    page = context.new_page()
    with server(shop, log, environment(provider, port), port) as url:
        page.goto(f"{url}/customers")
        page.get_by_role("button", name="Sign in").click()
        shows_numbers(page)
    log.unlink()
    with server(shop, log, environment(provider, port), port) as url:
        page.goto(f"{url}/customers")
        shows_numbers(page)
    context.close()


@pytest.mark.parametrize(("key", "verdict"), [(TOKEN, "up"), ("", "degraded"), (TOKEN + "x", "degraded")])
def test_the_probe_is_let_in_by_its_token_alone(url: str, key: str, verdict: str) -> None:
    seen = probe(url, Wanted({"metric": 4}, ("Data through",)), 30, key=key)
    assert seen.verdict == verdict, seen
    assert "0 metric" in (seen.detail or "0 metric")


def test_the_probe_shows_its_token_to_nobody_that_it_is_sent_on_to() -> None:
    heard: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.2", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()

        class Redirecting(Elsewhere):
            def do_GET(self) -> None:
                heard.append(self.headers["Authorization"])
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.2:{other.server_port}/")
                self.send_header("Content-Length", "0")
                self.end_headers()

        with HTTPServer(("127.0.0.1", 0), Redirecting) as first:
            threading.Thread(target=first.serve_forever, args=(0.05,), daemon=True).start()
            probe(f"http://127.0.0.1:{first.server_port}/", Wanted(), 10, key=TOKEN)
            first.shutdown()
        other.shutdown()
    assert len(heard) >= 3  # the page, where it leads, and the websocket there
    assert set(heard) == {None}


def test_without_sign_in_no_address_gives_the_numbers(url: str) -> None:
    parts = urlsplit(url)
    for path in ("/", "/products", "/_stcore/health", "/media/a.csv", "/auth/login", "/oauth2callback?code=a&state=b"):
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request("GET", path)
        assert b"TEAPOT" not in connection.getresponse().read()
        connection.close()


def test_a_missing_secret_is_one_clear_error(shop: Path, provider: Provider) -> None:
    lacking = environment(provider, 0) | {"KPI_SIGN_IN__COOKIE_SECRET": ""}
    command = [sys.executable, "-m", "dashboard.serve", "--store", str(shop), "--port", "0"]
    done = subprocess.run(command, env=lacking, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "KPI_SIGN_IN__COOKIE_SECRET is missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert CLIENT_SECRET not in done.stderr
