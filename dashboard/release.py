"""A release under systemd: it proves itself on its private socket, takes the public one, and leaves when it is told to.

The public socket is systemd's, and every release has the same one: while two are up, either takes what comes.
"""

import asyncio
import faulthandler
import itertools
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import uvicorn

from dashboard import selfcheck
from dashboard.data import shared, stop_shared
from dashboard.door import PrivateDoor, PublicDoor
from dashboard.drain import ATTACH_S, hurry_of, wait_for_the_last
from dashboard.faults import Newest, fault_of
from dashboard.gate import (
    Complaint,
    Wanted,
    complaint_about,
    data_complaint,
    died,
    readiness_complaint,
    unfinished,
    wanted_of,
)
from dashboard.instance import PUBLIC_FD, Instance
from dashboard.page import Entry
from dashboard.patience import Patience, dump_stacks, hear_of_dying_scripts, script_place
from dashboard.readiness import state_of
from dashboard.refusal import LONGEST_STATUS, refuse
from dashboard.server import app_of, config_of, guarded, has_session, packed, ready_now
from dashboard.siblings import Siblings
from dashboard.systemd import Priority, journal, notify
from dashboard.traffic import Traffic
from dashboard.visit import Visit, visit
from etl.errors import ServeError
from ops.settings import Settings, load

if TYPE_CHECKING:
    from dashboard.data import LastGood

QUEUE: Final = 4096  # callers that the kernel holds while nobody accepts: as the socket's unit says
ACCEPTS_AT_ONCE: Final = 128  # asyncio accepts so many in one turn, and says so often that it is out of descriptors
GOODBYE_S: Final = 5
FIRST: Final = ("", "first page")


def serve(instance: Instance) -> NoReturn:
    """Serve until systemd says stop. Ends the process; raises what kept it from serving."""
    faulthandler.enable()  # systemd's watchdog ends a process by SIGABRT: its stacks shall say why
    public = _public_socket(instance)
    patience = Patience(
        hung=lambda step: _hung(instance, step),
        tell=lambda step, seconds: _begins(instance, step, seconds),
    )
    settings = load()
    patience.expect("the start", settings.host.gate.timeout_s)
    holder = shared(settings.store_address, settings.dashboard.refresh_s, settings.dashboard.cache)
    asyncio.run(_live(Release(instance, settings, holder, patience), public))
    raise AssertionError("a release that has lived does not come back")


async def _live(release: "Release", public: socket.socket) -> NoReturn:
    """From within, for a thread that hangs would keep an orderly exit from ever coming."""
    await release.run(public)
    stop_shared()
    sys.stderr.flush()
    os._exit(0)


def _public_socket(instance: Instance) -> socket.socket:
    """The socket that systemd passed. Raises ServeError where it did not, or not so that releases can share it."""
    if instance.sockets_for != os.getpid() or instance.sockets != 1:
        raise ServeError(
            f"systemd passed {instance.sockets} sockets where 1 is needed",
            expected="the socket of kpi-dashboard.socket",
            to_do="see whether it is active: systemctl status kpi-dashboard.socket",
        )
    if os.get_blocking(PUBLIC_FD):
        raise ServeError(
            "the public socket is blocking, which would freeze the release that serves",
            expected="NonBlocking=yes in the unit",
            to_do="run `fab bootstrap`, which places the unit anew",
        )
    os.set_inheritable(PUBLIC_FD, False)  # noqa: FBT003 - the signature is Python's
    return socket.socket(fileno=PUBLIC_FD)


def _begins(instance: Instance, step: str, seconds: float) -> None:
    """A step of the start: written down, so that it is known where a process ended that can say nothing any more."""
    instance.tried.write_text(step, "utf-8")
    notify(instance.notify_socket, f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}", f"STATUS={step}")


def _hung(instance: Instance, step: str) -> NoReturn:
    dump_stacks()
    refuse(instance, f"{step} takes too long: the process does not answer {script_place(instance.home) or ''}".rstrip())


@dataclass(slots=True)
class Release:
    """One release's process, from its first page run to its last visitor."""

    instance: Instance
    settings: Settings
    holder: "LastGood"
    patience: Patience
    traffic: Traffic = field(default_factory=Traffic)
    health: selfcheck.Health = field(default_factory=selfcheck.Health)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    app: Any = field(init=False)
    faults: Newest = field(init=False)
    wanted: Wanted = field(init=False)

    def __post_init__(self) -> None:
        """What follows from the rest."""
        self.faults = Newest(self.instance.home)
        self.wanted = wanted_of(self.settings.host.gate)
        hear_of_dying_scripts(self.faults.keep)

    async def run(self, public: socket.socket) -> None:
        """All of its life."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        server, private = await self._private_server()
        ticking = asyncio.create_task(server.main_loop())
        if await self._unless_stopped(self._gate()):
            listening = await self._accept(server, public)
            watching = asyncio.create_task(self._watch())
            await self.stopping.wait()
            watching.cancel()  # and not waited for: to close a visit takes seconds, and callers would come in meanwhile
            await self._leave(server, listening, public)
        self.patience.done()
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[private])
        self.instance.private_socket.unlink(missing_ok=True)

    async def _unless_stopped(self, doing: Any) -> bool:
        """Do something to its end; False where it was told to stop before."""
        task, stopped = asyncio.create_task(doing), asyncio.create_task(self.stopping.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
            return not self.stopping.is_set()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return False

    async def _private_server(self) -> tuple[uvicorn.Server, socket.socket]:
        """The app on the private socket, with Streamlit's runtime started."""
        release = self.instance.release
        self.app = app_of(self.holder, release, self.faults, self.settings, port=self.settings.dashboard.port)
        private_config = config_of(
            PrivateDoor(self.app, release, has_session, self.traffic, self._state, self.faults.keep), GOODBYE_S
        )
        private_config.load()
        server = uvicorn.Server(private_config)
        server.lifespan = private_config.lifespan_class(private_config)
        private = _bound(self.instance.private_socket)
        try:
            await server.startup(sockets=[private])
        except SystemExit as left:  # uvicorn's, when the app does not start; it has logged why, and raises nothing
            fault = self.faults.take()
            refuse(self.instance, f"it cannot start: {fault}\n{fault.trace}" if fault else f"it cannot start: {left!r}")
        return server, private

    async def _gate(self) -> None:
        """Visit every page; a candidate with anything wrong does not come back from here."""
        complaint = await self._look(FIRST)
        # Without data no page is as it should be, and the reason says more than what is missing on it.
        self._judge(complaint if complaint and complaint.broken else await self._data() or complaint)
        for page in self.health.pages[1:]:
            self._judge(await self._look(page))
        self._judge(readiness_complaint(ready_now(self.holder, self.instance.release)))

    async def _data(self) -> Complaint | None:
        """A candidate waits for the store's first answer; the release that serves has no time for that."""
        limit_s = self.settings.host.gate.timeout_s
        self.patience.expect("the first look at the store", limit_s)
        wait_s = 0 if self.instance.is_current() else limit_s
        return data_complaint(await asyncio.to_thread(self.holder.state, wait_s))

    async def _look(self, page: tuple[str, str]) -> Complaint | None:
        """One page of the gate."""
        limit_s = self.settings.host.gate.timeout_s
        self.patience.expect(f"page {page[1]!r}", limit_s)
        seen = await visit(self.instance.private_socket, page[0], limit_s)
        if page == FIRST and seen.entries:
            self.health.pages = _in_turn(seen.entries)
        return self._complaint(page[1], seen)

    def _complaint(self, name: str, seen: Visit) -> Complaint | None:
        fault = self.faults.take()
        self.health.page_ms = seen.ms
        if seen.page is None:
            place = script_place(self.instance.home)
            return died(name, fault) if fault and not place else unfinished(name, seen.why, place)
        return complaint_about(name, seen.page, fault, self.wanted, self.instance.home)

    def _judge(self, complaint: Complaint | None) -> None:
        """A candidate is refused for anything, the release that serves only where it can show no page at all."""
        if complaint is None:
            return
        if complaint.fatal:
            dump_stacks()
        if complaint.fatal or not self.instance.is_current():
            refuse(self.instance, str(complaint))
        self.health.problem = self.health.problem or complaint.text
        journal(Priority.WARNING, f"PROBLEM: {complaint}")

    async def _accept(self, server: uvicorn.Server, public: socket.socket) -> asyncio.Server:
        """Begin to take visitors."""
        release = self.instance.release
        siblings = Siblings(self.instance.private_socket)
        door = PublicDoor(packed(self.app), release, self.traffic, has_session, siblings)
        public_config = config_of(guarded(door, self.settings), GOODBYE_S)
        public_config.load()

        def protocol() -> asyncio.Protocol:
            made: Any = public_config.http_protocol_class  # asyncio knows only that it is a Protocol
            serving: asyncio.Protocol = made(
                config=public_config, server_state=server.server_state, app_state=server.lifespan.state
            )
            return serving

        listening = await asyncio.get_running_loop().create_server(protocol, sock=public, backlog=ACCEPTS_AT_ONCE)
        public.listen(QUEUE)
        self.patience.done()
        self.instance.tried.unlink(missing_ok=True)
        notify(self.instance.notify_socket, "READY=1", self._status())
        journal(Priority.NOTICE, f"release {release} serves: {len(self.health.pages)} pages were looked at")
        return listening

    async def _watch(self) -> None:
        """Check, again and again."""
        every_s = selfcheck.every_s(self.instance.watchdog_s)
        for number in itertools.count():
            await asyncio.sleep(every_s)
            try:
                await self._check(selfcheck.turn(self.health.pages, number), every_s * selfcheck.PATIENCE)
            except Exception as error:  # noqa: BLE001 - a fault of the check is told; if it lasts, systemd restarts us
                journal(Priority.ERROR, fault_of(error, self.instance.home).trace)

    async def _check(self, page: tuple[str, str], limit_s: float) -> None:
        seen = await visit(self.instance.private_socket, page[0], limit_s)
        complaint = self._complaint(page[1], seen)
        self.health.problem = complaint.text if complaint else None
        if seen.page is None:
            dump_stacks()
        else:
            notify(self.instance.notify_socket, "WATCHDOG=1")
        notify(self.instance.notify_socket, self._status())
        ok = bool(seen.page and not seen.page.raised)
        facts = selfcheck.facts_of(self._state(), ok=ok)
        journal(Priority.WARNING if complaint else Priority.INFO, selfcheck.line_of(facts))

    def _status(self) -> str:
        problem = f"; PROBLEM: {self.health.problem[:LONGEST_STATUS]}" if self.health.problem else ""
        return f"STATUS=serving release {self.instance.release}, {self.traffic.sessions} sessions{problem}"

    def _state(self) -> dict[str, Any]:
        """What GET /state says."""
        ready = ready_now(self.holder, self.instance.release)
        return state_of(ready, self.traffic, self.health, selfcheck.memory_bytes())

    async def _leave(self, server: uvicorn.Server, listening: asyncio.Server, public: socket.socket) -> None:
        """Take nobody any more, wait for the last visitor, and cut who stays longer than the limit."""
        # Not closed at once: asyncio accepts in one turn of its loop and attaches in a later one, and what it has
        # accepted in between would be dropped.
        asyncio.get_running_loop().remove_reader(public)
        self.traffic.draining = True
        self._tell_left(self.traffic.sessions)
        await asyncio.sleep(ATTACH_S)
        listening.close()
        reason = await wait_for_the_last(
            self.traffic,
            lambda: len(server.server_state.connections),
            lambda: hurry_of(self.instance.at_once),
            self.settings.host.drain_minutes * 60,
            self._tell_left,
        )
        release, cut = self.instance.release, self.traffic.sessions
        journal(Priority.NOTICE, f"release {release} leaves: {reason}; {cut} sessions are cut")

    def _tell_left(self, sessions: int) -> None:
        left = f"STATUS=draining release {self.instance.release}, {sessions} sessions left"
        notify(self.instance.notify_socket, "STOPPING=1", left)


def _bound(place: Path) -> socket.socket:
    place.unlink(missing_ok=True)  # of a process that was killed
    private = socket.socket(socket.AF_UNIX)
    private.bind(str(place))
    return private


def _in_turn(entries: Sequence[Entry]) -> tuple[tuple[str, str], ...]:
    """(hash, name) of each page, the one that was shown first in the first place."""
    first = [("", entry.name or FIRST[1]) for entry in entries if entry.shown]
    return (*(first or [FIRST]), *((entry.page_hash, entry.name) for entry in entries if not entry.shown))
