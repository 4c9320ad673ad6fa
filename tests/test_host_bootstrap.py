"""Bootstrap on real hosts: blank to ready, nothing the second time, and whole again after whatever came between."""

import contextlib
import dataclasses
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from etl.errors import ExitCode, HostError, HostUnreachable
from ops.host import bootstrap, login
from ops.host.bootstrap import NewLogin
from ops.host.ssh import connected
from ops.host.where import Address
from ops.settings import Settings

SETTINGS = Settings(host={"environment": {"AWS_REGION": "eu-west-1"}})
ENOUGH = 8  # interruptions
MANAGED = "/etc /opt /usr/local /var/lib"
LISTED = f"find {MANAGED} -xdev -printf '%p %m %u:%g %T@ %C@ %s %l\\n' | sort"
HASHED = f"find {MANAGED} -xdev -type f -exec sha256sum {{}} + | sort -k 2"
DROP_IN = str(login.DROP_IN)
ASKED = {  # of a host that is ready, and what it answers
    "getent passwd kpi-dashboard": ":/nonexistent:/usr/sbin/nologin\n",
    "stat -c '%a %U' /opt/kpi/releases /etc/kpi-ops/secrets.env": "755 root\n600 root\n",
    "systemctl is-enabled kpi-dashboard.socket kpi-dashboard.service": "enabled\nenabled\n",
    "systemd-analyze cat-config systemd/journald.conf": "SystemMaxUse=200M\n",
    "apt-config dump Unattended-Upgrade::Automatic-Reboot-Time": '"04:30"',
    "apt-config dump APT::Periodic::Unattended-Upgrade": '"1"',
    "cat /etc/kpi-ops/dashboard.env": '\nAWS_REGION="eu-west-1"\n',
    "kpi-host status": '"current"',
}
FAKE_RELEASE = """#!/usr/bin/python3
import os, signal, socket, sys
public = socket.socket(fileno=3)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.sigwait({signal.SIGTERM})
"""
OTHER_INSTALLATION = """
import fcntl, pathlib, time
with open("/var/lib/dpkg/lock-frontend", "a") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    pathlib.Path("/root/took").touch()
    time.sleep(5)
"""


@pytest.fixture(scope="module")
def first():
    """What was seen while the host of the image was bootstrapped."""
    return {}


@pytest.fixture(scope="module")
def ready_image(make_image, host_root, first):  # noqa: ARG001 - the root is built before a host is booted
    """An image of a host that was bootstrapped."""

    def prepare(host):
        first["ran"] = run(host)
        first["seen"] = {question: host.run(question).out for question in ASKED}
        first["before"] = everything(host)
        first["again"], first["planned"] = run(host), run(host, only_plan=True)
        first["after"] = everything(host)

    return make_image("bootstrapped", prepare)


@pytest.fixture
def ready(make_host, ready_image):
    return make_host(image=ready_image)


@dataclasses.dataclass
class Ran:
    """What came of a run: its status, the lines told, the plan shown."""

    status: ExitCode
    told: list
    shown: list


@contextlib.contextmanager
def connect(host):
    """As soon as sshd, which may be reading its files anew, listens."""
    address = Address(host.address, host.user, keys=(Path(host.key),), known_hosts=(Path(host.known_hosts),))
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            with contextlib.suppress(HostUnreachable):
                remote = stack.enter_context(connected(address))
                break
            time.sleep(0.1)
        yield remote


def way(host, new_login=None):
    return NewLogin(new_login or (lambda: connect(host)), time.monotonic, time.sleep)


def as_it_is(remote):
    return remote


def run(host, settings=SETTINGS, *, only_plan=False, new_login=None, through=as_it_is):
    told, shown = [], []
    with connect(host) as remote:
        status = bootstrap.bootstrap(
            through(remote),
            settings,
            way=way(host, new_login),
            who="tester@here",
            tell=told.append,
            show=shown.append,
            only_plan=only_plan,
        )
    return Ran(status, told, shown)


def assert_good(ran):
    assert ran.status == ExitCode.GOOD
    assert ran.told[-1].endswith("the host is as it should be")


def everything(host):
    return host.run(LISTED, check=True).out, host.run(HASHED, check=True).out


def managed(host):
    """The managed files by their hashes, without what a host does by itself."""
    kept = f"find {MANAGED} -xdev -type f \\( -path '*kpi*' -o -path '*/10-kpi-ops.conf' \\) -exec sha256sum {{}} +"
    return host.run(f"{kept} | sort -k 2", check=True).out


# --- the first time and the second


@pytest.mark.usefixtures("ready_image")
def test_a_blank_host_is_ready_after_one_run(first):
    assert_good(first["ran"])
    for question, answer in ASKED.items():
        assert answer in first["seen"][question]


@pytest.mark.usefixtures("ready_image")
def test_the_second_run_changes_nothing_and_says_so(first):
    again, planned = first["again"], first["planned"]
    assert (again.status, planned.status) == (ExitCode.GOOD, ExitCode.GOOD)
    assert again.told == []
    assert again.shown[0].splitlines()[-1] == "nothing to do: the host is as it should be"
    assert first["after"] == first["before"]


def test_nobody_logs_in_with_a_password_or_as_root_and_who_has_the_key_still_does(ready):
    effective = ready.run("sshd -T").out.splitlines()
    assert {"passwordauthentication no", "permitrootlogin no", "x11forwarding no", "allowtcpforwarding local"} <= {
        *effective
    }
    with connect(ready) as remote:
        assert remote.run(["id", "-u"]).out.strip() == "0"


def test_the_public_port_is_opened_once_there_is_a_release(ready):
    ready.run("systemctl stop kpi-dashboard.socket")
    ran = run(ready)
    assert ran.told == []
    assert "note: no release yet: the public port opens with the first `fab deploy`" in ran.shown[0]
    ready.run("mkdir /opt/kpi/releases/r1 && ln -s releases/r1 /opt/kpi/current", check=True)
    assert any("start kpi-dashboard.socket" in line for line in run(ready).told)
    assert ready.run("systemctl is-active kpi-dashboard.socket").out == "active\n"


# --- what came between


def test_what_somebody_changed_on_the_host_is_shown_and_put_right(ready):
    before = managed(ready)
    ready.run("echo 'MemoryMax=9G # mine' >> /etc/systemd/system/kpi-dashboard@.service && systemctl daemon-reload")
    ready.run("rm /usr/local/lib/kpi-ops/ops/onhost/layout.py && chmod 666 /etc/kpi-ops/secrets.env")
    ready.run("echo KEY=canary > /etc/kpi-ops/secrets.env && touch /usr/local/lib/kpi-ops/ops/onhost/stray.py")
    listed = everything(ready)
    planned = run(ready, only_plan=True)
    assert planned.status == ExitCode.CHANGES_PENDING
    (text,) = planned.shown
    for said in (
        "-MemoryMax=9G # mine",
        "remove /usr/local/lib/kpi-ops/ops/onhost/stray.py",
        "-0666 root:root",
        "4 changes to make",
    ):
        assert said in text
    assert "canary" not in text
    assert everything(ready) == listed
    assert_good(run(ready))
    ready.run("test $(cat /etc/kpi-ops/secrets.env) = KEY=canary && : > /etc/kpi-ops/secrets.env", check=True)
    assert managed(ready) == before
    assert ready.run("systemctl show -p NeedDaemonReload kpi-dashboard.socket").out == "NeedDaemonReload=no\n"


class Ended(Exception):
    """Our side is gone."""


class EndsAfter:
    """A connection that ends with the first step that is reported, or ends the host's program with it."""

    def __init__(self, remote, end):
        self.remote, self.end = remote, end

    def run(self, argv, *, on_line=None, **options):
        def line(text):
            on_line(text)
            self.end()

        return self.remote.run(argv, on_line=line if on_line else None, **options)


def gone():
    raise Ended


@pytest.mark.parametrize("who", ["our side", "the host's program"])
def test_a_run_that_is_ended_after_each_of_its_steps_is_whole_in_the_end(make_host, ready_image, ready, who):
    wanted = managed(ready)
    host = make_host(image=ready_image)
    host.run(
        "systemctl disable --now kpi-dashboard.socket; rm -r /usr/local/lib/kpi-ops /opt/kpi /etc/kpi-ops", check=True
    )
    host.run(
        f"rm /etc/systemd/system/kpi-* /etc/systemd/journald.conf.d/60* {DROP_IN}; systemctl daemon-reload", check=True
    )

    # The kill from outside arrives some steps late, and how many is the machine's to say: fewer ends are left for it.
    end, ends = {
        "our side": (gone, 5),
        "the host's program": (lambda: host.inside("pkill -9 -f '^python3 -I -'"), 2),
    }[who]
    lost = []
    for _ in range(40):
        through = partial(EndsAfter, end=end) if len(lost) < ENOUGH else as_it_is
        try:
            ran = run(host, through=through)
        except (Ended, HostError) as error:
            lost.append(error)
            continue
        if ran.status == ExitCode.GOOD and not ran.told:
            break
    else:
        pytest.fail(f"it never got there: {lost}")
    assert len(lost) >= ends
    assert managed(host) == wanted
    assert host.run("systemctl show -p NeedDaemonReload kpi-dashboard.socket").out == "NeedDaemonReload=no\n"
    assert host.run("ls /run/kpi-ops/after").out == ""


def test_nothing_is_changed_while_somebody_deploys_and_one_is_told_who(ready):
    ready.run("rm /etc/kpi-ops/dashboard.env")
    with connect(ready) as other:
        who = ["--who", "ada@desk", "--commit", "ab12cd3"]
        _, held = other.hold(["/usr/local/sbin/kpi-host", "hold", *who])
        ran = run(ready)
        assert ran.status == ExitCode.LOCKED
        assert "locked by ada@desk since 20" in ran.told[-1]
        assert ready.run("test -e /etc/kpi-ops/dashboard.env").status == 1
        held.release()
    assert_good(run(ready))


def test_another_installation_is_waited_for_and_named(ready):
    ready.run("dpkg --purge --force-depends python3-venv", check=True)
    ready.put("/root/other.py", OTHER_INSTALLATION)
    other = threading.Thread(target=ready.run, args=("python3 /root/other.py",))
    other.start()
    ready.run("until test -e /root/took; do sleep .1; done", check=True)
    ran = run(ready)
    other.join()
    assert_good(ran)
    assert [line for line in ran.told if "wait" in line and "which holds /var/lib/dpkg/lock-frontend" in line]


# --- the login


def test_a_login_that_cannot_be_proven_is_put_back_at_once(ready):
    ready.run(f"echo '# before' > {DROP_IN}", check=True)

    def shut():
        raise HostError("the door is shut", expected="an open one", to_do="knock")

    with pytest.raises(HostError, match="a new login failed: the door is shut"):
        run(ready, new_login=shut)
    assert ready.run(["cat", DROP_IN]).out == "# before\n"
    assert "x11forwarding yes" in ready.run("sshd -T").out
    assert_good(run(ready))


def test_the_host_itself_puts_the_login_back_where_nobody_says_that_it_works(ready):
    ready.run(f"rm {DROP_IN}", check=True)
    with pytest.raises(Ended):
        run(ready, new_login=gone)
    assert ready.run(f"test -e {DROP_IN}").status == 0
    assert ready.run("systemctl is-active kpi-login-undo.timer").out == "active\n"
    ready.run("systemctl start kpi-login-undo.service")
    assert ready.run(f"test -e {DROP_IN}").status == 1
    assert_good(run(ready))


def test_an_sshd_that_does_not_read_our_file_is_found_out(ready):
    ready.run(f"sed -i '/^Include/d' /etc/ssh/sshd_config && rm {DROP_IN}", check=True)
    ready.run("echo 'PasswordAuthentication yes' >> /etc/ssh/sshd_config", check=True)
    with pytest.raises(HostError, match="sshd asks for passwords still: put 'Include"):
        run(ready)
    assert ready.run(f"test -e {DROP_IN}").status == 1
    assert ready.run("systemctl is-active kpi-login-undo.timer").out == "inactive\n"


# --- the port


def test_a_new_port_is_opened_with_the_release_behind_it_and_the_old_one_is_closed(ready):
    ready.run("mkdir -p /opt/kpi/releases/r1/environment/bin && ln -s releases/r1 /opt/kpi/current", check=True)
    ready.put("/opt/kpi/releases/r1/environment/bin/python", FAKE_RELEASE, mode=0o755)
    run(ready)
    ready.run("systemctl start kpi-dashboard@r1.service", check=True)
    ran = run(ready, Settings(dashboard={"port": 8600}, host=SETTINGS.host.model_dump()))
    assert_good(ran)
    assert any("open the public port anew" in line for line in ran.told)
    ready.run("until systemctl is-active -q kpi-dashboard@r1.service; do sleep .1; done", check=True, timeout_s=20)
    listening = ready.run("ss -Hltn 'sport = :8501 or sport = :8600'").out
    assert ":8600 " in listening
    assert ":8501 " not in listening


# --- hosts that cannot be ours


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("mv /usr/bin/python3 /usr/bin/python", "the host cannot be looked at: .*python3"),
        ("sed -i 's/^VERSION_ID=.*/VERSION_ID=11/' /etc/os-release", "this host cannot be set up:\n +it runs"),
        (
            "systemd-run -q python3 -m http.server 8501; until ss -Hltn | grep -q :8501; do sleep .1; done",
            "port 8501 is held by python3 .pid ",
        ),
    ],
)
def test_a_host_that_cannot_be_ours_is_told_so_and_left_as_it_is(host, spoil, said):
    host.run(spoil, check=True)
    before = everything(host)
    with pytest.raises(HostError, match=said):
        run(host)
    assert everything(host) == before
