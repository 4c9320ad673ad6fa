"""The dashboard's units as systemd reads them: sound, tight, and of what the settings say."""

import re
import shutil
import subprocess

import pytest

from etl.errors import SettingsError
from ops.host.units import units
from ops.onhost import layout
from ops.settings import Settings

MOST_EXPOSED = 1.2  # of 10, as `systemd-analyze security` counts: S3 has to be reached
RELEASE = "kpi-dashboard@.service"


@pytest.fixture
def systemd_analyze():
    found = shutil.which("systemd-analyze")
    if not found:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return found


@pytest.fixture
def placed(tmp_path):
    """The units of a release r1 whose Python exists, in a directory."""
    home = tmp_path / "opt"
    python = home / "releases" / "r1" / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    for name, text in units(Settings()).items():
        (tmp_path / name.replace("@.", "@r1.")).write_text(text.replace(str(layout.HOME), str(home)))
    return tmp_path


def said(*command):
    return subprocess.run(command, check=False, capture_output=True, text=True)


def rendered(name=RELEASE, **settings):
    return units(Settings(**settings))[name]


def value(text, key):
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def test_systemd_takes_every_unit_without_a_word(systemd_analyze, placed):
    done = said(systemd_analyze, "verify", *sorted(placed.glob("kpi-dashboard*")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_what_is_wrong_in_one(systemd_analyze, placed):
    service = placed / "kpi-dashboard@r1.service"
    service.write_text(service.read_text().replace("ProtectClock=yes", "ProtectClocks=yes"))
    assert "ProtectClocks" in said(systemd_analyze, "verify", service).stderr


def test_a_release_may_do_little_beside_answering_and_reading_its_store(systemd_analyze, placed):
    service = placed / "kpi-dashboard@r1.service"
    done = said(systemd_analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", service)
    assert done.returncode == 0, done.stdout[-2000:]
    assert float(re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)[1]) <= MOST_EXPOSED


def test_everybody_reaches_the_port_by_both_families_unless_a_domain_has_a_front_on_this_machine():
    socket = rendered("kpi-dashboard.socket", dashboard={"port": 8600})
    assert (value(socket, "ListenStream"), value(socket, "BindIPv6Only")) == (["8600"], ["both"])
    fronted = rendered("kpi-dashboard.socket", host={"domain": "kpi.example.org"})
    assert value(fronted, "ListenStream") == ["127.0.0.1:8501"]


def test_any_free_port_is_none_that_can_be_kept():
    with pytest.raises(SettingsError, match="port = 0"):
        units(Settings(dashboard={"port": 0}))


def test_limits_are_those_of_the_settings_and_0_is_none():
    text = rendered(host={"memory_high_mb": 300, "memory_max_mb": 0, "watchdog_s": 60, "drain_minutes": 2})
    assert (value(text, "MemoryHigh"), value(text, "MemoryMax")) == (["300M"], ["infinity"])
    assert (value(text, "WatchdogSec"), value(text, "TimeoutStopSec")) == (["60"], ["150"])


def test_nothing_that_starts_often_can_close_the_port():
    texts = units(Settings())
    assert all(value(text, "StartLimitIntervalSec") == ["0"] for name, text in texts.items() if name.endswith("ice"))
    assert value(texts["kpi-dashboard.socket"], "TriggerLimitIntervalSec") == ["0"]
    assert value(texts[RELEASE], "NonBlocking") == ["yes"]


def test_what_a_person_wrote_on_the_host_wins_over_what_was_deployed():
    files = value(rendered(), "EnvironmentFile")
    assert files == [f"-{layout.DASHBOARD_ENVIRONMENT}", f"-{layout.SECRETS}"]


def test_a_release_that_gives_up_is_told_of_in_one_line_of_json():
    assert value(rendered(), "OnFailure") == ["kpi-dashboard-failed@%i.service"]
    told = rendered("kpi-dashboard-failed@.service")
    assert '"event":"failed","release":"%i"' in told
