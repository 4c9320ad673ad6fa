"""Messages as Streamlit sends them, made with its own protobuf."""

from typing import Any

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from ops.uptime.probe import FINISHED


def started() -> ForwardMsg:
    message = ForwardMsg()
    message.new_session.name = "app"
    return message


def finished(status: int = FINISHED) -> ForwardMsg:
    return ForwardMsg(script_finished=status)


def at(path: list[int], **element: dict[str, Any]) -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path[:] = path
    for kind, fields in element.items():
        child = getattr(message.delta.new_element, kind)
        child.SetInParent()
        for name, value in fields.items():
            setattr(child, name, value)
    return message


def container(path: list[int], kind: str = "vertical", **fields: str) -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path[:] = path
    getattr(message.delta.add_block, kind).SetInParent()
    for name, value in fields.items():
        setattr(message.delta.add_block, name, value)
    return message


def spinner(path: list[int]) -> ForwardMsg:
    message = at(path)
    message.delta.new_transient.elements.add().exception.message = "not an element of the page"
    return message


def event(**fields: str) -> ForwardMsg:
    message = ForwardMsg()
    for name, value in fields.items():
        setattr(message.session_event.script_compilation_exception, name, value)
    return message


def navigation(*pages: dict[str, Any], shown: str = "") -> ForwardMsg:
    message = ForwardMsg()
    message.navigation.page_script_hash = shown
    for page in pages:
        message.navigation.app_pages.add(**page)
    return message


def kept(message: ForwardMsg, name: str) -> ForwardMsg:
    message.hash = name
    message.metadata.cacheable = True
    return message


def reference(path: list[int], name: str) -> ForwardMsg:
    message = ForwardMsg(ref_hash=name)
    message.metadata.delta_path[:] = path
    return message
