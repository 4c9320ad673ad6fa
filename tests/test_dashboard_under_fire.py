"""A dashboard with an open page while its S3 is away, slow, refuses, lies, or holds what nobody meant to publish."""

import asyncio
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from etl.contract import METADATA, SCHEMA_VERSION
from etl.layouts import ONLINE_RETAIL
from etl.run import Job, run
from etl.store import DirectoryStore, Run, S3Store, publish
from tests.open_page import OpenPage
from tests.s3_faults import corrupted, lost, refused, reset_midway, shortened
from tests.s3_proxy import LONGEST_HANG_S, Proxy, honest, make_bucket, moto_s3, s3_client_of

SERVING = re.compile(r"^serving (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
REFRESH_S = 0.2
WITHIN_S = 40
BUCKET, PREFIX = "shop", "processed/"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LAST_GOOD = "These are the last good numbers"
TEN_MB = 10_000_000


class Place:
    """A bucket behind a proxy that spoils what it is told to, and a dashboard that reads it."""

    def __init__(self, url, proxy, client, snapshots):
        self.url, self.proxy, self.client = url, proxy, client
        self._snapshots = snapshots
        self._store = S3Store(client, BUCKET, PREFIX)
        self._ours = None

    def publish(self, name):
        """A snapshot as `fab etl-sync --force` would."""
        source = DirectoryStore(self._snapshots / name)
        now = datetime.now(UTC)
        publish(self._store, Run(source.current().manifest, source, force=True), self._store.published(), now=now)

    def put_metadata(self, change):
        """metadata.json, changed by hand: bytes to bytes."""
        self._ours = self._store.published().text
        changed = change(self._ours)
        assert changed != self._ours
        self.client.put_object(Bucket=BUCKET, Key=PREFIX + METADATA, Body=changed)

    def heal(self):
        """S3 is well, and the good snapshot is published."""
        self.proxy.begin(lambda _asked: honest)
        if self._ours:
            self.client.put_object(Bucket=BUCKET, Key=PREFIX + METADATA, Body=self._ours)
            self._ours = None
        self.publish("good")


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """Of one shop, calculated now: as it is, and with one more sale; and as it is, calculated three days ago."""
    directory = tmp_path_factory.mktemp("snapshots")
    now = datetime.now(UTC)
    lines = [f"{day},P{day % 3},MUG,{day},2024-01-{day:02d} 10:00:00,10.00,{day % 5},UK" for day in range(1, 31)]
    more = "99,P1,MUG,1000,2024-01-30 11:00:00,10.00,1,UK"
    ago = timedelta(days=3)
    for name, sold, at in (("good", lines, now), ("newer", [*lines, more], now), ("old", lines, now - ago)):
        source = directory / f"{name}.csv"
        source.write_text("\n".join([HEADER, *sold]))
        store = DirectoryStore(directory / name)
        with store.staging() as staged:
            store.adopt(run([source], Job(ONLINE_RETAIL, "GBP", at, "test"), staged), staged)
    return directory


@pytest.fixture(scope="module")
def running(snapshots, tmp_path_factory):
    proxy = Proxy(moto_s3())
    client = s3_client_of(proxy.address)
    make_bucket(client, BUCKET)
    log = tmp_path_factory.mktemp("log") / "log"
    environment = os.environ | {
        "AWS_ENDPOINT_URL": proxy.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "KPI_DASHBOARD__CACHE": "",
        "KPI_FRESHNESS__DATA_ERROR_H": "1000000",  # the shop closed in 2024
        "KPI_FRESHNESS__DATA_WARN_H": "1000000",
        "KPI_DASHBOARD__REFRESH_S": str(REFRESH_S),
    }
    command = [sys.executable, "-m", "dashboard.serve", "--store", f"s3://{BUCKET}/{PREFIX}", "--port", "0"]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process:
        while not (found := SERVING.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield Place(found.group(1), proxy, client, snapshots)
        process.terminate()
        process.wait(10)
    proxy.stop()
    assert "Traceback" not in log.read_text()


@pytest.fixture
def place(running):
    running.heal()
    return running


async def opened_whole(visitor):
    """Open the first page, and wait until it shows the good snapshot with a green badge."""
    await visitor.open()
    await until(visitor, lambda: ":green-badge[" in visitor.drawn.words())


async def until(visitor, condition):
    """Let the open page's clock tick until it is so; it never shows an exception meanwhile."""
    end = time.monotonic() + WITHIN_S
    while True:
        assert visitor.drawn.wrong == []
        if condition():
            return
        assert time.monotonic() < end, visitor.drawn.words()
        await asyncio.sleep(REFRESH_S)
        await (visitor.beat() if visitor.drawn.fragments else visitor.open())


def figures(visitor):
    return [(metric.label, metric.body) for metric in visitor.drawn.elements("metric")]


async def look(place, damage, reason):
    """An open page before, during and after the damage."""
    async with OpenPage(place.url) as visitor, OpenPage(place.url) as another:
        await opened_whole(visitor)
        good = figures(visitor)
        damage(place)
        await until(visitor, lambda: LAST_GOOD in visitor.drawn.words())
        assert ":orange-badge[" in visitor.drawn.words()
        assert re.search(reason, visitor.drawn.words()), visitor.drawn.words()
        await visitor.choose("period", "7d")
        await visitor.choose("period", "28d")
        await another.open()
        for each in (visitor, another):
            assert figures(each) == good
            assert each.drawn.wrong == []
            assert LAST_GOOD in each.drawn.words()
        for page in [entry.name for entry in another.drawn.entries()][1:]:
            await another.open(page)
            assert another.drawn.wrong == [], page
            assert another.drawn.elements("metric"), page
        place.heal()
        await until(visitor, lambda: LAST_GOOD not in visitor.drawn.words() and figures(visitor) == good)
        assert ":green-badge[" in visitor.drawn.words()


def spoilt(fault):
    """Every answer of S3."""
    return lambda place: place.proxy.begin(lambda _asked: fault)


def spoilt_files(fault):
    """A newer snapshot whose Parquet files do not arrive as they are; its metadata.json does."""

    def damage(place):
        place.proxy.begin(lambda asked: fault if asked.method == "GET" and "parquet" in asked.name else honest)
        place.publish("newer")

    return damage


def by_hand(change):
    """A metadata.json that nobody of ours has written."""
    return lambda place: place.put_metadata(change)


def naming_what_is_not_there(text):
    return re.sub(
        rb'("key": "processed/)daily_kpis(\.parquet",\s+"sha256": ")[0-9a-f]{64}', rb"\g<1>gone\g<2>" + b"0" * 64, text
    )


def of_tomorrow(text):
    return text.replace(f'"schema_version": {SCHEMA_VERSION}'.encode(), b'"schema_version": %d' % (SCHEMA_VERSION + 1))


DAMAGES = {
    "away": (spoilt(lost), "reading s3://shop/processed/metadata.json: "),
    "500": (spoilt(refused(500, "InternalError")), "S3 answered 500 InternalError"),
    "403": (spoilt(refused(403, "AccessDenied")), "S3 answered 403 AccessDenied"),
    "breaks off": (spoilt(reset_midway), "reading s3://shop/processed/"),
    "wrong hash": (spoilt_files(corrupted), r"daily_kpis\.parquet"),
    "shorter": (spoilt_files(shortened), r"daily_kpis\.parquet"),
    "half written": (by_hand(naming_what_is_not_there), r"gone\.parquet is missing"),
    "tomorrow's": (by_hand(of_tomorrow), f"has schema_version {SCHEMA_VERSION + 1}"),
    "half a manifest": (by_hand(lambda text: text[: len(text) // 2]), "is not a manifest"),
    "10 MB": (by_hand(lambda text: text + b" " * TEN_MB), "holds 1,000,001 bytes"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=list(DAMAGES))
def test_the_last_good_numbers_stay_with_the_reason_and_the_page_heals_by_itself(place, damage, reason):
    asyncio.run(look(place, damage, reason))


def test_nobody_waits_for_a_slow_s3(place):
    async def click():
        async with OpenPage(place.url, limit_s=LONGEST_HANG_S) as visitor:
            await opened_whole(visitor)
            place.proxy.begin(lambda _asked: lambda exchange: exchange.hang() or exchange.close())
            for period in ("7d", "90d", "All") * 3:
                await visitor.choose("period", period)
                await visitor.beat()
                assert visitor.drawn.wrong == []
            place.heal()
            await until(visitor, lambda: LAST_GOOD not in visitor.drawn.words())

    asyncio.run(click())


def test_numbers_that_are_old_and_cannot_be_renewed_are_marked_red(place):
    async def watch():
        async with OpenPage(place.url) as visitor:
            await opened_whole(visitor)
            place.publish("old")
            await until(visitor, lambda: ":red-badge[" in visitor.drawn.words())
            spoilt(refused(503, "SlowDown"))(place)
            await until(visitor, lambda: "S3 answered 503 SlowDown" in visitor.drawn.words())
            assert ":red-badge[" in visitor.drawn.words()
            place.heal()
            await until(visitor, lambda: ":green-badge[" in visitor.drawn.words())

    asyncio.run(watch())


def test_an_idle_page_shows_a_newer_snapshot_by_itself_and_keeps_its_choices(place):
    async def watch():
        async with OpenPage(place.url) as visitor:
            await opened_whole(visitor)
            await visitor.choose("period", "7d")
            shown = figures(visitor)
            place.publish("newer")
            await until(visitor, lambda: figures(visitor) != shown)
            assert "**24 Jan \N{EN DASH} 30 Jan 2024**" in visitor.drawn.words()

    asyncio.run(watch())
