"""A page that is open while its release leaves: once nobody has touched it for a while, it is sent to the new release.

Streamlit's browser side comes back within a second, with all that its address says, and has the page drawn anew. Only
a page that looks for news by itself is sent: a browser's, which is known to come back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.relay import Message, Receive, Send
from dashboard.traffic import Traffic

IDLE_S: Final = 60.0
SERVICE_RESTART: Final = 1012


@dataclass(slots=True)
class IdlePage:
    """One page's websocket. `clock`: in seconds, as time.monotonic."""

    traffic: Traffic
    receive: Receive
    send: Send
    clock: Callable[[], float]
    session: str = ""
    touched_s: float = field(init=False)
    sent_away: bool = False

    def __post_init__(self) -> None:
        """To open a page is to touch it."""
        self.touched_s = self.clock()

    async def heard(self) -> Message:
        """What the browser says; where it is sent away, that it has left."""
        message = await self.receive()
        data = message.get("bytes")
        if message["type"] != "websocket.receive" or not data:
            return message
        if not _looks_by_itself(data):
            self.touched_s = self.clock()
        elif self.session and self.traffic.draining and self.clock() - self.touched_s >= IDLE_S:
            return await self._send_away()
        return message

    async def said(self, message: Message) -> None:
        """What the app says; its first message names the session."""
        if self.sent_away:
            return  # the connection is closed, and the app may not know it yet
        if not self.session and message["type"] == "websocket.send" and (data := message.get("bytes")):
            self.session = _session(data)
        await self.send(message)

    async def _send_away(self) -> Message:
        self.sent_away = True
        self.traffic.sent_away.add(self.session)  # before it comes back and asks whose it is
        await self.send({"type": "websocket.close", "code": SERVICE_RESTART})
        return {"type": "websocket.disconnect", "code": SERVICE_RESTART}


def _looks_by_itself(data: bytes) -> bool:
    """Whether it is no person, but the page's own clock."""
    message = BackMsg()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return False
    return bool(message.rerun_script.is_auto_rerun)


def _session(data: bytes) -> str:
    """The session that a message names; "" for most."""
    message = ForwardMsg()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return ""
    return str(message.new_session.initialize.session_id) if message.WhichOneof("type") == "new_session" else ""
