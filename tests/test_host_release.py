import gzip
import io
import json
import re
import tarfile
from datetime import UTC, datetime, timedelta, timezone

import pytest

from etl.contract import SCHEMA_VERSION
from etl.errors import HostError, UnfitCommit
from ops.host import release as subject
from ops.host.release import Made, contract, packed, release_id, release_of, requires_python, settings_sha256
from ops.host.source import Commit
from ops.settings import HostSettings

AT = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
COMMIT = Commit("ab12cd34" * 5, "main")
FILES = {
    "dashboard/app.py": (b"print()\n", False),
    "dashboard/run": (b"#!/bin/sh\n", True),
    "etl/contract.py": (b"SCHEMA_VERSION = 3\n", False),
    "pyproject.toml": (b'[project]\nrequires-python = ">=3.11,<3.14"\n', False),
    "ops/uptime/probe.py": (b"", False),
    "requirements/host.txt": (b"streamlit==1\n", False),
    "requirements/uv.txt": (b"uv==1\n", False),
}


def made(at=AT):
    return Made("me@here", at, "digest")


def test_a_name_sorts_by_time_and_tells_the_commit_in_characters_that_systemd_leaves_alone():
    names = [release_id(COMMIT, AT + timedelta(seconds=step)) for step in (0, 1, 60, 86_400, 40 * 86_400)]
    assert names[0] == "20261123t101500.ab12cd3"
    assert names == sorted(names)
    assert re.fullmatch(r"[a-z0-9.]+", release_id(Commit("a" * 40, "x", dirty=True), AT))


def test_a_name_is_in_utc():
    assert release_id(COMMIT, AT.astimezone(timezone(timedelta(hours=9)))) == release_id(COMMIT, AT)


def test_release_json_says_what_the_release_is_made_of():
    release = release_of(COMMIT, FILES, made())
    assert (release.sha, release.ref, release.dirty) == (COMMIT.sha, "main", False)
    assert (release.requires_python, release.contract) == (">=3.11,<3.14", 3)
    assert release.made_at == "2026-11-23T10:15:00Z"


def test_the_contract_of_this_very_commit_is_read_from_its_source():
    from pathlib import Path

    assert contract(Path("etl/contract.py").read_bytes()) == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("source", "version"),
    [(b"SCHEMA_VERSION: Final = 12\n", 12), (b"x = 1\nSCHEMA_VERSION=2", 2), (b"# SCHEMA_VERSION = 9\n", 0), (b"", 0)],
)
def test_the_contract_is_found_however_it_is_written(source, version):
    assert contract(source) == version


def test_a_commit_that_does_not_say_its_python_runs_on_any():
    assert requires_python(b"[tool.x]\n") == ""


@pytest.mark.parametrize(
    "pyproject",
    [
        b"[project\n",
        b"# \xff\n",
        b"project = 3\n",
        b'[project]\nrequires-python = "the newest one"\n',
        b"[project]\nrequires-python = 3.11\n",
        b"[project]\nrequires-python = [1]\n",
    ],
)
def test_a_pyproject_that_nobody_can_read_makes_a_commit_unfit(pyproject):
    with pytest.raises(UnfitCommit, match=r"pyproject\.toml does not say which Python"):
        requires_python(pyproject)


@pytest.mark.parametrize(
    "missing",
    ["requirements/host.txt", "requirements/uv.txt", "pyproject.toml", "etl/contract.py", "ops/uptime/probe.py"],
)
def test_a_commit_without_what_a_release_needs_is_one_clear_error(missing):
    with pytest.raises(HostError, match=missing):
        release_of(COMMIT, {path: body for path, body in FILES.items() if path != missing}, made())


def test_the_archive_is_the_same_bytes_for_the_same_release():
    release = release_of(COMMIT, FILES, made())
    shuffled = dict(reversed(FILES.items()))
    assert packed(release, FILES) == packed(release, shuffled)


def test_the_archive_holds_every_file_as_it_is_and_the_manifest():
    release = release_of(COMMIT, FILES, made())
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed(release, FILES)))) as archive:
        modes = {member.name: member.mode for member in archive}
        assert json.load(archive.extractfile("release.json"))["release"] == release.release
        assert archive.extractfile("dashboard/run").read() == b"#!/bin/sh\n"
    assert (modes["dashboard/run"], modes["dashboard/app.py"]) == (0o755, 0o644)


@pytest.mark.parametrize("change", [{"dashboard/app.py": (b"print(1)\n", False)}, {"dashboard/new.py": (b"", False)}])
def test_another_file_is_another_digest(change):
    assert release_of(COMMIT, FILES | change, made()).files_sha256 != release_of(COMMIT, FILES, made()).files_sha256


def test_what_reaches_the_dashboard_changes_the_digest_of_the_settings_and_what_only_the_operator_needs_does_not():
    texts = {"a.service": "x"}
    plain = settings_sha256(HostSettings(), texts)
    assert settings_sha256(HostSettings(environment={"AWS_REGION": "eu-west-1"}), texts) != plain
    assert settings_sha256(HostSettings(), {"a.service": "y"}) != plain
    assert settings_sha256(HostSettings(address="1.2.3.4", user="admin", watch_s=5), texts) == plain


def test_the_operators_own_settings_are_settings():
    assert set(HostSettings.model_fields) >= subject._OPERATORS_OWN
