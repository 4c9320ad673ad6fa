"""An S3 for tests: moto behind a proxy that counts requests and bytes, and spoils them as it is told.

moto falls short of S3 in two things that matter here, and the proxy makes up for both: moto looks at `If-Match` and
writes in two steps, so one request is forwarded at a time (S3 does both in one step); and moto believes the SHA-256
that comes with an upload, so it is the proxy that compares it (S3 answers 400 BadDigest).
"""

import base64
import hashlib
import http.client
import http.server
import select
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from werkzeug.test import EnvironBuilder, run_wsgi_app

LONGEST_HANG_S = 3.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived. `number` counts the requests with this method and path, from 0."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    number: int = 0

    @property
    def path(self):
        """The bucket and the key, without the version and other questions."""
        return urlsplit(self.target).path

    @property
    def name(self):
        """The plain name of a file."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `headers` hold no Content-Length: it follows from the body, but for a HEAD."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    length: int

    def wire(self):
        """The bytes of it."""
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.status != http.HTTPStatus.NOT_MODIFIED:
            lines.append(f"Content-Length: {self.length}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def refusal(status, code):
    """An error as S3 writes it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    return Answer(status, (("Content-Type", "application/xml"),), body, len(body))


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests that arrived whole, and bytes of them and of their answers, headers included."""

    requests: int = 0
    up: int = 0
    down: int = 0

    def __add__(self, other):
        return Tally(self.requests + other.requests, self.up + other.up, self.down + other.down)

    def __sub__(self, other):
        return Tally(self.requests - other.requests, self.up - other.up, self.down - other.down)


@dataclass(frozen=True, slots=True)
class Written:
    """A metadata.json that S3 took, and when (time.monotonic)."""

    text: bytes
    at: float


class Exchange:
    """One request in the hands of a fault, which forwards it or not, and answers or not."""

    def __init__(self, proxy, asked, connection):
        self.asked = asked
        self.is_over = False
        self._proxy = proxy
        self._connection = connection

    def forward(self, asked=None):
        """What S3 answers; from now on it is done."""
        return self._proxy.forward(asked or self.asked)

    def send(self, data):
        """Bytes to the client, as they are."""
        self._proxy.count(Tally(down=len(data)))
        self._connection.sendall(data)

    def answer(self, answer):
        """A whole answer."""
        if self.asked.method == "HEAD":
            answer = replace(answer, body=b"")
        self.send(answer.wire())

    def close(self):
        """An orderly end of the connection."""
        self.is_over = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def reset(self):
        """An end without manners: the client gets ECONNRESET."""
        self.is_over = True
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def hang(self, longest_s=LONGEST_HANG_S):
        """Say nothing until the client has gone."""
        select.select([self._connection], [], [], longest_s)


Fault = Callable[[Exchange], None]


def honest(exchange):
    """No fault."""
    exchange.answer(exchange.forward())


# --- servers and clients


def moto_s3():
    """moto's S3 as a function from what is asked to what is answered: its application, without a server of its own."""
    from moto.moto_server.werkzeug_app import create_backend_app

    application = create_backend_app("s3")

    def ask(asked):
        path, _, question = asked.target.partition("?")
        environ = EnvironBuilder(
            method=asked.method, path=path, query_string=question, headers=asked.headers, data=asked.body
        ).get_environ()
        chunks, status, headers = run_wsgi_app(application, environ)
        body = b"".join(chunks)
        length = int(headers.get("Content-Length", len(body)))
        left = tuple((name, value) for name, value in headers if name.lower() not in ("content-length", "connection"))
        return Answer(int(status[:3]), left, body, length if asked.method == "HEAD" else len(body))

    return ask


def s3_client_of(endpoint, read_timeout_s=30.0):
    """A client for many threads that tries once: whoever asks is who tries again."""
    config = Config(
        retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=read_timeout_s, max_pool_connections=64
    )
    secret = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config, **secret)


def make_bucket(client, name, *, versioned=True):
    """An empty bucket."""
    client.create_bucket(Bucket=name)
    if versioned:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


class Proxy:
    """A server on a free loopback port before an S3; `spoil` picks a fault for each request."""

    def __init__(self, s3, spoil=lambda _asked: honest):
        self.spoil = spoil
        self._s3 = s3
        self.written = []
        self._one_at_a_time = threading.Lock()
        self._counting = threading.Lock()
        self._tally = Tally()
        self._numbers = Counter()
        self._under_way = 0
        proxy = self

        class Handler(_Handler):
            """Bound to this proxy."""

            def handle_one(self, asked, size):
                proxy.count(Tally(requests=1, up=size))
                self.close_connection = proxy.handle(asked, self.connection) or self.close_connection

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def begin(self, spoil):
        """Spoil otherwise from now on, and count the requests anew."""
        with self._counting:
            self.spoil = spoil
            self._numbers.clear()

    def stop(self):
        """No new connections."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def tally(self):
        """What was counted so far."""
        with self._counting:
            return self._tally

    def count(self, more):
        """Add to the tally."""
        with self._counting:
            self._tally += more

    def settle(self, longest_s=LONGEST_HANG_S):
        """Wait until no request is under way."""
        end = time.monotonic() + longest_s
        while self._under_way and time.monotonic() < end:
            time.sleep(0.01)

    def handle(self, asked, connection):
        """One request, spoilt or not; gives whether the connection is over."""
        with self._counting:
            same = asked.method, asked.path
            asked = replace(asked, number=self._numbers[same])
            self._numbers[same] += 1
            self._under_way += 1
        exchange = Exchange(self, asked, connection)
        try:
            self.spoil(asked)(exchange)
        finally:
            with self._counting:
                self._under_way -= 1
        return exchange.is_over

    def forward(self, asked):
        """What S3 answers to a request."""
        sent = asked.headers.get("x-amz-checksum-sha256")
        if sent and base64.b64decode(sent) != hashlib.sha256(asked.body).digest():
            return refusal(400, "BadDigest")
        with self._one_at_a_time:
            answer = self._s3(asked)
            if asked.method == "PUT" and asked.name == "metadata.json" and answer.status == http.HTTPStatus.OK:
                self.written.append(Written(asked.body, time.monotonic()))
        return answer


HOP_BY_HOP = ("connection", "expect", "transfer-encoding")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that are killed or give up are what this is for; anything else is a bug here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self, asked, size):
        raise NotImplementedError

    def _any(self):
        body = self._body()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        size = len(self.raw_requestline) + sum(len(name) + len(value) + 4 for name, value in self.headers.items()) + 2
        self.handle_one(Asked(self.command, self.path, headers, body), size + len(body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - the names that http.server calls

    def _body(self):
        if "Transfer-Encoding" in self.headers:
            raise NotImplementedError("a body without a length")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away")
        return body

    def log_message(self, *_arguments):
        """Keep quiet."""
