"""Our own address, as a service in AWS sees it."""

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from etl.errors import StackError

CHECKIP_URL = "https://checkip.amazonaws.com/"
ANSWER_S = 5
MAX_BYTES = 100
OK = 200


def own_address(url: str = CHECKIP_URL) -> str:
    """What the service says, unjudged. Raises StackError where it says nothing.

    Past any proxy: the probe looks past it too, and a proxy has an address of its own.
    """
    try:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_S)
        try:
            connection.request("GET", parts.path or "/")
            answer = connection.getresponse()
            text = answer.read1(MAX_BYTES).decode("ascii")
        finally:
            connection.close()
    except (HTTPException, OSError, ValueError) as error:
        raise _untold(url, f"gave no answer: {error}") from error
    if answer.status != OK:
        raise _untold(url, f"answered {answer.status}")
    return text


def _untold(url: str, why: str) -> StackError:
    return StackError(
        f"{url}, which is to tell our own address, {why}",
        expected="one public address",
        to_do="check the network, or look without --knock",
    )
