"""JPEG 2000: reduced if fewer pixels are enough, with deep and signed numbers."""

from __future__ import annotations

import contextlib
import importlib.util
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Range, Values
from orangecontrib.imageanalytics.images.lazy_image import (
    OtherFormat,
    Size,
    check_size,
    reduction,
)
from orangecontrib.imageanalytics.images.readers.pillow import (
    PillowImage,
    open_image,
    pixels,
)

_CODESTREAM = b"\xff\x4f\xff\x51"
_SIZE, _STYLE = 0xFF51, 0xFF52
_FIRST_TILE = 0xFF90
_MAX_HEADER = 1 << 20


@dataclass
class _Codestream:
    """The description of the numbers in the header."""

    bits: int = 8
    signed: bool = False
    n_components: int = 1
    n_halvings: int = 0

    @property
    def whole(self) -> Range:
        """The range of values that the type of numbers allows."""
        least = -(2 ** (self.bits - 1)) if self.signed else 0
        return least, least + 2**self.bits - 1

    @property
    def declared(self) -> Range | None:
        """The same, unless it is the range of 16 bits, that of the data type."""
        return self.whole if self.bits < 16 else None


def open(file: BinaryIO, format: Format) -> Jpeg2000Image:
    """Open a JPEG 2000."""
    head = file.read(_MAX_HEADER)
    with _leaving_rare():
        image = open_image(file, format.name)
    return Jpeg2000Image(file, image, _codestream(head))


@contextlib.contextmanager
def _leaving_rare() -> Iterator[None]:
    """Leave files that Pillow does not read to another reader, if it is installed."""
    try:
        yield
    except (OSError, ValueError, SyntaxError) as error:
        if importlib.util.find_spec("imagecodecs") is not None:
            raise OtherFormat from error
        raise


class Jpeg2000Image(PillowImage):
    """
    A JPEG 2000.

    Parameters
    ----------
    file : binary file object
    image : PIL.Jpeg2KImagePlugin.Jpeg2KImageFile
        Opened from it.
    codestream : _Codestream
    """

    def __init__(self, file: BinaryIO, image, codestream: _Codestream):
        self._codestream = codestream
        super().__init__(image)
        self._file = file
        self.is_plain = codestream.bits == 8 and not codestream.signed

    def check_size(self) -> None:
        """Check nothing yet; the size to decode is known only in `read`."""

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `LazyImage.read`; at 1/2, 1/4 ... of the size if that is enough."""
        stream = self._codestream
        # Of deep numbers, some overflow when details are left out.
        most = stream.n_halvings if stream.bits <= 8 else 0
        n_halvings = reduction(self.size, at_least, most)
        check_size(*(side >> n_halvings for side in self.size), self.format)
        if stream.n_components >= 3 and stream.bits > 8:
            deep = self._deep_colours()
            if deep is not None:
                return deep
        read = self._reduced(n_halvings) if n_halvings else None
        if read is None:
            with _leaving_rare():
                read = super().read(None, page)
        if isinstance(read, Values):
            return self._numbers(read.array)
        if stream.bits < 8 and read.mode == "L":
            values = np.asarray(read) >> (8 - stream.bits)
            return Values(values, declared=(stream.whole,), full=stream.whole)
        return read

    def _reduced(self, n_halvings: int) -> Image.Image | Values | None:
        """The image without its finest details; None if its tiles do not allow that."""
        image = open_image(self._file, self.format)
        image.reduce = n_halvings
        try:
            image.load()
        except (OSError, ValueError):
            return None
        return pixels(image)

    def _numbers(self, values: np.ndarray) -> Values:
        """Undo the shift by which Pillow makes greys unsigned 16-bit numbers."""
        stream = self._codestream
        values = values >> max(0, 16 - stream.bits)
        least, _ = stream.whole
        if stream.signed:
            dtype = np.int8 if stream.bits <= 8 else np.int16
            values = (values.astype(np.int32) + least).astype(dtype)
        return Values(values, declared=(stream.declared,), full=stream.whole)

    def _deep_colours(self) -> Values | None:
        """Colours with more than the 8 bits that Pillow returns, if possible."""
        self._file.seek(0)
        try:
            import imagecodecs

            array = imagecodecs.jpeg2k_decode(self._file.read())
        except Exception:  # it is not installed, or cannot
            return None
        if array.ndim != 3 or array.shape[2] < 3:
            return None
        stream = self._codestream
        return Values(
            array[..., :3],
            is_colour=True,
            declared=(stream.declared,),
            full=stream.whole,
        )


def _codestream(head: bytes) -> _Codestream:
    found = _Codestream()
    place = head.find(_CODESTREAM) + 2
    try:
        while place >= 2:
            marker, length = struct.unpack_from(">HH", head, place)
            if marker == _SIZE:
                (found.n_components,) = struct.unpack_from(">H", head, place + 38)
                depth = head[place + 40]
                found.bits, found.signed = (depth & 127) + 1, depth > 127
            elif marker == _STYLE:
                found.n_halvings = head[place + 9]
            elif marker == _FIRST_TILE:
                break
            place += 2 + length
    except (struct.error, IndexError):
        pass
    return found
