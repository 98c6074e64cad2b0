"""Find the other files in which an ONNX file keeps its weights.

onnxruntime before 1.23 reads any file that an ONNX file names, wherever it is. Source
of the field numbers: ``onnx.proto`` of ONNX 1.20.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
from collections.abc import Iterable, Iterator

from orangecontrib.imageanalytics.errors import ModelError

# What a message holds, by the number of the field, on the way to tensors.
FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
KEY, VALUE = 1, 2  # of an entry
# Protobuf may read only a part of longer messages, and so find other fields.
MAX_TAG, MAX_LENGTH = 2**32 - 1, 2**31 - 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # types of fields


def find_external_data(content: bytes) -> tuple[str, ...]:
    """Names of the files, relative to the folder of the ONNX file.

    Parameters
    ----------
    content : bytes
        Content of the ONNX file.

    Raises
    ------
    ModelError
        When it is damaged, or names something that cannot be a file in its folder.
    """
    try:
        names = set(_find_locations(memoryview(content), "model"))
    except (IndexError, ValueError, RecursionError) as error:
        raise ModelError("is no ONNX network, or is damaged") from error
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if (
            posixpath.isabs(name)
            or ntpath.splitdrive(name)[0]
            or ".." in parts
            or "\0" in name
            or not set(parts) - {"", "."}
        ):
            raise _refuse(name, "which is not in its folder")
    return tuple(sorted(os.path.normpath(name) for name in names))


def check_external_data(names: Iterable[str], folder: str) -> None:
    """Refuse names that are not those of real files in a folder.

    Parameters
    ----------
    names : iterable of str
        The result of `find_external_data`.
    folder : str
        Folder of the ONNX file.

    Raises
    ------
    ModelError
        When a file is missing, is not a regular file, or is reached through a link
        that leaves the folder.
    """
    real_folder = os.path.join(os.path.realpath(folder), "")
    for name in names:
        real = os.path.realpath(os.path.join(folder, name))
        if not os.path.normcase(real).startswith(os.path.normcase(real_folder)):
            raise _refuse(name, "a link to what is not in its folder")
        if not os.path.isfile(real):
            raise _refuse(name, "which is no file in its folder")


def _refuse(name: str, reason: str) -> ModelError:
    return ModelError(f"keeps weights in {name[:80]!r}, {reason}: it is refused")


def _find_locations(message: memoryview, kind: str) -> Iterator[str]:
    for number, value in _fields(message):
        child = FIELDS[kind].get(number)
        if child == "entry":
            entry = dict(_fields(value))
            if bytes(entry.get(KEY, b"")) == b"location":
                yield bytes(entry.get(VALUE, b"")).decode()
        elif child:
            yield from _find_locations(value, child)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Numbers and contents of the fields that hold more than a number."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        number, kind = tag >> 3, tag & 7
        if number == 0 or tag > MAX_TAG:
            raise ValueError("unknown field")
        if kind == VARINT:
            _, position = _read_varint(message, position)
        elif kind == BYTES:
            length, position = _read_varint(message, position)
            if length > min(len(message) - position, MAX_LENGTH):
                raise ValueError("cut short")
            yield number, message[position : position + length]
            position += length
        elif kind in (FIXED64, FIXED32):
            position += 8 if kind == FIXED64 else 4
        else:
            raise ValueError("unknown type of field")


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("number too long")
