"""`python -m etl`: sales files -> a snapshot in a directory."""

import sys

from etl.cli import main

sys.exit(main(sys.argv[1:]))
