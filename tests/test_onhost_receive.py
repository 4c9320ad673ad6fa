"""A release arrives: whole and as its manifest says, or not at all."""

import io
import json
import tarfile

import pytest

from ops.onhost import files, receive_step, record
from ops.onhost.digest import files_sha256
from ops.onhost.layout import RELEASES, Tree
from ops.onhost.machine import Machine
from ops.onhost.names import alias, checked, instance_of
from ops.onhost.trouble import CouldNot
from tests import onhost_stand_in

ID = "20261123t101500.ab12cd3"


@pytest.fixture
def machine(tmp_path):
    return Machine(Tree(tmp_path), lambda *_, **__: pytest.fail("no program is needed"), lambda: 7.0, lambda _: None)


def received(machine, packed, release=ID):
    return receive_step.step(machine, release, io.BytesIO(packed))


def arrived(machine):
    return sorted(path.name for path in machine.tree.at(RELEASES).iterdir())


def with_member(entry, body=b""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(body))
    return out.getvalue()


def member(name, kind=tarfile.REGTYPE, **facts):
    entry = tarfile.TarInfo(name)
    entry.type = kind
    for fact, value in facts.items():
        setattr(entry, fact, value)
    return entry


def test_a_release_is_unpacked_compiled_recorded_and_named(machine):
    said = received(machine, onhost_stand_in.packed(ID))
    home = machine.tree.release(ID)
    assert said == {"ok": True, "release": ID, "already": False, "bytes": said["bytes"]}
    assert json.loads((home / "release.json").read_text())["release"] == ID
    assert list((home / "dashboard/__pycache__").glob("serve.*.pyc"))
    assert {path.stat().st_mode & 0o777 for path in home.rglob("*") if path.is_file()} == {0o644}
    assert record.read(machine.tree, ID).arrived_at == 7.0
    assert arrived(machine) == [ID]


def test_the_same_release_is_taken_twice_without_a_change(machine):
    received(machine, onhost_stand_in.packed(ID))
    assert received(machine, onhost_stand_in.packed(ID))["already"]
    with pytest.raises(CouldNot, match="another release is called"):
        received(machine, onhost_stand_in.packed(ID, page="other"))
    assert arrived(machine) == [ID]


def test_what_a_killed_step_left_does_not_stand_in_the_way(machine):
    part = files.part(machine.tree.release(ID))
    (part / "dashboard").mkdir(parents=True)
    (part / "dashboard" / "serve.py").write_text("half")
    received(machine, onhost_stand_in.packed(ID))
    assert arrived(machine) == [ID]


@pytest.mark.parametrize("length", [0, 1, 100, 1000, -200])
def test_an_archive_that_was_cut_off_leaves_nothing(machine, length):
    with pytest.raises(CouldNot, match="damaged or was cut off"):
        received(machine, onhost_stand_in.packed(ID)[:length])
    assert arrived(machine) == []


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (with_member(member("../evil")), "no path within"),
        (with_member(member("/etc/evil")), "no path within"),
        (with_member(member("a/../../evil")), "no path within"),
        (with_member(member("x" * 500)), "no path within"),
        (with_member(member("a", tarfile.SYMTYPE, linkname="/etc/shadow")), "no plain file"),
        (with_member(member("a", tarfile.LNKTYPE, linkname="/etc/shadow")), "no plain file"),
        (with_member(member("a", tarfile.CHRTYPE)), "no plain file"),
        (with_member(member("a", tarfile.FIFOTYPE)), "no plain file"),
        (onhost_stand_in.packed("another"), "does not say that it is"),
        (onhost_stand_in.packed(ID, said={"files_sha256": "0"}), "not those that its release.json"),
        (onhost_stand_in.tar({"release.json": b"[]"}), "does not say that it is"),
    ],
)
def test_an_archive_that_is_not_what_it_says_is_refused_and_leaves_nothing(machine, packed, why):
    with pytest.raises(CouldNot, match=why):
        received(machine, packed)
    assert arrived(machine) == []


def test_a_file_that_is_in_it_twice_is_refused(machine):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(member("a"), io.BytesIO())
        archive.addfile(member("./a"), io.BytesIO())
    with pytest.raises(CouldNot, match="twice"):
        received(machine, out.getvalue())


def test_an_archive_larger_than_a_release_can_be_is_refused_by_its_first_header(machine):
    entry = member("huge", size=300 * 1024 * 1024)
    with pytest.raises(CouldNot, match="more than"):
        received(machine, entry.tobuf())


def test_a_file_with_wrong_syntax_is_the_gates_business(machine):
    content = onhost_stand_in.files()
    content["dashboard/serve.py"] = b"def"
    said = onhost_stand_in.manifest(ID, content)
    content["release.json"] = json.dumps(said).encode()
    assert received(machine, onhost_stand_in.tar(content))["ok"]


def test_a_digest_knows_names_and_contents_but_not_their_order_or_the_manifest():
    one = files_sha256({"a": b"1", "b": b"2"})
    assert one == files_sha256({"b": b"2", "a": b"1", "release.json": b"{}"})
    assert len({one, files_sha256({"a": b"2", "b": b"1"}), files_sha256({"a": b"1", "c": b"2"})}) == 3


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "a.", "A", "a b", "a-b", "a\n", "a" * 101, "-a", "a..b"])
def test_what_would_be_a_strange_path_or_unit_is_no_name(name):
    with pytest.raises(CouldNot, match="no name of a release"):
        checked(name)


def test_names_of_units_and_aliases():
    assert checked(ID) == ID
    assert instance_of("kpi-dashboard@a.1.service") == "a.1"
    assert instance_of("kpi-dashboard-failed@a.service") is None
    assert alias("a", 5, {"a.5", "a.6"}) == "a.7"


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "lines"
    path.write_text('{"whole": 1}\n{"ha')
    files.append(path, '{"next": 1}')
    assert path.read_text().splitlines() == ['{"whole": 1}', '{"ha', '{"next": 1}']


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000])
def test_a_damaged_document_is_as_none(tmp_path, text):
    (tmp_path / "x").write_text(text)
    assert files.read_json(tmp_path / "x") is None
    assert files.read_json(tmp_path / "none") is None
