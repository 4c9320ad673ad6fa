"""A page as it stands after its script: the messages of one run, folded the way the browser does. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.AppPage_pb2 import AppPage
from streamlit.proto.Block_pb2 import Block
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.Exception_pb2 import Exception as ExceptionElement
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation: what a click on it sends, and its name; `shown`: it is the one that was run."""

    page_hash: str
    name: str
    shown: bool


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that the page shows: type and message, and the lines of its traceback, if the page has them."""

    text: str
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What a visitor sees. `counts`: elements by kind, as streamlit.proto.Element names them.

    `raised`: exceptions, a script that does not compile first; `errors`: what error boxes say; `texts`: the bytes of
    all that was drawn, in which words are looked for.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    raised: tuple[Raised, ...] = ()
    errors: tuple[str, ...] = ()
    texts: tuple[bytes, ...] = ()
    not_found: bool = False


class Reader:
    """Takes the messages of one session that runs one page."""

    def __init__(self) -> None:
        """Nothing is drawn, and nothing has run. `restarts`: how often a run was left to begin anew."""
        self.finished = False
        self.restarts = 0
        self._elements: dict[Path, Element] = {}
        self._blocks: dict[Path, Block] = {}
        self._compile_error: Raised | None = None
        self._not_found = False
        self._entries: list[Entry] = []
        self._sent: dict[str, ForwardMsg] = {}

    def take(self, message: ForwardMsg) -> None:
        """Apply one message."""
        message = self._whole(message)
        match message.WhichOneof("type"):
            case "new_session":
                self._start(message)
            case "navigation":
                shown = message.navigation.page_script_hash
                self._entries = [_entry(page, shown) for page in message.navigation.app_pages if not page.external_url]
            case "page_not_found":
                self._not_found = True
            case "delta":
                self._apply(message.delta, tuple(message.metadata.delta_path))
            case "session_event":
                if message.session_event.HasField("script_compilation_exception"):
                    self._compile_error = _raised(message.session_event.script_compilation_exception)
            case "script_finished":
                self._finish(message.script_finished)
            case _:  # nothing that is seen on the page
                return

    def page(self) -> Page:
        """The page as it stands."""
        elements = [element for _, element in sorted(self._elements.items())]
        drawn: list[Element | Block] = [*elements, *self._blocks.values()]
        shown = [_raised(element.exception) for element in elements if _is_exception(element)]
        return Page(
            counts=Counter(kind for element in elements if (kind := element.WhichOneof("type"))),
            raised=(*([self._compile_error] if self._compile_error else []), *shown),
            errors=tuple(element.alert.body for element in elements if _is_error_box(element)),
            texts=tuple(part.SerializeToString() for part in drawn),
            not_found=self._not_found,
        )

    def entries(self) -> list[Entry]:
        """The pages of the app's navigation that are its own; empty where it has none."""
        return self._entries

    def _whole(self, message: ForwardMsg) -> ForwardMsg:
        """A message, with what it refers to in its place: a large one is sent once in a session."""
        if message.WhichOneof("type") != "ref_hash":
            if message.hash:
                self._sent[message.hash] = message
            return message
        whole = ForwardMsg()
        whole.CopyFrom(self._sent.get(message.ref_hash, ForwardMsg()))
        whole.metadata.CopyFrom(message.metadata)
        return whole

    def _start(self, message: ForwardMsg) -> None:
        """A run begins on an empty page; releases without a navigation tell of their pages here."""
        self.finished = False
        self._elements.clear()
        self._blocks.clear()
        self._compile_error = None
        shown = message.new_session.page_script_hash
        self._entries = [_entry(page, shown) for page in message.new_session.app_pages]

    def _finish(self, status: int) -> None:
        self.restarts += status == ForwardMsg.FINISHED_EARLY_FOR_RERUN
        if status in (ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY):
            return
        self.finished = True
        if status == ForwardMsg.FINISHED_WITH_COMPILE_ERROR and not self._compile_error:
            self._compile_error = Raised("the script does not compile")  # its words are about to come

    def _apply(self, delta: Delta, path: Path) -> None:
        match delta.WhichOneof("type"):
            case "new_element":
                self._clear(path)
                self._elements[path] = delta.new_element
            case "add_block":
                before = self._blocks.get(path)
                if before is None or before.WhichOneof("type") != delta.add_block.WhichOneof("type"):
                    self._clear(path)
                self._blocks[path] = delta.add_block
            case _:  # a transient, like a spinner, stands over the page and replaces nothing
                return

    def _clear(self, path: Path) -> None:
        """Forget what is drawn at a path, and within it."""
        for drawn in (self._elements, self._blocks):
            for place in [place for place in drawn if place[: len(path)] == path]:
                del drawn[place]


def _entry(page: AppPage, shown: str) -> Entry:
    name = page.url_pathname or page.page_name
    return Entry(page.page_script_hash, name, shown=page.page_script_hash == shown)


def _raised(exception: ExceptionElement) -> Raised:
    return Raised(": ".join(filter(None, (exception.type, exception.message))), tuple(exception.stack_trace))


def _is_exception(element: Element) -> bool:
    return element.WhichOneof("type") == "exception" and not element.exception.is_warning


def _is_error_box(element: Element) -> bool:
    return element.WhichOneof("type") == "alert" and element.alert.format == Alert.ERROR
