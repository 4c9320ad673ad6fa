import subprocess

import pytest

from etl.errors import HostError, HostKeyRefused
from ops.host.host_key import checked, fingerprint, pin, pinned
from tests.loopback_sshd import make_key, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two keys, as "TYPE BASE64", and the file of the first."""
    home = tmp_path_factory.mktemp("keys")
    files = [make_key(home / name) for name in ("one", "two")]
    return [*map(public, files), files[0]]


def test_a_fingerprint_is_the_one_that_openssh_shows(keys):
    shown = subprocess.run(["ssh-keygen", "-lf", keys[2]], capture_output=True, text=True, check=True)
    assert fingerprint(keys[0]) == shown.stdout.split()[1]


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa {base64}", "ssh-ed25519 no base64"])
def test_what_is_no_key_has_no_fingerprint_and_is_not_pinned(text, keys, tmp_path):
    text = text.format(base64=keys[0].split()[1])
    assert fingerprint(text) == ""
    with pytest.raises(HostError, match="is no public key"):
        pin(tmp_path / "known_hosts", ["shop"], text)
    assert not (tmp_path / "known_hosts").exists()


def test_a_key_that_was_pinned_is_known_under_each_of_its_names(keys, tmp_path):
    file = tmp_path / "data" / "known_hosts"
    assert pin(file, ["i-0abc", "[shop.example.org]:2222"], f"{keys[0]} root@shop")
    for names in (["i-0abc"], ["[Shop.example.org]:2222"], ["i-0abc", "198.51.100.1"], ["unknown", "i-0abc"]):
        checked(keys[0], pinned([file], names), names, file)
    with pytest.raises(HostKeyRefused):
        checked(keys[0], pinned([file], ["shop.example.org"]), ["shop.example.org"], file)


def test_pinning_again_changes_nothing_and_another_key_takes_the_old_ones_place(keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"# a remark\nother.example.org {keys[0]}")
    assert pin(file, ["i-0abc"], keys[0])
    assert not pin(file, ["i-0abc"], keys[0])
    assert pin(file, ["i-0abc"], keys[1])
    assert file.read_text() == f"# a remark\nother.example.org {keys[0]}\ni-0abc {keys[1]}\n"


def test_the_surest_name_alone_decides(keys, tmp_path):
    """An address that somebody else had before vouches for nobody whose own name is pinned."""
    file = tmp_path / "known_hosts"
    pin(file, ["198.51.100.1"], keys[0])
    pin(file, ["i-0abc"], keys[1])
    names = ["i-0abc", "198.51.100.1"]
    with pytest.raises(HostKeyRefused):
        checked(keys[0], pinned([file], names), names, file)
    checked(keys[1], pinned([file], names), names, file)


def test_hashed_names_are_known(keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"shop.example.org {keys[0]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "shop" not in file.read_text()
    assert [line.key for line in pinned([file], ["shop.example.org"])] == [keys[0]]
    assert pinned([file], ["other.example.org"]) == []
    assert pin(file, ["shop.example.org"], keys[1])
    assert file.read_text() == f"shop.example.org {keys[1]}\n"


def test_several_keys_of_one_type_may_be_pinned(keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"shop {keys[0]}\nshop {keys[1]}\n")
    for key in keys[:2]:
        checked(key, pinned([file], ["shop"]), ["shop"], file)


@pytest.mark.parametrize(
    "line",
    ["", "# shop {key}", "shop", "shop ssh-ed25519", "@cert-authority shop {key}", "|1|not|hashed {key}", "|1|x {key}"],
)
def test_lines_that_pin_nothing_are_passed_over(line, keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(line.format(key=keys[0]) + f"\nother {keys[0]}\n")
    assert pinned([file], ["shop"]) == []


def test_files_are_read_together_and_need_not_be_there(keys, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text(f"shop {keys[0]}\n")
    assert [line.place for line in pinned([tmp_path / "none", file], ["shop"])] == [f"{file}:1"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(HostError, match="cannot be read"):
        pinned([tmp_path], ["shop"])
