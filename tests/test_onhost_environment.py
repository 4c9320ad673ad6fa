"""The environment of a release: its key, what changed between two locks, and how an install is made and fails."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from ops.onhost import environment_step, pip_settings
from ops.onhost.environment_key import accepts, key, same_python
from ops.onhost.install_trouble import trouble
from ops.onhost.layout import CACHE, ENVIRONMENTS, UV, Tree
from ops.onhost.lock_file import changed, flaw, is_near, pins, replaced
from ops.onhost.machine import Done, Machine
from ops.onhost.trouble import CouldNot, Unfit
from tests import onhost_stand_in

HASHES = [f"sha256:{digit * 64}" for digit in "abc"]
OLD = (
    f"attrs==25.1 \\\n    --hash={HASHES[0]} \\\n    --hash={HASHES[1]}\n    # via x\n"
    f"click==8.1 ; y \\\n    --hash={HASHES[2]}\n"
)
HASHED = f" \\\n    --hash={HASHES[0]}\n".encode()
VERSION = ".".join(map(str, sys.version_info[:2]))


@pytest.mark.parametrize(
    ("requires", "version", "accepted"),
    [
        (">=3.11,<3.14", (3, 11, 2), True),
        (">=3.11,<3.14", (3, 14, 0), False),
        (">=3.11,<3.14", (3, 9, 1), False),
        (">=3.11.4", (3, 11, 2), False),
        ("==3.12.*", (3, 12, 9), True),
        ("!=3.12.*", (3, 12, 9), False),
        ("~=3.11", (3, 13, 0), True),
        ("~=3.11.2", (3, 12, 0), False),
        ("", (3, 11, 2), True),
        ("===3.11", (3, 11, 0), False),
    ],
)
def test_a_python_is_accepted_where_every_clause_holds(requires, version, accepted):
    assert accepts(requires, version) is accepted


def test_a_key_is_of_one_lock_and_one_python():
    assert key("0123456789abcdef0", (3, 11, 2)) == "0123456789abcdef-py3.11"
    assert same_python("a-py3.11", "b-py3.11")
    assert not same_python("a-py3.11", "b-py3.12")


def test_a_package_of_the_same_version_but_other_files_is_installed_anew():
    new = OLD.replace(HASHES[1], HASHES[2]).replace("click==8.1", "click==8.2") + f"six==1 \\\n    --hash={HASHES[0]}\n"
    assert changed(pins(OLD), pins(new)) == ["attrs", "click", "six"]
    assert replaced(pins(OLD), pins(new)) == ["attrs"]
    assert changed(pins(OLD), pins(OLD.replace("# via x", "# via y"))) == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("six==1\n", "line 7 is no package with its version and hashes: six==1"),
        (f"six==1 \\\n    --hash={HASHES[0][:-1]}\n", "line 7"),
        ("-r /etc/passwd\n", "line 7 is no package with its version and hashes: -r /etc/passwd"),
        ("--index-url https://elsewhere.invalid\n", "line 7"),
        (f"x @ https://elsewhere.invalid/x.whl --hash={HASHES[0]}\n", "line 7"),
        (f"six>=1 \\\n    --hash={HASHES[0]}\n", "line 7"),
        ("<<<<<<< HEAD\n", "line 7"),
    ],
)
def test_what_is_no_package_with_its_hashes_keeps_a_text_from_being_a_lock(line, named):
    assert named in flaw(OLD + line)


def test_the_locks_of_this_project_are_locks():
    for name in ("host", "uv", "dev"):
        assert flaw(Path(f"requirements/{name}.txt").read_text("utf-8")) is None


def test_a_lock_that_is_no_text_is_the_releases_fault(installer):
    with pytest.raises(Unfit, match="is no lock: 'utf-8' codec"):
        made(installer, "one", lock=b"\xff\n")
    assert not synced(installer)


@pytest.mark.parametrize(
    ("old", "new", "near"),
    [("a b c d", "a b c e", True), ("a b c d", "a b", True), ("a b c", "a", False), ("", "a", False)],
)
def test_an_environment_is_begun_from_another_where_they_share_half_at_least(old, new, near):
    one, other = (pins("".join(f"{name}==1\n" for name in names.split())) for names in (old, new))
    assert is_near(one, other) is near


# What uv 0.13 and pip 23 say, shortened.
@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("error: Failed to download `a==1`\n cause: Hash mismatch for `a==1`", "not the one that the lock names"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one that the lock names"),
        ("Because a==1 has no usable wheels and you require a==1, we can", "has no wheel for this host"),
        ("Because there is no version of a==99 and you require a==99", "has no wheel for this host"),
        ("Because a was not found in the cache and you require a==8\nhint: the network was disabled", "has no wheel"),
        ("ERROR: No matching distribution found for uv==1", "has no wheel for this host"),
        ("error: Failed to fetch: `https://x/a`\n client error (Connect)\n dns error", "cannot be reached"),
        ("Failed to fetch: https://x\n invalid peer certificate: UnknownIssuer", "does not trust"),
        ("failed to hardlink file: No space left on device (os error 28)", "the disk is full"),
        ("/usr/bin/python3: No module named 'ensurepip'", "makes no venv"),
        ("thread main panicked", "uv failed: thread main panicked"),
    ],
)
def test_an_installers_complaint_becomes_one_reason(said, seen):
    assert seen in trouble("uv", said).seen


def test_a_password_in_an_address_is_left_out_of_a_complaint():
    assert "canary" not in trouble("uv", "Failed to fetch: https://user:canary@host/simple").seen


def test_uv_is_told_what_this_hosts_pip_is():
    listed = (
        "global.cert='/etc/ssl/x.pem'\nglobal.index-url='https://a/simple'\ninstall.index-url='https://b/simple'\n"
        "global.extra-index-url='\\nhttps://c\\nhttps://d'\nglobal.timeout='9'\n:env:.proxy='http://p'\nodd\n"
    )
    assert pip_settings.for_uv(listed) == {
        "SSL_CERT_FILE": "/etc/ssl/x.pem",
        "UV_DEFAULT_INDEX": "https://b/simple",
        "UV_INDEX": "https://c https://d",
        "HTTPS_PROXY": "http://p",
    }


class Installer:
    """Plays uv and pip: installs a file for each package of a lock, or fails as it is told."""

    def __init__(self, machine_tree):
        self.tree, self.ran, self.fails = machine_tree, [], ""

    def __call__(self, argv, *, timeout_s=60, env=None):  # noqa: ARG002 - as Run is called
        words = argv[argv.index("15") + 1 :] if "15" in argv else list(argv)
        self.ran.append((words, env))
        if "sync" in words:
            return self._sync(words)
        if words[1:3] == ["-m", "venv"]:
            (self.tree.root / words[3]).mkdir(parents=True)
        return Done(0, "global.index-url='https://told.invalid'\n" if words[-1] == "list" else "", "")

    def _sync(self, words):
        packages = self._environment(words) / "lib" / "site-packages"
        packages.mkdir(parents=True, exist_ok=True)
        (packages / "half").write_text("half")
        (packages.parents[1] / "bin" / "streamlit").write_text("#!")
        if self.fails:
            return Done(1, "", self.fails)
        (packages / "half").rename(packages / "whole")
        return Done(0, "", "")

    def _environment(self, words):
        python = next(word for word in words if word.startswith("--python=")).removeprefix("--python=")
        return self.tree.root / python.removesuffix("/bin/python")


@pytest.fixture
def installer(tmp_path):
    return Installer(Tree(tmp_path))


def made(installer, release, lock=b"attrs==25.1\n", requires=">=3.11", source=None):
    machine = Machine(installer.tree, installer, lambda: 5.0, lambda _: None)
    home = installer.tree.release(release)
    content = onhost_stand_in.files(lock=lock.replace(b"\n", HASHED), uv_lock=b"uv==1\n")
    said = onhost_stand_in.manifest(release, content, requires_python=requires)
    if not home.exists():
        for path, body in {**content, "release.json": json.dumps(said).encode()}.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_bytes(body)
    return environment_step.step(machine, release, source or environment_step.Source(None, None))


def synced(installer):
    return [(words, env) for words, env in installer.ran if "sync" in words]


def test_an_environment_is_made_once_for_all_releases_of_a_lock(installer):
    first, second = made(installer, "one"), made(installer, "two")
    assert first["environment"] == second["environment"]
    assert first["environment"] == f"{hashlib.sha256(b'attrs==25.1' + HASHED).hexdigest()[:16]}-py{VERSION}"
    assert (first["installed"], second["installed"], len(synced(installer))) == (1, 0, 1)
    assert (installer.tree.release("two") / "environment" / "lib/site-packages/whole").exists()
    assert not installer.tree.at(CACHE).exists()


def test_another_lock_begins_with_hard_links_to_the_files_of_the_newest_environment(installer):
    made(installer, "one")
    made(installer, "two", lock=b"attrs==25.1\nclick==8.1\n")
    assert len(synced(installer)) == 2
    one, two = (installer.tree.release(name) / "environment" for name in ("one", "two"))
    assert (one / "lib/site-packages/whole").exists()
    assert one.resolve() != two.resolve()
    assert (one / "pyvenv.cfg").stat().st_ino != (two / "pyvenv.cfg").stat().st_ino
    assert sorted(path.name for path in (two / "bin").iterdir() if not path.name.startswith("python")) == []


def test_a_failed_install_leaves_nothing_that_counts_and_is_begun_anew(installer):
    installer.fails = "Hash mismatch"
    with pytest.raises(CouldNot, match="not the one that the lock names"):
        made(installer, "one")
    assert list(installer.tree.at(ENVIRONMENTS).iterdir()) == []
    assert not (installer.tree.release("one") / "environment").is_symlink()
    installer.fails = ""
    assert made(installer, "one")["installed"] == 1


def test_what_a_killed_install_left_is_thrown_away(installer):
    key_of = made(installer, "one")["environment"]
    environment = installer.tree.environment(key_of)
    (environment / ".ready").unlink()
    (environment / "lib/site-packages/stale").touch()
    assert made(installer, "one")["installed"] == 1
    assert not (environment / "lib/site-packages/stale").exists()


def test_uv_is_installed_once_and_again_when_a_release_pins_another(installer):
    made(installer, "one")
    made(installer, "two", lock=b"click==8.1\n")
    assert sum("venv" in words for words, _ in installer.ran) == 1
    (installer.tree.at(UV) / ".ready").write_text('{"lock_sha256": "another"}')
    made(installer, "three", lock=b"six==1\n")
    assert sum("venv" in words for words, _ in installer.ran) == 2


def test_no_address_and_no_password_stands_on_a_command_line(installer):
    made(installer, "one", source=environment_step.Source(None, "https://user:canary@index.invalid/simple"))
    assert not any("canary" in word for words, _ in installer.ran for word in words)
    assert synced(installer)[0][1]["UV_DEFAULT_INDEX"] == "https://user:canary@index.invalid/simple"


def test_wheels_that_were_sent_are_the_only_source(installer, tmp_path):
    made(installer, "one", source=environment_step.Source(tmp_path, "https://index.invalid"))
    env = synced(installer)[0][1]
    assert (env["UV_NO_INDEX"], env["UV_FIND_LINKS"], env.get("UV_DEFAULT_INDEX")) == ("1", str(tmp_path), None)


def test_without_either_uv_is_told_what_pip_is(installer):
    made(installer, "one")
    assert synced(installer)[0][1]["UV_DEFAULT_INDEX"] == "https://told.invalid"


def test_a_release_for_another_python_is_refused_before_anything_is_installed(installer):
    with pytest.raises(CouldNot, match="wants >=4"):
        made(installer, "one", requires=">=4")
    assert installer.ran == []


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("hash mismatch for x", True),
        ("x has no usable wheels", True),
        ("No space left on device", False),
        ("dns error", False),
        ("Temporary failure in name resolution; No matching distribution found for uv==1", False),
    ],
)
def test_a_lock_that_cannot_be_installed_is_the_releases_fault_and_everything_else_the_hosts(said, refused):
    assert isinstance(trouble("uv", said), Unfit) is refused
