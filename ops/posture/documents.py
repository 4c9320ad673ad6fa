"""Whether two policy documents say the same, however it is written. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ops.stack.policy import PolicyError, read

UNSAID = ("Sid",)
LISTS = ("Action", "NotAction", "Resource", "NotResource")
PEOPLE = ("Principal", "NotPrincipal")


def differences(found: Mapping[str, Any] | str | None, wanted: Mapping[str, Any]) -> Iterator[str]:
    """What a live document says besides, and what it does not say, statement by statement."""
    try:
        there = Counter(_statements(read(found) if isinstance(found, str) else found or {"Statement": []}))
    except PolicyError as error:
        yield f"it is not understood: {error}"
        return
    expected = Counter(_statements(wanted))
    for statement in (there - expected).elements():
        yield f"says besides: {statement}"
    for statement in (expected - there).elements():
        yield f"does not say: {statement}"


def _statements(document: Mapping[str, Any]) -> list[str]:
    """Each as text that is the same for the same meaning."""
    said = document.get("Statement", [])
    return [json.dumps(_plain(one), sort_keys=True) for one in (said if isinstance(said, list) else [said])]


def _plain(statement: Mapping[str, Any]) -> dict[str, Any]:
    return {element: _element(element, value) for element, value in statement.items() if element not in UNSAID}


def _element(element: str, value: Any) -> Any:
    if element in LISTS:
        actions = element.endswith("Action")
        return sorted(item.lower() if actions else item for item in map(str, _listed(value)))
    if element in PEOPLE:
        named = {"AWS": "*"} if value == "*" else value
        return {kind: sorted(map(str, _listed(names))) for kind, names in named.items()}
    if element == "Condition":
        return {operator: {key.lower(): _values(of) for key, of in keys.items()} for operator, keys in value.items()}
    return value


def _values(value: Any) -> list[str]:
    """As JSON has them: true is "true"."""
    return sorted(str(item).lower() if isinstance(item, bool) else str(item) for item in _listed(value))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
