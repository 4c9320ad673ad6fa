"""Who is let in at the public door, and what every answer tells the browser."""

import asyncio
import gzip
import json
import re
from http import HTTPStatus

import pytest

from dashboard.admission import LARGEST_BODY_BYTES, Asked, Rules, refusal
from dashboard.compress import KEPT_BYTES, Compressed
from dashboard.guard import Guard
from dashboard.page_run import logged
from dashboard.security_headers import policy, security_headers
from dashboard.systemd import Priority

ANY = Rules()
OURS = Rules(frozenset({"kpi.shop.example"}))


def asked(path="/", host="127.0.0.1:8501", peer="198.51.100.7", *, websocket=False, **headers):
    named = [(b"host", host.encode())] if host is not None else []
    others = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Asked(path, [*named, *others], peer, websocket)


def status(request, rules=ANY):
    found = refusal(request, rules)
    return found.status if found else None


# --- names -----------------------------------------------------------------------------------------------------------

KNOWN = ["127.0.0.1:8501", "203.0.113.9", "[::1]:8501", "[2001:db8::1]", "localhost:8501", "LOCALHOST.", "server-2"]
AWS = ["ec2-203-0-113-9.eu-west-2.compute.amazonaws.com:8501", "ip-10-0-0-7.eu-west-2.compute.internal"]


@pytest.mark.parametrize("host", [*KNOWN, *AWS])
def test_addresses_and_names_that_no_stranger_can_point_here_are_let_in(host):
    assert status(asked(host=host)) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8501", "kpi.shop.example.evil.example"])
def test_a_name_that_nobody_set_is_misdirected(host):
    assert status(asked(host=host), OURS) == HTTPStatus.MISDIRECTED_REQUEST
    assert status(asked(host=host), Rules(frozenset({"*"}))) is None


@pytest.mark.parametrize("host", ["kpi.shop.example", "KPI.Shop.Example:443", "kpi.shop.example.:8501"])
def test_a_name_that_was_set_is_let_in_however_it_is_written(host):
    assert status(asked(host=host), OURS) is None


def test_the_front_on_this_machine_answers_for_its_own_name_alone():
    assert status(asked(host="new.example", peer="127.0.0.1", x_forwarded_for="198.51.100.7")) is None
    assert status(asked(host="new.example", peer="198.51.100.7", x_forwarded_for="127.0.0.1")) == 421
    assert status(asked(host="new.example", peer="127.0.0.1")) == 421


@pytest.mark.parametrize("host", [None, "", "a b", "a/b", "user@host", "host:port", "host:123456", "[::1", "a:1:2"])
def test_a_host_header_that_names_no_host_is_a_bad_request(host):
    assert status(asked(host=host)) == HTTPStatus.BAD_REQUEST


def test_two_host_headers_are_a_bad_request():
    twice = Asked("/", [(b"host", b"localhost"), (b"host", b"localhost")], "127.0.0.1")
    assert status(twice) == HTTPStatus.BAD_REQUEST


# --- origins ---------------------------------------------------------------------------------------------------------

SAME = [
    ("127.0.0.1:8501", "http://127.0.0.1:8501"),
    ("kpi.shop.example", "https://kpi.shop.example"),
    ("kpi.shop.example:443", "https://KPI.shop.example"),
    ("203.0.113.9", "http://203.0.113.9:80"),
    ("[::1]:8501", "http://[::1]:8501"),
]
FOREIGN = [
    ("127.0.0.1:8501", "https://evil.example"),
    ("127.0.0.1:8501", "http://127.0.0.1:8502"),
    ("127.0.0.1:8501", "null"),
    ("127.0.0.1:8501", ""),
    ("127.0.0.1:8501", "http://[::1"),
    ("127.0.0.1:8501", "http://127.0.0.1:99999"),
    ("kpi.shop.example", "https://kpi.shop.example.evil.example"),
    ("kpi.shop.example", "file://kpi.shop.example"),
]


@pytest.mark.parametrize(("host", "origin"), SAME)
def test_a_page_of_this_server_may_connect(host, origin):
    assert status(asked("/_stcore/stream", host, websocket=True, origin=origin), OURS) is None


@pytest.mark.parametrize(("host", "origin"), FOREIGN)
def test_a_page_of_another_origin_may_not_connect(host, origin):
    assert status(asked("/_stcore/stream", host, websocket=True, origin=origin), OURS) == HTTPStatus.FORBIDDEN


def test_a_program_that_names_no_origin_may_connect():
    assert status(asked("/_stcore/stream", websocket=True)) is None


# --- paths and lengths -----------------------------------------------------------------------------------------------

INTERNAL = ["/_stcore/metrics", "/_stcore/script-health-check", "/_stcore/agent/interact", "//_stcore//metrics/"]


@pytest.mark.parametrize("path", INTERNAL)
def test_internal_paths_are_for_programs_of_this_machine(path):
    assert status(asked(path)) == HTTPStatus.NOT_FOUND
    assert status(asked(path, peer="127.0.0.1")) is None
    assert status(asked(path, peer="::1")) is None
    assert status(asked(path, peer="::ffff:127.0.0.1")) is None
    assert status(asked(path, peer="")) == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "via", "x_forwarded_host"])
def test_who_is_passed_on_by_a_front_on_this_machine_is_none_of_it(header):
    assert status(asked("/_stcore/metrics", peer="127.0.0.1", **{header: "127.0.0.1"})) == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("path", ["/", "/products", "/_stcore/health", "/_stcore/host-config", "/static/x.js"])
def test_what_a_browser_asks_for_is_let_in(path):
    assert status(asked(path)) is None


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("0", None),
        (str(LARGEST_BODY_BYTES), None),
        (str(LARGEST_BODY_BYTES + 1), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ("9" * 5000, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ("-1", HTTPStatus.BAD_REQUEST),
        ("1e3", HTTPStatus.BAD_REQUEST),
        ("\u00b2", HTTPStatus.BAD_REQUEST),
    ],
)
def test_a_body_has_a_length_and_an_end(length, expected):
    assert status(asked(content_length=length)) == expected


# --- headers ---------------------------------------------------------------------------------------------------------


def test_only_the_scripts_that_the_page_has_inline_may_run():
    page = '<script>one()</script><script type="module" src="./x.js"></script><SCRIPT defer>\ntwo()\n</SCRIPT>'
    hashes = re.findall(r"'sha256-[^']+'", policy(page))
    assert len(hashes) == 2
    assert "unsafe-eval" not in policy(page)
    assert "script-src 'self';" in policy("<p>none</p>")


def test_no_answer_may_be_framed_sniffed_or_tell_where_a_visitor_came_from():
    told = dict(security_headers("x"))
    assert told[b"content-security-policy"] == b"x"
    assert (told[b"x-content-type-options"], told[b"referrer-policy"]) == (b"nosniff", b"same-origin")


# --- ASGI ------------------------------------------------------------------------------------------------------------


def http(path="/", method="GET", headers=(), client=("198.51.100.7", 1)):
    named = [(b"host", b"localhost"), *headers]
    return {"type": "http", "method": method, "path": path, "headers": named, "client": client}


def answer(app, scope, *bodies):
    """Status, headers and body that an app gives; what it reads are `bodies`, chunk by chunk."""
    chunks = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    sent = []

    async def receive():
        return chunks.pop(0) if chunks else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, *rest = sent
    return start["status"], dict(start["headers"]), b"".join(part.get("body", b"") for part in rest)


class Files:
    """An app with one static file; it counts how often it was asked."""

    def __init__(self, body, kind=b"text/javascript", status=200, split=1):
        self.body, self.kind, self.status, self.split = body, kind, status, split
        self.asked = 0

    async def __call__(self, _scope, _receive, send):
        self.asked += 1
        headers = [
            (b"content-type", self.kind),
            (b"content-length", str(len(self.body)).encode()),
            (b"etag", b'"abc"'),
            (b"cache-control", b"public, immutable, max-age=31536000"),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        step = max(1, len(self.body) // self.split)
        parts = [self.body[at : at + step] for at in range(0, len(self.body), step)]
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


TAKES = [(b"accept-encoding", b"br, gzip;q=0.8")]
SCRIPT = b"let answer = 42;\n" * 1000


def test_a_static_file_is_packed_once_and_whole():
    files = Files(SCRIPT, split=7)
    app = Compressed(files)
    for _ in range(2):
        told, headers, body = answer(app, http("/static/x.js", headers=TAKES))
        assert (told, gzip.decompress(body)) == (200, SCRIPT)
        assert len(body) < len(SCRIPT) / 20
        assert headers[b"content-encoding"] == b"gzip"
        assert headers[b"content-length"] == str(len(body)).encode()
        assert headers[b"etag"] == b'W/"abc"'
        assert headers[b"vary"] == b"Accept-Encoding"
        assert b"immutable" in headers[b"cache-control"]
    assert files.asked == 1


def test_head_tells_the_same_without_a_body():
    app = Compressed(Files(SCRIPT))
    _, asked_for, body = answer(app, http("/static/x.js", "HEAD", TAKES))
    _, sent, _ = answer(app, http("/static/x.js", "GET", TAKES))
    assert (body, asked_for) == (b"", sent)


PLAIN = [
    (Files(SCRIPT), http("/static/x.js")),
    (Files(SCRIPT), http("/static/x.js", headers=[(b"accept-encoding", b"gzip;q=0, br")])),
    (Files(SCRIPT), http("/static/x.js", headers=[*TAKES, (b"range", b"bytes=0-9")])),
    (Files(SCRIPT), http("/static/x.js", headers=[*TAKES, (b"if-none-match", b'"abc"')])),
    (Files(SCRIPT), http("/media/x.csv", headers=TAKES)),
    (Files(SCRIPT, b"font/woff2"), http("/static/x.woff2", headers=TAKES)),
    (Files(b"tiny"), http("/static/x.js", headers=TAKES)),
    (Files(SCRIPT, status=404), http("/static/x.js", headers=TAKES)),
]


@pytest.mark.parametrize(("files", "scope"), PLAIN)
def test_everything_else_goes_out_as_it_is(files, scope):
    _, headers, body = answer(Compressed(files), scope)
    assert b"content-encoding" not in headers
    assert body == files.body


def test_what_is_kept_packed_is_bounded():
    app = Compressed(Files(b"\x00" * 5000))
    for number in range(50):
        answer(app, http(f"/static/{number}.js", headers=TAKES))
    assert sum(len(kept.body) for kept in app._kept.values()) <= KEPT_BYTES
    big = Compressed(Files(bytes(range(256)) * 4000))
    answer(big, http("/static/a.js", headers=TAKES))
    assert len(big._kept) == 1


async def reads_all(_scope, receive, send):
    taken = 0
    while (message := await receive())["type"] == "http.request":
        taken += len(message["body"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"ALLOWALL")]})
    await send({"type": "http.response.body", "body": str(taken).encode()})


def test_every_answer_has_the_security_headers_once_and_a_refusal_too():
    door = Guard(reads_all, OURS, "default-src 'self'")
    _, headers, _ = answer(door, http())
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"
    assert headers[b"content-security-policy"] == b"default-src 'self'"
    assert b"X-Frame-Options" not in headers
    told, headers, body = answer(door, {**http(), "headers": [(b"host", b"evil.example")]})
    assert (told, headers[b"x-content-type-options"]) == (421, b"nosniff")
    assert "allowed_hosts" in json.loads(body)["error"]


def test_a_body_without_a_length_is_cut_where_it_becomes_too_long():
    half = b"x" * (LARGEST_BODY_BYTES // 2)
    _, _, taken = answer(Guard(reads_all, ANY, "x"), http(method="POST"), half, half, b"x")
    assert int(taken) == LARGEST_BODY_BYTES


def test_a_foreign_websocket_is_turned_away_before_the_app_hears_of_it():
    heard, sent = [], []

    async def app(*_):
        heard.append(1)

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    headers = [(b"host", b"localhost"), (b"origin", b"https://evil.example")]
    scope = {"type": "websocket", "path": "/_stcore/stream", "headers": headers, "client": ("127.0.0.1", 1)}
    asyncio.run(Guard(app, ANY, "x")(scope, receive, send))
    assert (heard, sent) == ([], ["websocket.close"])


# --- the log ---------------------------------------------------------------------------------------------------------


def test_each_run_of_a_page_is_a_line_of_json_without_anything_of_the_visitor():
    told, times = [], iter([1.0, 1.0421])
    with logged("products", 12, "r1", clock_s=lambda: next(times), tell=lambda *line: told.append(line)):
        pass
    ((priority, line),) = told
    facts = {"event": "page_run", "page": "products", "ms": 43, "rows": 12, "run_id": "r1", "error": None}
    assert (priority, json.loads(line)) == (Priority.INFO, facts)


def test_a_run_that_raises_is_told_by_the_kind_of_the_error_alone():
    told = []
    with pytest.raises(KeyError), logged("products", 12, "r1", tell=lambda *line: told.append(line)):
        raise KeyError("customer 17850")
    ((priority, line),) = told
    assert (priority, json.loads(line)["error"]) == (Priority.WARNING, "KeyError")
    assert "17850" not in line
