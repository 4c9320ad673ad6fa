"""The docs against what there is: commands and flags, targets of make, settings, files, links, dependencies."""

import inspect
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ops.settings import Settings
from tasks import ns

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
FAB = re.compile(r"(?:^|[\s`(/])fab +((?:-H \S+ +)?(?:-i \S+ +)?[a-z][a-z-]*(?: +[^`|#;&,)\n]*)?)")
OWN_FLAGS = {"--help"}
SECTION = re.compile(r"\[([a-z_.]+)\]")
MADE_THERE = ("data/", "uptime/", "processed/", "ops/audit/", "rendered/")  # by commands, not in git


def code(text):
    """What stands as code: blocks line by line, and the pieces within sentences."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in ("fence", "code_block"):
            yield from token.content.splitlines()
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def known_flags(task):
    """Of its own: Invoke's way of asking takes the help of a task away."""
    parameters = list(inspect.signature(task.body).parameters)[1:]
    return {f"--{name.replace('_', '-')}" for name in parameters} | OWN_FLAGS


def wrong_commands(text):
    """Of the `fab ...` in a text, those that nobody can type."""
    tasks = ns.tasks
    for line in code(text):
        for found in FAB.finditer(f" {line}"):
            words = shlex.split(re.sub(r"-H \S+ +|-i \S+ +", "", found[1]).replace("'", ""), comments=True)
            name = words[0]
            if name not in tasks:
                yield f"fab {name}"
                continue
            used = {word.partition("=")[0] for word in words[1:] if word.startswith("--")}
            yield from (f"fab {name} {flag}" for flag in sorted(used - known_flags(tasks[name])))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_flag_that_is_named_exists(name):
    assert list(wrong_commands((ROOT / name).read_text())) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`fab depoly`", ["fab depoly"]),
        ("    .venv/bin/fab deploy --reff x   # a word", ["fab deploy --reff"]),
        ("| `fab -H ann@host -i key.pem status --jsn` |", ["fab status --jsn"]),
        ("`fab deploy --ref v1 --plan`, and `fab etl-sync --source a.csv --force`", []),
        ("fab is a word", []),
        ("```\nfab rollback --to R && fab stauts\n```", ["fab stauts"]),
    ],
)
def test_a_command_that_nobody_can_type_is_found(text, wrong):
    assert list(wrong_commands(text)) == wrong


TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def wrong_targets(text):
    for line in code(text):
        for found in re.finditer(r"(?:^|[\s`])make ((?:[A-Z_]+=\S+ )*)([a-z-]+)", line):
            if found[2] not in TARGETS:
                yield f"make {found[2]}"


@pytest.mark.parametrize("name", NAMES)
def test_every_target_of_make_that_is_named_exists(name):
    assert list(wrong_targets((ROOT / name).read_text())) == []


def test_a_target_that_is_none_is_found():
    assert list(wrong_targets("`make tset`, `KPI_X=1 make demo`, `make PYTHON=python3.13 cehck`")) == [
        "make tset",
        "make cehck",
    ]


# --- links


def anchors(text):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def wrong_links(text, page):
    for found in re.finditer(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = found[1].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.read_text())):
            yield found[1]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name):
    page = ROOT / name
    assert list(wrong_links(page.read_text(), page)) == []


def test_a_link_that_leads_nowhere_is_found():
    text = "[a](deploy.md) [b](deploy.md#going-back) [c](deploy.md#nowhere) [d](gone.md) [e](https://example.com/x)"
    assert list(wrong_links(text, ROOT / "docs" / "host.md")) == ["deploy.md#nowhere", "gone.md"]


def test_every_page_is_found_from_the_readme():
    text = (ROOT / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []


# --- settings


def known_sections():
    values = tomllib.loads((ROOT / "settings.toml").read_text())

    def walk(prefix, value):
        if isinstance(value, dict):
            yield prefix, set(value)
            for name, below in value.items():
                yield from walk(f"{prefix}.{name}" if prefix else name, below)

    found = dict(walk("", values))
    for section, fields in (("host", Settings().host), ("stack", Settings().stack)):
        found[section] |= set(type(fields).model_fields)
    return found


SECTIONS = known_sections() | {
    "uptime.targets": {"name", "kind", "url", "min", "text", "pages", "signed_in"},
    "maintenance": set(),
}


def wrong_settings(text):
    """`[section]` and `[section] key` in code that settings.toml does not have."""
    for line in code(text):
        found = re.match(r"\[\[?([a-z_]+(?:\.[a-z_]+)*)\]\]?(?: ([a-z0-9_]+))?", line)
        if not found or line.startswith("[]"):
            continue
        section, key = found[1], found[2]
        if section not in SECTIONS:
            yield f"[{section}]"
        elif key and key not in SECTIONS[section]:
            yield f"[{section}] {key}"


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_that_is_named_exists(name):
    assert list(wrong_settings((ROOT / name).read_text())) == []


def test_a_setting_that_is_none_is_found():
    text = "`[host] adress`, `[hosts]`, `[stack] disk_gb`, `[stack.github] etl_source = 1`"
    assert list(wrong_settings(text)) == ["[host] adress", "[hosts]"]


# --- files and dependencies


FILE = re.compile(r"(?:^|[\s(])((?:etl|ops|dashboard|templates|tests|docs|\.github|\.ci)/[\w./-]*)")


def wrong_files(text):
    """Paths of this tree that are named and are not there; with a star or dots they stand for many."""
    for piece in code(text):
        for found in re.findall(
            r"(?:^|[\s(])((?:etl|ops|dashboard|templates|tests|docs|\.github|\.ci)/[\w./-]*)", piece
        ):
            if not found.startswith(MADE_THERE) and not (ROOT / found).exists() and not list(ROOT.glob(f"{found}*")):
                yield found


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_is_named_is_there(name):
    assert list(wrong_files((ROOT / name).read_text())) == []


def test_a_file_that_is_gone_is_found():
    assert list(wrong_files("`etl/clean.py` `ops/nowhere.py` `dashboard/*_views.py` `tests/host/`")) == [
        "ops/nowhere.py"
    ]


def test_every_dependency_is_named_with_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    names = {re.match(r"[A-Za-z0-9-]+", each)[0] for group in groups for each in group}
    text = (ROOT / "docs" / "development.md").read_text()
    assert sorted(name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)) == []


def test_the_prices_of_the_docs_are_those_of_the_estimate():
    prices = tomllib.loads((ROOT / "ops" / "stack" / "prices.toml").read_text())
    text = (ROOT / "docs" / "cost.md").read_text()
    assert f"Read on {prices['as_of']}" in text
    regions = re.findall(r"[a-z]+-[a-z]+-[0-9]", text.split("\n|---")[0])
    hours = [prices["regions"][region]["instance_hour"]["t2.micro"] * prices["hours_a_month"] for region in regions]
    (told,) = re.findall(r"^\| t2.micro, 730 hours \|(.*)\|$", text, re.MULTILINE)
    assert [cell.strip() for cell in told.split("|")] == [f"{each:.2f}" for each in hours]
