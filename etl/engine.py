"""The connection that runs the expressions: DuckDB, embedded."""

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from etl.errors import SettingsError, SourceError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from ibis.backends.duckdb import Backend

LITTLE_BYTES = 100_000_000  # of text: about a million lines
SHARE = 0.45  # of the memory that is there: Python, Arrow and what the engine does not count take as much again
LEAST_BYTES = 128 * 2**20
CSV_BUFFER_BYTES = 8 * 2**20  # a quarter of DuckDB's own: fewer fresh pages to fault in, and the longest line is 2 MB


@dataclass(frozen=True, slots=True)
class Engine:
    """Runs Ibis expressions.

    It compiles with Ibis and executes on DuckDB's own connection: Ibis' ways out go through pandas and pyarrow, whose
    import alone costs a fifth of a run over half a million lines.
    """

    backend: "Backend"

    def keep(self, name: str, expr: ir.Table) -> ir.Table:
        """Run an expression once and keep its rows under a name for the expressions that follow."""
        self._execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {self.query(expr)}')
        return table(name, expr.schema())

    def append(self, name: str, expr: ir.Table) -> None:
        """Run an expression and add its rows to those kept under a name."""
        self._execute(f'INSERT INTO "{name}" BY NAME {self.query(expr)}')

    def query(self, expr: ir.Table) -> str:
        """The expression in SQL, its columns of the type that Ibis takes them for.

        DuckDB's own sums of int64 are 128 bits wide, and a date plus days is a timestamp to it.
        """
        columns = ", ".join(_exact(name, kind) for name, kind in expr.schema().items())
        return f"SELECT {columns} FROM ({self.backend.compile(expr)})"

    def adopt(self, name: str, texts: "pa.Table") -> ir.Table:
        """Text columns that are in memory already, under a name for the expressions that follow."""
        self.backend.con.register(name, texts)
        return table(name, dict.fromkeys(texts.column_names, "string"))

    def fetch(self, expr: ir.Table) -> list[tuple[Any, ...]]:
        """The rows of an expression, for the few that a person or the manifest needs."""
        return self.rows(self.query(expr))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement that no expression can say."""
        found: list[tuple[Any, ...]] = self._execute(sql).fetchall()
        return found

    def copy(self, query: str, path: Path, options: str) -> None:
        """Write the rows of a query to a file, in their order."""
        self._execute(f"COPY ({query}) TO '{_quoted(path)}' ({options})")

    def _execute(self, sql: str) -> "duckdb.DuckDBPyConnection":
        """Run a statement. Ctrl-C is a KeyboardInterrupt and a full disk an OSError here, as anywhere in Python."""
        import duckdb

        try:
            done: duckdb.DuckDBPyConnection = self.backend.con.execute(sql)
        except RuntimeError as error:
            if "interrupted" in str(error):
                raise KeyboardInterrupt from error
            raise
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            if re.search("No space left|max_temp_directory_size", str(error)):
                raise OSError(errno.ENOSPC, "no space left on its disk") from error
            if isinstance(error, duckdb.OutOfMemoryException):
                raise SourceError(
                    f"the lines need more memory than there is: {str(error).splitlines()[0]}",
                    expected="about a third of what the lines take as plain CSV, and disk for the rest",
                    to_do="end what takes memory here, take fewer files at once, or a machine with more memory",
                ) from error
            raise
        return done

    def scan_csv(self, name: str, path: Path, columns: Sequence[str], delimiter: str = ",") -> ir.Table:
        """The lines of a CSV file, every cell as text, read when first asked for.

        Lines that are not CSV, or have too few or too many cells, are passed over; `rejects_NAME` then has them.
        """
        names = ", ".join(f"'{column}': 'VARCHAR'" for column in columns)
        self._execute(
            f"CREATE TEMP VIEW \"{name}\" AS FROM read_csv('{_pattern(path)}', columns = {{{names}}}, "
            f"auto_detect = false, header = true, delim = '{delimiter}', quote = '\"', escape = '\"', "
            f"ignore_errors = true, store_rejects = true, buffer_size = {CSV_BUFFER_BYTES}, "
            f"rejects_table = 'rejects_{name}', rejects_scan = 'scans_{name}')"
        )
        return table(name, dict.fromkeys(columns, "string"))

    def scan_parquet(self, name: str, path: Path) -> ir.Table:
        """The rows of a Parquet file, read when asked for."""
        import pyarrow.parquet as pq

        self._execute(f"CREATE TEMP VIEW \"{name}\" AS FROM read_parquet('{_pattern(path)}')")
        return table(name, ibis.Schema.from_pyarrow(pq.read_schema(path)))

    def close(self) -> None:
        """Give back memory and temporary files."""
        self.backend.disconnect()


def table(name: str, schema: Mapping[str, str | dt.DataType]) -> ir.Table:
    """A table of the engine whose columns are known: asking DuckDB for them would import pyarrow."""
    return ibis.table(schema, name=name)


def _exact(name: str, kind: dt.DataType) -> str:
    if kind.is_integer():
        return f'CAST("{name}" AS BIGINT) AS "{name}"'
    if kind.is_date():
        return f'CAST("{name}" AS DATE) AS "{name}"'
    return f'"{name}"'


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _pattern(path: Path) -> str:
    """A path for a reader, which takes names for patterns: the one file, whatever stands in its name."""
    return re.sub(r"([*?\[])", r"[\1]", _quoted(path))


def connect(spill: Path, input_bytes: int, time_zone: str = "", available_bytes: int | None = None) -> Engine:
    """An embedded DuckDB with nothing on disk but what does not fit into memory, which goes to `spill`.

    Threads are as many as there are processors, but one for little input: there a second one takes a third more CPU,
    which a small server pays for in credits, and saves no time.

    `available_bytes`: of memory; of it the engine takes its share, and what does not fit there goes to `spill` too.
    `time_zone`: whose local time a moment is cast to. Raises SettingsError where there is none of that name.
    """
    backend = ibis.duckdb.connect(temp_directory=str(spill))
    if available_bytes is not None:
        limit_bytes = max(LEAST_BYTES, int(SHARE * available_bytes))
        backend.con.execute(f"SET memory_limit = '{limit_bytes}B'")
    if input_bytes < LITTLE_BYTES:
        backend.con.execute("SET threads = 1")
    backend.con.execute("SET enable_progress_bar = false")
    backend.con.execute("SET autoinstall_known_extensions = false")  # never asks the network
    if time_zone:
        _live_in(backend, time_zone)
    return Engine(backend)


def _live_in(backend: "Backend", time_zone: str) -> None:
    import duckdb

    try:
        backend.con.execute("SET TimeZone = ?", [time_zone])
    except duckdb.Error as error:
        raise SettingsError(
            f"{time_zone!r} is no time zone",
            expected="a name of the IANA list, like Europe/Berlin",
            to_do="mend --time-zone, or time_zone in [etl] of settings.toml",
        ) from error
