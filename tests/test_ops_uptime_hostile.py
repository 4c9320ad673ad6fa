"""The probe against servers that do not behave: it ends in time, and says what it met."""

import base64
import hashlib
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops.uptime.probe import MAX_MESSAGE_BYTES, Wanted, probe

Handler = Callable[[socket.socket, bytes], None]

SHORT_S = 1.0  # where the time is to run out
PATIENT_S = 20.0  # where it is not, however busy the machine
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"
NEW_SESSION = bytes.fromhex("2200")
FINISHED = bytes.fromhex("3000")


@contextmanager
def serving(handle: Handler, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[int]:
    """A server on a loopback port; `handle` gets each connection and the head of its request."""
    over = threading.Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            secured = tls.wrap_socket(connection, server_side=True) if tls else connection
            with secured:
                handle(secured, head_of(secured))

    def accept() -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        with suppress(OSError), socket.create_connection(listener.getsockname()[:2]):
            pass
        acceptor.join()
        listener.close()
        for thread in threads:
            thread.join()


def head_of(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
        if head == b"\x16":  # a TLS greeting: a plain server answers that it is no request
            break
    return head


def until_gone(connection: socket.socket) -> None:
    """Wait for the probe to hang up."""
    while connection.recv(65536):
        pass


def drip(connection: socket.socket, data: bytes) -> None:
    """A byte every 20 ms, for as long as anybody listens: each one comes well within any time limit for one read."""
    pause = threading.Event()
    for index in range(10**6):
        connection.sendall(data[index % len(data) :][:1])
        pause.wait(0.02)


def accepted(head: bytes) -> bytes:
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def frame(payload: bytes, opcode: int = 2, *, final: bool = True) -> bytes:
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    return bytes([final << 7 | opcode]) + length + payload


def answering(data: bytes) -> Handler:
    """A web server that says this to every request and waits."""

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        until_gone(connection)

    return handle


def streaming(talk: Callable[[socket.socket], None]) -> Handler:
    """A web server with a good page, whose websocket does as `talk` does once it is asked for the script."""

    def handle(connection: socket.socket, head: bytes) -> None:
        if b"/_stcore/stream" not in head:
            connection.sendall(PAGE)
            return
        connection.sendall(accepted(head))
        connection.recv(8)
        talk(connection)

    return handle


def saying(*frames: bytes) -> Handler:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"".join(frames))
        until_gone(connection)

    return streaming(talk)


def silent(connection: socket.socket, _: bytes) -> None:
    until_gone(connection)


def endless(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


def dripping_head(connection: socket.socket, _: bytes) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Padding: " + b"a" * 60_000)


def dripping_body(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    drip(connection, b"a")


def no_upgrade(connection: socket.socket, head: bytes) -> None:
    connection.sendall(PAGE if b"/_stcore/stream" not in head else b"HTTP/1.1 403 Forbidden\r\n\r\n")


def wrong_key(connection: socket.socket, head: bytes) -> None:
    if b"/_stcore/stream" not in head:
        connection.sendall(PAGE)
    else:
        connection.sendall(accepted(b"Sec-WebSocket-Key: another\r\n"))
        until_gone(connection)


def hangs_up(_: socket.socket, __: bytes) -> None:
    pass


def endless_pings(connection: socket.socket) -> None:
    while True:
        connection.sendall(frame(b"are you there", 9))


def endless_fragments(connection: socket.socket) -> None:
    connection.sendall(frame(b"", final=False))
    while True:
        connection.sendall(frame(b"", 0, final=False) * 1000)


DOWN = [
    pytest.param(silent, "ttfb", "timeout", id="no answer"),
    pytest.param(hangs_up, "ttfb", "refused", id="hangs up"),
    pytest.param(dripping_head, "ttfb", "timeout", id="a head that drips"),
    pytest.param(dripping_body, "body", "timeout", id="a body that drips"),
    pytest.param(endless, "body", "body", id="a body without end"),
    pytest.param(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"), "body", "body", id="half a body"),
    pytest.param(answering(b"SSH-2.0-OpenSSH_9.9\r\n"), "ttfb", "http_status", id="not a web server"),
    pytest.param(answering(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "ttfb", "http_status", id="bad gateway"),
    pytest.param(answering(b"HTTP/1.1 204 No Content\r\n\r\n"), "ttfb", "http_status", id="no content"),
    pytest.param(answering(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200), "ttfb", "http_status", id="200 headers"),
    pytest.param(answering(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), "ttfb", "http_status", id="a loop"),
    pytest.param(
        answering(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"), "ttfb", "http_status", id="to a file"
    ),
    pytest.param(no_upgrade, "ws_upgrade", "ws_refused", id="no upgrade"),
    pytest.param(answering(PAGE), "ws_upgrade", "ws_refused", id="a page where the stream should be"),
    pytest.param(wrong_key, "ws_upgrade", "ws_refused", id="the answer to another's upgrade"),
    pytest.param(streaming(lambda _: None), "script_done", "ws_refused", id="closes right after the upgrade"),
    pytest.param(saying(frame(struct.pack(">H", 1011), 8)), "script_done", "ws_refused", id="a close frame"),
    pytest.param(saying(), "script_done", "script_timeout", id="a silent stream"),
    pytest.param(saying(frame(NEW_SESSION)), "script_done", "script_timeout", id="a script that never ends"),
    pytest.param(saying(frame(NEW_SESSION), b"\x82\x7e\xff"), "script_done", "script_timeout", id="half a frame"),
    pytest.param(streaming(endless_pings), "script_done", "script_timeout", id="pings without end"),
    pytest.param(streaming(endless_fragments), "script_done", "script_timeout", id="fragments without end"),
    pytest.param(
        streaming(lambda connection: drip(connection, frame(NEW_SESSION))),
        "script_done",
        "script_timeout",
        id="it drips",
    ),
]


@pytest.mark.parametrize(("handle", "stage", "reason"), DOWN)
def test_a_page_nobody_could_see_is_down(handle: Handler, stage: str, reason: str):
    limit_s = SHORT_S if reason in ("timeout", "script_timeout") else PATIENT_S
    with serving(handle) as port:
        result = probe(f"http://127.0.0.1:{port}", Wanted(), limit_s)
    assert (result.verdict, result.stage, result.reason) == ("down", stage, reason)


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(saying(frame(b"\xff\xff\xff")), id="bytes that are no protobuf"),
        pytest.param(saying(frame(b"\x30\x00")), id="an end without a beginning"),
        pytest.param(saying(frame(b"hello", 1)), id="a text frame"),
        pytest.param(saying(frame(NEW_SESSION, 0)), id="the middle of a message"),
        pytest.param(saying(frame(NEW_SESSION, 3)), id="an unknown kind of frame"),
        pytest.param(saying(frame(NEW_SESSION, 11)), id="an unknown kind of control frame"),
        pytest.param(saying(b"\xc2\x02" + NEW_SESSION), id="compression nobody agreed to"),
        pytest.param(saying(b"\x82\x82" + bytes(4) + NEW_SESSION), id="a masked frame"),
        pytest.param(saying(b"\x89\x7e\x01\x00" + bytes(256)), id="a ping that is too long"),
        pytest.param(saying(b"\x82\x7f" + b"\xff" * 8), id="a frame of 16 exabytes"),
        pytest.param(
            saying(b"\x82\x7f" + struct.pack(">Q", MAX_MESSAGE_BYTES + 1)), id="a frame of more than the limit"
        ),
        pytest.param(saying(frame(bytes.fromhex("5a0361626300"))), id="a reference to a cached message"),
        pytest.param(saying(frame(NEW_SESSION), frame(FINISHED), frame(b"\xff")), id="garbage after the end"),
    ],
)
def test_what_cannot_be_decoded_is_neither_up_nor_down(handle: Handler):
    with serving(handle) as port:
        result = probe(f"http://127.0.0.1:{port}", Wanted(), PATIENT_S)
    assert (result.verdict, result.stage, result.reason) == ("unknown", "script_done", "proto")


def test_fragments_pings_and_a_close_after_the_end_do_no_harm():
    pongs: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(frame(b"ping", 9))
        pongs.append(connection.recv(10))
        connection.sendall(frame(NEW_SESSION[:1], final=False) + frame(b"", 10) + frame(NEW_SESSION[1:], 0))
        connection.sendall(frame(FINISHED) + frame(b"", 8))

    with serving(streaming(talk)) as port:
        assert probe(f"http://127.0.0.1:{port}", Wanted(), PATIENT_S).verdict == "up"
    mask = pongs[0][2:6]
    assert pongs[0][:2] == b"\x8a\x84"
    assert bytes(byte ^ key for byte, key in zip(pongs[0][6:], mask, strict=True)) == b"ping"


def test_the_requests_are_those_of_a_polite_stranger():
    heads: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        saying(frame(NEW_SESSION), frame(FINISHED))(connection, head)

    with serving(handle) as port:
        assert probe(f"http://127.0.0.1:{port}/kpi/?token=abc", Wanted(), PATIENT_S).verdict == "up"
    page, stream = (head.decode().split("\r\n") for head in heads[:2])
    assert (page[0], stream[0]) == ("GET /kpi/?token=abc HTTP/1.1", "GET /kpi/_stcore/stream HTTP/1.1")
    for head in (page, stream):
        assert f"Host: 127.0.0.1:{port}" in head
        assert "User-Agent: kpi-ops-probe/1" in head
        assert not any(line.startswith("Origin") for line in head)


def test_redirects_are_followed_to_where_the_stream_is():
    good = saying(frame(NEW_SESSION), frame(FINISHED))

    def handle(connection: socket.socket, head: bytes) -> None:
        if head.startswith(b"GET / "):
            connection.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /kpi\r\n\r\n")
        elif head.startswith((b"GET /kpi ", b"GET /kpi/_stcore/stream ")):
            good(connection, head)

    with serving(handle) as port:
        assert probe(f"http://127.0.0.1:{port}", Wanted(), PATIENT_S).verdict == "up"


def test_nothing_listening_is_down_at_tcp():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = probe(f"http://127.0.0.1:{port}", Wanted(), PATIENT_S)
    assert (result.verdict, result.stage, result.reason) == ("down", "tcp", "refused")
    assert (result.ms["tls"], result.ms["script"]) == (None, None)


def test_a_name_that_does_not_exist_is_down_at_dns():
    result = probe("http://no-such-host.invalid", Wanted(), 20)
    assert (result.verdict, result.stage) == ("down", "dns")


def test_a_host_with_several_addresses_is_reached_by_the_one_that_answers():
    with serving(saying(frame(NEW_SESSION), frame(FINISHED))) as port:
        assert probe(f"http://localhost:{port}", Wanted(), PATIENT_S).verdict == "up"


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, *plain) + signed.public_bytes(pem))
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_page_over_https_is_up_where_its_certificate_is_trusted(certificate: Path, tls: ssl.SSLContext):
    trusting = ssl.create_default_context(cafile=str(certificate))
    with serving(saying(frame(NEW_SESSION), frame(FINISHED)), tls) as port:
        result = probe(f"https://127.0.0.1:{port}", Wanted(), PATIENT_S, tls=trusting)
    assert result.verdict == "up"
    assert None not in result.ms.values()


def test_a_certificate_nobody_signed_is_down_at_tls(tls: ssl.SSLContext):
    with serving(hangs_up, tls) as port:
        result = probe(f"https://127.0.0.1:{port}", Wanted(), PATIENT_S)
    assert (result.verdict, result.stage, result.reason) == ("down", "tls", "tls")


def test_https_on_a_plain_server_is_down_at_tls():
    with serving(answering(PAGE)) as port:
        result = probe(f"https://127.0.0.1:{port}", Wanted(), PATIENT_S)
    assert (result.verdict, result.stage, result.reason) == ("down", "tls", "tls")


def test_a_handshake_that_never_ends_is_down_by_timeout():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        result = probe(f"https://127.0.0.1:{deaf.getsockname()[1]}", Wanted(), SHORT_S)
    assert (result.verdict, result.stage, result.reason) == ("down", "tls", "timeout")
