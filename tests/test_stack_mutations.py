"""The template's every value taken away, changed and widened: some check says so, or the value is prose."""

import pytest

from tests.test_stack_template import FULL, JUDGES, holds, read

PROSE = ("Description", "AlarmDescription", "GroupDescription", "Sid", "PolicyName")  # for people to read
EVERYTHING = "*"
FEWEST = {"taken away": 1_000, "changed": 600, "widened": 50}


@pytest.mark.parametrize("how", FEWEST)
def test_no_value_of_the_template_is_lost_without_a_word(how):
    stack = read(FULL)
    paths = [path for path in _paths(stack.resources) if _applies(how, path, _at(stack.resources, path))]
    assert len(paths) > FEWEST[how]
    passed = [path for path in paths if _passes(stack, path, how)]
    assert [".".join(map(str, path)) for path in passed if path[-1] not in PROSE] == []


def _applies(how, path, value):
    if how == "widened":
        return path[-1] in WIDE and value != EVERYTHING
    return how == "taken away" or not isinstance(value, dict | list)


WIDE = ("Action", "Resource", "Principal", "Service", "Federated", "CidrIp", "s3:prefix", "cloudwatch:namespace")


def _passes(stack, path, how):
    """Whether nobody says a word of it; the value is back afterwards."""
    place, last = _at(stack.resources, path[:-1]), path[-1]
    whole = place.copy()
    if how == "taken away":
        del place[last]
    else:
        place[last] = EVERYTHING if how == "widened" else _other(place[last])
    try:
        return all(holds(judge, stack) for judge in JUDGES)
    finally:
        _restore(place, whole)


def _restore(place, whole):
    """As it was, in its order."""
    place.clear()
    if isinstance(place, list):
        place.extend(whole)
    else:
        place.update(whole)


def _at(value, path):
    for step in path:
        value = value[step]
    return value


def _other(value):
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}X"


def _paths(value, way=()):
    if way:
        yield way
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in list(inside):
        yield from _paths(item, (*way, step))
