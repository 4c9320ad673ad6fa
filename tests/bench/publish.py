"""Publishing the same snapshots with us, `aws s3 sync`, rclone and s5cmd: wall, requests, bytes, torn reads."""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from etl.contract import METADATA, Manifest
from etl.store import DirectoryStore, sha256
from etl.store.changes import with_keys
from tests.publishers import (
    Publisher,
    aws,
    ours,
    publish_before_readers,
    rclone,
    read_once,
    run_to_its_end,
    s5cmd,
)
from tests.s3_proxy import Proxy, Tally, make_bucket, moto_s3, s3_client_of

RUNS = 5
STEPS = ("first publish", "unchanged publish", "one artifact changed", "restore")
KIB = 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """One process: how long it took, and what it asked of S3."""

    wall_s: float
    asked: Tally


def publish(directory: Path) -> None:
    """A computed snapshot, put on S3 by whole processes, and who reads torn meanwhile."""
    proxy = Proxy(moto_s3())
    client = s3_client_of(proxy.address)
    publishers = [each for each in (ours(), aws(), rclone(), s5cmd()) if _is_here(each)]
    snapshots = _snapshots(directory)
    found = {(each.name, step): [] for step in STEPS for each in publishers}
    for turn in range(RUNS + 1):
        for publisher in publishers:
            bucket = f"{publisher.name.replace(' ', '-')}-{turn}"
            make_bucket(client, bucket)
            for step, measured in _story(publisher, proxy, bucket, snapshots):
                if not read_once(client, bucket):
                    raise SystemExit(f"{publisher.name}, {step}: what is published is not whole")
                if turn:  # the first round warms up
                    found[publisher.name, step].append(measured)
    names = [each.name for each in publishers]
    print(f"## Publishing ({_size(snapshots[0])}, a versioned bucket)\n")
    print(f"Whole processes, medians of {RUNS} runs in turn.\n")
    print(_ratios(names, found), end="\n\n")
    print(_medians(names, found), end="\n\n")
    print(_torn(publishers, proxy), end="\n\n")
    print(_typed(proxy, directory), end="\n\n")
    proxy.stop()


def _is_here(publisher: Publisher) -> bool:
    if not publisher.program:
        print(f"{publisher.name} is not on this machine: `make peers`, `apt-get install rclone`", file=sys.stderr)
    return bool(publisher.program)


# --- what is published


def _snapshots(directory: Path) -> list[Path]:
    """The sample shop's snapshot; the same bytes as another run; and as a third one with one artifact changed."""
    from etl.sample import write

    source, out = directory / "sample.csv", directory / "out"
    write(source, date(2026, 11, 21))
    subprocess.run([sys.executable, "-m", "etl", "--source", source, "--out", out], check=True, capture_output=True)
    store = DirectoryStore(out)
    first = with_keys(store.current().manifest, "")
    changed = {file.key: (out / file.key).read_bytes() + b"\n" for file in first.artifacts["rfm"].files.values()}
    runs = [first, _later(first, 1, {}), _later(first, 2, changed)]
    return [_written(directory / f"run-{number}", run, out, changed) for number, run in enumerate(runs)]


def _later(manifest: Manifest, hours: int, changed: dict[str, bytes]) -> Manifest:
    """Another run, so much later."""
    made_at = manifest.generated_at + timedelta(hours=hours)
    text = manifest.model_copy(update={"generated_at": made_at, "run_id": f"later-{hours}"}).to_json()
    for file in manifest.files:
        if data := changed.get(file.key):
            text = text.replace(file.sha256, sha256(data)).replace(f'"bytes": {file.bytes},', f'"bytes": {len(data)},')
    return Manifest.from_json(text)


def _written(place: Path, manifest: Manifest, out: Path, changed: dict[str, bytes]) -> Path:
    """A plain directory that any tool can publish."""
    place.mkdir()
    for file in manifest.files:
        data = (out / file.key).read_bytes()
        (place / file.key).write_bytes(data if sha256(data) == file.sha256 else changed[file.key])
    (place / METADATA).write_text(manifest.to_json())
    return place


def _size(snapshot: Path) -> str:
    sizes = [path.stat().st_size for path in snapshot.iterdir()]
    return f"the sample shop's {len(sizes) - 1} files and metadata.json, {sum(sizes) / KIB:,.0f} KiB"


# --- how it is published


def _story(
    publisher: Publisher, proxy: Proxy, bucket: str, snapshots: Sequence[Path]
) -> Iterator[tuple[str, Measured]]:
    """The steps, one after the other in one bucket."""
    for step, snapshot in zip(STEPS, [*snapshots, snapshots[0]], strict=True):
        # A fresh copy: aws and s5cmd leave out what is older than the last upload and of the same size, whatever is in
        # it; with the old directory as it lies there they would not go back.
        copy = snapshot.with_name("copy")
        shutil.copytree(snapshot, copy, copy_function=shutil.copyfile)
        command = publisher.command(proxy.address, copy, bucket)
        if step == "restore" and publisher.name == ours().name:
            run_id = DirectoryStore(snapshot).current().manifest.run_id
            command = [*command[:-3], "restore", run_id, bucket]
        yield step, _measured(command, proxy)
        shutil.rmtree(copy)


def _measured(command: Sequence[str], proxy: Proxy, **more: str) -> Measured:
    before, began = proxy.tally, time.perf_counter()
    run_to_its_end(command, proxy.address, **more)
    return Measured(time.perf_counter() - began, proxy.tally - before)


# --- what is said of it


def _ratios(names: Sequence[str], found: dict[tuple[str, str], list[Measured]]) -> str:
    mine, *theirs = names
    lines = [f"| wall, {mine} / ... | {' | '.join(theirs)} |", f"|---{'|---' * len(theirs)}|"]
    for step in STEPS:
        ratios = [
            statistics.median(a.wall_s / b.wall_s for a, b in zip(found[mine, step], found[other, step], strict=True))
            for other in theirs
        ]
        lines.append(f"| {step} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
    return "\n".join(lines)


def _medians(names: Sequence[str], found: dict[tuple[str, str], list[Measured]]) -> str:
    lines = ["| | | wall s | requests | KiB up | KiB down |", "|---|---|---|---|---|---|"]
    for step in STEPS:
        for name in names:
            runs = found[name, step]
            wall = statistics.median(each.wall_s for each in runs)
            requests = statistics.median(each.asked.requests for each in runs)
            up, down = (statistics.median(getattr(each.asked, way) for each in runs) / KIB for way in ("up", "down"))
            lines.append(f"| {step} | {name} | {wall:.2f} | {requests:.0f} | {up:.1f} | {down:.1f} |")
    return "\n".join(lines)


def _torn(publishers: Sequence[Publisher], proxy: Proxy) -> str:
    lines = [f"| {RUNS} runs published before readers | reads | torn |", "|---|---|---|"]
    for publisher in publishers:
        bucket = f"{publisher.name.replace(' ', '-')}-read"
        reads = publish_before_readers(publisher, proxy.address, s3_client_of(proxy.address), bucket, RUNS)
        lines.append(f"| {publisher.name} | {reads.all} | {reads.torn} |")
    return "\n".join(lines)


def _typed(proxy: Proxy, directory: Path) -> str:
    """What a person types: the sales are read and the KPIs computed, figures compared, and so on."""
    fab = str(Path(sys.executable).with_name("fab"))
    sync = [fab, "etl-sync", "--source", str(directory / "sample.csv"), "--out", str(directory / "typed")]
    first, unchanged, restore = "`fab etl-sync`, first", "`fab etl-sync`, unchanged", "`fab snapshot-restore`"
    found: dict[str, list[Measured]] = {first: [], unchanged: [], restore: []}
    for turn in range(RUNS):
        bucket = f"typed-{turn}"
        make_bucket(s3_client_of(proxy.address), bucket)
        found[first].append(_measured(sync, proxy, KPI_S3__BUCKET=bucket))
        run_id = DirectoryStore(directory / "typed").current().manifest.run_id
        time.sleep(1)  # two runs of one second with the same bytes are one run
        found[unchanged].append(_measured(sync, proxy, KPI_S3__BUCKET=bucket))
        found[restore].append(_measured([fab, "snapshot-restore", run_id], proxy, KPI_S3__BUCKET=bucket))
    lines = ["| what one types | wall s | requests |", "|---|---|---|"]
    for name, runs in found.items():
        wall = statistics.median(each.wall_s for each in runs)
        lines.append(f"| {name} | {wall:.2f} | {statistics.median(e.asked.requests for e in runs):.0f} |")
    return "\n".join(lines)
