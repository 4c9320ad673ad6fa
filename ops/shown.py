"""Does the dashboard show what is published? Asked on its /readyz; the page itself is the probe's business."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests

from etl.contract import Manifest
from etl.errors import KpiOpsError, ServeError, SettingsError
from ops.verdict import Finding

TIMEOUT_S = 5.0
LARGEST_BYTES = 100_000
SLACK = timedelta(seconds=30)  # from looking at the store to showing what was found


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard: its address, and how often it looks for a newer snapshot."""

    url: str
    refresh_s: float


def page_at(url: str, refresh_s: float) -> Page | None:
    """The dashboard at an address, None for an empty one. Raises SettingsError where it is no address of a page."""
    if not url:
        return None
    readyz(url)
    return Page(url, refresh_s)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a dashboard says of itself. `problem` is empty where it has none."""

    ready: bool
    run_id: str | None
    problem: str = ""
    release: str | None = None


def readyz(url: str) -> str:
    """The address to ask, for a dashboard at `url`. Raises SettingsError where that is no address of a page."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise SettingsError(
            "the address of the dashboard cannot be used",  # and is not shown: it may hold a password
            expected="http://HOST[:PORT] or https://HOST, without a user name",
            to_do="mend --dashboard, or [freshness] dashboard in settings.toml",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/readyz"


def ask(url: str) -> Shown:
    """What the dashboard at `url` says. Raises ServeError where nothing, or something else, answers there."""
    address = readyz(url)
    try:
        with requests.Session() as session:
            session.trust_env = False  # as a visitor: no proxy, and no password of ours from ~/.netrc
            with session.get(address, timeout=TIMEOUT_S, allow_redirects=False, stream=True) as answer:
                return _read(address, answer.status_code, _body(answer))
    except (requests.RequestException, OSError, ValueError) as error:
        raise ServeError(
            f"{address} gave no answer: {_innermost(error)}",
            expected="the dashboard's own words on what it shows",
            to_do="start the dashboard, or mend --dashboard or [freshness] dashboard",
        ) from error


def _innermost(error: BaseException) -> BaseException:
    """What began it, like "Connection refused": requests wraps it three times, with all its own words around."""
    return _innermost(error.__context__) if error.__context__ else error


def _body(answer: requests.Response) -> bytes:
    body = b""
    for part in answer.iter_content(1 << 14):
        body += part
        if len(body) > LARGEST_BYTES:
            break
    return body


def _read(address: str, status: int, body: bytes) -> Shown:
    try:
        said = json.loads(body[: LARGEST_BYTES + 1])
        ready, run_id = said["ready"], said["run_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        ready, run_id = None, None
    if not isinstance(ready, bool) or not isinstance(run_id, str | None):
        raise ServeError(
            f"{address} answered {status}, and not as a dashboard of kpi-ops does",
            expected="JSON with ready and run_id",
            to_do="look what listens there; mend --dashboard or [freshness] dashboard",
        )
    problems = [str(said[key]) for key in ("last_script_error", "store_problem") if said.get(key)]
    release = said.get("release")
    return Shown(ready, run_id, "; ".join(problems), release if isinstance(release, str) else None)


def finding(page: Page, shown: Shown | KpiOpsError, manifest: Manifest | None, now: datetime) -> Finding:
    """Whether what is shown is what is published."""
    facts: dict[str, object] = {"url": page.url, "run_id": getattr(shown, "run_id", None)}
    if isinstance(shown, KpiOpsError):
        return Finding("dashboard", "unknown", "unknown", shown.seen, shown.expected, shown.to_do, facts=facts)
    said = f"{page.url} shows run {shown.run_id}" if shown.run_id else f"{page.url} shows nothing yet"
    said = f"{said} ({shown.problem})" if shown.problem else said
    if manifest is None or not shown.run_id:
        return Finding("dashboard", "unknown", "unknown", said, "the published run", _LOOK_THERE, facts=facts)
    expected = f"run {manifest.run_id}, which is the published one"
    if shown.run_id != manifest.run_id:
        young = now - manifest.generated_at <= timedelta(seconds=page.refresh_s) + SLACK
        to_do = f"look again in {page.refresh_s:.0f} s" if young else _LOOK_THERE
        return Finding("dashboard", "warn" if young else "error", "behind", said, expected, to_do, facts=facts)
    if not shown.ready:
        said = f"{said}, and is not ready"
        return Finding("dashboard", "unknown", "unknown", said, expected, _LOOK_THERE, facts=facts)
    return Finding("dashboard", "pass", "same", f"{said}, the published one", facts=facts)


_LOOK_THERE = "look at the log of the dashboard, and whether it reads this store ([dashboard] store)"
