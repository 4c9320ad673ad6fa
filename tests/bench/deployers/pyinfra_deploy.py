"""The archive of a commit, the environment of its lock, a restart where one of them has changed."""

from pyinfra import host
from pyinfra.operations import files, server, systemd

HOME = "/opt/dashboard"

archive = files.put(name="archive", src=host.data.get("archive"), dest=f"{HOME}/app.tar.gz", mode="644", _sudo=True)
code = server.shell(
    name="code", commands=[f"tar -xzf {HOME}/app.tar.gz -C {HOME}/app"], _sudo=True, _if=archive.did_change
)
lock = files.put(name="lock", src=host.data.get("lock"), dest=f"{HOME}/requirements.txt", mode="644", _sudo=True)
environment = server.shell(
    name="environment",
    commands=[
        f"test -d {HOME}/venv || python3 -m venv {HOME}/venv",
        f"{HOME}/venv/bin/pip install --require-hashes --only-binary :all: -r {HOME}/requirements.txt",
    ],
    _sudo=True,
    _if=lock.did_change,
)
systemd.service(name="started", service="dashboard", running=True, _sudo=True)
systemd.service(
    name="restart",
    service="dashboard",
    restarted=True,
    _sudo=True,
    _if=lambda: archive.did_change() or environment.did_change(),
)
