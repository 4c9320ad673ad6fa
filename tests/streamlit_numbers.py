"""The field numbers of a Streamlit release, read from its descriptors; none of its code is run.

python -m pip download --no-deps --dest /tmp streamlit==1.36.0
python -m tests.streamlit_numbers /tmp/streamlit-1.36.0-*.whl > tests/golden/streamlit-1.36.0.json
"""

import ast
import json
import sys
import zipfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ops.uptime.probe import WIRE

MESSAGES = sorted({name.partition(".")[0] for name in WIRE} | {"Element"})


def numbers_of(sources):
    """{message: {field: number}}, {oneof: [fields]} and {enum: {name: value}} of the messages that the probe reads.

    `sources`: the generated modules, which hold their descriptors as one long literal.
    """
    found = {message.name: message for source in sources for message in _descriptor(source).message_type}
    messages = {name: found[name] for name in MESSAGES if name in found}
    return {
        "fields": {name: {f.name: f.number for f in message.field} for name, message in messages.items()},
        "kinds": {
            name: sorted(f.name for f in message.field if f.HasField("oneof_index") and not f.proto3_optional)
            for name, message in messages.items()
        },
        "enums": {
            f"{name}.{enum.name}": {value.name: value.number for value in enum.value}
            for name, message in messages.items()
            for enum in message.enum_type
        },
    }


def _descriptor(source):
    literals = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    descriptor = max((value for value in literals if isinstance(value, bytes)), key=len)
    return FileDescriptorProto.FromString(descriptor)


def installed():
    """The generated modules of the Streamlit that is installed."""
    import streamlit

    return [path.read_bytes() for path in (Path(streamlit.__file__).parent / "proto").glob("*_pb2.py")]


def in_wheel(path):
    """The generated modules in a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("streamlit/proto/") and name.endswith("_pb2.py")]
        return [wheel.read(name) for name in names]


if __name__ == "__main__":
    json.dump(numbers_of(in_wheel(sys.argv[1])), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
