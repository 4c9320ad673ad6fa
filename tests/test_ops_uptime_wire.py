"""What Streamlit says on the wire: its field numbers in the oldest and the newest release, frames, and garbage."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg

from ops.uptime.probe import (
    ALERT_ERROR,
    BLOCK_KINDS,
    ELEMENTS,
    FINISHED,
    FINISHED_COMPILE_ERROR,
    FINISHED_EARLY_FOR_RERUN,
    FINISHED_FRAGMENT,
    WIRE,
    Channel,
    Connection,
    Deadline,
    PageReader,
    Undecodable,
    decode,
    rerun,
)
from tests.streamlit_messages import at, container, event, finished, kept, navigation, reference, started
from tests.streamlit_numbers import installed, numbers_of

OLDEST = Path(__file__).parent / "golden" / "streamlit-1.36.0.json"  # the first one with st.navigation

# What the oldest one had not yet, and what it called otherwise.
LATER = {"AppPage.is_hidden", "AppPage.external_url", "Block.id"}
LATER_ELEMENTS = {"bidi_component", "button_group", "echarts_chart"}
LATER_CONTAINERS = {13, 17, 19}
RENAMED = {"dataframe": "arrow_data_frame", "table": "arrow_table", "vega_lite_chart": "arrow_vega_lite_chart"}

Numbers = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def newest() -> Numbers:
    return numbers_of(installed())


@pytest.fixture(scope="module")
def oldest() -> Numbers:
    return json.loads(OLDEST.read_text())


# --- the numbers -----------------------------------------------------------------------------------------------------


def of(numbers: Numbers, name: str) -> int | None:
    message, field = name.split(".")
    return numbers["fields"].get(message, {}).get(field)


def elements(numbers: Numbers) -> dict[str, int]:
    return {kind: numbers["fields"]["Element"][kind] for kind in numbers["kinds"]["Element"]}


def containers(numbers: Numbers) -> set[int]:
    return {numbers["fields"]["Block"][kind] for kind in numbers["kinds"]["Block"]}


def test_every_field_number_is_the_installed_streamlits(newest: Numbers):
    assert {name: of(newest, name) for name in WIRE} == WIRE
    assert {kind: elements(newest).get(kind) for kind in ELEMENTS} == ELEMENTS
    assert containers(newest) == BLOCK_KINDS


def test_every_field_number_is_that_of_the_oldest_one_supported(oldest: Numbers):
    assert {name: of(oldest, name) for name in WIRE} == WIRE | dict.fromkeys(LATER)
    known = {kind: elements(oldest).get(RENAMED.get(kind, kind)) for kind in ELEMENTS}
    assert known == ELEMENTS | dict.fromkeys(LATER_ELEMENTS)
    assert containers(oldest) == BLOCK_KINDS - LATER_CONTAINERS


def test_no_number_that_came_later_meant_something_else_before(oldest: Numbers):
    assert not {ELEMENTS[kind] for kind in LATER_ELEMENTS} & set(oldest["fields"]["Element"].values())
    assert not LATER_CONTAINERS & set(oldest["fields"]["Block"].values())
    for name in LATER:
        assert WIRE[name] not in oldest["fields"][name.partition(".")[0]].values()


@pytest.mark.parametrize("release", ["oldest", "newest"])
def test_enum_values_are_the_same_in_both(release: str, request: pytest.FixtureRequest):
    enums = request.getfixturevalue(release)["enums"]
    assert enums["Alert.Format"]["ERROR"] == ALERT_ERROR
    assert enums["ForwardMsg.ScriptFinishedStatus"] == {
        "FINISHED_SUCCESSFULLY": FINISHED,
        "FINISHED_WITH_COMPILE_ERROR": FINISHED_COMPILE_ERROR,
        "FINISHED_EARLY_FOR_RERUN": FINISHED_EARLY_FOR_RERUN,
        "FINISHED_FRAGMENT_RUN_SUCCESSFULLY": FINISHED_FRAGMENT,
    }


# --- what we say -----------------------------------------------------------------------------------------------------


def test_the_shortest_message_that_runs_a_page_has_two_bytes():
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


def test_a_page_of_the_navigation_is_asked_for_by_its_hash_alone():
    message = BackMsg()
    message.rerun_script.page_script_hash = "abc"
    assert message.SerializeToString() == rerun("", "products", b"abc")


# --- what we hear ----------------------------------------------------------------------------------------------------


@given(st.text(), st.text(), st.integers(0, 4))
def test_our_decoder_reads_what_protobuf_writes(body: str, title: str, kind: int):
    alert = Alert(body=body, title=title, format=kind)
    fields = decode(alert.SerializeToString())
    assert fields.get(1, b"") == body.encode()
    assert fields.get(5, b"") == title.encode()
    assert fields.get(2, 0) == kind


def read_all(*messages: bytes) -> None:
    """Nothing but a page, or Undecodable."""
    reader = PageReader()
    try:
        for message in messages:
            reader.take(message)
            reader.page()
            reader.entries()
    except Undecodable:
        pass


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message, with a number below 16 and a value of less than 128 bytes or bits."""
    return bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value


def message_of(parts: st.SearchStrategy[int | bytes]) -> st.SearchStrategy[bytes]:
    fields = st.lists(st.builds(field, st.integers(1, 15), parts), max_size=4)
    return fields.map(lambda whole: b"".join(whole)[:127])


SCALARS = st.integers(0, 127) | st.binary(max_size=20)
DEEP = st.recursive(message_of(SCALARS), lambda inner: message_of(SCALARS | inner), max_leaves=12)


@given(st.lists(st.binary()))
def test_no_bytes_make_the_reader_fail_in_another_way(messages: list[bytes]):
    read_all(*messages)


@given(st.lists(DEEP, max_size=8))
def test_no_messages_within_messages_make_the_reader_fail_in_another_way(messages: list[bytes]):
    read_all(b"\x22\x00", *messages)


BAD = {"type": "ValueError", "message": "bad"}
REAL = [
    started(),
    navigation({"page_script_hash": "1", "page_name": "x", "is_hidden": True}, shown="1"),
    container([0, 0]),
    container([0, 1], "dialog", id="a"),
    at([0, 0, 0], exception=BAD),
    kept(at([0, 0, 1], alert={"body": "bad", "format": 1}), "big"),
    reference([0, 2], "big"),
    event(**BAD),
    finished(),
]


@given(st.data())
def test_no_damage_to_real_messages_makes_the_reader_fail_in_another_way(data: st.DataObject):
    damaged = [bytearray(message.SerializeToString()) for message in REAL]
    for message in damaged:
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    read_all(*map(bytes, damaged))


def drain(channel: Channel) -> None:
    while True:
        channel.message()


@given(st.binary(max_size=300))
def test_no_bytes_make_the_channel_fail_in_another_way(data: bytes):
    ours, theirs = socket.socketpair()
    connection = Connection(ours, Deadline.after(20))
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises((Undecodable, OSError)):
            drain(Channel(connection))
    connection.close()


def test_running_out_of_time_within_a_frame_loses_nothing_of_it():
    ours, theirs = socket.socketpair()
    connection = Connection(ours, Deadline.after(20))
    channel = Channel(connection)
    with theirs:
        theirs.sendall(b"\x02\x03abc\x80\x03d")
        channel.until(Deadline.after(0.01))
        with pytest.raises(TimeoutError):
            channel.message()
        theirs.sendall(b"ef")
        channel.until(Deadline.after(20))
        assert channel.message() == b"abcdef"
    connection.close()
