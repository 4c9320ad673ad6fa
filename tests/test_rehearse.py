"""What a rehearsal deploys, and what it says; the rehearsal itself is `fab rehearse`."""

import io
import os
import subprocess
import tarfile

import pytest

from etl.errors import HostError
from ops.rehearse.load import Failure, Load
from ops.rehearse.rehearse import Noticed, table
from ops.rehearse.throwaway import ROOT, throwaway
from ops.rehearse.variants import FAULTS, packed, variants


@pytest.fixture
def checkout(tmp_path):
    """A repository with the files that the faults are put into, and what git would not ship."""
    directory = tmp_path / "checkout"
    for fault in FAULTS:
        path = directory / fault.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / fault.file).read_text())
    git(directory, "init", "-q")
    git(directory, "add", ".")
    git(directory, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    (directory / "not-committed").write_text("stays at home")
    return directory


def git(directory, *argv):
    return subprocess.run(["git", *argv], cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def copy(checkout, tmp_path):
    (tmp_path / "copy").mkdir()
    return variants(checkout, "HEAD", tmp_path / "copy", dict(os.environ))


def test_a_copy_is_made_of_a_commit_and_leaves_the_checkout_alone(checkout, copy):
    before = git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain")
    copy.good(1)
    assert not (copy.directory / "not-committed").exists()
    assert (git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain")) == before


def test_every_good_release_is_a_commit_of_its_own(copy):
    heads = set()
    for number in range(3):
        copy.good(number + 1)
        heads.add(git(copy.directory, "rev-parse", "HEAD"))
        assert not git(copy.directory, "status", "--porcelain")
    assert len(heads) == 3


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_bad_release_compiles_and_is_gone_afterwards(copy, fault):
    before = git(copy.directory, "rev-parse", "HEAD")
    with copy.bad(fault):
        compile((copy.directory / fault.file).read_text(), fault.file, "exec")
        assert git(copy.directory, "rev-parse", "HEAD~1") == before
    assert git(copy.directory, "rev-parse", "HEAD") == before
    assert (copy.directory / fault.file).read_text() == (ROOT / fault.file).read_text()


def test_a_ref_that_is_none_is_one_clear_error(checkout, tmp_path):
    with pytest.raises(HostError, match="no-such-branch"):
        variants(checkout, "no-such-branch", tmp_path / "other", dict(os.environ))


def test_a_snapshot_is_sent_as_files_without_their_directory(tmp_path):
    (tmp_path / "metadata.json").write_text("{}")
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as tar:
        assert tar.getnames() == [".", "./metadata.json"]


def test_where_no_host_can_be_booted_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match=r"needs root|not found: apt-get install") as caught, throwaway("x"):
        pass
    assert "sudo .venv/bin/fab rehearse" in str(caught.value)


def test_the_table_has_a_line_for_every_stage_under_load():
    met = Load(500, [Failure(1, "GET /", "reset", 2)], 0.01, 0.5, 1.234, {}, 6, [], [Failure(1, "s", "c", 1)], 9, 1, 10)
    lines = table([Noticed("10 deploys", met)]).splitlines()
    assert lines[1].split() == ["10", "deploys", "500", "1", "0.50", "1.23", "6", "0", "1"]
