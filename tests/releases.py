"""Commits of this project in a clone of its own: good ones, and ones that are broken in every way we could think of."""

import shutil
import subprocess
import textwrap
from pathlib import Path

from ops.host.source import PATHS

ROOT = Path(__file__).resolve().parent.parent
APP = "dashboard/app.py"
PRODUCTS = "dashboard/pages/products.py"


class Clone:
    """A git clone whose first commit is this checkout as it lies here, with what is not committed yet."""

    def __init__(self, directory):
        self.directory = directory
        listed = ["git", "-C", ROOT, "ls-files", "-coz", "--exclude-standard", "--", *PATHS]
        for name in filter(None, subprocess.run(listed, check=True, capture_output=True).stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, directory / name)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "test@example.org")
        self.git("config", "user.name", "test")
        self.sha = self.committed("as it is here")

    def git(self, *words):
        """Run git in the clone."""
        return subprocess.run(["git", "-C", self.directory, *words], check=True, capture_output=True).stdout.decode()

    def committed(self, title):
        """Commit everything; the sha."""
        self.git("add", "-A")
        self.git("commit", "-qm", title, "--allow-empty")
        return self.git("rev-parse", "HEAD").strip()

    def release(self, title, change=None):
        """A commit on top of the first one, changed by a function of the clone's directory; the sha."""
        self.git("checkout", "-q", "-f", self.sha)
        if change:
            change(self.directory)
        return self.committed(title)


def before(path, text):
    """A change: put text before everything in a file."""

    def change(directory):
        file = directory / path
        file.write_text(text + file.read_text())

    return change


def in_render(text, page="products"):
    """A change: lines put first into a page."""
    lines = textwrap.indent(textwrap.dedent(text).strip("\n"), "    ")

    def change(directory):
        file = directory / "dashboard" / "pages" / f"{page}.py"
        start, head, rest = file.read_text().partition("def render(snapshot: Snapshot) -> None:\n")
        assert head
        file.write_text(f"{start}{head}{lines}\n{rest}")

    return change


def replaced(path, old, new):
    """A change: other words in a file."""

    def change(directory):
        file = directory / path
        source = file.read_text()
        assert old in source
        file.write_text(source.replace(old, new, 1))

    return change


# title -> (change, what must be named in the refusal)
BAD = {
    "import error": (before(APP, "import nosuchmodule\n"), "No module named 'nosuchmodule'"),
    "exception on the second page": (in_render("raise KeyError('revenue')"), "KeyError: 'revenue'"),
    "syntax error": (before(PRODUCTS, "def broken(:\n"), "SyntaxError"),
    "missing data": (
        in_render("open('/nonexistent/sales.csv')"),
        "No such file or directory: '/nonexistent/sales.csv'",
    ),
    "error box only": (in_render("import streamlit\nstreamlit.error('no prices')\nstreamlit.stop()"), "no prices"),
    "hang": (in_render("import time\ntime.sleep(9999)"), "did not finish within"),
    "CPU spin": (in_render("while True:\n    pass"), "did not finish within"),
    "out of memory": (in_render("x = [bytes(1 << 20) * 64 for _ in range(64)]"), "memory"),
    "wrong Python": (replaced("pyproject.toml", '">=3.11,<3.14"', '">=3.99"'), "wants >=3.99"),
    "server does not start": (before("dashboard/serve.py", "raise SystemExit('no')\n"), "status 1: no"),
    "missing wheel": (replaced("requirements/host.txt", "altair==", "altair==99."), "altair"),
    "fork bomb": (in_render("import os\nwhile True:\n    os.fork()"), "in page 'products'"),
}
