"""One request to a service that is told: bounded waits, retries with backoff and jitter, limits that are honoured."""

import email.utils
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from etl.store.wire import Deadline

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

CONNECT_S = 5.0
ANSWER_S = 10.0
SHORTEST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
UNSAID_WAIT_S = 60.0  # what GitHub asks for where a limit does not say how long it lasts
JITTER_S = 1.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 1 << 16
USER_AGENT = "kpi-ops-alerts/1"
PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
HOPELESS = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 410})  # the next message will fare no better


class Undelivered(Exception):
    """It did not get through. Its words hold no address and no secret.

    `hopeless`: nothing else will get through this channel now.
    """

    def __init__(self, why: str, *, hopeless: bool = False) -> None:
        """Keep why, in a few words."""
        super().__init__(why)
        self.why = why
        self.hopeless = hopeless


class Passing(Undelivered):
    """It may get through at the next try, after `wait_s` where the service said so; it may have got through now."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        """Keep why, and for how long not to ask again."""
        super().__init__(why, hopeless=True)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said, whole. `next_page`: the address of the rest of a list."""

    status: int
    body: bytes
    next_page: str | None = None

    @property
    def is_good(self) -> bool:
        """2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class Wire:
    """A way to ask over HTTP until a deadline. `now`: of the clock on the wall, when `deadline` began."""

    session: requests.Session
    deadline: Deadline
    now: datetime
    auth: requests.auth.AuthBase | None = None  # not a header: a .netrc would win over that
    headers: Mapping[str, str] | None = None
    reads_good: bool = True  # whether it matters what stands in an answer that says yes

    def ask(self, method: str, url: str, **content: Any) -> Answer:
        """The answer, a refusal included; tried again where that may help and hurts nobody. Raises Undelivered."""
        return patiently(lambda: self.once(method, url, **content), self.deadline)

    def once(self, method: str, url: str, **content: Any) -> Answer:
        """The answer to one try. Raises Passing where there was none, or one that is to be asked for later."""
        if not self.deadline.left_s:
            raise Undelivered("no time was left", hopeless=True)
        try:
            with self.session.request(
                method,
                url,
                auth=self.auth,
                headers={"User-Agent": USER_AGENT, **(self.headers or {})},
                timeout=(min(CONNECT_S, self.deadline.left_s), min(ANSWER_S, self.deadline.left_s)),
                allow_redirects=False,
                stream=True,
                **content,
            ) as response:
                answer = Answer(response.status_code, self._body(response), response.links.get("next", {}).get("url"))
                limited_s = limited(response.status_code, response.headers, answer.body, self._now())
        except (requests.RequestException, OSError, ValueError) as error:
            raise Passing(_words(error)) from error
        if limited_s is not None:
            raise Passing(f"answered {answer.status}: rate limited for {limited_s:.0f} s", limited_s)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in PASSING:
            raise Passing(f"answered {answer.status}")
        return answer

    def _body(self, response: requests.Response) -> bytes:
        body = b""
        for chunk in response.iter_content(CHUNK_BYTES) if self.reads_good or not response.ok else ():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                break
        return body

    def _now(self) -> datetime:
        patience = self.deadline.patience
        return self.now + timedelta(seconds=patience.deadline_s - self.deadline.left_s)


def refusal(answer: Answer, doing: str = "") -> Undelivered:
    """The error for an answer that says no."""
    return Undelivered(f"{doing}answered {answer.status}", hopeless=answer.status in HOPELESS)


def patiently(attempt: Callable[[], T], deadline: Deadline) -> T:
    """Try until it is done, tried often enough, or the next try would come too late. Raises Undelivered."""
    from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

    backoff = wait_random_exponential(multiplier=SHORTEST_WAIT_S, max=LONGEST_WAIT_S)

    def wait_s(state: "RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome else None
        said_s = error.wait_s if isinstance(error, Passing) else None
        jitter_s = random.uniform(0, JITTER_S)  # noqa: S311 - keeps two runs apart, and no secret
        return backoff(state) if said_s is None else said_s + jitter_s

    def is_enough(state: "RetryCallState") -> bool:
        return state.attempt_number >= deadline.patience.attempts or state.upcoming_sleep >= deadline.left_s

    trying = Retrying(
        retry=retry_if_exception_type(Passing),
        stop=is_enough,
        wait=wait_s,
        sleep=deadline.patience.sleep,
        reraise=True,
    )
    answered: T = trying(attempt)
    return answered


def limited(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> float | None:
    """For how many seconds a service asks not to be asked; None where it does not."""
    retry_after = headers.get("Retry-After")
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN) and retry_after:
        return _seconds_or_date(retry_after, now)
    if status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN):
        return None
    if headers.get("X-RateLimit-Remaining") == "0":
        return max(0.0, _number(headers.get("X-RateLimit-Reset", "")) - now.timestamp())
    unsaid = status == HTTPStatus.TOO_MANY_REQUESTS or b"rate limit" in body.lower()
    return UNSAID_WAIT_S if unsaid else None


def _seconds_or_date(text: str, now: datetime) -> float:
    if text.strip().isdecimal():
        return _number(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError):  # no date; or one without a zone
        return UNSAID_WAIT_S


def _number(text: str) -> float:
    return float(text.strip()[:12]) if text.strip().isdecimal() else 0.0


def _words(error: Exception) -> str:
    """What went wrong, without what the library says: it repeats the address."""
    kinds: Mapping[type[Exception], str] = {
        requests.ConnectTimeout: "no connection in time",
        requests.Timeout: "no answer in time",
        requests.exceptions.SSLError: "no trust in its certificate, or TLS failed",
        requests.ConnectionError: "no connection, or it broke off",
    }
    return next((words for kind, words in kinds.items() if isinstance(error, kind)), type(error).__name__)
