"""Finds which other files an ONNX file keeps its weights in.

onnxruntime before 1.23 reads whatever files it names, wherever they are. Source of
the numbers of fields: ``onnx.proto`` of ONNX 1.20.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
from collections.abc import Iterator

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
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # types of fields


def find_external_data(content: bytes) -> tuple[str, ...]:
    """Names of the files, relative to the folder of the ONNX file.

    Parameters
    ----------
    content : bytes
        Of the ONNX file.

    Raises
    ------
    ModelError
        When it is damaged, or names a file that is not in its folder.
    """
    try:
        names = set(_find_locations(memoryview(content), "model"))
    except (IndexError, ValueError, RecursionError) as error:
        raise ModelError("is no ONNX network, or is damaged") from error
    for name in names:
        parts = name.replace("\\", "/").split("/")
        if posixpath.isabs(name) or ntpath.splitdrive(name)[0] or ".." in parts:
            raise ModelError(
                f"keeps weights in {name[:80]!r}, which is not in its folder: "
                "it is refused"
            )
    return tuple(sorted(os.path.normpath(name) for name in names))


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
    """Numbers and contents of the fields that are not mere numbers."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        kind = tag & 7
        if kind == VARINT:
            _, position = _read_varint(message, position)
        elif kind == BYTES:
            length, position = _read_varint(message, position)
            if length > len(message) - position:
                raise ValueError("cut short")
            yield tag >> 3, message[position : position + length]
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
