"""`make bench`: the tables of docs/performance.md and docs/uptime.md. `make bench BENCH=etl` for one of them.

Others are scale, demo, publish, years, truth, dashboard, deploy and operator (need root), fresh; and, only where it is
named, soak.
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from tests.bench.dashboard import dashboard
from tests.bench.deploy import deploy
from tests.bench.measure import in_turn, run, table
from tests.bench.operator import operator
from tests.bench.publish import publish
from tests.bench.scale import scale as on_many_lines
from tests.bench.soak import soak
from tests.bench.truth import truth
from tests.bench.years import years

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
FAB = str(Path(PYTHON).with_name("fab"))
RUNS = 5


def sales(directory: Path) -> tuple[Path, str]:
    """The real sales where the environment names them, else the sample shop."""
    if place := os.environ.get("KPI_OPS_ONLINE_RETAIL"):
        return Path(place), "UCI Online Retail, 541,909 lines, CSV.gz"
    from etl.sample import write

    path = directory / "sample.csv"
    return path, f"the sample shop, {write(path, date(2026, 11, 21)):,} lines, CSV (KPI_OPS_ONLINE_RETAIL is not set)"


def etl(directory: Path) -> None:
    """The ETL against the same artifacts in pandas: start-up, reading, all artifacts, both formats, hashes."""
    source, what = sales(directory)
    _against_pandas(source, what, directory)
    _against_pandas(_four_times(source, directory), f"four times {what}", directory)


def scale(directory: Path) -> None:
    """The same on more lines, and in little memory."""
    on_many_lines(directory, *sales(directory))


def _against_pandas(source: Path, what: str, directory: Path) -> None:
    ours = [PYTHON, "-m", "etl", "--source", str(source), "--out", str(directory / "ours")]
    theirs = [PYTHON, str(ROOT / "tests" / "pandas_reference.py"), str(source), str(directory / "pandas")]
    print(f"## ETL of {what}\n\nWhole processes, medians of {RUNS} runs in turn.\n")
    print(table(["kpi-ops", "pandas"], in_turn([ours, theirs], RUNS)), end="\n\n")


def _four_times(source: Path, directory: Path) -> Path:
    """The same sales four times over, each copy under invoice numbers of its own, as plain CSV."""
    packed = source.read_bytes()
    text = (gzip.decompress(packed) if source.suffix == ".gz" else packed).decode()
    header, *lines = text.splitlines(keepends=True)
    path = directory / "four.csv"
    with path.open("w", encoding="utf-8") as out:
        out.write(header)
        for copy in "1234":
            out.writelines(f"{invoice}{copy},{rest}" for invoice, _, rest in (line.partition(",") for line in lines))
    return path


def demo(directory: Path) -> None:
    """`fab demo --once` from the sales to the report."""
    source, what = sales(directory)
    shutil.copy(ROOT / "settings.toml", directory)
    (directory / "fabfile.py").write_text("from tasks import ns\n")
    command = [FAB, "demo", "--once", "--source", str(source), "--port", "0"]
    print(f"## fab demo --once on {what}\n\nMedians of {RUNS} runs.\n")
    print(table(["fab demo --once"], [[run(command, directory) for _ in range(RUNS)]]), end="\n\n")


def fresh(directory: Path) -> None:
    """From `git clone` to a page: what the installation takes, and what our own work takes. Once: it downloads."""
    clone = directory / "clone"
    began = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    subprocess.run(["make", "--silent", "setup"], cwd=clone, check=True)
    installed = time.perf_counter()
    fab = clone / ".venv" / "bin" / "fab"
    command = [str(fab), "demo", "--port", "0"]
    process = subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    said = next((line for line in process.stdout if re.search("The dashboard is at", line)), "")
    served = time.perf_counter()
    process.terminate()
    process.wait()
    assert said, "the demo ended without a page"
    print("## From a fresh clone to a page\n\nOne run: it downloads.\n")
    print(f"| | s |\n|---|---|\n| clone and install | {installed - began:.1f} |")
    print(f"| our own work, to the page probed and its URL printed | {served - installed:.1f} |", end="\n\n")


def main(wanted: list[str]) -> None:
    """Run the benchmarks that are named, or all; as on a user's machine, where Python keeps what it has compiled."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    every = {
        each.__name__: each for each in (etl, scale, demo, publish, years, truth, dashboard, deploy, operator, fresh)
    }
    named = every | {soak.__name__: soak}
    for name in wanted or every:
        with tempfile.TemporaryDirectory() as directory:
            named[name](Path(directory))


if __name__ == "__main__":
    main(sys.argv[1:])
