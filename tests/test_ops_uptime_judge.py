"""What a page means, decided without a network: the wire's numbers, the fold of deltas, the verdicts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Block_pb2 import Block
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.Exception_pb2 import Exception as ExceptionElement
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg, ForwardMsgMetadata
from streamlit.proto.SessionEvent_pb2 import SessionEvent

from ops.uptime.probe import (
    ALERT_ERROR,
    BLOCK_KINDS,
    ELEMENTS,
    FINISHED,
    FINISHED_COMPILE_ERROR,
    FINISHED_EARLY_FOR_RERUN,
    FINISHED_FRAGMENT,
    WIRE,
    Finding,
    Page,
    PageReader,
    Undecodable,
    Wanted,
    WrongSetting,
    decode,
    detail_of,
    judge,
    parse_url,
    rerun,
)

MESSAGES = {
    "Alert": Alert,
    "BackMsg": BackMsg,
    "ClientState": ClientState,
    "Block": Block,
    "Delta": Delta,
    "Exception": ExceptionElement,
    "ForwardMsg": ForwardMsg,
    "ForwardMsgMetadata": ForwardMsgMetadata,
    "SessionEvent": SessionEvent,
}


# --- the wire's numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(WIRE))
def test_every_field_number_is_the_installed_streamlits(name: str):
    message, field = name.split(".")
    assert MESSAGES[message].DESCRIPTOR.fields_by_name[field].number == WIRE[name]


def test_every_kind_of_element_has_the_installed_streamlits_number():
    installed = {field.name: field.number for field in Element.DESCRIPTOR.oneofs_by_name["type"].fields}
    assert {kind: installed.get(kind) for kind in ELEMENTS} == ELEMENTS


def test_the_kinds_of_containers_are_the_installed_streamlits():
    assert {field.number for field in Block.DESCRIPTOR.oneofs_by_name["type"].fields} == BLOCK_KINDS


def test_enum_values_and_the_rerun_message_are_the_installed_streamlits():
    assert Alert.Format.Value("ERROR") == ALERT_ERROR
    assert dict(ForwardMsg.ScriptFinishedStatus.items()) == {
        "FINISHED_SUCCESSFULLY": FINISHED,
        "FINISHED_WITH_COMPILE_ERROR": FINISHED_COMPILE_ERROR,
        "FINISHED_EARLY_FOR_RERUN": FINISHED_EARLY_FOR_RERUN,
        "FINISHED_FRAGMENT_RUN_SUCCESSFULLY": FINISHED_FRAGMENT,
    }
    message = BackMsg()
    message.rerun_script.SetInParent()
    assert message.SerializeToString() == rerun("", "") == bytes.fromhex("5a00")


@pytest.mark.parametrize(
    ("query", "page"),
    [("period=All", ""), ("", "products"), ("q=" + "x" * 300, "caf\xe9")],
)
def test_the_message_that_runs_a_page_with_its_query_is_the_installed_streamlits(query: str, page: str):
    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_name = page
    assert message.SerializeToString() == rerun(query, page)


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


@given(st.text())
def test_a_detail_never_has_more_than_120_bytes(text: str):
    assert len((detail_of(text) or "").encode()) <= 120


# --- the fold of messages into a page --------------------------------------------------------------------------------


def started() -> ForwardMsg:
    message = ForwardMsg()
    message.new_session.name = "app"
    return message


def finished(status: int = FINISHED) -> ForwardMsg:
    return ForwardMsg(script_finished=status)


def at(path: list[int], **element: dict[str, Any]) -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path[:] = path
    for kind, fields in element.items():
        child = getattr(message.delta.new_element, kind)
        child.SetInParent()
        for name, value in fields.items():
            setattr(child, name, value)
    return message


def container(path: list[int], kind: str = "vertical", **fields: str) -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path[:] = path
    getattr(message.delta.add_block, kind).SetInParent()
    for name, value in fields.items():
        setattr(message.delta.add_block, name, value)
    return message


def spinner(path: list[int]) -> ForwardMsg:
    message = at(path)
    message.delta.new_transient.elements.add().exception.message = "not an element of the page"
    return message


def event(**fields: str) -> ForwardMsg:
    message = ForwardMsg()
    for name, value in fields.items():
        setattr(message.session_event.script_compilation_exception, name, value)
    return message


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


@given(st.binary())
def test_no_bytes_make_the_reader_fail_in_another_way(data: bytes):
    reader = PageReader()
    try:
        reader.take(data)
        reader.page()
    except Undecodable:
        pass


@given(st.data())
def test_no_damage_to_real_messages_makes_the_reader_fail_in_another_way(data: st.DataObject):
    reader = PageReader()
    try:
        for message in (started(), container([0, 0]), at([0, 0, 0], exception=BAD), event(**BAD), finished()):
            whole = bytearray(message.SerializeToString())
            index = data.draw(st.integers(0, len(whole) - 1))
            whole[index] = data.draw(st.integers(0, 255))
            reader.take(bytes(whole))
        reader.page()
    except Undecodable:
        pass


@given(st.text(), st.text(), st.integers(0, 4))
def test_our_decoder_reads_what_protobuf_writes(body: str, title: str, kind: int):
    alert = Alert(body=body, title=title, format=kind)
    fields = decode(alert.SerializeToString())
    assert fields.get(1, b"") == body.encode()
    assert fields.get(5, b"") == title.encode()
    assert fields.get(2, 0) == kind


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
