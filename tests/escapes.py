"""What a release tries, in the place of its server, to get out of its sandbox; prints what it could do."""

import ctypes
import json
import mmap
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

TRIES = {}


def attempt(function):
    TRIES[function.__name__] = function


def write(path):
    def action():
        pathlib.Path(path).write_text("escaped")

    action.__name__ = f"write {path}"
    attempt(action)


PLACES = """
    /opt/kpi/releases/escape/x /opt/kpi/x /etc/x /usr/x /var/lib/x /run/x /root/x /home/x /sys/kernel/x
    /proc/sys/kernel/hostname /dev/x
"""
for path in PLACES.split():
    write(path)


def needs(found):
    if not found:
        raise PermissionError


libc = ctypes.CDLL(None, use_errno=True)


def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


@attempt
def see_homes():
    needs(list(pathlib.Path("/home").iterdir()))


@attempt
def see_root():
    needs(list(pathlib.Path("/root").iterdir()))


@attempt
def read_secrets():
    pathlib.Path("/etc/kpi-ops/secrets.env").read_text()


@attempt
def read_shadow():
    pathlib.Path("/etc/shadow").read_text()


@attempt
def see_other_processes():
    processes = [path for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]
    needs([path for path in processes if path.stat().st_uid != os.getuid()])


@attempt
def signal_init():
    os.kill(1, 0)


@attempt
def become_root():
    os.setuid(0)


@attempt
def sudo():
    subprocess.run(["sudo", "-n", "true"], check=True, capture_output=True)


@attempt
def set_user_id_bit():
    path = pathlib.Path(os.environ["STATE_DIRECTORY"], "bit")
    path.touch()
    path.chmod(0o4755)
    needs(path.stat().st_mode & 0o4000)


@attempt
def user_namespace():
    must(libc.unshare(0x10000000))


@attempt
def mount_namespace():
    must(libc.unshare(0x00020000))


@attempt
def network_namespace():
    must(libc.unshare(0x40000000))


@attempt
def mount():
    must(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None))


@attempt
def raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@attempt
def netlink_socket():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)


@attempt
def packet_socket():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


@attempt
def low_port():
    socket.socket().bind(("127.0.0.1", 81))


@attempt
def write_and_execute():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


@attempt
def real_time():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


@attempt
def raise_own_limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))


@attempt
def set_the_clock():
    time.clock_settime(time.CLOCK_REALTIME, time.time())


@attempt
def host_name():
    socket.sethostname("escaped")


@attempt
def device():
    os.mknod("/tmp/null", 0o020666, os.makedev(1, 3))


@attempt
def trace():
    must(libc.ptrace(16, 1, 0, 0))


@attempt
def load_module():
    must(libc.syscall(175, 0, 0, b""))


done = []
for name, function in TRIES.items():
    try:
        function()
    except (OSError, PermissionError, FileNotFoundError, subprocess.SubprocessError, ValueError):
        continue
    done.append(name)
state = pathlib.Path(os.environ["STATE_DIRECTORY"], "may")
state.write_text("this")
print(json.dumps({"escaped": done, "tried": len(TRIES), "state": state.read_text()}), flush=True)
pathlib.Path("/tmp/of-the-release").write_text("private")
sys.exit(78)
