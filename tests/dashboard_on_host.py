"""The dashboard on a host as `fab bootstrap` and `fab deploy` leave it, made by hand: for tests of the server alone."""

import json
import shutil
import time
from pathlib import Path

from ops.host.units import units
from ops.onhost import layout
from ops.settings import Settings
from tests.deployed import DATA
from tests.releases import in_render
from tests.visitor import ask

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("dashboard", "etl", "ops")
FILES = ("settings.toml", "pyproject.toml")
ENVIRONMENT = layout.ENVIRONMENTS / "test"
# Of one line each, put first into a page: what a visitor can be told from another by.
COUNTING = """
    import streamlit as _st
    _st.session_state["n"] = _st.session_state.get("n", 0) + 1
    _st.text(f"run {_st.session_state['n']}")
    _st.download_button("file", b"RELEASE" * 100_000, file_name="file.bin")
    _st.file_uploader("upload")
"""


def prepare(host):
    """Make a host that was deployed to one with nothing but what releases need: the test puts its own there."""
    host.run(f"systemctl stop 'kpi-dashboard@*' {layout.SOCKET_UNIT} && rm -r {layout.CURRENT}", check=True)
    host.run(f"rm -r {layout.RELEASES}/* {layout.RECORD}/*", check=True)
    host.run(f"cd {layout.ENVIRONMENTS} && ln -s *-py* {ENVIRONMENT.name}", check=True)


class Dashboard:
    """The units, and releases that are put on a host and started."""

    def __init__(self, host, **settings):
        """`settings`: of [host], in place of the defaults."""
        self.host = host
        self.place_units(**settings)
        host.run("systemctl enable -q kpi-dashboard.socket kpi-dashboard.service", check=True)
        host.run("systemctl start kpi-dashboard.socket", check=True)

    def place_units(self, **settings):
        """Settings of [host] that the units and the releases go by."""
        for name, text in units(Settings(host=settings)).items():
            self.host.put(layout.UNITS / name, text)
        variables = {"KPI_DASHBOARD__STORE": DATA, "KPI_HOST__GATE__TIMEOUT_S": "15"}
        if "drain_minutes" in settings:
            variables["KPI_HOST__DRAIN_MINUTES"] = str(settings["drain_minutes"])
        lines = [f"{name}={value}\n" for name, value in variables.items()]
        self.host.put(layout.DASHBOARD_ENVIRONMENT, "".join(lines))
        self.host.run("systemctl daemon-reload", check=True)

    def release(self, name, tmp_path, change=None, environment=ENVIRONMENT):
        """Put this checkout there as a release; `change` is given the directory before."""
        made = tmp_path / name
        for part in PARTS:
            shutil.copytree(ROOT / part, made / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in FILES:
            shutil.copy(ROOT / file, made / file)
        if change:
            change(made)
        self.host.upload(made, layout.RELEASES / name)
        self.host.run(["ln", "-s", f"../../environments/{environment.name}", layout.RELEASES / name / "environment"])
        self.host.run(["chmod", "-R", "a+rX", layout.RELEASES / name])

    def start(self, name):
        """Start a release; how systemctl ended."""
        return self.host.run(["systemctl", "start", layout.unit(name)], timeout_s=180)

    def make_current(self, name):
        """From now on it is the one that serves."""
        self.host.run(f"ln -sfn releases/{name} {layout.CURRENT}.new && mv -T {layout.CURRENT}.new {layout.CURRENT}")

    def serve(self, name):
        """Start it, and make it the current one."""
        started = self.start(name)
        assert started.status == 0, started.err + self.journal(name)
        self.make_current(name)

    def leave(self, name):
        """Tell one to go; it may take its time."""
        self.host.run(["systemctl", "stop", "--no-block", layout.unit(name)], check=True)

    def forget(self, name):
        """Stop one that was refused."""
        self.host.run(f"systemctl stop {layout.unit(name)}; systemctl reset-failed {layout.unit(name)}")

    def shown(self, name, *properties):
        """Properties of a release's unit."""
        done = self.host.run(
            ["systemctl", "show", layout.unit(name), *(f"-p{name}" for name in properties)], check=True
        )
        return dict(line.partition("=")[::2] for line in done.out.splitlines())

    def journal(self, name):
        """What a release, and systemd about it, said."""
        return self.host.run(["journalctl", "-o", "cat", "--no-pager", "-u", layout.unit(name)], check=True).out

    def state(self, name):
        """GET /state, None where nobody answers."""
        socket = layout.RUN / name / "http.sock"
        done = self.host.run(["curl", "-sf", "-m", "10", "--unix-socket", socket, "http://localhost/state"])
        return json.loads(done.out) if done.status == 0 else None

    def ask(self, method, path):
        """One request to the public port: (status, release, body)."""
        return ask((self.host.address, 8501), method, path)


def eventually(holds, within_s=60):
    """Wait until something holds; returns what it gave."""
    for _ in range(int(within_s / 0.2)):
        if found := holds():
            return found
        time.sleep(0.2)
    raise AssertionError(f"it did not come to hold within {within_s} s")


def counting(name):
    """A change: a page that counts its runs, offers a file with the release's name, and takes files."""
    return in_render(COUNTING.replace("RELEASE", name))
