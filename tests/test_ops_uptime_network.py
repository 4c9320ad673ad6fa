"""The probe on its way to a page: names, addresses of both families, redirects, certificates."""

import inspect
import ipaddress
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops.uptime.probe import Result, Wanted, probe, sample_of
from tests.strange_servers import (
    FINE,
    PAGE,
    PATIENT_S,
    SHORT_S,
    Handler,
    answering,
    drip,
    hangs_up,
    redirect,
    serving,
    until_gone,
)

NOW = datetime.now(UTC)
PROBE = str(Path(inspect.getfile(probe)))
Peer = tuple[object, ...]


def seen(result: Result) -> tuple[str, str | None, str | None]:
    return result.verdict, result.stage, result.reason


# --- names and addresses ---------------------------------------------------------------------------------------------


def peer(host: str, port: int) -> Peer:
    """An address as the system's look-up gives it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


def names(*peers: Peer) -> Callable[..., Sequence[Peer]]:
    """A name server that knows these addresses for every name."""
    return lambda *_, **__: peers


@contextmanager
def deaf(host: str) -> Iterator[int]:
    """A port that takes no connection and refuses none, as behind a firewall that drops everything."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=0) as listener, ExitStack() as waiting:
        for _ in range(8):  # more than the queue of those who wait to be taken has room for
            sock = waiting.enter_context(socket.socket(family))
            sock.settimeout(0)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def refusing() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def test_a_page_is_reached_over_ipv6():
    with serving(FINE, host="::1") as port:
        assert probe(f"http://[::1]:{port}", Wanted(), PATIENT_S).verdict == "up"


@pytest.mark.parametrize(("dead", "alive"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_where_one_family_is_dead_the_other_one_is_used(dead: str, alive: str):
    with deaf(dead) as nothing, serving(FINE, host=alive) as port:
        look_up = names(peer(dead, nothing), peer(dead, nothing), peer(alive, port))
        assert probe("http://both.example", Wanted(), PATIENT_S, look_up=look_up).verdict == "up"


def test_where_the_first_address_refuses_the_next_one_is_tried():
    with serving(FINE) as port:
        look_up = names(peer("127.0.0.1", refusing()), peer("127.0.0.1", port))
        assert probe("http://two.example", Wanted(), PATIENT_S, look_up=look_up).verdict == "up"


def test_many_addresses_of_one_family_do_not_hide_the_other_one():
    with serving(FINE) as port:
        look_up = names(*[peer("::1", refusing())] * 20, peer("127.0.0.1", port))
        assert probe("http://many.example", Wanted(), PATIENT_S, look_up=look_up).verdict == "up"


def test_where_every_address_is_dead_the_page_is_down_by_timeout():
    with deaf("::1") as six, deaf("127.0.0.1") as four:
        look_up = names(peer("::1", six), peer("127.0.0.1", four))
        result = probe("http://none.example", Wanted(), SHORT_S, look_up=look_up)
    assert seen(result) == ("down", "tcp", "timeout")


def test_a_family_that_this_machine_does_not_know_is_passed_over():
    with serving(FINE) as port:
        strange = (socket.AF_UNIX, 99, 0, "", "/nowhere")
        look_up = names(strange, peer("127.0.0.1", port))
        assert probe("http://strange.example", Wanted(), PATIENT_S, look_up=look_up).verdict == "up"


def test_nothing_listening_is_down_at_tcp():
    result = probe(f"http://127.0.0.1:{refusing()}", Wanted(), PATIENT_S)
    assert seen(result) == ("down", "tcp", "refused")
    assert result.detail == "Connection refused"
    assert (result.ms["tls"], result.ms["script"]) == (None, None)


def test_a_name_server_that_never_answers_is_down_by_timeout():
    over = threading.Event()

    def look_up(*_: object, **__: object) -> Sequence[Peer]:
        over.wait(PATIENT_S)
        return ()

    result = probe("http://slow.example", Wanted(), SHORT_S, look_up=look_up)
    over.set()
    assert seen(result) == ("down", "dns", "timeout")
    assert result.detail == "no answer from the name server"


def test_a_name_that_does_not_exist_is_down_at_dns():
    def look_up(*_: object, **__: object) -> Sequence[Peer]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert seen(probe("http://none.example", Wanted(), PATIENT_S, look_up=look_up)) == ("down", "dns", "dns")


def test_a_name_without_an_address_is_down():
    result = probe("http://empty.example", Wanted(), PATIENT_S, look_up=names())
    assert seen(result) == ("down", "tcp", "refused")


def test_a_host_of_this_machine_is_found_by_its_name():
    with serving(FINE) as port:
        assert probe(f"http://localhost:{port}", Wanted(), PATIENT_S).verdict == "up"


# --- redirects -------------------------------------------------------------------------------------------------------


def moved(to: dict[str, str], app: str) -> Handler:
    """A server whose paths lead elsewhere; the app is at `app`."""

    def handle(connection: socket.socket, head: bytes) -> None:
        path = head.split()[1].decode()
        if path in to:
            connection.sendall(redirect(to[path]))
        elif path in (app, f"{app.partition('?')[0].rstrip('/')}/_stcore/stream"):
            FINE(connection, head)

    return handle


@pytest.mark.parametrize(
    ("to", "app"),
    [
        pytest.param({"/": "/kpi"}, "/kpi", id="to a path"),
        pytest.param({"/": "kpi/"}, "/kpi/", id="to a relative path"),
        pytest.param({"/": "?lang=en"}, "/?lang=en", id="to a query"),
        pytest.param({"/": "/a", "/a": "b/c", "/b/c": "../kpi"}, "/kpi", id="along a chain"),
        pytest.param({"/": "  /kpi#top "}, "/kpi", id="with a fragment"),
        pytest.param({"/": "/straße"}, "/stra%C3%9Fe", id="to a path that is not ASCII"),
    ],
)
def test_redirects_are_followed_to_where_the_stream_is(to: dict[str, str], app: str):
    with serving(moved(to, app)) as port:
        assert seen(probe(f"http://127.0.0.1:{port}", Wanted(), PATIENT_S)) == ("up", None, None)


def test_a_redirect_may_lead_to_another_host():
    with serving(FINE, host="::1") as port, serving(answering(redirect(f"http://[::1]:{port}/"))) as first:
        assert probe(f"http://127.0.0.1:{first}", Wanted(), PATIENT_S).verdict == "up"


def test_a_redirect_may_lead_to_a_host_that_is_down():
    with serving(answering(redirect(f"http://127.0.0.1:{refusing()}/"))) as first:
        assert seen(probe(f"http://127.0.0.1:{first}", Wanted(), PATIENT_S)) == ("down", "tcp", "refused")


# --- certificates ----------------------------------------------------------------------------------------------------


def named(host: str) -> x509.GeneralName:
    if host[0].isdigit():
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def certificate(file: Path, host: str, start: datetime, end: datetime) -> Path:
    """A self-signed certificate with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file.stem)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([named(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, *plain) + signed.public_bytes(pem))
    return file


class Secure:
    """A server's certificate, and somebody who trusts it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(file)
        self.trusting = ssl.create_default_context(cafile=str(file))

    def probe(self, handle: Handler = FINE) -> Result:
        with serving(handle, self.server) as port:
            return probe(f"https://127.0.0.1:{port}", Wanted(), PATIENT_S, tls=self.trusting, now=NOW)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Secure]:
    directory = tmp_path_factory.mktemp("tls")

    def make(days: float, host: str = "127.0.0.1") -> Secure:
        ages = NOW - timedelta(days=100)
        return Secure(certificate(directory / f"{host}-{days}.pem", host, ages, NOW + timedelta(days=days, hours=12)))

    return make


@pytest.mark.parametrize(
    ("days", "detail", "in_sample"),
    [
        (90, None, None),
        (29, None, 29),
        (21, None, 21),
        (20, "certificate ends in 20 days", 20),
        (1, "certificate ends in 1 day", 1),
        (0, "certificate ends in 0 days", 0),
    ],
)
def test_a_certificate_that_ends_soon_is_a_warning_and_no_outage(
    lasting: Callable[..., Secure], days: int, detail: str | None, in_sample: int | None
):
    result = lasting(days).probe()
    assert (seen(result), result.detail, result.certificate_days) == (("up", None, None), detail, days)
    assert None not in result.ms.values()
    assert sample_of(result, at=NOW, target="t", by="host", run=None).get("cert_days") == in_sample


def test_a_page_that_is_down_says_why_and_not_that_its_certificate_ends(lasting: Callable[..., Secure]):
    result = lasting(3).probe(answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"))
    assert (seen(result), result.detail) == (("down", "ttfb", "http_status"), "HTTP 503")
    assert result.certificate_days == 3


@pytest.mark.parametrize(
    ("days", "host", "detail"),
    [
        (-1, "127.0.0.1", "certificate has expired"),
        (90, "127.0.0.2", "IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
)
def test_a_certificate_that_is_wrong_is_down_at_tls(lasting: Callable[..., Secure], days: int, host: str, detail: str):
    result = lasting(days, host).probe()
    assert (seen(result), result.detail) == (("down", "tls", "tls"), detail)


def test_a_certificate_nobody_signed_is_down_at_tls(lasting: Callable[..., Secure]):
    with serving(hangs_up, lasting(90).server) as port:
        result = probe(f"https://127.0.0.1:{port}", Wanted(), PATIENT_S)
    assert seen(result) == ("down", "tls", "tls")


def test_a_redirect_may_lead_from_http_to_https(lasting: Callable[..., Secure]):
    secure = lasting(10)
    with serving(FINE, secure.server) as port, serving(answering(redirect(f"https://127.0.0.1:{port}/"))) as first:
        result = probe(f"http://127.0.0.1:{first}", Wanted(), PATIENT_S, tls=secure.trusting, now=NOW)
    assert (result.verdict, result.certificate_days) == ("up", 10)


def test_of_two_certificates_the_one_that_ends_first_is_told(lasting: Callable[..., Secure]):
    soon, late = lasting(2), lasting(80)
    soon.trusting.load_verify_locations(late.file)
    with serving(FINE, late.server) as port:
        result = soon.probe(answering(redirect(f"https://127.0.0.1:{port}/")))
    assert (result.verdict, result.certificate_days) == ("up", 2)


def test_a_certificate_is_for_a_name_with_or_without_the_dot_at_its_end(lasting: Callable[..., Secure]):
    secure = lasting(90, "kpi.example")
    with serving(FINE, secure.server) as port:
        look_up = names(peer("127.0.0.1", port))
        for url in ("https://kpi.example", "https://kpi.example."):
            assert probe(url, Wanted(), PATIENT_S, tls=secure.trusting, look_up=look_up).verdict == "up"


def test_https_on_a_plain_server_is_down_at_tls():
    with serving(answering(PAGE)) as port:
        assert seen(probe(f"https://127.0.0.1:{port}", Wanted(), PATIENT_S)) == ("down", "tls", "tls")


def test_a_handshake_that_never_begins_is_down_by_timeout():
    with socket.create_server(("127.0.0.1", 0)) as deaf_one:
        result = probe(f"https://127.0.0.1:{deaf_one.getsockname()[1]}", Wanted(), SHORT_S)
    assert seen(result) == ("down", "tls", "timeout")


def test_a_handshake_that_drips_is_down_by_timeout():
    def handle(connection: socket.socket, _: bytes) -> None:
        drip(connection, b"\x16\x03\x03" + struct.pack(">H", 16_000) + b"\x02\x00\x3e\x00" + bytes(15_000))
        until_gone(connection)

    with serving(handle) as port:
        assert seen(probe(f"https://127.0.0.1:{port}", Wanted(), SHORT_S)) == ("down", "tls", "timeout")


def test_json_tells_the_days_of_every_certificate(lasting: Callable[..., Secure]):
    secure = lasting(90)
    with serving(FINE, secure.server) as port:
        done = subprocess.run(
            [sys.executable, "-I", "-S", PROBE, "--url", f"https://127.0.0.1:{port}", "--json"],
            env={"SSL_CERT_FILE": str(secure.file)},
            check=False,
            capture_output=True,
            text=True,
        )
    assert (done.returncode, json.loads(done.stdout)["cert_days"]) == (0, 90)
