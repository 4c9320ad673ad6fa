"""What git says of this checkout, where there is one."""

import subprocess

GIT_S = 5


def git(*words: str) -> str:
    """What `git WORDS` prints; "" where it fails, takes too long, or is not there."""
    command = ["git", *words]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=GIT_S)  # noqa: S603 - words of our own
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
