"""The app on uvicorn: what the server on a port of its own and a release under systemd have in common."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import streamlit as st
import uvicorn
from starlette.responses import JSONResponse
from starlette.routing import Route
from streamlit import config
from streamlit.file_util import get_static_dir
from streamlit.runtime import Runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.server.starlette.starlette_server import _get_uvicorn_config_kwargs

from dashboard.admission import LARGEST_FRAME_BYTES, Rules
from dashboard.compress import Compressed
from dashboard.faults import Newest
from dashboard.guard import Guard
from dashboard.health import SCRIPT
from dashboard.process import PROCESS
from dashboard.provider import secrets_file
from dashboard.readiness import readiness
from dashboard.security_headers import policy
from dashboard.way_back import WayBack

if TYPE_CHECKING:
    from starlette.requests import Request

    from dashboard.data import LastGood
    from ops.settings import Settings

LONGEST_GOODBYE_S: Final = 1


def ready_now(holder: "LastGood", release: str) -> dict[str, Any]:
    """What /readyz says now."""
    return readiness(holder, SCRIPT.last_error, release, datetime.now(UTC))  # noqa: TID251 - this is a door


def app_of(
    holder: "LastGood", release: str, faults: Newest, settings: "Settings", *, port: int, address: str | None = None
) -> st.App:
    """The pages, /readyz and /healthz, to be seen at that port and address. `faults` learns what scripts raise.

    Raises SettingsError for a sign-in that lacks a secret.
    """

    def answer(_: "Request") -> JSONResponse:
        facts = ready_now(holder, release)
        return JSONResponse(facts, 200 if facts["ready"] else 503, headers={"Cache-Control": "no-store"})

    def alive(_: "Request") -> JSONResponse:
        return JSONResponse({"ok": True, "release": release}, headers={"Cache-Control": "no-store"})

    def failed(error: Exception) -> None:
        faults.keep(error)
        SCRIPT.failed(error)
        PROCESS.failed(error, faults.home, datetime.now(UTC))  # noqa: TID251 - this is a door

    PROCESS.begin(release, datetime.now(UTC))  # noqa: TID251 - this is a door
    # Else the first visit would be run by file: dashboard/pages has the name of Streamlit's older kind of pages.
    PagesManager.uses_pages_directory = False
    routes = [Route("/readyz", answer), Route("/healthz", alive)]
    app = st.App(Path(__file__).with_name("app.py"), routes=routes, on_script_error=failed)
    # After the app: the first look at an option reads the files, and only an app makes Streamlit know of the one
    # that lies beside its script.
    config.set_option("server.fileWatcherType", "none")  # a release does not change under a running server
    config.set_option("server.port", port)
    config.set_option("server.address", address)
    if settings.sign_in.on:
        config.set_option("secrets.files", [str(secrets_file(settings.sign_in))])
    return app


def packed(app: Any) -> Compressed:
    """The app with its static files compressed."""
    return Compressed(app)


def guarded(door: Callable[..., Any], settings: "Settings") -> Guard:
    """What visitors meet first. The page's own inline scripts are those that Streamlit serves now."""
    public = urlsplit(settings.sign_in.public_url)
    names = {*settings.dashboard.allowed_hosts, settings.host.domain, public.hostname or ""} - {""}
    index = Path(get_static_dir(), "index.html").read_text("utf-8")
    if settings.sign_in.on:
        door = WayBack(door, secure=public.scheme == "https")
    return Guard(door, Rules(frozenset(name.lower() for name in names)), policy(index))


def has_session(session: str) -> bool:
    """Whether a page with that id is open here, or was until a moment ago and may come back."""
    if not Runtime.exists():
        return False
    sessions = Runtime.instance()._session_mgr  # noqa: SLF001 - nothing public knows of sessions that may come back
    return sessions.get_session_info(session) is not None


def config_of(app: Callable[..., Any], goodbye_s: float = LONGEST_GOODBYE_S) -> uvicorn.Config:
    """How uvicorn serves it; what is still open when it stops has `goodbye_s` to end by itself."""
    kwargs = _get_uvicorn_config_kwargs() | {
        "timeout_graceful_shutdown": goodbye_s,
        "log_level": "warning",
        "lifespan": "on",
        "ws_max_size": LARGEST_FRAME_BYTES,
        "proxy_headers": False,  # the guard is to see who is at the door, and not whom he names
    }
    return uvicorn.Config(app, **kwargs)
