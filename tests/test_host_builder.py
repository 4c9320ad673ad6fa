"""The hosts that other tests are run on: are they what they pretend to be, and is nothing left of them?"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.host import life, network
from tests.host.cgroups import V1, V2, Limits, cgroups
from tests.host.commands import HostTrouble, run
from tests.host.place import Place
from tests.host.process import Process

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("suite", [None, *os.environ.get("KPI_HOST_SUITES", "").split()])
def test_a_host_is_a_machine_of_its_own_with_everything_started(make_host, suite):
    host = make_host(suite=suite)
    assert host.run("systemctl is-system-running --wait").out == "running\n"
    assert host.run("hostname").out.strip() == host.name
    assert host.run(["id", "-u"]).out == "0\n"
    assert host.run(["printf", "%s", "a  b $HOME"]).out == "a  b $HOME"
    assert host.run("cat; exit 3", b"given") == (3, "given", "")
    assert host.run("cat /proc/1/comm").out == host.inside("cat /proc/1/comm").out == "systemd\n"


def test_limits_of_memory_and_disk_are_the_hosts_own(make_host):
    host = make_host(memory_mb=256, disk_mb=96)
    wide = host.run(["python3", "-c", "print(len(bytearray(600 << 20)))"])
    assert (wide.status != 0, wide.out) == (True, "")  # the kernel ends it, or what it hangs on
    filled = host.run("dd if=/dev/zero of=/root/much bs=1M count=200")
    assert "No space left on device" in filled.err
    assert host.run("nproc").out == "1\n"


def test_what_a_host_has_written_is_there_after_a_reboot_and_after_a_fallen_plug(host):
    host.put("/root/note", b"kept\x00", 0o600)
    before = host.run("cat /proc/sys/kernel/random/boot_id").out
    host.reboot()
    host.run("echo more >> /root/note; sync")
    host.reboot(hard=True)
    assert host.get("/root/note") == b"kept\x00more\n"
    assert host.run("stat -c %a /root/note").out == "600\n"
    assert host.run("cat /proc/sys/kernel/random/boot_id").out != before


def test_hosts_from_an_image_have_what_it_had_and_are_others_each(make_image, make_host):
    def prepare(host):
        host.run("echo prepared > /etc/prepared && rm /etc/motd", check=True)

    image = make_image("prepared for a test of images", prepare)
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: make_host(image=image), range(2))
    assert first.get("/etc/prepared") == second.get("/etc/prepared") == b"prepared\n"
    assert first.run("ls /etc/motd").status
    first.run("echo changed > /etc/prepared", check=True)
    assert second.get("/etc/prepared") == b"prepared\n"
    alike = ["cat /etc/machine-id", "hostname", "cat /etc/ssh/ssh_host_ed25519_key.pub", "hostname -I"]
    assert [command for command in alike if first.run(command).out == second.run(command).out] == []
    with pytest.raises(HostTrouble, match=f"{image} is below"):
        life.forget(first.place, image)


def test_a_cut_drops_the_packets_of_one_port_or_of_all(host):
    host.run(
        "nohup python3 -m http.server 8501 -d /etc/ssh >/dev/null 2>&1 & until ss -tln | grep -q :8501; do :; done"
    )

    def answers():
        told = ["curl", "-s", "-m", "2", "-o", "/dev/null", f"http://{host.address}:8501/"]
        return subprocess.run(told, check=False, env={"PATH": os.environ["PATH"]}).returncode == 0

    host.cut(22)
    with pytest.raises(HostTrouble, match="no end within"):
        host.run("true", timeout_s=1)
    assert answers()
    assert host.inside("hostname").out.strip() == host.name
    host.cut()
    assert not answers()
    host.mend()
    assert answers()
    assert host.run("true").status == 0


@pytest.mark.usefixtures("host_root")
def test_of_a_host_whose_test_process_was_killed_nothing_is_left(host_place):
    program = """
import os, sys, signal
from tests.host import life
from tests.host.place import Place
life.up(Place.of(os.environ), sys.argv[1], owned=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    name = f"k{os.getpid()}"
    subprocess.run([sys.executable, "-c", program, name], cwd=ROOT, check=False)
    init = life.init_of(host_place, name)
    assert init.alive
    assert name in life.sweep(host_place)
    assert not init.alive
    assert not host_place.host(name).exists()
    assert network.link(name) not in run("ip", "-o", "link") + run("ip", "netns", "list")
    assert network.table(name) not in run("nft", "list", "tables")
    assert f"/{name}" not in Path("/proc/self/mountinfo").read_text()
    assert [group for group in cgroups().groups(name) if group.exists()] == []


@pytest.mark.usefixtures("host_root")
def test_a_host_is_taken_down_again_where_it_does_not_come_up(host_place):
    with pytest.raises(HostTrouble, match=r"cpuset\.cpus cannot be 9999"):
        life.up(host_place, f"n{os.getpid()}", cpus="9999")
    assert f"n{os.getpid()}" not in host_place.hosts()


def test_a_host_is_not_taken_down_from_another_place(host, tmp_path):
    elsewhere = Place(host.place.cache, tmp_path)
    with pytest.raises(HostTrouble, match="KPI_HOST_STATE names another place"):
        life.down(elsewhere, host.name)
    with pytest.raises(HostTrouble, match="KPI_HOST_STATE names another place"):
        life.up(elsewhere, host.name)
    assert host.run("true").status == 0


def test_names_that_could_be_something_else_are_refused(tmp_path):
    place = Place(tmp_path, tmp_path)
    for name in ("", "..", "a/b", "Upper", "much-too-long", "-x"):
        with pytest.raises(HostTrouble, match="no name of a host"):
            place.host(name)


def test_without_root_the_builder_says_that_it_needs_root():
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    python = [sys.executable, "-m", "tests.host", "up", "x"]
    source = "import sys, runpy; sys.argv[1:] = ['up', 'x']; runpy.run_module('tests.host', run_name='__main__')"
    done = subprocess.run([*nobody, *python[:1], "-c", source], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (
        77,
        "hosts are booted in namespaces of their own, which needs root",
    )


def test_the_hosts_of_a_machine_with_separate_hierarchies_are_given_each_of_them():
    text = """\
29 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
30 29 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw
31 29 0:28 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
32 29 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 29 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
"""
    found = cgroups(text)
    assert isinstance(found, V1)
    assert found.mounts == "systemd=none,name=systemd cpu,cpuacct=cpu,cpuacct memory=memory"
    assert [str(group) for group in found.groups("a")][-1] == "/sys/fs/cgroup/unified/kpi-host-a"
    assert isinstance(cgroups("30 23 0:27 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"), V2)


@pytest.mark.parametrize("container", [True, False])
def test_in_one_tree_controllers_are_handed_on_by_a_group_without_processes(tmp_path, container):
    """The tree is a stand-in: plain files, of which each write replaces the last one."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids")
    (tmp_path / "cgroup.subtree_control").write_text("")
    (tmp_path / "cgroup.procs").write_text("1\n")
    if container:
        (tmp_path / "cgroup.type").write_text("domain\n")
    tree = V2(tmp_path)
    tree.make("a", Limits(1024, "0"))
    expected = "+cpuset +cpu +io +memory +pids"
    assert (tmp_path / "cgroup.subtree_control").read_text() == expected
    assert (tmp_path / "kpi-host/cgroup.subtree_control").read_text() == expected
    tree.join("a", 7)
    assert (tmp_path / "kpi-host/a/cgroup.procs").read_text() == "7"
    assert (tmp_path / "kpi-host-machine/cgroup.procs").exists() == container


def test_a_process_is_not_taken_for_another_one_with_its_number():
    me = Process.of(os.getpid())
    assert me.alive
    assert not Process(me.pid, "1").alive
