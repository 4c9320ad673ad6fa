"""Who may import whom, read from the code itself: the table of the house, kept by a machine."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "tasks.py", *(p for part in ("etl", "dashboard", "ops") for p in (ROOT / part).rglob("*.py"))]
)

# First prefix that fits a file -> the prefixes of ours that it may import.
OURS = {
    "tasks.py": ("etl", "ops", "dashboard"),
    "etl/errors.py": (),
    "etl/contract.py": ("etl.errors",),
    "etl/store/": ("etl.store", "etl.contract", "etl.errors"),
    "etl/": ("etl",),
    "dashboard/": (
        "dashboard",
        "etl.contract",
        "etl.store",
        "etl.errors",
        "ops.settings",
        "ops.monitoring",
        "ops.freshness",  # the two clocks, judged as `fab freshness` does
    ),
    "ops/settings.py": ("etl.errors",),
    "ops/uptime/probe.py": (),
    "ops/onhost/": ("ops.onhost",),
    "ops/monitoring.py": (),
    "ops/": ("ops", "etl.contract", "etl.store", "etl.errors", "etl.summary", "etl.progress"),
}

# Third party -> the only files that may import it.
HELD = {
    "boto3": ("etl/store/wire.py", "ops/alerts/sns.py", "ops/cloud/"),
    "botocore": ("etl/store/wire.py", "ops/alerts/sns.py", "ops/cloud/"),
    "types_boto3_s3": ("etl/store/", "ops/embedded.py", "ops/audit/kept.py"),
    "duckdb": ("etl/engine.py", "etl/sources.py"),
    "ibis": (
        "etl/engine.py",
        "etl/sources.py",
        "etl/clean.py",
        "etl/kpis.py",
        "etl/files.py",
        "etl/run.py",
        "etl/check.py",
    ),
    "fabric": ("tasks.py",),
    "invoke": ("tasks.py",),
    "packaging": ("ops/host/preflight.py", "ops/host/release.py"),
    "paramiko": ("ops/host/ssh",),  # ssh.py and what belongs to it
    "jinja2": ("ops/render.py",),
    "moto": ("ops/embedded.py",),
    "plotly": (
        "dashboard/chart_shapes.py",
        "dashboard/charts.py",
        "dashboard/overview_charts.py",
        "dashboard/product_charts.py",
        "dashboard/quality_charts.py",
        "dashboard/pages/",
    ),
    "pydantic": ("etl/contract.py", "ops/settings.py"),
    "pydantic_settings": ("ops/settings.py",),
    "python_calamine": ("etl/sources.py",),
    "requests": (
        "ops/alerts/",
        "ops/uptime/control.py",
        "ops/uptime/scheduled.py",
        "ops/demo.py",
        "ops/shown.py",
        "ops/doctor/outside.py",
    ),
    "rich": ("etl/progress.py",),
    "starlette": ("dashboard/server.py",),
    "yaml": ("ops/posture/expected.py",),
    "tenacity": ("etl/store/wire.py", "ops/alerts/wire.py"),
    "streamlit": (
        "dashboard/app.py",
        "dashboard/pages/",
        # the server, and what it visits its own pages with
        "dashboard/serve.py",
        "dashboard/server.py",
        "dashboard/release.py",
        "dashboard/page.py",
        "dashboard/visit.py",
        "dashboard/idle_page.py",
    ),
    "uvicorn": ("dashboard/serve.py", "dashboard/server.py", "dashboard/release.py"),
    "websockets": ("dashboard/visit.py", "dashboard/idle_page.py", "dashboard/relay.py", "ops/rehearse/load.py"),
}

# Plotly's slow door, and an S3 client that fights with boto3.
NOWHERE = ("plotly.express", "s3fs", "unittest.mock")


def imports(tree):
    """Every module that a syntax tree imports, anywhere in it; `from etl import clean` is etl.clean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"relative import of {node.module}"


def within(name, prefix):
    return name == prefix or name.startswith(f"{prefix}.")


def problems(file, source):
    """What a file imports that it may not."""
    allowed = next(prefixes for place, prefixes in OURS.items() if file.startswith(place))
    for name in imports(ast.parse(source)):
        top = name.partition(".")[0]
        if name.startswith("relative"):
            yield f"{file}: {name}"
        if top in ("etl", "ops", "dashboard", "tasks") and not any(within(name, prefix) for prefix in allowed):
            yield f"{file} may not import {name}"
        if top in HELD and not file.startswith(HELD[top]):
            yield f"{file} may not import {name}: only {', '.join(HELD[top])}"
        if any(within(name, prefix) for prefix in NOWHERE):
            yield f"{file} may not import {name}: nobody may"


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_only_what_its_place_in_the_house_allows(file):
    assert list(problems(file, (ROOT / file).read_text())) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("etl/kpis.py", "from ops.settings import load"),
        ("etl/kpis.py", "def f():\n    import boto3"),
        ("etl/contract.py", "from etl import store"),
        ("etl/run.py", "from .store import sha256"),
        ("dashboard/views.py", "import streamlit as st"),
        ("dashboard/data.py", "from etl.run import run"),
        ("dashboard/data.py", "from ops import demo"),
        ("dashboard/charts.py", "import plotly.express as px"),
        ("ops/demo.py", "from etl import run"),
        ("ops/uptime/probe.py", "from etl.errors import KpiOpsError"),
        ("ops/onhost/lock.py", "from etl.errors import KpiOpsError"),
        ("ops/host/deploy.py", "import fabric"),
        ("ops/freshness.py", "import requests"),
    ],
)
def test_the_rule_finds_what_it_forbids(file, source):
    assert list(problems(file, source))


def test_every_file_has_a_reason_to_be_in_its_first_line():
    nameless = [file for file in FILES if not ast.get_docstring(ast.parse((ROOT / file).read_text()))]
    assert nameless == []


def test_nothing_has_a_name_that_says_nothing():
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    assert [file for file in FILES if set(Path(file).with_suffix("").parts) & empty] == []


def test_every_package_is_installed():
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(said) == {Path(file).parent.as_posix().replace("/", ".") for file in FILES if file != "tasks.py"}


def test_the_host_lock_holds_nothing_that_only_the_operator_needs():
    lock = (ROOT / "requirements" / "host.txt").read_text()
    pinned = {line.partition("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith(" ")}
    assert {"streamlit", "boto3", "pandas"} <= pinned
    assert not pinned & {"duckdb", "ibis-framework", "fabric", "moto", "pytest", "playwright"}


@pytest.mark.parametrize("name", ["checkov", "host", "dev", "peers", "uptime", "uv"])
def test_a_lock_names_every_version_by_hash_and_no_address(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [line for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert entries
    assert all(line.endswith("\\") for line in entries)
    assert text.count("--hash=sha256:") >= len(entries)
    assert "://" not in text


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("ops/onhost/")])
def test_what_runs_on_the_host_as_root_needs_nothing_but_python(file):
    outside = {name.partition(".")[0] for name in imports(ast.parse((ROOT / file).read_text()))} - {"ops"}
    assert outside <= sys.stdlib_module_names
