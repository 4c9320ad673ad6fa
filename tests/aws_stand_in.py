"""EC2 and SSM for one real host on this machine: what SSM is told to run there is run there."""

import http.server
import json
import threading
from urllib.parse import parse_qs

INSTANCE = "i-0123456789abcdef0"
DESCRIBED = """<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item>
<instancesSet><item><instanceId>{id}</instanceId><instanceState><code>16</code><name>running</name></instanceState>
<privateIpAddress>{address}</privateIpAddress></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"""


class OneHost(http.server.ThreadingHTTPServer):
    """`sent`: commands that SSM was given. The first question for each is too early, as it is with SSM."""

    def __init__(self, host):
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = host
        self.sent = []
        self.asked = set()
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, target, content):
        """What SSM says: (status, document)."""
        if target == "AmazonSSM.SendCommand":
            self.sent.append(content)
            return 200, {"Command": {"CommandId": f"00000000-0000-0000-0000-{len(self.sent):012}"}}
        command = content["CommandId"]
        if command not in self.asked:
            self.asked.add(command)
            return 400, {"__type": "InvocationDoesNotExist"}
        text = self.sent[int(command[-12:]) - 1]["Parameters"]["commands"][0]
        done = self.host.run(["sh", "-s"], text.encode())
        said = {"StandardOutputContent": done.out, "StandardErrorContent": done.err}
        return 200, {"Status": "Failed" if done.status else "Success", **said}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target")
        if target:
            status, document = self.server.answer(target, json.loads(body))
            self.reply(status, json.dumps(document).encode(), "application/x-amz-json-1.1")
        else:
            assert parse_qs(body.decode())["Action"] == ["DescribeInstances"]
            text = DESCRIBED.format(id=INSTANCE, address=self.server.host.address)
            self.reply(200, text.encode(), "text/xml")

    def reply(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass
