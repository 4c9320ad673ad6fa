"""Load on a dashboard: requests on new connections at a steady rate, and sessions that stay open and run the page.

    python -m ops.rehearse.load ADDRESS [--port 8501] [--rate 50] [--sessions 6] [--seconds 30]

Without --seconds until standard input ends; a line `renew` there closes the sessions and opens others. Prints a line of
JSON when every session has shown its page once, or could not in time, and one with the result at the end.
"""

import argparse
import asyncio
import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from ops.uptime.probe import FINISHED, FINISHED_COMPILE_ERROR, WIRE, Undecodable, decode, rerun

ANSWER_WITHIN_S: Final = 20.0
RERUN_EVERY_S: Final = 1.0
OPEN_AGAIN_AFTER_S: Final = 1.0
PAGE: Final = "/"
HEALTH: Final = "/_stcore/health"
STREAM: Final = "/_stcore/stream"
# Beside the numbers that the probe needs: where a new run says which session it belongs to, and what raised.
NEW_SESSION_INITIALIZE: Final = 1
INITIALIZE_SESSION_ID: Final = 6
ELEMENT_EXCEPTION: Final = 8
NO_RELEASE: Final = "-"  # who answers does not say which release it is
P50: Final = 0.50
P99: Final = 0.99


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, `at_s` after the load began, and after how long that was known."""

    at_s: float
    what: str
    reason: str
    took_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What the load met with.

    `failed`: requests without the whole right answer. `lost`: sessions that did not go on as themselves (another id, a
    run that raised or did not end). `cut`: sessions that the other side closed. `by_release`: answers of each.
    """

    requests: int
    failed: list[Failure]
    p50_s: float
    p99_s: float
    worst_s: float
    by_release: dict[str, int]
    sessions: int
    lost: list[Failure]
    cut: list[Failure]
    reruns: int
    worst_rerun_s: float
    seconds: float

    @property
    def unnoticed(self) -> bool:
        """Nobody has noticed anything: every request answered, no session lost or cut, and there was a load at all."""
        return bool(self.requests and (self.reruns or not self.sessions)) and not (self.failed or self.lost or self.cut)

    def line(self) -> str:
        """All of it in one line."""
        return (
            f"{self.requests} requests, {len(self.failed)} failed, p50 {self.p50_s * 1000:.0f} ms, "
            f"p99 {self.p99_s:.2f} s, worst {self.worst_s:.2f} s; "
            f"{self.sessions} sessions, {self.reruns} runs, {len(self.lost)} lost, {len(self.cut)} cut"
        )


def loaded(text: str) -> Load:
    """A Load from the JSON that the command prints."""
    found = json.loads(text)
    kinds = {name: [Failure(**each) for each in found[name]] for name in ("failed", "lost", "cut")}
    return Load(**{**found, **kinds})


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below or at which the share lies; 0 of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes, and how much of it."""

    address: str
    port: int = 8501
    rate_per_s: float = 50.0
    sessions: int = 6
    open_within_s: float = 60.0

    @property
    def host(self) -> str:
        """As it stands in an address: an IPv6 one in brackets."""
        return f"[{self.address}]" if ":" in self.address else self.address


@dataclass(slots=True)
class Tally:
    """Everything so far; becomes a Load."""

    clock: Callable[[], float]
    began_s: float
    waits_s: list[float] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    by_release: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    lost: list[Failure] = field(default_factory=list)
    cut: list[Failure] = field(default_factory=list)
    reruns_s: list[float] = field(default_factory=list)

    def failure(self, since_s: float, what: str, reason: str) -> Failure:
        """A failure of something that began at `since_s` by the clock, and is known now."""
        return Failure(round(since_s - self.began_s, 2), what, reason, round(self.clock() - since_s, 3))

    def refused(self, since_s: float, reason: str) -> None:
        """A session that could not be opened: a request that failed."""
        self.waits_s.append(self.clock() - since_s)
        self.failed.append(self.failure(since_s, "open a session", reason))

    def load(self) -> Load:
        """The result."""
        waits_s = sorted(self.waits_s)
        return Load(
            requests=len(waits_s),
            failed=self.failed,
            p50_s=round(quantile(waits_s, P50), 4),
            p99_s=round(quantile(waits_s, P99), 4),
            worst_s=round(max(waits_s, default=0), 3),
            by_release=dict(self.by_release),
            sessions=self.sessions,
            lost=self.lost,
            cut=self.cut,
            reruns=len(self.reruns_s),
            worst_rerun_s=round(max(self.reruns_s, default=0), 3),
            seconds=round(self.clock() - self.began_s, 1),
        )


# --- requests --------------------------------------------------------------------------------------------------------


async def _request(target: Target, path: str, tally: Tally) -> None:
    """One request on a connection of its own."""
    since_s = tally.clock()
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await _answer(target, path)
    except TimeoutError:
        reason = f"no answer within {ANSWER_WITHIN_S:g} s"
    except OSError as error:
        reason = f"{type(error).__name__}: {error.strerror or error}"
    else:
        reason = wrong(path, answer)
        tally.by_release[release_of(answer)] += 1
    tally.waits_s.append(tally.clock() - since_s)
    if reason:
        tally.failed.append(tally.failure(since_s, f"GET {path}", reason))


async def _answer(target: Target, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(target.address, target.port)
    try:
        asked = f"GET {path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\nConnection: close\r\n\r\n"
        writer.write(asked.encode())
        return await reader.read(-1)
    finally:
        writer.close()


def wrong(path: str, answer: bytes) -> str:
    """What is wrong with an answer to GET `path`: not 200, cut short, or not what is there; empty if nothing is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode(errors="replace")
    if not re.match(r"HTTP/1\.1 200\b", status):
        return status or "the connection was closed without an answer"
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    if length and int(length[1]) != len(body):
        return f"{len(body)} of {int(length[1])} bytes"
    right = body == b"ok" if path == HEALTH else b'<div id="root">' in body
    return "" if right else f"another body: {body[:40].decode(errors='replace')!r}"


def release_of(answer: bytes) -> str:
    """The release that an answer says it comes from."""
    found = re.search(rb"(?im)^x-release: *([^\r\n]+)", answer.partition(b"\r\n\r\n")[0])
    return found[1].decode(errors="replace") if found else NO_RELEASE


async def _requests(target: Target, tally: Tally, stop: asyncio.Event) -> None:
    """Begin requests at a steady rate, however long each takes; and wait for the last one."""
    async with asyncio.TaskGroup() as begun:
        count = 0
        while not stop.is_set():
            begun.create_task(_request(target, HEALTH if count % 2 else PAGE, tally))
            count += 1
            await _unless(stop, tally.began_s + count / target.rate_per_s - tally.clock())


async def _unless(stop: asyncio.Event, wait_s: float) -> None:
    """Wait, but not longer than until `stop`."""
    if wait_s > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)


# --- sessions --------------------------------------------------------------------------------------------------------


class RunWentWrong(Exception):
    """The page's script did not end as it should; says how."""


class Run:
    """One run of the page's script, from the messages that come of it. Pure."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.session_id: bytes | None = None
        self.finished = False

    def read(self, message: bytes) -> None:
        """Take a message. Raises RunWentWrong for one that says so, Undecodable for what is no message."""
        fields = decode(message)
        started = fields.get(WIRE["ForwardMsg.new_session"])
        if isinstance(started, bytes):
            self.session_id = _within(started, NEW_SESSION_INITIALIZE, INITIALIZE_SESSION_ID)
        delta = fields.get(WIRE["ForwardMsg.delta"])
        if isinstance(delta, bytes):
            raised = _within(delta, WIRE["Delta.new_element"], ELEMENT_EXCEPTION)
            if raised is not None:
                raise RunWentWrong(f"the page shows an exception: {raised[:120].decode(errors='replace')!r}")
        status = fields.get(WIRE["ForwardMsg.script_finished"])
        if status == FINISHED_COMPILE_ERROR:
            raise RunWentWrong("the page's script does not compile")
        self.finished = status == FINISHED


def _within(message: bytes, *path: int) -> bytes | None:
    """What lies at a path of field numbers in a message."""
    for number in path:
        found = decode(message).get(number)
        if not isinstance(found, bytes):
            return None
        message = found
    return message


@dataclass(slots=True)
class Sessions:
    """The sessions of one load: how often they are renewed, and how many have shown their page."""

    target: Target
    tally: Tally
    stop: asyncio.Event
    renewed: int = 0
    shown: int = 0
    all_open: asyncio.Event = field(default_factory=asyncio.Event)

    def renew(self) -> None:
        """Have every session closed, as when its tab is, and another one opened."""
        self.renewed += 1
        self.shown = 0
        self.all_open.clear()

    async def keep_open(self) -> None:
        """One session after another, until the load ends."""
        while not self.stop.is_set():
            since_s = self.tally.clock()
            try:
                peer = await self._opened()
            except (WebSocketException, OSError) as error:
                self.tally.refused(since_s, f"{type(error).__name__}: {error}")
            else:
                await self._keep(peer)
            await _unless(self.stop, OPEN_AGAIN_AFTER_S)

    async def _opened(self) -> ClientConnection:
        """As a browser does it: without pings of its own, however long the other side is silent."""
        return await connect(
            f"ws://{self.target.host}:{self.target.port}{STREAM}",
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
            open_timeout=ANSWER_WITHIN_S,
            close_timeout=1,
            ping_interval=None,
            proxy=None,
        )

    async def _keep(self, peer: ClientConnection) -> None:
        self.tally.sessions += 1
        since_s = self.tally.clock()
        try:
            async with peer:
                await self._rerun(peer)
        except (ConnectionClosed, OSError) as error:
            self.tally.cut.append(self.tally.failure(since_s, "session", f"{type(error).__name__}: {error}"))
        except (RunWentWrong, Undecodable) as error:
            self.tally.lost.append(self.tally.failure(since_s, "session", str(error)))

    async def _rerun(self, peer: ClientConnection) -> None:
        """Run the page once a second, always in the same session."""
        generation, known, seen = self.renewed, None, False
        while not self.stop.is_set() and generation == self.renewed:
            since_s = self.tally.clock()
            session_id = await self._run(peer)
            if known not in (None, session_id):
                raise RunWentWrong("the session was given another id: what it knew is gone")
            known = session_id
            self.tally.reruns_s.append(self.tally.clock() - since_s)
            if not seen and generation == self.renewed:
                seen = True
                self._count_shown()
            await _unless(self.stop, since_s + RERUN_EVERY_S - self.tally.clock())

    def _count_shown(self) -> None:
        self.shown += 1
        if self.shown >= self.target.sessions:
            self.all_open.set()

    async def _run(self, peer: ClientConnection) -> bytes:
        """Have the page run; the id of the session that it ran for."""
        await peer.send(rerun("", ""))
        run = Run()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                while not run.finished:
                    message = await peer.recv()
                    run.read(message if isinstance(message, bytes) else message.encode())
        except TimeoutError as error:
            raise RunWentWrong(f"the page did not show within {ANSWER_WITHIN_S:g} s") from error
        if run.session_id is None:
            raise RunWentWrong("the page ran without saying for which session")
        return run.session_id


# --- all of it -------------------------------------------------------------------------------------------------------


async def load(
    target: Target,
    stop: asyncio.Event,
    clock: Callable[[], float],
    on_open: Callable[[bool], None] = lambda _: None,
    renewals: "asyncio.Queue[None] | None" = None,
) -> Load:
    """Load the target until `stop`. `on_open` is told whether every session has shown its page in time."""
    tally = Tally(clock, clock())
    sessions = Sessions(target, tally, stop)
    telling = asyncio.create_task(_tell(sessions, on_open, renewals or asyncio.Queue()))
    async with asyncio.TaskGroup() as group:
        group.create_task(_requests(target, tally, stop))
        for _ in range(target.sessions):
            group.create_task(sessions.keep_open())
    telling.cancel()
    return tally.load()


async def _tell(sessions: Sessions, on_open: Callable[[bool], None], renewals: "asyncio.Queue[None]") -> None:
    while True:
        with suppress(TimeoutError):
            if sessions.target.sessions:
                await asyncio.wait_for(sessions.all_open.wait(), sessions.target.open_within_s)
        on_open(not sessions.target.sessions or sessions.all_open.is_set())
        await renewals.get()
        sessions.renew()


async def _listen(stop: asyncio.Event, renewals: "asyncio.Queue[None]") -> None:
    """Lines of standard input: each renews the sessions; its end is the end of the load."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        renewals.put_nowait(None)
    stop.set()


async def _from_command_line(options: argparse.Namespace) -> Load:
    stop, renewals = asyncio.Event(), asyncio.Queue[None]()
    target = Target(options.address, options.port, options.rate, options.sessions, options.open_within)
    if options.seconds is None:
        listening: Any = asyncio.create_task(_listen(stop, renewals))
    else:
        listening = asyncio.get_running_loop().call_later(options.seconds, stop.set)
    found = await load(target, stop, time.monotonic, lambda every: _print({"open": every}), renewals)
    listening.cancel()
    return found


def _print(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201 - what a command line prints


def main(argv: Sequence[str] | None = None) -> int:
    """Run the load as a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m ops.rehearse.load", description="Load a dashboard.")
    parser.add_argument("address", help="the server's name or address")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--rate", type=float, default=50, help="requests a second (default: 50)")
    parser.add_argument("--sessions", type=int, default=6, help="open sessions (default: 6)")
    parser.add_argument("--open-within", type=float, default=60, help="seconds for every session (default: 60)")
    parser.add_argument("--seconds", type=float, help="how long (default: until standard input ends)")
    _print(asdict(asyncio.run(_from_command_line(parser.parse_args(argv)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
