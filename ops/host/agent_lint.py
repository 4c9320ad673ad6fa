"""What is wrong with a configuration of the CloudWatch agent, before it is sent to a host. Pure.

The vendor's schema passes over misspelled measurements and sections, files that nobody writes, tokens that nothing
replaces, and all that only our role, our journal and our log groups make wrong. The agent does so as well, in silence.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from ops import monitoring
from ops.host.agent_config import Configuration, Version, reads_journal

Check: TypeAlias = Callable[[str, object], Iterator[str]]

RETENTION_DAYS: Final = frozenset({1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653})
MEASUREMENTS: Final = {
    "mem": "active available available_percent buffered cached free inactive shared total used used_percent",
    "swap": "free used used_percent",
    "disk": "free inodes_free inodes_total inodes_used total used used_percent",
}
# The others take rights that the role does not have, or are not replaced.
TOKENS: Final = {name: f"${{aws:{name}}}" for name in ("ImageId", "InstanceId", "InstanceType")}
PRIORITIES: Final = frozenset({"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"})
STREAMS: Final = frozenset({"{instance_id}", "{hostname}", "{local_hostname}", "{ip_address}"})
SHORTEST_S, LONGEST_S = 10, 3600  # more often costs more, more seldom is too late for an alarm


def problems(configured: Configuration, version: Version | None, written: Collection[str]) -> list[str]:
    """A line for each thing that is wrong. `version`: the agent's, None for the newest; `written`: existing files."""
    return list(_configuration(version, written)("configuration", configured))


# --- what a value may be


def _one_of(allowed: Collection[object]) -> Check:
    def check(place: str, value: object) -> Iterator[str]:
        if isinstance(value, bool | list | dict) or value not in allowed:
            yield f"{place}: {value!r} {_instead(str(value), allowed)}"

    return check


def _integer(low: int, high: int) -> Check:
    def check(place: str, value: object) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            yield f"{place}: {value!r}, where a whole number from {low} to {high} is expected"

    return check


def _text(pattern: str, expected: str) -> Check:
    def check(place: str, value: object) -> Iterator[str]:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield f"{place}: {value!r}, where {expected} is expected"

    return check


def _flag(place: str, value: object) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{place}: {value!r}, where true or false is expected"


def _each(check: Check) -> Check:
    """A list with something in it, and nothing twice."""

    def check_each(place: str, value: object) -> Iterator[str]:
        if not isinstance(value, list) or not value:
            yield f"{place}: {value!r}, where a list with something in it is expected"
            return
        for number, item in enumerate(value):
            yield from check(f"{place}[{number}]", item)
            if item in value[:number]:
                yield f"{place}[{number}]: {item!r} stands there twice"

    return check_each


def _keys(checks: Mapping[str, Check], *, required: Iterable[str] = ()) -> Check:
    """An object with these keys and no others."""

    def check(place: str, value: object) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{place}: {value!r}, where an object is expected"
            return
        yield from (f"{place}: {name} is missing" for name in required if name not in value)
        for name, part in value.items():
            if name in checks:
                yield from checks[name](f"{place}.{name}", part)
            else:
                yield f"{place}: {name} {_instead(name, checks)}"

    return check


def _instead(name: str, allowed: Collection[object]) -> str:
    near = difflib.get_close_matches(name, [str(known) for known in allowed], n=1)
    return "is not known" + (f"; did you mean {near[0]}?" if near else "")


# --- what the agent's configuration is made of


def _configuration(version: Version | None, written: Collection[str]) -> Check:
    return _keys(
        {"agent": _agent(), "metrics": _metrics(), "logs": _logs(version, written)},
        required=("agent", "metrics", "logs"),
    )


def _agent() -> Check:
    return _keys(
        {
            "metrics_collection_interval": _integer(SHORTEST_S, LONGEST_S),
            "run_as_user": _text(r"[a-z_][a-z0-9_-]*", "the name of a user"),
            "region": _text(r"[a-z]{2}(-[a-z]+)+-\d", "a region"),
            "debug": _flag,
        },
        required=("run_as_user",),
    )


def _metrics() -> Check:
    dimensions = _keys({name: _one_of({token}) for name, token in TOKENS.items()}, required=("InstanceId",))
    return _keys(
        {
            "namespace": _one_of({monitoring.NAMESPACE}),
            "append_dimensions": dimensions,
            "aggregation_dimensions": _each(_each(_one_of(TOKENS))),
            "metrics_collected": _keys({name: _plugin(name) for name in MEASUREMENTS}, required=("mem", "disk")),
        },
        required=("namespace", "append_dimensions", "aggregation_dimensions", "metrics_collected"),
    )


def _plugin(name: str) -> Check:
    """Measurements go by their full names, as CloudWatch shows them and alarms ask for them."""
    checks: dict[str, Check] = {
        "measurement": _each(_one_of([f"{name}_{measured}" for measured in MEASUREMENTS[name].split()])),
        "metrics_collection_interval": _integer(SHORTEST_S, LONGEST_S),
    }
    if name == "disk":
        checks["resources"] = _each(_text(r"/[^*?\s]*", "where a disk is mounted"))
        checks["drop_device"] = _flag
    return _keys(checks, required=("measurement", "resources") if name == "disk" else ("measurement",))


def _logs(version: Version | None, written: Collection[str]) -> Check:
    sources: dict[str, Check] = {"files": _collected({"file_path": _file(written)}, required=("file_path",))}
    if reads_journal(version):
        sources["journald"] = _collected(
            {"priority": _one_of(PRIORITIES), "matches": _each(_fields), "units": _each(_unit)}
        )
    return _keys(
        {"logs_collected": _keys(sources, required=("files",)), "log_stream_name": _one_of(STREAMS)},
        required=("logs_collected",),
    )


def _collected(checks: Mapping[str, Check], *, required: Iterable[str] = ()) -> Check:
    entry = _keys(
        {
            "log_group_name": _one_of(monitoring.LOG_GROUPS),
            "log_stream_name": _one_of(STREAMS),
            "retention_in_days": _one_of(RETENTION_DAYS),
            **checks,
        },
        required=("log_group_name", "log_stream_name", "retention_in_days", *required),
    )
    return _keys({"collect_list": _each(entry)}, required=("collect_list",))


def _file(written: Collection[str]) -> Check:
    def check(place: str, value: object) -> Iterator[str]:
        if value not in written:
            yield f"{place}: nothing writes {value!r} {_instead(str(value), written)}"

    return check


def _unit(place: str, value: object) -> Iterator[str]:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9:_.@\\-]+", value):
        yield f"{place}: {value!r}, where the name of one unit is expected: a pattern misses units that start later"


def _fields(place: str, value: object) -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield f"{place}: {value!r}, where a field of the journal and its value are expected"
        return
    for field, wanted in value.items():
        yield from _text(r"[A-Z_][A-Z0-9_]*", "the name of a field of the journal")(place, field)
        yield from _text(r".+", "a value")(f"{place}.{field}", wanted)
