"""JPEGs with more than 8 bits or without loss, common in medicine, and JPEG-LS."""

from __future__ import annotations

from typing import BinaryIO

import imagecodecs

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    OtherFormat,
    Size,
    check_page,
    check_size,
)
from orangecontrib.imageanalytics.images.readers.jpeg import Frame, read_frame


def open(file: BinaryIO, format: Format) -> RareJpeg:
    """Open a JPEG that Pillow does not read."""
    frame = read_frame(file)
    if frame is None:
        raise OtherFormat
    return RareJpeg(file, frame)


class RareJpeg(LazyImage):
    """
    A JPEG, in numbers.

    Parameters
    ----------
    file : binary file object
    frame : Frame
        What it says of its compression.
    """

    def __init__(self, file: BinaryIO, frame: Frame):
        super().__init__("JPEG", frame.size, is_plain=False)
        check_size(*frame.size, self.format)
        self._file, self._frame = file, frame

    def read(self, at_least: Size | None, page: int | None) -> Values:
        """As `LazyImage.read`."""
        check_page(page or 1, 1)
        decode = imagecodecs.jpeg_decode
        if self._frame.is_jpeg_ls:
            decode = imagecodecs.jpegls_decode
        elif self._frame.is_lossless:
            decode = imagecodecs.ljpeg_decode
        self._file.seek(0)
        content = self._file.read()
        if b"\xff\xd9" not in content[content.rfind(b"\xff\xda") :]:
            raise EOFError  # which the decoders do not mind
        array = decode(content)
        # A number of bits below 16 is a range that the file declares.
        whole = (0, 2**self._frame.bits - 1) if self._frame.bits < 16 else None
        return Values(array, is_colour=array.ndim == 3, declared=(whole,), full=whole)
