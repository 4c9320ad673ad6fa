"""The probe against real Streamlit servers: it must tell apart what a status code cannot."""

import inspect
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import pytest

from ops.uptime.__main__ import main
from ops.uptime.probe import Pages, Result, Wanted, probe
from ops.uptime.record import Sample
from tests.strange_servers import serving

# One script that is what its address says, one server for all of them.
ONE_PAGE = ("fine", "raising", "stopped", "shown", "replaced", "rerun", "endless")

APPS = {
    "one_page": """
        import time
        import streamlit as st

        def fine():
            st.title("Shop KPIs")
            for n, column in enumerate(st.columns(6)):
                column.metric(f"figure {n}", n)
            st.caption("Data through 2026-11-21")

        def raising():
            st.title("Shop KPIs")
            raise RuntimeError("no such snapshot")

        def stopped():
            st.error("The data cannot be read")
            st.stop()

        def shown():
            try:
                1 / 0
            except ZeroDivisionError as error:
                st.exception(error)

        def replaced():
            place = st.empty()
            place.exception(ValueError("for a moment"))
            time.sleep(0.2)
            with st.spinner("reading"):
                time.sleep(0.2)
            place.metric("first", 1)
            time.sleep(0.1)
            place.metric("second", 2)

        def rerun():
            if "again" not in st.session_state:
                st.session_state.again = True
                st.metric("orders", 1)
                st.metric("units", 1)
                st.exception(ValueError("in the first run"))
                st.rerun()
            st.metric("orders", 2)

        def endless():
            st.metric("orders", 1)
            time.sleep(600)

        globals()[st.query_params["as"]]()
        """,
    "syntax": "def page(:\n",
    "paged": """
        import streamlit as st

        def second():
            if "price" in st.query_params:
                st.metric("price", st.query_params["price"])
            raise KeyError("a column that is gone")

        def first():
            st.metric("orders", 1)
            if st.query_params.get("period") == "broken":
                raise ValueError("no such period")

        def third():
            st.error("The data cannot be read")

        st.navigation([st.Page(first, default=True), st.Page(third), st.Page(second, url_path="second")]).run()
        """,
    "walled": """
        import streamlit as st

        def first():
            st.metric("orders", 1)
            st.session_state.orders = 1

        def second():
            st.metric("the same as before", st.session_state.orders)

        def secret():
            raise KeyError("nobody comes here")

        pages = [
            st.Page(first, default=True),
            st.Page(second, title="The second"),
            st.Page(secret, visibility="hidden"),
            st.Page("https://elsewhere.invalid", title="Manual"),
        ]
        st.navigation({"Main": pages[:1], "More": pages[1:]}, position="top").run()
        """,
    "folder/app": """
        import streamlit as st
        st.metric("orders", 1)
        """,
    "folder/pages/1_Our_products": """
        import streamlit as st
        st.metric("products", 2)
        """,
    "folder/pages/2_Customers": """
        import streamlit as st
        raise LookupError("nobody buys")
        """,
}


SERVED = [name for name in APPS if "/pages/" not in name]
OPTIONS = {"walled": ["--server.baseUrlPath", "kpi"]}


@contextmanager
def streamlit(directory: Path, name: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = (directory / f"{name}.log").open("w+")
    arguments = ["--server.port", "0", "--server.address", "127.0.0.1", "--server.headless", "true"]
    quiet = ["--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", f"{name}.py", *arguments, *quiet, *OPTIONS.get(name, [])],
        cwd=directory,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield server, directory / f"{name}.log"
    finally:
        server.kill()
        server.wait()
        log.close()


def url_in(server: subprocess.Popen[bytes], log: Path) -> str:
    while server.poll() is None:
        for line in log.read_text().splitlines():
            if "URL: http://127.0.0.1:" in line:
                url = line.split("URL: ")[1].strip()
                if answers(url):
                    return url
        time.sleep(0.05)
    pytest.fail(f"streamlit did not start: {log.read_text()}")


def answers(url: str) -> bool:
    try:
        return get(f"{url}/_stcore/health") == (200, "ok")
    except URLError:
        return False


def get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    directory = tmp_path_factory.mktemp("apps")
    (directory / "folder" / "pages").mkdir(parents=True)
    for name, app in APPS.items():
        (directory / f"{name}.py").write_text("\n".join(line.removeprefix(" " * 8) for line in app.splitlines()))
    with ExitStack() as running:
        servers = {name: running.enter_context(streamlit(directory, name)) for name in SERVED}
        urls = {name: url_in(*server) for name, server in servers.items()}
        yield urls | {name: f"{urls['one_page']}/?as={name}" for name in ONE_PAGE}


SIX = Wanted(min={"metric": 6}, text=("Data through",))


UP = ("up", None, None)


@dataclass(frozen=True)
class Visit:
    """What is visited, what is wanted of it, and what is found: verdict, reason, detail."""

    name: str
    finding: tuple[str | None, ...] = UP
    wanted: Wanted = SIX
    path: str = ""
    pages: Pages = "first"

    def __str__(self) -> str:
        return f"{self.name}{self.path} {self.pages} {self.wanted}"

    def look(self, urls: dict[str, str]) -> Result:
        return probe(f"{urls[self.name]}{self.path}", self.wanted, pages=self.pages)


def missing(words: str) -> tuple[str, ...]:
    return "degraded", "missing_element", words


def thrown(words: str) -> tuple[str, ...]:
    return "down", "script_exception", words


ANY = Wanted()
UNREADABLE = "error box: The data cannot be read"
NO_PAGE = "the app has no page of that name"

VISITS = [
    # a page
    Visit("fine"),
    Visit("fine", missing("6 metric of 7 wanted"), Wanted({"metric": 7})),
    Visit("fine", wanted=Wanted(text=("Shop KPIs", "figure 5"))),
    Visit("raising", thrown("RuntimeError: no such snapshot")),
    Visit("stopped", ("degraded", None, UNREADABLE)),
    Visit("stopped", wanted=Wanted(error_box="up")),
    Visit("stopped", missing("0 metric of 1 wanted"), Wanted({"metric": 1}, error_box="up")),
    Visit("shown", thrown("ZeroDivisionError: division by zero")),
    Visit("replaced", wanted=Wanted({"metric": 1}, ("second",))),
    Visit("replaced", missing("1 metric of 2 wanted"), Wanted({"metric": 2})),
    Visit("rerun", wanted=Wanted({"metric": 1})),
    Visit("rerun", missing("1 metric of 2 wanted"), Wanted({"metric": 2})),
    # the page and the query of an address are the ones that are run
    Visit("paged", wanted=ANY),
    Visit("paged", wanted=ANY, path="/"),
    Visit("paged", thrown("KeyError: 'a column that is gone'"), ANY, "/second"),
    Visit("paged", wanted=ANY, path="/?period=28d"),
    Visit("paged", thrown("ValueError: no such period"), ANY, "/?period=broken"),
    Visit("paged", ("down", "http_status", NO_PAGE), ANY, "/elsewhere"),
    # other pages: the worst one decides, and is named
    Visit("fine", pages="all"),
    Visit("raising", thrown("RuntimeError: no such snapshot"), pages="all"),
    Visit("paged", thrown("second: KeyError: 'a column that is gone'"), ANY, pages="all"),
    Visit("paged", ("degraded", None, f"third: {UNREADABLE}"), ANY, pages=("third",)),
    Visit("paged", ("degraded", None, UNREADABLE), ANY, "/third", pages=("third",)),
    Visit("paged", wanted=Wanted(error_box="up"), pages=("third",)),
    Visit("paged", ("down", "http_status", f"elsewhere: {NO_PAGE}"), ANY, pages=("third", "elsewhere")),
    # below a path; a page that needs what the first one has left; a hidden one
    Visit("walled", wanted=ANY, pages="all"),
    Visit("walled", wanted=Wanted({"metric": 1}, ("orders",)), pages="all"),
    Visit("walled", missing("1 metric of 2 wanted"), Wanted({"metric": 2}), pages="all"),
    Visit("walled", wanted=ANY, pages=("The second",)),
    Visit("walled", thrown("secret: KeyError: 'nobody comes here'"), ANY, pages=("secret",)),
    # a directory of pages
    Visit("folder/app", wanted=ANY),
    Visit("folder/app", wanted=ANY, path="/Our_products"),
    Visit("folder/app", wanted=ANY, pages=("Our_products",)),
    Visit("folder/app", thrown("Customers: LookupError: nobody buys"), ANY, pages="all"),
]


@pytest.fixture(scope="module")
def results(urls: dict[str, str]) -> dict[str, Result]:
    """Four at a time: most of a visit is waiting whether more comes."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(map(str, VISITS), pool.map(lambda visit: visit.look(urls), VISITS), strict=True))


@pytest.mark.parametrize("visit", VISITS, ids=str)
def test_the_probe_sees_what_a_person_would_see(results: dict[str, Result], visit: Visit):
    result = results[str(visit)]
    assert (result.verdict, result.reason, result.detail) == visit.finding
    assert result.stage == (None if result.verdict == "up" else "script_done")
    assert None not in result.ms.values()


def test_a_script_that_does_not_compile_is_down_and_named(urls: dict[str, str]):
    result = probe(urls["syntax"], SIX)
    assert (result.verdict, result.stage, result.reason) == ("down", "script_done", "script_compile")
    assert result.detail.startswith("SyntaxError: ")


def test_a_script_that_does_not_end_in_time_is_down(urls: dict[str, str]):
    result = probe(urls["endless"], Wanted(), 1)
    assert (result.verdict, result.stage, result.reason) == ("down", "script_done", "script_timeout")


@pytest.mark.parametrize("name", ["raising", "syntax"])
def test_status_codes_are_fine_while_the_page_is_down(urls: dict[str, str], name: str):
    assert get(urls[name])[0] == 200
    assert get(f"{urls[name].partition('/?')[0]}/_stcore/health") == (200, "ok")


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("fine", ["--min", "metric=6", "--text", "Data through"], 0),
        ("raising", [], 1),
        ("stopped", [], 2),
        ("paged", ["--page", "third"], 2),
        ("paged", ["--page", "third", "--page", "all"], 1),
    ],
)
def test_the_exit_status_is_the_verdict(
    urls: dict[str, str], name: str, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
):
    assert main(["probe", "--url", urls[name], *arguments, "--json"]) == code
    assert json.loads(capsys.readouterr().out)["v"] == 1


def test_a_proxy_that_passes_pages_on_but_no_upgrade_is_down_and_named(urls: dict[str, str]):
    """As nginx does without `proxy_set_header Upgrade`: the page comes, and nothing ever runs."""
    host, port = urls["one_page"].removeprefix("http://").split(":")

    def handle(connection: socket.socket, head: bytes) -> None:
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"upgrade", b"connection"))]
        with socket.create_connection((host, int(port))) as app:
            app.sendall(b"\r\n".join([*kept[:1], b"Connection: close", *kept[1:]]))
            while data := app.recv(65536):
                connection.sendall(data)

    with serving(handle) as proxy:
        result = probe(f"http://127.0.0.1:{proxy}/?as=fine", Wanted())
    assert (result.verdict, result.stage, result.reason) == ("down", "ws_upgrade", "ws_refused")


CHECKED = """
[dashboard]
store = "nothing/here"
[uptime]
by = "host"
[[uptime.targets]]
name = "dashboard"
url = "{fine}"
min = {{ metric = 6 }}
[[uptime.targets]]
name = "stopped"
url = "{stopped}"
"""


def test_check_records_every_target_and_writes_the_report_beside_the_settings(urls: dict[str, str], tmp_path: Path):
    (tmp_path / "settings.toml").write_text(CHECKED.format(**urls))
    command = [sys.executable, "-m", "ops.uptime", "check"]
    environment = {"PATH": "", "GITHUB_RUN_ID": "77"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.splitlines() == [
        "dashboard: up",
        "stopped: degraded (script_done: error box: The data cannot be read)",
    ]
    files = (tmp_path / "uptime").glob("*.jsonl")
    found = [Sample.from_line(line) for file in files for line in file.read_bytes().splitlines()]
    assert [(s.target, s.by, s.run, s.verdict) for s in found] == [
        ("dashboard", "host", "77", "up"),
        ("stopped", "host", "77", "degraded"),
    ]
    report = (tmp_path / "uptime.md").read_text()
    assert "`stopped` is degraded, `dashboard` is up" in report
    assert "missing: there is no nothing/here/metadata.json" in report


def test_the_probe_needs_nothing_but_the_standard_library(urls: dict[str, str]):
    code = (
        "import sys; from ops.uptime.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = {'pydantic', 'requests', 'jinja2', 'boto3', 'streamlit', 'ops.settings', 'etl.contract'};"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    arguments = ["probe", "--url", urls["fine"], "--min", "metric=6"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_the_file_works_alone_without_the_project(urls: dict[str, str], tmp_path: Path):
    alone = tmp_path / "probe.py"
    alone.write_text(inspect.getsource(sys.modules[probe.__module__]))
    isolated = [sys.executable, "-I", "-S", str(alone)]
    up = subprocess.run(
        [*isolated, "--url", urls["fine"], "--min", "metric=6"], check=False, capture_output=True, text=True
    )
    down = subprocess.run([*isolated, "--url", urls["raising"]], check=False, capture_output=True, text=True)
    wrong = subprocess.run(isolated, check=False, capture_output=True, text=True)
    assert (up.returncode, down.returncode, wrong.returncode) == (0, 1, 4)
    assert "script_exception: RuntimeError: no such snapshot" in down.stdout
