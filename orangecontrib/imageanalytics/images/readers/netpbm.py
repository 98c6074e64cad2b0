"""PBM, PGM, PPM, PAM and PFM, with all 16 bits."""

from __future__ import annotations

import math
import re
from typing import BinaryIO

import numpy as np

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    OtherFormat,
    Size,
    check_page,
    check_size,
)
from orangecontrib.imageanalytics.images.readers import pillow

_MAX_HEADER = 100_000
_GAP = rb"(?:\s|#[^\n]*\n)+"
_BINARY = re.compile(
    rb"P([56])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)\s", re.DOTALL
)
_FLOATS = re.compile(
    rb"P([Ff])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)" + _GAP + rb"([-+.\deE]+)\s"
)
_PAM = re.compile(rb"P7\n.*?ENDHDR\n", re.DOTALL)


def open(file: BinaryIO, format: Format) -> LazyImage:
    """Open a file of one of these formats."""
    head = file.read(_MAX_HEADER)
    if found := _BINARY.match(head):
        kind, width, height, top = (int(number) for number in found.groups())
        if top != 255:
            shape = height, width, 3 if kind == 6 else 1
            return NetpbmImage(file, found.end(), shape, top)
    elif found := _FLOATS.match(head):
        kind, width, height, scale = found.groups()
        shape = int(height), int(width), 3 if kind == b"F" else 1
        dtype = np.dtype("<f4" if float(scale) < 0 else ">f4")
        return NetpbmImage(file, found.end(), shape, 0, dtype)
    elif found := _PAM.match(head):
        return _open_pam(file, found[0])
    elif head.startswith(b"P7 "):
        raise OtherFormat
    return pillow.open(file, format)


def _open_pam(file: BinaryIO, head: bytes) -> LazyImage:
    lines = (line.split(maxsplit=1) for line in head.splitlines())
    fields = {line[0]: line[1] for line in lines if len(line) == 2}
    names = b"HEIGHT", b"WIDTH", b"DEPTH", b"MAXVAL"
    height, width, depth, top = (int(fields[name]) for name in names)
    return NetpbmImage(file, len(head), (height, width, depth), top)


class NetpbmImage(LazyImage):
    """
    A binary file of the family.

    Parameters
    ----------
    file : binary file object
    start : int
        Where the numbers begin.
    shape : (int, int, int)
        Height, width, and how many numbers a pixel has.
    top : int
        What is white, 1 to 65535; of floats 0.
    dtype : numpy.dtype, optional
        That of floats.
    """

    def __init__(self, file: BinaryIO, start: int, shape: tuple, top: int, dtype=None):
        height, width, _ = shape
        if dtype is None and not 0 < top < 65536:
            raise ValueError(f"no range: {top}")
        super().__init__("PPM", (width, height), is_plain=0 < top <= 255)
        check_size(width, height, self.format)
        self._file, self._start, self._shape, self._top = file, start, shape, top
        self._dtype = dtype or np.dtype(np.uint8 if top < 256 else ">u2")

    def read(self, at_least: Size | None, page: int | None) -> Values:
        """As `LazyImage.read`."""
        check_page(page or 1, 1)
        n_values = math.prod(self._shape)
        self._file.seek(self._start)
        content = self._file.read(n_values * self._dtype.itemsize)
        if len(content) < n_values * self._dtype.itemsize:
            raise EOFError
        values = np.frombuffer(content, self._dtype).reshape(self._shape)
        depth = self._shape[2]
        colours = values[..., :3] if depth >= 3 else values[..., 0]
        if not self._top:  # floats begin with the last row
            return Values(colours[::-1], is_colour=depth >= 3)
        opacity = None
        if depth in (2, 4):
            opacity = (values[..., -1].astype(np.uint32) * 255 // self._top).astype(
                "u1"
            )
        whole = 0, self._top
        return Values(
            colours,
            is_colour=depth >= 3,
            declared=(whole if self._top != 65535 else None,),
            full=whole,
            opacity=opacity,
        )
