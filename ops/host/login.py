"""How one logs in to the host: with a key only, and never so that nobody can any more. Pure."""

import shlex
from pathlib import PurePosixPath
from typing import Final

from ops.host.facts import Facts
from ops.host.plan import DOOR
from ops.host.resources import CANDIDATE, Door, File
from ops.render import render

DROP_IN: Final = PurePosixPath("/etc/ssh/sshd_config.d/10-kpi-ops.conf")
SSHD: Final = "/usr/sbin/sshd"
RELOAD: Final = ("systemctl", "try-reload-or-restart", "ssh.service")
BEFORE: Final = PurePosixPath("/run/kpi-ops/login-before")  # empty: there was no drop-in
UNDO: Final = PurePosixPath("/run/kpi-ops/login-undo.sh")
UNDO_UNIT: Final = "kpi-login-undo"
UNDO_AFTER_S: Final = 60
# sshd -T says what counts in the end, whatever other files say; Match blocks are asked for this login.
EFFECTIVE: Final = """
/usr/sbin/sshd -t || exit
/usr/sbin/sshd -T -C user="$1",host=localhost,addr=127.0.0.1 | grep -qx 'passwordauthentication no' || {
  echo "sshd asks for passwords still: put 'Include /etc/ssh/sshd_config.d/*.conf' at the top of /etc/ssh/sshd_config"
  exit 1
}
"""


def door(facts: Facts) -> Door:
    """The drop-in of sshd for a host that is logged in to as these facts were."""
    file = File(
        str(DROP_IN),
        render("host-sshd.conf.j2", root_logs_in=facts.login == "root"),
        check=(SSHD, "-t", "-f", CANDIDATE),
    )
    return Door(file, proof=("/bin/sh", "-c", EFFECTIVE, "sh", facts.login), reload=RELOAD)


def undo(door: Door) -> str:
    """The shell script that puts back what was there before."""
    return render(
        "host-undo-door.sh.j2",
        before=BEFORE,
        path=shlex.quote(door.file.path),
        reload=shlex.join(door.reload),
        due=f"/run/kpi-ops/after/{DOOR}",
    )
