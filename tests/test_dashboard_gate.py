"""What a release must show before anybody sees it: pages are folded as a browser does, and complained about by name."""

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.data import Problem, State
from dashboard.faults import Fault, Newest, Place, fault_of, innermost, place_written
from dashboard.gate import Wanted, complaint_about, data_complaint, died, readiness_complaint, unfinished, wanted_of
from dashboard.page import Page, Reader
from dashboard.patience import hear_of_dying_scripts
from etl.errors import NewerContract, NothingPublished
from ops.settings import GateSettings
from tests import streamlit_messages as made

HOME = Path("/opt/kpi/releases/r1")
SEEN = datetime(2026, 11, 23, tzinfo=UTC)
ERROR_BOX = {"format": 1, "body": "it\nbroke"}


def page(*messages):
    """The page that messages leave behind, of a script that came to its end."""
    reader = Reader()
    for message in (made.started(), *messages, made.finished()):
        reader.take(message)
    assert reader.finished
    return reader.page()


def about(*messages, fault=None, wanted=None):
    found = complaint_about("products", page(*messages), fault, wanted or Wanted(), HOME)
    return found and found.text


def test_nothing_is_said_of_a_good_page():
    good = made.at([0, 0], metric={"label": "Orders"})
    assert about(good) is None
    assert about(good, wanted=Wanted(min={"metric": 1}, text=("Orders",))) is None


def test_an_exception_is_complained_about_in_its_own_words_where_the_page_hides_them():
    shown = made.at([0, 0], exception={"type": "RuntimeError", "message": "hidden from visitors"})
    fault = Fault("RuntimeError: no column revenue", Place("dashboard/pages/products.py", 24), "the traceback")
    assert about(shown, fault=fault) == (
        "page 'products' raised RuntimeError: no column revenue (dashboard/pages/products.py line 24)"
    )
    assert about(shown) == "page 'products' shows an exception: RuntimeError: hidden from visitors"


def test_a_script_that_does_not_compile_is_named_with_its_line():
    text = f'File "{HOME}/dashboard/app.py", line 16\n  def (:\n      ^\nSyntaxError: invalid syntax'
    reader = Reader()
    for message in (made.started(), made.finished(1), made.event(type="SyntaxError", message=text)):
        reader.take(message)
    found = complaint_about("first page", reader.page(), None, Wanted(), HOME)
    assert found.broken
    assert found.text.endswith("SyntaxError: invalid syntax (dashboard/app.py line 16)")


def test_a_warning_that_is_shown_as_an_exception_is_no_fault():
    assert about(made.at([0, 0], exception={"message": "deprecated", "is_warning": True})) is None


def test_an_error_box_is_refused_unless_it_is_accepted():
    box = made.at([0, 0], alert=ERROR_BOX)
    assert about(box) == "page 'products' shows an error box: it broke"
    assert about(box, wanted=wanted_of(GateSettings(error_box="accepted"))) is None
    assert about(made.at([0, 0], alert={"format": 3, "body": "for your information"})) is None


def test_an_empty_page_and_one_that_lacks_what_is_wanted_are_told_apart():
    assert about() == "page 'products' ran to its end, but drew nothing"
    wanted = wanted_of(GateSettings(min={"metric": 2, "plotly_chart": 1}, text=("Data through",)))
    assert about(made.at([0, 0], metric={"label": "Orders"}), wanted=wanted) == (
        "page 'products' lacks what [host.gate] wants of it: 1 metric of 2; 0 plotly_chart of 1; no text 'Data through'"
    )


def test_words_are_found_in_containers_too():
    expander = made.container([0, 0], "expandable")
    expander.delta.add_block.expandable.label = "Data through"
    filled = made.at([0, 0, 0], text={"body": "x"})
    assert about(expander, filled, wanted=Wanted(text=("Data through",))) is None


def test_what_was_replaced_or_cleared_away_is_not_on_the_page():
    box = made.at([0, 0], alert=ERROR_BOX)
    assert about(box, made.at([0, 0], text={"body": "mended"})) is None
    within = made.at([0, 0, 3], alert=ERROR_BOX)
    column = made.container([0, 0], "column")
    assert about(made.container([0, 0]), within, made.at([0, 0], text={"body": "x"})) is None
    assert about(made.container([0, 0]), within, column, made.at([0, 1], text={"body": "x"})) is None
    assert "an error box" in about(made.container([0, 0]), within, made.container([0, 0]))
    assert about(box, made.started(), made.at([0, 0], text={"body": "x"})) is None


def test_a_message_that_refers_to_one_that_was_sent_before_counts_as_that():
    box = made.kept(made.at([0, 0], alert=ERROR_BOX), "h1")
    again = (made.finished(2), made.started(), made.reference([0, 5], "h1"))
    assert "an error box" in about(box, *again)
    assert about(made.spinner([0, 0]), made.at([0, 1], text={"body": "x"})) is None


def test_a_run_that_starts_over_is_not_finished_and_a_fragment_does_not_finish_a_page():
    reader = Reader()
    for message in (made.started(), made.finished(2), made.finished(3)):
        reader.take(message)
        assert not reader.finished


def test_the_pages_are_those_of_the_navigation_but_for_links_to_elsewhere():
    reader = Reader()
    reader.take(made.started())
    pages = (
        {"page_script_hash": "a", "url_pathname": "", "page_name": "Overview"},
        {"page_script_hash": "b", "url_pathname": "products", "page_name": "Products"},
        {"page_script_hash": "c", "external_url": "https://example.org"},
    )
    reader.take(made.navigation(*pages, shown="a"))
    assert [(entry.page_hash, entry.name, entry.shown) for entry in reader.entries()] == [
        ("a", "Overview", True),
        ("b", "products", False),
    ]


def test_a_page_that_does_not_finish_is_named_with_the_line_where_it_is():
    found = unfinished("products", "did not finish within 30 s", Place("dashboard/views.py", 7))
    assert (found.text, found.fatal) == ("page 'products' did not finish within 30 s (dashboard/views.py line 7)", True)
    assert unfinished("products", "did not finish", None).text == "page 'products' did not finish"


def test_no_data_is_a_complaint_and_so_is_data_of_a_newer_contract():
    def problem(kind):
        error = kind("there is no metadata.json", expected="one", to_do="publish it")
        return Problem(error, SEEN)

    nothing = data_complaint(State(None, problem(NothingPublished)))
    assert nothing.text == "no snapshot can be shown: there is no metadata.json"
    assert "publish it" in nothing.more
    assert data_complaint(State()).text.startswith("no snapshot can be shown")
    kept = object()
    assert data_complaint(State(kept, problem(NothingPublished))) is None
    assert data_complaint(State(kept, problem(NewerContract)))
    assert data_complaint(State(kept)) is None


def raised(source, name):
    with pytest.raises((ValueError, SyntaxError)) as caught:
        exec(compile(source, name, "exec"), {})
    return caught.value


def test_the_place_of_a_fault_is_the_innermost_line_of_our_own():
    frames = [
        (f"{HOME}/dashboard/serve.py", 3),
        (f"{HOME}/environment/lib/python3.11/site-packages/streamlit/x.py", 5),
        (f"{HOME}/dashboard/pages/products.py", 24),
        (f"{HOME}/environment/lib/python3.11/site-packages/pandas/y.py", 99),
    ]
    assert str(innermost(frames, HOME)) == "(dashboard/pages/products.py line 24)"
    assert str(innermost([("/usr/lib/python3.11/json.py", 4)], HOME)) == "(/usr/lib/python3.11/json.py line 4)"
    assert innermost([], HOME) is None


def test_an_error_tells_its_place_and_wrong_syntax_that_of_the_file_it_stands_in():
    fault = fault_of(raised("\n\nraise ValueError('a\\nb')", f"{HOME}/dashboard/views.py"), HOME)
    assert str(fault) == "ValueError: a b (dashboard/views.py line 3)"
    assert "Traceback" in fault.trace
    wrong = fault_of(raised("\ndef (:", f"{HOME}/dashboard/views.py"), HOME)
    assert str(wrong) == "SyntaxError: invalid syntax (dashboard/views.py line 2)"


def test_a_traceback_in_words_tells_its_place_too():
    lines = [f'File "{HOME}/dashboard/views.py", line 8, in f', 'File "/usr/lib/python3.11/json.py", line 1, in g']
    assert place_written(lines, HOME) == Place("dashboard/views.py", 8)
    assert place_written(["no file"], HOME) is None


def test_a_fault_is_taken_once():
    newest = Newest(HOME)
    newest.keep(ValueError("one"))
    newest.keep(ValueError("two"))
    assert newest.take().text == "ValueError: two"
    assert newest.take() is None


def test_a_page_without_a_run_shows_nothing():
    assert Reader().page() == Page()


def test_a_page_that_ends_its_own_thread_is_named_with_what_it_raised(monkeypatch):
    heard, told = [], []
    monkeypatch.setattr(threading, "excepthook", told.append)
    hear_of_dying_scripts(heard.append)
    for name in ("ScriptRunner.scriptThread", "another"):
        thread = threading.Thread(target=sys.exit, args=["enough"], name=name)
        thread.start()
        thread.join()
    assert len(told) == 2
    assert [str(error) for error in heard] == ["enough"]
    fault = fault_of(heard[0], Path("/nonexistent"))
    assert died("products", fault).text.startswith("page 'products' never finishes, for it raised SystemExit: enough")


def test_an_exception_that_cannot_say_what_it_is_is_told_of_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert fault_of(Mute(), Path("/nonexistent")).text == "Mute: its message cannot be had: RuntimeError"


def test_a_run_that_is_left_to_begin_anew_is_counted():
    reader = Reader()
    for _ in range(3):
        reader.take(ForwardMsg(script_finished=ForwardMsg.FINISHED_EARLY_FOR_RERUN))
    assert (reader.restarts, reader.finished) == (3, False)


def test_a_release_that_is_not_ready_by_its_own_words_is_complained_about():
    facts = {"ready": False, "last_script_error": None, "store_problem": None}
    assert str(readiness_complaint(facts)) == "/readyz says that it is not ready: it gives no reason"
    assert readiness_complaint({**facts, "ready": True}) is None
