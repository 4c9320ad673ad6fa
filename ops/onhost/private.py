"""What a release says of itself on its private socket: GET /state.

HTTP by hand: http.client takes longer to import than all the rest of `kpi-host status` takes to run.
"""

import json
import socket
from pathlib import Path
from typing import Any, Final

from ops.onhost.layout import RUN, Tree

MAX_BYTES: Final = 1 << 16
ASKED: Final = b"GET /state HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"


def state(tree: Tree, instance: str, timeout_s: float) -> dict[str, Any] | None:
    """The answer; None where there is none in time, or it is no object."""
    try:
        return parse(_answer(tree.at(RUN) / instance / "http.sock", timeout_s))
    except OSError:
        return None


def deaf(tree: Tree, instance: str, timeout_s: float) -> bool:
    """Whether its process takes a question and says nothing: its event loop is blocked, and no caller is heard."""
    try:
        _answer(tree.at(RUN) / instance / "http.sock", timeout_s)
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def _answer(path: Path, timeout_s: float) -> bytes:
    """All that is said until the other side ends the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(ASKED)
        answer = b""
        while len(answer) < MAX_BYTES and (piece := connection.recv(MAX_BYTES)):
            answer += piece
        return answer


def parse(answer: bytes) -> dict[str, Any] | None:
    """The object in an HTTP answer of status 200."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [b"200"]:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
