import subprocess

import pytest

from etl.errors import HostError, UnfitCommit
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


def linked(clone):
    (clone / "dashboard" / "more.py").symlink_to("/etc/passwd")


def left_out(clone):
    (clone / ".gitattributes").write_text("dashboard/app.py export-ignore\n")


def huge(clone):
    with (clone / "dashboard" / "huge.bin").open("wb") as file:
        file.truncate(201 * 1024 * 1024)


def long_path(clone):
    deep = clone.joinpath("dashboard", *["d" * 100] * 5)
    deep.mkdir(parents=True)
    (deep / "x.py").touch()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (linked, r"dashboard/more\.py is a symbolic link"),
        (left_out, r"leaves dashboard/app\.py out"),
        (huge, r"the largest is dashboard/huge\.bin"),
        (long_path, "is too long"),
    ],
)
def test_a_commit_that_would_not_arrive_as_it_is_is_unfit(clone, change, named):
    change(clone)
    subprocess.run(["git", "-C", clone, "add", "-A"], check=True)
    subprocess.run(["git", "-C", clone, "commit", "-qm", "two"], check=True)
    with pytest.raises(UnfitCommit, match=named):
        Checkout(clone).files(Checkout(clone).commit("HEAD"))


def test_a_submodule_is_unfit(clone):
    sha = subprocess.run(["git", "-C", clone, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    entry = f"160000,{sha.strip()},dashboard/sub"
    subprocess.run(["git", "-C", clone, "update-index", "--add", "--cacheinfo", entry], check=True)
    subprocess.run(["git", "-C", clone, "commit", "-qm", "two"], check=True)
    with pytest.raises(UnfitCommit, match="dashboard/sub is a submodule"):
        Checkout(clone).files(Checkout(clone).commit("HEAD"))


@pytest.mark.parametrize("name", ["a\nb.py", "-rf.py", "\x1b[2J.py", "\udcff.py", "ä" * 100 + ".py"])
def test_a_strange_name_is_shipped_as_it_is(clone, name):
    (clone / "dashboard" / name).write_text("x = 1\n")
    subprocess.run(["git", "-C", clone, "add", "-A"], check=True)
    subprocess.run(["git", "-C", clone, "commit", "-qm", "two"], check=True)
    assert f"dashboard/{name}" in Checkout(clone).files(Checkout(clone).commit("HEAD"))
