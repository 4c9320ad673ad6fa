"""Run a command in the control groups of that name: python -m tests.bench.confined NAME COMMAND..."""

import os
import sys

from tests.host import cgroups

name, *command = sys.argv[1:]
cgroups.cgroups().join(name, os.getpid())
os.execvp(command[0], command)
