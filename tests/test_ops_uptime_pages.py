"""The probe against real Streamlit servers: it must tell apart what a status code cannot."""

import inspect
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest

from ops.uptime.__main__ import main
from ops.uptime.probe import Wanted, probe
from ops.uptime.record import read

APPS = {
    "fine": """
        import streamlit as st
        st.title("Shop KPIs")
        for n, column in enumerate(st.columns(6)):
            column.metric(f"figure {n}", n)
        st.caption("Data through 2026-11-21")
        """,
    "raising": """
        import streamlit as st
        st.title("Shop KPIs")
        raise RuntimeError("no such snapshot")
        """,
    "syntax": "def page(:\n",
    "stopped": """
        import streamlit as st
        st.error("The data cannot be read")
        st.stop()
        """,
    "shown": """
        import streamlit as st
        try:
            1 / 0
        except ZeroDivisionError as error:
            st.exception(error)
        """,
    "replaced": """
        import time
        import streamlit as st
        place = st.empty()
        place.exception(ValueError("for a moment"))
        time.sleep(0.2)
        with st.spinner("reading"):
            time.sleep(0.2)
        place.metric("first", 1)
        time.sleep(0.1)
        place.metric("second", 2)
        """,
    "rerun": """
        import streamlit as st
        if "again" not in st.session_state:
            st.session_state.again = True
            st.metric("orders", 1)
            st.metric("units", 1)
            st.exception(ValueError("in the first run"))
            st.rerun()
        st.metric("orders", 2)
        """,
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

        st.navigation([st.Page(first, default=True), st.Page(second, url_path="second")]).run()
        """,
    "endless": """
        import time
        import streamlit as st
        st.metric("orders", 1)
        time.sleep(600)
        """,
}


@contextmanager
def streamlit(directory: Path, name: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    source = "\n".join(line.removeprefix(" " * 8) for line in APPS[name].splitlines())
    (directory / f"{name}.py").write_text(source)
    log = (directory / f"{name}.log").open("w+")
    arguments = ["--server.port", "0", "--server.address", "127.0.0.1", "--server.headless", "true"]
    quiet = ["--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", f"{name}.py", *arguments, *quiet],
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
    with ExitStack() as running:
        servers = {name: running.enter_context(streamlit(directory, name)) for name in APPS}
        yield {name: url_in(*server) for name, server in servers.items()}


SIX = Wanted(min={"metric": 6}, text=("Data through",))


@pytest.mark.parametrize(
    ("name", "wanted", "finding"),
    [
        ("fine", SIX, ("up", None, None, None)),
        ("fine", Wanted({"metric": 7}), ("degraded", "script_done", "missing_element", "6 metric of 7 wanted")),
        ("fine", Wanted(text=("Shop KPIs", "figure 5")), ("up", None, None, None)),
        ("raising", SIX, ("down", "script_done", "script_exception", "RuntimeError: no such snapshot")),
        ("stopped", SIX, ("degraded", "script_done", None, "error box: The data cannot be read")),
        ("shown", SIX, ("down", "script_done", "script_exception", "ZeroDivisionError: division by zero")),
        ("replaced", Wanted({"metric": 1}, ("second",)), ("up", None, None, None)),
        ("replaced", Wanted({"metric": 2}), ("degraded", "script_done", "missing_element", "1 metric of 2 wanted")),
        ("rerun", Wanted({"metric": 1}), ("up", None, None, None)),
        ("rerun", Wanted({"metric": 2}), ("degraded", "script_done", "missing_element", "1 metric of 2 wanted")),
    ],
)
def test_the_probe_sees_what_a_person_would_see(
    urls: dict[str, str], name: str, wanted: Wanted, finding: tuple[str | None, ...]
):
    result = probe(urls[name], wanted)
    assert (result.verdict, result.stage, result.reason, result.detail) == finding
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
    assert get(f"{urls[name]}/_stcore/health") == (200, "ok")


@pytest.mark.parametrize(
    ("name", "code"), [("fine", 0), ("raising", 1), ("syntax", 1), ("stopped", 2), ("replaced", 2), ("rerun", 2)]
)
def test_the_exit_status_is_the_verdict(urls: dict[str, str], name: str, code: int, capsys: pytest.CaptureFixture[str]):
    assert main(["probe", "--url", urls[name], "--min", "metric=6", "--text", "Data through", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["v"] == 1


@pytest.mark.parametrize(
    ("path", "finding"),
    [
        ("", ("up", None, None)),
        ("/", ("up", None, None)),
        ("/second", ("down", "script_exception", "KeyError: 'a column that is gone'")),
        ("/?period=28d", ("up", None, None)),
        ("/?period=broken", ("down", "script_exception", "ValueError: no such period")),
        ("/elsewhere", ("down", "http_status", "the app has no page of that name")),
    ],
)
def test_the_page_and_the_query_of_an_address_are_the_ones_that_are_run(
    urls: dict[str, str], path: str, finding: tuple[str | None, ...]
):
    result = probe(f"{urls['paged']}{path}", Wanted())
    assert (result.verdict, result.reason, result.detail) == finding


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
    found = read(tmp_path / "uptime").samples
    assert [(s.target, s.by, s.run, s.verdict) for s in found] == [
        ("dashboard", "host", "77", "up"),
        ("stopped", "host", "77", "degraded"),
    ]
    report = (tmp_path / "uptime.md").read_text()
    assert "dashboard is up, stopped is degraded" in report
    assert "freshness: missing: there is no nothing/here/metadata.json" in report


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
