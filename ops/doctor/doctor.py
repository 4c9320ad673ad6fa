"""`fab doctor`: ask everything side by side, judge it, tell it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from etl.contract import Manifest
from etl.errors import KpiOpsError, SettingsError
from etl.store import SnapshotReader
from ops.checkup import LONGEST, decide
from ops.checkup import gather as look_at_store
from ops.doctor import aws, here, host, outside
from ops.doctor.check import Case, Finding, Late, judged
from ops.doctor.gather import Source, gather
from ops.host.remote import Remote
from ops.settings import Settings
from ops.stack.desk import Clients

GROUPS = (
    here.MACHINE,
    here.SETTINGS,
    aws.ACCOUNT,
    aws.STACK,
    aws.BUCKET,
    aws.MONITORING,
    host.HOST,
    host.SERVICE,
    outside.PAGE,
    outside.UPTIME,
    outside.GITHUB,
)
WITHOUT_SETTINGS = (here.MACHINE, here.SETTINGS)
HERE_S, AWS_S, HOST_S, PAGE_S, GITHUB_S = 10.0, 15.0, 25.0, 20.0, 10.0


@dataclass(frozen=True, slots=True)
class World:
    """What the doctor asks with. Each may raise KpiOpsError, and takes its time in a thread of its own.

    `clients`: of AWS; `reader`: of the published snapshot; `connected`: to the host; `github`: its API and a token.
    """

    clients: Callable[[], Clients]
    reader: Callable[[], SnapshotReader]
    connected: Callable[[], AbstractContextManager[Remote]]
    now: Callable[[], datetime]
    home: Path
    github: tuple[str, str]


def doctor(settings: Settings | SettingsError, world: World) -> list[Finding]:
    """What was found. Where the settings cannot be read, only what is judged without them."""
    if isinstance(settings, SettingsError):
        told = gather({"machine": Source(lambda: here.look_here(Settings(), world.home), HERE_S)})
        return judged(WITHOUT_SETTINGS, Case(Settings(), world.now(), {**told, "settings": settings}))
    known = settings
    told = gather(_sources(known, world))
    told |= {"settings": known, **_snapshot(told.pop("store"), known, world.now())}
    return judged(GROUPS, Case(known, world.now(), told))


def _sources(settings: Settings, world: World) -> Mapping[str, Source]:
    try:
        clients: Clients | KpiOpsError = world.clients()
    except KpiOpsError as error:
        clients = error

    def of_aws(ask: Callable[[Clients], Any]) -> Source:
        def asked() -> Any:
            if isinstance(clients, KpiOpsError):
                raise clients
            return ask(clients)

        return Source(asked, AWS_S)

    def of_host() -> Any:
        with world.connected() as remote:
            return host.ask_host(remote, settings)

    return {
        "machine": Source(lambda: here.look_here(settings, world.home), HERE_S),
        "identity": of_aws(lambda asked: aws.ask_identity(asked, world.now)),
        "stack": of_aws(lambda asked: aws.ask_stack(asked, settings)),
        "instance": of_aws(lambda asked: aws.ask_instance(asked, settings)),
        "bucket": of_aws(lambda asked: aws.ask_bucket(asked, settings)),
        "watch": of_aws(lambda asked: aws.ask_watch(asked, settings)),
        "store": Source(lambda: look_at_store(world.reader, None, LONGEST), AWS_S),
        "host": Source(of_host, HOST_S),
        "page": Source(lambda: outside.visit(settings, world.now()), PAGE_S),
        "record": Source(lambda: outside.read_record(settings), HERE_S),
        "github": Source(lambda: outside.ask_github(settings, *world.github), GITHUB_S),
    }


def _snapshot(seen: Any, settings: Settings, now: datetime) -> dict[str, Any]:
    """What was gathered of the store as findings by name, and the run that is published."""
    if isinstance(seen, KpiOpsError | Late) or not hasattr(seen, "manifest"):
        return {"snapshot": seen, "published": seen}
    if isinstance(seen.manifest, KpiOpsError):
        return {"snapshot": seen.manifest, "published": seen.manifest}
    findings = decide(seen, settings.freshness, None, now)
    published = seen.manifest.run_id if isinstance(seen.manifest, Manifest) else None
    return {"snapshot": {finding.check: finding for finding in findings}, "published": published}
