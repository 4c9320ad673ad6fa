"""Commits of this project in a clone of its own: good ones, and ones that are broken in every way we could think of."""

import re
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
        start, head, rest = re.split(
            r"^(def render\(.*\) -> None:\n)", file.read_text(), maxsplit=1, flags=re.MULTILINE
        )
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
    "page that leaves": (in_render("raise SystemExit('enough')"), "SystemExit: enough (dashboard/pages/products.py"),
    "process that leaves": (in_render("import os\nos._exit(78)"), "in page 'products'"),
    "page without an end": (in_render("import streamlit\nstreamlit.rerun()"), "and began anew"),
    "message of megabytes": (in_render("raise ValueError('x' * 5_000_000)"), "page 'products' raised ValueError: xxx"),
    "more lines than the journal takes": (
        before(APP, "import sys\nfor n in range(40_000):\n    print(n, file=sys.stderr)\nraise KeyError('drowned')\n"),
        "KeyError: 'drowned' (dashboard/app.py line 4)",
    ),
    "crash": (in_render("import faulthandler\nfaulthandler._sigsegv()"), "at dashboard/pages/products.py, line"),
    "page that fails from its second run on": (
        in_render("import dashboard\nif hasattr(dashboard, 'ran'):\n    raise KeyError('again')\ndashboard.ran = True"),
        "KeyError: 'again' (dashboard/pages/products.py",
    ),
    "not ready by its own words": (
        replaced("dashboard/readiness.py", "manifest is not None and script_error is None", "False"),
        "/readyz says that it is not ready",
    ),
    "lock without hashes": (
        lambda directory: (directory / "requirements/host.txt").write_text("streamlit==1.50\n"),
        "requirements/host.txt is no lock: line 1",
    ),
    "lock that is no text": (
        lambda directory: (directory / "requirements/host.txt").write_bytes(b"# \xff\n"),
        "requirements/host.txt is no lock",
    ),
    "pyproject that is no TOML": (before("pyproject.toml", "[project\n"), "pyproject.toml does not say which Python"),
    "symbolic link": (
        lambda directory: (directory / "dashboard/more.py").symlink_to("/etc/passwd"),
        "dashboard/more.py is a symbolic link",
    ),
    "fork bomb": (in_render("import os\nwhile True:\n    os.fork()"), "in page 'products'"),
}
