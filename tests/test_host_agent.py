"""The CloudWatch agent: what it is told to collect, what lint refuses, and whose package is installed."""

import copy
import functools
import http.server
import json
import os
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ops import monitoring
from ops.host import agent, agent_config, agent_install, agent_lint
from ops.host.facts import BLANK
from ops.host.resources import Absent, Command, File, Note, Package, Reaction, Unit, User
from ops.settings import Settings
from tests.agent_package import Key, build, why_not

SCHEMA = "KPI_OPS_AGENT_SCHEMA"
ON = Settings(host={"agent": {"install": True}})
OLD = (1, 300069, 0)
NEW = None


def configured(version=NEW):
    return agent_config.configuration(ON.host.agent, version)


def lint(configuration, version=NEW):
    written = {copied.path for copied in agent_config.copies(version)}
    return agent_lint.problems(configuration, version, written)


@pytest.fixture(scope="session")
def schema():
    """A function that lists what the vendor's schema has against a configuration."""
    from jsonschema import Draft4Validator

    place = os.environ.get(SCHEMA)
    if not place:
        pytest.skip(f"{SCHEMA} does not name the vendor's schema of the CloudWatch agent (not in this repository)")
    validator = Draft4Validator(json.loads(Path(place).read_text()))
    return lambda configuration: [error.message for error in validator.iter_errors(configuration)]


# --- the configuration


@pytest.mark.parametrize("version", [NEW, (1, 300070, 0), OLD])
def test_what_we_write_is_fine_by_our_lint(version):
    assert lint(configured(version), version) == []


@pytest.mark.parametrize("version", [NEW, OLD])
def test_what_we_write_is_fine_by_the_vendors_schema(version, schema):
    assert schema(configured(version)) == []


def test_a_new_agent_reads_the_journal_and_one_file_of_numbers():
    logs = configured()["logs"]["logs_collected"]
    assert [entry["file_path"] for entry in logs["files"]["collect_list"]] == ["/var/log/kpi-ops/checks.log"]
    assert [entry["log_group_name"] for entry in logs["journald"]["collect_list"]] == [
        monitoring.DASHBOARD,
        monitoring.SYSTEM,
    ]


def test_an_old_agent_reads_files_alone_and_every_one_of_them_is_written_by_a_unit():
    logs = configured(OLD)["logs"]["logs_collected"]
    assert list(logs) == ["files"]
    read = {entry["file_path"] for entry in logs["files"]["collect_list"]}
    parts = agent.resources(ON, replace(BLANK, packages={agent.PACKAGE: "1.300069.0b2-1"}))
    units = [part.content for part in parts if isinstance(part, File) and part.path.endswith(".service")]
    assert read == {line.removeprefix("StandardOutput=append:") for unit in units for line in unit.splitlines()} & read
    assert {group["log_group_name"] for group in logs["files"]["collect_list"]} == set(monitoring.LOG_GROUPS)


def test_logs_are_kept_as_long_as_the_settings_say():
    kept = Settings(host={"agent": {"install": True, "log_days": 7}})
    text = json.dumps(agent_config.configuration(kept.host.agent, NEW))
    assert text.count('"retention_in_days": 7') == 3


def mutated(line):
    """The configuration after one line: PLACE = JSON, PLACE -> another NAME, or PLACE gone."""
    mutant = copy.deepcopy(configured())
    place, how, *value = line.split(" ", 2)
    *way, last = [int(part) if part.isdecimal() else part for part in place.split("/")]
    inside = functools.reduce(lambda found, part: found[part], way, mutant)
    if how == "=":
        inside[last] = json.loads(value[0])
    else:
        removed = inside.pop(last)
        if how == "->":
            inside[value[0]] = removed
    assert mutant != configured()
    return mutant


MUTATIONS = r"""
logs -> log
metrics -> metric
agent -> agents
logs gone
metrics gone
traces = {"traces_collected": {"xray": {}}}
agent/run_as_user -> run_as
agent/run_as_user = ""
agent/run_as_user gone
agent/metrics_collection_interval = "60"
agent/metrics_collection_interval = 0
agent/metrics_collection_interval = true
agent/debug = "false"
metrics/namespace = "CWAgent"
metrics/namespace gone
metrics/namespace -> name_space
metrics/append_dimensions/InstanceId = "{aws:InstanceId}"
metrics/append_dimensions/InstanceId = "${aws:InstanceID}"
metrics/append_dimensions/InstanceId = "i-0123456789abcdef0"
metrics/append_dimensions/AutoScalingGroupName = "${aws:AutoScalingGroupName}"
metrics/append_dimensions gone
metrics/aggregation_dimensions = [["InstanceID"]]
metrics/aggregation_dimensions = []
metrics/aggregation_dimensions = ["InstanceId"]
metrics/metrics_collected/mem/measurement = ["mem_usd_percent"]
metrics/metrics_collected/mem/measurement = ["disk_used_percent"]
metrics/metrics_collected/mem/measurement = ["mem_used_percent", "mem_used_percent"]
metrics/metrics_collected/mem/measurement = []
metrics/metrics_collected/mem/measurement = "mem_used_percent"
metrics/metrics_collected/mem/measurement = [{"name": "mem_used_percent", "rename": "Memory"}]
metrics/metrics_collected/mem/measurement -> measurements
metrics/metrics_collected/mem -> memory
metrics/metrics_collected/mem = []
metrics/metrics_collected/swap/measurement = ["swap_used_percentage"]
metrics/metrics_collected/disk/measurement = ["disk_inodes_use"]
metrics/metrics_collected/disk/resources = ["*"]
metrics/metrics_collected/disk/resources gone
metrics/metrics_collected/disk/drop_device -> drop_devices
metrics/metrics_collected/disk/drop_device = "true"
metrics/metrics_collected/disk gone
logs/logs_collected/files/collect_list/0/file_path = "/var/log/kpi-ops/check.log"
logs/logs_collected/files/collect_list/0/file_path = "/var/log/syslog"
logs/logs_collected/files/collect_list/0/file_path gone
logs/logs_collected/files/collect_list/0/log_group_name = "/kpi-ops/check"
logs/logs_collected/files/collect_list/0/log_group_name gone
logs/logs_collected/files/collect_list/0/log_stream_name = "{instanceid}"
logs/logs_collected/files/collect_list/0/log_stream_name = "${aws:InstanceId}"
logs/logs_collected/files/collect_list/0/retention_in_days = 13
logs/logs_collected/files/collect_list/0/retention_in_days = "30"
logs/logs_collected/files/collect_list/0/retention_in_days gone
logs/logs_collected/files/collect_list/0/retention_in_days -> retention_days
logs/logs_collected/files/collect_list = []
logs/logs_collected/files -> file
logs/log_stream_name = "{host}"
logs/logs_collected -> log_collected
logs/logs_collected/journald -> journal
logs/logs_collected/journald/collect_list/0/units = ["kpi-dashboard@*"]
logs/logs_collected/journald/collect_list/0/matches = [{"syslog_identifier": "x"}]
logs/logs_collected/journald/collect_list/0/matches = [{"SYSLOG_IDENTIFIER": ""}]
logs/logs_collected/journald/collect_list/0/matches = [{}]
logs/logs_collected/journald/collect_list/0/file_path = "/var/log/kpi-ops/checks.log"
logs/logs_collected/journald/collect_list/1/priority = "warn"
logs/logs_collected/journald/collect_list/1/priority = 4
""".strip().splitlines()


@pytest.mark.parametrize("line", MUTATIONS)
def test_one_wrong_line_is_refused_before_anything_is_sent(line):
    assert len(lint(mutated(line))) >= 1


def test_the_vendors_schema_passes_over_much_of_it(schema):
    passed = [line for line in MUTATIONS if not schema(mutated(line))]
    assert {"logs -> log", MUTATIONS[24], MUTATIONS[40]} <= set(passed)
    assert len(MUTATIONS) > len(passed) > 10


def test_the_journal_is_refused_for_an_agent_that_cannot_read_it():
    (only,) = agent_lint.problems(configured(NEW), OLD, {copied.path for copied in agent_config.COPIES})
    assert only == "configuration.logs.logs_collected: journald is not known"


def test_a_near_miss_is_told_with_what_was_meant():
    mutant = configured()
    mutant["metrics"]["metrics_collected"]["mem"]["measurement"] = ["mem_usd_percent"]
    (only,) = lint(mutant)
    assert only.endswith("measurement[0]: 'mem_usd_percent' is not known; did you mean mem_used_percent?")


# --- what a host gets


def of_kind(parts, kind):
    return [part for part in parts if isinstance(part, kind)]


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("https://a.example/ubuntu/amd64/latest/amazon-cloudwatch-agent.deb", ""),
        ("https://a.example/ubuntu/amd64/1.300069.0b1234/amazon-cloudwatch-agent.deb", "1.300069.0b1234"),
        ("https://a.example/mirror/agent.deb", ""),
    ],
)
def test_an_address_may_name_a_version(url, version):
    assert agent.asked_version(url) == version


@pytest.mark.parametrize(
    ("text", "reads"),
    [("1.300070.0b1-1", True), ("1.300069.9b1-1", False), ("2.0", True), ("1.247.0", False), ("strange", False)],
)
def test_agents_since_1_300070_read_the_journal(text, reads):
    assert agent_config.reads_journal(agent_config.version_of(text)) is reads


def test_a_version_that_the_address_names_decides_and_not_the_one_that_is_still_there():
    url = "https://a.example/1.300060.0b1/agent.deb"
    pinned = Settings(host={"agent": {"install": True, "url": url}})
    facts = replace(BLANK, packages={agent.PACKAGE: "1.300071.0b1-1"})
    (text,) = [part.content for part in of_kind(agent.resources(pinned, facts), File) if part.path.endswith(".json")]
    assert "journald" not in text


def test_the_user_is_made_before_the_package_would_make_another():
    parts = agent.resources(ON, BLANK)
    (user,), (install,) = of_kind(parts, User), of_kind(parts, Command)
    assert parts.index(user) < parts.index(install)
    assert user.groups == ("adm", "systemd-journal")
    assert {part.name for part in of_kind(parts, Package)} == {"gpgv", "logrotate"}


def test_the_agent_hears_of_each_change_once_after_everything_lies_there():
    parts = agent.resources(ON, BLANK)
    telling = {part.path for part in of_kind(parts, File) if agent.CONFIGURED in part.then}
    (reaction,) = [part for part in of_kind(parts, Reaction) if part.name == agent.CONFIGURED]
    assert telling == {agent.CONFIGURATION, agent.LIMITS}
    assert all(parts.index(part) < parts.index(reaction) for part in of_kind(parts, (File, Command, Absent)))
    assert reaction.commands[1][1:] == ("-a", "fetch-config", "-m", "ec2", "-c", f"file:{agent.CONFIGURATION}", "-s")


def test_memory_is_capped_as_the_settings_say():
    capped = Settings(host={"agent": {"install": True, "memory_max_mb": 99}})
    (limits,) = [part for part in of_kind(agent.resources(capped, BLANK), File) if part.path == agent.LIMITS]
    assert "MemoryMax=99M" in limits.content.splitlines()


def test_who_wants_no_agent_gets_none_and_has_none_running():
    parts = agent.resources(Settings(), BLANK)
    assert not of_kind(parts, (Package, User, Command, File, Note))
    assert all((part.enabled, part.active) == (False, False) for part in of_kind(parts, Unit))
    assert agent.UNIT in {part.name for part in of_kind(parts, Unit)}


def test_systemd_reads_the_words_of_a_copy_back_as_they_were():
    unit = agent.log_unit(agent_config.CHECKS)
    assert r'--grep "^{\"event\":" SYSLOG_IDENTIFIER=kpi-dashboard' in unit


# --- whose package is installed


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The key that the settings name, another one, and one that was good for a day three years ago."""
    if reason := why_not():
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("keys")
    made = Key.made(place / "a"), Key.made(place / "b"), Key.made(place / "c", "--faked-system-time", "20230101T000000")
    yield made
    for key in made:
        key.forget()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def vendor(tmp_path, keys):
    """A directory that is served, with a signed package and the key; returns it and its address."""
    place = tmp_path / "vendor"
    place.mkdir()
    keys[0].sign(build(place))
    (place / "key.gpg").write_bytes(keys[0].public())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=place))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield place, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def signed(vendor, keys, tmp_path):
    _, address = vendor
    place = tmp_path / "fetched"
    place.mkdir()
    url = f"{address}/amazon-cloudwatch-agent.deb"
    return agent_install.signed(place, url, f"{address}/key.gpg", keys[0].fingerprint)


def test_a_package_signed_by_the_key_is_taken(vendor, keys, tmp_path):
    assert signed(vendor, keys, tmp_path).read_bytes() == (vendor[0] / "amazon-cloudwatch-agent.deb").read_bytes()


def test_key_and_signature_may_come_in_letters_or_in_bytes(vendor, keys, tmp_path):
    place, _ = vendor
    (place / "key.gpg").write_bytes(keys[0].public(armoured=False))
    keys[0].sign(place / "amazon-cloudwatch-agent.deb", "--armor")
    assert signed(vendor, keys, tmp_path).exists()


def altered(place, _):
    package = place / "amazon-cloudwatch-agent.deb"
    package.write_bytes(package.read_bytes()[:-1] + b"x")


def signed_by_another(place, keys):
    keys[1].sign(place / "amazon-cloudwatch-agent.deb")


def another_key_and_its_signature(place, keys):
    signed_by_another(place, keys)
    (place / "key.gpg").write_bytes(keys[1].public())


def both_keys_and_the_others_signature(place, keys):
    signed_by_another(place, keys)
    (place / "key.gpg").write_bytes(keys[0].public(armoured=False) + keys[1].public(armoured=False))


def a_signature_of_something_else(place, keys):
    other = place / "other"
    other.write_text("other")
    keys[0].sign(other)
    (place / "other.sig").replace(place / "amazon-cloudwatch-agent.deb.sig")


def an_expired_key(place, keys):
    keys[2].sign(place / "amazon-cloudwatch-agent.deb", "--faked-system-time", "20230101T010000")
    (place / "key.gpg").write_bytes(keys[2].public())


def removed(name):
    return lambda place, _: (place / name).unlink()


def replaced_by(name, content):
    return lambda place, _: (place / name).write_bytes(content)


SIGNATURE = "amazon-cloudwatch-agent.deb.sig"
BAD = {
    "altered": (altered, "is not what was signed"),
    "signature of something else": (a_signature_of_something_else, "is not what was signed"),
    "signed by another": (signed_by_another, "is signed by another key"),
    "another key": (another_key_and_its_signature, "is signed by"),
    "both keys, signed by the other": (both_keys_and_the_others_signature, "is signed by"),
    "expired": (an_expired_key, "by a key that has expired"),
    "no package": (removed("amazon-cloudwatch-agent.deb"), "amazon-cloudwatch-agent.deb was answered with 404"),
    "no signature": (removed(SIGNATURE), f"{SIGNATURE} was answered with 404"),
    "no key": (removed("key.gpg"), "key.gpg was answered with 404"),
    "empty signature": (replaced_by(SIGNATURE, b""), "has no signature that can be read"),
    "page for a signature": (replaced_by(SIGNATURE, b"<html>not here</html>"), "has no signature that can be read"),
    "broken key": (replaced_by("key.gpg", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n%%%\n"), "is no key or signature"),
    "page for a key": (replaced_by("key.gpg", b"<html>"), "is signed by another key"),
}


@pytest.mark.parametrize("title", BAD)
def test_any_other_package_is_refused_in_one_line_that_says_why(title, vendor, keys, tmp_path):
    change, why = BAD[title]
    change(vendor[0], keys)
    with pytest.raises(agent_install.Refused) as refused:
        signed(vendor, keys, tmp_path)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_address_where_nobody_answers_is_named(closed_port, tmp_path):
    nowhere = f"http://127.0.0.1:{closed_port}/a"
    with pytest.raises(agent_install.Refused, match=r"^http://127.0.0.1:\d+/a cannot be fetched: .*refused"):
        agent_install.signed(tmp_path, nowhere, nowhere, "A")


def test_nothing_endless_is_fetched(vendor):
    with pytest.raises(agent_install.Refused, match="is larger than 0 MB"):
        agent_install.fetched(f"{vendor[1]}/key.gpg", 10)


def test_what_is_sent_to_a_host_is_a_program_that_runs_as_it_is(vendor, keys):
    (vendor[0] / "amazon-cloudwatch-agent.deb.sig").unlink()
    url, key = f"{vendor[1]}/amazon-cloudwatch-agent.deb", f"{vendor[1]}/key.gpg"
    wanted = Settings(host={"agent": {"install": True, "url": url, "key_url": key, "fingerprint": keys[0].fingerprint}})
    (install,) = of_kind(agent.resources(wanted, BLANK), Command)
    done = subprocess.run(install.argv, input=install.stdin, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.decode() == (
        f"the CloudWatch agent was not installed: {url}.sig was answered with 404 File not found\n"
    )
