"""A release as small as one can be that keeps the protocol of dashboard.serve, for trials of kpi-host on real hosts.

`mode` says how it behaves: well, refused, crash, hang, silent, hungry; `page` what its public page says.
"""

import hashlib
import io
import json
import tarfile

from ops.onhost.digest import files_sha256

SERVE = r"""
import asyncio, json, os, signal, sys

RELEASE, MODE = os.environ["KPI_RELEASE"], open("mode").read().strip()
RUN = os.environ["RUNTIME_DIRECTORY"]


def current():
    try:
        return os.path.basename(os.readlink("/opt/kpi/current")) == RELEASE
    except OSError:
        return False


def refuse(text):
    for line in text.splitlines():
        print(f"<3>{line}", file=sys.stderr, flush=True)
    os._exit(75 if current() else 78)


def notify(text):
    import socket
    path = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect("\0" + path[1:] if path[0] == "@" else path)
        s.send(text.encode())


async def main():
    import socket
    if os.environ.get("LISTEN_FDS") != "1":
        refuse("REFUSED: no public socket was inherited")
    stop, sessions = asyncio.Event(), set()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    async def answer(reader, writer):
        sessions.add(writer)
        try:
            while line := await reader.readline():
                path = line.split()[1].decode()
                while (await reader.readline()).strip():
                    pass
                contract = open("contract").read().strip()
                state = {"release": RELEASE, "ready": True, "draining": stop.is_set(), "contract": contract}
                said = json.dumps({**state, "sessions": len(sessions)})
                body = said if path == "/state" else f"{RELEASE} {open('page').read()}"
                keep = path == "/stay"
                head = f"Content-Length: {len(body)}\r\nConnection: {'keep-alive' if keep else 'close'}"
                writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}".encode())
                await writer.drain()
                if not keep:
                    break
        finally:
            sessions.discard(writer)
            writer.close()

    await asyncio.start_unix_server(answer, f"{RUN}/http.sock")
    if MODE == "refused":
        refuse("REFUSED: page 'products' raised KeyError: revenue (dashboard/pages/products.py line 12)\nTraceback ...")
    if MODE == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if MODE == "silent":
        import nosuchmodule
    if MODE == "hungry":
        hog = []
        while True:
            hog.append(bytearray(b"x" * (8 << 20)))
    if MODE == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        while True:
            pass
    if MODE.startswith("slow"):
        await asyncio.sleep(float(MODE.split()[1]))
        if stop.is_set():
            os._exit(0)
    public = socket.socket(fileno=3)
    server = await asyncio.start_server(answer, sock=public, backlog=128)
    public.listen(4096)
    os.unlink(f"{RUN}/tried")
    notify("READY=1")
    await stop.wait()
    loop.remove_reader(public)
    await asyncio.sleep(0.2)
    while sessions and not os.path.exists(f"{RUN}/at-once") and not os.path.exists("/run/nologin"):
        await asyncio.sleep(0.05)
    os._exit(0)


asyncio.run(main())
"""

PROBE = r"""
import json, sys, time, urllib.request

url = sys.argv[sys.argv.index("--url") + 1]
try:
    text = urllib.request.urlopen(url, timeout=10).read().decode()
except OSError as error:
    text = f"broken {error}"
well = "broken" not in text
seen = {"verdict": "up", "reason": None} if well else {"verdict": "down", "reason": "script_exception"}
print(json.dumps({**seen, "detail": text, "ms": {}}))
sys.exit(not well)
"""


def files(**parts):
    """Path -> bytes of a release; `parts`: mode, page, contract, lock and uv_lock where they differ."""
    return {
        "dashboard/__init__.py": b"",
        "dashboard/serve.py": SERVE.encode(),
        "ops/uptime/probe.py": PROBE.encode(),
        "mode": parts.get("mode", "well").encode(),
        "page": parts.get("page", "fine").encode(),
        "contract": str(parts.get("contract", 1)).encode(),
        "requirements/host.txt": parts.get("lock", b""),
        "requirements/uv.txt": parts.get("uv_lock", b""),
    }


def manifest(release, content, **said):
    """What release.json says of those files."""
    return {
        "release": release,
        "sha": "ab12cd3" + "0" * 33,
        "dirty": False,
        "ref": "main",
        "made_at": "2026-11-23T10:15:00Z",
        "who": "a test",
        "lock_sha256": hashlib.sha256(content["requirements/host.txt"]).hexdigest(),
        "requires_python": ">=3.11,<3.14",
        "settings_sha256": "",
        "contract": int(content["contract"]),
        "files_sha256": files_sha256(content),
        **said,
    }


def packed(release, said=None, **parts):
    """The archive of a release, as it is sent."""
    content = files(**parts)
    content["release.json"] = json.dumps(manifest(release, content, **(said or {}))).encode()
    return tar(content)


def tar(content):
    """An archive of path -> bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, body in content.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return out.getvalue()
