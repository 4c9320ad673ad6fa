"""Boot real hosts on this machine: Debian or Ubuntu with systemd and SSH, in namespaces, within about a second.

    python -m tests.host up NAME [--image IMAGE] [--suite SUITE] [--memory-mb N] [--cpus LIST] [--disk-mb N]
    python -m tests.host reboot|status|down NAME
    python -m tests.host cut NAME [--port 22]     drop its packets; `mend NAME` lets them through again
    python -m tests.host snapshot NAME IMAGE      what NAME has written becomes an image; `forget IMAGE` removes it
    python -m tests.host shell NAME [COMMAND]     as root, over SSH
    python -m tests.host list                     hosts and images
    python -m tests.host down-all [PREFIX]        every host whose name begins so
    python -m tests.host build [--suite SUITE]    the root of a distribution, once; `up` does it where it is missing

`up` prints one JSON document with the address, user, key and known_hosts of the host. Needs root; where something is
missing the exit status is 77 and the reason is said. No daemon and no image registry: the root is built from the
package sources of this machine, or from the file that KPI_HOST_SOURCES names. Roots are kept in KPI_HOST_CACHE (or
/var/cache/kpi-host), hosts and images in KPI_HOST_STATE (or /var/tmp/kpi-host). `down` leaves nothing behind.

What such a host is not: it has the machine's kernel (kernel.* sysctls are read-only, no swap, no clock, no modules)
and is no boundary against whoever attacks it.
"""

import argparse
import json
import os
import shlex
import sys
from dataclasses import asdict

from tests.host import life
from tests.host.commands import HostTrouble
from tests.host.distribution import build, own_suite
from tests.host.machine import Host
from tests.host.place import Place, why_not

CANNOT = 77  # as automake's tests say that they were left out
FAILED = 3


def main(argv):
    """Run one command; returns the exit status."""
    options = _parser().parse_args(argv)
    reason = why_not()
    if reason:
        print(reason, file=sys.stderr)
        return CANNOT
    try:
        return COMMANDS[options.command](Place.of(os.environ), options) or 0
    except HostTrouble as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m tests.host", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {name: commands.add_parser(name) for name in COMMANDS}
    for name in ("up", "reboot", "status", "down", "cut", "mend", "snapshot", "shell"):
        made[name].add_argument("name")
    for name in ("snapshot", "forget"):
        made[name].add_argument("image")
    for name in ("up", "build"):
        made[name].add_argument("--suite")
    made["up"].add_argument("--image")
    made["up"].add_argument("--memory-mb", type=int, default=1024)
    made["up"].add_argument("--cpus")
    made["up"].add_argument("--disk-mb", type=int)
    made["reboot"].add_argument("--hard", action="store_true")
    made["cut"].add_argument("--port", type=int)
    made["down-all"].add_argument("prefix", nargs="?", default="")
    made["shell"].add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def _up(place, options):
    asked = {key: getattr(options, key) for key in ("suite", "image", "memory_mb", "cpus", "disk_mb")}
    print(json.dumps(asdict(life.up(place, options.name, **asked))))


def _build(place, options):
    print(build(place, options.suite or own_suite()))


def _host(place, options):
    return Host(place, life.record_of(place, options.name))


def _status(place, options):
    said = _host(place, options).inside(["systemctl", "is-system-running"])
    print(said.out.strip() or said.err.strip())
    return said.status


def _shell(place, options):
    line = _host(place, options).ssh()
    os.execvp(line[0], [*line, shlex.join(["sudo", "-n", "--", *options.rest]) if options.rest else "sudo -n -i"])


def _snapshot(place, options):
    _host(place, options).snapshot(options.image)


def _down_all(place, options):
    for name in place.hosts():
        if name.startswith(options.prefix):
            life.down(place, name)


def _list(place, _options):
    for name in place.hosts():
        init = life.init_of(place, name)
        print(f"{name:12}{life.record_of(place, name).address:16}{'up' if init and init.alive else 'off'}")
    for image in place.images():
        print(f"{image:12}image")


COMMANDS = {
    "up": _up,
    "build": _build,
    "reboot": lambda place, options: _host(place, options).reboot(hard=options.hard),
    "status": _status,
    "shell": _shell,
    "cut": lambda place, options: _host(place, options).cut(options.port),
    "mend": lambda place, options: _host(place, options).mend(),
    "snapshot": _snapshot,
    "forget": lambda place, options: life.forget(place, options.image),
    "list": _list,
    "down": lambda place, options: life.down(place, options.name),
    "down-all": _down_all,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
