"""Requests to S3: bounded waits, retries with backoff and jitter, answers translated into our errors."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from etl.errors import StoreDenied, StoreError, StoreUnreachable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

T = TypeVar("T")

LONGEST_WAIT_S = 10.0
SHORTEST_WAIT_S = 0.2
# Refusals that pass: what was sent was damaged or cut off on its way.
PASSING_CODES = frozenset(
    {
        "BadDigest",
        "RequestTimeout",
        "IncompleteBody",
        "XAmzContentSHA256Mismatch",
        "InvalidDigest",
    }
)
CLOCK_CODES = frozenset({"RequestTimeTooSkewed", "RequestExpired"})


def s3_client(*, connect_timeout_s: float = 5, read_timeout_s: float = 20) -> "S3Client":
    """An S3 client with bounded waits that tries once: it is `bounded` that tries again.

    Endpoint, region and credentials come from where boto3 always takes them. Raises StoreError where what it finds
    there cannot be used.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    try:
        session = boto3.Session()
        return session.client("s3", region_name=session.region_name or "us-east-1", config=config)
    except (BotoCoreError, ValueError) as error:
        raise StoreError(
            f"AWS cannot be asked with what is configured: {error}",
            expected="a profile, region, endpoint and credentials that boto3 can use",
            to_do="mend AWS_PROFILE, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and the like, or ~/.aws",
        ) from error


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried, and how long everything that belongs together may take."""

    attempts: int = 5
    deadline_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def begin(self) -> "Deadline":
        """The deadline of something that starts now."""
        return Deadline(self, self.clock() + self.deadline_s)


@dataclass(frozen=True, slots=True)
class Deadline:
    """When something that has begun must be done, by the clock of its patience."""

    patience: Patience
    end_s: float

    @property
    def left_s(self) -> float:
        """Seconds left, 0 where there are none."""
        return max(0.0, self.end_s - self.patience.clock())


class Passing(StoreUnreachable):
    """A failure that may be gone at the next try."""


class Answer(Exception):
    """Something S3 may say that a caller looks for."""

    @staticmethod
    def says(status: int, code: str) -> bool:
        """Whether S3 says it with this status and code."""
        raise NotImplementedError


class NotModified(Answer):
    """The object is still the one whose ETag was sent."""

    @staticmethod
    def says(status: int, code: str) -> bool:  # noqa: ARG004 - the shape of Answer
        """304."""
        return status == HTTPStatus.NOT_MODIFIED


class PreconditionFailed(Answer):
    """The object is no longer the one whose ETag was sent, or somebody is writing it at this moment."""

    @staticmethod
    def says(status: int, code: str) -> bool:
        """412, and the 409 of two conditional writes at once."""
        return status == HTTPStatus.PRECONDITION_FAILED or code == "ConditionalRequestConflict"


class NoSuchKey(Answer):
    """There is no such object, or no such version of it."""

    @staticmethod
    def says(status: int, code: str) -> bool:
        """404 of an object, not of a bucket; a version that is a delete marker answers 405."""
        missing = status == HTTPStatus.NOT_FOUND and code in ("NoSuchKey", "NoSuchVersion", "404")
        return missing or status == HTTPStatus.METHOD_NOT_ALLOWED


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """Something to ask S3 for, what for, and which refusals the caller looks for.

    `absent` gives the answer where there is no such object; without it that is a refusal.
    """

    doing: str
    send: Callable[[], T]
    looked_for: tuple[type[Answer], ...] = ()
    absent: Callable[[], T] | None = None


def asked(request: Request[T], deadline: Deadline) -> T:
    """The answer to one request; see `bounded`."""
    (answer,) = bounded([request], deadline)
    return answer


def bounded(requests: Sequence[Request[T]], deadline: Deadline, *, threads: int = 1) -> list[T]:
    """The answers to all requests, asked side by side; the first error ends it.

    Raises StoreUnreachable when the deadline has passed, whatever a server does: one that sends a byte now and then
    keeps a socket's own timeout from ever firing. The threads are left behind then, and end with the process.
    """
    waiting = iter(list(enumerate(requests)))
    taking = threading.Lock()
    asked: list[str] = []
    done: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()
    failed = threading.Event()

    def work() -> None:
        while not failed.is_set():
            with taking:
                place, request = next(waiting, (-1, None))
                if request is None:
                    return
                asked.append(request.doing)
            try:
                done.put((place, _patiently(request, deadline, failed), None))
            except BaseException as error:  # noqa: BLE001 - whoever waits raises it
                failed.set()
                done.put((place, None, error))

    for _ in range(min(threads, len(requests))):
        threading.Thread(target=work, name=requests[0].doing, daemon=True).start()
    answers: dict[int, T] = {}
    while len(answers) < len(requests):
        try:
            place, answer, error = done.get(timeout=deadline.left_s)
        except queue.Empty:
            failed.set()
            raise _too_slow(asked[-1] if asked else requests[0].doing, deadline) from None
        if error is not None:
            raise error
        answers[place] = answer  # type: ignore[assignment] # without an error there is an answer
    return [answers[place] for place in range(len(requests))]


def _patiently(request: Request[T], deadline: Deadline, given_up: threading.Event) -> T:
    """Ask until it is answered, tried often enough, or too late; once it was given up nothing more is sent."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    def attempt() -> T:
        if given_up.is_set() or not deadline.left_s:
            raise _too_slow(request.doing, deadline)
        return _once(request)

    trying = Retrying(
        retry=retry_if_exception_type(Passing),
        stop=stop_after_attempt(deadline.patience.attempts),
        wait=wait_random_exponential(multiplier=SHORTEST_WAIT_S, max=LONGEST_WAIT_S),
        sleep=lambda wait_s: deadline.patience.sleep(min(wait_s, deadline.left_s)),
        reraise=True,
    )
    answered: T = trying(attempt)
    return answered


def _once(request: Request[T]) -> T:
    """One try, what S3 and the network answer translated."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        return request.send()
    except ClientError as error:
        translated = _translated(error.response, request)
        if request.absent and isinstance(translated, NoSuchKey):
            return request.absent()
        raise translated from error
    except (BotoCoreError, HTTPError, OSError, RecursionError, ValueError) as error:
        # The last two: a redirect to itself; a header that is no number or no date.
        if "redential" in type(error).__name__:
            raise _denied(request.doing, str(error)) from error
        raise Passing(
            f"{request.doing}: {error}",
            expected="an answer from S3",
            to_do="check the network and AWS_ENDPOINT_URL, then try again; the published snapshot is still the old one",
        ) from error


def _translated(response: Any, request: Request[Any]) -> Exception:
    doing = request.doing
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = response.get("Error", {}).get("Code", "")
    said = " ".join(dict.fromkeys([str(status), code]))
    looked_for: list[type[Answer]] = [*request.looked_for, *([NoSuchKey] if request.absent else [])]
    for answer in looked_for:
        if answer.says(status, code):
            return answer()
    if code == "NoSuchBucket":
        return StoreError(
            f"{doing}: S3 answered {said}",
            expected="a bucket of that name",
            to_do="name an existing bucket in settings.toml [s3], or make this one with `fab provision`",
        )
    if code in CLOCK_CODES:
        return StoreDenied(
            f"{doing}: S3 answered {said}",
            expected="a request that is signed with the right time",
            to_do="set this machine's clock (timedatectl); the published snapshot is still the old one",
        )
    if code in PASSING_CODES:
        return unexpected(f"{doing}: S3 answered {said}")
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _denied(doing, f"S3 answered {said}")
    return unexpected(f"{doing}: S3 answered {said}")


def complete(answer: T, doing: str) -> T:
    """The same answer. Raises Passing where its headers were cut off, which is no error to Python.

    HTTP/1.1 says in one of two headers how long a body is, and S3 sends them late: without them some may be missing.
    """
    said: Any = answer
    if not {"content-length", "transfer-encoding"} & set(said["ResponseMetadata"]["HTTPHeaders"]):
        if "Body" in said:
            said["Body"].close()
        raise unexpected(f"{doing}: the answer was cut off")
    return answer


def unexpected(seen: str) -> Passing:
    """S3 did not do as asked, and may at the next try."""
    return Passing(seen, expected="S3 to do as asked", to_do="try again; the published snapshot is still the old one")


def _denied(doing: str, answer: str) -> StoreDenied:
    return StoreDenied(
        f"{doing}: {answer}",
        expected="credentials that may read (and, to publish, write) below this prefix",
        to_do="check AWS_PROFILE or the instance's role, and the bucket's policy; "
        "the published snapshot is still the old one",
    )


def _too_slow(doing: str, deadline: Deadline) -> StoreUnreachable:
    limit_s = deadline.patience.deadline_s
    return StoreUnreachable(
        f"{doing}: not done {limit_s:g} s after all began",
        expected=f"all of it within {limit_s:g} s",
        to_do="check the network, then try again; the published snapshot is still the old one",
    )
