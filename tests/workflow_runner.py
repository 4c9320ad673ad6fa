"""Runs the scripts of a workflow's steps as GitHub runs them, in a clean clone, without this shell's environment."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.git_places import ENVIRON, git

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # GitHub's for a step of bash
BIN = Path(sys.executable).parent


def workflow(name):
    """What a workflow says. Of YAML's words for true, `on` is a key here."""
    return yaml.load((WORKFLOWS / f"{name}.yml").read_text(), Loader=yaml.BaseLoader)


def scripts(name, job):
    """The steps of a job that run a script, by their names."""
    return {step["name"]: step for step in workflow(name)["jobs"][job]["steps"] if "run" in step}


def clean_clone(place):
    """All of this project as it lies here, committed, in a directory of its own, with what is installed here."""
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    git(place, "init", "--quiet", "--initial-branch=main", ".")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "-m", "Begin")
    (place / ".venv").mkdir()
    (place / ".venv" / "bin").symlink_to(BIN)
    return place


class Runner:
    """A runner with a clone: what a step writes to GITHUB_ENV is there for those after it."""

    def __init__(self, clone, temp, **environ):
        temp.mkdir()
        self.clone = clone
        self.temp = temp
        self.bin = temp / "bin"
        self.bin.mkdir()
        self.exported = temp / "github_env"
        self.exported.touch()
        kept = {k: v for k, v in ENVIRON.items() if not k.startswith(("KPI_", "GITHUB_", "PIP_", "PYTHON", "AWS_"))}
        self.environ = kept | {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(temp),
            "GITHUB_ENV": str(self.exported),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "ann",
            "GITHUB_REPOSITORY": "ann/shop",
            "GITHUB_RUN_ID": "1234567",
            "GITHUB_SHA": git(clone, "rev-parse", "HEAD"),
            "NO_COLOR": "1",
            **environ,
        }

    def program(self, name, text):
        """Put a program before all others."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, step, **computed):
        """As GitHub does: the script in a file, without input. Expressions are given computed, or are empty."""
        script = self.temp / "script.sh"
        script.write_text(step["run"])
        own = {name: "" if "${{" in value else value for name, value in step.get("env", {}).items()}
        exported = dict(re.findall(r"^(\w+)=(.*)$", self.exported.read_text(), re.MULTILINE))
        return subprocess.run(
            [*SHELL, script],
            cwd=self.clone,
            env=self.environ | exported | own | computed,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=280,
        )
