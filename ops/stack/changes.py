"""What a change set would do, in rows a person reads before it is done. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Does = Literal["add", "take over", "change", "replace", "may replace", "remove"]

# The order in which they are shown, and what is said where there are some.
GROUPS: tuple[Does, ...] = ("add", "take over", "change", "may replace", "replace", "remove")
GUARDED = frozenset({"AWS::EC2::Instance", "AWS::S3::Bucket"})  # what people have put something into
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
LONGEST_VALUE = 100
_DOES: Mapping[str, Does] = {"Add": "add", "Import": "take over", "Remove": "remove"}
_REPLACES: Mapping[str, Does] = {"True": "replace", "Conditional": "may replace"}


@dataclass(frozen=True, slots=True)
class Property:
    """One property; a value that is not told is None. `recreates`: Never, Conditionally, Always or ""."""

    path: str
    before: str | None
    after: str | None
    recreates: str = ""

    @property
    def text(self) -> str:
        """PATH: BEFORE -> AFTER"""
        if self.before is None and self.after is None:
            return self.path
        return f"{self.path}: {_short(self.before)} -> {_short(self.after)}"


@dataclass(frozen=True, slots=True)
class Row:
    """What would be done to one resource. `physical_id` is "" where there is none yet."""

    does: Does
    logical_id: str
    type: str
    physical_id: str
    properties: tuple[Property, ...] = ()
    keeps: bool = False

    @property
    def guarded(self) -> bool:
        """It takes away an instance or a bucket that may hold what nothing else holds."""
        return self.type in GUARDED and self.does in ("replace", "may replace", "remove")


def nothing_changes(reason: str) -> bool:
    """Whether a change set failed because there is nothing to change: CloudFormation says it in words alone."""
    return any(words in reason for words in NO_CHANGES)


def rows(changes: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """The rows of DescribeChangeSet's Changes, in the order of GROUPS and then by name."""
    found = [_row(change["ResourceChange"]) for change in changes if "ResourceChange" in change]
    return tuple(sorted(found, key=lambda row: (GROUPS.index(row.does), row.logical_id)))


def _row(said: Mapping[str, Any]) -> Row:
    action = said["Action"]
    does = _DOES.get(action) or _REPLACES.get(said.get("Replacement", ""), "change")
    return Row(
        does=does,
        logical_id=said["LogicalResourceId"],
        type=said.get("ResourceType", ""),
        physical_id=said.get("PhysicalResourceId", ""),
        properties=() if action in ("Add", "Import") else tuple(_properties(said)),
        keeps=said.get("PolicyAction", "").endswith("Retain"),
    )


# --- properties ------------------------------------------------------------------------------------------------------


def _properties(said: Mapping[str, Any]) -> list[Property]:
    """Each property once: CloudFormation names one for every way in which it is changed. The gravest counts."""
    graves = ("", "Never", "Conditionally", "Always")
    found: dict[str, Property] = {}
    before, after = (_document(said.get(f"{side}Context")) for side in ("Before", "After"))
    for detail in said.get("Details") or ():
        one = _property(detail.get("Target") or {}, before, after)
        known = found.get(one.path)
        if known is None or graves.index(known.recreates) < graves.index(one.recreates):
            found[one.path] = one
    return sorted(found.values(), key=lambda one: one.path)


def _property(target: Mapping[str, Any], before: Any, after: Any) -> Property:
    keys = [key for key in (target.get("Attribute", "Properties"), target.get("Name")) if key]
    recreates = target.get("RequiresRecreation", "")
    return Property(
        path=target.get("Path") or "/" + "/".join(keys),
        before=_told(target.get("BeforeValue"), _within(before, keys)),
        after=_told(target.get("AfterValue"), _within(after, keys)),
        recreates=recreates if recreates in ("Never", "Conditionally", "Always") else "",
    )


def _document(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _within(document: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _told(value: str | None, otherwise: Any) -> str | None:
    if value is not None or otherwise is None:
        return value
    return otherwise if isinstance(otherwise, str) else json.dumps(otherwise, sort_keys=True)


def _short(value: str | None) -> str:
    if value is None:
        return "(none)"
    one_line = " ".join(value.split())
    if len(one_line) <= LONGEST_VALUE:
        return one_line or '""'
    return f"{one_line[:LONGEST_VALUE]}... ({len(value)} characters)"


# --- words -----------------------------------------------------------------------------------------------------------


def text(rows: Sequence[Row]) -> str:
    """The rows by group, and a line that counts them."""
    return "\n".join([*_lines(rows), summary(rows)])


def summary(rows: Sequence[Row]) -> str:
    """As 24 to add, 1 to change"""
    counts = [(sum(row.does == does for row in rows), does) for does in GROUPS]
    return ", ".join(f"{count} to {_DOING.get(does, does)}" for count, does in counts if count) or "no changes"


_DOING = {"may replace": "change, perhaps by replacing"}


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    width = max((len(row.logical_id) for row in rows), default=0)
    for does in GROUPS:
        group = [row for row in rows if row.does == does]
        if group:
            yield f"{does}:"
        for row in group:
            yield f"  {row.logical_id:<{width}}  {row.type}  {_which(row)}".rstrip()
            yield from (f"      {one.text}" for one in row.properties)
        if group:
            yield ""


def _which(row: Row) -> str:
    return f"{row.physical_id} (left as it is, outside the stack)" if row.keeps else row.physical_id


def refusal(rows: Sequence[Row]) -> tuple[str, ...]:
    """Why it is not done without being asked for: what would take away an instance or a bucket; () where nothing."""
    return tuple(_guard_line(row) for row in rows if row.guarded)


def _guard_line(row: Row) -> str:
    causes = [one.text for one in row.properties if one.recreates != "Never"] or [one.text for one in row.properties]
    because = f": {'; '.join(causes)}" if causes else ""
    return f"{row.logical_id} ({row.type} {row.physical_id}) would be {_DONE[row.does]}{because}"


_DONE: Mapping[Does, str] = {
    "replace": "replaced",
    "may replace": "changed, perhaps by replacing it",
    "remove": "removed",
}
