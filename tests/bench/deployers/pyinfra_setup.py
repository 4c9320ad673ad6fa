"""A blank host made ready: packages, user, directories, unit."""

from pyinfra.operations import apt, files, server, systemd

apt.packages(name="packages", packages=["python3-venv"], update=True, no_recommends=True, _sudo=True)
server.user(name="user", user="dashboard", system=True, home="/opt/dashboard", shell="/usr/sbin/nologin", _sudo=True)
files.directory(name="directory", path="/opt/dashboard/app", mode="755", _sudo=True)
files.put(name="unit", src="dashboard.service", dest="/etc/systemd/system/dashboard.service", mode="644", _sudo=True)
systemd.service(name="enabled", service="dashboard", running=None, enabled=True, daemon_reload=True, _sudo=True)
