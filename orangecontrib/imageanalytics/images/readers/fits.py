"""FITS: numbers from telescopes, scaled as the header says.

(FITS Standard 4.0. Tables and compressed images are Pillow's.)
"""

from __future__ import annotations

import math
from typing import BinaryIO

import numpy as np

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    Size,
    check_page,
    check_size,
    middle,
    numbered,
    plane_number,
)
from orangecontrib.imageanalytics.images.readers import pillow

_BLOCK, _CARD = 2880, 80
_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_MAX_AXES = 999


def open(file: BinaryIO, format: Format) -> LazyImage:
    """Open the first image in a FITS file."""
    while header := _header(file):
        shape = _shape(header)
        start = file.tell()
        is_image = "SIMPLE" in header or header.get("XTENSION") == "IMAGE"
        if is_image and len(shape) >= 2 and math.prod(shape):
            return FitsImage(file, start, header, shape)
        if header.get("ZIMAGE") == "T":
            return pillow.open(file, format)
        n_bytes = abs(int(header["BITPIX"])) // 8 * _n_numbers(header, shape)
        file.seek(start + -(-n_bytes // _BLOCK) * _BLOCK)
    raise ImageError("FITS without an image")


def _header(file: BinaryIO) -> dict[str, str]:
    """Keywords and values up to END; empty at the end of the file."""
    found: dict[str, str] = {}
    while block := file.read(_BLOCK):
        for place in range(0, len(block), _CARD):
            card = block[place : place + _CARD].decode("latin-1")
            keyword = card[:8].strip()
            if keyword == "END":
                return found
            if card[8:9] == "=":
                value = card[10:].partition("/")[0].strip().strip("' ")
                found.setdefault(keyword, value)
    if found:
        raise EOFError
    return found


def _shape(header: dict[str, str]) -> tuple[int, ...]:
    """Lengths of the axes; the last axis varies fastest."""
    n_axes = min(int(header["NAXIS"]), _MAX_AXES)
    return tuple(int(header[f"NAXIS{axis}"]) for axis in range(n_axes, 0, -1))


def _n_numbers(header, shape) -> int:
    groups, parameters = (
        int(header.get(k, d)) for k, d in (("GCOUNT", 1), ("PCOUNT", 0))
    )
    return groups * (parameters + math.prod(shape)) if shape else 0


class FitsImage(LazyImage):
    """
    An image, or a stack of them.

    Parameters
    ----------
    file : binary file object
    start : int
        Where the numbers begin.
    header : dict of str to str
    shape : tuple of int
        Lengths of the axes, that of the columns last.
    """

    def __init__(self, file: BinaryIO, start: int, header: dict, shape: tuple):
        super().__init__("FITS", shape[:-3:-1], is_plain=False)
        check_size(*self.size, self.format)
        self._file, self._start, self._header = file, start, header
        self._stack = shape[:-2]
        self._n_planes = math.prod(self._stack)
        self.has_more = self._n_planes > 1

    def page_names(self) -> list[str]:
        """As `LazyImage.page_names`."""
        return numbered("plane", self._n_planes)

    def read(self, at_least: Size | None, page: int | None) -> Values:
        """As `LazyImage.read`."""
        if page is None:
            index = plane_number(middle(self._stack), self._stack)
        else:
            check_page(page, self._n_planes)
            index = page - 1
        dtype = np.dtype(_DTYPES[int(self._header["BITPIX"])])
        width, height = self.size
        n_bytes = width * height * dtype.itemsize
        self._file.seek(self._start + index * n_bytes)
        content = self._file.read(n_bytes)
        if len(content) < n_bytes:
            raise EOFError
        # The first row is at the bottom.
        stored = np.frombuffer(content, dtype).reshape(height, width)[::-1]
        return self._meant(stored)

    def _meant(self, stored: np.ndarray) -> Values:
        zero, scale = (
            float(self._header.get(k, d)) for k, d in (("BZERO", 0), ("BSCALE", 1))
        )
        blank = self._header.get("BLANK")
        values = stored
        if (zero, scale) != (0, 1):
            values = stored * scale + zero
            if scale == 1 and zero.is_integer() and stored.dtype.kind in "iu":
                values = values.astype(np.int64)
        missing = None if blank is None else float(blank) * scale + zero
        return Values(values, missing=missing)
