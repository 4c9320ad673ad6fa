"""What a finished stack has told of itself, kept for other tasks; and the log of what was done to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from etl.errors import StackError
from ops.onhost import files
from ops.words import moment

LOG = "stack-log.jsonl"


@dataclass(frozen=True, slots=True)
class Outputs:
    """`values` by the template's names: InstanceId, PublicAddress, ..., AmiId."""

    stack: str
    stack_id: str
    account: str
    region: str
    values: Mapping[str, str]


def values(described: Mapping[str, Any]) -> dict[str, str]:
    """The outputs of a stack as DescribeStacks has it, by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs") or ()}


def keep(outputs: Outputs, path: Path, now: datetime) -> None:
    """Write them in place of those that were kept before, or not at all. Raises StackError."""
    document = {
        "stack": outputs.stack,
        "stack_id": outputs.stack_id,
        "account": outputs.account,
        "region": outputs.region,
        "at": moment(now),
        "outputs": dict(outputs.values),
    }
    try:
        files.write(path, json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise _unwritable(path, error) from error


def kept(path: Path) -> Outputs | None:
    """What was kept last; None where nothing was, or what is there cannot be read."""
    document = files.read_json(path) or {}
    try:
        return Outputs(
            stack=document["stack"],
            stack_id=document["stack_id"],
            account=document["account"],
            region=document["region"],
            values=dict(document["outputs"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def forget(path: Path) -> None:
    """Remove what was kept; the log stays. Raises StackError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def log(path: Path, now: datetime, **entry: str) -> None:
    """Add a line to the log beside the kept outputs; it is never shortened. Raises StackError."""
    place = path.with_name(LOG)
    try:
        files.append(place, json.dumps({"at": moment(now), **entry}))
    except OSError as error:
        raise _unwritable(place, error) from error


def _unwritable(path: Path, error: OSError) -> StackError:
    return StackError(
        f"{path} cannot be written: {error.strerror}",
        expected="a directory for what the stack tells",
        to_do="make it writable, then `fab provision` again: in AWS nothing is done twice",
    )
