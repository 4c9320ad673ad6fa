import subprocess

import pytest

from etl.errors import HostError
from ops.host.source import Checkout


@pytest.fixture
def clone(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("config", "user.email", "a@b")
    git("config", "user.name", "a")
    (tmp_path / "dashboard").mkdir()
    (tmp_path / "dashboard" / "app.py").write_text("one\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "x.md").write_text("not shipped\n")
    (tmp_path / "settings.toml").write_text("")
    git("add", ".")
    git("commit", "-qm", "one")
    return tmp_path


def test_only_committed_files_of_what_the_host_needs_are_shipped(clone):
    (clone / "dashboard" / "app.py").write_text("two\n")
    (clone / "dashboard" / "new.py").write_text("never added\n")
    checkout = Checkout(clone)
    files = checkout.files(checkout.commit("HEAD"))
    assert files == {"dashboard/app.py": (b"one\n", False), "settings.toml": (b"", False)}
    assert sorted(checkout.differing()) == ["dashboard/app.py", "dashboard/new.py"]


def test_the_work_tree_is_shipped_when_asked_for_and_is_left_as_it_was(clone):
    (clone / "dashboard" / "app.py").write_text("two\n")
    checkout = Checkout(clone)
    commit = checkout.work_tree()
    assert commit.dirty
    assert checkout.files(commit)["dashboard/app.py"] == (b"two\n", False)
    assert checkout.differing() == ["dashboard/app.py"]


def test_a_clean_work_tree_is_its_commit(clone):
    checkout = Checkout(clone)
    assert checkout.work_tree() == checkout.commit("HEAD")
    assert checkout.differing() == []


def test_a_file_that_may_be_run_stays_so(clone):
    (clone / "dashboard" / "app.py").chmod(0o755)
    checkout = Checkout(clone)
    assert checkout.files(checkout.work_tree())["dashboard/app.py"][1]


@pytest.mark.parametrize("ref", ["nosuch", "--output=/tmp/x", "", "HEAD~7", "'; ls"])
def test_a_name_that_git_does_not_know_is_one_clear_error(clone, ref):
    with pytest.raises(HostError, match="is no commit of"):
        Checkout(clone).commit(ref)


def test_a_directory_without_git_is_one_clear_error(tmp_path):
    with pytest.raises(HostError, match="no commit of"):
        Checkout(tmp_path).commit("HEAD")
    with pytest.raises(HostError, match="git cannot read"):
        Checkout(tmp_path).work_tree()


def test_a_commit_of_another_project_is_one_clear_error(clone):
    subprocess.run(["git", "-C", clone, "rm", "-rq", "dashboard"], check=True)
    commit = Checkout(clone).work_tree()
    with pytest.raises(HostError, match="has no dashboard/"):
        Checkout(clone).files(commit)
