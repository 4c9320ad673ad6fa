"""The page as its visitors meet it, the record of uptime, and GitHub, which keeps the record: asked, and judged."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from etl.errors import KpiOpsError, ServeError, SettingsError
from ops import shown
from ops.doctor.check import Case, Check, Group, Saw, fail, ok, unknown, warn
from ops.doctor.git import git
from ops.settings import Settings
from ops.shown import Shown
from ops.uptime.check import target_of
from ops.uptime.probe import CERTIFICATE_WARNING_DAYS, Result, described, probe
from ops.uptime.record import Sample
from ops.words import moment

PAGE_S = 8.0
TAIL_BYTES = 64_000
SILENT_CADENCES = 3
ANSWER_S = 5
LARGEST_BYTES = 1_000_000
WORKFLOW = "uptime.yml"
OK_STATUS = 200
NOT_FOUND = 404
_GITHUB = re.compile(r"github\.com[:/]([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+?)(\.git)?/?$")


# --- the page --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Visited:
    """`result`: of a visit to the page at `url`; `says`: of its /readyz, or why there is nothing of it."""

    url: str
    result: Result
    says: Shown | KpiOpsError


def visit(settings: Settings, now: datetime) -> Visited | None:
    """Open the first page of [[uptime.targets]] as a browser does; None where there is none. Raises KpiOpsError."""
    page = next((one for one in settings.uptime.targets if one.kind == "page"), None)
    if page is None:
        return None
    target = target_of(page, settings.uptime.by, settings.sign_in.probe_token)
    result = probe(target.url, target.wanted, PAGE_S, now=now, key=target.key)
    try:
        says: Shown | KpiOpsError = shown.ask(target.url)
    except (ServeError, SettingsError) as error:
        says = error
    return Visited(target.url, result, says)


def _page(seen: Visited | None, _: Case) -> Saw:
    if seen is None:
        return unknown("no page is among [[uptime.targets]]", "name it in settings.toml")
    told = " ".join(described(seen.result, seen.url).split("\n")[0].split())
    if seen.result.verdict == "up":
        return ok(told)
    judge = warn if seen.result.verdict == "degraded" else fail
    return judge(told, "up", "`fab status` and `fab logs` show the host's side")


def _certificate(seen: Visited | None, _: Case) -> Saw:
    days = seen.result.certificate_days if seen else None
    if days is None:
        return ok("none was shown")
    if days >= CERTIFICATE_WARNING_DAYS:
        return ok(f"valid for {days} days")
    judge = fail if days < 0 else warn
    return judge(
        f"ends in {days} days",
        f"{CERTIFICATE_WARNING_DAYS} days or more",
        "systemctl status caddy on the host: it renews by itself",
    )


def _shows(seen: Visited | None, case: Case) -> Saw:
    if seen is None or isinstance(seen.says, KpiOpsError):
        return unknown(seen.says.seen if seen and isinstance(seen.says, KpiOpsError) else "no page was asked")
    published = case.of("published")
    said = f"run {seen.says.run_id}" + (f" ({seen.says.problem})" if seen.says.problem else "")
    if published is None:
        return unknown(f"{said}; what is published is not known")
    if seen.says.run_id != published:
        return fail(
            said, f"run {published}, the published one", "look again in a minute; then fab logs, and [dashboard] store"
        )
    return ok(said) if seen.says.ready else fail(said, "ready", "fab logs")


def _release(seen: Visited | None, case: Case) -> Saw:
    says = seen.says if seen else None
    host = case.of("host")
    if not isinstance(says, Shown) or host is None:
        return unknown("page or host was not asked")
    if says.release == host.said["current"]:
        return ok(str(says.release))
    return fail(
        str(says.release),
        f"{host.said['current']}, which serves on the host",
        "does the target's url lead to this host?",
    )


PAGE = Group(
    "page",
    (
        Check("page", "page", _page),
        Check("certificate", "page", _certificate),
        Check("data shown", "page", _shows),
        Check("release", "page", _release),
    ),
)


# --- the record ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """`newest`: the last samples by target; `files`: how many months there are; `report`: whether it is there."""

    files: int
    newest: Mapping[str, Sample]
    torn: int
    report: bool


def read_record(settings: Settings) -> Record:
    """The newest month in this checkout. Raises KpiOpsError where it cannot be read."""
    uptime = settings.uptime
    months = sorted(uptime.directory.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"))
    newest: dict[str, Sample] = {}
    torn = 0
    for line in _tail(months[-1]) if months else ():
        try:
            sample = Sample.from_line(line)
        except (ValueError, RecursionError):
            torn += 1
            continue
        newest[sample.target] = max(newest.get(sample.target, sample), sample, key=lambda one: one.at)
    return Record(len(months), newest, torn, uptime.report.exists())


def _tail(file: Path) -> Sequence[bytes]:
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, 2)
            opened.seek(max(0, size - TAIL_BYTES))
            lines = opened.read().split(b"\n")
    except OSError as error:
        raise ServeError(
            f"{file} cannot be read: {error.strerror}", expected="the record of uptime", to_do="chmod, or git checkout"
        ) from error
    return [line for line in lines[1 if size > TAIL_BYTES else 0 :] if line]


def _begun(record: Record, case: Case) -> Saw:
    directory = case.settings.uptime.directory
    if record.files:
        return ok(f"{record.files} months in {directory}")
    return warn(
        f"nothing is in {directory}",
        "a record of looks",
        "begin it: GitHub, Actions, uptime, Run workflow; or `fab uptime-check`",
    )


def _recent(record: Record, case: Case) -> Saw:
    if not record.newest:
        return unknown("there is no look")
    newest = max(one.at for one in record.newest.values())
    age, limit = case.now - newest, SILENT_CADENCES * case.settings.uptime.cadence
    seen = f"last look {moment(newest)}"
    if age <= limit:
        return ok(seen)
    return warn(
        seen,
        f"one within {limit / timedelta(minutes=1):.0f} minutes",
        "git pull; where it stays, look at the schedule (Actions, uptime)",
    )


def _verdicts(record: Record, case: Case) -> Saw:
    wanted = {one.name for one in case.settings.uptime.targets}
    found = {name: one.verdict for name, one in record.newest.items() if name in wanted}
    if not found:
        return unknown("no target of the settings was looked at")
    bad = {name: verdict for name, verdict in found.items() if verdict != "up"}
    if not bad:
        return ok(f"{', '.join(sorted(found))} up")
    shown_ = ", ".join(f"{name} {verdict}" for name, verdict in sorted(bad.items()))
    judge = fail if "down" in bad.values() else warn
    return judge(shown_, "up", "fab uptime-report; fab uptime-check looks again")


def _whole(record: Record, case: Case) -> Saw:
    if record.torn:
        return warn(
            f"{record.torn} of the last lines cannot be read", "none", "look at them: `git log -p` tells who wrote them"
        )
    if record.files and not record.report:
        return warn(f"{case.settings.uptime.report} is not there", "the report", "fab uptime-check")
    return ok("record and report can be read" if record.files else "nothing to read yet")


UPTIME = Group(
    "uptime schedule",
    (
        Check("record", "record", _begun),
        Check("last look", "record", _recent),
        Check("verdicts", "record", _verdicts),
        Check("files", "record", _whole),
    ),
)


# --- GitHub ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Repository:
    """`remote`: OWNER/NAME of origin, "" where that is not on GitHub; the rest is None where GitHub tells nothing.

    `workflow`: active, disabled_inactivity, ...; `run`: the newest one's status and conclusion, and when it began.
    """

    remote: str
    seen: bool
    workflow: str | None = None
    run: Mapping[str, Any] | None = None


def ask_github(settings: Settings, api: str, token: str) -> Repository:
    """What origin is, and what GitHub says of the workflow. Raises ServeError where GitHub does not answer."""
    remote = _origin()
    name = settings.alerts.repository or settings.stack.github.repository or remote
    if not name:
        return Repository("", seen=False)
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(
            {"Accept": "application/vnd.github+json", **({"Authorization": f"Bearer {token}"} if token else {})}
        )
        workflow = _asked(session, f"{api}/repos/{name}/actions/workflows/{WORKFLOW}")
        runs = _asked(session, f"{api}/repos/{name}/actions/workflows/{WORKFLOW}/runs?per_page=1") if workflow else None
    if workflow is None:
        return Repository(remote, seen=False)
    run = next(iter((runs or {}).get("workflow_runs") or ()), None)
    return Repository(remote, seen=True, workflow=workflow.get("state"), run=run)


def _asked(session: requests.Session, url: str) -> Any:
    """None where GitHub does not know it, or does not show it to us."""
    try:
        answer = session.get(url, timeout=ANSWER_S, allow_redirects=True)
        if answer.status_code == OK_STATUS and len(answer.content) <= LARGEST_BYTES:
            return answer.json()
        if answer.status_code == NOT_FOUND:
            return None
    except (requests.RequestException, ValueError) as error:
        raise ServeError(
            f"GitHub gave no answer: {type(error).__name__}", expected="an answer", to_do="check the network"
        ) from error
    raise ServeError(
        f"GitHub answered {answer.status_code}",
        expected="what it knows of the workflow",
        to_do="set GITHUB_TOKEN to a token that may read the repository's actions",
    )


def _origin() -> str:
    found = _GITHUB.search(git("remote", "get-url", "origin").strip())
    return found[1] if found else ""


def _repository(said: Repository, case: Case) -> Saw:
    wanted = case.settings.stack.github.repository
    if wanted and said.remote and wanted.lower() != said.remote.lower():
        return fail(
            f"origin is {said.remote}",
            f"[stack.github] repository {wanted}",
            "mend the setting, then `fab provision`: roles trust that name",
        )
    if not wanted:
        return ok(f"{said.remote or 'not on GitHub'}; no workflow may take a role")
    return ok(wanted)


def _workflow(said: Repository, _: Case) -> Saw:
    if not said.seen:
        return (
            ok("GitHub knows of none, or shows it to nobody without a token")
            if not said.remote
            else warn(
                f"GitHub shows no {WORKFLOW} of {said.remote}",
                "it",
                "push it; for a private repository set GITHUB_TOKEN",
            )
        )
    if said.workflow == "active":
        return ok("active")
    return fail(
        str(said.workflow),
        "active: GitHub stops a schedule after 60 days without a commit",
        "Actions, uptime, Enable workflow",
    )


def _last_run(said: Repository, case: Case) -> Saw:
    run = said.run
    if run is None:
        return ok("none is known")
    began = datetime.fromisoformat(str(run["created_at"]))
    seen = f"{run.get('conclusion') or run.get('status')}, {moment(began)}"
    if run.get("conclusion") in ("failure", "timed_out", "startup_failure"):
        return fail(seen, "success", f"its log: {run.get('html_url', '')}")
    if case.now - began > 2 * SILENT_CADENCES * case.settings.uptime.cadence:
        return warn(seen, "a run lately", "Actions, uptime, Run workflow; GitHub starts schedules late at busy hours")
    return ok(seen)


GITHUB = Group(
    "GitHub",
    (
        Check("repository", "github", _repository),
        Check("uptime workflow", "github", _workflow),
        Check("last run", "github", _last_run),
    ),
)
