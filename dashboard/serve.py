"""`python -m dashboard.serve`: the pages and /readyz on a port of its own, until a signal or the end of stdin.

Started by the unit of a release it is that release instead: see dashboard/release.py.

What takes long to import is imported in the functions that need it, after the command line has been read.
"""

import signal
import sys

if __name__ == "__main__":  # heard before anything else is imported; only Python's own start is earlier
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, lambda *_: sys.exit(0))

import argparse
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from dashboard.instance import RELEASE_VARIABLE, instance_of, is_release
from dashboard.refusal import reason_of, refuse
from etl.errors import ExitCode, KpiOpsError, ServeError

if TYPE_CHECKING:
    import uvicorn

    from dashboard.data import LastGood
    from ops.settings import Settings

STORE_VARIABLE: Final = "KPI_DASHBOARD__STORE"
_BACKLOG: Final = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; returns the exit status. What a person can cause is one message on stderr and status 3."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    if is_release(os.environ):  # noqa: TID251 - this is a door
        _serve_release()
    options = _options(argv)
    try:
        _serve(options)
    except KpiOpsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the message of a command line
        return ExitCode.COULD_NOT
    return ExitCode.GOOD


def _leave(*_: object) -> NoReturn:
    """While still starting; and once more when uvicorn, having stopped, raises the signal that stopped it."""
    raise SystemExit(ExitCode.GOOD)


def _serve_release() -> NoReturn:
    """As the unit of a release: whatever keeps it from serving is a refusal with a reason."""
    instance = instance_of(os.environ, Path.cwd())  # noqa: TID251 - this is a door
    try:
        from dashboard.release import serve

        serve(instance)
    except SystemExit as left:
        if not left.code:
            raise  # a signal
        refuse(instance, reason_of(left, instance.home))
    except BaseException as error:  # noqa: BLE001 - it is told, and the process ends
        refuse(instance, reason_of(error, instance.home))


class _Parser(argparse.ArgumentParser):
    """argparse leaves with 2, which for our commands means `changes pending`."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.COULD_NOT, f"error: {message}\n")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m dashboard.serve", description="Serve the dashboard.")
    parser.add_argument("--store", help="a directory or s3://BUCKET/PREFIX/ (default: settings)")
    parser.add_argument("--address", help="the address to listen on (default: settings)")
    parser.add_argument("--port", type=int, help="the port to listen on, 0 for a free one (default: settings)")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when stdin ends, so that no parent leaves an orphan"
    )
    return parser.parse_args(argv)


def _serve(options: argparse.Namespace) -> None:
    from dashboard.data import shared, stop_shared
    from ops.settings import load

    if options.store:
        # The pages' script reads the settings itself; the environment is what wins there.
        os.environ[STORE_VARIABLE] = options.store  # noqa: TID251 - this is a door
    settings = load()
    release = os.environ.get(RELEASE_VARIABLE, "dev")  # noqa: TID251 - this is a door
    address = options.address or settings.dashboard.address
    port = settings.dashboard.port if options.port is None else options.port
    with _bound(address, port) as public:
        # First, because the plotly it imports trips over a pandas that the holder's thread is still importing.
        import streamlit as _  # noqa: F401

        try:
            holder = shared(settings.store_address, settings.dashboard.refresh_s, settings.dashboard.cache)
            server = _server(holder, release, public, settings)
            if options.until_stdin_closes:
                threading.Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
            server.run(sockets=[public])
        finally:
            stop_shared()


def _bound(address: str, port: int) -> socket.socket:
    """A listening socket; our own, so that port 0 has a number and a taken port has a message."""
    try:
        return socket.create_server(
            (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=_BACKLOG
        )
    except (OSError, OverflowError) as error:
        raise ServeError(
            f"cannot listen on {address} port {port}: {getattr(error, 'strerror', None) or error}",
            expected="a free port on an address of this machine",
            to_do="stop what uses it, or choose another with --port (0: any free one)",
        ) from error


def _server(holder: "LastGood", release: str, public: socket.socket, settings: "Settings") -> "uvicorn.Server":
    import uvicorn

    from dashboard.door import PublicDoor
    from dashboard.faults import Newest
    from dashboard.server import app_of, config_of, guarded, has_session, packed
    from dashboard.traffic import Traffic

    address, port = public.getsockname()[:2]
    app = app_of(holder, release, Newest(Path.cwd()), settings, port=port, address=address)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"serving {_url(address, port)}", file=sys.stderr, flush=True)  # noqa: T201 - whoever started us waits for this line

    door = PublicDoor(packed(app), release, Traffic(), has_session)
    return Server(config_of(guarded(door, settings)))


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _stop_at_end_of_stdin(server: "uvicorn.Server") -> None:
    while os.read(sys.stdin.fileno(), 1 << 16):  # not sys.stdin.read: its lock, held here, aborts the exit of Python
        pass
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
