"""Is our own network up? Asked before a target is called down. requests is enough here: any answer at all will do."""

import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

import requests

from ops.uptime.probe import Deadline

TIMEOUT_S = 5.0


def any_answers(session: requests.Session, urls: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether one of the control addresses gives any HTTP answer at all, a refusal included.

    All are asked at once, each in a thread, and after `timeout_s` nobody waits any longer: requests limits every wait
    but not their sum, and not the name server's.
    """
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    deadline = Deadline.after(timeout_s)
    for url in urls:
        threading.Thread(target=lambda url=url: answers.put(_answers(session, url, timeout_s)), daemon=True).start()
    with suppress(queue.Empty, TimeoutError):
        return any(answers.get(timeout=deadline.left_s()) for _ in urls)
    return False


def _answers(session: requests.Session, url: str, timeout_s: float) -> bool:
    try:
        with session.get(url, timeout=timeout_s, allow_redirects=False, stream=True):
            return True
    except (requests.RequestException, OSError, ValueError):
        return False
