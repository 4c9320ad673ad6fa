"""`python -m dashboard.serve`: the pages and /readyz on one socket, until a signal or the end of stdin.

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
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dashboard.health import SCRIPT
from etl.errors import ExitCode, KpiOpsError, ServeError

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from dashboard.data import LastGood

STORE_VARIABLE: Final = "KPI_DASHBOARD__STORE"
RELEASE_VARIABLE: Final = "KPI_RELEASE"
LONGEST_GOODBYE_S: Final = 1
_BACKLOG: Final = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; returns the exit status. What a person can cause is one message on stderr and status 3."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
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
            server = _server(holder, release, public)
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


def _server(holder: "LastGood", release: str, public: socket.socket) -> "uvicorn.Server":
    import streamlit as st
    import uvicorn
    from starlette.routing import Route
    from streamlit import config
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web.server.starlette.starlette_server import _get_uvicorn_config_kwargs

    def answer(_: "Request") -> "JSONResponse":
        return _ready(holder, release)

    # Else the first visit would be run by file: dashboard/pages has the name of Streamlit's older kind of pages.
    PagesManager.uses_pages_directory = False
    app = st.App(Path(__file__).with_name("app.py"), routes=[Route("/readyz", answer)], on_script_error=SCRIPT.failed)
    address, port = public.getsockname()[:2]
    config.set_option("server.address", address)
    config.set_option("server.port", port)
    config.set_option("server.fileWatcherType", "none")  # a release does not change under a running server

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"serving {_url(address, port)}", file=sys.stderr, flush=True)  # noqa: T201 - whoever started us waits for this line

    kwargs = {**_get_uvicorn_config_kwargs(), "timeout_graceful_shutdown": LONGEST_GOODBYE_S, "log_level": "warning"}
    return Server(uvicorn.Config(app, **kwargs))


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _stop_at_end_of_stdin(server: "uvicorn.Server") -> None:
    while os.read(sys.stdin.fileno(), 1 << 16):  # not sys.stdin.read: its lock, held here, aborts the exit of Python
        pass
    server.should_exit = True


def _ready(holder: "LastGood", release: str) -> "JSONResponse":
    from starlette.responses import JSONResponse

    facts = readiness(holder, SCRIPT.last_error, release, datetime.now(UTC))  # noqa: TID251 - this is a door
    return JSONResponse(facts, 200 if facts["ready"] else 503, headers={"Cache-Control": "no-store"})


def readiness(holder: "LastGood", script_error: str | None, release: str, now: datetime) -> dict[str, Any]:
    """What /readyz says: ready when there is data and the newest script run did not raise. Asks the store nothing."""
    state = holder.state()
    manifest = state.snapshot.manifest if state.snapshot else None
    return {
        "ready": manifest is not None and script_error is None,
        "run_id": manifest.run_id if manifest else None,
        "data_through": manifest.data_through.isoformat() if manifest else None,
        "generated_at": f"{manifest.generated_at:%Y-%m-%dT%H:%M:%SZ}" if manifest else None,
        "age_s": round((now - manifest.generated_at).total_seconds()) if manifest else None,
        "release": release,
        "store": holder.where,
        "last_script_error": script_error,
        "store_problem": state.problem.reason if state.problem else None,
    }


if __name__ == "__main__":
    sys.exit(main())
