"""Where this host's pip is told to install from, handed on to uv, which does not ask pip. Pure."""

import ast
from collections.abc import Mapping

# pip's name of a setting -> the variable that says the same to uv
_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "proxy": "HTTPS_PROXY",
}
_SECTIONS = ("global.", "install.", ":env:.")  # a later one wins


def for_uv(listed: str) -> dict[str, str]:
    """Variables, from what `pip config list` prints: a line like global.index-url='https://...' for each setting."""
    values: dict[str, str] = {}
    for section in _SECTIONS:
        for name, value in _settings(listed).items():
            variable = _VARIABLES.get(name.removeprefix(section)) if name.startswith(section) else None
            if variable:
                values[variable] = " ".join(value.split())
    return values


def _settings(listed: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in listed.splitlines())
    return {name.strip(): str(_value(value)) for name, _, value in pairs}


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
