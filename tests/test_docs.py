"""What the docs name is there: commands and their flags, targets of make, links, settings, paths, dependencies."""

import re
import tomllib
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ops.settings import TargetSettings
from tasks import ns

ROOT = Path(__file__).resolve().parent.parent
README, DEVELOPMENT = ROOT / "README.md", ROOT / "docs" / "development.md"
DOCS = [README, ROOT / ".github" / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FLAGS = {  # task -> flag -> whether a value follows
    context.name: {flag: argument.takes_value for flag, argument in context.flags.items()}
    for context in deepcopy(ns).to_contexts()  # it takes the help of tasks away
}
CORE = {"-H": True, "-i": True, "-t": True, "--list": False}  # of fab itself -> whether a value follows
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
OURS = r"(?:etl|ops|dashboard|templates|tests|requirements|docs|\.github)"
OTHER_FILES = {"maintenance"}  # sections of uptime/maintenance.toml


@dataclass(frozen=True)
class Page:
    """A page as a reader sees it: blocks and spans of code, what links lead to, the headings' anchors."""

    path: Path
    text: str
    blocks: list[str]
    spans: list[str]
    links: list[str]
    anchors: set[str]

    @property
    def code(self):
        return [*(line for block in self.blocks for line in block.splitlines()), *self.spans]


def page_of(text, path=README):
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    titles = [after.children for token, after in pairwise(tokens) if token.type == "heading_open"]
    return Page(
        path=path,
        text=text,
        blocks=[token.content for token in tokens if token.type in ("fence", "code_block")],
        spans=[child.content for child in inline if child.type == "code_inline"],
        links=[
            child.attrs.get("href") or child.attrs.get("src") for child in inline if {"href", "src"} & {*child.attrs}
        ],
        anchors={anchor_of("".join(child.content for child in title)) for title in titles},
    )


def anchor_of(title):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


# --- commands --------------------------------------------------------------------------------------------------------

COMMAND = re.compile(r"(?:^|(?<=[\s`|;(]))(?:\S*/)?fab (?P<rest>[^`|;#]*)")
BEGINS = re.compile(r"\s*(?:sudo )?(?:[A-Z_]+=\S+ )*(?:\S*/)?fab ")


def commands(page):
    """What is wrong with each `fab ...` of the code."""
    for line in page.code:
        for found in COMMAND.finditer(line):
            strict = found.start() == 0 or BEGINS.match(line[: found.start("rest")]) is not None
            yield from wrong_with(found["rest"].split(), strict=strict)


def wrong_with(words, *, strict):
    """`strict`: nothing but a command stands there, so that every word must be understood."""
    words, told, flags = list(words), "fab", CORE
    while words:
        word = words.pop(0)
        flag, _, value = word.partition("=")
        if flag in flags:
            if flags[flag] and not value and (not words or words.pop(0).startswith("-")):
                yield f"{told} {flag}: a value is missing"
        elif word.startswith("-"):
            yield f"{told} {word}: no such flag"
        elif flags is not CORE:
            if strict:
                yield f"{told}: what is {word!r}?"
            return
        elif (name := word.strip(".,:")) in FLAGS:
            told, flags = f"fab {name}", FLAGS[name]
        else:
            yield f"fab {word}: no such task"
            return


def targets(page):
    """Targets that the Makefile does not have, modules that `python -m` cannot find."""
    for line in page.code:
        for target in re.findall(r"(?:^|(?<=[\s`;]))make ([a-z][a-z-]*)", line):
            if target not in TARGETS:
                yield f"make {target}: no such target"
        for module in re.findall(rf"python3? -m ({OURS}(?:\.\w+)*)", line):
            place = ROOT / module.replace(".", "/")
            if not (place.with_suffix(".py").exists() or (place / "__main__.py").exists()):
                yield f"python -m {module}: no such module"


# --- links and paths -------------------------------------------------------------------------------------------------


def links(page):
    """Relative links that lead nowhere."""
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.path.parent / path if path else page.path
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in (page_of(target.read_text()).anchors if path else page.anchors):
            yield f"{link}: no such heading"


def paths(page):
    """Files and directories of ours that are not there."""
    for line in page.code:
        for named in re.findall(rf"(?<![\w./@-]){OURS}/[\w./@-]*", line):
            if not (ROOT / named.rstrip(".")).exists():
                yield f"{named}: no such path"


# --- settings --------------------------------------------------------------------------------------------------------


def sections():
    """Dotted section -> its keys; None where keys are free."""
    found = {}

    def walk(name, table):
        found[name] = set(table)
        for key, value in table.items():
            if isinstance(value, dict) and key != "min":
                walk(f"{name}.{key}" if name else key, value)

    walk("", tomllib.loads((ROOT / "settings.toml").read_text()))
    return found | {"uptime.targets": set(TargetSettings.model_fields), "host.environment": None}


SECTIONS = sections()
NAMED = re.compile(r"\[{1,2}([a-z][a-z0-9_.]*)\]{1,2}(?: +([a-z_]+)\b)?")
OF_SECTION = re.compile(r"`([a-z_]+)`(?: \([^)]*\))? in `\[([a-z0-9_.]+)\]`")


def settings(page):
    """Settings that settings.toml does not have."""
    for span in page.spans:
        if found := NAMED.match(span):
            yield from unknown(*found.groups())
    for key, section in OF_SECTION.findall(page.text):
        yield from unknown(section, key)
    for block in page.blocks:
        yield from wrong_in(block)
    for line in page.code:
        for variable in re.findall(r"\bKPI_[A-Z0-9_]+__[A-Z0-9_]+", line):
            section, _, key = variable.removeprefix("KPI_").lower().replace("__", ".").rpartition(".")
            yield from unknown(section, key)


def wrong_in(block):
    """A block of TOML: a section, then its keys."""
    section = None
    for line in block.splitlines():
        if found := NAMED.match(line.strip()):
            section = found[1]
            yield from unknown(section, found[2])
        elif section and (key := re.match(r"\s*([a-z_]+) *=", line)):
            yield from unknown(section, key[1])


def unknown(section, key):
    if section in OTHER_FILES:
        return
    if section not in SECTIONS:
        yield f"[{section}]: no such section"
    elif key and SECTIONS[section] is not None and key not in SECTIONS[section]:
        yield f"[{section}] {key}: no such setting"


# --- dependencies ----------------------------------------------------------------------------------------------------


def dependencies():
    """Every package that pyproject.toml asks for, by its bare name."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = said["project"]
    groups = [*project["optional-dependencies"].values(), *said["dependency-groups"].values()]
    asked = [*said["build-system"]["requires"], *project["dependencies"], *(one for group in groups for one in group)]
    return {re.match(r"[A-Za-z0-9-]+", one)[0] for one in asked}


def reasons(text):
    """The packages that a table below the heading Dependencies gives a reason for."""
    part = text.partition("\n## Dependencies")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([A-Za-z0-9-]+)` \| [^|\s]", part, re.MULTILINE))


# --- the tests -------------------------------------------------------------------------------------------------------

CHECKS = [commands, targets, links, paths, settings]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_what_a_page_names_is_there(path, check):
    assert list(check(page_of(path.read_text(), path))) == []


@pytest.mark.parametrize(
    ("check", "text", "said"),
    [
        (commands, "    .venv/bin/fab polish\n", "fab polish: no such task"),
        (commands, "    fab deploy --harder\n", "fab deploy --harder: no such flag"),
        (commands, "    fab -H ubuntu@203.0.113.7 -i KEY deploy --ref\n", "fab deploy --ref: a value is missing"),
        (commands, "    fab deploy --wait --plan\n", "fab deploy --wait: a value is missing"),
        (commands, "    fab rollback v1.2\n", "fab rollback: what is 'v1.2'?"),
        (commands, "    fab etl --source x.csv    # then `fab publish`\n", "fab publish: no such task"),
        (commands, "Type `fab logs --colour` there.\n", "fab logs --colour: no such flag"),
        (commands, "    to do:    fab bootstrap --now, and look\n", "fab bootstrap --now,: no such flag"),
        (targets, "    make coffee\n", "make coffee: no such target"),
        (targets, "Then `make chek`.\n", "make chek: no such target"),
        (targets, "    python -m ops.downtime\n", "python -m ops.downtime: no such module"),
        (links, "See [there](docs/nowhere.md).\n", "docs/nowhere.md: no such file"),
        (links, "![A picture](docs/nothing.png)\n", "docs/nothing.png: no such file"),
        (links, "See [there](docs/deploy.md#going-forth).\n", "docs/deploy.md#going-forth: no such heading"),
        (links, "# One\n\nSee [below](#two).\n", "#two: no such heading"),
        (paths, "It is in `ops/stack/price.toml`.\n", "ops/stack/price.toml: no such path"),
        (settings, "Set `[host] domian`.\n", "[host] domian: no such setting"),
        (settings, "Set `[hots] domain`.\n", "[hots]: no such section"),
        (settings, "It is `buket` in `[s3]`.\n", "[s3] buket: no such setting"),
        (settings, "    [stack]\n    disk = 20\n", "[stack] disk: no such setting"),
        (settings, "    [[uptime.targets]]\n    adress = 1\n", "[uptime.targets] adress: no such setting"),
        (settings, "    KPI_S3__BUKET=mine fab etl\n", "[s3] buket: no such setting"),
    ],
)
def test_what_is_not_there_is_found(check, text, said):
    assert list(check(page_of(text))) == [said]


@pytest.mark.parametrize(
    "text",
    [
        "    sudo .venv/bin/fab rehearse        # a word on it\n",
        "    fab -H ubuntu@203.0.113.7 -i ~/.ssh/shop doctor --json\n",
        "    fab etl --source a.csv --source b.xlsx --drop-duplicates\n",
        "    to do:    publish with `fab etl-sync`, and find out why nobody has\n",
        "    way back   fab rollback   (to 20261123T060000Z)\n",
        "    make bench BENCH=truth\n    make PYTHON=python3.13 setup\n",
        "See [there](docs/deploy.md#going-back), [here](#one) and [far away](https://example.org/x).\n\n# One\n",
        "Run `ops/uptime/probe.py`; `/opt/kpi-ops` is another thing.\n",
        "    [host.environment]\n    AWS_DEFAULT_REGION = 1\n\n    [host] gateway = 'x'\n",
        "    [[maintenance]]\n    zone = 1\n",
    ],
)
def test_what_is_there_passes(text):
    assert [found for check in CHECKS for found in check(page_of(text))] == []


def test_every_dependency_has_its_reason_in_one_line_and_no_other_package_has():
    assert reasons(DEVELOPMENT.read_text()) == dependencies()


def test_a_dependency_without_a_reason_is_found():
    told = "\n## Dependencies\n\n| `boto3` | S3 |\n| `pandas` | |\n\n## Else\n\n| `ruff` | lint |\n"
    assert reasons(told) == {"boto3"}


def test_the_readme_leads_to_every_page():
    led_to = {
        (ROOT / link.partition("#")[0]).resolve() for link in page_of(README.read_text()).links if "://" not in link
    }
    assert {path for path in DOCS if path != README} - led_to == set()


def pages_named(text):
    """Pages of the docs that a message, a comment or a unit sends its reader to."""
    return set(re.findall(r"\bdocs/[\w.-]+\.md\b", text))


def test_the_pages_that_code_and_settings_send_people_to_are_there():
    places = [ROOT / "settings.toml", ROOT / "Makefile", ROOT / "tasks.py", *(ROOT / "templates").iterdir()]
    places += [path for part in ("etl", "ops", "dashboard") for path in (ROOT / part).rglob("*.py")]
    named = {page for place in places for page in pages_named(place.read_text())}
    assert "docs/when-it-is-down.md" in named
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []
