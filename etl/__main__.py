"""`python -m etl`: sales files -> a snapshot in a directory."""

import gc
import sys

# One short run whose data live in DuckDB: there is nothing to collect, and looking for it costs a tenth of the CPU.
gc.disable()

from etl.cli import main  # noqa: E402 - what it imports is what would be looked through

sys.exit(main(sys.argv[1:]))
