"""A visitor of a Streamlit app as a browser is one: a page that stays open, its files, its uploads."""

import http.client
import re
import secrets
from contextlib import ExitStack, closing

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

ANSWER_WITHIN_S = 30


class Visitor:
    """A page that is open: `elements` of the newest run, `pages` by name, `told` as the session began."""

    def __init__(self, address, port=8501):
        self.where = (address, port)
        self.cookie = _cookie(self.where)
        self.elements, self.pages, self.told = [], {}, None
        self._open = ExitStack()

    def __enter__(self):
        address, port = self.where
        opening = connect(
            f"ws://{address}:{port}/_stcore/stream",
            subprotocols=["streamlit"],
            max_size=None,
            proxy=None,
            open_timeout=ANSWER_WITHIN_S,
            additional_headers={"Cookie": f"_streamlit_xsrf={self.cookie}"},
        )
        self.socket = self._open.enter_context(opening)
        return self

    def __exit__(self, *_):
        self.leave()

    def leave(self):
        """Close the page."""
        self._open.close()

    def run(self, page="", query=""):
        """Have a page run, as a click on it does; returns its elements."""
        message = BackMsg()
        message.rerun_script.page_script_hash = self.pages.get(page, "")
        message.rerun_script.query_string = query
        message.rerun_script.SetInParent()
        self.socket.send(message.SerializeToString())
        self.elements = []
        while True:
            answer = self._next()
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.told = answer.new_session
            if kind == "navigation":
                self.pages = {entry.url_pathname: entry.page_script_hash for entry in answer.navigation.app_pages}
            if kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                self.elements.append(answer.delta.new_element)
            if kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return self.elements

    def element(self, kind, number=0):
        """An element of the newest run by its kind."""
        return [getattr(one, kind) for one in self.elements if one.WhichOneof("type") == kind][number]

    def count(self):
        """The number that the test's page counts its runs with, in the session's state."""
        texts = [one.text.body for one in self.elements if one.WhichOneof("type") == "text"]
        return next(int(found[1]) for text in texts if (found := re.fullmatch(r"run (\d+)", text)))

    def upload(self, data):
        """Bring a file; returns (status, release that answered)."""
        message = BackMsg()
        message.file_urls_request.request_id = "1"
        message.file_urls_request.file_names.append("a.bin")
        self.socket.send(message.SerializeToString())
        while (answer := self._next()).WhichOneof("type") != "file_urls_response":
            pass
        path = answer.file_urls_response.file_urls[0].upload_url
        boundary = secrets.token_hex(8)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="a.bin"; filename="a.bin"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        status, release, _ = self.ask("PUT", path, body, kind)
        return status, release, path

    def ask(self, method, path, body=None, headers=None):
        """One request beside the open page; returns (status, release, body)."""
        xsrf = {"Cookie": f"_streamlit_xsrf={self.cookie}", "X-Xsrftoken": self.cookie}
        return ask(self.where, method, path, body, {**xsrf, **(headers or {})})

    def _next(self):
        message = ForwardMsg()
        message.ParseFromString(self.socket.recv(timeout=ANSWER_WITHIN_S))
        return message


def ask(where, method, path, body=None, headers=None):
    """One request: (status, release, body)."""
    with closing(http.client.HTTPConnection(*where, timeout=ANSWER_WITHIN_S)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-release"), answer.read()


def _cookie(where):
    with closing(http.client.HTTPConnection(*where, timeout=ANSWER_WITHIN_S)) as connection:
        connection.request("GET", "/_stcore/health")
        answer = connection.getresponse()
        answer.read()
        return re.search(r"_streamlit_xsrf=([^;]+)", answer.getheader("Set-Cookie") or "")[1]
