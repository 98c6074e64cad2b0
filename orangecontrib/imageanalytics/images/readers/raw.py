"""Camera raw: developed as LibRaw does, with the white balance of the camera."""

from __future__ import annotations

from typing import BinaryIO

import rawpy
from PIL import Image

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    Size,
    check_page,
    check_size,
    covers,
)

_SIDEWAYS = (5, 6)


def open(file: BinaryIO, format: Format) -> RawImage:
    """Open a raw file."""
    return RawImage(file, format)


class RawImage(LazyImage):
    """
    An image in the form of sensor data.

    Parameters
    ----------
    file : binary file object
    format : Format
    """

    def __init__(self, file: BinaryIO, format: Format):
        self._file = file
        with self._opened() as raw:
            sizes = raw.sizes
        size = sizes.width, sizes.height
        super().__init__(
            format.name, size[::-1] if sizes.flip in _SIDEWAYS else size, is_plain=False
        )
        check_size(*size, self.format)

    def _opened(self):
        self._file.seek(0)
        try:
            return rawpy.imread(self._file)
        except rawpy.LibRawFileUnsupportedError as error:
            raise NotImplementedError(str(error)) from error

    def read(self, at_least: Size | None, page: int | None) -> Image.Image:
        """As `LazyImage.read`; at half the size, which is faster, if that is enough."""
        check_page(page or 1, 1)
        half = covers(tuple(side // 2 for side in self.size), at_least)
        with self._opened() as raw:
            return Image.fromarray(raw.postprocess(use_camera_wb=True, half_size=half))
