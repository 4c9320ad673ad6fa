"""A visit to a page of this process, over its private socket: what the page shows, or that it never finishes."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from dashboard.own_key import OWN_KEY
from dashboard.page import Entry, Page, Reader
from dashboard.sign_in import bearer

SETTLE_S: Final = 0.3  # the words of a compile error come after the finish
GOODBYE_S: Final = 1
MANY_RESTARTS: Final = 3
STREAM: Final = "ws://localhost/_stcore/stream"


@dataclass(frozen=True, slots=True)
class Visit:
    """`page` is None where the script did not finish, or nobody answered: `why` says it. `ms`: how long it took."""

    page: Page | None
    entries: tuple[Entry, ...]
    ms: int
    why: str = ""


async def visit(private_socket: Path, page_hash: str, limit_s: float) -> Visit:
    """Open a session and have a page run, "" being the app's first one; `limit_s` is for its script to finish."""
    reader, began, why = Reader(), time.monotonic(), ""
    try:
        async with asyncio.timeout(limit_s), _connection(private_socket) as connection:
            await connection.send(_run(page_hash))
            while not reader.finished:
                reader.take(await _next(connection))
            spent_s = time.monotonic() - began
            await _settle(connection, reader)
    except TimeoutError:
        why = "" if reader.finished else f"did not finish within {limit_s:g} s{_again(reader.restarts)}"
    except (OSError, WebSocketException) as error:
        why = "" if reader.finished else f"could not be visited: {type(error).__name__}: {error}"
    page = None if why else reader.page()
    return Visit(page, tuple(reader.entries()), round(1000 * (limit_s if why else spent_s)), why)


def _connection(private_socket: Path) -> connect:
    subprotocols = [Subprotocol("streamlit")]
    return connect(
        STREAM,
        unix=True,
        path=str(private_socket),
        subprotocols=subprotocols,
        additional_headers={"Authorization": bearer(OWN_KEY)},
        max_size=None,
        close_timeout=GOODBYE_S,
        proxy=None,
    )


def _run(page_hash: str) -> bytes:
    """What a browser sends to have a page's script run."""
    message = BackMsg()
    message.rerun_script.page_script_hash = page_hash
    message.rerun_script.SetInParent()
    return bytes(message.SerializeToString())


def _again(restarts: int) -> str:
    return f", and began anew {restarts} times: st.rerun() without an end?" if restarts > MANY_RESTARTS else ""


async def _next(connection: ClientConnection) -> ForwardMsg:
    message = ForwardMsg()
    message.ParseFromString(await connection.recv(decode=False))
    return message


async def _settle(connection: ClientConnection, reader: Reader) -> None:
    """Take what still comes; also a run that starts over, to its end."""
    while True:
        try:
            async with asyncio.timeout(SETTLE_S if reader.finished else None):
                message = await _next(connection)
        except TimeoutError:
            return
        reader.take(message)
