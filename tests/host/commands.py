"""Programs of the machine that the builder calls, and what is raised where one fails."""

import subprocess


class HostTrouble(Exception):
    """A host could not be made, started or taken down; says which step failed and how."""


def run(*argv, stdin=None, env=None):
    """Run a program to its end; returns what it printed. Raises HostTrouble where it fails."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise HostTrouble(f"{' '.join(argv)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def tried(*argv):
    """Whether a program that may fail did not."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
