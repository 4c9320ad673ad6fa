"""An open page of a running dashboard: a websocket as a browser has it, which runs pages and sets widgets."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from dashboard.page import Reader

LIMIT_S = 30.0
OPTIONS = ("button_group", "selectbox", "radio", "multiselect")
FRAGMENT_DONE = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


@dataclass(frozen=True, slots=True)
class Widget:
    """One that is bound to the address. `options`: what may be chosen, where the page says it; `shown`: what is."""

    key: str
    id: str
    kind: str
    options: tuple[str, ...]
    shown: tuple[str, ...]


class Drawn(Reader):
    """What a browser has drawn: a fragment draws its part of the page anew, and the rest stays."""

    def __init__(self):
        super().__init__()
        self.fragments = {}
        self.fragment_runs = 0
        self.expected_fragment = ""
        self._running = ""
        self._drawn_by = {}

    def take(self, message):
        match message.WhichOneof("type"):
            case "auto_rerun":
                self.fragments[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            case "new_session" if self.expected_fragment:  # only who asked knows that it is not the whole page
                self._running, self.expected_fragment = self.expected_fragment, ""
                self._drawn_by = {path: by for path, by in self._drawn_by.items() if by != self._running}
                return
            case "new_session":
                self._running = ""
                self.fragments.clear()
                self._drawn_by.clear()
            case "script_finished" if message.script_finished == FRAGMENT_DONE:
                self.fragment_runs += 1
                self._forget_what_the_fragment_left_out()
        super().take(message)

    def _apply(self, delta, path):
        super()._apply(delta, path)
        self._drawn_by[path] = delta.fragment_id

    def _forget_what_the_fragment_left_out(self):
        for path in [path for path in self._elements if path not in self._drawn_by]:
            del self._elements[path]

    @property
    def hashes(self):
        return list(self._sent)

    def elements(self, kind):
        return [
            getattr(element, kind)
            for _, element in sorted(self._elements.items())
            if element.WhichOneof("type") == kind
        ]

    def widgets(self):
        return [widget for _, element in sorted(self._elements.items()) if (widget := bound(element))]

    def words(self):
        """All that is written on the page."""
        said = [each.body for kind in ("markdown", "alert", "heading") for each in self.elements(kind)]
        return "\n".join(said)

    @property
    def wrong(self):
        """Exceptions and error boxes."""
        page = self.page()
        return [*(raised.text for raised in page.raised), *page.errors]


def bound(element):
    """The widget that an element is, where it is bound to the address."""
    kind = element.WhichOneof("type")
    inner = getattr(element, kind) if kind else None
    key = getattr(inner, "query_param_key", "")
    if not key:
        return None
    options = tuple(getattr(each, "content", each) for each in getattr(inner, "options", ()))
    return Widget(key, inner.id, kind, options, _shown(inner, options))


def _shown(inner, options):
    """What the page tells the browser to show in a widget with options: what the address says, or the default."""
    if not options:
        return ()
    if inner.set_value:
        raw = getattr(inner, "raw_values", None) or getattr(inner, "raw_value", "")
        return (raw,) if isinstance(raw, str) else tuple(raw)
    default = inner.default
    places = [default] if isinstance(default, int) else default
    return tuple(options[place] for place in places)


class OpenPage:
    """`async with OpenPage(url) as visitor: await visitor.open()`."""

    def __init__(self, url, *, limit_s=LIMIT_S):
        self.drawn = Drawn()
        self.query = ""
        self._page_hash = ""
        self._url = url
        self._limit_s = limit_s
        self._values = {}
        self._connection = None

    async def __aenter__(self):
        self._connection = await connect(
            f"{self._url.replace('http', 'ws', 1)}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
            open_timeout=self._limit_s,
            close_timeout=1,
            ping_interval=None,
            proxy=None,
        )
        return self

    async def __aexit__(self, *_):
        await self._connection.close()

    async def open(self, page="", query=""):
        """Open a page by its name in the address, "" being the first; seconds until it was finished.

        `query` is what stands behind the `?`, as it stands there.
        """
        self.query = query
        hashes = {entry.name: entry.page_hash for entry in self.drawn.entries()}
        self._page_hash = hashes.get(page, "")
        return await self._run("" if self._page_hash else page)

    async def choose(self, key, *values):
        """Set a widget that is bound to the address, as a click does; seconds until the page was finished."""
        widget = next(each for each in self.drawn.widgets() if each.key == key)
        self._values[widget.id] = values
        self.query = urlencode(parse_qs(self.query) | {key: values}, doseq=True)
        return await self._run("")

    async def beat(self):
        """Let every fragment that runs by itself run once, as a browser does when its time has come."""
        for fragment in list(self.drawn.fragments):
            message = self._message("")
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
            await self._connection.send(message.SerializeToString())
            before = self.drawn.fragment_runs
            self.drawn.finished = False
            self.drawn.expected_fragment = fragment
            async with asyncio.timeout(self._limit_s):
                while self.drawn.fragment_runs == before and not self.drawn.finished:
                    await self._take()

    async def settle(self, seconds=0.2):
        """Take what still comes."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._take()
        except TimeoutError:
            return

    async def _run(self, page):
        began = time.perf_counter()
        self.drawn.finished = False
        await self._connection.send(self._message(page).SerializeToString())
        async with asyncio.timeout(self._limit_s):
            while not self.drawn.finished:
                await self._take()
        return time.perf_counter() - began

    def _message(self, page):
        message = BackMsg()
        run = message.rerun_script
        run.query_string = self.query
        run.page_script_hash = self._page_hash
        run.page_name = page
        run.cached_message_hashes.extend(self.drawn.hashes)
        for widget_id, values in self._values.items():
            run.widget_states.widgets.add(id=widget_id).string_array_value.data.extend(values)
        run.SetInParent()
        return message

    async def _take(self):
        message = ForwardMsg()
        message.ParseFromString(await self._connection.recv(decode=False))
        self.drawn.take(message)
