"""A release as a process under what systemd gives it: the gate, the hand-over of the port, the self check, the end."""

import json
import re
import tempfile
from pathlib import Path

import pytest

from dashboard.instance import instance_of
from ops import monitoring
from tests.systemd_stand_in import ROOT, Port, release_home, started
from tests.visitor import Visitor

REFUSED, AGAIN = 78, 75
FIRST_LINE = re.compile(r"^def render\(.*\) -> None:\n", re.MULTILINE)


@pytest.fixture
def base():
    """A directory with a short name: sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="kpi") as directory:
        yield Path(directory)


@pytest.fixture
def port():
    made = Port()
    yield made
    made.socket.close()


def in_page(text, page="products"):
    def change(home):
        file = home / "dashboard" / "pages" / f"{page}.py"
        file.write_text(FIRST_LINE.sub(lambda found: f"{found[0]}    {text}\n", file.read_text()))

    return change


def without(path):
    return lambda home: (home / path).unlink()


def broken(path):
    return lambda home: (home / path).write_text('"""Broken."""\ndef (:\n')


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (in_page("raise ValueError('column revenue is missing')"), "page 'products' raised ValueError: column revenue"),
        (
            in_page("import nosuchmodule", "customers"),
            "ModuleNotFoundError: No module named 'nosuchmodule' (dashboard/",
        ),
        (in_page("import streamlit; streamlit.error('no'); return"), "page 'products' shows an error box: no"),
        (in_page("while True: pass"), "page 'products' did not finish within 8 s (dashboard/pages/products.py line"),
        (broken("dashboard/app.py"), "SyntaxError"),
        (broken("dashboard/views.py"), "invalid syntax (dashboard/views.py line 2)"),
        (broken("dashboard/release.py"), "it cannot start: SyntaxError: invalid syntax (dashboard/release.py line 2)"),
        (without("dashboard/app.py"), "it cannot start: FileNotFoundError: Streamlit script not found"),
        (lambda home: (home / "settings.toml").write_text("[dashbord]\n"), "1 setting is wrong"),
    ],
    ids=["raises", "import", "error box", "spins", "app", "module", "server", "no app", "setting"],
)
def test_a_candidate_with_anything_wrong_is_refused_for_good_and_says_why(
    base, port, sample_snapshot_dir, change, reason
):
    home = release_home(base / "home", change)
    limit = {"KPI_HOST__GATE__TIMEOUT_S": "8"} if "did not finish" in reason else {}
    with started(base, "r1", home, port, sample_snapshot_dir, **limit) as unit:
        assert not unit.wait_for("READY=1")
        assert unit.process.wait() == REFUSED
    first = next(line for line in unit.journal.splitlines() if "REFUSED: " in line)
    assert first.startswith("<3>REFUSED: ")
    assert reason in first
    assert (unit.run / "tried").exists()


SIGN_IN = {
    "KPI_SIGN_IN__ISSUER": "https://id.example",
    "KPI_SIGN_IN__CLIENT_ID": "page",
    "KPI_SIGN_IN__PUBLIC_URL": "https://shop.example",
    "KPI_SIGN_IN__MAIL_DOMAINS": '["example.com"]',
    "KPI_SIGN_IN__CLIENT_SECRET": "known-to-the-provider",
    "KPI_SIGN_IN__COOKIE_SECRET": "signs-the-cookies-of-this-test-run",
}


def test_a_release_looks_at_its_own_pages_also_where_people_sign_in(base, port, sample_snapshot_dir):
    wanted = {"KPI_HOST__GATE__TEXT": '["Data through"]'}
    with started(base, "r1", ROOT, port, sample_snapshot_dir, **SIGN_IN, **wanted) as unit:
        assert unit.wait_for("READY=1"), unit.journal
        with Visitor("127.0.0.1", port.number) as visitor:
            assert "Sign in" in str(visitor.run())
    assert "5 pages were looked at" in unit.journal


def test_a_candidate_whose_sign_in_lacks_a_secret_is_refused(base, port, sample_snapshot_dir):
    lacking = SIGN_IN | {"KPI_SIGN_IN__CLIENT_SECRET": ""}
    with started(base, "r1", ROOT, port, sample_snapshot_dir, **lacking) as unit:
        assert not unit.wait_for("READY=1")
        assert unit.process.wait() == REFUSED
    assert "REFUSED: sign-in is on, but KPI_SIGN_IN__CLIENT_SECRET is missing" in unit.journal


def test_a_candidate_without_data_is_refused_and_the_current_release_says_so_and_serves(base, port, tmp_path):
    with started(base, "r1", ROOT, port, tmp_path / "nothing") as unit:
        assert not unit.wait_for("READY=1")
        assert unit.process.wait() == REFUSED
    assert "REFUSED: no snapshot can be shown: there is no" in unit.journal
    with started(base, "r2", ROOT, port, tmp_path / "nothing", current=ROOT) as unit:
        assert unit.wait_for("READY=1")
        assert "PROBLEM: no snapshot can be shown: there is no" in unit.journal
        assert unit.state()["problem"].startswith("no snapshot can be shown")
        assert port.get("/readyz") == (503, "r2")


def test_the_current_release_that_hangs_is_started_again(base, port, sample_snapshot_dir):
    home = release_home(base / "home", in_page("import time; time.sleep(1000)"))
    variables = {"KPI_HOST__GATE__TIMEOUT_S": "5"}
    with started(base, "r1", home, port, sample_snapshot_dir, current=home, **variables) as unit:
        assert not unit.wait_for("READY=1")
        assert unit.process.wait() == AGAIN
    assert "did not finish within 5 s" in unit.journal
    assert "most recent call first" in unit.journal


def test_a_socket_that_would_freeze_the_release_that_serves_is_refused(base, port, sample_snapshot_dir):
    with started(base, "r1", ROOT, port, sample_snapshot_dir, blocking=True) as unit:
        assert unit.process.wait() == REFUSED
    assert "REFUSED: the public socket is blocking" in unit.journal
    with started(base, "r2", ROOT, port, sample_snapshot_dir, LISTEN_FDS="0") as unit:
        assert unit.process.wait() == REFUSED
    assert "systemd passed 0 sockets where 1 is needed" in unit.journal


def test_two_releases_share_the_port_and_the_one_that_leaves_keeps_its_page_until_it_is_closed(
    base, port, sample_snapshot_dir
):
    store = sample_snapshot_dir
    with started(base, "r1", ROOT, port, store) as old:
        assert old.wait_for("READY=1")
        assert not (old.run / "tried").exists()
        with Visitor("127.0.0.1", port.number) as visitor:
            visitor.run()
            assert not visitor.told.config.gather_usage_stats
            assert visitor.told.custom_theme.base_radius == "0.6rem"
            assert old.state()["sessions"] == 1
            with started(base, "r2", ROOT, port, store) as new:
                assert new.wait_for("READY=1")
                old.stop()
                assert old.wait_for("draining release r1, 1 sessions left")
                assert {port.get("/_stcore/health") for _ in range(20)} <= {(200, "r1"), (200, "r2")}
                assert visitor.run("products")
                visitor.leave()
                assert old.process.wait(timeout=20) == 0
                assert {port.get("/_stcore/health") for _ in range(5)} == {(200, "r2")}
    assert "release r1 leaves: nobody is left; 0 sessions are cut" in old.journal
    assert "Traceback" not in old.journal


def test_it_checks_itself_page_after_page_and_tells_the_journal_and_systemd(base, port, sample_snapshot_dir):
    with started(base, "r1", ROOT, port, sample_snapshot_dir, WATCHDOG_USEC="1500000") as unit:
        assert unit.wait_for("WATCHDOG=1")
        assert unit.wait_for("STATUS=serving release r1, 0 sessions")
        unit.stop()
        assert unit.process.wait(timeout=20) == 0
    told = [json.loads(line.removeprefix("<6>")) for line in unit.journal.splitlines() if line.startswith("<6>{")]
    facts = next(line for line in told if line[monitoring.EVENT] == monitoring.SELF_CHECK)
    assert any(line["event"] == "page_run" for line in told)
    assert (facts[monitoring.RELEASE], facts[monitoring.OK], facts[monitoring.PROBLEM]) == ("r1", True, None)
    assert facts[monitoring.MEMORY_BYTES] > 10_000_000
    assert {monitoring.PAGE_MS, monitoring.SESSIONS, monitoring.DATA_AGE_S} <= set(facts)


def test_a_stop_before_it_serves_ends_it_quietly(base, port, sample_snapshot_dir):
    with started(base, "r1", ROOT, port, sample_snapshot_dir) as unit:
        assert unit.wait_for("STATUS=page")
        unit.stop()
        assert unit.process.wait(timeout=20) == 0
    assert "REFUSED" not in unit.journal
    assert "Traceback" not in unit.journal


@pytest.mark.parametrize(("named", "release"), [("r1.ab", "r1.ab"), ("r1.ab.1795403446", "r1.ab"), ("r2", "r2")])
def test_an_instance_under_an_alias_says_which_release_it_is(named, release):
    environ = {"KPI_CURRENT": "/opt/kpi/current", "KPI_RELEASE": named}
    assert instance_of(environ, Path("/opt/kpi/releases/r1.ab")).release == release
