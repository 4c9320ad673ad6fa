"""The scheduled check as a systemd timer: systemd itself takes the units, and finds little that they may do."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.uptime.storage.units import units

MOST_EXPOSED = 1.5  # of 10, as `systemd-analyze security` counts: what must reach the network cannot come near 0


@pytest.fixture
def systemd_analyze():
    found = shutil.which("systemd-analyze")
    if not found:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return found


@pytest.fixture
def made(tmp_path):
    python = Path(sys.executable).resolve()
    texts = units(python=python, project=tmp_path / "kpi-ops", environment=tmp_path / "uptime.env")
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def said(*command):
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_systemd_takes_both_units_without_a_word(systemd_analyze, made):
    done = said(systemd_analyze, "verify", *sorted(made.glob("kpi-ops-uptime.*")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_what_is_wrong_in_a_unit(systemd_analyze, made):
    service = made / "kpi-ops-uptime.service"
    service.write_text(service.read_text().replace("ProtectClock=yes", "ProtectClocks=yes"))
    assert "ProtectClocks" in said(systemd_analyze, "verify", service).stderr


def test_the_service_may_do_little_beside_asking_and_writing_its_own_directory(systemd_analyze, made):
    service = made / "kpi-ops-uptime.service"
    done = said(systemd_analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", service)
    assert done.returncode == 0, done.stdout[-2000:]
    found = float(re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)[1])
    assert found <= MOST_EXPOSED


def test_the_timer_looks_twice_an_hour_when_the_workflow_does(systemd_analyze, made):
    (calendar,) = re.findall(r"^OnCalendar=(.*)$", (made / "kpi-ops-uptime.timer").read_text(), re.MULTILINE)
    done = said(systemd_analyze, "calendar", "--iterations=4", "--base-time=2026-11-22 00:00:00 UTC", calendar)
    assert re.findall(r" ([0-9]{2}:[0-9]{2}:00) UTC", done.stdout) == ["00:07:00", "00:37:00", "01:07:00", "01:37:00"]
    workflow = Path(__file__).resolve().parent.parent / ".github" / "workflows" / "uptime.yml"
    assert '"7,37 * * * *"' in workflow.read_text()


def test_the_service_starts_the_check_that_publishes_and_knows_the_settings(made):
    text = (made / "kpi-ops-uptime.service").read_text()
    assert f"ExecStart={Path(sys.executable).resolve()} -m ops.uptime check --publish\n" in text
    assert f"Environment=PYTHONPATH={made}/kpi-ops KPI_SETTINGS={made}/kpi-ops/settings.toml\n" in text
    assert f"EnvironmentFile=-{made}/uptime.env\n" in text
