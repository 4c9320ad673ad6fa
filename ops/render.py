"""Text from the templates in templates/. The only importer of Jinja."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def render(template_name: str, **values: object) -> str:
    """The template filled in. Raises jinja2.UndefinedError where it names a value that was not given."""
    return _environment().get_template(template_name).render(values)


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
