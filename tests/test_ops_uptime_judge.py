"""What a page means, decided without a network: the fold of deltas, the pages of an app, the verdicts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from ops.uptime.probe import (
    FINISHED_COMPILE_ERROR,
    FINISHED_EARLY_FOR_RERUN,
    FINISHED_FRAGMENT,
    MAX_PLACES,
    Entry,
    Finding,
    Page,
    PageReader,
    Pages,
    Undecodable,
    Wanted,
    WrongSetting,
    detail_of,
    further,
    judge,
    parse_url,
    rerun,
    worst,
)
from tests.streamlit_messages import at, container, event, finished, kept, navigation, reference, spinner, started

# --- verdicts --------------------------------------------------------------------------------------------------------

SIX = Wanted(min={"metric": 6}, text=("Data through",))
WHOLE = {"counts": {"metric": 6}, "texts": (b"\x0a\x18Data through 2026-11-21",)}


@pytest.mark.parametrize(
    ("page", "wanted", "finding"),
    [
        pytest.param(Page(), Wanted(), Finding("up"), id="nothing was asked for"),
        pytest.param(Page(**WHOLE), SIX, Finding("up"), id="all that was asked for is there"),
        pytest.param(Page(**WHOLE | {"counts": {"metric": 7}}), SIX, Finding("up"), id="more than asked for"),
        pytest.param(
            Page(**WHOLE | {"counts": {"metric": 5}}),
            SIX,
            Finding("degraded", "script_done", "missing_element", "5 metric of 6 wanted"),
            id="one too few",
        ),
        pytest.param(
            Page(counts={"metric": 6}, texts=(b"Data thr", b"ough")),
            SIX,
            Finding("degraded", "script_done", "missing_element", "no text 'Data through'"),
            id="words split over two elements are not the words",
        ),
        pytest.param(
            Page(),
            SIX,
            Finding("degraded", "script_done", "missing_element", "0 metric of 6 wanted; no text 'Data through'"),
            id="an empty page",
        ),
        pytest.param(
            Page(**WHOLE, errors=("no data",)),
            SIX,
            Finding("degraded", "script_done", None, "error box: no data"),
            id="an error box on a whole page",
        ),
        pytest.param(
            Page(errors=("no data",)),
            SIX,
            Finding("degraded", "script_done", None, "error box: no data"),
            id="an error box says more than what is missing because of it",
        ),
        pytest.param(
            Page(**WHOLE, errors=("no data",)),
            replace(SIX, error_box="up"),
            Finding("up"),
            id="an error box as content",
        ),
        pytest.param(
            Page(**WHOLE, exceptions=("ValueError: bad", "later")),
            SIX,
            Finding("down", "script_done", "script_exception", "ValueError: bad"),
            id="an exception on a page that is whole otherwise",
        ),
        pytest.param(
            Page(exceptions=("ValueError: bad",), errors=("no data",)),
            SIX,
            Finding("down", "script_done", "script_exception", "ValueError: bad"),
            id="an exception wins over an error box and missing elements",
        ),
        pytest.param(
            Page(exceptions=("",)),
            Wanted(),
            Finding("down", "script_done", "script_exception", None),
            id="an exception whose words are hidden from the public",
        ),
        pytest.param(
            Page(compile_error="SyntaxError: invalid syntax"),
            SIX,
            Finding("down", "script_done", "script_compile", "SyntaxError: invalid syntax"),
            id="a script that does not compile",
        ),
        pytest.param(
            Page(compile_error=""), SIX, Finding("down", "script_done", "script_compile"), id="and does not say why"
        ),
    ],
)
def test_a_page_is_judged_by_what_a_person_would_see(page: Page, wanted: Wanted, finding: Finding):
    assert judge(page, wanted) == finding


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", None),
        (" \n ", None),
        ("one\n  two\tthree\x00four", "one two three four"),
        ("GET https://bucket/key?X-Amz-Signature=abc failed", "GET https://bucket/key failed"),
        ("s3://me:secret@host/key is gone", "s3://host/key is gone"),
        ("why? because", "why? because"),
        ("a" * 119 + "é", "a" * 119),
        ("a" * 118 + "é", "a" * 118 + "é"),
        ("€" * 50, "€" * 40),
    ],
)
def test_a_detail_is_one_short_line_without_secrets(text: str, detail: str | None):
    assert detail_of(text) == detail


def test_a_detail_is_made_of_the_first_words_of_whatever_length():
    """Of a text without end the search for secrets would have none either."""
    assert detail_of("://" * 10**7) == ("://" * 40)


@given(st.text())
def test_a_detail_never_has_more_than_120_bytes(text: str):
    assert len((detail_of(text) or "").encode()) <= 120


UP, DEGRADED = Finding("up"), Finding("degraded", "script_done", None, "error box: no data")
UNKNOWN, DOWN = Finding("unknown", "script_done", "proto"), Finding("down", "script_done", "script_exception", "first")


@pytest.mark.parametrize(
    ("findings", "decides"),
    [
        ([], UP),
        ([UP, UP], UP),
        ([UP, DEGRADED, replace(DEGRADED, detail="later")], DEGRADED),
        ([UP, DEGRADED, UNKNOWN], UNKNOWN),
        ([UNKNOWN, DOWN, replace(DOWN, detail="later")], DOWN),
    ],
)
def test_the_first_of_the_worst_findings_decides(findings: list[Finding], decides: Finding):
    assert worst(findings) == decides


# --- the pages of an app ---------------------------------------------------------------------------------------------

FIRST = Entry(b"1", "", "Overview", shown=True)
PRODUCTS = Entry(b"2", "products", "Our products")
HIDDEN = Entry(b"3", "secret", "Secret", listed=False)
CUSTOMERS = Entry(b"4", "customers", "Customers")
NOWHERE = Entry(b"", "nowhere", "")
APP = [FIRST, PRODUCTS, HIDDEN, CUSTOMERS]


@pytest.mark.parametrize(
    ("pages", "chosen"),
    [
        ("first", []),
        ("all", [PRODUCTS, CUSTOMERS]),
        ((), []),
        (("customers", "products"), [CUSTOMERS, PRODUCTS]),
        (("/products/",), [PRODUCTS]),
        (("Our products",), [PRODUCTS]),
        (("secret",), [HIDDEN]),
        (("nowhere",), [NOWHERE]),
        (("products", "Our products", "/products"), [PRODUCTS]),
        (("Overview",), []),
        (("",), []),
    ],
)
def test_pages_are_those_of_the_navigation_or_those_that_are_named(pages: Pages, chosen: list[Entry]):
    assert further(APP, pages) == chosen


@pytest.mark.parametrize("pages", ["first", "all"])
def test_an_app_without_a_navigation_has_one_page(pages: Pages):
    assert further([], pages) == []


# --- the fold of messages into a page --------------------------------------------------------------------------------


def read(*messages: ForwardMsg) -> PageReader:
    reader = PageReader()
    for message in messages:
        reader.take(message.SerializeToString())
    return reader


BAD = {"type": "ValueError", "message": "bad"}
METRIC = {"label": "orders", "body": "6"}
FADING = container([0, 0], "dialog", id="a")


@pytest.mark.parametrize(
    ("messages", "counts", "exceptions"),
    [
        pytest.param([at([0, 0], metric=METRIC), at([0, 1], metric=METRIC)], {"metric": 2}, (), id="two places"),
        pytest.param([at([0, 0], metric=METRIC), at([1, 0], metric=METRIC)], {"metric": 2}, (), id="page and sidebar"),
        pytest.param([at([0, 0], metric=METRIC), at([0, 0], metric=METRIC)], {"metric": 1}, (), id="replaced by like"),
        pytest.param([at([0, 0], exception=BAD), at([0, 0], empty={})], {}, (), id="an exception that was replaced"),
        pytest.param(
            [at([0, 0], empty={}), at([0, 0], exception=BAD)], {"exception": 1}, ("ValueError: bad",), id="left"
        ),
        pytest.param([at([0, 0], exception=BAD | {"is_warning": True})], {"exception": 1}, (), id="only a warning"),
        pytest.param([at([0, 0], metric=METRIC), spinner([0, 0])], {"metric": 1}, (), id="a spinner replaces nothing"),
        pytest.param(
            [container([0, 0]), at([0, 0, 0], metric=METRIC), container([0, 0])],
            {"metric": 1},
            (),
            id="a container sent again keeps its children",
        ),
        pytest.param(
            [container([0, 0]), at([0, 0, 0], metric=METRIC), container([0, 0], "expandable")],
            {},
            (),
            id="another kind of container does not",
        ),
        pytest.param(
            [FADING, at([0, 0, 0], metric=METRIC), container([0, 0], "dialog", id="b")], {}, (), id="nor another dialog"
        ),
        pytest.param([FADING, at([0, 0, 0], metric=METRIC), FADING], {"metric": 1}, (), id="but the same dialog"),
        pytest.param(
            [at([0, 0, 0], metric=METRIC), container([0, 0])], {"metric": 1}, (), id="a child before its container"
        ),
        pytest.param(
            [container([0, 0]), at([0, 0, 0], exception=BAD), at([0, 0], markdown={"body": "x"})],
            {"markdown": 1},
            (),
            id="an element takes a container's place with all in it",
        ),
        pytest.param(
            [at([0, 0], text={"body": "x"}), at([0, 0, 0], exception=BAD)], {"text": 1}, (), id="no child in an element"
        ),
        pytest.param(
            [at([0, 0], exception=BAD), finished(FINISHED_EARLY_FOR_RERUN), started(), at([0, 0], metric=METRIC)],
            {"metric": 1},
            (),
            id="a run that starts over starts empty",
        ),
    ],
)
def test_the_page_is_what_stands_when_the_script_is_over(
    messages: list[ForwardMsg], counts: dict[str, int], exceptions: tuple[str, ...]
):
    page = read(started(), *messages, finished()).page()
    assert (dict(page.counts), page.exceptions) == (counts, exceptions)


def test_only_error_boxes_are_errors():
    boxes = [at([0, n], alert={"body": f"box {n}", "format": n}) for n in range(5)]
    page = read(started(), *boxes, finished()).page()
    assert (page.errors, page.counts["alert"]) == (("box 1",), 5)


def test_elements_are_read_in_the_order_of_the_page_not_of_their_arrival():
    late = [at([0, n], exception={"message": f"at {n}"}) for n in (10, 2, 1)]
    assert read(started(), *late, finished()).page().exceptions == ("at 1", "at 2", "at 10")


def test_the_pages_are_those_of_the_navigation_without_links_to_elsewhere():
    told = navigation(
        {"page_script_hash": "1", "page_name": "Overview", "is_default": True},
        {"page_script_hash": "2", "page_name": "Our products", "url_pathname": "products"},
        {"page_script_hash": "3", "page_name": "Secret", "url_pathname": "secret", "is_hidden": True},
        {"page_script_hash": "5", "page_name": "Manual", "external_url": "https://elsewhere.example"},
        {"page_script_hash": "4", "page_name": "Customers", "url_pathname": "customers"},
        shown="1",
    )
    assert read(started(), told, finished()).entries() == APP


def test_before_there_was_a_navigation_the_pages_came_with_the_session():
    message = started()
    message.new_session.page_script_hash = "2"
    message.new_session.app_pages.add(page_script_hash="1", page_name="app")
    message.new_session.app_pages.add(page_script_hash="2", page_name="products")
    entries = read(message, finished()).entries()
    assert entries == [Entry(b"1", "app", "app"), Entry(b"2", "products", "products", shown=True)]


def test_a_page_that_is_asked_for_after_another_starts_empty_and_knows_the_navigation():
    reader = read(
        started(), at([0, 0], exception=BAD), navigation({"page_name": "x"}), finished(FINISHED_COMPILE_ERROR)
    )
    reader.expect()
    assert (reader.finished, reader.page(), len(reader.entries())) == (False, read().page(), 1)


def test_a_navigation_is_decoded_only_for_who_wants_its_pages():
    message = ForwardMsg()
    message.navigation.app_pages.add(page_name="x")
    torn = message.SerializeToString().replace(b"x", b"\xff")
    reader = read(started())
    reader.take(torn)
    assert reader.page() == read(started()).page()
    with pytest.raises(Undecodable):
        reader.entries()


def test_what_was_sent_before_may_be_referred_to_in_the_same_session():
    reader = read(
        started(),
        kept(at([0, 0], metric=METRIC), "big"),
        finished(FINISHED_EARLY_FOR_RERUN),
        started(),
        reference([0, 5], "big"),
        reference([0, 6], "big"),
        finished(),
    )
    assert dict(reader.page().counts) == {"metric": 2}


def test_but_not_what_the_server_did_not_mean_to_be_kept():
    message = at([0, 0], metric=METRIC)
    message.hash = "small"
    with pytest.raises(Undecodable, match="cached"):
        read(started(), message, reference([0, 1], "small"))


def fill(reader: PageReader) -> None:
    """Each message names a thousand containers in as many bytes."""
    for index in range(MAX_PLACES):
        reader.take(at([index, *[0] * 990], empty={}).SerializeToString())


def test_a_page_has_no_more_places_than_a_person_could_ever_scroll():
    reader = read(started())
    with pytest.raises(Undecodable, match="places"):
        fill(reader)


def test_a_place_that_is_filled_again_and_again_is_one_place():
    reader = read(started())
    message = at([0, 0], metric=METRIC).SerializeToString()
    for _ in range(2000):
        reader.take(message)
    assert reader.page().counts["metric"] == 1


@pytest.mark.parametrize("status", [FINISHED_EARLY_FOR_RERUN, FINISHED_FRAGMENT])
def test_an_interrupted_run_or_a_fragment_does_not_finish_the_page(status: int):
    assert not read(started(), finished(status)).finished


def test_a_new_run_makes_the_page_unfinished_again():
    assert not read(started(), finished(), started()).finished


def test_a_compile_error_is_known_by_the_status_and_told_by_the_event_that_follows():
    silent = read(started(), finished(FINISHED_COMPILE_ERROR))
    telling = read(started(), finished(FINISHED_COMPILE_ERROR), event(type="SyntaxError", message="line 1"))
    assert (silent.finished, silent.page().compile_error) == (True, "")
    assert telling.page().compile_error == "SyntaxError: line 1"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\xff", id="a number that does not end"),
        pytest.param(b"\xff" * 12, id="a number that is too long"),
        pytest.param(b"\x2a\x7f\x00", id="a field longer than the message"),
        pytest.param(b"\x2b", id="a group"),
        pytest.param(b"\x02\x00", id="field number 0"),
        pytest.param(b"\x28\x01", id="a delta that is a number"),
        pytest.param(b"\x32\x00", id="script_finished that is no number"),
        pytest.param(b"\x30\x09", id="script_finished with an unknown status"),
        pytest.param(b"\x30\x00", id="script_finished of a script that never started"),
        pytest.param(b"\x2a\x02\x1a\x00", id="a delta without a path"),
        pytest.param(b"\x08\x01" * 10_001, id="more fields than any message has"),
        pytest.param(ForwardMsg(ref_hash="abc").SerializeToString(), id="a reference to a cached message"),
        pytest.param(rerun("", ""), id="an echo of what we sent"),
    ],
)
def test_what_streamlit_does_not_send_cannot_be_decoded(message: bytes):
    reader = PageReader()
    with pytest.raises(Undecodable):
        reader.take(message)


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "authority", "target", "shown"),
    [
        ("http://h", "h", "/", "http://h/"),
        ("http://h:80/", "h", "/", "http://h/"),
        ("https://h:443/kpi/", "h", "/kpi/", "https://h/kpi/"),
        ("https://H.example:8443/kpi?token=abc#top", "h.example:8443", "/kpi?token=abc", "https://h.example:8443/kpi"),
        ("http://[::1]:8501", "[::1]:8501", "/", "http://[::1]:8501/"),
        (
            "http://bücher.example/straße",
            "xn--bcher-kva.example",
            "/stra%C3%9Fe",
            "http://xn--bcher-kva.example/stra%C3%9Fe",
        ),
    ],
)
def test_an_address_has_a_host_header_and_is_shown_without_its_query(url: str, authority: str, target: str, shown: str):
    address = parse_url(url)
    assert (address.authority, address.target, address.shown) == (authority, target, shown)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dashboard",
        "ftp://h/",
        "http://",
        "http://:8501",
        "http://h:port",
        "http://h:99999",
        "http://h:0",
        "http://user:secret@h/",
        "http://h/\r\nX: y",
        "http://h/a b",
        "http://[::1",
        "http://" + "a" * 64,
        "http://user:secret@h:99999/?token=secret",
    ],
)
def test_a_malformed_address_is_refused_in_one_message_without_secrets(url: str):
    with pytest.raises(WrongSetting, match=r"cannot be used(.|\n)*expected: (.|\n)*to do: ") as refusal:
        parse_url(url)
    assert "secret" not in str(refusal.value)
