"""Servers on loopback that behave as they are told to, and the words that Streamlit says."""

import base64
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

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
                if head := head_of(secured):
                    handle(secured, head)

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
    """What is asked; of a TLS greeting the first byte, for a plain server answers that it is no request."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
        if head == b"\x16":
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


def flood(connection: socket.socket, data: bytes) -> None:
    """The same again and again, as fast as it is taken."""
    while True:
        connection.sendall(data)


# --- a web server ----------------------------------------------------------------------------------------------------


def answering(data: bytes) -> Handler:
    """A web server that says this to every request and waits."""

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        until_gone(connection)

    return handle


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP answer; names of headers with _ for -."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def redirect(location: str) -> bytes:
    """An answer that says where to go on."""
    return answer(b"", "302 Found", Location=location)


def silent(connection: socket.socket, _: bytes) -> None:
    """Listens, and says nothing."""
    until_gone(connection)


def hangs_up(_: socket.socket, __: bytes) -> None:
    """Closes the connection in place of an answer."""


def dripping_head(connection: socket.socket, _: bytes) -> None:
    """An endless header, byte by byte."""
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Padding: " + b"a" * 60_000)


def dripping_body(connection: socket.socket, _: bytes) -> None:
    """A long body, byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    drip(connection, b"a")


def endless_body(connection: socket.socket, _: bytes) -> None:
    """As many chunks as are taken."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    flood(connection, b"10000\r\n" + bytes(65536) + b"\r\n")


def flooding(head: bytes, more: bytes) -> Handler:
    """Begins an answer, and goes on with the same without end."""

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        flood(connection, more * (65536 // len(more) + 1))

    return handle


# --- a Streamlit -----------------------------------------------------------------------------------------------------


def accepted(head: bytes) -> bytes:
    """The answer to an upgrade."""
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def frame(payload: bytes, opcode: int = 2, *, final: bool = True) -> bytes:
    """A websocket frame of a server."""
    if len(payload) < 126:
        length = bytes([len(payload)])
    else:
        length = (
            struct.pack(">BH", 126, len(payload)) if len(payload) < 1 << 16 else struct.pack(">BQ", 127, len(payload))
        )
    return bytes([final << 7 | opcode]) + length + payload


def asked(connection: socket.socket) -> bytes:
    """The payload of the next frame of a client."""
    length = _exactly(connection, 2)[1] & 0x7F
    if length >= 126:
        length = int.from_bytes(_exactly(connection, 2 if length == 126 else 8))
    mask = _exactly(connection, 4)
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(_exactly(connection, length)))


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise ConnectionError("the probe hung up")
        data += more
    return data


def streaming(talk: Callable[[socket.socket], None]) -> Handler:
    """A web server with a good page, whose websocket does as `talk` does once it is asked for the script."""

    def handle(connection: socket.socket, head: bytes) -> None:
        if b"/_stcore/stream" not in head:
            connection.sendall(PAGE)
            return
        connection.sendall(accepted(head))
        asked(connection)
        talk(connection)

    return handle


def saying(*frames: bytes) -> Handler:
    """A Streamlit that sends these frames when it is asked for the script."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"".join(frames))
        until_gone(connection)

    return streaming(talk)


# Runs its script and hangs up, so that nobody waits for more.
FINE = streaming(lambda connection: connection.sendall(frame(NEW_SESSION) + frame(FINISHED)))


def paging(navigation: ForwardMsg, run: Callable[[socket.socket, int], None]) -> Handler:
    """A Streamlit with a navigation: its first page is fine, of the others `run` sends number 1, 2, 3, ..."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(frame(NEW_SESSION) + frame(navigation.SerializeToString()) + frame(FINISHED))
        for number in range(1, 10**6):
            asked(connection)
            run(connection, number)

    return streaming(talk)
