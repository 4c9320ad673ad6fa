"""The menu: one thin task per operation. What is done is done in etl, ops and dashboard; here they meet."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any

from fabric import task as fabric_task
from invoke.collection import Collection
from invoke.exceptions import Exit

from etl import cli
from etl.contract import Manifest
from etl.errors import ExitCode, HostError, KpiOpsError, SettingsError, SourceError
from ops.settings import Settings, load

NOBODY_READS = 141  # as a shell says of a program that a closed pipe has ended
DEMO_DIRECTORY = Path(".demo")
STACK_OUTPUTS = Path("data/stack.json")
REHEARSAL_DIRECTORY = Path(".rehearsal")  # what the commands said
SOURCE_HELP = "a CSV (.gz, .zip), Parquet or XLSX file, a directory or a quoted pattern; may be given several times"
SOURCES_HELP = (
    "a CSV (.gz, .zip), Parquet or XLSX file, directory, quoted pattern or s3://...; may be given several times"
)


UNTOUCHED = "what was there before is untouched"
GOES_ON = "AWS finishes what it has begun: the same command again tells how it ended, and goes on"


def task(*, interrupted: str = UNTOUCHED, **options: Any) -> Callable[[Callable[..., int | None]], Any]:
    """A Fabric task whose result is the exit status, and whose KpiOpsError is one message and status 3.

    `interrupted` is said of Ctrl-C.
    """

    def decorate(body: Callable[..., int | None]) -> Any:
        @wraps(body)
        def run(*arguments: Any, **flags: Any) -> None:
            cli.stop_like_ctrl_c()
            try:
                status = body(*arguments, **flags)
                sys.stdout.flush()
            except KpiOpsError as error:
                raise Exit(f"error: {error}", code=ExitCode.COULD_NOT) from error
            except BrokenPipeError as error:  # who reads has seen enough, as in `fab snapshots | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise Exit(code=NOBODY_READS) from error
            except KeyboardInterrupt as error:
                raise Exit(f"interrupted; {interrupted}", code=cli.INTERRUPTED) from error
            if status:
                raise Exit(code=status)

        return fabric_task(**options)(run)

    return decorate


def now() -> datetime:
    """The clock, read here and passed on."""
    return datetime.now(UTC)  # noqa: TID251 - the door


@task(
    iterable=["source"],
    help={
        "source": f"{SOURCE_HELP}; without one a sample shop is made up",
        "once": "stop after the report; exit status 0 only if every stage was right",
        "port": "where the dashboard listens on 127.0.0.1; 0: any free port (default: [dashboard] port)",
    },
)
def demo(_c: object, source: Sequence[str] | None = None, once: bool = False, port: str = "") -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Show the whole story on this machine, no AWS needed."""
    from ops.demo import STAGES, Shop, Surroundings
    from ops.demo import demo as tell
    from ops.stages import Story

    settings = load()
    shop = Shop([Path(path) for path in source or ()], _make_sample, partial(_make_snapshot, settings))
    asked = _port(port) if port else settings.dashboard.port
    world = Surroundings(DEMO_DIRECTORY, asked, now, os.environ, time.sleep)  # noqa: TID251 - the door
    story = Story(sys.stderr, time.monotonic, STAGES)
    try:
        tell(shop, settings, world, story, while_it_serves=partial(_until_ctrl_c, story, once=once))
    except KpiOpsError:
        print(story.table())
        raise
    return ExitCode.GOOD if story.good else ExitCode.CHECK_FAILED


def _port(text: str) -> int:
    if not text.isdecimal():
        raise SettingsError(f"--port {text} is no port", expected="a number from 0 to 65535", to_do="like --port 8502")
    return int(text)


def _make_sample(path: Path) -> str:
    from etl.sample import write

    through = now().date() - timedelta(days=1)
    return f"{path}: {write(path, through):,} lines of a made-up shop, through {through}"


def _make_snapshot(settings: Settings, sources: Sequence[Path], out: Path) -> tuple[Manifest, str]:
    from etl.store import DirectoryStore
    from etl.summary import headline

    with Path(os.devnull).open("w") as nowhere:  # the stage's own line says it
        manifest = cli.make_snapshot(sources, out, settings.etl, now=now(), stream=nowhere)
    told = f"kept {manifest.rows_kept:,} of {manifest.rows_in:,} lines; {headline(manifest, DirectoryStore(out))}"
    return manifest, told


def _until_ctrl_c(story: Any, running: Any, *, once: bool) -> None:
    print(story.table(), flush=True)
    if once:
        return
    print(f"\nThe dashboard is at {running.url}\nCtrl-C stops everything.", flush=True)
    try:
        running.wait()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)


ETL_HELP = {
    "source": f"{SOURCES_HELP} (default: [etl] source)",
    "layout": "how the export names its columns (default: [etl] layout)",
    "dates": "which of 1/12/2010 is the day: dmy or mdy (default: [etl] dates)",
    "out": "the directory of the snapshot (default: [etl] out)",
    "drop_duplicates": "count lines that are equal in every column once (default: [etl] drop_duplicates)",
}


@task(
    iterable=["source"],
    help=ETL_HELP | {"check": "say what is in the files, and write nothing; exit 1 if no line counts"},
)
def etl(
    _c: object,
    source: Sequence[str] | None = None,
    layout: str | None = None,
    out: str | None = None,
    dates: str | None = None,
    drop_duplicates: bool = False,  # noqa: FBT001, FBT002 - a flag of the command line
    check: bool = False,  # noqa: FBT001, FBT002 - as above
) -> None:
    """Compute the KPI snapshot from sales files."""
    settings = load()
    wanted = _wanted(settings, layout, dates, drop_duplicates=drop_duplicates)
    if check:
        sys.exit(cli.look(_sources(settings, source), wanted, now=now(), out=sys.stdout, stream=sys.stderr))
    cli.make_snapshot(_sources(settings, source), Path(out or settings.etl.out), wanted, now=now(), stream=sys.stderr)


@task(
    iterable=["source"],
    help=ETL_HELP
    | {
        "plan": "print what would be uploaded and change nothing; exit status 2 when anything would be",
        "force": "publish also what looks broken or is older, and upload every file: mends a bucket that lost some",
    },
)
def etl_sync(
    _c: object,
    source: Sequence[str] | None = None,
    layout: str | None = None,
    out: str | None = None,
    dates: str | None = None,
    drop_duplicates: bool = False,  # noqa: FBT001, FBT002 - a flag of the command line
    plan: bool = False,  # noqa: FBT001, FBT002 - as above
    force: bool = False,  # noqa: FBT001, FBT002 - as above
) -> int:
    """Compute the snapshot and publish it to S3."""
    from ops.sync import planned, sync

    settings = load()
    wanted = _wanted(settings, layout, dates, drop_duplicates=drop_duplicates)
    make = partial(cli.make_snapshot, _sources(settings, source), choices=wanted, now=now())
    publisher = _publisher(settings)
    if plan:
        with Path(os.devnull).open("w") as nowhere:  # what it would say was written is thrown away again
            return _told(planned(partial(make, stream=nowhere), publisher))
    out_directory = Path(out or settings.etl.out)

    def publish(draft: Any) -> int:
        return _told(sync(partial(make, stream=sys.stderr), out_directory, publisher, now=now, force=force), draft)

    return _noted(settings, "etl-sync", publish)


def _noted(settings: Settings, what: str, body: Callable[[Any], int]) -> int:
    """Do it, and keep a line of what it changed."""
    from etl.store import s3_client
    from ops.audit.kept import Book
    from ops.audit.noted import Notary, noted

    book = Book(s3_client, settings.s3.bucket, settings.audit.unsent)

    def keep(change: Any) -> None:
        if settings.audit.s3:
            book.keep(change, _tell)

    return noted(what, body, Notary(_who(), now, time.monotonic, keep))


def _publisher(settings: Settings) -> Any:
    from etl.progress import byte_bar
    from ops.sync import Publisher, store_of

    store = store_of(settings.s3, settings.publish)
    return Publisher(store, settings.publish, _who(), partial(byte_bar, sys.stderr, "uploading"))


def _who() -> str:
    import getpass
    import socket

    from ops.who import who

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run a user id without a name
        user = f"uid {os.getuid()}"
    return who(os.environ, user, socket.gethostname())  # noqa: TID251 - the door


def _told(told: Any, draft: Any = None) -> int:
    print(told.text)
    if draft is not None:
        draft.origin, draft.to, draft.changed = told.origin, told.to, told.origin != told.to
    return int(told.status)


LIMIT_HELP = "how many of the newest to show (default: 20)"


@task(help={"limit": LIMIT_HELP, "json": "print them as one JSON document"})
def snapshots(_c: object, limit: str = "20", json: bool = False) -> None:  # noqa: FBT001, FBT002 - a flag of the command line
    """List the published runs: when, by whom, how much, which is current."""
    from json import dumps

    from etl.store import publications
    from ops.snapshots import as_json, listed
    from ops.sync import store_of

    settings = load()
    found = publications(store_of(settings.s3, settings.publish), _count("limit", limit))
    print(dumps(as_json(found), indent=2) if json else listed(found))


@task(
    help={
        "run": "the run to go back to, as `fab snapshots` names it",
        "plan": "print what would change and change nothing; exit status 2 when anything would",
    }
)
def snapshot_restore(_c: object, run: str, plan: bool = False) -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Make an earlier published run the current one, in one write."""
    from ops.snapshots import go_back
    from ops.sync import store_of

    settings = load()
    store = store_of(settings.s3, settings.publish)
    if plan:
        return _told(go_back(store, run, by=_who(), plan=True))
    return _noted(settings, "snapshot-restore", lambda draft: _told(go_back(store, run, by=_who()), draft))


def _count(flag: str, text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise SettingsError(
            f"--{flag} {text} is no count", expected="a whole number above 0", to_do=f"like --{flag} 50"
        )
    return int(text)


def _sources(settings: Settings, named: Sequence[str] | None) -> list[str]:
    found = list(named or settings.etl.source)
    if not found:
        raise SourceError(
            "no sales file is named",
            expected="at least one --source, or source in [etl] of settings.toml",
            to_do="write it like --source online_retail.csv.gz; to see it all on made-up sales: make demo",
        )
    return found


def _wanted(settings: Settings, layout: str | None, dates: str | None, *, drop_duplicates: bool) -> Any:
    if dates not in (None, "auto", "dmy", "mdy"):
        raise SettingsError(f"--dates {dates} is no order", expected="dmy, mdy or auto", to_do="like --dates dmy")
    changed = {
        "layout": layout or settings.etl.layout,
        "dates": dates or settings.etl.dates,
        "drop_duplicates": drop_duplicates or settings.etl.drop_duplicates,
    }
    return settings.etl.model_copy(update=changed)


@task(
    help={
        "json": "print the findings as one JSON document, in the shape of dbt's sources.json",
        "badge": "write the verdict as an SVG to this file too",
        "dashboard": "ask the page at this URL whether it shows what is published (default: [freshness] dashboard)",
    }
)
def freshness(_c: object, json: bool = False, badge: str = "", dashboard: str = "") -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Judge what is published: its age on two clocks, and every file."""
    from etl.store import open_reader
    from ops.checkup import checkup
    from ops.shown import page_at
    from ops.verdict import as_badge, as_json, as_text
    from ops.whole import write_whole

    settings = load()
    page = page_at(dashboard or settings.freshness.dashboard, settings.dashboard.refresh_s)
    verdict = checkup(partial(open_reader, settings.store_address), settings.freshness, now=now(), page=page)
    print(as_json(verdict) if json else as_text(verdict))
    if badge:
        write_whole(Path(badge), as_badge(verdict))
    return verdict.exit_code


@task(
    help={
        "push": "and push the record to the branch of this clone; then 0 says that it is recorded",
        "knock": "open the stack's security group for this address meanwhile, and close it again",
    }
)
def uptime_check(_c: object, push: bool = False, knock: bool = False) -> int:  # noqa: FBT001, FBT002 - flags of the command line
    """Look at every target, record it, tell of it, rewrite the report."""
    from ops.uptime.__main__ import main

    return main(["check", *(["--push"] * push), *(["--knock"] * knock)])


@task(
    help={
        "samples": "the directory of YYYY-MM.jsonl (default: [uptime] directory)",
        "at": "the moment to report on, like 2026-11-22T12:00:00Z (default: now)",
        "json": "print the numbers as one JSON document",
    }
)
def uptime_report(_c: object, samples: str | None = None, at: str | None = None, json: bool = False) -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Print the report on recorded samples; writes nothing."""
    from ops.uptime.__main__ import main

    uptime = load().uptime
    flags = ["--samples", samples or str(uptime.directory), "--now", at or now().isoformat()]
    return main(["report", *flags, *(["--json"] * json)])


PLAN_HELP = "print what would be changed and change nothing; exit status 2 when anything would be"
WAIT_HELP = "while somebody else is at work, wait for so many seconds (default: 0)"


@task(
    interrupted=GOES_ON,
    help={
        "plan": "show the change set and run nothing; exit status 2 when anything would change",
        "yes": "do not ask before the change set is run",
        "refresh_ami": "take the newest image; the instance is made anew",
        "allow_replace": "let the instance or the bucket be replaced",
    },
)
def provision(
    c: object,
    plan: bool = False,  # noqa: FBT001, FBT002 - a flag of the command line
    yes: bool = False,  # noqa: FBT001, FBT002 - as above
    refresh_ami: bool = False,  # noqa: FBT001, FBT002 - as above
    allow_replace: bool = False,  # noqa: FBT001, FBT002 - as above
) -> int:
    """Make or change the stack in AWS, then set its host up."""
    from ops.audit.change import Draft
    from ops.stack.provision import Choice
    from ops.stack.provision import provision as bring

    settings = load()
    choice = Choice(plan, yes, refresh_ami, allow_replace)

    def make(draft: Any) -> int:
        draft.to = settings.stack.name
        return bring(_provision_desk(c, settings), choice)

    return make(Draft()) if plan else _noted(settings, "provision", make)


@task()
def drift(c: object) -> int:
    """Whether somebody changed what the stack made; exit status 2 where so."""
    from ops.stack.drift import drift as differing

    return differing(_provision_desk(c, load()))


@task(help={"json": "one JSON document on stdout"})
def verify(_c: object, json: bool = False) -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Judge the live account by the rules of its posture, each with the fix."""
    from ops.cloud.stacks import clients
    from ops.posture.verify import verify as judge

    return judge(load(), clients(), now, sys.stdout, as_json=json)


@task(interrupted=GOES_ON, help={"name": "the stack's name, where nobody can be asked to type it"})
def destroy(c: object, name: str = "") -> int:
    """Delete the stack; the bucket and what is in it stay."""
    from ops.stack.destroy import destroy as take_away

    settings = load()

    def remove(draft: Any) -> int:
        draft.origin = settings.stack.name
        return take_away(_provision_desk(c, settings), name)

    return _noted(settings, "destroy", remove)


def _provision_desk(c: object, settings: Settings) -> Any:
    from ops.cloud.address import own_address
    from ops.cloud.stacks import clients
    from ops.stack.desk import ProvisionDesk
    from ops.stack.template import template

    asked = clients()
    return ProvisionDesk(
        settings=settings,
        clients=asked,
        now=now,
        clock=time.monotonic,
        sleep=time.sleep,
        stream=sys.stdout,
        ask=_ask,
        template=template,
        after=partial(_arrive, c, settings, asked.ec2),
        outputs_path=STACK_OUTPUTS,
        own_address=own_address,
    )


def _arrive(c: object, settings: Settings, ec2: Any, outputs: Any) -> ExitCode:
    """Set the host of a finished stack up; its key is taken from its console where none is pinned."""
    from ops.host import host_key
    from ops.stack.arrival import Waiting, no_way_in, pin_from_console, wait_until_reached

    closed = no_way_in(settings)
    if closed:
        print(closed)
        return ExitCode.GOOD
    instance, waiting = outputs.values["InstanceId"], Waiting(time.monotonic, time.sleep, _tell)
    if not host_key.pinned([settings.host.known_hosts], [instance]):
        pin_from_console(instance, settings.host.known_hosts, ec2, waiting)
    wait_until_reached(partial(_connected, c, settings), waiting)
    return ExitCode(_set_up(c, settings, only_plan=False))


def _ask(question: str) -> str:
    """What a person answers; nothing where nobody is there to."""
    try:
        return input(question)
    except EOFError:
        return ""


@task(help={"plan": PLAN_HELP})
def bootstrap(c: object, plan: bool = False) -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Set the host up: packages, user, units, limits, SSH, agent."""
    settings = load()
    if plan:
        return _set_up(c, settings, only_plan=True)

    def set_up(draft: Any) -> int:
        draft.to = settings.host.address or settings.host.name
        return _set_up(c, settings, only_plan=False, change=draft)

    return _noted(settings, "bootstrap", set_up)


def _set_up(c: object, settings: Settings, *, only_plan: bool, change: Any = None) -> int:
    from ops.host.bootstrap import NewLogin
    from ops.host.bootstrap import bootstrap as set_up

    connect = partial(_connected, c, settings)
    with connect() as remote:
        way = NewLogin(connect, time.monotonic, time.sleep)
        return set_up(remote, settings, way=way, who=_who(), tell=_tell, show=print, only_plan=only_plan, change=change)


@task(
    help={
        "ref": "the branch, tag or commit to deploy (default: HEAD)",
        "dirty": "ship the work tree's tracked files as they are, and mark the release",
        "plan": PLAN_HELP,
        "force": "make a new release even where the very same one serves",
        "wait": WAIT_HELP,
        "offline": "a directory of wheels to install from, where the host has no package index",
    }
)
def deploy(
    c: object,
    ref: str = "HEAD",
    dirty: bool = False,  # noqa: FBT001, FBT002 - a flag of the command line
    plan: bool = False,  # noqa: FBT001, FBT002 - as above
    force: bool = False,  # noqa: FBT001, FBT002 - as above
    wait: str = "",
    offline: str = "",
) -> int:
    """Bring a commit to the host, without anybody noticing."""
    from ops.audit.change import Draft
    from ops.host.deploy import Choice
    from ops.host.deploy import deploy as bring
    from ops.host.source import Checkout

    settings = load()
    wheels = Path(offline) if offline else None
    choice = Choice(ref, dirty, plan, force, _seconds(wait, "wait"), wheels)

    def ship(draft: Any) -> int:
        with _connected(c, settings) as remote:
            return bring(_desk(remote, settings, draft), Checkout(Path.cwd()), choice)

    return ship(Draft()) if plan else _noted(settings, "deploy", ship)


@task(help={"to": "the release to go back to (default: the last good one)", "plan": PLAN_HELP, "wait": WAIT_HELP})
def rollback(c: object, to: str = "", plan: bool = False, wait: str = "") -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Go back to a release that was good."""
    from ops.audit.change import Draft
    from ops.host.rollback import rollback as go_back

    settings, wait_s = load(), _seconds(wait, "wait")

    def back(draft: Any) -> int:
        with _connected(c, settings) as remote:
            return go_back(_desk(remote, settings, draft), to, plan=plan, wait_s=wait_s)

    return back(Draft()) if plan else _noted(settings, "rollback", back)


@task(
    help={
        "limit": LIMIT_HELP,
        "what": "only such changes, like deploy or etl-sync",
        "json": "print one JSON document",
    }
)
def history(c: object, limit: str = "20", what: str = "", json: bool = False) -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Show who changed what, when, and how it ended."""
    from etl.store import s3_client
    from ops.audit.asked import Sources, asked
    from ops.audit.kept import Book
    from ops.audit.timeline import as_json, as_text
    from ops.host.tool import ask

    settings = load()
    book = Book(s3_client, settings.s3.bucket, settings.audit.unsent)

    def on_host() -> Any:
        with _connected(c, settings) as remote:
            return ask(remote, "status").said.get("deploys") or ()

    sources = Sources(bucket=(lambda count: book.newest(count, now())) if settings.audit.s3 else None, host=on_host)
    found = asked(sources, _count("limit", limit), what)
    print(as_json(found.changes, found.not_asked) if json else as_text(found.changes))
    for reason in found.not_asked:
        _tell(f"not asked: {reason}")
    return found.exit_code


@task(
    help={
        "minutes": "how long it lets in (default: 45)",
        "out": "the directory of the key and the pinned key of the host (default: data/short-key)",
    }
)
def short_key(_c: object, minutes: str = "45", out: str = "data/short-key") -> None:
    """Let this machine in for a while, by SSM; prints the settings to use."""
    from ops.cloud.instances import ec2_client, running
    from ops.cloud.stacks import clients
    from ops.host.short_key import Waiting, let_in
    from ops.stack.arrival import BY_SSM

    settings, place = load(), Path(out)
    instance = running(settings.host.name, ec2_client())
    waiting = Waiting(time.monotonic, time.sleep)
    key = let_in(instance.id, settings.host, place, _count("minutes", minutes), ssm=clients().ssm, waiting=waiting)
    print(f"KPI_HOST__KEY={key.resolve()}\nKPI_HOST__KNOWN_HOSTS={(place / 'known_hosts').resolve()}")
    print(f"KPI_HOST__GATEWAY={settings.host.gateway or BY_SSM}")


WATCH_S = 5.0


@task(
    interrupted="nothing was changed",
    help={"json": "print one JSON document", "watch": "look again every 5 seconds, until Ctrl-C"},
)
def status(c: object, json: bool = False, watch: bool = False) -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Show on one screen what serves, how it is, and what is wrong."""
    if json and watch:
        raise SettingsError("--json and --watch were given", expected="one of them", to_do="leave one out")
    settings = load()
    while True:
        text, code = _screen(c, settings, as_json=json)
        clear = "\x1b[2J\x1b[H" if watch and sys.stdout.isatty() else ""
        print(f"{clear}{text}", flush=True)
        if not watch:
            return code
        time.sleep(WATCH_S)


def _screen(c: object, settings: Settings, *, as_json: bool) -> tuple[str, int]:
    from concurrent.futures import ThreadPoolExecutor

    from ops import screen
    from ops.around import lines, look
    from ops.host.placing import compared
    from ops.host.status import status as judged
    from ops.host.tool import ask

    def host() -> Any:
        with _connected(c, settings) as remote:
            differing = compared(remote, settings).differing
            return judged(ask(remote, "status").said, str(remote.address), differing, now())

    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(look, _around(settings))
        try:
            found: Any = host()
        except KpiOpsError as error:
            found = error
        around = lines(waiting.result(), settings, now())
    shown = screen.as_json if as_json else screen.as_text
    return shown(found, around, now()), screen.exit_code(found, around)


def _around(settings: Settings) -> Any:
    """How everything beside the host is asked; of AWS only where the host or the stack is there."""
    from etl.store import open_reader, s3_client
    from ops.around import SHOWN_CHANGES, Asked, once, published
    from ops.audit.kept import Book
    from ops.cloud.instances import running
    from ops.cloud.stacks import clients
    from ops.cloud.standing import credits_left, drift
    from ops.uptime.gather import gather
    from ops.uptime.rules import rules_of

    on_aws = not settings.host.address or STACK_OUTPUTS.exists()
    samples = settings.uptime.directory
    book = Book(s3_client, settings.s3.bucket, settings.audit.unsent)

    aws = once(clients)  # drift and credits share them: to make them takes a good part of the time there is

    def cpu_credits() -> float | None:
        ec2: Any = aws().ec2
        return credits_left(aws(), running(settings.host.name, ec2).id, now())

    return Asked(
        manifest=lambda: published(open_reader(settings.store_address)),
        uptime=(lambda: gather(samples, now=now(), rules=rules_of(settings.uptime))) if samples.exists() else None,
        changes=(lambda: book.newest(10 * SHOWN_CHANGES, now())) if settings.audit.s3 else None,
        drift=(lambda: drift(aws(), settings)) if on_aws else None,
        credits=cpu_credits if on_aws else None,
    )


@task(help={"json": "print one JSON document"})
def doctor(c: object, json: bool = False) -> int:  # noqa: FBT001, FBT002 - a flag of the command line
    """Look at every part, and name what mends what is not right."""
    from etl.store import open_reader
    from ops.cloud.stacks import clients
    from ops.doctor import told
    from ops.doctor.doctor import World
    from ops.doctor.doctor import doctor as examine

    try:
        settings: Settings | SettingsError = load()
    except SettingsError as error:
        settings = error
    known = settings if isinstance(settings, Settings) else Settings()
    environ = os.environ  # noqa: TID251 - the door
    world = World(
        clients=clients,
        reader=partial(open_reader, known.store_address),
        connected=partial(_connected, c, known),
        now=now,
        home=Path.home(),
        github=(environ.get("GITHUB_API_URL", "https://api.github.com"), environ.get("GITHUB_TOKEN", "")),
    )
    found = examine(settings, world)
    print(told.as_json(found, now()) if json else told.as_text(found))
    return told.code(found)


@task(help={"json": "print one JSON document"})
def releases(c: object, json: bool = False) -> None:  # noqa: FBT001, FBT002 - a flag of the command line
    """List the releases on the host, and what became of them."""
    from json import dumps

    from ops.host.releases import as_json, as_text
    from ops.host.releases import releases as listed
    from ops.host.tool import ask

    settings = load()
    with _connected(c, settings) as remote:
        found = listed(ask(remote, "status").said)
    print(dumps(as_json(found), indent=2) if json else as_text(found, now()))


@task(
    help={
        "follow": "go on with new lines until Ctrl-C",
        "since": "like 2h, yesterday or 2026-11-23T10:00:00Z",
        "grep": "only lines that this regular expression finds; exit status 1 where there are none",
        "lines": "how many of the newest (default: 100, with --since all)",
        "release": "only this release's",
        "unit": "only this unit of systemd, like caddy (default: the dashboard's own)",
    }
)
def logs(
    c: object,
    follow: bool = False,  # noqa: FBT001, FBT002 - a flag of the command line
    since: str = "",
    grep: str = "",
    lines: str = "",
    release: str = "",
    unit: str = "",
) -> int:
    """Show the host's journal; CloudWatch's copy while the host is away."""
    from contextlib import ExitStack

    from ops.cloud.stacks import clients
    from ops.host import cloud_logs
    from ops.host.logs import Wanted, show

    settings = load()
    wanted = Wanted(since, grep, _count("lines", lines) if lines else 0, release, follow, unit)

    def tell(line: str) -> None:
        print(line, flush=True)

    with ExitStack() as open_still:
        try:
            remote = open_still.enter_context(_connected(c, settings))
        except HostError as error:
            if not settings.host.agent.install:
                raise
            _tell(f"note: {error.seen}: these are the lines that CloudWatch has")
        else:
            return show(remote, wanted, tell)
    return cloud_logs.show(clients().logs, wanted, now(), tell)


@task(help={"out": "the directory to write to (default: rendered)"})
def render(_c: object, out: str = "rendered") -> None:
    """Write the stack's template and the host's files; touches no network."""
    from ops.host.rendered import place_in, rendered
    from ops.stack.inputs import unasked
    from ops.stack.template import template
    from ops.whole import write_whole

    settings = load()
    texts = {**rendered(settings), "/stack.yaml": template(unasked(settings))}
    for path, text in texts.items():
        file = place_in(Path(out), path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
    print(f"{len(texts)} files in {out}")


@task(help={"ref": "the commit to rehearse with (default: HEAD)"})
def rehearse(_c: object, ref: str = "HEAD") -> int:
    """Play deploys, broken releases and crashes on a throw-away host."""
    import tempfile

    from ops.rehearse.rehearse import rehearse as play
    from ops.rehearse.variants import packed, variants

    settings = load()
    with tempfile.TemporaryDirectory(prefix="kpi-rehearsal-") as made:
        directory = Path(made)
        _make_sample(directory / "sample.csv")
        _make_snapshot(settings, [directory / "sample.csv"], directory / "snapshot")
        environ = dict(os.environ)  # noqa: TID251 - the door
        (directory / "copy").mkdir()
        copy = variants(Path.cwd(), ref, directory / "copy", environ)
        data = packed(directory / "snapshot")
        REHEARSAL_DIRECTORY.mkdir(exist_ok=True)
        place = REHEARSAL_DIRECTORY
        return play(copy, data, place, sys.stdout, environ=environ, clock=time.monotonic, sleep=time.sleep)


def _connected(context: object, settings: Settings) -> Any:
    """A connection to the host that is meant: -H, else [host], else by its tag."""
    from ops.cloud.instances import ec2_client, running
    from ops.host.ssh import connected
    from ops.host.where import address_of

    return connected(address_of(context, settings.host, lambda name: running(name, ec2_client()), Path.home()))


def _desk(remote: Any, settings: Settings, draft: Any) -> Any:
    from etl.progress import byte_bar, percent_bar
    from ops.host.desk import Bars, Desk

    bars = Bars(partial(byte_bar, sys.stderr), partial(percent_bar, sys.stderr))
    return Desk(remote, settings, _who(), now, time.monotonic, time.sleep, sys.stdout, bars, draft)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _seconds(text: str, flag: str) -> float:
    if text and not text.isdecimal():
        raise SettingsError(f"--{flag} {text} is no time", expected="whole seconds", to_do=f"like --{flag} 120")
    return float(text or 0)


ns = Collection(
    demo,
    etl,
    etl_sync,
    snapshots,
    snapshot_restore,
    freshness,
    uptime_check,
    uptime_report,
    provision,
    drift,
    verify,
    destroy,
    bootstrap,
    deploy,
    rollback,
    history,
    releases,
    short_key,
    status,
    doctor,
    logs,
    render,
    rehearse,
)
