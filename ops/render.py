"""Text from the templates in templates/, and files written whole. The only importer of Jinja."""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from etl.errors import KpiOpsError

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def render(template_name: str, **values: object) -> str:
    """The template filled in. Raises jinja2.UndefinedError where it names a value that was not given."""
    return _environment().get_template(template_name).render(values)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that who reads it at any moment has the old one or the new one, whole. Raises KpiOpsError."""
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise KpiOpsError(
            f"cannot write {path}: {error.strerror or error}",
            expected="a file that this user may write",
            to_do="name another, or mend its rights",
        ) from error


def write_changed(path: Path, text: str) -> bool:
    """Write a file as `write_whole` does, unless it holds just that; whether it was written. Raises KpiOpsError."""
    try:
        same = path.read_bytes() == text.encode()
    except OSError:  # not there yet, or unreadable: writing will tell
        same = False
    if not same:
        write_whole(path, text)
    return not same


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Units, templates and Markdown are no markup.
        autoescape=select_autoescape(enabled_extensions=("svg.j2", "html.j2"), default=False),
    )
