"""Five years of samples, reported: our own command beside the same figures from pandas and from a line at a time."""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.measure import in_turn, table

TARGETS = ("api", "dashboard", "shop")
FIRST, LAST = datetime(2021, 11, 22, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
CADENCE = timedelta(minutes=5)
RUNS = 3

# What a script of twenty lines would do: only the uptime of 90 days by count, no interval, no incidents.
WITH_PANDAS = """
import sys
from pathlib import Path
import pandas
frames = [pandas.read_json(file, lines=True) for file in sorted(Path(sys.argv[1]).glob("*.jsonl"))]
samples = pandas.concat(frames).drop_duplicates(["t", "target", "by"])
samples["t"] = pandas.to_datetime(samples["t"])
lately = samples[samples["t"] >= samples["t"].max() - pandas.Timedelta(days=90)]
print((lately["verdict"] != "down").groupby(lately["target"]).mean())
"""
LINE_BY_LINE = """
import json, sys
from pathlib import Path
samples = [json.loads(line) for file in sorted(Path(sys.argv[1]).glob("*.jsonl")) for line in file.open()]
newest = max(sample["t"] for sample in samples)
print(len({(sample["t"], sample["target"], sample["by"]) for sample in samples}), newest)
"""


def years(directory: Path) -> None:
    """1.6 million samples: 3 targets, 5 years, every 5 minutes."""
    samples = directory / "uptime"
    samples.mkdir()
    count = sum(_month(samples, lines) for lines in _months(random.Random(7)))
    now = ["--samples", str(samples), "--now", f"{LAST:%Y-%m-%dT%H:%M:%SZ}", "--cadence", "5m"]
    commands = {
        "report --json (all of it)": [sys.executable, "-m", "ops.uptime", "report", *now, "--json"],
        "report (uptime.md)": [sys.executable, "-m", "ops.uptime", "report", *now],
        "pandas, uptime only": [sys.executable, "-c", WITH_PANDAS, str(samples)],
        "json.loads, counting only": [sys.executable, "-c", LINE_BY_LINE, str(samples)],
    }
    print(f"## {count:,} samples reported\n\nWhole processes, medians of {RUNS} runs in turn.\n")
    print(table(list(commands), in_turn(list(commands.values()), RUNS)), end="\n\n")


def _months(rng: random.Random) -> Iterator[list[tuple[datetime, str]]]:
    left = dict.fromkeys(TARGETS, 0)  # bad samples to come of an outage
    month: list[tuple[datetime, str]] = []
    at = FIRST
    while at < LAST:
        if month and month[-1][0].month != at.month:
            yield month
            month = []
        for target in TARGETS:
            left[target] = max(left[target] - 1, rng.randint(1, 60) if rng.random() < 0.0005 else 0)
            moment = at + timedelta(seconds=rng.randint(3, 90))
            month.append((moment, _line(moment, target, rng, down=left[target] > 0)))
        at += CADENCE
    yield month


def _line(at: datetime, target: str, rng: random.Random, *, down: bool) -> str:
    found = '"down","stage":"script_done","reason":"script_exception"' if down else '"up","stage":null,"reason":null'
    told = ',"detail":"RuntimeError: no such snapshot"' if down else ""
    ms = f'{{"dns":{rng.randint(0, 9)},"tcp":9,"tls":31,"ttfb":14,"body":1,"ws":11,"script":{rng.randint(150, 500)}}}'
    return (
        f'{{"v":1,"t":"{at:%Y-%m-%dT%H:%M:%SZ}","target":"{target}","verdict":{found},"attempts":{3 if down else 1},'
        f'"ms":{ms},"by":"github","run":"1234567"{told}}}\n'
    )


def _month(directory: Path, lines: list[tuple[datetime, str]]) -> int:
    file = directory / f"{lines[0][0]:%Y-%m}.jsonl"
    file.write_text("".join(line for _, line in lines))
    return len(lines)
