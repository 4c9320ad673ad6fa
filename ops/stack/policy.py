"""What IAM policy documents allow and deny: identity, bucket, topic, endpoint and trust policies. Pure.

Explicit deny goes before allow, allow before nothing at all, as AWS documents it. What is malformed or not understood
raises PolicyError: then it cannot be told what is allowed, and nobody may take it for allowed or denied.
Documents are judged together, as those of one account are; what must hold as well (an endpoint's policy, a boundary)
is another decision.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, get_args

from ops.stack.policy_conditions import Condition, Context, PolicyError, conditions, like, strings

__all__ = ["Context", "Decision", "Kind", "PolicyError", "Principal", "Request", "allowed", "decide", "read"]

Kind = Literal["AWS", "Service", "Federated", "CanonicalUser"]
VERSIONS = ("2012-10-17", "2008-10-17")
ELEMENTS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"}
)


class Decision(StrEnum):
    """What came of a request."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the ARN of a role or user, a service like ec2.amazonaws.com, the ARN of an identity provider.

    A session is named by the ARN of its role.
    """

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `resource` is an ARN, "*" for actions that have none; `principal` None is somebody without a name.

    `context` has the condition keys that come with the call; several values stand in a tuple.
    """

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)
    principal: Principal | None = None

    def __post_init__(self) -> None:
        """Refuse an action that is none: what a pattern is allowed is no question that has one answer."""
        if not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9]+", self.action):
            raise PolicyError(f"{self.action!r} is no action: SERVICE:NAME is expected")


def allowed(documents: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """Whether a request is allowed. Raises PolicyError where a document is malformed or not understood."""
    return decide(documents, request) is Decision.ALLOW


def decide(documents: Iterable[Mapping[str, Any]], request: Request) -> Decision:
    """What the documents say together. Raises PolicyError where one is malformed or not understood, used or not."""
    statements = [statement for document in documents for statement in _statements(document)]
    effects = {statement.effect for statement in statements if statement.concerns(request)}
    if "Deny" in effects:
        return Decision.EXPLICIT_DENY
    return Decision.ALLOW if effects else Decision.IMPLICIT_DENY


def read(text: str) -> Mapping[str, Any]:
    """A document as buckets, topics and endpoints tell theirs: JSON as text. Raises PolicyError."""
    try:
        document = json.loads(text, object_pairs_hook=_without_doubles)
    except (json.JSONDecodeError, RecursionError) as error:
        raise PolicyError(f"a policy is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise PolicyError("a policy is no JSON object")
    return document


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyError(f"a policy says something twice: {', '.join(name for name, _ in pairs)}")
    return found


# --- statements ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Listed:
    """Patterns of an element, or of its Not... form, which means everything else."""

    patterns: tuple[str, ...]
    inverted: bool


@dataclass(frozen=True, slots=True)
class _Principals:
    patterns: tuple[Principal, ...]
    inverted: bool


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement; `resources` is None in trust policies and `principals` in those that are attached to somebody."""

    effect: str
    actions: _Listed
    resources: _Listed | None
    principals: _Principals | None
    conditions: tuple[Condition, ...]

    def concerns(self, request: Request) -> bool:
        """Whether what it says is said of this request."""
        return (
            _fits(self.actions, request.action, lower=True)
            and (self.resources is None or _fits(self.resources, request.resource))
            and (self.principals is None or _principal_fits(self.principals, request.principal))
            and all(condition.holds(request.context) for condition in self.conditions)
        )


def _statements(document: Mapping[str, Any]) -> list[_Statement]:
    strays = set(document) - {"Version", "Id", "Statement"}
    version = document.get("Version", VERSIONS[-1])
    if strays or version not in VERSIONS or "Statement" not in document:
        raise PolicyError(f"a policy has a Version and Statements: {_shown(document)}")
    listed = document["Statement"]
    return [_statement(said) for said in (listed if isinstance(listed, list | tuple) else [listed])]


def _statement(said: Any) -> _Statement:
    if not isinstance(said, Mapping) or set(said) - ELEMENTS or said.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"a statement is not understood: {_shown(said)}")
    statement = _Statement(
        effect=said["Effect"],
        actions=_actions(said),
        resources=_listed(said, "Resource"),
        principals=_principals(said),
        conditions=conditions(said.get("Condition", {})),
    )
    if statement.resources is None and statement.principals is None:
        raise PolicyError(f"a statement names neither resources nor principals: {_shown(said)}")
    return statement


def _listed(said: Mapping[str, Any], element: str) -> _Listed | None:
    value, inverted = _element(said, element)
    return None if value is None else _Listed(strings(value, element), inverted)


def _element(said: Mapping[str, Any], element: str) -> tuple[Any, bool]:
    """What an element or its Not... form says, and which of the two it is; None where there is neither."""
    negation = f"Not{element}"
    if element in said and negation in said:
        raise PolicyError(f"a statement has both {element} and {negation}: {_shown(said)}")
    return said.get(element, said.get(negation)), negation in said


def _shown(said: Any) -> str:
    return json.dumps(said, default=str)[:300]


# --- actions and resources -------------------------------------------------------------------------------------------


def _actions(said: Mapping[str, Any]) -> _Listed:
    actions = _listed(said, "Action")
    if actions is None:
        raise PolicyError(f"a statement names no actions: {_shown(said)}")
    wrong = [action for action in actions.patterns if not re.fullmatch(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+", action)]
    if wrong:
        raise PolicyError(f"{wrong[0]!r} is no action: SERVICE:NAME or * is expected")
    return actions


def _fits(listed: _Listed, asked: str, *, lower: bool = False) -> bool:
    """Actions are written in any case, resources in theirs."""
    fold = str.lower if lower else str
    return any(like(fold(asked), fold(pattern)) for pattern in listed.patterns) != listed.inverted


# --- principals ------------------------------------------------------------------------------------------------------


def _principals(said: Mapping[str, Any]) -> _Principals | None:
    value, inverted = _element(said, "Principal")
    if value is None:
        return None
    if value == "*":
        value = {"AWS": "*"}
    if not isinstance(value, Mapping) or not value or set(value) - set(get_args(Kind)):
        raise PolicyError(f"a principal is not understood: {_shown(said)}")
    named = tuple(Principal(kind, name) for kind, names in value.items() for name in strings(names, kind))
    if any("*" in principal.name and principal != Principal("AWS", "*") for principal in named):
        raise PolicyError(f"a principal is a pattern, which AWS does not take: {_shown(said)}")
    return _Principals(named, inverted)


def _principal_fits(principals: _Principals, asked: Principal | None) -> bool:
    return any(_is(pattern, asked) for pattern in principals.patterns) != principals.inverted


def _is(pattern: Principal, asked: Principal | None) -> bool:
    """Everybody is everybody, services included; an account stands for all in it."""
    if pattern == Principal("AWS", "*"):
        return True
    if asked is None or pattern.kind != asked.kind:
        return False
    return pattern.name == asked.name or (pattern.kind == "AWS" and _account_of(asked.name) == _whole(pattern.name))


def _account_of(arn: str) -> str:
    """The account's number in an ARN; a number is an account itself."""
    named = re.fullmatch(r"(?:arn:[a-z-]+:(?:iam|sts)::)?([0-9]{12})(?::.+)?", arn)
    return named[1] if named else ""


def _whole(name: str) -> str | None:
    """The number of an account that is named as a whole, by its number or as its root; None for anybody else."""
    named = re.fullmatch(r"(?:arn:[a-z-]+:iam::([0-9]{12}):root)|([0-9]{12})", name)
    return (named[1] or named[2]) if named else None
