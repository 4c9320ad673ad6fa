"""GitHub's issues for tests: a real HTTP server on loopback that keeps them, pages lists, and misbehaves as told.

A fault is a function of one exchange: it does what was asked or not, and answers or not. `stale`: so many of the next
lists do not have what changed since the first of them was asked for.
"""

import http.server
import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "ann/shop"
TOKEN = "ghs_stand-in"
LOGINS = frozenset({"ann", "bob"})
LONGEST_LABEL = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict
    content: dict
    headers: dict

    @property
    def what(self):
        """'POST issues', 'PATCH issues/1', ..."""
        return f"{self.method} {self.path.partition(f'/repos/{REPOSITORY}/')[2]}"


class Exchange:
    """One request in the hands of a fault."""

    def __init__(self, github, handler, asked):
        self.github, self.handler, self.asked = github, handler, asked

    def do(self):
        """Do what was asked; returns (status, content, headers)."""
        return self.github.done(self.asked)

    def answer(self, status, content, **headers):
        """Answer so."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler = self.handler
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def drop(self):
        """Say nothing more."""
        self.handler.close_connection = True


def honest(exchange):
    """As GitHub is on a good day."""
    status, content, headers = exchange.do()
    exchange.answer(status, content, **headers)


def refused(status, content=None, **headers):
    """Does nothing and answers so."""

    def fault(exchange):
        exchange.answer(status, content or {"message": "no"}, **headers)

    return fault


def done_but(status):
    """Does it and says that it failed."""

    def fault(exchange):
        exchange.do()
        exchange.answer(status, {"message": "Server Error"})

    return fault


def lost(exchange):
    """Does nothing and never answers."""
    exchange.drop()


def done_and_lost(exchange):
    """Does it, and the answer is lost."""
    exchange.do()
    exchange.drop()


def done_and_cut(exchange):
    """Does it, and half of the answer arrives."""
    status, content, _ = exchange.do()
    body = json.dumps(content).encode()
    exchange.handler.send_response(status)
    exchange.handler.send_header("Content-Length", str(len(body)))
    exchange.handler.end_headers()
    exchange.handler.wfile.write(body[: len(body) // 2])
    exchange.drop()


def done_after(wait_s):
    """Takes its time."""

    def fault(exchange):
        time.sleep(wait_s)
        honest(exchange)

    return fault


class GitHub:
    """The server. `faults`: (pattern of `Asked.what`, fault), each for the next request that it fits."""

    def __init__(self, page_size=100):
        self.page_size, self.lock = page_size, threading.RLock()
        self.issues, self.comments, self.asked, self.faults, self.unexpected = {}, {}, [], [], []
        self.stale, self.snapshot = 0, None
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.server, self.api = server, f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()

    def stop(self):
        """Close it."""
        self.server.shutdown()
        self.server.server_close()

    # --- to be looked at

    @property
    def whats(self):
        """What was asked for, in order."""
        return [asked.what for asked in self.asked]

    def numbers(self, state):
        """Of the issues in a state."""
        return [number for number, issue in sorted(self.issues.items()) if issue["state"] == state]

    def said(self, number):
        """The comments of an issue."""
        return [comment["body"] for comment in self.comments.get(number, [])]

    def add(self, body="", **fields):
        """An issue that is there already."""
        with self.lock:
            number = len(self.issues) + 1
            self.issues[number] = {"number": number, "title": "", "body": body, "state": "open", "labels": [],
                                   "assignees": [], **fields}  # fmt: skip
            return number

    # --- serving

    def _handler(self):
        github = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self):
                with suppress(ConnectionError):
                    super().handle_one_request()

            def log_message(self, *_):
                """Not on the screen of who runs the tests."""

            def do(self):
                length = int(self.headers.get("Content-Length") or 0)
                content = json.loads(self.rfile.read(length) or b"{}")
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
                asked = Asked(self.command, parts.path, query, content, dict(self.headers))
                fault = github.next_fault(asked)
                fault(Exchange(github, self, asked))

            do_GET = do_POST = do_PATCH = do  # noqa: N815 - the library's names

        return Handler

    def next_fault(self, asked):
        """What becomes of a request."""
        with self.lock:
            self.asked.append(asked)
            for place, (pattern, fault) in enumerate(self.faults):
                if re.fullmatch(pattern, asked.what):
                    del self.faults[place]
                    return fault
        return honest

    def done(self, asked):
        """Do what was asked; returns (status, content, headers)."""
        with self.lock:
            if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
                return 401, {"message": "Bad credentials"}, {}
            for pattern, do in self._doors().items():
                if match := re.fullmatch(pattern, asked.what):
                    return do(asked, *map(int, match.groups()))
            self.unexpected.append(asked.what)
            return 404, {"message": "Not Found"}, {}

    def _doors(self):
        return {
            "GET issues": self._list,
            "POST issues": self._create,
            r"GET issues/(\d+)": self._get,
            r"PATCH issues/(\d+)": self._change,
            r"GET issues/(\d+)/comments": self._list_comments,
            r"POST issues/(\d+)/comments": self._comment,
            r"POST issues/(\d+)/assignees": self._assign,
        }

    def _list(self, asked):
        if self.stale and self.snapshot is None:
            self.snapshot = json.loads(json.dumps(list(self.issues.values())))
        if self.stale and asked.query.get("page", "1") == "1":
            self.stale -= 1
            shown = self.snapshot
        else:
            shown = list(self.issues.values())
        label, state = asked.query.get("labels"), asked.query.get("state", "open")
        fitting = [
            issue
            for issue in sorted(shown, key=lambda issue: -issue["number"])
            if issue["state"] == state and (label is None or label in issue["labels"])
        ]
        return self._page(asked, fitting)

    def _page(self, asked, values):
        page, size = int(asked.query.get("page", 1)), min(self.page_size, int(asked.query.get("per_page", 30)))
        shown, more = values[(page - 1) * size : page * size], len(values) > page * size
        query = "&".join(f"{name}={value}" for name, value in asked.query.items() if name != "page")
        link = f'<{self.api}{asked.path}?{query}&page={page + 1}>; rel="next"'
        return 200, shown, {"Link": link} if more else {}

    def _create(self, asked):
        labels = asked.content.get("labels", [])
        if any(len(label) > LONGEST_LABEL for label in labels) or asked.content.get("assignees"):
            return 422, {"message": "Validation Failed"}, {}
        number = self.add(asked.content["body"], title=asked.content["title"], labels=labels)
        return 201, self.issues[number], {}

    def _get(self, _, number):
        issue = self.issues.get(number)
        return (200, issue, {}) if issue else (404, {"message": "Not Found"}, {})

    def _change(self, asked, number):
        self.issues[number].update(asked.content)
        return 200, self.issues[number], {}

    def _list_comments(self, asked, number):
        return self._page(asked, self.comments.get(number, []))

    def _comment(self, asked, number):
        self.comments.setdefault(number, []).append({"body": asked.content["body"]})
        return 201, self.comments[number][-1], {}

    def _assign(self, asked, number):
        wanted = asked.content["assignees"]
        if not LOGINS & set(wanted):
            return 422, {"message": "Validation Failed"}, {}
        self.issues[number]["assignees"] = [{"login": login} for login in wanted if login in LOGINS]
        return 201, self.issues[number], {}
