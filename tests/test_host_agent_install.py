"""The CloudWatch agent on a real host: installed if it is signed, configured once, and given the lines it reads."""

import json

import pytest

from etl.errors import HostError
from ops.host import agent
from ops.host.agent_config import CHECKS, COPIES, DASHBOARD, SYSTEM
from ops.settings import Settings
from tests.agent_package import Key, build, why_not
from tests.dashboard_on_host import eventually
from tests.part_of_host import brought

pytestmark = pytest.mark.timeout(600)

VENDOR = "/srv/vendor"
ADDRESS = "http://127.0.0.1:8099"
LINE = '{"event":"self_check","ok":true,"sessions":3}'
IN_A_RELEASE = "systemd-run --quiet --wait --property=SyslogIdentifier=kpi-dashboard echo"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    if reason := why_not():
        pytest.skip(reason)
    made = Key.made(tmp_path_factory.mktemp("key") / "home")
    yield made
    made.forget()


def wanted(key, **changed):
    """Settings that name the package on the host itself."""
    named = {
        "install": True,
        "url": f"{ADDRESS}/amazon-cloudwatch-agent.deb",
        "key_url": f"{ADDRESS}/key.gpg",
        "fingerprint": key.fingerprint,
    }
    return Settings(host={"agent": named | changed})


@pytest.fixture
def vendor(host, key, tmp_path):
    """A function that puts a package, signed, where the host fetches it."""
    host.run(f"mkdir -p {VENDOR}", check=True)
    serve = ("python3", "-m", "http.server", "8099", "--bind", "127.0.0.1", "--directory", VENDOR)
    host.run(["systemd-run", "--quiet", "--unit", "vendor", *serve], check=True)

    def offer(version):
        package = build(tmp_path, version)
        key.sign(package)
        for file in (package, package.with_name(f"{package.name}.sig")):
            host.put(f"{VENDOR}/{file.name}", file.read_bytes())
        host.put(f"{VENDOR}/key.gpg", key.public())

    return offer


def asked(host):
    """What the agent's control was asked, so far."""
    return host.run("cat /root/agent-ctl.asked 2>/dev/null").out.splitlines()


def test_a_signed_agent_is_installed_configured_once_and_reads_whole_lines(host, vendor, key):
    vendor("1.300071.0b1")
    brought(host, agent.resources, wanted(key))
    assert asked(host) == [f"-a fetch-config -m ec2 -c file:{agent.CONFIGURATION} -s"]
    taken = json.loads(host.get("/opt/aws/amazon-cloudwatch-agent/etc/taken.json"))
    assert "journald" in taken["logs"]["logs_collected"]
    assert host.run(f"systemctl show -P MemoryMax {agent.UNIT}").out == f"{150 * 2**20}\n"
    assert host.run("id -nG cwagent").out.split() == ["cwagent", "adm", "systemd-journal"]
    assert brought(host, agent.resources, wanted(key)) == []

    host.run(f"{IN_A_RELEASE} '{LINE}'; {IN_A_RELEASE} 'release r1 serves'; {IN_A_RELEASE} '{LINE}'", check=True)
    eventually(lambda: LINE.encode() in host.get(CHECKS.path))
    assert set(host.get(CHECKS.path).decode().splitlines()) == {LINE}
    assert host.run("runuser -u cwagent -- cat /var/log/kpi-ops/checks.log").status == 0
    assert host.run("runuser -u nobody -- cat /var/log/kpi-ops/checks.log").status != 0

    brought(host, agent.resources, wanted(key, log_days=7))
    assert len(asked(host)) == 2


def test_what_the_agent_says_against_its_configuration_is_told_and_it_is_asked_again(host, vendor, key):
    vendor("1.300071.0b1")
    host.run("touch /root/agent-ctl.refuses", check=True)
    with pytest.raises(HostError, match="Configuration validation second phase failed"):
        brought(host, agent.resources, wanted(key))
    host.run("rm /root/agent-ctl.refuses", check=True)
    assert any("configuration" in step for step in brought(host, agent.resources, wanted(key)))
    assert host.run(f"systemctl is-active {agent.UNIT}").out == "active\n"


def test_an_old_agent_gets_files_and_a_new_one_none_but_the_numbers(host, vendor, key):
    vendor("1.300060.0b7")
    pinned = wanted(key)
    brought(host, agent.resources, pinned)
    brought(host, agent.resources, pinned)  # only now is it known that the latest one there is an old one
    assert brought(host, agent.resources, pinned) == []
    active = [host.run(f"systemctl is-active {copy.unit}").out for copy in COPIES]
    assert active == ["active\n"] * 3
    host.run(f"{IN_A_RELEASE} first; {IN_A_RELEASE} 'release r1 serves'; logger -p daemon.warning strange", check=True)
    eventually(lambda: b"release r1 serves" in host.get(DASHBOARD.path) and b"strange" in host.get(SYSTEM.path))
    assert b"release r1 serves" not in host.get(SYSTEM.path)


def test_a_package_that_was_altered_is_not_installed_and_nothing_after_it_is_done(host, vendor, key):
    vendor("1.300071.0b1")
    host.run(f"echo x >> {VENDOR}/amazon-cloudwatch-agent.deb", check=True)
    with pytest.raises(HostError, match=r"amazon-cloudwatch-agent\.deb is not what was signed"):
        brought(host, agent.resources, wanted(key))
    assert host.run(f"dpkg-query -W {agent.PACKAGE}").status != 0
    assert host.run(f"test -e {agent.CONFIGURATION}").status != 0
