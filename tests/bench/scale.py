"""The ETL on a million and ten million lines beside pandas, and with no more memory than a small server has.

python -m tests.bench.scale SOURCE COPIES PATH only makes the lines, and prints how many.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tests.bench.measure import in_turn, run, table
from tests.host import cgroups
from tests.host.place import why_not

ROOT = Path(__file__).resolve().parents[2]
RUNS = 3
SIZES = (2, 20)  # copies of half a million lines
ALIKE = 5  # copies have the same products, every fifth of them
SMALL_MB = 1024
GROUP = "bench-scale"

COPIES = """
COPY (
    SELECT CASE WHEN InvoiceNo[1] IN ('C', 'A') THEN InvoiceNo[1] || lpad(i::VARCHAR, 3, '0') || InvoiceNo[2:]
                ELSE lpad(i::VARCHAR, 3, '0') || InvoiceNo END AS "InvoiceNo",
           CASE WHEN i % {alike} > 0 THEN StockCode || (i % {alike}) ELSE StockCode END AS "StockCode",
           Description, Quantity::INT AS "Quantity", InvoiceDate::TIMESTAMP AS "InvoiceDate",
           UnitPrice::DOUBLE AS "UnitPrice", lpad(i::VARCHAR, 3, '0') || CustomerID AS "CustomerID", Country
    FROM read_csv('{source}', all_varchar = true), range({copies}) t(i)
) TO '{path}' ({options})
"""


def enlarged(source: Path, copies: int, path: Path) -> int:
    """Make them in another process: the peak of a child counts from what its parent had."""
    command = [sys.executable, "-m", "tests.bench.scale", str(source), str(copies), str(path)]
    return int(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def write(source: Path, copies: int, path: Path) -> int:
    """Copies of the same sales under invoices and customers of their own; how many lines."""
    options = "FORMAT parquet" if path.suffix == ".parquet" else "FORMAT csv"
    statement = COPIES.format(alike=ALIKE, source=source, copies=copies, path=path, options=options)
    ((count,),) = duckdb.execute(statement).fetchall()
    return int(count)


@contextmanager
def confined(memory_mb: int):
    """A command's first words that leave it so much memory."""
    groups = cgroups.cgroups()
    every = f"0-{(os.cpu_count() or 1) - 1}" if (os.cpu_count() or 1) > 1 else "0"
    groups.make(GROUP, cgroups.Limits(memory_mb, every))
    try:
        yield [sys.executable, "-m", "tests.bench.confined", GROUP]
    finally:
        groups.remove(GROUP)


def scale(directory: Path, source: Path, what: str) -> None:
    """Prints a table for each size, and one of runs in little memory."""
    ours = [sys.executable, "-m", "etl", "--out", str(directory / "ours"), "--source"]
    theirs = [sys.executable, str(ROOT / "tests" / "pandas_reference.py")]
    made = {}
    for copies in SIZES:
        made[copies] = directory / f"{copies}.parquet"
        lines = enlarged(source, copies, made[copies])
        found = in_turn([[*ours, str(made[copies])], [*theirs, str(made[copies]), str(directory / "pandas")]], RUNS)
        print(f"## ETL of {copies} times {what}: {lines:,} lines, Parquet\n\nMedians of {RUNS} runs in turn.\n")
        print(table(["kpi-ops", "pandas"], found), end="\n\n")
    if reason := why_not():
        print(f"in {SMALL_MB} MiB: not measured here: {reason}", end="\n\n")
        return
    text = directory / "big.csv"
    lines = enlarged(source, SIZES[-1], text)
    print(
        f"## The same {lines:,} lines with {SMALL_MB} MiB of memory in all (control group)\n\nMedians of {RUNS} runs.\n"
    )
    with confined(SMALL_MB) as small:
        names = ("Parquet", f"CSV, {text.stat().st_size / 1e6:,.0f} MB")
        found = [[run([*small, *ours, str(path)]) for _ in range(RUNS)] for path in (made[SIZES[-1]], text)]
        print(
            "\n".join(
                table([name], [runs]) if not place else table([name], [runs]).splitlines()[-1]
                for place, (name, runs) in enumerate(zip(names, found, strict=True))
            ),
            end="\n\n",
        )
        ended = run([*small, *theirs, str(made[SIZES[-1]]), str(directory / "pandas")], ends=range(-64, 256))
        print(f"pandas, the Parquet: {'ended by the kernel' if ended.status == -9 else f'exit status {ended.status}'}")


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
