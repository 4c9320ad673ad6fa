"""`python -m etl`: sales files -> a snapshot in a directory."""

import gc
import os
import sys

# One short run whose data live in DuckDB: there is nothing to collect, and looking for it costs a twentieth of the CPU.
gc.disable()

from etl.cli import main  # noqa: E402 - what it imports is what would be looked through

status = main(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
# Everything is written and closed. To take the interpreter apart object by object would cost a sixth of the CPU more.
os._exit(status)
