"""Conditions of IAM policy documents, as AWS documents them: operators, sets of values, keys that are missing. Pure."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from operator import eq, ge, gt, le, lt
from typing import Any, Literal, get_args

Context = Mapping[str, str | tuple[str, ...]]
Quantifier = Literal["ForAnyValue", "ForAllValues"]
Matches = Callable[[str, str], bool]  # the request's value, the policy's value

ARN_PARTS = 6
IF_EXISTS = "IfExists"


class PolicyError(ValueError):
    """A document says something that is malformed or not understood here: what it allows cannot be told."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator. `negated`: none of `values` may match; `optional`: a missing key is good."""

    operator: str
    key: str
    values: tuple[str, ...]
    matches: Matches
    quantifier: Quantifier | None
    negated: bool
    optional: bool

    def holds(self, context: Context) -> bool:
        """Whether the request meets it. Raises PolicyError for values that it cannot compare."""
        asked = _values_asked(context, self.key)
        if self.operator == "Null":
            return any(_truth(value) != bool(asked) for value in self.values)
        if not asked:
            return self._missing()
        if self.quantifier == "ForAllValues":
            return all(map(self._fits, asked))
        if self.quantifier is None and len(asked) > 1:
            raise PolicyError(f"{self.operator} on {self.key}, which has {len(asked)} values: a For... is missing")
        return any(map(self._fits, asked))

    def _missing(self) -> bool:
        if self.quantifier == "ForAllValues" or self.optional:
            return True
        return self.negated and self.quantifier is None

    def _fits(self, asked: str) -> bool:
        return any(self.matches(asked, value) for value in self.values) != self.negated


def conditions(block: Any) -> tuple[Condition, ...]:
    """What a Condition block says; all of it must hold. Raises PolicyError."""
    if not isinstance(block, Mapping):
        raise PolicyError(f"Condition is no object: {block!r}")
    return tuple(
        _condition(operator, key, values) for operator, keys in block.items() for key, values in _keys(operator, keys)
    )


def _keys(operator: Any, keys: Any) -> Sequence[tuple[str, Any]]:
    if not isinstance(keys, Mapping) or not keys:
        raise PolicyError(f"{operator} has no condition keys")
    return list(keys.items())


def _condition(operator: str, key: str, values: Any) -> Condition:
    head, colon, tail = operator.partition(":")
    if colon and head not in get_args(Quantifier):
        raise PolicyError(f"unknown condition operator {operator}")
    name = (tail if colon else head).removesuffix(IF_EXISTS)
    optional = operator.endswith(IF_EXISTS)
    # what ForAnyValue:...IfExists means is told in two ways, and Null takes neither
    if name not in _MATCHES or (optional and head == "ForAnyValue") or (name == "Null" and (optional or colon)):
        raise PolicyError(f"unknown condition operator {operator}")
    negated, matches = _MATCHES[name]
    quantifier: Any = head if colon else None
    return Condition(name, key, strings(values, key), matches, quantifier, negated, optional)


def strings(values: Any, where: str) -> tuple[str, ...]:
    """A string or a list of them, as JSON has them: true is "true" and 5 is "5". Raises PolicyError."""
    listed = values if isinstance(values, list | tuple) else [values]
    if not listed or not all(isinstance(value, str | bool | int | float) for value in listed):
        raise PolicyError(f"{where} has no strings: {values!r}")
    texts = tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in listed)
    if any("${" in text for text in texts):
        raise PolicyError(f"{where} has a policy variable, which is not read here: {', '.join(texts)}")
    return texts


def _values_asked(context: Context, key: str) -> tuple[str, ...]:
    """The request's values of a key, whose name may be written in any case; an empty tuple where it is missing."""
    found = next((value for name, value in context.items() if name.lower() == key.lower()), ())
    return (found,) if isinstance(found, str) else found


# --- operators -------------------------------------------------------------------------------------------------------


def like(asked: str, pattern: str) -> bool:
    """Whether a text fits a pattern in which * stands for any letters and ? for one, in the same case."""
    return _glob(pattern).fullmatch(asked) is not None


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    """Each part is taken where it is first found and never again elsewhere: no pattern takes for ever."""
    first, *others = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", pattern))
    *middle, last = others or [""]
    found = "".join(f"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{found}{'.*' if others else ''}{last}", re.DOTALL)


def _arn_like(asked: str, pattern: str) -> bool:
    """Part by part: a * in one of the six parts does not reach into the next."""
    parts, patterns = asked.split(":", ARN_PARTS - 1), pattern.split(":", ARN_PARTS - 1)
    if len(patterns) != ARN_PARTS:
        raise PolicyError(f"{pattern} is no ARN")
    return len(parts) == ARN_PARTS and all(map(like, parts, patterns))


def _same_truth(asked: str, value: str) -> bool:
    return _truth(asked) == _truth(value)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise PolicyError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _in_network(asked: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(asked) in ipaddress.ip_network(value)
    except ValueError as error:
        raise PolicyError(str(error)) from error


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise PolicyError(f"{text!r} is no number") from error
    if not number.is_finite():
        raise PolicyError(f"{text!r} is no number")
    return number


def _moment(text: str) -> datetime:
    """ISO 8601, or seconds since 1970."""
    try:
        if re.fullmatch(r"[0-9]+", text):
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise PolicyError(f"{text!r} is no moment") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compared(compare: Callable[[Any, Any], bool], read: Callable[[str], Any]) -> Matches:
    return lambda asked, value: compare(read(asked), read(value))


_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": eq,
    "LessThan": lt,
    "LessThanEquals": le,
    "GreaterThan": gt,
    "GreaterThanEquals": ge,
}
_EQUALLY: Mapping[str, Matches] = {
    **{f"Numeric{order}": _compared(compare, _number) for order, compare in _ORDERS.items()},
    **{f"Date{order}": _compared(compare, _moment) for order, compare in _ORDERS.items()},
    "StringEquals": eq,
    "StringEqualsIgnoreCase": _compared(eq, str.casefold),
    "StringLike": like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _same_truth,
    "Null": _same_truth,
    "IpAddress": _in_network,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
_MATCHES: Mapping[str, tuple[bool, Matches]] = {
    **{name: (False, matches) for name, matches in _EQUALLY.items()},
    **{name: (True, _EQUALLY[other]) for name, other in _NEGATED.items()},
}
