"""metadata.json <-> Manifest: what is not exactly a manifest is a ContractError that says why."""

import json

import pytest

from etl.contract import ARTIFACTS, Manifest
from etl.errors import ContractError, ExitCode, KpiOpsError


@pytest.fixture(scope="module")
def text(sample_snapshot_dir):
    return (sample_snapshot_dir / "metadata.json").read_text()


def test_writing_what_was_read_gives_the_same_text(text):
    assert Manifest.from_json(text).to_json() == text


def test_a_later_minor_release_may_add_keys(text):
    said = json.loads(text) | {"quality": {"gaps": 3}}
    assert Manifest.from_json(json.dumps(said)).to_json() == text


def changed(text, *path, value):
    said = json.loads(text)
    place = said
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(said)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("run_id",), KeyError, "run_id: Field required"),
        (("run_id",), 7, "run_id: Input should be a valid string"),
        (("generated_at",), "2026-11-22T06:00:00", "generated_at: Value error, a time with Z"),
        (("generated_at",), 1763791200, "generated_at"),
        (("generated_at",), "yesterday", "generated_at"),
        (("generated_at",), "1732233600", "generated_at: Value error, a date like 2026-11-22"),
        (("generated_at",), "9999-12-31T23:59:59-23:59", "generated_at: Value error, a time of the years"),
        (("data_through",), "1732233600", "data_through: Value error, a date like 2026-11-22"),
        (("data_through",), "2026-13-01", "data_through"),
        (("data_through",), 20000, "data_through"),
        (("data_through",), "2001-01-01", "is after data_through"),
        (("rows_in",), 1, "rows_in 1 is not rows_kept"),
        (("rows_kept",), -1, "rows_kept"),
        (("rows_kept",), "5", "rows_kept"),
        (("rows_kept",), 5.0, "rows_kept"),
        (("quarantine",), {"dirty": 3}, "quarantine"),
        (("currency",), "pounds", "currency"),
        (("artifacts", "rfm"), KeyError, "artifact rfm is missing"),
        (("artifacts", "rfm", "columns"), {"customer_id": "string"}, "rfm has columns customer_id string, not"),
        (("artifacts", "rfm", "csv", "sha256"), "abc", "artifacts.rfm.csv.sha256"),
        (("artifacts", "rfm", "csv", "key"), "../../etc/passwd", "artifacts.rfm.csv.key"),
        (("artifacts", "rfm", "csv", "key"), "/etc/passwd", "artifacts.rfm.csv.key"),
        (("artifacts", "rfm", "csv", "rows"), 1, "rows as Parquet and 1 as CSV"),
        (("schema_version",), 2, "has schema_version 2"),
        (("schema_version",), 0, "has schema_version 0"),
    ],
)
def test_a_manifest_with_one_thing_wrong_is_refused_by_name(text, path, value, complaint):
    with pytest.raises(ContractError) as caught:
        Manifest.from_json(changed(text, *path, value=value))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("junk", ["", "{}", "[]", "null", "not json", "{", b"\xff\xfe", "[" * 100_000, " " * 2_000_000])
def test_what_is_no_manifest_at_all_is_refused(junk):
    with pytest.raises(ContractError):
        Manifest.from_json(junk)


def test_a_newer_schema_asks_for_a_newer_release_and_an_older_one_for_a_new_run(text):
    with pytest.raises(ContractError) as newer:
        Manifest.from_json(changed(text, "schema_version", value=2))
    with pytest.raises(ContractError) as older:
        Manifest.from_json(changed(text, "schema_version", value=0))
    assert "newer release" in newer.value.to_do
    assert "publish again" in older.value.to_do


def test_the_artifacts_are_those_of_the_contract():
    assert list(ARTIFACTS) == ["daily_kpis", "top_products", "rfm", "cohorts", "product_months", "sample_kpis"]


def test_a_snapshot_of_a_release_that_knew_fewer_artifacts_is_read(text):
    earlier = changed(text, "artifacts", "product_months", value=KeyError)
    assert "product_months" not in Manifest.from_json(earlier).artifacts
    with pytest.raises(ContractError, match="product_months has columns sku string, not"):
        Manifest.from_json(changed(text, "artifacts", "product_months", "columns", value={"sku": "string"}))


def test_every_error_says_what_was_seen_what_was_expected_and_what_to_do():
    error = KpiOpsError("a cat", expected="a dog", to_do="buy one")
    assert str(error) == "a cat\n  expected: a dog\n  to do:    buy one"


def test_exit_codes_are_those_of_the_command_surface():
    assert [code.value for code in ExitCode] == [0, 1, 2, 3, 75]
