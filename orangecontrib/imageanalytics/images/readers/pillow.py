"""Formats that Pillow reads correctly: most of those with 8 bits."""

from __future__ import annotations

import struct
import threading
from functools import cache
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    Size,
    check_page,
    check_size,
    numbered,
)

# Whose further frames are images like the first. Those of icons are the same in
# other sizes, those of JPEG what phones measure besides.
_WITH_FRAMES = ("GIF", "PNG", "WEBP", "AVIF", "HEIF", "FLI", "DCX")
_ORIENTATION_TAG = 0x0112
_EXIF_INTEGERS = {1: "B", 3: "H", 4: "I"}
_lock = threading.Lock()


def open(file: BinaryIO, format: Format) -> PillowImage:
    """Open an image of a format that Pillow reads."""
    return PillowImage(open_image(file, format.name))


def open_image(file: BinaryIO, name: str) -> ImageFile:
    """
    Pillow's own image, its pixels not read.

    Not by `Image.open`: that warns of large images, which can only be silenced for
    all threads at once.
    """
    file.seek(0)
    return _factory(name)(file, "")


@cache
def _factory(name: str):
    if name == "HEIF":
        from pillow_heif import HeifImageFile

        return HeifImageFile
    with _lock:
        Image.init()
    if name not in Image.OPEN:
        raise NotImplementedError(f"this Pillow does not read {name}")
    return Image.OPEN[name][0]


class PillowImage(LazyImage):
    """
    An image that Pillow has opened.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Its pixels not read yet.
    """

    def __init__(self, image: ImageFile):
        name = image.format or ""
        super().__init__(name, image.size, orientation(image))
        self.image = image
        self.has_more = name in _WITH_FRAMES and getattr(image, "is_animated", False)
        self.check_size()

    def check_size(self) -> None:
        """As `check_size`, for readers that decode all pixels."""
        check_size(*self.size, self.format)

    def page_names(self) -> list[str]:
        """As `LazyImage.page_names`."""
        return numbered("frame", self.image.n_frames) if self.has_more else []

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `LazyImage.read`."""
        if page is not None:
            check_page(page, self.image.n_frames if self.has_more else 1)
        if self.format == "GIF":
            return _gif_frame(self.image, page or 1)
        if page is not None and page > 1:
            self.image.seek(page - 1)
        self.image.load()
        check_size(*self.image.size, self.format)
        return pixels(self.image)


def pixels(image: Image.Image) -> Image.Image | Values:
    """A loaded image, or its numbers if they have more than 8 bits."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Values(np.asarray(image))
    return image


def _gif_frame(image: ImageFile, page: int) -> Image.Image:
    """Fill with white the parts that no frame covers yet."""
    extents = []
    for number in range(page):
        image.seek(number)
        extents += [tile[1] for tile in image.tile[:1]]
    image.load()
    if (0, 0, *image.size) in extents or image.has_transparency_data:
        return image
    reached = Image.new("L", image.size)
    for extent in extents:
        reached.paste(255, extent)
    white = Image.new("RGB", image.size, "white")
    white.paste(image.convert("RGB"), mask=reached)
    return white


def orientation(image: ImageFile) -> int:
    """The EXIF orientation, 1 to 8, that has not been applied yet."""
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (n_tags,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * n_tags, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, place)
            if tag == _ORIENTATION_TAG and kind in _EXIF_INTEGERS:
                integer = order + _EXIF_INTEGERS[kind]
                return struct.unpack_from(integer, tiff, place + 8)[0]
    except struct.error:
        pass
    return 1
