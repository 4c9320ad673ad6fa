"""Metric filter patterns of CloudWatch Logs, as far as ours go, judged on a line as the service judges them.

PATTERN = { EXPRESSION }    EXPRESSION = TERM (&& TERM)* | TERM (|| TERM)*    TERM = (EXPRESSION) | $.KEY TEST
TEST = = "TEXT with *" | >= NUMBER | IS TRUE | IS FALSE | IS NULL
"""

import fnmatch
import json
import re

TOKEN = re.compile(r'\s*(\$\.\w+|"[^"]*"|&&|\|\||>=|=|[(){}]|IS\s+(?:TRUE|FALSE|NULL)|-?\d+(?:\.\d+)?)')


def tokens(pattern):
    """The words of a pattern; raises ValueError for what is none."""
    found, at = [], 0
    while at < len(pattern.rstrip()):
        match = TOKEN.match(pattern, at)
        if not match:
            raise ValueError(f"no word of a filter pattern: {pattern[at:]}")
        found.append(match[1])
        at = match.end()
    return found


def keys(pattern):
    """The keys that a pattern asks for."""
    return {word.removeprefix("$.") for word in tokens(pattern) if word.startswith("$.")}


def fits(pattern, line):
    """Whether a log event fits; one that is no JSON object fits none."""
    try:
        event = json.loads(line)
    except ValueError:
        return False
    if not isinstance(event, dict):
        return False
    words = tokens(pattern)
    assert (words[0], words[-1]) == ("{", "}")
    inside = words[1:-1]
    value = _expression(inside, event)
    assert not inside, f"left over: {inside}"
    return value


def number(value, line):
    """The number that a fitting event gives: a constant, or that of a key; None where it is no number."""
    if not value.startswith("$."):
        return float(value)
    found = json.loads(line).get(value.removeprefix("$."))
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _expression(words, event):
    values, joined = [_term(words, event)], set()
    while words and words[0] in ("&&", "||"):
        joined.add(words.pop(0))
        values.append(_term(words, event))
    assert len(joined) < 2, "&& and || side by side: which binds first is nobody's to know"
    return any(values) if "||" in joined else all(values)


def _term(words, event):
    first = words.pop(0)
    if first == "(":
        value = _expression(words, event)
        assert words.pop(0) == ")"
        return value
    return _test(event.get(first.removeprefix("$."), ...), words)


def _test(found, words):
    match words.pop(0):
        case "=":
            wanted = words.pop(0).strip('"')
            return isinstance(found, str) and fnmatch.fnmatchcase(found, wanted)
        case ">=":
            wanted = float(words.pop(0))
            return isinstance(found, int | float) and not isinstance(found, bool) and found >= wanted
        case constant:
            return found is {"TRUE": True, "FALSE": False, "NULL": None}[constant.split()[1]]
