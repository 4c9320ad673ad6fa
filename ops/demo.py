"""The whole story on this machine: sales -> snapshot -> AWS -> dashboard -> probe -> report, with nothing to pay for.

The same code as in earnest. Only AWS is another: moto's, over HTTP, in memory.
"""

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import requests

from etl.contract import Manifest
from etl.errors import StoreError
from etl.store import DirectoryStore, Overtaken, Run, S3Store, publish, s3_client
from ops import embedded, server
from ops.cloud.stacks import clients
from ops.server import Running
from ops.settings import Settings
from ops.stack.trial import trial
from ops.stages import Story
from ops.uptime import record
from ops.uptime.data import freshness_line, judge
from ops.uptime.probe import Result, Wanted, described, probe
from ops.uptime.rewrite import Places, rewrite
from ops.uptime.rules import rules_of

STAGES = 7
ADDRESS = "127.0.0.1"
WANTED = Wanted(min={"metric": 5, "plotly_chart": 3}, text=("Data through",))


@dataclass(frozen=True, slots=True)
class Shop:
    """How the demo comes by its sales: a maker of the sample shop, and the ETL; each tells a line about what it did."""

    sources: Sequence[Path]
    make_sample: Callable[[Path], str]
    make_snapshot: Callable[[Sequence[Path], Path], tuple[Manifest, str]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The world as the demo may touch it: its directory, the port asked for, the clock, the environment."""

    directory: Path
    port: int
    now: Callable[[], datetime]
    environ: MutableMapping[str, str]
    sleep: Callable[[float], None]


def demo(
    shop: Shop, settings: Settings, world: Surroundings, story: Story, while_it_serves: Callable[[Running], None]
) -> None:
    """Tell the story; once the page was read and recorded, `while_it_serves` keeps it up for as long as it takes.

    Whatever was started is stopped again. Raises KpiOpsError where a stage cannot be done.
    """
    port = server.free_port(ADDRESS, world.port)  # before the work, not after it
    _make(world.directory)
    with ExitStack() as started:
        local, manifest = _snapshot(shop, story, world)
        store = _provision(settings, story, world, started)
        _publish(store, manifest, local, story, world.now())
        running = _serve(store, port, story, world, started)
        result = _probe(running.url, story)
        _report(result, store, settings, story, world)
        while_it_serves(running)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make {directory}: {error.strerror or error}",
            expected="a directory that this user may write to",
            to_do="run it where you may write",
        ) from error


def _snapshot(shop: Shop, story: Story, world: Surroundings) -> tuple[DirectoryStore, Manifest]:
    with story.stage("sample") as stage:
        sources = list(shop.sources)
        if sources:
            stage.told = f"not needed: {', '.join(path.name for path in sources)} was given"
        else:
            sources = [world.directory / "sample.csv"]
            stage.told = shop.make_sample(sources[0])
    out = world.directory / "processed"
    with story.stage("etl") as stage:
        manifest, stage.told = shop.make_snapshot(sources, out)
    return DirectoryStore(out), manifest


def _provision(settings: Settings, story: Story, world: Surroundings, started: ExitStack) -> S3Store:
    with story.stage("provision") as stage:
        endpoint = started.enter_context(embedded.aws_server())
        embedded.point_aws_at(endpoint, world.environ)
        world.environ["KPI_DASHBOARD__CACHE"] = ""  # each demo is a store of its own, and nothing of it shall remain
        made = trial(
            settings,
            clients(),
            world.directory,
            image=embedded.IMAGE_PARAMETER,
            now=world.now,
            clock=story.clock,
            sleep=world.sleep,
        )
        store = S3Store(s3_client(), settings.s3.bucket, settings.s3.prefix)
        versioned = ", and the bucket's versioning, set since" * embedded.version(store.client, store.bucket)
        stage.told = f"{endpoint}: {made.text}{versioned}"
    return store


def _publish(store: S3Store, manifest: Manifest, local: DirectoryStore, story: Story, now: datetime) -> None:
    with story.stage("publish") as stage:
        done = publish(store, Run(manifest, local), store.published(), now=now)
        if isinstance(done, Overtaken):  # in a bucket made a moment ago
            stage.good, stage.told = False, f"run {done.by.run_id} is newer"
            return
        stage.told = f"{done.uploaded} files, {done.uploaded_bytes:,} bytes, then metadata.json (run {manifest.run_id})"


def _serve(store: S3Store, port: int, story: Story, world: Surroundings, started: ExitStack) -> Running:
    with story.stage("serve") as stage:
        log = world.directory / "serve.log"
        starting = server.dashboard(store.where, ADDRESS, port, log, is_ready=_is_ready, sleep=world.sleep)
        running = started.enter_context(starting)
        stage.told = running.url
    return running


def _is_ready(url: str) -> bool:
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy for this machine
            return session.get(f"{url}/readyz", timeout=2).ok
    except requests.RequestException:
        return False


def _probe(url: str, story: Story) -> Result:
    with story.stage("probe") as stage:
        result = probe(url, WANTED)
        stage.told = described(result, url).splitlines()[0]
        stage.good = result.verdict == "up"
    return result


def _report(result: Result, store: S3Store, settings: Settings, story: Story, world: Surroundings) -> None:
    with story.stage("report") as stage:
        now = world.now().replace(microsecond=0)
        directory, report = world.directory / "uptime", world.directory / "uptime.md"
        sample = record.Sample(at=now, target="demo", by=settings.uptime.by, run=None, result=result)
        record.append(directory, [sample])
        fresh = freshness_line(partial(judge, store.where, now=now, limits=settings.freshness))
        rewrite(Places(directory, report), now=now, rules=rules_of(settings.uptime), freshness=fresh)
        stage.told = f"{report} ({fresh.partition(';')[0]})"
