"""Artifacts are looked at before they are written: what breaks a rule is named with its rows, and nothing is made."""

import re

import pytest

from etl import engine, files, rules
from etl.contract import ARTIFACTS


@pytest.fixture
def machine(tmp_path):
    made = engine.connect(tmp_path, 0)
    yield made
    made.close()


VALUES = {
    "string": "'x'",
    "int64": "1",
    "float64": "0.5",
    "bool": "true",
    "date": "DATE '2026-03-02'",
    "timestamp": "TIMESTAMP '2026-03-02 10:00:00'",
}
SOUND = {
    "daily_kpis": {"net_sales": "0", "total_sales": "1", "customers": "2"},
    "top_products": {"net_sales": "0", "abc_class": "'A'"},
    "product_months": {"net_sales": "0"},
    "sample_kpis": {"kind": "'sale'"},
}


def table(artifact, **changed):
    """One sound row of an artifact, with changes."""
    values = {column.name: VALUES[column.type] for column in ARTIFACTS[artifact]} | SOUND.get(artifact, {}) | changed
    cells = ", ".join(f'{value} AS "{name}"' for name, value in values.items())
    return f"SELECT {cells}"


def written(machine, artifact, *rows, directory):
    machine.backend.con.execute(f'CREATE OR REPLACE TEMP TABLE "given" AS {" UNION ALL ".join(rows)}')
    kinds = {column.name: column.type.replace("bool", "boolean") for column in ARTIFACTS[artifact]}
    return files.write_artifact(machine, artifact, engine.table("given", kinds), directory)


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_a_sound_row_is_written(machine, artifact, tmp_path):
    assert written(machine, artifact, table(artifact), directory=tmp_path).csv.rows == 1


NULLS = [
    (artifact, column.name) for artifact, columns in ARTIFACTS.items() for column in columns if not column.nullable
]


@pytest.mark.parametrize(("artifact", "column"), NULLS)
def test_a_hole_is_named_with_artifact_and_column(machine, artifact, column, tmp_path):
    with pytest.raises(
        AssertionError, match=rf"{artifact} is not written: 1 rows break the rule 'not null' of {column}:"
    ):
        written(machine, artifact, table(artifact, **{column: "NULL"}), directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("artifact", rules.KEYS)
def test_a_key_that_is_there_twice_is_named(machine, artifact, tmp_path):
    row = table(artifact)
    columns = ", ".join(rules.KEYS[artifact])
    with pytest.raises(AssertionError, match=rf"1 rows break the rule 'unique' of {columns}:"):
        written(machine, artifact, row, row, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


BROKEN = {
    ("daily_kpis", "net_sales"): "7",
    ("daily_kpis", "total_sales"): "7",
    ("daily_kpis", "returning_customers"): "7",
    ("daily_kpis", "units"): "-1",
    ("top_products", "returns"): "7",
    ("top_products", "orders"): "0",
    ("top_products", "abc_class"): "'D'",
    ("top_products", "last_sold"): "DATE '2026-03-01'",
    ("product_months", "gross_sales"): "7",
    ("product_months", "units"): "-1",
    ("rfm", "r_score"): "0",
    ("rfm", "m_score"): "6",
    ("rfm", "frequency"): "0",
    ("rfm", "first_order"): "DATE '2026-03-03'",
    ("cohorts", "active"): "2",
    ("cohorts", "months_since"): "-1",
    ("sample_kpis", "kind"): "'gift'",
}


@pytest.mark.parametrize(("artifact", "column"), BROKEN)
def test_sums_and_ranges_that_do_not_hold_are_named_with_the_row(machine, artifact, column, tmp_path):
    with pytest.raises(AssertionError) as caught:
        written(machine, artifact, table(artifact, **{column: BROKEN[artifact, column]}), directory=tmp_path)
    assert re.match(rf"{artifact} is not written: 1 rows break the rule .* of .*{column}.*:\n    \(", str(caught.value))
    assert list(tmp_path.iterdir()) == []


def test_every_rule_of_sums_and_ranges_is_broken_by_one_of_these():
    wanted = {(artifact, words) for artifact, listed in rules.AGREE.items() for words in listed}
    covered = {
        (artifact, rule.words)
        for artifact, column in BROKEN
        for rule in rules.rules(artifact)
        if rule.words in rules.AGREE[artifact] and column in rule.columns
    }
    assert wanted <= covered


def test_of_many_broken_rows_three_are_shown(machine, tmp_path):
    rows = [table("sample_kpis", invoice=f"'{number}'", kind="'gift'") for number in range(9)]
    with pytest.raises(AssertionError, match="9 rows break the rule") as caught:
        written(machine, "sample_kpis", *rows, directory=tmp_path)
    assert str(caught.value).count("\n    (") == 3
