"""Is our own network up? Asked before a target is called down. The only importer of requests."""

from collections.abc import Iterable

import requests

TIMEOUT_S = 5.0


def any_answers(session: requests.Session, urls: Iterable[str], *, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether one of the control addresses gives any HTTP answer at all, a refusal included."""
    return any(_answers(session, url, timeout_s) for url in urls)


def _answers(session: requests.Session, url: str, timeout_s: float) -> bool:
    try:
        with session.get(url, timeout=timeout_s, allow_redirects=False, stream=True):
            return True
    except (requests.RequestException, OSError):
        return False
