"""The issues of a GitHub repository over its REST API: what is needed of it, and nothing decided."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from ops.alerts.wire import Answer, Undelivered, Wire, refusal
from ops.words import moment

HEADERS: Mapping[str, str] = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
PER_PAGE = 100
MAX_PAGES = 50


class Token(requests.auth.AuthBase):
    """The token of a request."""

    def __init__(self, token: str) -> None:
        """Keep it."""
        self._token = token

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put it into the request."""
        r.headers["Authorization"] = f"Bearer {self._token}"
        return r


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as GitHub has it now."""

    number: int
    is_open: bool
    body: str
    is_assigned: bool


@dataclass(frozen=True, slots=True)
class Issues:
    """The issues of one repository. Every method raises Undelivered where GitHub does not do as asked."""

    wire: Wire
    api: str
    repository: str = field(default="")

    @property
    def _url(self) -> str:
        return f"{self.api.rstrip('/')}/repos/{self.repository}/issues"

    def open_ones(self, label: str | None) -> list[Issue]:
        """The open issues that have a label, or all. A list may be older than the issues in it."""
        labelled = {"labels": label} if label else {}
        found = self._pages(self._url, {"state": "open", "per_page": PER_PAGE, **labelled})
        return [_issue(values) for values in found if "pull_request" not in values]

    def one(self, number: int) -> Issue | None:
        """An issue as it is; None where it was deleted or has moved to another repository."""
        answer = self.wire.ask("GET", f"{self._url}/{number}")
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.MOVED_PERMANENTLY):
            return None
        return _issue(_good(answer, f"issue {number}: "))

    def create(self, title: str, body: str, labels: Iterable[str]) -> Issue:
        """Make an issue, in one try. Labels that GitHub refuses do not lose it."""
        fields = {"title": title, "body": body}
        answer = self.wire.once("POST", self._url, json={**fields, "labels": list(labels)})
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and labels:
            answer = self.wire.once("POST", self._url, json=fields)
        return _issue(_good(answer, "a new issue: "))

    def change(self, number: int, **fields: object) -> None:
        """Set some of an issue's fields."""
        _good(self.wire.ask("PATCH", f"{self._url}/{number}", json=fields), f"issue {number}: ")

    def assign(self, number: int, logins: Iterable[str]) -> None:
        """Add assignees; GitHub passes over who may not be one, or refuses all."""
        url = f"{self._url}/{number}/assignees"
        _good(self.wire.ask("POST", url, json={"assignees": list(logins)}), f"assignees of issue {number}: ")

    def comments(self, number: int, *, since: datetime) -> Iterator[str]:
        """What was commented from a moment on."""
        asked = {"since": moment(since), "per_page": PER_PAGE}
        for values in self._pages(f"{self._url}/{number}/comments", asked):
            yield str(values.get("body") or "")

    def comment(self, number: int, body: str) -> None:
        """Add a comment, in one try."""
        url = f"{self._url}/{number}/comments"
        _good(self.wire.once("POST", url, json={"body": body}), f"a comment on issue {number}: ")

    def _pages(self, url: str, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        answer = self.wire.ask("GET", url, params=asked)
        for _ in range(MAX_PAGES):
            yield from _good_list(answer)
            if answer.next_page is None:
                return
            answer = self.wire.ask("GET", self._own(answer.next_page))
        raise Undelivered("a list without end")

    def _own(self, url: str) -> str:
        """An address that GitHub gave, if it is its own: the token goes nowhere else."""
        if urlsplit(url)[:2] != urlsplit(self.api)[:2]:
            raise Undelivered("a list that goes on elsewhere")
        return url


def number_in(memo: str) -> int | None:
    """The number of an issue in what was noted: '#12'."""
    match = re.match(r"#([1-9][0-9]{0,9})\b", memo)
    return int(match[1]) if match else None


def _good(answer: Answer, doing: str) -> Any:
    if not answer.is_good:
        raise refusal(answer, doing)
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise Undelivered(f"{doing}answered {answer.status} with what is no JSON") from error


def _good_list(answer: Answer) -> Iterator[Mapping[str, Any]]:
    values = _good(answer, "a list: ")
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise Undelivered("a list: answered with what is no list")
    yield from values


def _issue(values: Any) -> Issue:
    try:
        return Issue(
            number=int(values["number"]),
            is_open=values["state"] == "open",
            body=str(values.get("body") or ""),
            is_assigned=bool(values.get("assignees")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Undelivered("answered with what is no issue") from error
